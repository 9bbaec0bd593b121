"""One request by a Python library; what a person would see of the error goes to standard output.

Usage: client.py LIBRARY, with URL, CA, TIMEOUT, PROXY, WARM, HTTP2, CRL, DESCRIPTORS and SHAPE (text, repr or trace) in
the environment; for grpc also METHOD and TLS."""
import asyncio
import os
import sys
import traceback

library = sys.argv[1]
get = os.environ.get
URL, CA, PROXY = get("URL"), get("CA"), get("PROXY")
TIMEOUT = float(get("TIMEOUT", "1"))
WARM, HTTP2, CRL = bool(get("WARM")), bool(get("HTTP2")), get("CRL")


def exhaust():
    """Leaves this process no descriptor."""
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    try:
        while True:
            os.open("/dev/null", os.O_RDONLY)
    except OSError:
        pass


def context():
    import ssl

    made = ssl.create_default_context(cafile=CA)
    if CRL:
        made.load_verify_locations(CRL)
        made.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return made


def use_requests():
    import requests

    session = requests.Session()
    session.trust_env = False
    session.verify = CA
    if PROXY:
        session.proxies = {"http": PROXY, "https": PROXY}
    if WARM:
        session.get(URL, timeout=TIMEOUT)
    yield
    session.get(URL, timeout=TIMEOUT).raise_for_status()


def use_urllib3():
    import urllib3

    options = {"timeout": TIMEOUT, "retries": int(get("RETRIES", "2")), "ca_certs": CA}
    pool = urllib3.ProxyManager(PROXY, **options) if PROXY else urllib3.PoolManager(**options)
    if WARM:
        pool.request("GET", URL)
    yield
    pool.request("GET", URL)


def use_httpx():
    import httpx

    options = {"timeout": TIMEOUT, "verify": context(), "http2": HTTP2, "trust_env": False, "follow_redirects": True}
    if PROXY:
        options["proxy" if httpx.__version__ >= "0.26" else "proxies"] = PROXY
    try:
        client = httpx.Client(**options)
    except TypeError:
        del options["follow_redirects"]
        client = httpx.Client(**options)
    if WARM:
        client.get(URL)
    yield
    client.get(URL).raise_for_status()


def use_urllib():
    import ssl
    import urllib.request

    handlers = [urllib.request.ProxyHandler({"http": PROXY, "https": PROXY} if PROXY else {})]
    handlers.append(urllib.request.HTTPSHandler(context=context()))
    opener = urllib.request.build_opener(*handlers)
    yield
    opener.open(URL, timeout=TIMEOUT).read()


def use_sockets():
    """What a program gets that writes HTTP itself, or speaks another protocol: socket and ssl alone."""
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(URL)
    yield
    port = parts.port or (443 if parts.scheme == "https" else 80)
    stream = socket.create_connection((parts.hostname, port), timeout=TIMEOUT)
    if parts.scheme == "https":
        stream = context().wrap_socket(stream, server_hostname=parts.hostname)
    stream.sendall(b"GET /health HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n")
    while stream.recv(65536):
        pass


def use_http_client():
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(URL)
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT, context=context())
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT)
    if WARM:
        connection.request("GET", parts.path)
        connection.getresponse().read()
    yield
    connection.request("GET", parts.path)
    connection.getresponse().read()


def use_pycurl():
    import io
    import pycurl

    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, URL)
    curl.setopt(pycurl.CAINFO, CA)
    curl.setopt(pycurl.TIMEOUT_MS, int(TIMEOUT * 1000))
    curl.setopt(pycurl.FAILONERROR, True)
    curl.setopt(pycurl.FOLLOWLOCATION, True)
    curl.setopt(pycurl.MAXREDIRS, 20)
    curl.setopt(pycurl.ACCEPT_ENCODING, "gzip")
    curl.setopt(pycurl.WRITEDATA, io.BytesIO())
    if PROXY:
        curl.setopt(pycurl.PROXY, PROXY)
    if WARM:
        curl.perform()
    yield
    curl.perform()


def use_curl_cffi():
    from curl_cffi import requests

    session = requests.Session()
    session.verify = CA
    if PROXY:
        session.proxies = {"http": PROXY, "https": PROXY}
    if WARM:
        session.get(URL, timeout=TIMEOUT)
    yield
    session.get(URL, timeout=TIMEOUT).raise_for_status()


def use_aiohttp():
    import aiohttp

    async def ask(twice):
        tls = context()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=TIMEOUT)
        if get("TOTAL"):
            timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session:
            for _ in range(2 if twice else 1):
                async with session.get(URL, ssl=tls, proxy=PROXY) as answer:
                    await answer.read()

    yield
    asyncio.run(ask(WARM))


def use_grpc():
    import grpc

    if get("TLS"):
        with open(CA, "rb") as file:
            channel = grpc.secure_channel(URL, grpc.ssl_channel_credentials(file.read()))
    else:
        channel = grpc.insecure_channel(URL)
    call = channel.unary_unary("/lab.Lab/" + get("METHOD", "unavailable"))
    yield
    call(b"", timeout=TIMEOUT, wait_for_ready=bool(get("WAIT")))


steps = globals()["use_" + library]()
try:
    next(steps)
    if get("DESCRIPTORS"):
        exhaust()
    next(steps, None)
except Exception as error:
    if get("DESCRIPTORS"):
        os.closerange(10, 64)
    shape = get("SHAPE", "text")
    if shape == "trace":
        print(traceback.format_exc())
    elif shape == "repr":
        print(repr(error))
    else:
        # As most programs log it: the class and the message.
        print("%s: %s" % (type(error).__module__.replace("builtins", "") + ("." if type(error).__module__ != "builtins" else "") + type(error).__name__, error))
