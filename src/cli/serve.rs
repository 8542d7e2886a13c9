//! `rivulet serve`: the gateway.

use std::{
    io::{self, IsTerminal},
    process,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};
use tracing::{info, warn};

use super::settings::SettingsArgs;
use crate::{
    app::{App, AppError},
    config::{Loaded, Refusal},
    telemetry::{
        logging::{self, LoggingError},
        otlp::{self, OtlpError},
        panics,
    },
};

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] Refusal),
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

/// Runs the gateway until SIGTERM or SIGINT; a second one ends the process at once, with status 1. SIGHUP has the
/// configuration read again; when it says that the terminal is gone from which the gateway was started, it ends.
///
/// # Errors
/// [`ServeError`]: what keeps it from starting.
pub async fn run(settings: SettingsArgs) -> Result<(), ServeError> {
    let Loaded { config, warnings, file } = settings.load()?;
    let (spans, exporter) = config.telemetry.otlp_endpoint.as_deref().map(otlp::start).transpose()?.unzip();
    let log = logging::init(&config.telemetry, config.server.environment, spans)?;
    panics::tell();
    for warning in warnings {
        warn!("{warning}");
    }
    let mut ends = Ends { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let mut hangup = signal(SignalKind::hangup())?;
    let app = App::start(config).await?;
    if let Some(url) = app.admin_url() {
        info!("administrators are served on {url}");
    }
    info!(file = file.map(|file| file.display().to_string()), model = %app.model(), "listening on {}", app.url());
    let (stopped, ending) = oneshot::channel::<()>();
    let (change, changes) = mpsc::channel(1);
    let mut running = std::pin::pin!(async {
        let stopping = async {
            // An error means the same as a signal: whoever could send one is gone.
            let _either = ending.await;
        };
        app.run(stopping, log, changes).await;
        if let Some(exporter) = exporter {
            exporter.close().await;
        }
    });
    tokio::select! {
        () = ends.come() => {}
        () = follow(&settings, &mut hangup, change) => info!("the terminal is gone"),
        () = &mut running => return Ok(()),
    }
    drop(stopped);
    tokio::select! {
        () = running => Ok(()),
        () = ends.come() => {
            warn!("second signal: ending at once");
            process::exit(1);
        }
    }
}

/// Reads the configuration again whenever a signal says so, until it says something else: that a terminal is gone.
async fn follow(settings: &SettingsArgs, hangup: &mut Signal, change: mpsc::Sender<Result<Loaded, Refusal>>) {
    let has_terminal = io::stdin().is_terminal();
    while hangup.recv().await.is_some() {
        if has_terminal && !io::stdin().is_terminal() {
            return;
        }
        // Files may be on a disk that does not answer, and the gateway goes on meanwhile.
        let settings = settings.clone();
        let Ok(loaded) = spawn_blocking(move || settings.load()).await else { continue };
        // When nobody takes it, the gateway is about to end.
        let _ended = change.send(loaded).await;
    }
    std::future::pending().await
}

/// The signals that end the gateway.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    async fn come(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
