//! Tables that somebody has brought, as CSV or a workbook, and questions to them.
//!
//! A file becomes a table with types (`value`, `table`), and that one read-only SQLite file (`dataset`), beside which
//! stands what is said of it. [`Datasets`] has all of them, [`Query`] is a question, which `sql` answers. Files are read in
//! processes of their own, as documents are. Uses `knowledge` for that, `config`, `formula` for numbers, and `chat`.

mod calendar;
mod dataset;
mod error;
mod query;
mod shelf;
mod sql;
mod table;
mod value;

pub use self::{
    calendar::{Every, every, following, step},
    dataset::{About, Dataset},
    error::DatasetError,
    query::{Aggregate, Condition, Operator, Order, Query},
    shelf::Datasets,
    sql::{Found, MAX_RESULT_ROWS, Point},
    table::{Column, Period, Type},
};
