//! What it takes to run each server: nothing of the system's configuration, no files outside its directory, its log to
//! its output where it can.

use crate::serve::Recipe;

/// nginx with these contents of its `http` block.
pub fn nginx(http: &str) -> Recipe {
    nginx_with("", http)
}

/// The same with more of the main context before it: `load_module`, `stream { … }`.
pub fn nginx_with(main: &str, http: &str) -> Recipe {
    let text = format!(
        "{main}
daemon off; pid {{dir}}/nginx.pid; worker_processes 1; error_log stderr info; worker_shutdown_timeout 2s;
events {{ worker_connections 512; }}
http {{
  access_log off; server_tokens on; ssl_protocols TLSv1.2 TLSv1.3;
  client_body_temp_path {{dir}}/t1; proxy_temp_path {{dir}}/t2; fastcgi_temp_path {{dir}}/t3;
  uwsgi_temp_path {{dir}}/t4; scgi_temp_path {{dir}}/t5;
{http}
}}\n"
    );
    let arguments = ["-e", "stderr", "-p", "{dir}", "-c", "{dir}/nginx.conf"];
    Recipe::new("nginx", &arguments).file("nginx.conf", text)
}

/// haproxy with these sections after its defaults: HTTP mode, and timeouts that a test may wait for.
pub fn haproxy(sections: &str) -> Recipe {
    let text = format!(
        "global
  log stdout format raw local0
  maxconn 200
defaults
  mode http
  log global
  option httplog
  timeout connect 1s
  timeout client 30s
  timeout server 30s
{sections}\n"
    );
    Recipe::new("haproxy", &["-db", "-f", "{dir}/haproxy.cfg"]).file("haproxy.cfg", text)
}

/// squid with these lines: access lists, credentials. It listens on `{0}`.
pub fn squid(lines: &str) -> Recipe {
    let text = format!(
        "http_port 127.0.0.1:{{0}}
pid_filename {{dir}}/squid.pid
cache_log {{dir}}/cache.log
access_log stdio:{{dir}}/access.log
coredump_dir {{dir}}
cache deny all
netdb_filename none
visible_hostname lab.invalid
dns_nameservers 127.0.0.1
max_filedescriptors 1024
shutdown_lifetime 0 seconds
forward_timeout 5 seconds
connect_timeout 2 seconds
{lines}\n"
    );
    Recipe::new("squid", &["-N", "-f", "{dir}/squid.conf"]).file("squid.conf", text)
}

/// BIND on `{0}`: more options, and the zones. A zone's file is given by [`Recipe::file`].
pub fn named(options: &str, zones: &str) -> Recipe {
    let text = format!(
        "options {{
  directory \"{{dir}}\"; pid-file none; session-keyfile none; lock-file none;
  listen-on port {{0}} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  {options}
}};
controls {{ }};
{zones}\n"
    );
    Recipe::new("named", &["-g", "-n", "1", "-c", "{dir}/named.conf"])
        .file("named.conf", text)
        .says("all zones loaded")
}

/// unbound on `{0}`: lines of the `server:` section, and other sections after it.
pub fn unbound(server: &str, sections: &str) -> Recipe {
    let text = format!(
        "server:
  interface: 127.0.0.1@{{0}}
  do-daemonize: no
  chroot: \"\"
  username: \"\"
  directory: \"{{dir}}\"
  pidfile: \"\"
  use-syslog: no
  logfile: \"\"
  num-threads: 1
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-ip6: no
{server}
remote-control:
  control-enable: no
{sections}\n"
    );
    Recipe::new("unbound", &["-d", "-c", "{dir}/unbound.conf"])
        .file("unbound.conf", text)
        .says("start of service")
}

/// dnsmasq on `{0}` with these lines.
pub fn dnsmasq(lines: &str) -> Recipe {
    let text = format!(
        "port={{0}}
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
user=
group=
log-facility=-
{lines}\n"
    );
    Recipe::new("dnsmasq", &["-k", "--conf-file={dir}/dnsmasq.conf"])
        .file("dnsmasq.conf", text)
        .says("started")
}

/// stunnel that takes TLS on `{0}` and passes what is in it on to `{backend}`, with more lines of the service. The
/// certificate with its chain and key are the files `cert.pem` and `key.pem`.
pub fn stunnel(lines: &str) -> Recipe {
    let text = format!(
        "foreground = yes
pid =
syslog = no
debug = info
[lab]
accept = 127.0.0.1:{{0}}
connect = {{backend}}
cert = {{dir}}/cert.pem
key = {{dir}}/key.pem
{lines}\n"
    );
    Recipe::new("stunnel", &["{dir}/stunnel.conf"]).file("stunnel.conf", text)
}

/// `openssl s_server` on `{0}`, which answers HTTP with a page about the connection. The certificate and its key are the
/// files `cert.pem` and `key.pem`; `-cert_chain` names what it presents beside it.
pub fn s_server(arguments: &[&str]) -> Recipe {
    let own = [
        "s_server",
        "-accept",
        "127.0.0.1:{0}",
        "-cert",
        "{dir}/cert.pem",
        "-key",
        "{dir}/key.pem",
        "-www",
    ];
    Recipe::new("openssl", &[&own, arguments].concat())
}

/// `openssl s_server -HTTP` on `{0}`, which sends the bytes of the file that is asked for as the whole answer.
pub fn s_server_files() -> Recipe {
    let arguments = [
        "s_server",
        "-accept",
        "127.0.0.1:{0}",
        "-cert",
        "{dir}/cert.pem",
        "-key",
        "{dir}/key.pem",
        "-HTTP",
    ];
    Recipe::new("openssl", &arguments)
}

/// The HTTP server of Python's library on `{0}`, which speaks HTTP/1.0 and serves the directory of its files.
pub fn python_http() -> Recipe {
    let arguments = [
        "-u",
        "-m",
        "http.server",
        "{0}",
        "--bind",
        "127.0.0.1",
        "-d",
        "{dir}",
    ];
    Recipe::new("python3", &arguments)
}
