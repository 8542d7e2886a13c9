//! Vectors of texts as OpenAI's interface has them: what is asked for, and what comes. Pure.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    fields::{Fields, Invalid, invalid, unsupported},
    values::whole,
};

/// The most texts of a request.
const MAX_TEXTS: usize = 256;
/// The longest text, in bytes; far more than any model reads.
const MAX_TEXT_BYTES: usize = 32 << 10;

/// Vectors that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingRequest {
    /// Whose.
    pub model: String,
    /// Of what; at least one text, each with something in it.
    pub texts: Vec<String>,
    /// How they are to be written.
    pub encoding: Encoding,
    /// How many numbers each is to have, where that is said.
    dimensions: Option<i64>,
}

/// How a vector is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As numbers.
    #[default]
    Float,
    /// As 32-bit numbers, the lowest byte first, in Base64.
    Base64,
}

impl EmbeddingRequest {
    /// Takes a request apart.
    ///
    /// # Errors
    /// [`Invalid`], for the first field that is missing, wrong, or asks for what the gateway cannot do.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let fields = body.as_object().ok_or_else(|| invalid("body", "must be an object"))?;
        let fields = Fields { fields, path: "" };
        let encoding = match fields.get("encoding_format").map(Value::as_str) {
            None | Some(Some("float")) => Encoding::Float,
            Some(Some("base64")) => Encoding::Base64,
            Some(_) => return Err(fields.invalid("encoding_format", "must be `float` or `base64`")),
        };
        let dimensions =
            |value: &Value| whole(value).ok_or_else(|| fields.invalid("dimensions", "must be a whole number"));
        Ok(Self {
            model: fields.text("model")?.to_owned(),
            texts: texts(&fields)?,
            encoding,
            dimensions: fields.get("dimensions").map(dimensions).transpose()?,
        })
    }

    /// Refuses to have vectors of another length than they have.
    ///
    /// # Errors
    /// [`Invalid`] when another one is asked for.
    pub fn check_dimensions(&self, dimension: usize) -> Result<(), Invalid> {
        if self.dimensions.is_none_or(|asked| usize::try_from(asked) == Ok(dimension)) {
            return Ok(());
        }
        Err(invalid("dimensions", &format!("must be {dimension}, as the model has it")))
    }
}

fn texts(fields: &Fields<'_>) -> Result<Vec<String>, Invalid> {
    const FIELD: &str = "input";
    let input = fields.required(FIELD)?;
    let texts = input.as_array().map_or_else(|| std::slice::from_ref(input), Vec::as_slice);
    if !(1..=MAX_TEXTS).contains(&texts.len()) {
        return Err(fields.invalid(FIELD, &format!("must be a text or a list of 1 to {MAX_TEXTS}")));
    }
    let text = |(at, value): (usize, &Value)| {
        let path = if input.is_array() { format!("{FIELD}[{at}]") } else { FIELD.to_owned() };
        match value {
            // Tokens mean something to one model alone.
            Value::Number(_) | Value::Array(_) => Err(unsupported(&path)),
            Value::String(text) if text.trim().is_empty() => {
                Err(Invalid { code: "empty_text", ..invalid(&path, "has no text") })
            }
            Value::String(text) if text.len() > MAX_TEXT_BYTES => {
                Err(invalid(&path, &format!("has more than {MAX_TEXT_BYTES} bytes")))
            }
            Value::String(text) => Ok(text.clone()),
            _ => Err(invalid(&path, "must be a text")),
        }
    };
    texts.iter().enumerate().map(text).collect()
}

/// Vectors, in the order of the texts.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbeddingList<'a> {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'a str,
    usage: Tokens,
    #[serde(skip_serializing_if = "Option::is_none")]
    rivulet: Option<Extension>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Numbers,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Numbers {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EmbeddingTokens)]
struct Tokens {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// The gateway's own field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EmbeddingExtension)]
struct Extension {
    /// Which texts are longer than the model reads: their ends do not count.
    cut: Vec<usize>,
}

impl<'a> EmbeddingList<'a> {
    /// The vectors of a model that has read so many tokens, and which texts it did not read to their ends.
    #[must_use]
    pub fn new(model: &'a str, encoding: Encoding, vectors: Vec<Vec<f32>>, tokens: usize, cut: Vec<usize>) -> Self {
        let numbers = |vector: Vec<f32>| match encoding {
            Encoding::Float => Numbers::Float(vector),
            Encoding::Base64 => {
                let bytes: Vec<u8> = vector.into_iter().flat_map(f32::to_le_bytes).collect();
                Numbers::Base64(STANDARD.encode(bytes))
            }
        };
        let embedding = |(index, vector)| Embedding { object: "embedding", index, embedding: numbers(vector) };
        Self {
            object: "list",
            data: vectors.into_iter().enumerate().map(embedding).collect(),
            model,
            usage: Tokens { prompt_tokens: tokens, total_tokens: tokens },
            rivulet: (!cut.is_empty()).then_some(Extension { cut }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(fields: Value) -> Result<EmbeddingRequest, Invalid> {
        let mut body = json!({ "model": "m", "input": "a text" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        EmbeddingRequest::parse(&body)
    }

    #[test]
    fn texts_are_taken_alone_or_in_a_list() {
        let one = parse(json!({ "encoding_format": null, "dimensions": null, "user": "ann" })).unwrap();
        assert_eq!((one.texts, one.encoding, one.dimensions), (vec!["a text".to_owned()], Encoding::Float, None));
        let many = parse(json!({ "input": vec!["x"; 256], "encoding_format": "base64", "dimensions": 384.0 })).unwrap();
        assert_eq!((many.texts.len(), many.encoding), (256, Encoding::Base64));
        assert!(many.check_dimensions(384).is_ok());
        assert_eq!(many.check_dimensions(512).unwrap_err().param, "dimensions");
    }

    #[test]
    fn a_refusal_names_the_field() {
        for (fields, code, param) in [
            (json!({ "model": null }), "invalid_field", "model"),
            (json!({ "model": 7 }), "invalid_field", "model"),
            (json!({ "input": null }), "invalid_field", "input"),
            (json!({ "input": [] }), "invalid_field", "input"),
            (json!({ "input": vec!["x"; 257] }), "invalid_field", "input"),
            (json!({ "input": { "a": 1 } }), "invalid_field", "input"),
            (json!({ "input": " " }), "empty_text", "input"),
            (json!({ "input": ["a", ""] }), "empty_text", "input[1]"),
            (json!({ "input": ["a", null] }), "invalid_field", "input[1]"),
            (json!({ "input": ["a", "x".repeat(32 * 1024 + 1)] }), "invalid_field", "input[1]"),
            (json!({ "input": [1, 2] }), "unsupported_parameter", "input[0]"),
            (json!({ "input": [[1, 2]] }), "unsupported_parameter", "input[0]"),
            (json!({ "encoding_format": "hex" }), "invalid_field", "encoding_format"),
            (json!({ "dimensions": "many" }), "invalid_field", "dimensions"),
        ] {
            let error = parse(fields).unwrap_err();
            assert_eq!((error.code, error.param.as_str()), (code, param));
        }
        assert_eq!(EmbeddingRequest::parse(&json!([])).unwrap_err().param, "body");
    }

    #[test]
    fn both_ways_to_write_a_vector_say_the_same() {
        let list = |encoding| json!(EmbeddingList::new("m", encoding, vec![vec![0.5, -1.0]], 7, vec![]));
        let (float, base64) = (list(Encoding::Float), list(Encoding::Base64));
        assert_eq!(float["data"], json!([{ "object": "embedding", "index": 0, "embedding": [0.5, -1.0] }]));
        assert_eq!(float["usage"], json!({ "prompt_tokens": 7, "total_tokens": 7 }));
        assert!(float.get("rivulet").is_none());
        let bytes = STANDARD.decode(base64["data"][0]["embedding"].as_str().unwrap()).unwrap();
        assert_eq!(bytes, [0.5_f32.to_le_bytes(), (-1.0_f32).to_le_bytes()].concat());
    }
}
