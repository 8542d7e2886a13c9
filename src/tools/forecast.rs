//! `forecast`: how a column of a table may go on.

use serde_json::{Value, json};

use super::{
    context::Context,
    csv,
    dataset::{blocking, find, optional, which},
    error::ToolError,
    output::Output,
    spec::{Axis, Chart, MAX_POINTS, Mark},
};
use crate::{
    datasets::{Dataset, DatasetError, Every, Type, every, following, step},
    forecast::{Forecast, MAX_HORIZON, MAX_POINTS as MAX_FIGURES},
    formula::{Arguments, Input, Inputs, Presence, Takes, number},
};

pub(super) const DESCRIPTION: &str = "Tells how a column of numbers of a table that the user has uploaded, or of the sample \
    table, may go on: the model that would have been nearest so far, its figures with intervals of 80 and 95 %, and whether it \
    is any better than the values of a season ago. Say that honestly. The user sees a chart and a table of it.";

pub(super) fn inputs() -> Inputs {
    let horizon = Takes::Number { min: Some(1.0), max: Some(MAX_HORIZON as f64), whole: true };
    Inputs::new(vec![
        Input { presence: Presence::Required, ..optional("column", "The column with the numbers") },
        optional("date", "The column with the dates; the first one where it is left out"),
        Input { takes: horizon, ..optional("horizon", "So many points ahead; a season where it is left out") },
        which(),
    ])
}

/// A series to go on with.
struct Series {
    /// In even steps; `None`: there is no figure.
    figures: Vec<Option<f64>>,
    /// Of each.
    dates: Vec<String>,
    every: Option<Every>,
}

pub(super) async fn run(arguments: &Arguments, context: Context<'_>) -> Result<Output, ToolError> {
    let dataset = find(arguments, context).await?;
    let (at, column) = dataset.column(arguments.text("column").unwrap_or_default())?;
    let name = column.name.clone();
    if !column.kind.is_number() {
        let kind = column.kind.as_str();
        return Err(DatasetError::Query(format!("{name} is a column of type {kind}: numbers can be forecast")).into());
    }
    let date = date_of(&dataset, arguments.text("date"), at)?;
    let asked = dataset.clone();
    let Series { figures, dates, every } = blocking(context, move || series(asked.series(date, at)?)).await?;
    let horizon = arguments.number("horizon").map(|horizon| horizon as usize);
    let season = every.map_or(1, Every::season);
    let (made, cached) = context.shared.forecasts.make(context.owner, figures.clone(), season, horizon).await?;
    let many = made.points.len();
    let labels = match (every, dates.last()) {
        (Some(every), Some(last)) => following(last, &dates, every, many),
        _ => (1..=many).map(|at| format!("+{at}")).collect(),
    };
    let judged = judged(&made);
    let cached_too = if cached { " (from cache)" } else { "" };
    let summary = format!("{name}, {many} points: {}; {judged}{cached_too}", made.model.name());
    let data = json!({
        "dataset": dataset.about.name,
        "column": name,
        "model": made.model.name(),
        "better_than_a_season_ago": made.is_better,
        "judged": judged,
        "error_against_a_season_ago": made.error.map(rounded),
        "season": made.season,
        "missing": made.missing,
        "cached": cached,
        "points": made.points.iter().zip(&labels).map(|(point, label)| json!({
            "at": label, "value": rounded(point.value), "low_80": rounded(point.low_80), "high_80": rounded(point.high_80),
            "low_95": rounded(point.low_95), "high_95": rounded(point.high_95),
        })).collect::<Vec<_>>(),
    });
    let files = if context.keeps_files {
        vec![chart(&name, &figures, &dates, &made, &labels, every), table(&name, &made, &labels)]
    } else {
        Vec::new()
    };
    Ok(Output { summary, data, files, ..Output::default() })
}

/// The column with the dates: the one that is named, or the first.
fn date_of(dataset: &Dataset, named: Option<&str>, at: usize) -> Result<Option<usize>, DatasetError> {
    match named.map(str::trim).filter(|name| !name.is_empty()) {
        None => Ok(dataset.about.columns.iter().position(|column| column.kind == Type::Date)),
        Some(name) => match dataset.column(name)? {
            // Years are whole numbers.
            (date, column) if matches!(column.kind, Type::Date | Type::Integer) && date != at => Ok(Some(date)),
            (_, column) => Err(DatasetError::Query(format!("{} has no dates", column.name))),
        },
    }
}

/// Puts figures on even steps, by their dates.
fn series(mut found: Vec<(Option<String>, Option<f64>)>) -> Result<Series, DatasetError> {
    // What follows does so behind the last figure that is known, whatever dates without one come after it.
    found.truncate(found.iter().rposition(|(_, figure)| figure.is_some()).map_or(0, |last| last + 1));
    let dates: Vec<String> = found.iter().filter_map(|(date, _)| date.clone()).collect();
    let in_order = |found: Vec<(Option<String>, Option<f64>)>| found.into_iter().map(|(_, figure)| figure).collect();
    if dates.len() < found.len() || dates.is_empty() {
        return Ok(Series { figures: in_order(found), dates: Vec::new(), every: None });
    }
    if let Some(two) = dates.windows(2).find(|two| two[0] == two[1]) {
        let date = &two[0];
        let words = "a forecast needs one figure for each date: ask the tool dataset for what is wanted of them";
        return Err(DatasetError::Query(format!("there are several rows for {date}; {words}")));
    }
    let Some(every) = every(&dates) else { return Ok(Series { figures: in_order(found), dates, every: None }) };
    let steps: Option<Vec<usize>> = dates.iter().map(|date| step(&dates[0], date, every)).collect();
    let last = steps.as_ref().and_then(|steps| steps.last().copied()).unwrap_or(usize::MAX);
    let are_even = steps.as_ref().is_some_and(|steps| steps.windows(2).all(|two| two[0] < two[1]));
    // Where there are gaps as a rule, as at weekends, the order is what counts.
    let (Some(steps), true, true) = (steps, are_even, last < MAX_FIGURES && last < found.len() + found.len() / 4)
    else {
        return Ok(Series { figures: in_order(found), dates, every: None });
    };
    let mut figures = vec![None; last + 1];
    let mut all = vec![dates[0].clone()];
    all.extend(following(&dates[0], &dates, every, last));
    for (step, (date, figure)) in steps.into_iter().zip(found) {
        figures[step] = figure;
        all[step] = date.unwrap_or_default();
    }
    Ok(Series { figures, dates: all, every: Some(every) })
}

/// How good it has been so far, and what it was made from.
fn judged(made: &Forecast) -> String {
    let last = if made.season > 1 { "the values of a season ago" } else { "the last value" };
    let judged = match made.error {
        Some(error) if made.is_better => format!("error against {last}: {} %", number::grouped(error * 100.0, Some(0))),
        _ => format!("no better than {last} was found"),
    };
    let missing =
        if made.missing > 0 { format!("; {} missing figures were put in", made.missing) } else { String::new() };
    format!("{judged}{missing}")
}

/// To six digits: more of them say nothing.
fn rounded(value: f64) -> Value {
    let size = value.abs().log10().floor();
    let places = if size.is_finite() { 5 - size as i32 } else { 5 };
    number::json(number::round(value, places.max(0)))
}

fn chart(
    name: &str,
    figures: &[Option<f64>],
    dates: &[String],
    made: &Forecast,
    labels: &[String],
    every: Option<Every>,
) -> super::output::Made {
    let is_dated = every.is_some() && !dates.is_empty();
    let is_temporal = is_dated && dates.first().is_some_and(|date| date.len() > 4 && !date.contains('Q'));
    let axis = match (is_dated, is_temporal) {
        (_, true) => Axis::Temporal,
        (true, false) => Axis::Ordinal,
        (false, _) => Axis::Quantitative,
    };
    let past = |at: usize| if is_dated { Value::from(dates[at].clone()) } else { Value::from(at + 1) };
    let ahead =
        |at: usize| if is_dated { Value::from(labels[at].clone()) } else { Value::from(figures.len() + at + 1) };
    let points = &made.points;
    // The newest, as many as there is room for.
    let from = figures.len().saturating_sub(MAX_POINTS - points.len());
    let known: Vec<_> = (from..figures.len()).filter_map(|at| Some((past(at), figures[at]?))).collect();
    let follows: Vec<_> = points.iter().enumerate().map(|(at, point)| (ahead(at), point.value)).collect();
    let band = points.iter().map(|point| (point.low_80, point.high_80)).collect();
    Chart {
        title: format!("{name}: forecast, with 80 % of what may come"),
        mark: Mark::Line,
        x: (if is_dated { "date" } else { "row" }.to_owned(), axis),
        series: vec![(name.to_owned(), known), ("forecast".to_owned(), follows)],
        band,
    }
    .made()
}

fn table(name: &str, made: &Forecast, labels: &[String]) -> super::output::Made {
    let columns = ["at", "value", "low 80 %", "high 80 %", "low 95 %", "high 95 %"].map(str::to_owned);
    let rows: Vec<Vec<Value>> = made
        .points
        .iter()
        .zip(labels)
        .map(|(point, label)| {
            let figures = [point.value, point.low_80, point.high_80, point.low_95, point.high_95];
            std::iter::once(Value::from(label.clone())).chain(figures.map(rounded)).collect()
        })
        .collect();
    csv::table(format!("{name}: forecast"), &columns, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(&str, Option<f64>)]) -> Series {
        series(rows.iter().map(|(date, figure)| (Some((*date).to_owned()), *figure)).collect()).unwrap()
    }

    #[test]
    fn a_series_ends_with_its_last_figure() {
        let rows = [("2024-01", Some(1.0)), ("2024-02", None), ("2024-03", Some(3.0)), ("2024-04", None)];
        let found = of(&rows);
        assert_eq!((found.figures, found.every), (vec![Some(1.0), None, Some(3.0)], Some(Every::Month)));
        assert_eq!(found.dates, ["2024-01", "2024-02", "2024-03"]);
        let none = of(&[("2024-01", None), ("2024-02", None)]);
        assert!(none.figures.is_empty() && none.dates.is_empty());
    }
}
