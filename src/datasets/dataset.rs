//! One dataset: what is said of it, and the file that its rows are in, which is never changed once it is there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, OpenFlags,
    types::{ToSqlOutput, Value as Sql},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::DatasetError,
    table::{Cell, Column, Period, Profile, Table, Type},
};
use crate::{
    chat::{DatasetId, Timestamp},
    knowledge::extract::Grid,
};

/// What is said of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Dataset)]
pub struct About {
    /// Never met twice.
    pub id: DatasetId,
    /// What people call it: the file's name.
    pub name: String,
    /// How many rows it has, without the names of the columns.
    pub rows: usize,
    /// What is in them.
    pub columns: Vec<Column>,
    /// From when until when it is, where it has dates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Period>,
    /// The length of the file, in bytes.
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub hash: String,
    /// Since when it is there.
    pub created_at: Timestamp,
}

/// A dataset that can be asked.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// What is said of it.
    pub about: About,
    pub(super) file: PathBuf,
}

/// The ends of the names of the two files of a dataset.
pub(super) const ROWS: &str = "sqlite";
pub(super) const ABOUT: &str = "json";
/// The end of what is not whole yet.
pub(super) const PART: &str = "part";

impl Dataset {
    /// The one of this id in a folder; `None` when it is not there.
    pub(super) fn open(folder: &Path, id: &DatasetId) -> Result<Option<Self>, DatasetError> {
        let text = match fs::read(folder.join(format!("{id}.{ABOUT}"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(failed)?,
        };
        let about: About = serde_json::from_slice(&text).map_err(failed)?;
        Ok(Some(Self { about, file: folder.join(format!("{id}.{ROWS}")) }))
    }

    /// Writes the rows of a file, and then what is said of them: what has that is whole.
    pub(super) fn write(
        folder: &Path,
        name: String,
        created_at: Timestamp,
        file: &[u8],
        grid: &Grid,
    ) -> Result<Self, DatasetError> {
        let id = DatasetId::random();
        let part = folder.join(format!("{id}.{PART}"));
        let written = write_rows(&part, grid).and_then(|profile| {
            let Profile { rows, columns, period } = profile;
            let (bytes, hash) = (file.len() as u64, blake3::hash(file).to_hex().to_string());
            let about = About { id: id.clone(), name, rows, columns, period, bytes, hash, created_at };
            let dataset = Self { about, file: folder.join(format!("{id}.{ROWS}")) };
            fs::rename(&part, &dataset.file).map_err(failed)?;
            let text = serde_json::to_vec(&dataset.about).map_err(failed)?;
            fs::write(&part, text).and_then(|()| fs::File::open(&part)?.sync_all()).map_err(failed)?;
            fs::rename(&part, folder.join(format!("{id}.{ABOUT}"))).map_err(failed)?;
            Ok(dataset)
        });
        if written.is_err() {
            delete(folder, &id);
        }
        written
    }

    /// The file, opened to be read.
    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// The column of this name, in any case of its letters, and its place.
    ///
    /// # Errors
    /// Which ones there are.
    pub fn column(&self, name: &str) -> Result<(usize, &Column), DatasetError> {
        let columns = &self.about.columns;
        let is_one = |other: &Column| other.name == name;
        let at = columns.iter().position(is_one).or_else(|| {
            let name = name.trim().to_lowercase();
            columns.iter().position(|column| column.name.to_lowercase() == name)
        });
        at.map(|at| (at, &columns[at])).ok_or_else(|| {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let asked = crate::chat::printable(name, 80);
            DatasetError::Query(format!("There is no column {asked}. Columns: {}", names.join(", ")))
        })
    }
}

/// Takes a dataset away. What is said of it goes first: without that there is none.
pub(super) fn delete(folder: &Path, id: &DatasetId) {
    for end in [ABOUT, ROWS, PART] {
        let path = folder.join(format!("{id}.{end}"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a file of a dataset stays");
            }
            _ => {}
        }
    }
}

pub(super) fn failed(error: impl std::fmt::Display) -> DatasetError {
    DatasetError::Files(error.to_string())
}

fn write_rows(path: &Path, grid: &Grid) -> Result<Profile, DatasetError> {
    let table = Table::of(grid)?;
    let mut connection = Connection::open(path).map_err(failed)?;
    // It is thrown away when it is not whole, and changed by nobody afterwards.
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(failed)?;
    let types: Vec<Type> = table.types().collect();
    let declared = types.iter().enumerate().map(|(at, kind)| {
        let affinity = match kind {
            Type::Integer => "INTEGER",
            Type::Real => "REAL",
            Type::Date | Type::Text => "TEXT",
        };
        format!("c{at} {affinity}")
    });
    let declared = declared.collect::<Vec<_>>().join(", ");
    let transaction = connection.transaction().map_err(failed)?;
    transaction.execute_batch(&format!("CREATE TABLE t ({declared})")).map_err(failed)?;
    let places = vec!["?"; types.len()].join(", ");
    let profile = {
        let mut insert = transaction.prepare(&format!("INSERT INTO t VALUES ({places})")).map_err(failed)?;
        table.rows(|cells| {
            let values = cells.iter().zip(&types).map(|(cell, kind)| sql(cell, *kind));
            insert.execute(rusqlite::params_from_iter(values)).map(drop).map_err(failed)
        })?
    };
    transaction.commit().map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    fs::File::open(path).and_then(|file| file.sync_all()).map_err(failed)?;
    Ok(profile)
}

fn sql(cell: &Cell, kind: Type) -> ToSqlOutput<'_> {
    match cell {
        Cell::Nothing => ToSqlOutput::Owned(Sql::Null),
        Cell::Number(value) if kind == Type::Integer => ToSqlOutput::Owned(Sql::Integer(*value as i64)),
        Cell::Number(value) => ToSqlOutput::Owned(Sql::Real(*value)),
        Cell::Text(text) => ToSqlOutput::from(text.as_str()),
    }
}
