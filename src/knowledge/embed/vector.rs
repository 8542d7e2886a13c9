//! What a text becomes, and why it does not.

use std::path::PathBuf;

/// A vector of length 1.
pub type Vector = Vec<f32>;

/// Why there is no vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// Nobody said where the model is.
    #[error("no embedding model: run scripts/fetch-models.sh and set knowledge.model_dir to the folder it made")]
    NotConfigured,
    /// A file of the model, or the model itself, is missing, damaged or not understood.
    #[error("the embedding model in {folder} cannot be used: {detail}; run scripts/fetch-models.sh to fetch it again")]
    Model {
        /// `knowledge.model_dir`.
        folder: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// It is another model than the one whose name is configured.
    #[error(
        "the embedding model in {folder} is {is}, and knowledge.model says {named}: set it to the name of the model in the folder"
    )]
    Misnamed {
        /// `knowledge.model_dir`.
        folder: PathBuf,
        /// What is in it.
        is: String,
        /// `knowledge.model`.
        named: String,
    },
    /// ONNX Runtime's shared library is missing or unusable.
    #[error(
        "ONNX Runtime cannot be loaded from {path}: {detail}; run scripts/fetch-models.sh, or set ORT_DYLIB_PATH to the library"
    )]
    Runtime {
        /// Where the library was looked for.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// It is being loaded.
    #[error("the embedding model is being loaded")]
    Loading,
    /// More questions are waiting than may wait.
    #[error("too many questions are waiting for the embedding model")]
    Busy,
    /// The model failed on these texts, or its thread ended.
    #[error("the embedding model failed: {0}")]
    Failed(String),
}
