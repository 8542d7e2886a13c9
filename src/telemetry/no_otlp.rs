//! In the place of `otlp`, in a gateway that was built without that feature. Such a configuration is refused before.

use super::logging::SpanLayer;

/// Why no spans can be exported.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The feature is missing.
    #[error("spans cannot be exported: this rivulet was built without the feature `otlp`")]
    NotBuilt,
}

/// There is none.
#[derive(Debug)]
pub enum Exporter {}

/// Does not.
///
/// # Errors
/// Always.
pub fn start(_: &str) -> Result<(SpanLayer, Exporter), OtlpError> {
    Err(OtlpError::NotBuilt)
}

impl Exporter {
    /// Never called, for there is none.
    pub async fn close(self) {
        match self {}
    }
}
