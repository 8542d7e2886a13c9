//! The tools that a caller has, and which of them the model is to call. Pure.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{
    fields::{Fields, Invalid, invalid, unsupported},
    values::is_empty,
};
use crate::llm::{ToolChoice, ToolOffer, ToolSpec};

/// The most tools of a request.
const MAX_TOOLS: usize = 128;
/// The longest name of one, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// The most bytes of a name, a description and a schema together.
const MAX_TOOL_BYTES: usize = 64 << 10;

/// What may be called.
pub(super) fn offer(request: &Fields<'_>) -> Result<ToolOffer, Invalid> {
    let tools = match request.get("tools") {
        None => &[][..],
        Some(nothing) if is_empty(nothing) => &[],
        Some(Value::Array(tools)) if tools.len() <= MAX_TOOLS => tools,
        Some(_) => return Err(request.invalid("tools", &format!("must be a list of at most {MAX_TOOLS}"))),
    };
    let tools = tools.iter().enumerate();
    let tools: Vec<_> = tools.map(|(at, tool)| spec(tool, &format!("tools[{at}]."))).collect::<Result<_, _>>()?;
    let mut names = HashSet::new();
    if let Some(at) = tools.iter().position(|tool| !names.insert(&tool.name)) {
        return Err(request.invalid("tools", &format!("has two of the name `{}`", tools[at].name)));
    }
    let choice = choice(request, &tools)?;
    let one_at_a_time = request.boolean("parallel_tool_calls")? == Some(false);
    if tools.is_empty() {
        return Ok(ToolOffer::default());
    }
    Ok(ToolOffer { tools: tools.into(), choice, one_at_a_time })
}

fn spec(tool: &Value, path: &str) -> Result<ToolSpec, Invalid> {
    let inner = format!("{path}function.");
    let fields = function(&Fields::of(tool, path)?, &inner)?;
    let name = fields.required("name")?.as_str().filter(|name| is_name(name));
    let name =
        name.ok_or_else(|| fields.invalid("name", "must be 1 to 64 of the characters a-z, A-Z, 0-9, _ and -"))?;
    let description = match fields.get("description") {
        None => "",
        Some(text) => text.as_str().ok_or_else(|| fields.invalid("description", "must be a text"))?,
    };
    let parameters = match fields.get("parameters") {
        // Who takes nothing says so in either way, and not every server understands both.
        None => json!({ "type": "object", "properties": {} }),
        Some(Value::Object(schema)) if schema.is_empty() => json!({ "type": "object", "properties": {} }),
        Some(Value::Object(schema)) if schema.get("type").is_none_or(|kind| kind == "object") => schema.clone().into(),
        Some(_) => return Err(fields.invalid("parameters", "must be a JSON schema of an object")),
    };
    let is_strict = fields.boolean("strict")?.unwrap_or(false);
    let spec = ToolSpec { name: name.to_owned(), description: description.to_owned(), parameters, is_strict };
    if spec.bytes() > MAX_TOOL_BYTES {
        return Err(invalid(inner.trim_end_matches('.'), &format!("has more than {MAX_TOOL_BYTES} bytes")));
    }
    Ok(spec)
}

fn choice(request: &Fields<'_>, tools: &[ToolSpec]) -> Result<ToolChoice, Invalid> {
    const FIELD: &str = "tool_choice";
    let choice = match request.get(FIELD) {
        None => ToolChoice::Auto,
        Some(Value::String(choice)) if choice == "auto" => ToolChoice::Auto,
        Some(Value::String(choice)) if choice == "none" => ToolChoice::Nothing,
        Some(Value::String(choice)) if choice == "required" => ToolChoice::Something,
        Some(named @ Value::Object(_)) => {
            let fields = function(&Fields::of(named, "tool_choice.")?, "tool_choice.function.")?;
            let name = fields.text("name")?;
            if !tools.iter().any(|tool| tool.name == name) {
                return Err(fields.invalid("name", "must be the name of one of the `tools`"));
            }
            ToolChoice::Named(name.to_owned())
        }
        Some(_) => return Err(request.invalid(FIELD, "must be `auto`, `none`, `required` or the name of a function")),
    };
    if choice.wants_a_call() && tools.is_empty() {
        return Err(request.invalid(FIELD, "asks for a call, and there are no `tools`"));
    }
    Ok(choice)
}

/// The function that an object is about, which stands at `path` and may be said to be one.
pub(super) fn function<'a>(fields: &Fields<'a>, path: &'a str) -> Result<Fields<'a>, Invalid> {
    match fields.get("type").map(Value::as_str) {
        None | Some(Some("function")) => {}
        Some(Some(_)) => return Err(unsupported(&fields.path("type"))),
        Some(None) => return Err(fields.invalid("type", "must be `function`")),
    }
    Fields::of(fields.required("function")?, path)
}

fn is_name(name: &str) -> bool {
    let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_taken)
}
