//! `rivulet serve`: the gateway.

use std::{io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::{
    app::{App, AppError},
    config::Loaded,
    telemetry::{
        logging::{self, LoggingError},
        otlp::{self, OtlpError},
    },
};

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log cannot be written as configured.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// Spans cannot be exported as configured.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// A part of the gateway cannot be started.
    #[error(transparent)]
    App(#[from] AppError),
    /// The process cannot be told to stop.
    #[error("signals cannot be received: {0}")]
    Signals(#[from] io::Error),
}

/// Runs the gateway until SIGTERM or SIGINT; a second one ends the process at once, with status 1.
///
/// # Errors
/// [`ServeError`]: what keeps it from starting.
pub async fn run(loaded: Loaded) -> Result<(), ServeError> {
    let Loaded { config, warnings, file } = loaded;
    let (spans, exporter) = config.telemetry.otlp_endpoint.as_deref().map(otlp::start).transpose()?.unzip();
    logging::init(&config.telemetry, config.server.environment, spans)?;
    for warning in warnings {
        warn!("{warning}");
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let app = App::start(config).await?;
    info!(file = file.map(|file| file.display().to_string()), model = app.model(), "listening on {}", app.url());
    let mut stop = async || one_of(&mut terminate, &mut interrupt).await;
    let (stopped, ending) = tokio::sync::oneshot::channel::<()>();
    let mut running = std::pin::pin!(async {
        let stopping = async {
            // An error means the same as a signal: whoever could send one is gone.
            let _either = ending.await;
        };
        app.run(stopping).await;
        if let Some(exporter) = exporter {
            exporter.close().await;
        }
    });
    tokio::select! {
        () = stop() => {}
        () = &mut running => return Ok(()),
    }
    drop(stopped);
    tokio::select! {
        () = running => Ok(()),
        () = stop() => {
            warn!("second signal: ending at once");
            process::exit(1);
        }
    }
}

async fn one_of(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
