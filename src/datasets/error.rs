//! What goes wrong with datasets, in words for the model and for people.

use crate::knowledge::extract::ExtractError;

/// What went wrong with a dataset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// The file is none, or cannot be one.
    #[error("the file cannot be read: {0}")]
    Refused(ExtractError),
    /// It is of another kind.
    #[error("not a table that can be read; these can: .csv, .xlsx, .xls, .ods")]
    NoTable,
    /// There are no rows in it.
    #[error("there are no rows in the file")]
    Empty,
    /// There are as many as there may be.
    #[error("there are {0} datasets already: delete one first")]
    TooMany(usize),
    /// Too many are coming in.
    #[error("too many files are coming in")]
    Busy,
    /// They cannot be kept here.
    #[error(
        "datasets are files of one gateway, and several share the database: set datasets.dir to a folder that they share"
    )]
    NoPlace,
    /// The folder failed.
    #[error("the datasets cannot be read or written at the moment")]
    Files(String),
    /// There is none of that name, or none at all.
    #[error("{0}")]
    None(String),
    /// The question makes no sense.
    #[error("{0}")]
    Query(String),
    /// It takes too long.
    #[error("the question takes too long: ask for less")]
    Timeout,
}

impl From<ExtractError> for DatasetError {
    fn from(error: ExtractError) -> Self {
        match error {
            ExtractError::UnsupportedType => Self::NoTable,
            ExtractError::NoText => Self::Empty,
            error => Self::Refused(error),
        }
    }
}
