//! Charts as the page draws them: a part of Vega-Lite that has no program in it. Whoever has vega can draw them, too. Pure.
//!
//! The specification is made here and not by the model, which says what is wanted alone: nothing in it is an expression, an
//! address or a transformation.

use serde_json::{Map, Value, json};

use super::output::Made;
use crate::chat::ArtifactKind;

/// The media type of a specification.
const MEDIA: &str = "application/vnd.vegalite.v5+json";
const SCHEMA: &str = "https://vega.github.io/schema/vega-lite/v5.json";
/// The most points of a chart, all series together.
pub(super) const MAX_POINTS: usize = 2000;

/// How values are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Line,
    Bar,
    Area,
    Point,
}

impl Mark {
    pub(super) const NAMES: [(&'static str, Self); 4] =
        [("line", Self::Line), ("bar", Self::Bar), ("area", Self::Area), ("point", Self::Point)];

    const fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Bar => "bar",
            Self::Area => "area",
            Self::Point => "point",
        }
    }
}

/// What the axis from left to right has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Temporal,
    Ordinal,
    Quantitative,
}

impl Axis {
    const fn name(self) -> &'static str {
        match self {
            Self::Temporal => "temporal",
            Self::Ordinal => "ordinal",
            Self::Quantitative => "quantitative",
        }
    }
}

/// A point of a series.
pub(super) type Spot = (Value, f64);

/// A chart.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) mark: Mark,
    /// The name of the axis, and what it has.
    pub(super) x: (String, Axis),
    /// Each with its name.
    pub(super) series: Vec<(String, Vec<Spot>)>,
    /// From where to where each point of the last series may lie; none: that is not known.
    pub(super) band: Vec<(f64, f64)>,
}

/// What the fields of values are called. Names of columns are values, and no fields: in a field's name, `.` and `[` mean something.
const X: &str = "x";
const Y: &str = "value";
const SERIES: &str = "series";
const LOW: &str = "low 80 %";
const HIGH: &str = "high 80 %";

impl Chart {
    /// As a file.
    pub(super) fn made(self) -> Made {
        let title = self.title.clone();
        let bytes = self.spec().to_string().into_bytes();
        Made { kind: ArtifactKind::Chart, title, media: MEDIA, bytes }
    }

    fn spec(self) -> Value {
        let Self { title, mark, x: (name, axis), series, band } = self;
        let mut values: Vec<Value> = Vec::new();
        let is_several = series.len() > 1;
        for (number, (called, spots)) in series.iter().enumerate() {
            // They are the last one's.
            let mut bounds = band.iter().filter(|_| number + 1 == series.len());
            for (at, value) in spots {
                let mut row = json!({X: at, Y: value, SERIES: called});
                if let (Some((low, high)), Some(row)) = (bounds.next(), row.as_object_mut()) {
                    row.insert(LOW.to_owned(), json!(low));
                    row.insert(HIGH.to_owned(), json!(high));
                }
                values.push(row);
            }
        }
        let x = json!({"field": X, "type": axis.name(), "title": name});
        let mut y = Map::from_iter([("field".to_owned(), Y.into()), ("type".to_owned(), "quantitative".into())]);
        if let [(only, _)] = series.as_slice() {
            y.insert("title".to_owned(), only.as_str().into());
        }
        let mut layer = Vec::new();
        if !band.is_empty() {
            let encoding = json!({
                "x": x, "y": {"field": LOW, "type": "quantitative"}, "y2": {"field": HIGH},
            });
            layer.push(json!({"mark": "area", "encoding": encoding}));
        }
        let mut encoding = Map::from_iter([("x".to_owned(), x), ("y".to_owned(), Value::Object(y))]);
        if is_several {
            encoding.insert("color".to_owned(), json!({"field": SERIES}));
        }
        layer.push(json!({"mark": mark.name(), "encoding": encoding}));
        values.truncate(MAX_POINTS);
        json!({"$schema": SCHEMA, "title": title, "data": {"values": values}, "layer": layer})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_has_marks_values_and_nothing_else() {
        let chart = Chart {
            title: "<script>alert(1)</script>".to_owned(),
            mark: Mark::Line,
            x: ("a[0].b".to_owned(), Axis::Temporal),
            series: vec![
                ("p".to_owned(), vec![("2024-01".into(), 1.0)]),
                ("q".to_owned(), vec![("2024-02".into(), 2.0)]),
            ],
            band: vec![(1.5, 2.5)],
        };
        let made = chart.made();
        let spec: Value = serde_json::from_slice(&made.bytes).unwrap();
        let names: Vec<_> = spec.as_object().unwrap().keys().cloned().collect();
        assert_eq!((names.len(), made.media), (4, MEDIA));
        assert!(["$schema", "title", "data", "layer"].iter().all(|name| spec.get(name).is_some()));
        assert_eq!(spec["data"]["values"].as_array().unwrap().len(), 2);
        assert_eq!(spec["data"]["values"][1]["low 80 %"], 1.5);
        assert!(spec["data"]["values"][0].get("low 80 %").is_none());
        assert_eq!(spec["layer"][0]["mark"], "area");
        assert_eq!(spec["layer"][1]["encoding"]["color"], json!({"field": "series"}));
        assert_eq!(spec["layer"][1]["encoding"]["x"]["type"], "temporal");
    }
}
