//! Bodies of model servers: events, JSON, pages, or whatever else comes.

use rivulet::llm::{
    Call, FinishReason, ToolOffer, ToolSpec,
    reading::{End, Reading, Step},
    sse::{BodyEnd, Events, Item},
};
use serde_json::Value;

use super::parts::cut;

/// More than any input has.
const BODY: usize = 1 << 20;
const TEXT: usize = 64;
/// The most calls of an answer.
const MAX_CALLS: usize = 32;

/// How a body was cut into pieces makes no difference; no answer is longer than it may be; and what is told of a body
/// that breaks off is a beginning of what the whole one says.
pub fn upstream(bytes: &[u8]) {
    let single: Vec<&[u8]> = if bytes.len() <= 4096 { bytes.chunks(1).collect() } else { Vec::new() };
    let ways = [cut(bytes), single];
    let ways = || ways.iter().filter(|way| !way.is_empty());
    let whole = events(&[bytes]);
    for way in ways() {
        assert_eq!(events(way), whole, "events, cut {}", way.len());
    }
    for (begins_in_thought, offers) in [(false, false), (true, false), (false, true)] {
        let answer = |pieces: &[&[u8]], most, breaks| answer(pieces, most, begins_in_thought, offers, breaks);
        let whole = answer(&[bytes], BODY, false);
        for way in ways() {
            assert_eq!(answer(way, BODY, false), whole, "an answer, cut {}", way.len());
        }
        let short = answer(&[bytes], TEXT, false);
        assert!(short.text.len() <= TEXT, "{short:?}");
        let half = answer(&[&bytes[..bytes.len() / 2]], BODY, true);
        if !whole.withdrawn && !half.withdrawn {
            assert!(whole.text.starts_with(&half.text), "{half:?} is no beginning of {whole:?}");
        }
    }
}

fn events(pieces: &[&[u8]]) -> (Vec<String>, Option<BodyEnd>) {
    let (mut events, mut items) = (Events::new(BODY), Vec::new());
    let mut each = |item: Item<'_>| {
        if let Item::Data(data) = item {
            assert!(!data.is_empty());
        }
        items.push(format!("{item:?}"));
    };
    for piece in pieces {
        events.push(piece, &mut each);
    }
    events.finish(&mut each);
    (items, events.end().cloned())
}

#[derive(Debug, PartialEq)]
struct Told {
    text: String,
    withdrawn: bool,
    bad: usize,
    calls: Vec<Call>,
    end: Option<End>,
}

fn answer(pieces: &[&[u8]], most: usize, begins_in_thought: bool, offers: bool, breaks: bool) -> Told {
    let tool =
        ToolSpec { name: "calc".to_owned(), description: String::new(), parameters: Value::Null, is_strict: false };
    let tools = ToolOffer { tools: offers.then_some(tool).into_iter().collect(), ..ToolOffer::default() };
    let mut reading = Reading::new(BODY, most, begins_in_thought).offering(tools);
    let mut told = Told { text: String::new(), withdrawn: false, bad: 0, calls: Vec::new(), end: None };
    let mut take = |reading: &mut Reading| {
        while let Some(step) = reading.take() {
            assert!(told.end.is_none(), "{step:?} behind the end");
            match step {
                Step::Text(text) => {
                    assert!(!text.is_empty());
                    told.text.push_str(&text);
                }
                Step::Withdrawn => {
                    told.withdrawn = true;
                    told.text.clear();
                }
                Step::Thinking(_) => {}
                Step::BadEvent => told.bad += 1,
                Step::Calls(calls) => {
                    assert!(offers && told.calls.is_empty() && (1..=MAX_CALLS).contains(&calls.len()), "{calls:?}");
                    assert!(calls.iter().all(|call| !call.name.is_empty()), "{calls:?}");
                    told.calls = calls;
                }
                Step::End(end) => told.end = Some(end),
            }
        }
    };
    for piece in pieces {
        reading.push(piece);
        take(&mut reading);
    }
    if breaks {
        reading.broken("it broke".to_owned());
    } else {
        reading.finish();
    }
    take(&mut reading);
    assert!(told.end.is_some(), "there is an end");
    assert!(told.calls.is_empty() || told.end == Some(End::Finished(FinishReason::Stop)), "{told:?}");
    told
}
