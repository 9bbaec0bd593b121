"""A gRPC server that ends every call with the status that its method is named after: /lab.Lab/unavailable."""
import sys
from concurrent import futures

import grpc


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        name = details.method.rsplit("/", 1)[-1].upper()

        def answer(_request, context):
            context.abort(grpc.StatusCode[name], "said by the lab")

        return grpc.unary_unary_rpc_method_handler(answer)


server = grpc.server(futures.ThreadPoolExecutor(4), handlers=(Handler(),))
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
