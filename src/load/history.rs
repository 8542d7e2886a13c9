//! What a load did and was told, as JSON lines: written while it happens, read again by the judge.
//!
//! A line is one write to the file, so that whoever is killed leaves whole lines and at most a torn last one.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{
    frame::{Frame, Message, Str},
    proof::Proof,
};

/// One thing that one conversation did or was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Microseconds since 1970.
    pub(super) at_us: u64,
    /// Which conversation of the load, from 0.
    pub(super) conversation: usize,
    /// Its session, once the gateway has said which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    /// What it was.
    #[serde(flatten)]
    pub(super) event: Event,
}

/// What happened. Ids are those of the protocol; `run` and `answer` may be unknown where the protocol leaves them out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// A socket was welcomed.
    Welcomed {
        /// The log's incarnation; another one than before tells of a restart.
        epoch: String,
        /// `new`, `full` or `snapshot`.
        recovered: String,
    },
    /// A question was handed to the network, for the first time or again.
    Sent {
        /// Of the message.
        id: String,
        /// CRC-32 of its text.
        crc32: u32,
    },
    /// The gateway says that it has the message.
    Acked {
        /// Of the message.
        id: String,
        /// Its answer's.
        run: Option<String>,
        /// Whether it was known before.
        duplicate: bool,
    },
    /// The gateway refused a frame, or said that something went wrong.
    Refused {
        /// Of the frame.
        id: Option<String>,
        /// Why.
        code: String,
    },
    /// A message was announced to the session.
    Message {
        /// Of the message.
        id: String,
    },
    /// A run was announced.
    RunStarted {
        /// The run.
        run: String,
        /// The message that it answers.
        question: String,
    },
    /// A run was said to be over.
    RunDone {
        /// The run.
        run: String,
        /// How it ended.
        status: String,
        /// Its text's length, in UTF-16 code units.
        len: u64,
        /// CRC-32 of its text.
        crc32: u32,
    },
    /// The whole text of an answer is held, and is what was announced.
    Proven {
        /// The message that was answered.
        question: String,
        /// The message that is the answer.
        answer: Option<String>,
        /// How it ended.
        status: String,
        /// Its length, in UTF-16 code units.
        len: u64,
        /// CRC-32 of it.
        crc32: u32,
    },
    /// The connection is gone, or could not be made.
    Lost {
        /// Cut by the load itself.
        cut: bool,
    },
    /// A conversation ended before all of its questions were answered.
    GaveUp {
        /// Why.
        reason: String,
    },
}

impl Event {
    pub(super) fn proven(question: &str, answer: Option<&str>, proof: &Proof) -> Self {
        Self::Proven {
            question: question.to_owned(),
            answer: answer.map(str::to_owned),
            status: proof.status.clone(),
            len: proof.units,
            crc32: proof.crc32,
        }
    }

    /// What a frame of the gateway tells; `None` for text and whatever else leaves no trace in the history.
    pub(super) fn told_by(text: &str) -> Option<Self> {
        let frame: Frame<'_> = serde_json::from_str(text).ok()?;
        let owned = |text: &Option<Str<'_>>| text.as_ref().map(Str::to_owned);
        Some(match frame.kind.as_ref() {
            "welcome" => Self::Welcomed { epoch: owned(&frame.epoch)?, recovered: owned(&frame.recovered)? },
            "ack" => Self::Acked {
                id: owned(&frame.re)?,
                run: owned(&frame.run),
                duplicate: frame.duplicate.unwrap_or_default(),
            },
            "error" => Self::Refused { id: owned(&frame.re), code: owned(&frame.code)? },
            "message" => {
                let message: Message<'_> = serde_json::from_str(frame.message?.get()).ok()?;
                Self::Message { id: message.id.to_owned() }
            }
            "run.start" => Self::RunStarted { run: owned(&frame.run)?, question: owned(&frame.question)? },
            "run.done" => Self::RunDone {
                run: owned(&frame.run)?,
                status: owned(&frame.status)?,
                len: frame.len?,
                crc32: u32::from_str_radix(frame.crc32.as_ref()?.as_str(), 16).ok()?,
            },
            _ => return None,
        })
    }
}

/// Why a history cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the history cannot be understood: {reason}")]
pub struct BadHistory {
    /// From 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// Reads a history. Its last line may be torn.
///
/// # Errors
/// [`BadHistory`].
pub(super) fn read(text: &str) -> Result<Vec<Record>, BadHistory> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let record = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| BadHistory { line: index + 1, reason: error.to_string() })
    };
    whole.lines().enumerate().map(record).collect()
}

/// Writes a history.
#[derive(Debug)]
pub(super) struct Recorder {
    file: Mutex<File>,
    /// The first thing that could not be written.
    failed: Mutex<Option<io::Error>>,
}

impl Recorder {
    /// Makes the file, or begins it anew.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: Mutex::new(File::create(path)?), failed: Mutex::default() })
    }

    pub(super) fn record(&self, conversation: usize, session: Option<&str>, event: Event) {
        let at_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let at_us = u64::try_from(at_us).unwrap_or(u64::MAX);
        let record = Record { at_us, conversation, session: session.map(str::to_owned), event };
        let written = serde_json::to_vec(&record).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.file.lock().write_all(&line)
        });
        if let Err(error) = written {
            self.failed.lock().get_or_insert(error);
        }
    }

    /// Why the history is not whole.
    pub(super) fn failure(&self) -> Option<String> {
        self.failed.lock().as_ref().map(|error| format!("the history could not be written: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_leave_their_traces() {
        let told = |text| Event::told_by(text);
        assert_eq!(told(r#"{"type":"delta","run":"r","off":0,"text":"x"}"#), None);
        assert_eq!(
            told(r#"{"type":"ack","re":"q","message":"q","run":"r","duplicate":true}"#),
            Some(Event::Acked { id: "q".to_owned(), run: Some("r".to_owned()), duplicate: true })
        );
        assert_eq!(
            told(r#"{"type":"message","seq":1,"message":{"id":"q","role":"user","text":"?","status":"complete"}}"#),
            Some(Event::Message { id: "q".to_owned() })
        );
        assert_eq!(
            told(
                r#"{"type":"run.done","seq":3,"run":"r","message":"a","status":"complete","len":2,"crc32":"000000ff"}"#
            ),
            Some(Event::RunDone { run: "r".to_owned(), status: "complete".to_owned(), len: 2, crc32: 255 })
        );
    }

    #[test]
    fn what_is_written_is_read_again_without_a_torn_end() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let recorder = Recorder::create(file.path()).expect("made");
        recorder.record(3, None, Event::Lost { cut: true });
        recorder.record(3, Some("s"), Event::Sent { id: "q".to_owned(), crc32: 7 });
        assert_eq!(recorder.failure(), None);
        let mut text = std::fs::read_to_string(file.path()).expect("readable");
        text.push_str(r#"{"at_us":1,"conv"#);
        let records = read(&text).expect("a history");
        let events: Vec<_> = records.iter().map(|record| (record.session.as_deref(), &record.event)).collect();
        assert_eq!(
            events,
            [(None, &Event::Lost { cut: true }), (Some("s"), &Event::Sent { id: "q".to_owned(), crc32: 7 })]
        );
        assert_eq!(read("\n{}\n").expect_err("refused").line, 1);
        assert_eq!(read("").expect("nothing"), []);
    }

    #[test]
    fn a_history_that_cannot_be_written_is_told() {
        let recorder = Recorder::create(Path::new("/dev/full")).expect("opened");
        recorder.record(0, None, Event::Lost { cut: false });
        assert!(recorder.failure().expect("it failed").contains("history"));
    }
}
