//! `time`: what time it is, and days between dates. Pure: it is told the moment.
//!
//! Zones are those of the calendar that comes with the library of the tables.

use arrow_array::{
    temporal_conversions::as_datetime_with_timezone,
    timezone::Tz,
    types::{Date32Type, TimestampMillisecondType},
};
use serde_json::{Map, Value};

use super::{error::ToolError, output::Output};
use crate::{
    chat::Timestamp,
    formula::{Arguments, Input, Inputs, Pattern, Presence, Takes},
};

/// The most days that are counted from a date: some 2,700 years.
const MAX_DAYS: f64 = 1e6;

pub(super) const DESCRIPTION: &str = "Tells the date, the time and the weekday now in a time zone; the weekday of a date; the \
    number of days from a date until another one; and the date so many days after a date.";

pub(super) fn inputs() -> Inputs {
    let input = |name: &str, description: &str, takes, presence| Input {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        unit: None,
        takes,
        choices: Vec::new(),
        presence,
    };
    let text = |pattern: &str| Takes::Text { max_chars: 40, pattern: Pattern::parse(pattern).ok() };
    let date = || text("[0-9]{4}-[0-9]{2}-[0-9]{2}");
    let days = Takes::Number { min: Some(-MAX_DAYS), max: Some(MAX_DAYS), whole: true };
    let zone = "Like Europe/Berlin or +05:30";
    Inputs::new(vec![
        input("zone", zone, text(".+"), Presence::Default("UTC".into())),
        input("date", "Like 2026-02-28; today where it is left out", date(), Presence::Optional),
        input("until", "Counts the days from date until this one", date(), Presence::Optional),
        input("add_days", "Tells the date so many days after date", days, Presence::Optional),
    ])
}

pub(super) fn run(arguments: &Arguments, now: Timestamp) -> Result<Output, ToolError> {
    let zone = arguments.text("zone").unwrap_or("UTC");
    let known: Tz = zone.parse().map_err(|_| ToolError::Zone(zone.to_owned()))?;
    let millis = i64::try_from(now.0).unwrap_or(i64::MAX);
    let now = as_datetime_with_timezone::<TimestampMillisecondType>(millis, known);
    let now = now.ok_or_else(|| ToolError::Day("now".to_owned()))?;
    let from = match arguments.text("date") {
        Some(text) => Day::parse(text)?,
        None => Day(Date32Type::from_naive_date(now.date_naive())),
    };
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("now", now.format("%Y-%m-%dT%H:%M:%S%:z").to_string().into());
    put("zone", zone.into());
    put("date", from.iso()?.into());
    put("weekday", from.written("%A")?.into());
    let mut told = Vec::new();
    if let Some(text) = arguments.text("until") {
        let until = Day::parse(text)?;
        let days = until.0 - from.0;
        put("until", until.iso()?.into());
        put("until_weekday", until.written("%A")?.into());
        put("days", days.into());
        told.push(format!("{} from {} until {}", counted(days.into()), from.iso()?, until.iso()?));
    }
    if let Some(days) = arguments.number("add_days").map(|days| days as i64) {
        let then = i32::try_from(i64::from(from.0) + days).map(Day).map_err(|_| ToolError::Day(text_of(days)))?;
        put("then", then.iso()?.into());
        put("then_weekday", then.written("%A")?.into());
        told.push(format!("{} after {} is {}", counted(days), from.iso()?, then.for_people()?));
    }
    if told.is_empty() {
        told.push(match arguments.text("date") {
            Some(_) => from.for_people()?,
            None => format!("{}, {zone}", now.format("%A, %-d %B %Y, %H:%M")),
        });
    }
    Ok(Output { summary: told.join("; "), data: Value::Object(data), ..Output::default() })
}

fn counted(days: i64) -> String {
    if days.abs() == 1 { format!("{days} day") } else { text_of(days) }
}

fn text_of(days: i64) -> String {
    format!("{days} days")
}

/// A day of the calendar, counted from 1970-01-01.
#[derive(Clone, Copy)]
struct Day(i32);

impl Day {
    fn parse(text: &str) -> Result<Self, ToolError> {
        let day = text.parse().map(|day| Self(Date32Type::from_naive_date(day)));
        day.map_err(|_| ToolError::Day(text.to_owned()))
    }

    fn iso(self) -> Result<String, ToolError> {
        self.written("%Y-%m-%d")
    }

    fn for_people(self) -> Result<String, ToolError> {
        self.written("%A, %-d %B %Y")
    }

    /// Years of other than four digits are none that anybody means.
    fn written(self, form: &str) -> Result<String, ToolError> {
        const FIRST: i32 = -719_162; // 0001-01-01
        const LAST: i32 = 2_932_896; // 9999-12-31
        let day = (FIRST..=LAST).contains(&self.0).then(|| Date32Type::to_naive_date_opt(self.0)).flatten();
        day.map(|day| day.format(form).to_string()).ok_or_else(|| ToolError::Day(text_of(self.0.into())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-03-28T23:30:00Z: in Berlin half past midnight of the day on which the clocks are put forward.
    const NIGHT: Timestamp = Timestamp(1_774_740_600_000);

    fn of(arguments: Value) -> Result<Output, String> {
        let arguments = inputs().check(&arguments).map_err(|error| error.to_string())?;
        run(&arguments, NIGHT).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_as_late_as_it_is_in_the_zone() {
        let rows = [
            (json!({}), "2026-03-28T23:30:00+00:00", "Saturday, 28 March 2026, 23:30, UTC"),
            (
                json!({"zone": "Europe/Berlin"}),
                "2026-03-29T00:30:00+01:00",
                "Sunday, 29 March 2026, 00:30, Europe/Berlin",
            ),
            (
                json!({"zone": "Asia/Kolkata"}),
                "2026-03-29T05:00:00+05:30",
                "Sunday, 29 March 2026, 05:00, Asia/Kolkata",
            ),
            (json!({"zone": "-08:00"}), "2026-03-28T15:30:00-08:00", "Saturday, 28 March 2026, 15:30, -08:00"),
        ];
        for (arguments, now, summary) in rows {
            let output = of(arguments).unwrap();
            assert_eq!((output.data["now"].as_str(), &*output.summary), (Some(now), summary));
        }
        // Two hours later the clocks there have been put forward.
        let berlin = inputs().check(&json!({"zone": "Europe/Berlin"})).unwrap();
        let later = run(&berlin, Timestamp(NIGHT.0 + 2 * 3_600_000)).unwrap();
        assert_eq!(later.data["now"], "2026-03-29T03:30:00+02:00");
    }

    #[test]
    fn days_are_counted_in_both_directions() {
        let until = of(json!({"date": "2024-02-28", "until": "2024-03-01"})).unwrap();
        assert_eq!((&until.data["days"], &until.data["until_weekday"]), (&json!(2), &json!("Friday")));
        assert_eq!(until.summary, "2 days from 2024-02-28 until 2024-03-01");
        let back = of(json!({"until": "2026-03-27"})).unwrap();
        assert_eq!((&back.data["days"], &*back.summary), (&json!(-1), "-1 day from 2026-03-28 until 2026-03-27"));
        let then = of(json!({"date": "2026-11-27", "add_days": 90})).unwrap();
        assert_eq!(then.summary, "90 days after 2026-11-27 is Thursday, 25 February 2027");
        assert_eq!(of(json!({"date": "2000-02-29"})).unwrap().summary, "Tuesday, 29 February 2000");
    }

    #[test]
    fn what_there_is_not_is_told_in_words() {
        let rows = [
            (json!({"zone": "Mars/Olympus"}), "there is no time zone `Mars/Olympus`"),
            (json!({"zone": "+99:99"}), "there is no time zone `+99:99`"),
            (json!({"date": "2026-02-30"}), "there is no day `2026-02-30`"),
            (json!({"date": "28.02.2026"}), "date: of the form "),
            (json!({"date": "9999-12-31", "add_days": 1}), "there is no day `2932897 days`"),
            (json!({"date": "0000-01-01"}), "there is no day "),
            (json!({"add_days": 1e9}), "add_days: at most 1,000,000"),
        ];
        for (arguments, expected) in rows {
            let told = of(arguments.clone()).unwrap_err();
            assert!(told.starts_with(expected), "{arguments}: {told}");
        }
    }
}
