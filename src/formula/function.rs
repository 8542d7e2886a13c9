//! The functions of expressions. Pure.

use super::number;

/// The most arguments of one that takes any number of them.
const MANY: usize = 64;
/// Beyond so many decimal places there is nothing to round.
const MAX_PLACES: f64 = 15.0;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// `if(condition, then, otherwise)`: whichever it is, the other is not looked at.
    If,
    Min,
    Max,
    Abs,
    /// To the nearest, halves away from zero; the second argument is the number of decimal places.
    Round,
    Floor,
    Ceil,
    Sqrt,
    Exp,
    Ln,
    Log10,
    Pow,
}

impl Function {
    /// Each with its name, and the least and the most of its arguments.
    const ALL: [(Self, &str, usize, usize); 12] = [
        (Self::If, "if", 3, 3),
        (Self::Min, "min", 1, MANY),
        (Self::Max, "max", 1, MANY),
        (Self::Abs, "abs", 1, 1),
        (Self::Round, "round", 1, 2),
        (Self::Floor, "floor", 1, 1),
        (Self::Ceil, "ceil", 1, 1),
        (Self::Sqrt, "sqrt", 1, 1),
        (Self::Exp, "exp", 1, 1),
        (Self::Ln, "ln", 1, 1),
        (Self::Log10, "log10", 1, 1),
        (Self::Pow, "pow", 2, 2),
    ];

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, ..)| *known == name).map(|(function, ..)| *function)
    }

    pub(super) fn name(self) -> &'static str {
        self.entry().1
    }

    /// The least and the most of its arguments.
    pub(super) fn arity(self) -> (usize, usize) {
        (self.entry().2, self.entry().3)
    }

    fn entry(self) -> (Self, &'static str, usize, usize) {
        Self::ALL[self as usize]
    }

    /// Its value, which is NaN where there is none. `If` is not among those that are asked.
    pub(super) fn apply(self, values: &[f64]) -> f64 {
        let first = values.first().copied().unwrap_or(f64::NAN);
        let second = values.get(1).copied();
        match self {
            Self::If => f64::NAN,
            Self::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Abs => first.abs(),
            Self::Round => number::round(first, second.unwrap_or(0.0).clamp(-MAX_PLACES, MAX_PLACES) as i32),
            Self::Floor => number::tidy(first).floor(),
            Self::Ceil => number::tidy(first).ceil(),
            Self::Sqrt => first.sqrt(),
            Self::Exp => first.exp(),
            Self::Ln | Self::Log10 if first <= 0.0 => f64::NAN,
            Self::Ln => first.ln(),
            Self::Log10 => first.log10(),
            Self::Pow => first.powf(second.unwrap_or(f64::NAN)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_at_its_place() {
        for (at, (function, name, ..)) in Function::ALL.iter().enumerate() {
            assert_eq!((*function as usize, Function::of(name)), (at, Some(*function)));
        }
    }
}
