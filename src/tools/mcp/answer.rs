//! What a server says came of a call, as a result: its text and its data. Images and the like are named, and not passed on.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use crate::{chat::printable, tools::output::Output};

/// The longest line for people, and the longest words of an error, in bytes.
const LINE: usize = 120;
const ERROR: usize = 2000;

/// # Errors
/// What the server says went wrong.
pub(super) fn read(said: CallToolResult) -> Result<Output, String> {
    let (mut text, mut left_out) = (String::new(), Vec::new());
    for block in said.content {
        match block {
            ContentBlock::Text(one) => {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&one.text);
            }
            ContentBlock::Image(image) => left_out.push(named("image", &image.mime_type)),
            ContentBlock::Audio(audio) => left_out.push(named("audio", &audio.mime_type)),
            _ => left_out.push("a resource".to_owned()),
        }
    }
    if said.is_error == Some(true) {
        let why = if text.is_empty() { "it said not why".to_owned() } else { printable(&text, ERROR) };
        return Err(why);
    }
    let summary = match text.lines().find(|line| !line.trim().is_empty()) {
        Some(line) => printable(line.trim(), LINE),
        None => "answered".to_owned(),
    };
    let mut data = Map::new();
    match said.structured_content {
        Some(structured) => drop(data.insert("data".to_owned(), structured)),
        None => drop(data.insert("text".to_owned(), text.into())),
    }
    if !left_out.is_empty() {
        data.insert("left_out".to_owned(), json!(left_out));
    }
    Ok(Output { summary, data: Value::Object(data), ..Output::default() })
}

fn named(what: &str, media: &str) -> String {
    format!("{what} ({})", printable(media, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<Output, String> {
        read(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn text_and_data_are_the_result_and_images_are_named() {
        let output = said(
            r#"{"content":[{"type":"text","text":"One.\nTwo."},{"type":"image","data":"AAAA","mimeType":"image/png"}]}"#,
        );
        let output = output.unwrap();
        assert_eq!(output.summary, "One.");
        assert_eq!(output.data, json!({"text": "One.\nTwo.", "left_out": ["image (image/png)"]}));
        let output = said(r#"{"content":[{"type":"text","text":"x"}],"structuredContent":{"n":1}}"#).unwrap();
        assert_eq!(output.data, json!({"data": {"n": 1}}));
    }

    #[test]
    fn an_error_is_one() {
        assert_eq!(said(r#"{"content":[{"type":"text","text":"no such"}],"isError":true}"#), Err("no such".to_owned()));
    }
}
