//! Log lines, on standard error: for people in development, JSON in production. And the one subscriber of the process,
//! beside which spans go where `otlp` takes them. Uses its section of `config`.

use std::{io, sync::Arc};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::LevelFilter,
    fmt::{MakeWriter, writer::MakeWriterExt},
    layer::SubscriberExt,
    registry, reload,
    util::SubscriberInitExt,
};

use super::{flood::Floods, spans};
use crate::config::{Environment, LogFormat, TelemetryConfig};

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter cannot be understood. A configuration that was loaded never has such a one.
    #[error("telemetry.log_level is not a filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logs were switched on before, in the same process.
    #[error("logs are switched on already: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
    /// There is no log any more whose level could change.
    #[error("the log's level cannot be changed: {0}")]
    Gone(#[from] reload::Error),
}

/// The log of the process.
#[derive(Debug, Clone)]
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    floods: Arc<Floods>,
}

impl Log {
    /// From now on as `telemetry.log_level` says.
    ///
    /// # Errors
    /// [`LoggingError`]; then it stays as it was.
    pub fn change_level(&self, level: &str) -> Result<(), LoggingError> {
        Ok(self.filter.reload(filter(level)?)?)
    }

    /// Says what was left out since the last time because there was too much of it.
    pub fn tell_left_out(&self) {
        self.floods.tell();
    }
}

/// Where spans go, when they go anywhere.
pub type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Switches the logs on for the whole process, and the spans. Call it once.
///
/// # Errors
/// [`LoggingError`].
pub fn init(config: &TelemetryConfig, environment: Environment, spans: Option<SpanLayer>) -> Result<Log, LoggingError> {
    let (subscriber, log) = subscriber(config, environment, spans, io::stderr)?;
    subscriber.try_init()?;
    Ok(log)
}

fn subscriber<W>(
    config: &TelemetryConfig,
    environment: Environment,
    spans: Option<SpanLayer>,
    writer: W,
) -> Result<(Box<dyn Subscriber + Send + Sync>, Log), LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(&config.log_level)?);
    let floods = Arc::new(Floods::new());
    let log = Log { filter: handle, floods: floods.clone() };
    let layer = tracing_subscriber::fmt::layer().with_writer(writer.with_filter(move |place| floods.admit(place)));
    let lines = match config.log_format.unwrap_or_else(|| default_format(environment)) {
        LogFormat::Pretty => layer.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    let subscriber: Box<dyn Subscriber + Send + Sync> = match spans {
        Some(spans) => Box::new(registry().with(spans.and_then(lines.with_filter(filter)))),
        // One filter for all: what it leaves out costs nothing.
        None => Box::new(registry().with(lines.and_then(filter))),
    };
    Ok((subscriber, log))
}

/// At `trace` this library writes every frame as it came, and so tokens and texts.
const SPEAKS_OUT_OF_TURN: &str = "tungstenite::protocol=debug";

/// It logs what servers of tools send, whatever that is. What is wrong with one the gateway says itself.
const SAYS_WHAT_OTHERS_SAY: &str = "rmcp=off";

/// A bare level is meant for the gateway: at `info` the libraries below it would fill the log with their own affairs.
/// Spans are no log lines, and what must be in no line is not let out by a level either.
fn filter(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let spans = spans::TARGET;
    match level.parse::<LevelFilter>() {
        Ok(level) => {
            let others = level.min(LevelFilter::WARN);
            EnvFilter::try_new(format!("{others},rivulet={level},{spans}=off,{SAYS_WHAT_OTHERS_SAY}"))
        }
        Err(_) => EnvFilter::try_new(format!("{level},{spans}=off,{SPEAKS_OUT_OF_TURN}")),
    }
}

const fn default_format(environment: Environment) -> LogFormat {
    match environment {
        Environment::Development => LogFormat::Pretty,
        Environment::Production => LogFormat::Json,
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::telemetry::spans::RunSpan;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(config: &TelemetryConfig, environment: Environment) -> String {
        let lines = Lines::default();
        let target = lines.clone();
        let (subscriber, _) = subscriber(config, environment, None, move || target.clone()).expect("a filter");
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(session = "s_1", "opened");
            tracing::debug!("detail");
            assert!(RunSpan::open(None).retrieval("default").is_disabled(), "spans that go nowhere are not made");
        });
        let bytes = lines.0.lock().clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn production_writes_one_json_object_per_line() {
        let text = logged(&TelemetryConfig::default(), Environment::Production);
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).expect("one object");
        assert_eq!((line["level"].as_str(), line["session"].as_str()), (Some("INFO"), Some("s_1")));
        assert_eq!(line["message"], "opened");
    }

    #[test]
    fn development_writes_lines_for_people_and_the_level_holds() {
        let text = logged(&TelemetryConfig::default(), Environment::Development);
        assert!(text.contains("INFO") && text.contains("opened") && text.contains("session=\"s_1\""), "{text}");
        assert!(!text.contains("detail") && !text.starts_with('{'));
        let debug = TelemetryConfig {
            log_level: "debug".to_owned(),
            log_format: Some(LogFormat::Json),
            ..TelemetryConfig::default()
        };
        assert_eq!(logged(&debug, Environment::Development).lines().count(), 2);
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        let config = TelemetryConfig { log_level: "rivulet=loud".to_owned(), ..TelemetryConfig::default() };
        assert!(matches!(subscriber(&config, Environment::Development, None, io::sink), Err(LoggingError::Filter(_))));
    }
}
