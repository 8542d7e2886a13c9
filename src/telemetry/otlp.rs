//! Spans to an OpenTelemetry collector: OTLP over HTTP, in protobuf, to `telemetry.otlp_endpoint`.
//!
//! A span that ended goes into a queue of bounded length, and a task of its own sends what is in it, several at a time.
//! Nothing here can hold up an answer: when the queue is full, or the collector does not take a batch, spans are lost and
//! counted. The collector's absence is logged once, not per batch. Uses its section of `config`, `errors`.

use std::time::Duration;

use opentelemetry::{Context, KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor},
};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Level, info, warn};
use tracing_subscriber::{Layer, filter::Targets};

use super::{errors, logging::SpanLayer, metrics::OTLP_SPANS, spans};
use crate::config::is_loopback;

/// Spans that wait for being sent: those of some 700 runs.
const QUEUE: usize = 2048;
/// The most spans of one request, and how long the first of them waits for more.
const BATCH: (usize, Duration) = (512, Duration::from_secs(5));
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last spans hold up the end of the process.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why no spans can be exported.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// Something that the exporter reads from the environment (`OTEL_EXPORTER_OTLP_…`) cannot be.
    #[error("spans cannot be exported: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// The HTTP client cannot be set up, for example without any root certificates.
    #[error("spans cannot be exported: {0}")]
    Http(#[from] reqwest::Error),
}

/// Sends spans until it is closed.
#[derive(Debug)]
pub struct Exporter {
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// Begins to export; needs a runtime. `endpoint` is the collector's address without the path.
///
/// # Errors
/// [`OtlpError`]. A collector that is not there is none: it may come.
pub fn start(endpoint: &str) -> Result<(SpanLayer, Exporter), OtlpError> {
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client(endpoint)?)
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .with_timeout(PATIENCE)
        // What waits for a second attempt would keep the next batches waiting, too.
        .with_retry_policy(RetryPolicy::disabled())
        .build()?;
    let resource = resource();
    exporter.set_resource(&resource);
    let (queue, waiting) = channel(QUEUE);
    let provider = SdkTracerProvider::builder().with_span_processor(Queue(queue)).with_resource(resource).build();
    let tracer = provider.tracer("rivulet");
    let errors = errors::layer(tracer.clone());
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(spans::TARGET, Level::INFO));
    let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(export(exporter, endpoint.to_owned(), waiting, closing.clone()));
    tasks.close();
    Ok((Box::new(layer.and_then(errors)), Exporter { closing, tasks }))
}

impl Exporter {
    /// Sends what waits, for at most two seconds; what is not sent by then is lost.
    pub async fn close(self) {
        self.closing.cancel();
        if timeout(GOODBYE, self.tasks.wait()).await.is_err() {
            warn!("the last spans were not exported in time");
        }
    }
}

fn client(endpoint: &str) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("rivulet/", env!("CARGO_PKG_VERSION")));
    // No proxy could reach this machine.
    let is_here = reqwest::Url::parse(endpoint).is_ok_and(|url| is_loopback(&url));
    if is_here { builder.no_proxy() } else { builder }.build()
}

/// Who sends: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over the name of the house.
fn resource() -> Resource {
    let named = Resource::builder().build();
    let name = named.get(&"service.name".into()).map(|name| name.to_string()).unwrap_or_default();
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if name.is_empty() || name.starts_with("unknown_service") {
        return builder.with_service_name(env!("CARGO_PKG_NAME")).build();
    }
    builder.build()
}

/// Where ended spans wait.
#[derive(Debug)]
struct Queue(Sender<SpanData>);

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.0.try_send(span).is_err() {
            metrics::counter!(OTLP_SPANS, "outcome" => "dropped").increment(1);
        }
    }

    /// [`Exporter::close`] does it, and waits.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

async fn export(
    exporter: impl SpanExporter,
    endpoint: String,
    mut waiting: Receiver<SpanData>,
    closing: CancellationToken,
) {
    let mut collector = Collector { exporter, endpoint, is_away: false };
    let mut batch = Vec::with_capacity(BATCH.0);
    while !closing.is_cancelled() && !waiting.is_closed() {
        let filling = async {
            while let room @ 1.. = BATCH.0 - batch.len()
                && waiting.recv_many(&mut batch, room).await > 0
            {}
        };
        // Either way, what is there is sent.
        let _ = closing.run_until_cancelled(timeout(BATCH.1, filling)).await;
        collector.send(&mut batch).await;
    }
    waiting.close();
    while waiting.recv_many(&mut batch, BATCH.0).await > 0 {
        collector.send(&mut batch).await;
    }
}

/// The collector, as far as it is known.
struct Collector<E> {
    exporter: E,
    endpoint: String,
    is_away: bool,
}

impl<E: SpanExporter> Collector<E> {
    async fn send(&mut self, batch: &mut Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let spans = batch.len() as u64;
        let outcome = match self.exporter.export(std::mem::take(batch)).await {
            Ok(()) => {
                if std::mem::take(&mut self.is_away) {
                    info!(endpoint = self.endpoint, "spans are exported again");
                }
                "exported"
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    warn!(endpoint = self.endpoint, %error, "spans are lost until the collector takes them again");
                }
                "lost"
            }
        };
        metrics::counter!(OTLP_SPANS, "outcome" => outcome).increment(spans);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metrics_exporter_prometheus::PrometheusBuilder;
    use opentelemetry::trace::Tracer;
    use opentelemetry_sdk::error::OTelSdkError;
    use parking_lot::Mutex;

    use super::*;

    /// Takes every second batch.
    #[derive(Debug, Default)]
    struct Moody(Arc<Mutex<Vec<usize>>>);

    impl SpanExporter for Moody {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            let mut batches = self.0.lock();
            batches.push(batch.len());
            if batches.len().is_multiple_of(2) { Ok(()) } else { Err(OTelSdkError::AlreadyShutdown) }
        }
    }

    #[test]
    fn a_full_queue_drops_and_what_waits_at_the_end_is_sent() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let batches = metrics::with_local_recorder(&recorder, || {
            let (queue, waiting) = channel(QUEUE);
            let provider = SdkTracerProvider::builder().with_span_processor(Queue(queue)).build();
            let tracer = provider.tracer("test");
            for _ in 0..QUEUE + 3 {
                drop(tracer.start("a"));
            }
            let (moody, closing) = (Moody::default(), CancellationToken::new());
            let batches = Arc::clone(&moody.0);
            closing.cancel();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            runtime.block_on(export(moody, "http://c".to_owned(), waiting, closing));
            batches
        });
        assert_eq!(*batches.lock(), [BATCH.0; QUEUE / BATCH.0]);
        let told = recorder.handle().render();
        for (outcome, spans) in [("dropped", 3), ("lost", QUEUE / 2), ("exported", QUEUE / 2)] {
            assert!(told.contains(&format!("otlp_spans_total{{outcome=\"{outcome}\"}} {spans}")), "{told}");
        }
    }
}
