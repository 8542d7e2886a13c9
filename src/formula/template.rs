//! A line with names in braces: `{emi} a month`. Pure.

/// A line in which values take the places of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

/// Why a line is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line with names in braces, each brace with its other one")]
pub struct TemplateError;

impl Template {
    /// Reads one.
    ///
    /// # Errors
    /// [`TemplateError`] when braces do not match.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').ok_or(TemplateError)?;
            if before.contains('}') || name.contains('{') {
                return Err(TemplateError);
            }
            parts.extend([Part::Text(before.to_owned()), Part::Name(name.trim().to_owned())]);
            rest = behind;
        }
        if rest.contains('}') {
            return Err(TemplateError);
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The names that stand in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The line, with what `value` has for each name.
    pub fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let filled = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Name(name) => value(name),
        });
        filled.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_replaced_and_braces_must_match() {
        let line = Template::parse("{emi} a month, {total} in all").unwrap();
        assert_eq!(line.names().collect::<Vec<_>>(), ["emi", "total"]);
        assert_eq!(line.fill(str::to_uppercase), "EMI a month, TOTAL in all");
        assert_eq!(Template::parse("no names").unwrap().fill(str::to_owned), "no names");
        for text in ["{emi", "emi}", "{a{b}}", "}{", "{a} }"] {
            assert_eq!(Template::parse(text), Err(TemplateError), "{text}");
        }
    }
}
