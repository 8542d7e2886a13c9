//! What operators write of a tool, and what people's numbers are: what it takes (`input`), arithmetic (`expression`), results
//! that are made of both (`definition`). A leaf of the house, and pure.

mod definition;
mod expression;
mod function;
mod input;
mod node;
pub mod number;
mod parse;
mod pattern;
mod table;
mod template;

pub use self::{
    definition::{Computed, Formula, Output},
    expression::Expression,
    input::{Arguments, BadArguments, Input, Inputs, Presence, Takes},
    node::{ArithmeticError, CONSTANTS},
    parse::{MAX_CHARS, SyntaxError},
    pattern::{Pattern, PatternError},
    template::{Filling, Template, TemplateError},
};
