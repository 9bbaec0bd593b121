#!/usr/bin/env bash
# Starts the lab for the collectors in a network namespace of its own (needs root, iproute2, nftables, openssl, python3
# with grpcio for the gRPC server): lab.sh start DIR TEST_BINARY [PYTHON_WITH_GRPCIO] | lab.sh stop DIR
#
# TEST_BINARY is the one that `cargo test --test client_errors --no-run` names. DIR gets ports.json, certificates, and
# what the servers log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
action=$1 dir=$2 ns=cl-lab
inside() { ip netns exec $ns "$@"; }

stop() {
  touch "$dir/stop"
  sleep 1
  ip netns pids $ns 2>/dev/null | xargs -r kill 2>/dev/null || true
  ip netns del $ns 2>/dev/null || true
  rm -rf /etc/netns/$ns
}

# An authority of openssl's own, for what the lab's certificates cannot be: signed with SHA-1, and revoked.
authority() {
  cd "$dir"
  printf 'subjectAltName=DNS:api.lab.test\n' >san.ext
  openssl req -x509 -newkey rsa:2048 -nodes -keyout old-ca.key -out old-ca.pem -days 30 -subj '/CN=old root' 2>/dev/null
  for name in weak revoked; do
    openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj '/CN=api.lab.test' 2>/dev/null
  done
  openssl x509 -req -in weak.csr -CA old-ca.pem -CAkey old-ca.key -CAcreateserial -days 9 -sha1 -extfile san.ext -out weak.pem 2>/dev/null
  openssl x509 -req -in revoked.csr -CA old-ca.pem -CAkey old-ca.key -CAcreateserial -days 9 -extfile san.ext -out revoked.pem 2>/dev/null
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=9\n' >ca.cnf
  : >index.txt; echo 01 >crlnumber
  openssl ca -config ca.cnf -keyfile old-ca.key -cert old-ca.pem -revoke revoked.pem 2>/dev/null
  openssl ca -config ca.cnf -keyfile old-ca.key -cert old-ca.pem -gencrl -out crl.pem 2>/dev/null
  cat ca.pem old-ca.pem >all-ca.pem
  cd - >/dev/null
}

s_server() { # NAME PORT OPTIONS…
  local name=$1 port=$2; shift 2
  inside openssl s_server -quiet -www -accept "$port" "$@" >"$dir/$name.log" 2>&1 </dev/null &
  extra="$extra,\"$name\":$port"
}

start() {
  local binary=$2 python=${3:-python3}
  mkdir -p "$dir" /etc/netns/$ns
  rm -f "$dir/stop" "$dir/ports.json"
  printf 'nameserver 127.0.0.53\noptions timeout:1 attempts:1\n' >/etc/netns/$ns/resolv.conf
  # Nothing listens behind this one: no rule leads its port anywhere.
  printf 'nameserver 127.0.0.9\noptions timeout:1 attempts:1\n' >"$dir/dead-resolv.conf"
  ip netns add $ns
  inside ip link set lo up
  inside ip route add prohibit 10.8.0.0/16
  inside ip route add unreachable 10.7.0.0/16
  WHYD_CLIENT_LAB=$dir inside "$binary" lab_for_the_collectors --ignored >"$dir/lab.log" 2>&1 &
  for _ in $(seq 100); do [ -f "$dir/ports.json" ] && break; sleep 0.1; done
  local dns; dns=$(sed -n 's/.*"dns": \([0-9]*\).*/\1/p' "$dir/ports.json")
  inside nft -f - <<NFT
table ip cl {
  chain names { type nat hook output priority -100; ip daddr 127.0.0.53 udp dport 53 redirect to :$dns; ip daddr 127.0.0.53 tcp dport 53 redirect to :$dns; }
  chain faults {
    type filter hook input priority 0;
    ip daddr 127.0.0.66 drop
    ip daddr 127.0.0.67 tcp flags & (syn | ack) == syn reject with icmp type port-unreachable
    ip daddr 127.0.0.68 tcp flags & (syn | ack) == syn reject with icmp type net-unreachable
    ip daddr 127.0.0.69 tcp flags & (syn | ack) == syn reject with icmp type host-unreachable
    ip daddr 127.0.0.70 tcp flags & (syn | ack) == syn reject with icmp type admin-prohibited
  }
}
NFT
  authority
  extra=""
  s_server old-version 4501 -key "$dir/key.pem" -cert "$dir/chain.pem" -cert_chain "$dir/chain.pem" -tls1_1 -cipher 'ALL:@SECLEVEL=0'
  s_server no-cipher 4502 -nocert -tls1_2 -cipher 'aNULL:@SECLEVEL=0'
  s_server unknown-sni 4503 -key "$dir/key.pem" -cert "$dir/chain.pem" -cert_chain "$dir/chain.pem" -servername other.lab.test -servername_fatal -cert2 "$dir/chain.pem" -key2 "$dir/key.pem"
  s_server no-alpn 4504 -key "$dir/key.pem" -cert "$dir/chain.pem" -cert_chain "$dir/chain.pem" -alpn nothing
  s_server weak 4505 -key "$dir/weak.key" -cert "$dir/weak.pem" -cipher 'ALL:@SECLEVEL=0'
  s_server revoked 4506 -key "$dir/revoked.key" -cert "$dir/revoked.pem"
  inside "$python" "$here/clients/grpc_server.py" 4510 >"$dir/grpc.log" 2>&1 &
  sed -i "\$s/}/${extra},\"grpc\":4510}/" "$dir/ports.json"
}

case $action in start) start "$2" "$3" "${4:-python3}" ;; stop) stop ;; *) echo "start or stop" >&2; exit 2 ;; esac
