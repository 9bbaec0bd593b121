//! OTLP export as users write it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RawTls;
use super::choices::{CompressionWord, HistogramWord, ProtocolWord, SecretText, SignalSetting};
use super::values::{DurationText, Word};

section! {
    /// OTLP export.
    "Otlp" RawOtlp {
        /// The collector: `http://host:4317`. For `http/protobuf`, `/v1/metrics` is appended unless it is there.
        endpoint: String,
        /// `grpc` or `http/protobuf`; unless given, `grpc` for port 4317 and `http/protobuf` otherwise.
        protocol: ProtocolWord,
        /// Headers (gRPC metadata) to send along.
        headers: BTreeMap<String, SecretText>,
        /// `gzip` or `none`.
        compression: CompressionWord,
        /// How long one export may take.
        timeout: DurationText,
        /// Time between two exports.
        interval: DurationText,
        /// What is trusted and what is shown to the collector.
        tls: RawTls,
        /// Attributes of the resource, such as `deployment.environment.name`. What is left out is taken from
        /// `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, and then `POD_NAMESPACE`, `POD_NAME`, `POD_UID`, `NODE_NAME` and
        /// `CONTAINER_NAME` (as `k8s.*`). `service.name` (`whyd`), `service.version`, `service.instance.id` (the same after a
        /// restart) and, where it is not a pod's, `host.name` are added by whyd itself.
        resource: BTreeMap<String, Word>,
        /// `explicit` buckets or `exponential` ones.
        histograms: HistogramWord,
        /// Whether operations are sent as traces: `true` for the same collector, or a URL.
        traces: SignalSetting,
        /// Whether alerts are sent as log records: `true` for the same collector, or a URL. Unless given they are sent, and that
        /// a collector takes none is no trouble.
        logs: SignalSetting,
    }
}
