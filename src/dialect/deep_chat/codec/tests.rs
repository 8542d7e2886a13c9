//! What the element shows that reads the frames as it does, over logs of any course.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    chat::{CallId, Message, MessageId, RunError, RunId, Timestamp, ToolCall, ToolOutcome},
    session::log::{By, Cursor, Ending, Log},
};

/// What the element shows.
#[derive(Default)]
struct Element {
    text: String,
    error: Option<String>,
    sessions: usize,
}

impl Element {
    fn hear(&mut self, frame: &str) {
        let frame: Value = serde_json::from_str(frame).unwrap();
        assert!(self.error.is_none(), "nothing follows an error: {frame}");
        if let Some(error) = frame["error"].as_str() {
            self.error = Some(error.to_owned());
            return;
        }
        let text = frame["text"].as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("{frame}"));
        if frame["overwrite"] == true {
            self.text.clear();
        }
        self.text.push_str(text);
        self.sessions += usize::from(frame["_sessionId"].is_string());
    }
}

struct Course {
    log: Log,
    run: RunId,
    cursor: Cursor,
    codec: DeepChat,
    element: Element,
}

impl Course {
    fn begin() -> Self {
        let mut log = Log::new("e", Vec::new(), false, 0, 0);
        let run = RunId::random();
        let cursor = log.attach(None).cursor;
        let by = By { model: "a".into(), version: None, variant: None };
        log.start_run((run.clone(), MessageId::random(), MessageId::random()), by, 0);
        Self { log, run, cursor, codec: DeepChat::new(SessionId::random()), element: Element::default() }
    }

    fn read(&mut self) {
        let mut frames = Vec::new();
        loop {
            let step = self.log.next(&mut self.cursor, 7);
            if step == Step::UpToDate {
                break;
            }
            self.codec.step(&step, &mut frames);
        }
        frames.iter().for_each(|frame| self.element.hear(frame));
    }

    fn end(&mut self, status: Status) -> String {
        let text = self.log.live_text().unwrap().to_owned();
        let error = (status == Status::Error).then(|| RunError::new("upstream_unavailable", "nobody answers", true));
        let pending = Message::pending(MessageId::random(), None, self.run.clone(), Timestamp(0));
        let answer = Message { text: text.clone(), status, ..pending };
        self.log.finish_run(answer.into(), Ending { error, ..Ending::default() }, 0);
        self.read();
        text
    }

    fn call(&mut self, title: &str, outcome: ToolOutcome) {
        let (call, tool, args) = (CallId::random(), "letter".to_owned(), json!({}));
        let off = self.codec.len;
        self.log.append_call(ToolCall { call: call.clone(), tool, title: title.into(), args, off, changes: true }, 0);
        self.log.append_result(&call, outcome, 0);
    }
}

fn source(n: u32, title: &str, uri: Option<&str>) -> Source {
    Source {
        n,
        document: "d".into(),
        chunk: 0,
        title: title.into(),
        uri: uri.map(str::to_owned),
        page: (n == 1).then_some(3),
        page_end: None,
        place: None,
        heading: None,
        score: 1.0,
        snippet: "s".into(),
    }
}

#[derive(Debug, Clone)]
enum Turn {
    Say(String),
    FailOver(prop::sample::Index),
    Read,
}

proptest! {
    #[test]
    fn whatever_happens_the_element_shows_what_the_answer_says(turns in prop::collection::vec(prop_oneof![
        4 => "[a-zä😀\n]{0,12}".prop_map(Turn::Say),
        1 => any::<prop::sample::Index>().prop_map(Turn::FailOver),
        3 => Just(Turn::Read),
    ], 0..40), status in prop_oneof![Just(Status::Complete), Just(Status::Stopped), Just(Status::Error)]) {
        let mut course = Course::begin();
        for turn in turns {
            let text = course.log.live_text().unwrap().to_owned();
            match turn {
                Turn::Say(text) => course.log.append_text(&text, 0),
                Turn::FailOver(place) => {
                    let offs: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
                    let at = *place.get(&offs);
                    course.log.fail_over(utf16_len(&text[..at]), "a", "b", "broke off");
                }
                Turn::Read => course.read(),
            }
        }
        let mut text = course.end(status);
        if status == Status::Stopped && !text.is_empty() {
            text.push_str("\n\n*Stopped.*");
        }
        // Where all of it was taken back, a blank stands in its place.
        let shown = if text.is_empty() { course.element.text.trim() } else { &course.element.text };
        prop_assert_eq!(shown, &text);
        let error = match (status, text.is_empty()) {
            (Status::Error, _) => Some("nobody answers"),
            (Status::Stopped, true) => Some("the answer was stopped"),
            (_, true) => Some("the answer is empty"),
            _ => None,
        };
        prop_assert_eq!(course.element.error.as_deref(), error);
        prop_assert!(course.element.sessions <= 1 && (text.is_empty() || course.element.sessions == 1));
        let whole: Value = serde_json::from_str(&course.codec.whole()).unwrap();
        match error {
            None => prop_assert_eq!(&whole["text"], &json!(text)),
            Some(error) => prop_assert_eq!(whole, json!({ "error": error })),
        }
    }
}

#[test]
fn sources_stand_behind_the_answer_and_mean_nothing_but_themselves() {
    let mut course = Course::begin();
    let sources = [
        source(1, "Loans [old]\n*2026*", Some("https://example.com/a(b)")),
        source(2, "Rates", Some("javascript:alert(1)")),
        source(3, "Fees", Some("https://example.com/>x")),
    ];
    course.log.append_sources(sources.to_vec().into(), 0);
    course.log.append_text("Ten percent [1].", 0);
    course.end(Status::Complete);
    let list =
        "- \\[1\\] [Loans \\[old\\] \\*2026\\*](<https://example.com/a(b)>), p. 3\n- \\[2\\] Rates\n- \\[3\\] Fees";
    assert_eq!(course.element.text, format!("Ten percent [1].\n\n{list}"));
}

#[test]
fn why_an_answer_ends_early_is_said() {
    for (status, note) in [
        (Status::Stopped, "So\n\n*Stopped.*"),
        (Status::Length, "So\n\n*Cut off: the answer may not be longer.*"),
        (Status::Filtered, "So\n\n*Cut off by the filter of the model's provider.*"),
        (Status::AwaitingApproval, "So\n\n*Waits to be allowed: Sanction letter.*"),
    ] {
        let mut course = Course::begin();
        course.log.append_text("So", 0);
        course.read();
        course.call("Sanction letter", ToolOutcome { status: ToolStatus::Waiting, ..ToolOutcome::default() });
        course.end(status);
        assert_eq!((course.element.text.as_str(), course.element.error), (note, None));
    }
    let mut course = Course::begin();
    course.log.append_text("So", 0);
    course.end(Status::Incomplete);
    assert_eq!(course.element.error.as_deref(), Some("the answer broke off"));
    let refused = ErrorFrame { re: None, code: "busy", message: "later".into(), retryable: true, retry_in_ms: None };
    let mut frames = Vec::new();
    DeepChat::new(SessionId::random()).fail(&refused, &mut frames);
    assert_eq!(frames, [r#"{"error":"later"}"#]);
    assert_eq!(refusal("busy", "later"), r#"{"error":"later","code":"busy"}"#);
}
