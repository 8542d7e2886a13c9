//! Errors that the gateway logs, as spans of their own: so they reach who collects errors and reads no logs
//! (docs/tracing.md). Uses nothing of ours.

use std::fmt::{Debug, Write};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span, Status, Tracer},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, filter::Targets, layer::Context as LayerContext, registry::LookupSpan};

/// The name of such a span.
const NAME: &str = "error";
/// The most that is told of one, in bytes.
const MOST: usize = 1024;

/// The gateway's own errors, whatever the log leaves out.
pub(super) fn layer<S, T>(tracer: T) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    T: Tracer + Send + Sync + 'static,
{
    Errors(tracer).with_filter(Targets::new().with_target("rivulet", Level::ERROR))
}

/// Turns log lines into spans.
struct Errors<T>(T);

impl<S, T> Layer<S> for Errors<T>
where
    S: Subscriber,
    T: Tracer + Send + Sync + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let place = event.metadata().target();
        let mut told = Told::default();
        event.record(&mut told);
        let builder = self.0.span_builder(NAME).with_attributes([KeyValue::new("error.type", place)]);
        let mut span = self.0.build_with_context(builder, &Context::new());
        span.add_event(
            "exception",
            vec![KeyValue::new("exception.type", place), KeyValue::new("exception.message", told.text())],
        );
        span.set_status(Status::error(""));
        span.end();
    }
}

/// What a line says: its message, and the error in it.
#[derive(Default)]
struct Told {
    message: String,
    error: String,
}

impl Told {
    fn text(self) -> String {
        let mut text = self.message;
        if !self.error.is_empty() {
            text = format!("{text}: {}", self.error);
        }
        text.truncate(text.floor_char_boundary(MOST));
        text
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let into = match field.name() {
            "message" => &mut self.message,
            "error" => &mut self.error,
            _ => return, // Whose it was, and what it was about, is for the log.
        };
        // To write into a text cannot fail.
        let _ = write!(into, "{value:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use opentelemetry::trace::{SpanId, TracerProvider};
    use opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SdkTracerProvider, SpanData, SpanProcessor},
    };
    use parking_lot::Mutex;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Kept {
        fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}
        fn on_end(&self, span: SpanData) {
            self.0.lock().push(span);
        }
        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }
        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn an_error_is_a_span_and_says_what_and_where_but_not_about_whom() {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_span_processor(kept.clone()).build();
        let subscriber = tracing_subscriber::registry().with(layer(provider.tracer("test")));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(error = %"disk full", session = "s_1", "a transaction was lost");
            tracing::error!("{}", "é".repeat(MOST));
            tracing::warn!("this is none");
            tracing::error!(target: "hyper", "this is not ours");
        });
        let spans = kept.0.lock();
        assert_eq!(spans.len(), 2);
        let span = &spans[0];
        assert_eq!((&*span.name, span.parent_span_id), (NAME, SpanId::INVALID));
        assert_eq!(span.status, Status::error(""));
        let event = &span.events.events[0];
        let told: Vec<_> = event.attributes.iter().map(|pair| (pair.key.as_str(), pair.value.to_string())).collect();
        let place = module_path!().to_owned();
        assert_eq!(&*event.name, "exception");
        assert_eq!(
            told,
            [("exception.type", place), ("exception.message", "a transaction was lost: disk full".to_owned())]
        );
        let long = spans[1].events.events[0].attributes[1].value.to_string();
        assert_eq!(long.len(), MOST);
    }
}
