//! What a cell says: numbers as people write them, and dates. Pure.

/// What stands before the fraction of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decimal {
    Point,
    Comma,
}

/// What people write where there is nothing.
const NOTHING: [&str; 12] = ["", "-", "–", "—", "..", "n/a", "na", "nan", "null", "none", "#n/a", "k.a."];
/// The longest number, in bytes.
const MAX_NUMBER: usize = 40;

/// Whether a cell says that there is nothing.
pub(super) fn is_nothing(cell: &str) -> bool {
    cell.len() <= 5 && NOTHING.contains(&cell.to_lowercase().as_str())
}

/// A number; `None` where it is none in this way of writing.
pub(super) fn number(cell: &str, decimal: Decimal) -> Option<f64> {
    if cell.is_empty() || cell.len() > MAX_NUMBER {
        return None;
    }
    let (sign, unsigned) = match cell.strip_prefix(['-', '−']) {
        Some(rest) => (-1.0, rest),
        None => (1.0, cell.strip_prefix('+').unwrap_or(cell)),
    };
    let (point, comma) = if decimal == Decimal::Point { ('.', ',') } else { (',', '.') };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.parse::<i16>().ok()?)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once(point).unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let between = [comma, '\'', '’', ' ', '\u{a0}', '\u{202f}'].into_iter().find(|mark| whole.contains(*mark));
    let whole = match between {
        Some(mark) => {
            let groups: Vec<&str> = whole.split(mark).collect();
            let is_first = groups.first().is_some_and(|first| (1..=3).contains(&first.len()));
            let is_last = groups.last().is_some_and(|last| last.len() == 3);
            let are_others = groups[1..].iter().all(|group| (2..=3).contains(&group.len()));
            if !is_first || !is_last || !are_others {
                return None;
            }
            groups.concat()
        }
        None => whole.to_owned(),
    };
    // A number that begins with zeros is a name: of a place, of an account.
    let is_name = whole.len() > 1 && whole.starts_with('0');
    if is_name || !is_digits(&whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let text = format!("{whole}.{fraction}e{}", exponent.unwrap_or_default());
    let text = if whole.is_empty() { format!("0{text}") } else { text };
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(|value| sign * value)
}

/// Ways to write a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// 2024-03-31, with nothing behind it or midnight.
    Iso,
    /// 2024-03.
    Month,
    /// 2024Q1, 2024-Q1.
    Quarter,
    /// 31.03.2024.
    Dotted,
    /// 31/03/2024.
    DayFirst,
    /// 03/31/2024.
    MonthFirst,
}

impl Form {
    pub(super) const ALL: [Self; 6] =
        [Self::Iso, Self::Month, Self::Quarter, Self::Dotted, Self::DayFirst, Self::MonthFirst];

    /// A date as it is kept: 2024-03-31, 2024-03 or 2024-Q1.
    pub(super) fn read(self, cell: &str) -> Option<String> {
        if cell.len() > 30 || !cell.is_ascii() {
            return None;
        }
        match self {
            Self::Iso => {
                let midnight = ["T00:00:00", " 00:00:00", "T00:00:00Z", " 00:00"];
                let date = midnight.iter().find_map(|end| cell.strip_suffix(end)).unwrap_or(cell);
                let mut parts = date.split('-');
                day(parts.next()?, parts.next()?, parts.next()?, parts.next())
            }
            Self::Month => {
                let (year, month) = cell.split_once('-')?;
                let (year, month) = (year_of(year)?, of_two(month).filter(|month| (1..=12).contains(month))?);
                Some(format!("{year:04}-{month:02}"))
            }
            Self::Quarter => {
                let (year, quarter) = cell.split_once(['Q', 'q'])?;
                let year = year_of(year.trim_end_matches(['-', ' ']))?;
                let quarter: u32 = quarter.parse().ok().filter(|quarter| (1..=4).contains(quarter))?;
                Some(format!("{year:04}-Q{quarter}"))
            }
            Self::Dotted => {
                let mut parts = cell.split('.');
                let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
                day(third, second, first, parts.next())
            }
            Self::DayFirst | Self::MonthFirst => {
                let mut parts = cell.split('/');
                let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
                let (month, date) = if self == Self::DayFirst { (second, first) } else { (first, second) };
                day(third, month, date, parts.next())
            }
        }
    }

    /// Whatever date it is.
    pub(super) fn any(cell: &str) -> Option<String> {
        Self::ALL.into_iter().find_map(|form| form.read(cell))
    }
}

fn day(year: &str, month: &str, day: &str, rest: Option<&str>) -> Option<String> {
    let (year, month, day) = (year_of(year)?, of_two(month)?, of_two(day)?);
    let is_one = rest.is_none() && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    is_one.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn year_of(text: &str) -> Option<i64> {
    let year = text.parse().ok().filter(|_| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit()))?;
    (1000..=9999).contains(&year).then_some(year)
}

fn of_two(text: &str) -> Option<i64> {
    let is_one = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_one)
}

/// Days of a month.
pub(super) fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_ways_of_writing() {
        let rows = [
            ("1234.5", Some(1234.5), None),
            ("1234,5", None, Some(1234.5)),
            ("1,234", Some(1234.0), Some(1.234)),
            ("1.234", Some(1.234), Some(1234.0)),
            ("1.234.567,89", None, Some(1_234_567.89)),
            ("1 234,5", None, Some(1234.5)),
            ("1'234.5", Some(1234.5), None),
            ("−3", Some(-3.0), Some(-3.0)),
            ("-.5", Some(-0.5), None),
            ("1e3", Some(1000.0), Some(1000.0)),
            ("5,00,000", Some(500_000.0), None),
            ("0", Some(0.0), Some(0.0)),
            ("007", None, None),
            ("1,23", None, Some(1.23)),
            ("12%", None, None),
            ("=1+1", None, None),
            ("1e999", None, None),
            ("inf", None, None),
            ("1.2.3", None, None),
            (".", None, None),
            ("", None, None),
        ];
        for (cell, point, comma) in rows {
            assert_eq!((number(cell, Decimal::Point), number(cell, Decimal::Comma)), (point, comma), "{cell}");
        }
    }

    #[test]
    fn dates_are_read_in_many_and_none_is_made_up() {
        let rows = [
            ("2024-02-29", Some("2024-02-29")),
            ("2024-02-29T00:00:00", Some("2024-02-29")),
            ("2023-02-29", None),
            ("2024-1", Some("2024-01")),
            ("2024Q3", Some("2024-Q3")),
            ("2024-Q4", Some("2024-Q4")),
            ("2024Q5", None),
            ("1.2.2024", Some("2024-02-01")),
            ("31/03/2024", Some("2024-03-31")),
            ("03/31/2024", Some("2024-03-31")),
            ("2024", None),
            ("24-01-01", None),
            ("2024-13", None),
            ("2024-01-01-01", None),
            ("zwölf", None),
        ];
        for (cell, date) in rows {
            assert_eq!(Form::any(cell).as_deref(), date, "{cell}");
        }
    }
}
