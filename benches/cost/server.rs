//! The server that is probed, in a process of its own: plain HTTP/1.1, keep-alive unless asked to close. It also takes
//! OTLP over HTTP and counts the requests.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

static EXPORTS: AtomicU64 = AtomicU64::new(0);

pub struct ServerProcess {
    child: Child,
    port: u16,
}

impl ServerProcess {
    pub fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server process starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("its port");
        ServerProcess {
            child,
            port: line.trim().parse().expect("a port"),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// OTLP requests taken so far.
    pub fn exports(&self) -> u64 {
        super::metrics::get(&format!("127.0.0.1:{}", self.port), "/exports")
            .trim()
            .parse()
            .expect("a number")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until killed.
pub fn serve() -> ! {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address").port());
        std::io::stdout().flush().expect("a reader");
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream));
            }
        }
    })
}

async fn connection(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let head_end = loop {
            if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok())
            .unwrap_or(0);
        while buffer.len() < head_end + length {
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        buffer.drain(..head_end + length);
        let body = if head.starts_with("post /v1/metrics") {
            EXPORTS.fetch_add(1, Ordering::Relaxed);
            String::new()
        } else if head.starts_with("get /exports") {
            EXPORTS.load(Ordering::Relaxed).to_string()
        } else {
            "ok".into()
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() || head.contains("connection: close") {
            return;
        }
    }
}
