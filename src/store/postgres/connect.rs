//! Connections to the database: where it is, how long it may take, and what its notices mean.

use std::{
    error::Error as _,
    fmt,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::select_ok};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, NoTls,
    config::{Host, SslMode, TargetSessionAttrs},
    error::{Severity, SqlState},
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
    /// One for each host of the URL.
    hosts: Vec<Config>,
    /// How long a connection may take.
    patience: Duration,
    tls: Option<MakeRustlsConnect>,
    /// How often a server was found to have become one that only reads.
    demotions: Arc<AtomicU64>,
    tasks: TaskTracker,
}

/// A connection.
pub(super) struct Link {
    pub(super) client: Client,
    /// The server warned of something. It does so, for example, when it gives up waiting for its standbys, and the commit
    /// that waited succeeds all the same.
    warned: Arc<AtomicBool>,
    /// Those of its database, and how many there were when it was made.
    demotions: Arc<AtomicU64>,
    demotions_before: u64,
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
        let patience = *config.get_connect_timeout().unwrap_or(&CONNECT_WITHIN);
        if config.get_application_name().is_none() {
            config.application_name("rivulet");
        }
        let hosts = (0..config.get_hosts().len()).map(|at| alone(&config, at)).collect();
        let (demotions, tasks) = (Arc::default(), TaskTracker::new());
        Ok(Self { hosts, patience, tls, demotions, tasks })
    }

    /// A new connection, to whichever host of the URL may be written to.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also when it does not stand in time.
    pub(super) async fn connect(&self) -> Result<Link, StoreError> {
        // All at once: one that accepts and says nothing must not hold up the others. The client's own clock looks at the
        // sockets alone.
        let connecting = select_ok(self.hosts.iter().map(|host| self.connect_to(host).boxed()));
        let link = timeout(self.patience, connecting).await.map_err(|_| unavailable("the database does not answer"))?;
        link.map(|(link, _others)| link).map_err(|error| StoreError::Unavailable(described(&error)))
    }

    async fn connect_to(&self, host: &Config) -> Result<Link, tokio_postgres::Error> {
        match &self.tls {
            Some(tls) => host.connect(tls.clone()).await.map(|(client, wire)| self.link(client, wire)),
            None => host.connect(NoTls).await.map(|(client, wire)| self.link(client, wire)),
        }
    }

    fn link<S, T>(&self, client: Client, connection: Connection<S, T>) -> Link
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let warned = Arc::new(AtomicBool::new(false));
        let driver = AbortOnDropHandle::new(self.tasks.spawn(drive(connection, warned.clone())));
        let (demotions, demotions_before) = (self.demotions.clone(), self.demotions.load(Ordering::Acquire));
        Link { client, warned, demotions, demotions_before, _driver: driver }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(Config::get_hosts).collect::<Vec<_>>();
        f.debug_struct("Database").field("hosts", &hosts).finish_non_exhaustive()
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

    /// Whether it is of no use any more: it has ended, or one to the same database has [found](Self::is_demoted_by) that the
    /// server only reads. Behind a pooler, or where a server is told to refuse writes, connections outlive that.
    pub(super) fn is_over(&self) -> bool {
        self.client.is_closed() || self.demotions_before < self.demotions.load(Ordering::Acquire)
    }

    /// Whether this is what a server says that only reads; then all connections to the database are over: what is read there
    /// may be old.
    pub(super) fn is_demoted_by(&self, error: &tokio_postgres::Error) -> bool {
        let is_demoted = error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
        if is_demoted {
            self.demotions.fetch_max(self.demotions_before + 1, Ordering::AcqRel);
        }
        is_demoted
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

/// The same, with one of its hosts.
fn alone(all: &Config, at: usize) -> Config {
    let mut config = Config::new();
    match &all.get_hosts()[at] {
        Host::Tcp(name) => config.host(name),
        Host::Unix(path) => config.host_path(path),
    };
    let of_host = |numbers: &[u16]| numbers.get(at).or(numbers.first()).copied();
    of_host(all.get_ports()).map(|port| config.port(port));
    all.get_hostaddrs().get(at).map(|address| config.hostaddr(*address));
    all.get_user().map(|user| config.user(user));
    all.get_password().map(|password| config.password(password));
    all.get_dbname().map(|name| config.dbname(name));
    all.get_options().map(|options| config.options(options));
    all.get_application_name().map(|name| config.application_name(name));
    config.ssl_mode(all.get_ssl_mode()).ssl_negotiation(all.get_ssl_negotiation());
    config.channel_binding(all.get_channel_binding()).keepalives(all.get_keepalives());
    config.tcp_user_timeout(SILENT).keepalives_idle(SILENT).target_session_attrs(TargetSessionAttrs::ReadWrite);
    config
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
            assert_eq!(Database::at(url).unwrap().hosts[0].get_ssl_mode(), mode, "{url}");
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
