//! From a question to rows. The SQL is our own: columns are `c0`, `c1` and so on in it, values are bound, so that no text of
//! anybody's is ever part of it. Beside that the file is opened to be read, what may be done is listed, and it has its time.

use std::{collections::BTreeMap, time::Duration};

use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
    types::{Value as Sql, ValueRef},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    dataset::{Dataset, failed},
    error::DatasetError,
    query::{Condition, Operator, Query, wrong},
    table::{Column, Type},
    value::{Decimal, Form, number},
};
use crate::{chat::printable, formula::number as figures};

/// The most rows of a result, and how many there are when nobody says.
pub const MAX_RESULT_ROWS: usize = 200;
const ROWS: usize = 100;
/// The most of a result with several rows, in bytes.
const MAX_RESULT_BYTES: usize = 64 << 10;
/// The most of a cell, in bytes.
const MAX_CELL: usize = 500;
/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at the clock, in steps of the database.
const STEPS: i32 = 2000;
/// The most values of an `in`.
const MAX_VALUES: usize = 100;
/// The most numbers that a median is made of.
const MAX_MEDIAN: usize = 200_000;
/// What the database is asked to work out.
const FUNCTIONS: [&str; 12] =
    ["avg", "count", "sum", "total", "min", "max", "median", "substr", "instr", "folded", "typeof", "like"];

/// A figure, and the date that it belongs to, where they are known.
pub type Point = (Option<String>, Option<f64>);

/// What came of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with a cell for every column.
    pub rows: Vec<Vec<Value>>,
    /// Whether there are more of them.
    pub more: bool,
}

/// What of a column a term is.
#[derive(Debug, Clone, PartialEq)]
struct Term {
    name: String,
    sql: String,
    is_aggregate: bool,
}

impl Dataset {
    /// Answers a question. Blocks, for two seconds at the most.
    ///
    /// # Errors
    /// [`DatasetError::Query`] when it makes no sense, in words for the model.
    pub fn ask(&self, query: &Query) -> Result<Found, DatasetError> {
        let Statement { sql, values, columns, limit } = self.statement(query)?;
        let connection = self.guarded().map_err(failed)?;
        let mut found = Found { columns, rows: Vec::new(), more: false };
        let mut bytes = 0;
        let mut run = || -> rusqlite::Result<()> {
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values.iter()))?;
            while let Some(row) = rows.next()? {
                let cells: Vec<Value> =
                    (0..found.columns.len()).map(|at| row.get_ref(at).map(shown)).collect::<Result<_, _>>()?;
                bytes += cells.iter().map(|cell| cell.to_string().len() + 1).sum::<usize>();
                // One row is shown in any case: there is nothing less to be asked for.
                if found.rows.len() == limit || (bytes > MAX_RESULT_BYTES && !found.rows.is_empty()) {
                    found.more = true;
                    break;
                }
                found.rows.push(cells);
            }
            Ok(())
        };
        match run() {
            Ok(()) => Ok(found),
            Err(error) => Err(told(&error)),
        }
    }

    /// The figures of a column, with the dates of another, in their order; `None`: none is there.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn series(&self, date: Option<usize>, column: usize) -> Result<Vec<Point>, DatasetError> {
        let connection = self.guarded().map_err(failed)?;
        let sql = match date {
            Some(date) => format!("SELECT c{date}, c{column} FROM t WHERE c{date} IS NOT NULL ORDER BY c{date}, rowid"),
            None => format!("SELECT NULL, c{column} FROM t ORDER BY rowid"),
        };
        let run = || -> rusqlite::Result<Vec<_>> {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map([], |row| {
                let date = match row.get_ref(0)? {
                    ValueRef::Integer(year) => Some(year.to_string()),
                    ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                    _ => None,
                };
                Ok((date, row.get::<_, Option<f64>>(1)?))
            })?;
            rows.collect()
        };
        run().map_err(|error| told(&error))
    }

    /// Rows of these columns, in the order of the first, so many at the most; text is in the file's order.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn rows_of(&self, x: &str, columns: &[String], most: usize) -> Result<Vec<Vec<Value>>, DatasetError> {
        let (at, first) = self.column(x)?;
        let places = columns.iter().map(|name| self.column(name).map(|(at, _)| at)).collect::<Result<Vec<_>, _>>()?;
        let listed: Vec<String> = std::iter::once(at).chain(places).map(|at| format!("c{at}")).collect();
        let order = if first.kind == Type::Text { "rowid".to_owned() } else { format!("c{at}") };
        let sql = format!("SELECT {} FROM t WHERE c{at} IS NOT NULL ORDER BY {order} LIMIT {most}", listed.join(", "));
        let connection = self.guarded().map_err(failed)?;
        let run = || -> rusqlite::Result<Vec<Vec<Value>>> {
            let mut statement = connection.prepare(&sql)?;
            let rows =
                statement.query_map([], |row| (0..listed.len()).map(|at| row.get_ref(at).map(shown)).collect())?;
            rows.collect()
        };
        run().map_err(|error| told(&error))
    }

    /// A connection that can do nothing but read the rows, and for a time.
    fn guarded(&self) -> rusqlite::Result<Connection> {
        let mut connection = self.connect()?;
        connection.create_aggregate_function(
            "median",
            1,
            FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
            Median,
        )?;
        connection.create_scalar_function(
            "folded",
            1,
            FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
            |context| Ok(context.get::<Option<String>>(0)?.map(|text| folded(&text))),
        )?;
        connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 64 << 10)?;
        connection.set_limit(Limit::SQLITE_LIMIT_EXPR_DEPTH, 100)?;
        connection.set_limit(Limit::SQLITE_LIMIT_COMPOUND_SELECT, 1)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
            AuthAction::Select => Authorization::Allow,
            AuthAction::Read { table_name: "t", .. } => Authorization::Allow,
            AuthAction::Function { function_name } if FUNCTIONS.contains(&function_name) => Authorization::Allow,
            _ => Authorization::Deny,
        }))?;
        let until = Instant::now() + PATIENCE;
        connection.progress_handler(STEPS, Some(move || Instant::now() >= until))?;
        Ok(connection)
    }

    fn statement(&self, query: &Query) -> Result<Statement, DatasetError> {
        let grouped = query.group_by.iter().map(|term| self.term(term)).collect::<Result<Vec<_>, _>>()?;
        if let Some(term) = grouped.iter().find(|term| term.is_aggregate) {
            return Err(wrong(&format!("{} cannot be grouped by: name a column, or year(…) of a date", term.name)));
        }
        let selected = query.select.iter().map(|term| self.term(term)).collect::<Result<Vec<_>, _>>()?;
        let made = query.agg.iter().map(|one| self.term(&one.term())).collect::<Result<Vec<_>, _>>()?;
        if let Some(term) = made.iter().find(|term| !term.is_aggregate) {
            let functions = AGGREGATES.join(", ");
            return Err(wrong(&format!("{} is made of one row: agg is one of {functions}, of a column", term.name)));
        }
        let mut terms: Vec<Term> = Vec::new();
        for term in grouped.iter().cloned().chain(selected).chain(made) {
            if !terms.contains(&term) {
                terms.push(term);
            }
        }
        if terms.iter().all(|term| grouped.contains(term)) && !grouped.is_empty() {
            terms.push(self.term("count")?);
        }
        let is_grouped = !grouped.is_empty() || terms.iter().any(|term| term.is_aggregate);
        if let Some(term) = terms.iter().find(|term| is_grouped && !term.is_aggregate && !grouped.contains(term)) {
            let name = &term.name;
            return Err(wrong(&format!(
                "{name} is of each row: put it into group_by, or say what is made of it, as avg({name})"
            )));
        }
        if terms.is_empty() {
            terms = self.about.columns.iter().map(|column| self.term(&column.name)).collect::<Result<_, _>>()?;
        }
        let (mut values, mut conditions) = (Vec::new(), Vec::new());
        for condition in &query.conditions {
            conditions.push(self.condition(condition, &mut values)?);
        }
        let mut order = Vec::new();
        for by in &query.order {
            let (name, desc) = by.parts();
            let wanted = self.term(name).map(|term| term.sql).ok();
            let at = terms
                .iter()
                .position(|term| term.name.eq_ignore_ascii_case(name.trim()) || Some(&term.sql) == wanted.as_ref());
            let Some(at) = at else {
                let names: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
                let asked = printable(name, 80);
                return Err(wrong(&format!("order: there is no {asked} in the result, but {}", names.join(", "))));
            };
            order.push(format!("{}{}", at + 1, if desc { " DESC" } else { "" }));
        }
        if order.is_empty() {
            order.extend((1..=grouped.len()).map(|at| at.to_string()));
        }
        let limit = query.limit.unwrap_or(ROWS).clamp(1, MAX_RESULT_ROWS);
        let listed = |terms: &[Term]| terms.iter().map(|term| term.sql.clone()).collect::<Vec<_>>().join(", ");
        let mut sql = format!("SELECT {} FROM t", listed(&terms));
        if !conditions.is_empty() {
            sql += &format!(" WHERE {}", conditions.join(" AND "));
        }
        if !grouped.is_empty() {
            sql += &format!(" GROUP BY {}", listed(&grouped));
        }
        if !order.is_empty() {
            sql += &format!(" ORDER BY {}", order.join(", "));
        }
        sql += &format!(" LIMIT {}", limit + 1);
        Ok(Statement { sql, values, columns: terms.into_iter().map(|term| term.name).collect(), limit })
    }

    /// A column, a part of a date, or what is made of several rows.
    fn term(&self, text: &str) -> Result<Term, DatasetError> {
        let text = text.trim();
        let plain = self.column(text);
        if let Ok((at, column)) = plain {
            return Ok(Term { name: column.name.clone(), sql: format!("c{at}"), is_aggregate: false });
        }
        if text.eq_ignore_ascii_case("count") || text.eq_ignore_ascii_case("count(*)") {
            return Ok(Term { name: "count".to_owned(), sql: "count(*)".to_owned(), is_aggregate: true });
        }
        let called = text.strip_suffix(')').and_then(|text| text.split_once('('));
        // A part of a date alone is that of the first column with dates.
        let first =
            || self.about.columns.iter().find(|column| column.kind == Type::Date).map(|column| column.name.as_str());
        let alone = || Some((text, first().filter(|_| PARTS.contains(&text.to_ascii_lowercase().as_str()))?));
        let Some((function, argument)) = called.or_else(alone) else {
            return Err(plain.map(drop).err().unwrap_or(DatasetError::Empty));
        };
        let function = function.trim().to_ascii_lowercase();
        let (at, column) = self.column(argument.trim())?;
        let name = format!("{function}({})", column.name);
        if PARTS.contains(&function.as_str()) {
            let sql = part_of(&function, at, column)?;
            return Ok(Term { name, sql, is_aggregate: false });
        }
        let needs_number = ["sum", "avg", "median"].contains(&function.as_str());
        if needs_number && !column.kind.is_number() {
            let Column { name, kind, .. } = column;
            return Err(wrong(&format!("{function} needs numbers, and {name} is a column of type {}", kind.as_str())));
        }
        let sql = match function.as_str() {
            "count_distinct" => format!("count(DISTINCT c{at})"),
            // The sum of whole numbers may be more than 64 bits hold.
            "sum" => format!("CASE WHEN count(c{at}) > 0 THEN total(c{at}) END"),
            "avg" | "min" | "max" | "count" | "median" => format!("{function}(c{at})"),
            _ => {
                let known = AGGREGATES.join(", ");
                let asked = printable(&function, 40);
                return Err(wrong(&format!(
                    "there is no {asked}(…): there are {known}, and year, quarter and month of dates"
                )));
            }
        };
        Ok(Term { name, sql, is_aggregate: true })
    }

    fn condition(&self, condition: &Condition, values: &mut Vec<Sql>) -> Result<String, DatasetError> {
        let Condition { column, op, value } = condition;
        let (at, column) = self.column(column)?;
        let mut bound = |value: &Value| -> Result<(String, usize), DatasetError> {
            let value = value_of(value, column)?;
            let bytes = if let Sql::Text(text) = &value { text.len() } else { 0 };
            values.push(value);
            Ok((format!("?{}", values.len()), bytes))
        };
        // Dates are compared as far as the value says: 2024 is all of that year.
        let left = |bytes: usize| match column.kind {
            Type::Date => format!("substr(c{at}, 1, {bytes})"),
            Type::Text => format!("c{at} COLLATE NOCASE"),
            _ => format!("c{at}"),
        };
        let compared = match op {
            Operator::Missing => return Ok(format!("c{at} IS NULL")),
            Operator::Known => return Ok(format!("c{at} IS NOT NULL")),
            Operator::Equal if value.is_null() => return Ok(format!("c{at} IS NULL")),
            Operator::NotEqual if value.is_null() => return Ok(format!("c{at} IS NOT NULL")),
            Operator::Contains => {
                let Value::String(text) = value else { return Err(wrong("contains: value is a text")) };
                values.push(Sql::Text(folded(text)));
                return Ok(format!("instr(folded(CAST(c{at} AS TEXT)), ?{}) > 0", values.len()));
            }
            Operator::In => {
                let Value::Array(list) = value else { return Err(wrong("in: value is a list")) };
                if list.len() > MAX_VALUES {
                    return Err(wrong(&format!("in: at most {MAX_VALUES} values")));
                }
                // A list for each length of dates, and one for all else: a chain of a hundred OR is too deep for the limit.
                let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for one in list {
                    let (place, bytes) = bound(one)?;
                    lists.entry(left(bytes)).or_default().push(place);
                }
                let any = lists.iter().map(|(left, places)| format!("{left} IN ({})", places.join(", ")));
                let any: Vec<String> = any.collect();
                return Ok(if any.is_empty() { "0".to_owned() } else { format!("({})", any.join(" OR ")) });
            }
            Operator::Equal => "=",
            Operator::NotEqual => "<>",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
        };
        let (place, bytes) = bound(value)?;
        Ok(format!("{} {compared} {place}", left(bytes)))
    }
}

/// What is made of several rows.
/// What dates can be grouped by.
const PARTS: [&str; 3] = ["year", "quarter", "month"];
const AGGREGATES: [&str; 7] = ["count", "sum", "avg", "min", "max", "median", "count_distinct"];

struct Statement {
    sql: String,
    values: Vec<Sql>,
    columns: Vec<String>,
    limit: usize,
}

/// What is said of a question that has failed.
fn told(error: &rusqlite::Error) -> DatasetError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::OperationInterrupted) => DatasetError::Timeout,
        _ => failed(error),
    }
}

fn part_of(part: &str, at: usize, column: &Column) -> Result<String, DatasetError> {
    if column.kind == Type::Integer && part == "year" {
        return Ok(format!("c{at}")); // It is one.
    }
    if column.kind != Type::Date {
        return Err(wrong(&format!(
            "{part} needs dates, and {} is a column of type {}",
            column.name,
            column.kind.as_str()
        )));
    }
    let is_of_quarters = has_quarters(column);
    match part {
        "year" => Ok(format!("substr(c{at}, 1, 4)")),
        "quarter" if is_of_quarters => Ok(format!("c{at}")),
        "quarter" => Ok(format!("substr(c{at}, 1, 4) || '-Q' || ((substr(c{at}, 6, 2) + 2) / 3)")),
        _ if is_of_quarters => Err(wrong(&format!("{} has quarters and no months", column.name))),
        _ => Ok(format!("substr(c{at}, 1, 7)")),
    }
}

/// Whether the dates of a column are quarters: a column has one form of them.
fn has_quarters(column: &Column) -> bool {
    column.min.as_ref().and_then(Value::as_str).is_some_and(|text| text.contains('Q'))
}

/// A value that a column is compared with.
fn value_of(value: &Value, column: &Column) -> Result<Sql, DatasetError> {
    let Column { name, kind, .. } = column;
    let shown = || printable(&value.to_string(), 60);
    match (kind, value) {
        (Type::Integer | Type::Real, Value::Number(number)) => {
            number.as_f64().map(Sql::Real).ok_or_else(|| wrong(&format!("{} is no number", shown())))
        }
        (Type::Integer | Type::Real, Value::String(text)) => match number(text.trim(), Decimal::Point) {
            Some(value) => Ok(Sql::Real(value)),
            None => Err(wrong(&format!("{name} has numbers, and {} is none", shown()))),
        },
        (Type::Date, Value::String(_) | Value::Number(_)) => {
            let text = value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
            let is_year = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
            let date = if is_year { Some(text) } else { Form::any(&text) };
            let date =
                date.ok_or_else(|| wrong(&format!("{name} has dates, and {} is none: write 2024-03-31", shown())))?;
            // As texts, the one says nothing of the other.
            match (date.contains('Q'), has_quarters(column)) {
                (true, false) => {
                    return Err(wrong(&format!("{name} has no quarters, and {} is one: write 2024-03", shown())));
                }
                (false, true) if !is_year => {
                    return Err(wrong(&format!("{name} has quarters, and {} is none: write 2024-Q1", shown())));
                }
                _ => {}
            }
            // As far as the column goes.
            let most = column.min.as_ref().and_then(Value::as_str).map_or(10, str::len);
            Ok(Sql::Text(date.get(..most).unwrap_or(&date).to_owned()))
        }
        (Type::Text, Value::String(text)) => Ok(Sql::Text(text.clone())),
        (Type::Text, Value::Number(number)) => Ok(Sql::Text(number.to_string())),
        _ => Err(wrong(&format!("{name} has cells of type {}, and is not compared with {}", kind.as_str(), shown()))),
    }
}

fn shown(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null | ValueRef::Blob(_) => Value::Null,
        ValueRef::Integer(value) => value.into(),
        ValueRef::Real(value) => figures::json(figures::tidy(value)),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            Value::from(if text.len() > MAX_CELL { printable(&text, MAX_CELL) } else { text.into_owned() })
        }
    }
}

/// A text in which the case of letters is of no account, also of those beyond ASCII: SQLite's own `lower` leaves these as
/// they are. Letter by letter, so that what is in a text stays in it.
fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// The one in the middle.
struct Median;

impl rusqlite::functions::Aggregate<Vec<f64>, Option<f64>> for Median {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Vec<f64>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, values: &mut Vec<f64>) -> rusqlite::Result<()> {
        if let Some(value) = context.get::<Option<f64>>(0)?.filter(|_| values.len() < MAX_MEDIAN) {
            values.push(value);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, values: Option<Vec<f64>>) -> rusqlite::Result<Option<f64>> {
        let mut values = values.unwrap_or_default();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        Ok(match values.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(values[middle]),
            _ => Some(f64::midpoint(values[middle - 1], values[middle])),
        })
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn what_has_taken_too_long_is_told_as_that() {
        let of = |code| told(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(of(ffi::SQLITE_INTERRUPT), DatasetError::Timeout);
        assert!(matches!(of(ffi::SQLITE_IOERR), DatasetError::Files(_)));
    }
}
