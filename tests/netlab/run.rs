//! Running the real program inside a host of the lab, and reading what it concluded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::Value as Json;

use crate::net::{Host, Net};

#[path = "../harness/examples.rs"]
mod examples;

/// What `whyd check --output json` printed for one target.
#[derive(Clone, Debug)]
pub struct Diagnosis(pub Json);

impl Net {
    /// `whyd check TARGET OPTIONS…` on the client, one attempt unless the options say otherwise.
    #[track_caller]
    pub fn check(&self, target: &str, options: &[&str]) -> Diagnosis {
        let mut command = self.command(Host::Client, env!("CARGO_BIN_EXE_whyd"));
        command.args(["check", target, "--output", "json"]);
        if !options.contains(&"--retries") {
            command.args(["--retries", "0"]);
        }
        let output = command.args(options).output().expect("whyd starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().next().unwrap_or_else(|| {
            panic!(
                "whyd said nothing about {target}: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        });
        let found = Diagnosis(serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
        self.keep_example(&found, target, options);
        found
    }

    /// Asks again as people do, where examples are kept and this one is missing.
    fn keep_example(&self, found: &Diagnosis, target: &str, options: &[&str]) {
        let Some(cause) = found.0["cause"].as_str().filter(|cause| examples::wanted(cause)) else {
            return;
        };
        let mut command = self.command(Host::Client, env!("CARGO_BIN_EXE_whyd"));
        command.args(["check", target, "--retries", "0"]).args(options);
        let output = command.output().expect("whyd starts");
        examples::keep_among(cause, &String::from_utf8_lossy(&output.stdout));
    }

    /// An HTTP server on a host that answers every request with 200 and `ok`, once it has read it whole (it honours
    /// Content-Length). It lives as long as the test's process.
    pub fn serve_http(&self, host: Host, address: &str) -> SocketAddr {
        let listener = self.listen(host, address);
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream));
            }
        });
        address
    }

    /// As [`serve_http`](Self::serve_http) on the server, with a body of so many bytes that leaves in one piece with its
    /// head.
    pub fn serve_bytes(&self, address: &str, bytes: usize) -> SocketAddr {
        let listener = self.listen(Host::Server, address);
        let address = listener.local_addr().expect("an address");
        let mut whole = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").into_bytes();
        whole.resize(whole.len() + bytes, b'y');
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let whole = whole.clone();
                std::thread::spawn(move || {
                    let mut chunk = [0; 4096];
                    let asked = stream.read(&mut chunk).is_ok_and(|length| length > 0);
                    // A peer that gives up is what some tests are about.
                    let _ = asked.then(|| stream.write_all(&whole));
                    let _ = stream.read(&mut chunk);
                });
            }
        });
        address
    }

    /// A listener on a host.
    pub fn listen(&self, host: Host, address: &str) -> TcpListener {
        self.within(host, || {
            TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"))
        })
    }
}

/// Answers requests on one connection until it ends.
pub fn answer(mut stream: std::net::TcpStream) -> Option<()> {
    // A peer that goes away ends the conversation, whatever the error.
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut held = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        while let Some(end) = whole_request(&held) {
            held.drain(..end);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .ok()?;
        }
        match stream.read(&mut chunk).ok()? {
            0 => return None,
            n => held.extend_from_slice(&chunk[..n]),
        }
    }
}

/// Where the first request in these bytes ends, once all of it is there.
fn whole_request(held: &[u8]) -> Option<usize> {
    let head = held.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&held[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    (held.len() >= head + length).then_some(head + length)
}

impl Diagnosis {
    pub fn verdict(&self) -> &str {
        self.0["verdict"].as_str().unwrap_or("-")
    }

    /// It failed like this: `cause phase speed fault retryable confidence`; what does not exist is `-`.
    #[track_caller]
    pub fn failed(&self, facts: &str) -> &Diagnosis {
        let text = |key: &str| self.0[key].as_str().unwrap_or("-").to_owned();
        let found = ["cause", "phase", "speed", "fault", "retryable", "confidence"]
            .map(text)
            .join(" ");
        assert_eq!(
            (self.verdict(), found.as_str()),
            ("failed", facts),
            "{}",
            self.pretty()
        );
        self
    }

    /// It answered, and there is nothing to say about it.
    #[track_caller]
    pub fn healthy(&self) -> &Diagnosis {
        assert_eq!(self.verdict(), "ok", "{}", self.pretty());
        assert_eq!(self.0["findings"], serde_json::json!([]), "{}", self.pretty());
        self
    }

    /// A value of the deciding attempt's evidence, by its key.
    pub fn evidence(&self, key: &str) -> &Json {
        let attempts = self.0["attempts"].as_array();
        let last = attempts.and_then(|attempts| attempts.last());
        match self.0.get("evidence").and_then(|evidence| evidence.get(key)) {
            Some(value) => value,
            None => last.map_or(&Json::Null, |attempt| &attempt["failure"]["evidence"][key]),
        }
    }

    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(&self.0).unwrap_or_default()
    }
}
