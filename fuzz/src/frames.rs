//! Frames of `chat.v1` as clients send them, and the cursors in them.

use std::sync::{Arc, OnceLock};

use rivulet::{
    chat::{MAX_ID_CHARS, Message, MessageId, RunId, Status, Timestamp, utf16_len},
    dialect::{
        chat_v1::{COMMENT_CHARS, ClientFrame, Frame, FrameError, TEXT_CHARS, parse},
        json,
    },
    session::{
        Redo, StopTarget,
        log::{By, Ending, Log, Step},
    },
};
use serde_json::Value;

const CODES: [&str; 5] = ["bad_json", "unknown_type", "invalid_field", "empty_text", "text_too_long"];
/// An id is echoed when it is not longer as JSON, in bytes.
const ECHOED: usize = 512;
/// No refusal says more, in bytes.
const WORDS: usize = 400;

/// A frame is understood within its bounds or refused by a code that is documented, and how it is written makes no
/// difference.
pub fn frames(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = parse(text);
    match &read {
        Ok(frame) => understood(frame),
        Err(error) => refused(error),
    }
    written_otherwise(text, &read);
}

fn understood(frame: &Frame) {
    assert!(frame.id.as_ref().is_none_or(is_echo), "{:?}", frame.id);
    let said = |text: &str| {
        assert!(!text.trim().is_empty() && text.chars().count() <= TEXT_CHARS, "{text:?}");
    };
    let id = |id: &Option<MessageId>| assert!(id.as_ref().is_none_or(|id| is_id(id.as_str())), "{id:?}");
    match &frame.body {
        ClientFrame::Send { id: own, text, .. } => {
            said(text);
            id(own);
        }
        ClientFrame::Redo { id: own, redo } => {
            id(own);
            if let Redo::Edit { at, text } = redo {
                said(text);
                id(&Some(at.clone()));
            }
        }
        ClientFrame::Feedback { message, feedback } => {
            id(&Some(message.clone()));
            assert!(feedback.comment.as_ref().is_none_or(|comment| comment.chars().count() <= COMMENT_CHARS));
        }
        ClientFrame::Hello { token, resume } => {
            assert_eq!(format!("{token:?}"), if token.is_some() { "Some(***)" } else { "None" });
            if let Some(resume) = resume {
                follow(resume);
            }
        }
        ClientFrame::Auth { .. } => assert_eq!(format!("{:?}", frame.body), "Auth { token: *** }"),
        ClientFrame::Stop(StopTarget::Run(run)) | ClientFrame::Sync { run, .. } => assert!(is_id(run.as_str())),
        _ => {}
    }
}

fn refused(error: &FrameError) {
    assert!(CODES.contains(&error.code), "{error:?}");
    assert!(!error.message.is_empty() && error.message.len() <= WORDS, "{error:?}");
    assert!(error.re.as_ref().is_none_or(is_echo), "{error:?}");
}

fn is_echo(id: &Value) -> bool {
    (id.is_string() || id.is_number()) && id.to_string().len() <= ECHOED
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&text.chars().count()) && !text.contains(char::is_control)
}

fn written_otherwise(text: &str, read: &Result<Frame, FrameError>) {
    // Those that are not whole are written as what came in is, so that something comes back.
    let Ok(fields) = json::object(text.as_bytes()) else { return };
    let value = Value::Object(fields);
    if has_fraction(&value) {
        return; // Which is read to the last digit but one.
    }
    assert_eq!(&parse(&value.to_string()), read, "written as JSON");
    assert_eq!(&parse(&format!(" \r\n\t{text} ")), read, "with white space around it");
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        _ => false,
    }
}

const TEXT: &str = "Grüße 👋 aus der Hütte";

/// A log with one answer that is whole and one that is being written.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let mut log = Log::new("e1", Vec::<Message>::new(), false, 10, 0);
        let id = |text: &str| MessageId::parse(text).expect("an id");
        let mut before: Option<Message> = None;
        for (run, question, answer) in [("r_0", "q0", "a0"), ("r_1", "q1", "a1")] {
            let (run, question, answer) = (RunId::parse(run).expect("an id"), id(question), id(answer));
            let asked = Message::question(question.clone(), "Where?".to_owned(), run.clone(), Timestamp(0));
            let pending = Message::pending(answer.clone(), Some(question.clone()), run.clone(), Timestamp(0));
            if let Some(live) = before.take() {
                let whole = Message { status: Status::Complete, text: TEXT.to_owned(), ..live };
                log.finish_run(Arc::new(whole), Ending::default(), 0);
            }
            log.append_turn(Arc::new(asked), Arc::new(pending.clone()), 0);
            log.start_run((run, answer, question), By { model: Arc::from("m"), version: None, variant: None }, 0);
            log.append_text(TEXT, 0);
            before = Some(pending);
        }
        log
    })
}

/// Whatever a reader brings along, it comes to the end of what there is, and gets no text twice.
fn follow(resume: &str) {
    let log = log();
    let mut cursor = log.attach(Some(resume)).cursor;
    for _ in 0..100 {
        match log.next(&mut cursor, 5) {
            Step::UpToDate => {
                assert!(log.is_up_to_date(&cursor));
                let end = log.cursor_text(&cursor);
                assert_eq!(log.cursor_text(&log.attach(Some(&end)).cursor), end);
                return;
            }
            Step::Delta { off, text, .. } => {
                let units: Vec<u16> = TEXT.encode_utf16().collect();
                let from = usize::try_from(off).expect("within the text");
                let to = from + usize::try_from(utf16_len(text)).expect("within the text");
                assert_eq!(String::from_utf16_lossy(&units[from..to]), text);
            }
            Step::Trimmed => panic!("nothing was forgotten"),
            _ => {}
        }
    }
    panic!("there is no end to what follows {resume:?}");
}
