//! An expression as a tree: its value, and how it is written. Pure.

use std::fmt;

use super::{
    function::Function,
    number::{self, written},
};

/// Names that everybody knows; an input or a result of the same name counts instead.
pub const CONSTANTS: [(&str, f64); 2] = [("pi", std::f64::consts::PI), ("e", std::f64::consts::E)];

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Number(f64),
    Name(String),
    Negative(Box<Node>),
    /// Hundredths.
    Percent(Box<Node>),
    Power(Box<Node>, Box<Node>),
    /// From the left: the first, and what is done to it one after the other. Never nested for its length, so that a long
    /// sum is no deep tree.
    Chain(Box<Node>, Vec<(Operator, Node)>),
    Compare(Box<Node>, Comparison, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Different,
}

/// Why an expression has no value. No infinity and no NaN is ever one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArithmeticError {
    /// A name without a value.
    #[error("there is no `{0}`")]
    Unknown(String),
    /// By zero.
    #[error("{0} is a division by zero")]
    DivisionByZero(String),
    /// Like the root of a negative number.
    #[error("{0} is no number")]
    Undefined(String),
    /// Larger than a 64-bit float can be.
    #[error("{0} is too large")]
    TooLarge(String),
}

impl Node {
    pub(super) fn evaluate(&self, value: &dyn Fn(&str) -> Option<f64>) -> Result<f64, ArithmeticError> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Name(name) => {
                let constant = || CONSTANTS.iter().find(|(known, _)| known == name).map(|(_, constant)| *constant);
                value(name).or_else(constant).ok_or_else(|| ArithmeticError::Unknown(name.clone()))
            }
            Self::Negative(inner) => Ok(-inner.evaluate(value)?),
            Self::Percent(inner) => Ok(inner.evaluate(value)? / 100.0),
            Self::Power(base, exponent) => {
                let (base, exponent) = (base.evaluate(value)?, exponent.evaluate(value)?);
                let told = || format!("{} ^ {}", written(base), written(exponent));
                if base == 0.0 && exponent < 0.0 {
                    return Err(ArithmeticError::DivisionByZero(told()));
                }
                finite(base.powf(exponent), told)
            }
            Self::Chain(first, rest) => {
                let first = first.evaluate(value)?;
                rest.iter().try_fold(first, |left, (operator, right)| operator.apply(left, right.evaluate(value)?))
            }
            Self::Compare(left, comparison, right) => {
                Ok(f64::from(u8::from(comparison.holds(left.evaluate(value)?, right.evaluate(value)?))))
            }
            // Of its two ways only one is gone: the other may be the one that divides by zero.
            Self::Call(Function::If, arguments) => match arguments.as_slice() {
                [condition, then, otherwise] => {
                    if condition.evaluate(value)? != 0.0 {
                        then.evaluate(value)
                    } else {
                        otherwise.evaluate(value)
                    }
                }
                _ => Err(ArithmeticError::Undefined(Function::If.name().to_owned())),
            },
            Self::Call(function, arguments) => {
                let values: Vec<f64> = arguments.iter().map(|one| one.evaluate(value)).collect::<Result<_, _>>()?;
                finite(function.apply(&values), || {
                    let values: Vec<String> = values.iter().map(|one| written(*one)).collect();
                    format!("{}({})", function.name(), values.join(", "))
                })
            }
        }
    }

    pub(super) fn collect<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Number(_) => {}
            Self::Name(name) => names.push(name),
            Self::Negative(inner) | Self::Percent(inner) => inner.collect(names),
            Self::Power(left, right) | Self::Compare(left, _, right) => {
                left.collect(names);
                right.collect(names);
            }
            Self::Chain(first, rest) => {
                first.collect(names);
                rest.iter().for_each(|(_, node)| node.collect(names));
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|node| node.collect(names)),
        }
    }

    /// How strongly it holds together: the stronger stands in the weaker without parentheses.
    fn strength(&self) -> u8 {
        match self {
            Self::Compare(..) => 0,
            Self::Chain(_, rest) => rest.first().map_or(5, |(operator, _)| operator.strength()),
            Self::Negative(_) => 3,
            Self::Power(..) => 4,
            Self::Percent(_) => 5,
            Self::Number(_) | Self::Name(_) | Self::Call(..) => 6,
        }
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, least: u8) -> fmt::Result {
        if self.strength() < least {
            f.write_str("(")?;
            self.write(f, 0)?;
            return f.write_str(")");
        }
        match self {
            Self::Number(number) => f.write_str(&written(*number)),
            Self::Name(name) => f.write_str(name),
            Self::Negative(inner) => {
                f.write_str("-")?;
                inner.write(f, 3)
            }
            Self::Percent(inner) => {
                inner.write(f, 6)?;
                f.write_str("%")
            }
            Self::Power(base, exponent) => {
                base.write(f, 5)?;
                f.write_str(" ^ ")?;
                exponent.write(f, 3)
            }
            Self::Chain(first, rest) => {
                first.write(f, self.strength() + 1)?; // In parentheses, it is another chain.
                for (operator, node) in rest {
                    write!(f, " {} ", operator.sign())?;
                    // With a minus behind it, `%` would be hundredths.
                    let least = if *operator == Operator::Remainder { 4 } else { operator.strength() + 1 };
                    node.write(f, least)?;
                }
                Ok(())
            }
            Self::Compare(left, comparison, right) => {
                left.write(f, 1)?;
                write!(f, " {} ", comparison.sign())?;
                right.write(f, 1)
            }
            Self::Call(function, arguments) => {
                write!(f, "{}(", function.name())?;
                for (at, argument) in arguments.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    argument.write(f, 0)?;
                }
                f.write_str(")")
            }
        }
    }
}

impl Operator {
    fn apply(self, left: f64, right: f64) -> Result<f64, ArithmeticError> {
        let told = || format!("{} {} {}", written(left), self.sign(), written(right));
        let value = match self {
            Self::Divide | Self::Remainder if right == 0.0 => return Err(ArithmeticError::DivisionByZero(told())),
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
        };
        finite(value, told)
    }

    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    const fn strength(self) -> u8 {
        match self {
            Self::Add | Self::Subtract => 1,
            Self::Multiply | Self::Divide | Self::Remainder => 2,
        }
    }
}

impl Comparison {
    /// The longer ones first, so that the first that fits is meant.
    pub(super) const ALL: [Self; 6] =
        [Self::AtMost, Self::AtLeast, Self::Equal, Self::Different, Self::Less, Self::Greater];

    fn holds(self, left: f64, right: f64) -> bool {
        let (left, right) = (number::tidy(left), number::tidy(right));
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::Different => left != right,
        }
    }

    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::Different => "!=",
        }
    }
}

fn finite(value: f64, told: impl Fn() -> String) -> Result<f64, ArithmeticError> {
    if value.is_nan() {
        Err(ArithmeticError::Undefined(told()))
    } else if value.is_infinite() {
        Err(ArithmeticError::TooLarge(told()))
    } else {
        Ok(value)
    }
}
