//! TLS on the gateway's own ports (rustls): certificate and key come from files, and are read again when somebody says
//! so. Uses `config`, `telemetry`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject},
        },
    },
};
use tracing::warn;
use x509_parser::{error::X509Error, nom, parse_x509_certificate};

use crate::{config::Config, telemetry::metrics::TLS_EXPIRY};

/// What is spoken below TLS, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// The most bytes of a file with certificates or a key.
const FILE_BYTES: u64 = 1 << 20;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {expected}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Certificate and key do not go together, or cannot be used.
    #[error("{} and {} cannot be used together: {source}", cert.display(), key.display())]
    Pair {
        /// The certificates.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

/// Where certificate and key are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and behind it those that lead from it to one that clients know.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A certificate with its key, as files had them.
#[derive(Debug)]
pub struct Certificate {
    config: Arc<ServerConfig>,
    /// Until when it is good.
    pub ends: SystemTime,
}

/// The certificate that clients are shown.
#[derive(Debug)]
pub struct Tls {
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn open(files: &TlsFiles) -> Result<Self, TlsError> {
        let certificate = files.read()?;
        let tls = Self { current: RwLock::new(certificate.config.clone()) };
        tls.change(certificate);
        Ok(tls)
    }

    /// Shows new connections this one. Those that stand are not touched.
    pub fn change(&self, certificate: Certificate) {
        if certificate.ends < SystemTime::now() {
            let ended = humantime::format_rfc3339_seconds(certificate.ends);
            warn!(%ended, "the certificate of server.tls_cert is over: clients refuse it");
        }
        let ends = certificate.ends.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!(TLS_EXPIRY).set(ends.as_secs_f64());
        *self.current.write() = certificate.config;
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.read().clone())
    }
}

impl TlsFiles {
    /// Those of `server.tls_cert` and `server.tls_key`; `None` where there are none.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let (cert, key) = (config.server.tls_cert.clone()?, config.server.tls_key.clone()?);
        Some(Self { cert, key })
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn read(&self) -> Result<Certificate, TlsError> {
        let chain = self.certificates()?;
        let expected = "a private key in PEM (`BEGIN PRIVATE KEY`, `BEGIN RSA PRIVATE KEY` or `BEGIN EC PRIVATE KEY`)";
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|_| self.content(&self.key, expected))?;
        let ends = self.ends(&chain)?;
        let with = |source| TlsError::Pair { cert: self.cert.clone(), key: self.key.clone(), source };
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(with)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(with)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Certificate { config: Arc::new(config), ends })
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&read(&self.cert)?).collect();
        let chain = read.ok().filter(|chain| !chain.is_empty());
        chain.ok_or_else(|| self.content(&self.cert, "certificates in PEM (`BEGIN CERTIFICATE`) are expected"))
    }

    /// Until when the first certificate of a chain is good.
    fn ends(&self, chain: &[CertificateDer<'_>]) -> Result<SystemTime, TlsError> {
        let parsed: Result<_, nom::Err<X509Error>> = parse_x509_certificate(&chain[0]);
        let (_, certificate) = parsed.map_err(|_| self.content(&self.cert, "its first certificate cannot be read"))?;
        let ends = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(ends))
    }

    fn content(&self, path: &Path, expected: &'static str) -> TlsError {
        TlsError::Content { path: path.to_owned(), expected }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > FILE_BYTES {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {FILE_BYTES} bytes"))));
    }
    fs::read(path).map_err(failed)
}
