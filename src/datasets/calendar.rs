//! How dates of a column follow one another, and which come next. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::days_in;

/// How far apart dates are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// Three months.
    Quarter,
    /// A year.
    Year,
}

impl Every {
    /// So many of them make a season; 1: they make none.
    #[must_use]
    pub const fn season(self) -> usize {
        match self {
            Self::Day => 7,
            Self::Week => 52,
            Self::Month => 12,
            Self::Quarter => 4,
            Self::Year => 1,
        }
    }

    /// For people.
    #[must_use]
    pub const fn adverb(self) -> &'static str {
        match self {
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Quarter => "quarterly",
            Self::Year => "yearly",
        }
    }

    /// Months from one to the next; 0 where they are counted in days.
    const fn months(self) -> i64 {
        match self {
            Self::Day | Self::Week => 0,
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
        }
    }
}

/// A date in its parts; without a day, and with a quarter as its first month.
#[derive(Debug, Clone, Copy)]
struct Date {
    year: i64,
    month: i64,
    day: Option<i64>,
    is_quarter: bool,
}

impl Date {
    /// A date as it is kept, or a year.
    fn parse(text: &str) -> Option<Self> {
        let year: i64 = text.get(..4)?.parse().ok()?;
        let date = match text.get(5..) {
            None => Self { year, month: 1, day: None, is_quarter: false },
            Some(rest) if rest.starts_with('Q') => {
                Self { year, month: rest[1..].parse::<i64>().ok()? * 3 - 2, day: None, is_quarter: true }
            }
            Some(rest) => {
                let day = rest.get(3..).map(str::parse).transpose().ok()?;
                Self { year, month: rest.get(..2)?.parse().ok()?, day, is_quarter: false }
            }
        };
        Some(date)
    }

    const fn months(self) -> i64 {
        self.year * 12 + self.month - 1
    }

    /// Days since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
    fn days(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day.unwrap_or(1) - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// The day so many days after 1970-01-01.
    fn of_days(days: i64) -> Self {
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        Self { year, month, day: Some(of_year - (153 * shifted + 2) / 5 + 1), is_quarter: false }
    }

    fn written(self, is_year: bool) -> String {
        let Self { year, month, day, is_quarter } = self;
        match day {
            _ if is_year => format!("{year}"),
            None if is_quarter => format!("{year:04}-Q{}", (month + 2) / 3),
            None => format!("{year:04}-{month:02}"),
            Some(day) => format!("{year:04}-{month:02}-{day:02}"),
        }
    }
}

/// How far apart dates are, which stand in their order, each once; `None` where they are not of one measure.
#[must_use]
pub fn every(dates: &[String]) -> Option<Every> {
    let parsed: Vec<Date> = dates.iter().map(|date| Date::parse(date)).collect::<Option<_>>()?;
    let are_days = parsed.iter().all(|date| date.day.is_some());
    let mut steps: Vec<i64> = parsed
        .windows(2)
        .map(|two| if are_days { two[1].days() - two[0].days() } else { two[1].months() - two[0].months() })
        .collect();
    steps.sort_unstable();
    let middle = *steps.get(steps.len() / 2)?;
    match (are_days, middle) {
        (true, 1) => Some(Every::Day),
        (true, 7) => Some(Every::Week),
        (true, 28..=31) | (false, 1) => Some(Every::Month),
        (true, 89..=92) | (false, 3) => Some(Every::Quarter),
        (true, 365 | 366) | (false, 12) => Some(Every::Year),
        _ => None,
    }
}

/// The step on which a date stands, counted from the first one; `None` where it stands on none.
#[must_use]
pub fn step(first: &str, date: &str, every: Every) -> Option<usize> {
    let (first, date) = (Date::parse(first)?, Date::parse(date)?);
    let steps = match every {
        Every::Day => date.days() - first.days(),
        Every::Week => {
            let days = date.days() - first.days();
            if days % 7 != 0 { return None } else { days / 7 }
        }
        _ => {
            let months = date.months() - first.months();
            if months % every.months() != 0 { return None } else { months / every.months() }
        }
    };
    usize::try_from(steps).ok()
}

/// The dates after this one, which is of these, so many.
#[must_use]
pub fn following(last: &str, dates: &[String], every: Every, many: usize) -> Vec<String> {
    let Some(date) = Date::parse(last) else { return Vec::new() };
    let is_year = last.len() == 4;
    let all: Vec<Date> = dates.iter().filter_map(|date| Date::parse(date)).chain([date]).collect();
    let is_end = |date: &Date| date.day == Some(days_in(date.year, date.month));
    // The end of a month is followed by the end of the next, where all are ends: the 28th of February may also be as far as
    // a series of 30ths comes.
    let wanted = if all.iter().all(is_end) {
        date.day.map(|_| 31)
    } else if is_end(&date) {
        all.iter().filter_map(|date| date.day).max()
    } else {
        date.day
    };
    let next = |at: i64| match every {
        Every::Day => Date::of_days(date.days() + at),
        Every::Week => Date::of_days(date.days() + 7 * at),
        _ => {
            let months = date.months() + every.months() * at;
            let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
            let day = wanted.map(|day| day.min(days_in(year, month)));
            Date { year, month, day, is_quarter: date.is_quarter }
        }
    };
    (1..=many as i64).map(|at| next(at).written(is_year)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(dates: &[&str]) -> Vec<String> {
        dates.iter().map(|date| (*date).to_owned()).collect()
    }

    #[test]
    fn dates_go_on_as_they_came() {
        let rows: [(&[&str], Every, &[&str]); 12] = [
            (&["2024-10", "2024-11", "2024-12"], Every::Month, &["2025-01", "2025-02"]),
            (&["2024-Q3", "2024-Q4"], Every::Quarter, &["2025-Q1", "2025-Q2"]),
            (&["2024-01-31", "2024-02-29", "2024-03-31"], Every::Month, &["2024-04-30", "2024-05-31"]),
            (&["2024-02-27", "2024-02-28"], Every::Day, &["2024-02-29", "2024-03-01"]),
            (&["2023-12-18", "2023-12-25"], Every::Week, &["2024-01-01", "2024-01-08"]),
            (&["2022", "2023"], Every::Year, &["2024", "2025"]),
            (&["2022-06-30", "2023-06-30"], Every::Year, &["2024-06-30", "2025-06-30"]),
            (&["2024-01-15", "2024-02-15"], Every::Month, &["2024-03-15", "2024-04-15"]),
            (&["2023-01-28", "2023-02-28"], Every::Month, &["2023-03-28", "2023-04-28"]),
            (&["2023-01-30", "2023-02-28"], Every::Month, &["2023-03-30", "2023-04-30"]),
            (&["2023-03-30", "2023-04-30"], Every::Month, &["2023-05-30", "2023-06-30"]),
            (&["2023-06-30", "2023-09-30"], Every::Quarter, &["2023-12-31", "2024-03-31"]),
        ];
        for (dates, expected, next) in rows {
            let dates = texts(dates);
            assert_eq!(every(&dates), Some(expected), "{dates:?}");
            assert_eq!(following(dates.last().unwrap(), &dates, expected, 2), texts(next));
            let last = dates.len() - 1;
            assert_eq!(step(&dates[0], &dates[last], expected), Some(last));
        }
        assert_eq!(every(&texts(&["2024-01-01", "2024-01-03", "2024-01-05"])), None);
        assert_eq!(every(&texts(&["2024-01"])), None);
        assert_eq!(step("2024-01", "2024-06", Every::Month), Some(5));
        assert_eq!(step("2024-01-01", "2024-01-05", Every::Week), None);
        for days in [-800_000, -719_468, -1, 0, 59, 60, 11_016, 2_932_896] {
            assert_eq!(Date::of_days(days).days(), days);
        }
    }
}
