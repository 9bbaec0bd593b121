//! What the exporters of the OpenTelemetry SDK are built upon: traces and the records of alerts leave by them.

use std::collections::HashMap;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    Compression, ExporterBuildError, LogExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::LogExporter as _;
use opentelemetry_sdk::trace::SpanExporter as _;

use crate::model::plan::{Otlp, OtlpProtocol};

use super::otlp::{BuildError, Headers, grpc, http};
use super::resource::{self, Identity};

/// A connection that outlasts a change of headers.
pub enum Transport {
    Grpc(tonic::transport::Channel),
    Http(reqwest::Client),
}

impl Transport {
    pub fn new(endpoint: &str, plan: &Otlp) -> Result<Self, BuildError> {
        Ok(match plan.protocol {
            OtlpProtocol::Grpc => Transport::Grpc(grpc::channel(endpoint, &plan.tls)?),
            OtlpProtocol::HttpProtobuf => {
                reqwest::Url::parse(endpoint).map_err(|_| BuildError::Endpoint(endpoint.into()))?;
                Transport::Http(http::client(&plan.tls)?)
            }
        })
    }

    /// An exporter of spans.
    pub fn spans(&self, to: &Destination<'_>) -> Result<SpanExporter, String> {
        let built = match self {
            Transport::Grpc(channel) => {
                let builder = SpanExporter::builder().with_tonic().with_channel(channel.clone());
                to.over_grpc(builder)?.build()
            }
            Transport::Http(client) => {
                let builder = SpanExporter::builder()
                    .with_http()
                    .with_http_client(client.clone());
                to.over_http(builder).build()
            }
        };
        let mut exporter = built.map_err(shown)?;
        exporter.set_resource(&to.resource());
        Ok(exporter)
    }

    /// An exporter of log records.
    pub fn logs(&self, to: &Destination<'_>) -> Result<LogExporter, String> {
        let built = match self {
            Transport::Grpc(channel) => {
                let builder = LogExporter::builder().with_tonic().with_channel(channel.clone());
                to.over_grpc(builder)?.build()
            }
            Transport::Http(client) => {
                let builder = LogExporter::builder()
                    .with_http()
                    .with_http_client(client.clone());
                to.over_http(builder).build()
            }
        };
        let mut exporter = built.map_err(shown)?;
        exporter.set_resource(&to.resource());
        Ok(exporter)
    }
}

fn shown(error: ExporterBuildError) -> String {
    error.to_string()
}

/// What is said to a collector with every request.
pub struct Destination<'a> {
    pub endpoint: &'a str,
    pub headers: &'a Headers,
    pub plan: &'a Otlp,
    pub identity: &'a Identity,
}

impl Destination<'_> {
    fn over_grpc<B: WithTonicConfig + WithExportConfig>(&self, mut builder: B) -> Result<B, String> {
        if self.plan.gzip {
            builder = builder.with_compression(Compression::Gzip);
        }
        let builder = builder.with_metadata(grpc::metadata(self.headers)?);
        Ok(builder.with_timeout(self.plan.timeout))
    }

    fn over_http<B: WithHttpConfig + WithExportConfig>(&self, mut builder: B) -> B {
        if self.plan.gzip {
            builder = builder.with_compression(Compression::Gzip);
        }
        let headers: HashMap<String, String> = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        builder
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(self.endpoint)
            .with_headers(headers)
            .with_timeout(self.plan.timeout)
    }

    fn resource(&self) -> Resource {
        let attributes = resource::attributes(self.plan, self.identity);
        let attributes = attributes
            .into_iter()
            .map(|(name, value)| KeyValue::new(name.to_owned(), value.to_owned()));
        Resource::builder_empty().with_attributes(attributes).build()
    }
}
