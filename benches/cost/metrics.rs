//! Reading whyd's own /metrics.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A GET over HTTP/1.1; the body of the answer.
pub fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a listener");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .expect("a body")
}

pub struct Metrics(pub String);

impl Metrics {
    /// All samples of that name: labels and value.
    pub fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            Some((labels, value.split(' ').next()?.parse().ok()?))
        })
    }

    pub fn sum(&self, name: &str) -> f64 {
        self.samples(name).map(|(_, value)| value).sum()
    }
}

/// A cumulative histogram.
pub struct Lag(pub Vec<(f64, f64)>);

impl Lag {
    pub fn read(metrics: &Metrics) -> Self {
        let bound = |labels: &str| -> Option<f64> {
            let text = labels.split("le=\"").nth(1)?.split('"').next()?;
            if text == "+Inf" {
                Some(f64::INFINITY)
            } else {
                text.parse().ok()
            }
        };
        let mut buckets: Vec<_> = metrics
            .samples("whyd_schedule_lag_seconds_bucket")
            .filter_map(|(labels, count)| Some((bound(labels)?, count)))
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        Lag(buckets)
    }

    pub fn since(&self, earlier: &Lag) -> Lag {
        Lag(self
            .0
            .iter()
            .zip(&earlier.0)
            .map(|(now, then)| (now.0, now.1 - then.1))
            .collect())
    }

    pub fn count(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, count)| *count)
    }

    pub fn quantile(&self, share: f64) -> f64 {
        self.0
            .iter()
            .find(|(_, count)| *count >= share * self.count())
            .map_or(f64::NAN, |(bound, _)| *bound)
    }

    pub fn share_within(&self, bound: f64) -> f64 {
        self.0
            .iter()
            .find(|(b, _)| *b >= bound)
            .map_or(f64::NAN, |(_, count)| count / self.count())
    }
}
