//! The tools of one assistant.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    calc, chart, context::Context, dataset, document, error::ToolError, forecast, http, knowledge, mcp, memory,
    output::Output, time,
};
use crate::{
    config::{self, BuiltIn, DocumentCall, Does, McpTool},
    formula::{Arguments, BadArguments, Inputs},
    llm::{ToolSpec, estimated_tokens},
};

/// The tools of one assistant.
#[derive(Debug, Clone)]
pub struct Toolbox {
    tools: Vec<Tool>,
    specs: Arc<[ToolSpec]>,
    tokens: u32,
}

/// One tool.
#[derive(Debug, Clone)]
pub struct Tool {
    configured: config::Tool,
    inputs: Inputs,
    client: http::Client,
}

impl Toolbox {
    /// The tools that an assistant's file gives it.
    #[must_use]
    pub fn of(tools: &config::Tools) -> Self {
        let tools: Vec<Tool> = tools.offered.iter().map(Tool::of).collect();
        let specs: Arc<[ToolSpec]> = tools.iter().map(Tool::spec).collect();
        Self { tokens: estimated_tokens(specs.iter().map(ToolSpec::bytes).sum()), tools, specs }
    }

    /// What a model is told of them, in the order of the file; none: the assistant has no tools.
    #[must_use]
    pub fn specs(&self) -> Arc<[ToolSpec]> {
        self.specs.clone()
    }

    /// The one of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name() == name)
    }

    /// About how many tokens it takes to tell a model of them.
    #[must_use]
    pub const fn tokens(&self) -> u32 {
        self.tokens
    }
}

impl Tool {
    fn of(configured: &config::Tool) -> Self {
        let inputs = match configured {
            config::Tool::BuiltIn(BuiltIn::Calc) => calc::inputs(),
            config::Tool::BuiltIn(BuiltIn::Chart) => chart::inputs(),
            config::Tool::BuiltIn(BuiltIn::Dataset) => dataset::inputs(),
            config::Tool::BuiltIn(BuiltIn::Forecast) => forecast::inputs(),
            config::Tool::BuiltIn(BuiltIn::Forget) => memory::forget::inputs(),
            config::Tool::BuiltIn(BuiltIn::Knowledge) => knowledge::inputs(),
            config::Tool::BuiltIn(BuiltIn::Recall) => memory::recall::inputs(),
            config::Tool::BuiltIn(BuiltIn::Remember) => memory::remember::inputs(),
            config::Tool::BuiltIn(BuiltIn::Time) => time::inputs(),
            config::Tool::Own(own) => own.inputs.clone(),
            config::Tool::Mcp(_) => Inputs::default(), // Its server checks them.
        };
        Self { configured: configured.clone(), inputs, client: http::Client::default() }
    }

    fn spec(&self) -> ToolSpec {
        let description = match &self.configured {
            config::Tool::BuiltIn(BuiltIn::Calc) => calc::DESCRIPTION,
            config::Tool::BuiltIn(BuiltIn::Chart) => chart::DESCRIPTION,
            config::Tool::BuiltIn(BuiltIn::Dataset) => dataset::DESCRIPTION,
            config::Tool::BuiltIn(BuiltIn::Forecast) => forecast::DESCRIPTION,
            config::Tool::BuiltIn(BuiltIn::Forget) => memory::forget::DESCRIPTION,
            config::Tool::BuiltIn(BuiltIn::Knowledge) => knowledge::DESCRIPTION,
            config::Tool::BuiltIn(BuiltIn::Recall) => memory::recall::DESCRIPTION,
            config::Tool::BuiltIn(BuiltIn::Remember) => memory::remember::DESCRIPTION,
            config::Tool::BuiltIn(BuiltIn::Time) => time::DESCRIPTION,
            config::Tool::Own(own) => &own.description,
            config::Tool::Mcp(tool) => &tool.pin.description,
        };
        let description = match self.document() {
            Some(_) => format!("{description} {}", document::NOTE),
            None => description.to_owned(),
        };
        let name = self.name().to_owned();
        let parameters = match &self.configured {
            config::Tool::Mcp(tool) => tool.schema(),
            config::Tool::BuiltIn(_) | config::Tool::Own(_) => self.inputs.schema(),
        };
        ToolSpec { name, description, parameters, is_strict: false }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.configured.name()
    }

    /// What people read.
    #[must_use]
    pub fn title(&self) -> &str {
        self.configured.title()
    }

    /// Whether a call changes something.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.configured.changes()
    }

    /// Who has to allow each call, and how long they are waited for.
    #[must_use]
    pub fn asks(&self) -> Option<&config::Asks> {
        self.configured.asks()
    }

    /// How long a call may take, where others have `usual`: servers have clocks of their own.
    #[must_use]
    pub fn patience(&self, usual: Duration) -> Duration {
        match &self.configured {
            config::Tool::Mcp(tool) => tool.server.patience(),
            config::Tool::BuiltIn(_) | config::Tool::Own(_) => usual,
        }
    }

    /// The arguments that a model has sent, as this tool takes them.
    ///
    /// # Errors
    /// [`BadArguments`]: the call must not be run, and the model is told.
    pub fn check(&self, arguments: &Value) -> Result<Arguments, BadArguments> {
        if let config::Tool::Mcp(tool) = &self.configured {
            return of_server(tool, arguments);
        }
        let arguments = self.inputs.check(arguments)?;
        self.document().map_or(Ok(()), |_| document::check(&arguments))?;
        Ok(arguments)
    }

    /// What it writes, when it does.
    fn document(&self) -> Option<&DocumentCall> {
        match &self.configured {
            config::Tool::Own(own) => match &own.does {
                Does::Document(document) => Some(document),
                Does::Formula(_) | Does::Http(_) => None,
            },
            config::Tool::BuiltIn(_) | config::Tool::Mcp(_) => None,
        }
    }

    /// What comes of a call. To stop it is to drop this.
    ///
    /// # Errors
    /// [`ToolError`] when nothing does.
    pub async fn run(&self, arguments: &Arguments, context: Context<'_>) -> Result<Output, ToolError> {
        match &self.configured {
            config::Tool::BuiltIn(BuiltIn::Calc) => calc::run(arguments),
            config::Tool::BuiltIn(BuiltIn::Chart) => chart::run(arguments, context).await,
            config::Tool::BuiltIn(BuiltIn::Dataset) => dataset::run(arguments, context).await,
            config::Tool::BuiltIn(BuiltIn::Forecast) => forecast::run(arguments, context).await,
            config::Tool::BuiltIn(BuiltIn::Forget) => memory::forget::run(arguments, context).await,
            config::Tool::BuiltIn(BuiltIn::Knowledge) => knowledge::run(arguments, context.search).await,
            config::Tool::BuiltIn(BuiltIn::Recall) => memory::recall::run(arguments, context).await,
            config::Tool::BuiltIn(BuiltIn::Remember) => memory::remember::run(arguments, context).await,
            config::Tool::BuiltIn(BuiltIn::Time) => time::run(arguments, context.now),
            config::Tool::Mcp(tool) => {
                let Context { owner, progress, .. } = context;
                context.shared.servers.call(mcp::Call { tool, arguments, owner, progress }).await
            }
            config::Tool::Own(own) => match &own.does {
                Does::Formula(formula) => {
                    let computed = formula.compute(arguments)?;
                    Ok(Output { summary: computed.summary, data: Value::Object(computed.data), ..Output::default() })
                }
                Does::Http(call) => {
                    let once = own.changes.then(|| context.call.as_str());
                    self.client.ask(call, arguments, once).await
                }
                Does::Document(document) => document::run(document, &own.title, arguments, context.now),
            },
        }
    }
}

/// The arguments of a server's tool: an object with what its schema calls required. The rest is the server's to check.
fn of_server(tool: &McpTool, sent: &Value) -> Result<Arguments, BadArguments> {
    let Some(sent) = sent.as_object() else {
        return Err(BadArguments::of("arguments", "must be one JSON object"));
    };
    let required = tool.pin.schema.get("required").and_then(Value::as_array).into_iter().flatten();
    if let Some(missing) = required.filter_map(Value::as_str).find(|name| !sent.contains_key(*name)) {
        return Err(BadArguments::of(missing, "missing"));
    }
    Ok(Arguments::unchecked(sent.clone()))
}

#[cfg(test)]
mod tests;
