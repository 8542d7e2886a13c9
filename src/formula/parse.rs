//! From text to an expression, by one function for each strength. Pure.

use super::{
    function::Function,
    node::{Comparison, Node, Operator},
};

/// The longest expression, in characters.
pub const MAX_CHARS: usize = 1000;

/// The deepest nesting: of parentheses, powers and signs.
const MAX_DEPTH: usize = 64;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {problem}")]
pub struct SyntaxError {
    /// Where, in characters from 1.
    pub at: usize,
    /// What is wrong there.
    pub problem: String,
}

/// A text, and how far it was read.
pub(super) struct Parser<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    depth: usize,
}

type Parsed = Result<Node, SyntaxError>;

impl<'a> Parser<'a> {
    pub(super) fn parse(text: &'a str) -> Parsed {
        let mut parser = Self { text, at: 0, depth: 0 };
        if text.chars().nth(MAX_CHARS).is_some() {
            return parser.wrong(format!("an expression has at most {MAX_CHARS} characters"));
        }
        let node = parser.comparison()?;
        match parser.peek() {
            None => Ok(node),
            Some(other) => parser.wrong(format!("`{other}` was not expected")),
        }
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        let Some(comparison) = Comparison::ALL.into_iter().find(|one| self.take(one.sign())) else { return Ok(left) };
        Ok(Node::Compare(Box::new(left), comparison, Box::new(self.sum()?)))
    }

    fn sum(&mut self) -> Parsed {
        self.chain(&[Operator::Add, Operator::Subtract], Self::product)
    }

    fn product(&mut self) -> Parsed {
        self.chain(&[Operator::Multiply, Operator::Divide, Operator::Remainder], Self::signed)
    }

    fn chain(&mut self, operators: &[Operator], operand: fn(&mut Self) -> Parsed) -> Parsed {
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some(operator) = operators.iter().copied().find(|one| self.take(one.sign())) {
            rest.push((operator, operand(self)?));
        }
        Ok(if rest.is_empty() { first } else { Node::Chain(Box::new(first), rest) })
    }

    /// With a sign or without. Whatever is nested comes by here, so that here is where it is counted.
    fn signed(&mut self) -> Parsed {
        if self.depth == MAX_DEPTH {
            return self.wrong(format!("nested deeper than {MAX_DEPTH}"));
        }
        self.depth += 1;
        let node = if self.take("-") { Node::Negative(Box::new(self.signed()?)) } else { self.power()? };
        self.depth -= 1;
        Ok(node)
    }

    fn power(&mut self) -> Parsed {
        let base = self.percent()?;
        if self.take("^") || self.take("**") {
            return Ok(Node::Power(Box::new(base), Box::new(self.signed()?)));
        }
        Ok(base)
    }

    fn percent(&mut self) -> Parsed {
        let inner = self.operand()?;
        if self.rest().starts_with('%') && !self.rest()[1..].trim_start().starts_with(begins_operand) {
            self.at += 1;
            return Ok(Node::Percent(Box::new(inner)));
        }
        Ok(inner)
    }

    fn operand(&mut self) -> Parsed {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.comparison()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(first) if first.is_ascii_digit() || first == '.' => self.number(),
            Some(first) if first.is_ascii_alphabetic() || first == '_' => self.named(),
            Some(other) => self.wrong(format!("`{other}` stands where a number or a name should")),
            None => self.wrong("a number or a name is missing".to_owned()),
        }
    }

    fn number(&mut self) -> Parsed {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let text = &self.text[self.at..];
        let mut end = digits(text);
        if text[end..].starts_with('.') {
            end += 1 + digits(&text[end + 1..]);
        }
        if text[end..].starts_with(['e', 'E']) {
            let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
            let exponent = digits(&text[end + 1 + sign..]);
            end += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
        match text[..end].parse::<f64>() {
            Ok(number) if number.is_finite() => {
                self.at += end;
                Ok(Node::Number(number))
            }
            Ok(_) => self.wrong("the number is too large".to_owned()),
            Err(_) => self.wrong("a number has digits".to_owned()),
        }
    }

    fn named(&mut self) -> Parsed {
        let text = &self.text[self.at..];
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let name = &text[..end];
        if !text[end..].trim_start().starts_with('(') {
            self.at += end;
            return Ok(Node::Name(name.to_owned()));
        }
        let Some(function) = Function::of(name) else {
            return self.wrong(format!("there is no function `{name}`"));
        };
        let begin = self.at;
        self.at += end;
        self.expect("(")?;
        let mut arguments = vec![self.comparison()?];
        while self.take(",") {
            arguments.push(self.comparison()?);
        }
        self.expect(")")?;
        let (least, most) = function.arity();
        if !(least..=most).contains(&arguments.len()) {
            self.at = begin;
            let takes = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return self.wrong(format!("`{name}` takes {takes} values, not {}", arguments.len()));
        }
        Ok(Node::Call(function, arguments))
    }

    fn expect(&mut self, sign: &str) -> Result<(), SyntaxError> {
        if self.take(sign) { Ok(()) } else { self.wrong(format!("`{sign}` is missing")).map(|_| ()) }
    }

    /// Goes over a sign, when it is the next.
    fn take(&mut self, sign: &str) -> bool {
        let next = self.rest();
        // Of a power written as `**`, the first half is no product.
        let is_next = next.starts_with(sign) && !(sign == "*" && next.starts_with("**"));
        if is_next {
            self.at += sign.len();
        }
        is_next
    }

    fn peek(&mut self) -> Option<char> {
        self.rest().chars().next()
    }

    /// What is left, from the next sign on.
    fn rest(&mut self) -> &'a str {
        let left = &self.text[self.at..];
        let rest = left.trim_start();
        self.at += left.len() - rest.len();
        rest
    }

    fn wrong(&self, problem: String) -> Parsed {
        let at = self.text[..self.at].chars().count() + 1;
        Err(SyntaxError { at, problem })
    }
}

fn begins_operand(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '(' | '.' | '_')
}
