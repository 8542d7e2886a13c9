//! Connections to the database: where it is, how long it may take, and what its notices mean.

use std::{
    error::Error as _,
    fmt,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, NoTls,
    config::{Host, SslMode, TargetSessionAttrs},
    error::Severity,
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{debug, warn};

use crate::store::StoreError;

/// How long a connection may take to stand, where the URL says nothing else. An address that does not answer must not
/// hold up those who wait for it.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A peer that acknowledges nothing for so long is gone; the kernel's own patience is a quarter of an hour.
const SILENT: Duration = Duration::from_secs(10);

/// Where the database is, and how it is spoken to.
#[derive(Clone)]
pub(super) struct Database {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    tasks: TaskTracker,
}

/// A connection.
pub(super) struct Link {
    pub(super) client: Client,
    /// The server warned of something. It does so, for example, when it gives up waiting for its standbys, and the commit
    /// that waited succeeds all the same.
    warned: Arc<AtomicBool>,
    /// Drops the socket with the connection, whatever is under way on it.
    _driver: AbortOnDropHandle<()>,
}

impl Database {
    /// The database at a URL. Other machines are spoken to by TLS, with a certificate that this system knows; this one is
    /// not, unless the URL wants it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with what is wrong with the URL, or that there are no certificates to check others by.
    pub(super) fn at(url: &str) -> Result<Self, StoreError> {
        let mut config = parse(url)?;
        let is_near = |host: &Host| match host {
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
            Host::Unix(_) => true,
        };
        if config.get_ssl_mode() == SslMode::Prefer {
            // What may be given up by whoever is in between protects nothing.
            let is_near = config.get_hosts().iter().all(is_near);
            config.ssl_mode(if is_near { SslMode::Disable } else { SslMode::Require });
        }
        let tls = (config.get_ssl_mode() != SslMode::Disable).then(tls).transpose()?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WITHIN);
        }
        if config.get_application_name().is_none() {
            config.application_name("rivulet");
        }
        config.tcp_user_timeout(SILENT).keepalives_idle(SILENT).target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self { config, tls, tasks: TaskTracker::new() })
    }

    /// A new connection.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also when it does not stand in time.
    pub(super) async fn connect(&self) -> Result<Link, StoreError> {
        let hosts = u32::try_from(self.config.get_hosts().len()).unwrap_or(1);
        // The client's own clock looks at the sockets alone: a server that accepts and says nothing would be waited for.
        let most = *self.config.get_connect_timeout().unwrap_or(&CONNECT_WITHIN) * hosts.max(1);
        let connecting = async {
            match &self.tls {
                Some(tls) => self.config.connect(tls.clone()).await.map(|(client, wire)| self.link(client, wire)),
                None => self.config.connect(NoTls).await.map(|(client, wire)| self.link(client, wire)),
            }
        };
        let link = timeout(most, connecting).await.map_err(|_| unavailable("the database does not answer"))?;
        link.map_err(|error| StoreError::Unavailable(described(&error)))
    }

    fn link<S, T>(&self, client: Client, connection: Connection<S, T>) -> Link
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let warned = Arc::new(AtomicBool::new(false));
        let driver = self.tasks.spawn(drive(connection, warned.clone()));
        Link { client, warned, _driver: AbortOnDropHandle::new(driver) }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("hosts", &self.config.get_hosts()).finish_non_exhaustive()
    }
}

impl Link {
    /// Commits, and says whether the server warned of something meanwhile.
    ///
    /// # Errors
    /// What the database says.
    pub(super) async fn commit(&self) -> Result<bool, tokio_postgres::Error> {
        self.warned.store(false, Ordering::Release);
        self.client.batch_execute("COMMIT").await?;
        Ok(self.warned.load(Ordering::Acquire))
    }
}

/// Reads a URL. Certificates are always checked, so the modes that ask for it are the one that demands TLS.
pub(super) fn parse(url: &str) -> Result<Config, StoreError> {
    let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    // Not what is wrong with it: a piece of a password would be shown.
    let unclear = |_| unavailable("its URL is not like postgres://user:password@host:port/database?sslmode=require");
    let config: Config = url.parse().map_err(unclear)?;
    if config.get_hosts().is_empty() {
        return Err(unavailable("its URL names no host"));
    }
    Ok(config)
}

fn tls() -> Result<MakeRustlsConnect, StoreError> {
    let _installed_already = aws_lc_rs::default_provider().install_default();
    let (tls, unread) = MakeRustlsConnect::with_native_certs().map_err(|errors| {
        StoreError::Unavailable(format!("this system has no certificates to check it by: {errors:?}"))
    })?;
    for error in unread {
        debug!(%error, "a certificate of this system cannot be read");
    }
    Ok(tls)
}

async fn drive<S, T>(mut connection: Connection<S, T>, warned: Arc<AtomicBool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) if notice.parsed_severity() == Some(Severity::Warning) => {
                // Before the answer that it belongs to, which comes on the same connection.
                warned.store(true, Ordering::Release);
                warn!(code = notice.code().code(), warning = notice.message(), "the database warns");
            }
            Ok(_) => {}
            Err(error) => {
                debug!(error = described(&error), "a connection to the database ended");
                return;
            }
        }
    }
}

/// What went wrong, without what the statement was about.
pub(super) fn described(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => format!("{} ({})", said.message(), said.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

pub(super) fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_spoken_to_by_tls_and_this_one_is_not() {
        for (url, mode) in [
            ("postgres://u:p@localhost/db", SslMode::Disable),
            ("postgres://u@127.0.0.1:6432,[::1]/db", SslMode::Disable),
            ("postgresql://u@%2Frun%2Fpostgresql/db", SslMode::Disable),
            ("postgres://u@db.internal/db", SslMode::Require),
            ("postgres://u@localhost,db.internal/db", SslMode::Require),
            ("postgres://u@db.internal/db?sslmode=disable", SslMode::Disable),
            ("postgres://u@db.internal/db?sslmode=verify-full", SslMode::Require),
            ("postgres://u@localhost/db?sslmode=require", SslMode::Require),
        ] {
            assert_eq!(Database::at(url).unwrap().config.get_ssl_mode(), mode, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_told_without_its_password() {
        for url in ["postgres://u:hunter2@h/db?what=1", "postgres:///db?user=u&password=hunter2", "hunter2", ""] {
            let error = Database::at(url).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
    }
}
