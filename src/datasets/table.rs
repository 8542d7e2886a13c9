//! From rows of cells to columns with types, and what is to be said of them. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    calendar::{self, Every},
    error::DatasetError,
    value::{self, Decimal, Form, is_nothing},
};
use crate::{chat::printable, formula::number, knowledge::extract::Grid};

/// Rows above the names of columns: titles and remarks.
const HEAD_WITHIN: usize = 10;
/// The longest name of a column, in bytes.
const MAX_NAME: usize = 80;
/// Larger numbers are no whole ones for certain.
const MAX_WHOLE: f64 = 9e15;
/// The most of a text that is shown as the least or the most, in bytes.
const MAX_SHOWN: usize = 40;

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DatasetColumnType)]
pub enum Type {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Real,
    /// Days, months or quarters.
    Date,
    /// Anything else.
    Text,
}

impl Type {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Date => "date",
            Self::Text => "text",
        }
    }

    /// Whether it can be reckoned with.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Real)
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DatasetColumn)]
pub struct Column {
    /// What it is called; no other one is called so.
    pub name: String,
    /// What its cells are.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Cells with nothing in them.
    pub missing: usize,
    /// The least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub min: Option<serde_json::Value>,
    /// The most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub max: Option<serde_json::Value>,
}

/// From when until when a table is, by its first column of dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DatasetPeriod)]
pub struct Period {
    /// The column.
    pub column: String,
    /// The first date.
    pub from: String,
    /// The last one.
    pub to: String,
    /// How far they are apart, where that is the same all along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
}

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Nothing,
    Number(f64),
    Text(String),
}

/// A table that is known by its columns, whose rows are read one by one: all of them together would take much memory.
#[derive(Debug)]
pub(super) struct Table<'a> {
    text: &'a str,
    /// Lines above the first row.
    above: usize,
    pub(super) names: Vec<String>,
    readings: Vec<Reading>,
}

/// What is said of a table that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Profile {
    pub(super) rows: usize,
    pub(super) columns: Vec<Column>,
    pub(super) period: Option<Period>,
}

/// What the cells of a column can be, as far as they were looked at.
#[derive(Debug, Clone)]
struct Guess {
    known: usize,
    point: Option<Whole>,
    comma: Option<Whole>,
    dates: [bool; 6],
}

/// Whether all numbers have no fraction.
type Whole = bool;

/// What cells are read as.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Number(Decimal, Whole),
    Date(Form),
    Text,
}

impl Reading {
    const fn kind(self) -> Type {
        match self {
            Self::Number(_, true) => Type::Integer,
            Self::Number(..) => Type::Real,
            Self::Date(_) => Type::Date,
            Self::Text => Type::Text,
        }
    }
}

fn records(text: &str) -> csv::StringRecordsIntoIter<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes()).into_records()
}

impl<'a> Table<'a> {
    /// Looks through a file.
    pub(super) fn of(grid: &'a Grid) -> Result<Self, DatasetError> {
        let text = grid.text.as_str();
        let filled = |record: &csv::StringRecord| record.iter().filter(|cell| !cell.is_empty()).count();
        // A line with one cell above a table is its title.
        let head = records(text).flatten().take(HEAD_WITHIN).position(|record| filled(&record) > 1).unwrap_or(0);
        let first = records(text).flatten().nth(head).unwrap_or_default();
        let has_names = first.iter().any(|cell| cell.chars().any(char::is_alphabetic));
        let above = head + usize::from(has_names);
        let width = records(text).flatten().skip(head).map(|record| record.len()).max().unwrap_or(0);
        if width == 0 || records(text).flatten().nth(above).is_none() {
            return Err(DatasetError::Empty);
        }
        let names = if has_names { first } else { csv::StringRecord::new() };
        let readings = readings(records(text).flatten().skip(above), width, grid.delimiter);
        Ok(Self { text, above, names: named(&names, width), readings })
    }

    pub(super) fn types(&self) -> impl Iterator<Item = Type> {
        self.readings.iter().map(|reading| reading.kind())
    }

    /// Gives away the rows, and says what there was in them.
    pub(super) fn rows<E>(&self, mut take: impl FnMut(&[Cell]) -> Result<(), E>) -> Result<Profile, E> {
        let named = self.names.iter().zip(&self.readings);
        let mut columns: Vec<Column> = named
            .map(|(name, reading)| Column {
                name: name.clone(),
                kind: reading.kind(),
                missing: 0,
                min: None,
                max: None,
            })
            .collect();
        let mut spans: Vec<Span> = vec![Span::default(); columns.len()];
        let at_date = columns.iter().position(|column| column.kind == Type::Date);
        let (mut dates, mut rows) = (BTreeSet::new(), 0);
        let mut cells = Vec::with_capacity(columns.len());
        for record in records(self.text).flatten().skip(self.above) {
            cells.clear();
            let read = self.readings.iter().enumerate();
            cells.extend(read.map(|(at, reading)| cell(record.get(at).unwrap_or_default(), *reading)));
            for ((cell, column), span) in cells.iter().zip(&mut columns).zip(&mut spans) {
                column.missing += usize::from(*cell == Cell::Nothing);
                span.take(cell);
            }
            if let Some(Cell::Text(date)) = at_date.and_then(|at| cells.get(at)) {
                dates.insert(date.clone());
            }
            take(&cells)?;
            rows += 1;
        }
        for (column, span) in columns.iter_mut().zip(spans) {
            (column.min, column.max) = span.shown();
        }
        let dates: Vec<String> = dates.into_iter().collect();
        let period = at_date.zip(dates.first().cloned().zip(dates.last().cloned())).map(|(at, (from, to))| Period {
            column: columns[at].name.clone(),
            from,
            to,
            every: calendar::every(&dates),
        });
        Ok(Profile { rows, columns, period })
    }
}

/// The least and the most of a column.
#[derive(Debug, Clone, Default)]
struct Span {
    numbers: Option<(f64, f64)>,
    texts: Option<(String, String)>,
}

impl Span {
    fn take(&mut self, cell: &Cell) {
        match cell {
            Cell::Nothing => {}
            Cell::Number(value) => {
                let (least, most) = self.numbers.unwrap_or((*value, *value));
                self.numbers = Some((least.min(*value), most.max(*value)));
            }
            Cell::Text(text) => match &mut self.texts {
                None => self.texts = Some((text.clone(), text.clone())),
                Some((least, _)) if text < least => least.clone_from(text),
                Some((_, most)) if text > most => most.clone_from(text),
                Some(_) => {}
            },
        }
    }

    fn shown(self) -> (Option<serde_json::Value>, Option<serde_json::Value>) {
        if let Some((least, most)) = self.numbers {
            return (Some(number::json(least)), Some(number::json(most)));
        }
        let shown = |text: String| serde_json::Value::from(printable(&text, MAX_SHOWN));
        match self.texts {
            Some((least, most)) => (Some(shown(least)), Some(shown(most))),
            None => (None, None),
        }
    }
}

/// Names of columns: without what cannot be seen, none empty, none twice.
fn named(names: &csv::StringRecord, width: usize) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut named = Vec::with_capacity(width);
    for at in 0..width {
        let given = printable(names.get(at).unwrap_or_default(), MAX_NAME);
        let plain = given.split_whitespace().collect::<Vec<_>>().join(" ");
        let plain = if plain.is_empty() { format!("column {}", at + 1) } else { plain };
        let mut name = plain.clone();
        let mut again = 2;
        while !taken.insert(name.to_lowercase()) {
            name = format!("{plain} {again}");
            again += 1;
        }
        named.push(name);
    }
    named
}

/// As what each column is read. One file has one way to write numbers.
fn readings(records: impl Iterator<Item = csv::StringRecord>, width: usize, delimiter: Option<char>) -> Vec<Reading> {
    let mut guesses = vec![Guess { known: 0, point: Some(true), comma: Some(true), dates: [true; 6] }; width];
    for record in records {
        for (cell, guess) in record.iter().zip(&mut guesses).filter(|(cell, _)| !is_nothing(cell)) {
            guess.known += 1;
            let judged = |so_far: Option<Whole>, decimal| {
                let value = value::number(cell, decimal)?;
                so_far.map(|whole| whole && value.fract() == 0.0 && value.abs() < MAX_WHOLE)
            };
            guess.point = judged(guess.point, Decimal::Point);
            guess.comma = judged(guess.comma, Decimal::Comma);
            if guess.dates != [false; 6] {
                for (form, fits) in Form::ALL.into_iter().zip(&mut guess.dates) {
                    *fits = *fits && form.read(cell).is_some();
                }
            }
        }
    }
    let has_only = |comma: bool| {
        let is_so = |guess: &Guess| guess.comma.is_some() == comma && guess.point.is_some() != comma;
        guesses.iter().any(|guess| guess.known > 0 && is_so(guess))
    };
    let is_comma = has_only(true) && (!has_only(false) || delimiter == Some(';'));
    let reading = |guess: &Guess| match guess {
        Guess { known: 0, .. } => Reading::Text,
        Guess { comma: Some(whole), .. } if is_comma => Reading::Number(Decimal::Comma, *whole),
        Guess { point: Some(whole), .. } => Reading::Number(Decimal::Point, *whole),
        Guess { comma: Some(whole), .. } => Reading::Number(Decimal::Comma, *whole),
        Guess { dates, .. } => {
            let mut fitting = Form::ALL.into_iter().zip(dates).filter(|(_, fits)| **fits).map(|(form, _)| form);
            // What may be two dates is none: 03/04/2024.
            match (fitting.next(), fitting.next()) {
                (Some(form), None) => Reading::Date(form),
                _ => Reading::Text,
            }
        }
    };
    guesses.iter().map(reading).collect()
}

fn cell(text: &str, reading: Reading) -> Cell {
    match reading {
        Reading::Text if is_nothing(text) => Cell::Nothing,
        Reading::Text => Cell::Text(text.to_owned()),
        Reading::Date(form) => form.read(text).map_or(Cell::Nothing, Cell::Text),
        Reading::Number(decimal, _) => value::number(text, decimal).map_or(Cell::Nothing, Cell::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, delimiter: char) -> (Profile, Vec<Vec<Cell>>) {
        let grid = Grid { text: text.to_owned(), delimiter: Some(delimiter) };
        let table = Table::of(&grid).unwrap();
        let mut rows = Vec::new();
        let profile = table.rows(|row| {
            rows.push(row.to_vec());
            Ok::<_, ()>(())
        });
        (profile.unwrap(), rows)
    }

    fn types(profile: &Profile) -> Vec<(&str, &str)> {
        profile.columns.iter().map(|column| (column.name.as_str(), column.kind.as_str())).collect()
    }

    #[test]
    fn columns_have_types_and_a_profile() {
        let text = "Month,Units,Price,Note,Plz\n2024-01,1,2.5,=1+1,01067\n2024-02,n/a,3,,80331\n2024-03,7,-1,x,\n";
        let (profile, rows) = of(text, ',');
        let expected = [("Month", "date"), ("Units", "integer"), ("Price", "real"), ("Note", "text"), ("Plz", "text")];
        assert_eq!((types(&profile).as_slice(), profile.rows), (&expected[..], 3));
        assert_eq!(profile.columns.iter().map(|column| column.missing).collect::<Vec<_>>(), [0, 1, 0, 1, 1]);
        assert_eq!((&profile.columns[2].min, &profile.columns[2].max), (&Some((-1).into()), &Some(3.into())));
        assert_eq!(rows[0][3], Cell::Text("=1+1".to_owned()));
        let period = profile.period.unwrap();
        assert_eq!((&*period.from, &*period.to, period.every), ("2024-01", "2024-03", Some(Every::Month)));
    }

    #[test]
    fn what_people_write_where_there_is_nothing_is_missing_in_texts_too() {
        let (profile, rows) = of("a,b\nx,n/a\n-,y\n..,z\n", ',');
        assert_eq!(types(&profile), [("a", "text"), ("b", "text")]);
        assert_eq!(profile.columns.iter().map(|column| column.missing).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(rows[1], [Cell::Nothing, Cell::Text("y".to_owned())]);
        assert_eq!(profile.columns[0].min, Some("x".into()));
    }

    #[test]
    fn one_file_has_one_way_to_write_numbers() {
        let (profile, rows) = of("Wert,Menge\n\"1,5\",1.000\n\"2,25\",12.500\n", ';');
        assert_eq!(types(&profile), [("Wert", "real"), ("Menge", "integer")]);
        assert_eq!(rows[1], [Cell::Number(2.25), Cell::Number(12500.0)]);
        let (_, rows) = of("a,b\n1.5,\"1,000\"\n2.5,\"2,000\"\n", ',');
        assert_eq!(rows[1], [Cell::Number(2.5), Cell::Number(2000.0)]);
    }

    #[test]
    fn names_are_found_and_each_is_another() {
        let (profile, rows) = of("Trade of 2024\n\nname,Name,,x\na,b,c\n", ',');
        let names: Vec<_> = profile.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((names, rows.len()), (vec!["name", "Name 2", "column 3", "x"], 1));
        let (profile, rows) = of("1,2\n3,4\n", ',');
        assert_eq!((types(&profile)[0], rows.len()), (("column 1", "integer"), 2));
        assert!(Table::of(&Grid { text: "a,b\n".to_owned(), delimiter: None }).is_err());
        // What may be two dates is none.
        assert_eq!(types(&of("d,e\n03/04/2024,13/04/2024\n", ',').0), [("d", "text"), ("e", "date")]);
    }
}
