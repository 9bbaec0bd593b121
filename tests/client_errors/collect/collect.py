#!/usr/bin/env python3
"""Runs the clients against the lab and writes what they say: collect.py LAB_DIR INSTALLED_DIR [seen|held_out] [NAME…].

Each text goes to tests/client_errors/{seen,held_out}/CLIENT-VERSION.json with the fault that was really running. A client
that notices nothing of a fault says nothing, and there is no entry. Held-out texts are written without being shown."""

import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
from urllib.parse import urlsplit

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from clients import clients
from faults import FAULTS, GRPC

lab, installed = map(os.path.abspath, sys.argv[1:3])
which = sys.argv[3] if len(sys.argv) > 3 else "seen"
names = sys.argv[4:]
ports = json.load(open(lab + "/ports.json"))
# Only these faults are asked for again; what was collected of the others stays.
ONLY = set(filter(None, os.environ.get("FAULTS", "").split(",")))

CONNECT = {"refused", "refused-tls", "refused-address", "rejected-icmp", "net-unreachable", "host-unreachable", "prohibited", "no-route", "no-route-6", "unreachable-route", "policy", "proxy-refused", "proxy-refused-tls", "ports"}
LOOKUP = {"nxdomain", "nxdomain-tls", "nodata", "servfail", "dns-refused", "dns-silent", "dns-dead", "proxy-unknown"}
SLOW = {"filtered", "filtered-tls", "backlog-full", "slow", "body-stall", "tls-silent", "proxy-filtered", "proxy-silent", "dns-silent"}
CERTIFICATE = {"expired", "not-yet-valid", "wrong-name", "wrong-purpose", "ca-as-leaf", "bad-signature", "weak", "revoked", "self-signed", "missing-intermediate", "grpc-expired"}
HANDSHAKE = {"http-on-tls", "ssh-on-tls", "no-cipher", "old-version", "unknown-sni", "no-alpn", "tls-closed", "tls-reset", "tls-alert", "client-cert-12", "client-cert-13"}
GUESSED = {
    "node axios": {"url-no-scheme"},
    "node needle": {"url-no-scheme", "url-wrong-scheme"},
    "node superagent": {"url-no-scheme", "url-wrong-scheme"},
    "python urllib3": {"url-no-scheme"},
    "python httpx": {"url-bad-port"},
    "python urllib": {"url-bad-port"},
    "ruby net/http": {"url-no-scheme", "url-wrong-scheme", "url-bad-port"},
}
TCP_ONLY = {"refused", "rejected-icmp", "filtered", "backlog-full", "net-unreachable", "host-unreachable", "prohibited", "no-route", "no-route-6", "policy", "nxdomain", "nodata", "servfail", "dns-dead", "reset", "empty", "silent"}


def wanted(client, fault, options):
    grpc = fault.startswith("grpc-")
    if client.only == "grpc" or grpc:
        return grpc and client.only == "grpc"
    if client.only == "tls":
        return fault in ("refused-tls", "filtered-tls", "nxdomain-tls", "tls-closed") or (fault not in ("revoked", "old-version") and options["url"].startswith("https:") and "proxy" not in options and "http2" not in options)
    if client.only == "connect":
        return fault in TCP_ONLY - {"reset", "empty"}
    if client.only == "http2":
        return fault.startswith("h2-")
    if "http2" in options and not client.h2:
        return False
    if "proxy" in options and "proxy" in client.skip or "warm" in options and "warm" in client.skip:
        return False
    if fault.startswith("status-") and "status" in client.skip or fault == "broken-gzip" and "gzip" in client.skip:
        return False
    if "tls" in client.skip and options["url"].startswith("https"):
        return False
    if "crl" in options:
        return client.name in ("curl", "curl -v", "wget", "python urllib", "python httpx", "python aiohttp")
    if "descriptors" in options:
        return client.name in ("python requests", "python httpx", "python aiohttp", "python urllib", "node fetch", "node http", "node axios", "go net/http")
    if "bad_url" in options:
        # libcurl and Wget guess a scheme where there is none.
        guesses = client.name.startswith(("curl", "php curl", "python pycurl", "python curl_cffi", "wget"))
        # These take such an address for another one, and then fail at that.
        if fault in GUESSED.get(client.name, ()):
            return False
        return client.name not in ("python sockets", "python http_client", "git", "php streams") and not (guesses and fault == "url-no-scheme")
    # These follow no redirects by themselves.
    if fault.startswith("redirect-") and client.name in ("ruby net/http", "python http_client", "python sockets"):
        return False
    if client.name == "openssl s_client" and fault == "old-version":
        return False
    # curl_cffi follows redirects without end unless it is told otherwise.
    if fault.startswith("redirect-") and client.name == "python curl_cffi":
        return False
    return True


def also_of(client, fault, also):
    more = list(also)
    if "connect" in client.blunt and fault in CONNECT:
        more += ["tcp.refused.rst", "tcp.address_unreachable.no_route", "tcp.timed_out"]
        if "proxy" in fault:
            more.append("proxy.failed")
    if "lookup" in client.blunt and fault in LOOKUP:
        more += ["dns.name_not_resolved.nxdomain", "dns.failed", "tcp.refused.rst"]
    if "certificate" in client.blunt and fault in CERTIFICATE:
        more.append("tls.cert.authority_invalid.unknown_root")
    if "handshake" in client.blunt and fault in HANDSHAKE:
        more.append("tcp.refused.rst")
    if "phase" in client.blunt and fault in SLOW:
        more += ["http.timed_out.first_byte", "tcp.timed_out", "deadline.exceeded"]
    return sorted(set(more))


SCRUB = [
    (re.escape(installed) + r"/venv/[^/]+/lib/(python[0-9.]+)/site-packages", r"/app/venv/lib/\1/site-packages"),
    (r"/\S+/\.pyenv/versions/[^/]+/lib", "/usr/lib"),
    (re.escape(installed) + r"/npm/[^/]+/node_modules", "/app/node_modules"),
    (re.escape(HERE) + "/clients", "/app"),
    (re.escape(installed), "/app"),
    (re.escape(lab), "/app/lab"),
    (r"/\S*/\.cargo/registry/src/[^/]+", "/cargo"),
    (r"/root\b", "/home/app"),
]


def scrub(text):
    for pattern, replacement in SCRUB:
        text = re.sub(pattern, replacement, text)
    return re.sub(r"[ \t]+\n", "\n", text).strip()


def shape_of(client, fault, n):
    """Which of the client's shapes this fault gets: mostly what a program logs, sometimes the whole trace."""
    number = int(hashlib.sha256(f"{client.file}/{fault}".encode()).hexdigest(), 16) % 6
    shapes = client.shapes
    return shapes[0] if number < 3 or len(shapes) == 1 else shapes[-1] if number == 5 else shapes[1 % len(shapes)]


def ask(client, fault, options):
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith(("SSL_", "REQUESTS_", "CURL_", "NODE_", "DENO_", "GIT_", "PIP_"))}
    ca = lab + "/all-ca.pem"
    env.update({"URL": options["url"], "CA": ca, "NODE_EXTRA_CA_CERTS": ca, "NODE_NO_WARNINGS": "1", "TRUST": lab + "/trust.jks", "TIMEOUT": str(options.get("timeout", 1)), "SHAPE": options["shape"], "HOME": "/tmp", "LC_ALL": "C.UTF-8", "LANGUAGE": "en"})
    try:
        parts = urlsplit(options["url"]) if "://" in options["url"] else None
        env["HOST"], env["PORT"] = (parts.hostname or "", str(parts.port or (443 if parts.scheme == "https" else 80))) if parts else ("", "")
    except ValueError:
        env["HOST"] = env["PORT"] = ""
    for key, name in [("proxy", "PROXY"), ("method", "METHOD")]:
        if key in options:
            env[name] = options[key]
    for key, name in [("warm", "WARM"), ("http2", "HTTP2"), ("tls", "TLS"), ("descriptors", "DESCRIPTORS")]:
        if key in options:
            env[name] = "1"
    if "crl" in options:
        env["CRL"] = lab + "/crl.pem"
    for key, value in client.env.items():
        env[key] = value.replace("$CA", ca)
    command = ["ip", "netns", "exec", "cl-lab"]
    run = client.run.replace("$TRUST", env["TRUST"])
    if options.get("resolver") == "dead":
        command += ["unshare", "-m", "sh", "-c", f"mount --bind {lab}/dead-resolv.conf /etc/resolv.conf; {run}"]
    else:
        command += ["sh", "-c", run]
    try:
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=30)
    except subprocess.TimeoutExpired:
        return None, "the client did not end"
    # These tell of what went well, too.
    if done.returncode == 0 and client.name in ("wget", "curl -v", "openssl s_client", "git"):
        return "", ""
    return done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")[-300:]


def ports_used_up(client, fault, options):
    """Holds every port that the namespace may use towards the target while the client asks."""
    inside = ["ip", "netns", "exec", "cl-lab"]
    limit = "/proc/sys/net/ipv4/ip_local_port_range"
    subprocess.run(inside + ["sh", "-c", f"echo 61000 61003 >{limit}"], check=True)
    code = f"import socket,sys\nkept=[]\ntry:\n  while True: kept.append(socket.create_connection(('127.0.0.1',{ports['ok']})))\nexcept OSError: pass\nprint('held',flush=True)\nsys.stdin.read()"
    holder = subprocess.Popen(inside + ["python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    try:
        return ask(client, fault, options)
    finally:
        holder.stdin.close()
        holder.wait()
        subprocess.run(inside + ["sh", "-c", f"echo 32768 60999 >{limit}"], check=True)


def entry(client, job):
    fault, address, cause, also, given = job
    options = dict(given, url=address.format(**ports), shape=shape_of(client, fault, 0))
    if "proxy" in options:
        options["proxy"] = options["proxy"].format(**ports)
    if not wanted(client, fault, options):
        return None
    text, errors = (ports_used_up if "ports" in options else ask)(client, fault, options)
    text = scrub(text or "")
    if not text or text == "undefined" or "is this a git repository" in text:
        return {"fault": fault, "nothing": scrub(errors or "")}
    return {"fault": fault, "shape": options["shape"], "cause": cause, "also": also_of(client, fault, also), "url": scrub(options["url"]), "text": text}


def collect(client, pool):
    jobs = [j for j in FAULTS + GRPC if "ports" not in j[4] and (not ONLY or j[0] in ONLY)]
    found = list(pool.map(lambda job: entry(client, job), jobs))
    if (not ONLY or "ports" in ONLY) and client.name in ("python requests", "node http", "node fetch", "go net/http", "curl -v", "python aiohttp", "python httpx"):
        found += [entry(client, j) for j in FAULTS if "ports" in j[4]]
    entries = [e for e in found if e and "text" in e]
    silent = [e for e in found if e and "nothing" in e]
    directory = os.path.join(HERE, "..", "held_out" if client.held else "seen")
    os.makedirs(directory, exist_ok=True)
    if ONLY:
        kept = json.load(open(os.path.join(directory, client.file + ".json")))["entries"]
        entries = [e for e in kept if e["fault"] not in ONLY] + entries
    record = {"client": client.name, "version": client.version, "platform": "linux x86_64, Debian 12", "entries": entries}
    with open(os.path.join(directory, client.file + ".json"), "w") as out:
        json.dump(record, out, indent=1, ensure_ascii=False)
        out.write("\n")
    line = f"{client.file}: {len(entries)} texts, {len(silent)} faults without one"
    print(line if client.held else line + " " + " ".join(s["fault"] for s in silent), flush=True)
    if not client.held:
        with open(os.path.join(lab, "silent.txt"), "a") as out:
            out.writelines(f"{client.file} {s['fault']}: {s['nothing']!r}\n" for s in silent)


def relabel(client):
    """Writes the causes of faults.py into what was collected before, without looking at a text."""
    path = os.path.join(HERE, "..", "held_out" if client.held else "seen", client.file + ".json")
    if not os.path.exists(path):
        return
    record = json.load(open(path))
    labels = {j[0]: (j[2], j[3]) for j in FAULTS + GRPC}
    options = {j[0]: dict(j[4], url=j[1]) for j in FAULTS + GRPC}
    record["entries"] = [e for e in record["entries"] if wanted(client, e["fault"], options[e["fault"]])]
    # openssl s_server speaks with one client at a time: these waited for another one, and not for the fault.
    waited = re.compile(r"tim(?:e|ed)[ -]?out|deadline|cancell?ed", re.I)
    one_at_a_time = {"old-version", "no-cipher", "unknown-sni", "no-alpn", "weak", "revoked"}
    record["entries"] = [e for e in record["entries"] if not (e["fault"] in one_at_a_time and waited.search(e["text"]))]
    for e in record["entries"]:
        cause, also = labels[e["fault"]]
        e["cause"], e["also"] = cause, also_of(client, e["fault"], also)
    with open(path, "w") as out:
        json.dump(record, out, indent=1, ensure_ascii=False)
        out.write("\n")


def retake(client):
    """Asks again, with more patience and less at once, where a fault that takes no time ended in a timeout: then the
    machine was busy. No text is shown."""
    path = os.path.join(HERE, "..", "held_out" if client.held else "seen", client.file + ".json")
    if not os.path.exists(path):
        return
    record = json.load(open(path))
    jobs = {j[0]: j for j in FAULTS + GRPC}
    late = re.compile(r"tim(?:e|ed)[ -]?out|deadline|cancell?ed", re.I)
    kept, again = [], 0
    for e in record["entries"]:
        fault = e["fault"]
        if fault in SLOW or fault.startswith(("grpc-deadline", "grpc-filtered", "grpc-cancelled", "dns-", "ports")) or not late.search(e["text"]):
            kept.append(e)
            continue
        id, address, cause, also, given = jobs[fault]
        taken = entry(client, (id, address, cause, also, dict(given, timeout=8)))
        again += 1
        if taken and "text" in taken:
            kept.append(taken)
    record["entries"] = kept
    with open(path, "w") as out:
        json.dump(record, out, indent=1, ensure_ascii=False)
        out.write("\n")
    print(f"{client.file}: {again} asked again, {len(kept)} texts", flush=True)


if which == "retake":
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(retake, [c for c in clients(installed) if not names or any(c.file.startswith(n) for n in names)]))
if which == "relabel":
    for client in clients(installed):
        relabel(client)

if which in ("seen", "held_out"):
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "4"))) as pool:
        for client in clients(installed):
            if client.held == (which == "held_out") and (not names or any(client.file.startswith(n) for n in names)):
                collect(client, pool)
