//! `kind = "http"`: a server that is asked, and what of its answer is kept.

use std::collections::BTreeMap;

use ipnet::IpNet;
use toml::{Spanned, de::DeValue};

use super::{
    fields::{Entry, NAME, Source, is_name},
    formula,
    location::Location,
};
use crate::{
    config::{declare::choice, secret::Secret},
    formula::{Input, Template},
};

/// The most values that are taken out of an answer.
const MAX_PICKS: usize = 16;

choice! {
    /// How a server is asked.
    Method {
        /// All arguments stand in the address.
        Get = "GET",
        /// Those that do not stand in the address are sent as a JSON object.
        Post = "POST",
    }
}

/// A server that is asked with the arguments of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCall {
    /// How.
    pub method: Method,
    /// Where.
    pub location: Location,
    /// Headers of every request besides the usual ones.
    pub headers: Vec<(String, Secret)>,
    /// What of the answer is the result: a name and a JSON pointer each; none: all of it.
    pub pick: Vec<(String, String)>,
    /// Addresses that are not public and may be asked all the same.
    pub private_hosts: Vec<IpNet>,
    /// What people read of it.
    pub summary: Option<Template>,
}

/// What is written of one.
pub(super) struct Written<'a> {
    pub(super) method: Method,
    pub(super) url: Option<&'a str>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) private_hosts: Vec<IpNet>,
    pub(super) summary: Option<&'a str>,
}

/// Reads what a tool of this kind does; `None` when it cannot be asked anywhere.
pub(super) fn read(
    source: &mut Source<'_>,
    within: &str,
    tool: &Spanned<DeValue<'_>>,
    inputs: &[Input],
    written: Written<'_>,
) -> Option<HttpCall> {
    let span = tool.span();
    let is_input = |name: &str| inputs.iter().any(|input| input.name == name);
    let location = match Location::parse(written.url.unwrap_or_default()) {
        Ok(location) => location,
        Err(expected) => {
            source.refuse(format!("{within}.url"), expected, "something else, or missing", &span);
            return None;
        }
    };
    let unknown = location.names().find(|name| !is_input(name)).map(str::to_owned);
    if let Some(name) = unknown {
        let expected = "an address with places for inputs alone";
        source.refuse(format!("{within}.url"), expected, format!("one with a place for `{name}`"), &span);
    }
    let unused = inputs.iter().find(|input| !location.names().any(|name| name == input.name));
    if let Some(input) = unused.filter(|_| written.method == Method::Get) {
        let expected = format!("an address with a place for the input `{}`, for GET sends nothing else", input.name);
        source.refuse(format!("{within}.url"), expected, "one without", &span);
    }
    let mut headers = Vec::new();
    for (name, text) in written.headers {
        match with_variables(&text, source.env) {
            Ok(value) => headers.push((name, Secret::new(value))),
            Err(problem) => source.refuse(format!("{within}.headers.{name}"), problem, "something else", &span),
        }
    }
    let pick = pick(source, within, tool);
    let known: Vec<&str> =
        inputs.iter().map(|input| &*input.name).chain(pick.iter().map(|(name, _)| &**name)).collect();
    let summary =
        written.summary.and_then(|text| formula::template(source, format!("{within}.summary"), text, &span, &known));
    let (method, private_hosts) = (written.method, written.private_hosts);
    Some(HttpCall { method, location, headers, pick, private_hosts, summary })
}

fn pick(source: &mut Source<'_>, within: &str, tool: &Spanned<DeValue<'_>>) -> Vec<(String, String)> {
    let Some(table) = tool.get_ref().as_table() else { return Vec::new() };
    let mut pick = Vec::new();
    for Entry { name, span, value } in source.table(within, "pick", MAX_PICKS, table) {
        let key = format!("{within}.pick.{name}");
        match value.get_ref().as_str() {
            _ if !is_name(name) => {
                source.refuse_text(format!("{within}.pick"), format!("named by {NAME}"), name, &span)
            }
            Some(pointer) if pointer.starts_with('/') => pick.push((name.to_owned(), pointer.to_owned())),
            _ => source.refuse(key, "a JSON pointer, like /data/score", "something else", &span),
        }
    }
    pick
}

/// A text in which `{env.NAME}` stands for a variable. What is told of it has no value in it.
fn with_variables(text: &str, env: &BTreeMap<String, String>) -> Result<String, String> {
    let expected = || "a text in which {env.NAME} stands for a variable".to_owned();
    let template = Template::parse(text).map_err(|_| expected())?;
    let value =
        |name: &str| env.get(name.strip_prefix("env.")?).map(|text| text.trim()).filter(|text| !text.is_empty());
    if let Some(other) = template.names().find(|name| value(name).is_none()) {
        return Err(match other.strip_prefix("env.") {
            Some(variable) => format!("made of variables that are set ({variable} is not)"),
            None => expected(),
        });
    }
    let filled = template.fill(|name| value(name).unwrap_or_default().to_owned());
    http::HeaderValue::from_str(&filled)
        .map(|_| filled)
        .map_err(|_| "something that can be sent in a header".to_owned())
}
