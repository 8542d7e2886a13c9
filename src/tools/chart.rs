//! `chart`: columns of a table, drawn.

use serde_json::{Value, json};

use super::{
    context::Context,
    dataset::{blocking, find, optional, which},
    error::ToolError,
    output::Output,
    spec::{Axis, Chart, MAX_POINTS, Mark},
};
use crate::{
    chat::printable,
    datasets::{Dataset, DatasetError, Type},
    formula::{Arguments, Input, Inputs, Presence, Takes},
};

/// The most series of a chart.
const MAX_SERIES: usize = 8;

pub(super) const DESCRIPTION: &str = "Draws a chart of columns of a table that the user has uploaded, or of the sample table; \
    the user sees it at once. Give the columns by name, as the tool dataset tells them. Do not describe each point: say in a \
    sentence what it shows.";

pub(super) fn inputs() -> Inputs {
    let columns = json!({"type": "array", "items": {"type": "string"}});
    let kinds = Mark::NAMES.iter().map(|(name, _)| Value::from(*name)).collect();
    Inputs::new(vec![
        Input { choices: kinds, presence: Presence::Default("line".into()), ..optional("kind", "What is drawn") },
        optional("x", "The column from left to right; the dates where it is left out"),
        Input {
            takes: Takes::Json { schema: columns, max_bytes: 2048 },
            presence: Presence::Required,
            ..optional("y", "The columns with numbers, up to 8, like [\"imports\", \"exports\"]")
        },
        optional("title", "What stands above it"),
        which(),
    ])
}

pub(super) async fn run(arguments: &Arguments, context: Context<'_>) -> Result<Output, ToolError> {
    if !context.keeps_files {
        return Err(ToolError::NotKept("this answer is in no conversation"));
    }
    let dataset = find(arguments, context).await?;
    let columns = listed(arguments.as_json().get("y"));
    if !(1..=MAX_SERIES).contains(&columns.len()) {
        return Err(DatasetError::Query(format!("y: 1 to {MAX_SERIES} columns")).into());
    }
    let mut names = Vec::with_capacity(columns.len());
    for name in &columns {
        let (_, column) = dataset.column(name)?;
        if !column.kind.is_number() {
            let kind = column.kind.as_str();
            return Err(
                DatasetError::Query(format!("{} is a column of type {kind}: numbers are drawn", column.name)).into()
            );
        }
        names.push(column.name.clone());
    }
    let (x, axis) = x_of(&dataset, arguments.text("x"))?;
    let mark =
        Mark::NAMES.iter().find(|(name, _)| arguments.text("kind") == Some(name)).map_or(Mark::Line, |one| one.1);
    let most = MAX_POINTS / names.len();
    let title = arguments.text("title").map(str::trim).filter(|title| !title.is_empty());
    let title = title.map_or_else(|| format!("{} by {x}", names.join(", ")), |title| printable(title, 120));
    let (asked, wanted, by) = (dataset.clone(), names.clone(), x.clone());
    let rows = blocking(context, move || asked.rows_of(&by, &wanted, most)).await?;
    let series: Vec<(String, Vec<(Value, f64)>)> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let spots = rows.iter().filter_map(|row| Some((row[0].clone(), row[at + 1].as_f64()?)));
            (name.clone(), spots.collect())
        })
        .collect();
    let points: usize = series.iter().map(|(_, spots)| spots.len()).sum();
    if points == 0 {
        return Err(DatasetError::Query("there is nothing to be drawn in these columns".to_owned()).into());
    }
    let all = dataset.about.rows;
    let left_out = all.saturating_sub(rows.len());
    let summary = if left_out > 0 {
        format!("{title}: {points} points, the first of {all} rows")
    } else {
        format!("{title}: {points} points")
    };
    let data = json!({"drawn": title, "x": x, "y": names, "points": points, "rows_left_out": left_out});
    let chart = Chart { title, mark, x: (x, axis), series, band: Vec::new() };
    Ok(Output { summary, data, files: vec![chart.made()], ..Output::default() })
}

/// Names in a list, alone, or in a text with commas or JSON.
fn listed(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).unwrap_or_default()
        }
        Some(Value::String(text)) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// The column from left to right: the one that is named, the first with dates, or the first that is no number.
fn x_of(dataset: &Dataset, named: Option<&str>) -> Result<(String, Axis), DatasetError> {
    let columns = &dataset.about.columns;
    let of_kind = |kind: Type| columns.iter().find(|column| column.kind == kind);
    let column = match named.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => dataset.column(name)?.1,
        None => of_kind(Type::Date)
            .or_else(|| of_kind(Type::Text))
            .or_else(|| columns.first())
            .ok_or(DatasetError::Empty)?,
    };
    let axis = match column.kind {
        // A quarter is no date of the calendar that others read.
        Type::Date if column.min.as_ref().and_then(Value::as_str).is_some_and(|text| text.contains('Q')) => {
            Axis::Ordinal
        }
        Type::Date => Axis::Temporal,
        Type::Text => Axis::Ordinal,
        Type::Integer | Type::Real => Axis::Quantitative,
    };
    Ok((column.name.clone(), axis))
}
