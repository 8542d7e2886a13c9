//! The promise of the log: whatever a reader misses, repeats or is cut from, it ends with the same text.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::*;
use crate::chat::{CallId, Rating, Timestamp, ToolCall, ToolOutcome, ToolStatus, utf16_len};

mod altered;

/// A client that follows the rules of docs/protocol.md, and nothing else.
#[derive(Debug, Clone, Default)]
struct Client {
    epoch: String,
    seq: u64,
    texts: Vec<(RunId, String)>,
    live: Option<RunId>,
    done: Vec<RunId>,
    /// The conversation: questions and answers in their order.
    shown: Vec<MessageId>,
    /// The calls of tools, and how they stand.
    calls: BTreeMap<CallId, ToolStatus>,
}

impl Client {
    /// Drops `replaced` and all after it.
    fn replace(&mut self, replaced: Option<&MessageId>) {
        if let Some(at) = replaced.and_then(|replaced| self.shown.iter().position(|id| id == replaced)) {
            self.shown.truncate(at);
        }
    }

    fn cursor(&self) -> String {
        match &self.live {
            Some(run) => format!("{}:{}:{}:{}", self.epoch, self.seq, run, utf16_len(self.text(run))),
            None => format!("{}:{}", self.epoch, self.seq),
        }
    }

    fn text(&self, run: &RunId) -> &str {
        self.texts.iter().find(|(r, _)| r == run).map_or("", |(_, text)| text)
    }

    fn text_mut(&mut self, run: &RunId) -> &mut String {
        if !self.texts.iter().any(|(r, _)| r == run) {
            self.texts.push((run.clone(), String::new()));
        }
        let at = self.texts.iter().position(|(r, _)| r == run).unwrap();
        &mut self.texts[at].1
    }

    fn take_snapshot(&mut self, epoch: &str, snapshot: &Snapshot) {
        *self = Self { epoch: epoch.to_owned(), seq: snapshot.seq, ..Self::default() };
        for message in &snapshot.messages {
            self.shown.push(message.id.clone());
            if let (Role::Assistant, Some(run)) = (message.role, &message.run) {
                self.texts.push((run.clone(), message.text.clone()));
                self.done.push(run.clone());
                self.calls.extend(calls_of(&message.tools));
            }
        }
        if let Some(live) = &snapshot.live {
            self.show_answer(&live.question, &live.message);
            self.texts.push((live.run.clone(), live.text.clone()));
            self.calls.extend(calls_of(&live.tools));
            self.live = Some(live.run.clone());
        }
    }

    /// Puts an answer behind its question; other questions may wait behind that one.
    fn show_answer(&mut self, question: &MessageId, answer: &MessageId) {
        let at = self.shown.iter().position(|id| id == question).map_or(self.shown.len(), |at| at + 1);
        self.shown.insert(at, answer.clone());
    }

    /// Returns false when the text has a hole: then the client asks for it from the beginning.
    fn take(&mut self, step: &Step<'_>) -> bool {
        match step {
            Step::Delta { run, off, text, .. } => {
                let held = self.text_mut(run);
                let len = utf16_len(held);
                if *off > len {
                    return false;
                }
                let overlap = usize::try_from(len - off).unwrap();
                let units: Vec<u16> = text.encode_utf16().skip(overlap).collect();
                held.push_str(&String::from_utf16(&units).unwrap());
            }
            Step::Event(seq, event) => {
                if *seq <= self.seq {
                    return true; // Seen before.
                }
                assert_eq!(*seq, self.seq + 1, "a gap in the events");
                self.seq = *seq;
                match event {
                    Event::Message(message) => {
                        assert!(!self.shown.contains(&message.id));
                        self.replace(message.replaces.as_ref());
                        self.shown.push(message.id.clone());
                    }
                    Event::RunStart { run, message, question, replaces, .. } => {
                        self.replace(replaces.as_ref());
                        self.show_answer(question, message);
                        self.text_mut(run);
                        self.live = Some(run.clone());
                    }
                    Event::Memory { run, .. } | Event::Sources { run, .. } => assert_eq!(Some(run), self.live.as_ref()),
                    Event::ToolCall { call, .. } => {
                        assert_eq!(self.calls.insert(call.call.clone(), ToolStatus::Running), None);
                    }
                    Event::ToolResult { call, outcome, .. } => {
                        let before = self.calls.insert(call.clone(), outcome.status);
                        assert_eq!(before, Some(ToolStatus::Running), "one result for each call");
                    }
                    Event::Decided(decided) => {
                        let before = self.calls.insert(decided.call.clone(), decided.decision);
                        assert_eq!(before, Some(ToolStatus::Waiting), "what waits is decided once");
                    }
                    Event::RunDone(done) => {
                        assert!(
                            self.calls.values().all(|status| *status != ToolStatus::Running),
                            "a result for each call"
                        );
                        assert_eq!(utf16_len(self.text(&done.run)), done.len, "text missing before run.done");
                        assert_eq!(crc32fast::hash(self.text(&done.run).as_bytes()), done.crc32);
                        self.live = None;
                        self.done.push(done.run.clone());
                    }
                }
            }
            Step::Doing(run, _) => assert_eq!(Some(*run), self.live.as_ref()),
            Step::Failover { run, .. } if self.done.contains(run) => {} // Its text is proven.
            Step::Failover { run, keep, .. } => {
                let held = self.text_mut(run);
                let units: Vec<u16> = held.encode_utf16().take(usize::try_from(*keep).unwrap()).collect();
                *held = String::from_utf16(&units).unwrap();
            }
            Step::Presence(_) | Step::UpToDate | Step::Trimmed => {}
        }
        true
    }
}

fn calls_of(tools: &[ToolUse]) -> impl Iterator<Item = (CallId, ToolStatus)> + '_ {
    tools.iter().map(|used| (used.call.call.clone(), used.outcome.status))
}

/// A client and its socket.
#[derive(Debug)]
struct Reader {
    client: Client,
    socket: Option<Cursor>,
    /// Cursors it held at some time: a client may come back with any of them.
    held: Vec<String>,
}

impl Reader {
    fn connect(&mut self, log: &Log, resume: Option<&str>) {
        let attachment = log.attach(resume);
        self.client.epoch = log.epoch().to_owned();
        if attachment.snapshot.is_some() {
            self.held.clear(); // Its old cursors may be ahead of what it holds now.
        }
        match &attachment.snapshot {
            Some(snapshot) => self.client.take_snapshot(log.epoch(), snapshot),
            None if attachment.recovered == Recovered::New => {
                self.client = Client { epoch: log.epoch().to_owned(), ..Client::default() };
            }
            None => {}
        }
        self.socket = Some(attachment.cursor);
    }

    fn read(&mut self, log: &Log, steps: usize, max_bytes: usize) {
        for _ in 0..steps {
            let Some(cursor) = &mut self.socket else { return };
            let step = log.next(cursor, max_bytes);
            match step {
                Step::UpToDate => break,
                Step::Trimmed => {
                    let (snapshot, cursor) = log.snapshot();
                    self.held.clear();
                    self.client.take_snapshot(log.epoch(), &snapshot);
                    self.socket = Some(cursor);
                }
                step => {
                    if let Step::Event(_, Event::ToolCall { run, call }) = &step {
                        // A copy may be about to hear it anew.
                        let there = log.runs.iter().find(|record| record.run == *run).unwrap().text.end().utf16();
                        let held = utf16_len(self.client.text(run));
                        assert!(held >= call.off.min(there), "what stands before a call comes before it");
                    }
                    if let Step::Delta { text, .. } = &step {
                        assert!(!text.is_empty() && text.len() <= max_bytes.max(4));
                    }
                    assert!(self.client.take(&step), "a hole on one socket");
                }
            }
        }
        self.held.push(self.client.cursor());
    }
}

#[derive(Debug, Clone)]
enum Op {
    Turn,
    Again(usize),
    Edit(usize),
    Text(String),
    Sources,
    Memory,
    Call,
    Result(usize),
    Phase(bool),
    Failover(u64),
    Finish(bool),
    Rate(usize, bool),
    Wait(u64),
    Connect(usize),
    Resume(usize, usize),
    Foreign(usize, String),
    Cut(usize),
    Read(usize, usize, usize),
    Sync(usize, u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Turn),
        2 => (0..8usize).prop_map(Op::Again),
        2 => (0..8usize).prop_map(Op::Edit),
        12 => "[a-zä😀 ]{1,12}".prop_map(Op::Text),
        2 => Just(Op::Sources),
        2 => Just(Op::Memory),
        3 => Just(Op::Call),
        3 => (0..4usize).prop_map(Op::Result),
        2 => any::<bool>().prop_map(Op::Phase),
        2 => (0..30u64).prop_map(Op::Failover),
        3 => any::<bool>().prop_map(Op::Finish),
        3 => (0..8usize, any::<bool>()).prop_map(|(n, up)| Op::Rate(n, up)),
        1 => (0..RETENTION).prop_map(Op::Wait),
        3 => (0..3usize).prop_map(Op::Connect),
        5 => (0..3usize, 0..64usize).prop_map(|(r, n)| Op::Resume(r, n)),
        1 => (0..3usize, "[e0-9:r_]{0,9}").prop_map(|(r, c)| Op::Foreign(r, c)),
        4 => (0..3usize).prop_map(Op::Cut),
        12 => (0..3usize, 1..6usize, 1..20usize).prop_map(|(r, n, max)| Op::Read(r, n, max)),
        3 => (0..3usize, 0..40u64).prop_map(|(r, off)| Op::Sync(r, off)),
    ]
}

/// The writer's side: a session that answers one question at a time.
struct Session {
    log: Log,
    now: Moment,
    waiting: VecDeque<(MessageId, MessageId)>,
    live: Option<(RunId, MessageId)>,
    texts: Vec<(RunId, String)>,
    /// The conversation, as the store has it.
    messages: Vec<Message>,
}

impl Session {
    fn new() -> Self {
        Self {
            log: Log::new("e7", Vec::new(), false, 50, 0),
            now: 0,
            waiting: VecDeque::new(),
            live: None,
            texts: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Lets the conversation go on another way from its `n`th question on; `edit`: with another question.
    fn branch(&mut self, n: usize, edit: bool) {
        if self.messages.is_empty() || self.live.is_some() {
            return;
        }
        let at = n % (self.messages.len() / 2) * 2;
        let mut answer = message(&MessageId::random(), Role::Assistant, "", Status::Pending);
        let mut edited = None;
        if edit {
            let mut question = message(&MessageId::random(), Role::User, "Why not?", Status::Complete);
            question.replaces = Some(self.messages[at].id.clone());
            self.messages.truncate(at);
            self.messages.push(question.clone());
            edited = Some(Arc::new(question));
        } else {
            answer.replaces = Some(self.messages[at + 1].id.clone());
            self.messages.truncate(at + 1);
        }
        let waiting = (self.messages[at].id.clone(), answer.id.clone());
        answer.question = Some(waiting.0.clone());
        self.messages.push(answer);
        let from = self.messages.len().saturating_sub(SNAPSHOT_MESSAGES);
        self.log.branch(self.messages[from..].to_vec(), from > 0, edited, self.now);
        self.waiting.push_back(waiting);
        self.start();
    }

    fn turn(&mut self) {
        let (question, answer) = (MessageId::random(), MessageId::random());
        let asked = message(&question, Role::User, "Why?", Status::Complete);
        let mut pending = message(&answer, Role::Assistant, "", Status::Pending);
        (pending.run, pending.question) = (Some(RunId::random()), Some(question.clone()));
        self.messages.extend([asked.clone(), pending.clone()]);
        self.log.append_turn(Arc::new(asked), Arc::new(pending), self.now);
        self.waiting.push_back((question, answer));
        self.start();
    }

    fn start(&mut self) {
        if self.live.is_some() {
            return;
        }
        let Some((question, answer)) = self.waiting.pop_front() else { return };
        let run = RunId::random();
        self.log.start_run(
            (run.clone(), answer.clone(), question),
            By { model: "model".into(), version: None, variant: None },
            self.now,
        );
        self.texts.push((run.clone(), String::new()));
        self.live = Some((run, answer));
    }

    fn text(&mut self, text: &str) {
        if self.live.is_some() {
            self.log.append_text(text, self.now);
            self.texts.last_mut().unwrap().1.push_str(text);
        }
    }

    fn call(&mut self) {
        if let Some(text) = self.log.live_text() {
            let (call, off) = (CallId::random(), utf16_len(text));
            let (tool, title, args) = ("emi".to_owned(), "EMI".to_owned(), json!({"months": off}));
            self.log.append_call(ToolCall { call, tool, title, args, off, changes: false }, self.now);
        }
    }

    fn result(&mut self, n: usize) {
        let is_running = |used: &&ToolUse| used.outcome.status == ToolStatus::Running;
        let call = self.log.live_tools().iter().filter(is_running).nth(n).map(|used| used.call.call.clone());
        if let Some(call) = call {
            let outcome = ToolOutcome { status: ToolStatus::Ok, data: Some(json!(n)), ..ToolOutcome::default() };
            self.log.append_result(&call, outcome, self.now);
            let head = self.log.head();
            self.log.append_result(&call, ToolOutcome::default(), self.now);
            assert_eq!(self.log.head(), head, "a second result is none");
        }
    }

    fn fail_over(&mut self, keep: u64) {
        if self.live.is_some() {
            let keep = keep.max(self.log.live_tools().last().map_or(0, |used| used.call.off));
            self.log.fail_over(keep, "a", "b", "truncated");
            let left = self.log.live_text().unwrap().to_owned();
            let text = &mut self.texts.last_mut().unwrap().1;
            assert!(text.starts_with(&left) && utf16_len(&left) <= keep.max(utf16_len(text)));
            *text = left;
        }
    }

    fn finish(&mut self, status: Status) {
        let Some((run, answer)) = self.live.take() else { return };
        self.log.cancel_calls(self.now);
        let (text, tools) = (self.log.live_text().unwrap().to_owned(), self.log.live_tools().to_vec());
        assert_eq!(text, self.texts.last().unwrap().1);
        let place = self.messages.iter_mut().find(|message| message.id == answer).unwrap();
        let question = place.question.clone();
        let answer = Message { run: Some(run), question, tools, ..message(&answer, Role::Assistant, &text, status) };
        *place = answer.clone();
        self.log.finish_run(Arc::new(answer), Ending::default(), self.now).unwrap();
        self.start();
    }
}

fn message(id: &MessageId, role: Role, text: &str, status: Status) -> Message {
    let (run, at) = (RunId::random(), Timestamp(0));
    Message { role, status, run: None, ..Message::question(id.clone(), text.to_owned(), run, at) }
}

fn apply(session: &mut Session, readers: &mut [Reader], op: &Op) {
    match op {
        Op::Turn => session.turn(),
        Op::Again(n) => session.branch(*n, false),
        Op::Edit(n) => session.branch(*n, true),
        Op::Text(text) => session.text(text),
        Op::Sources => session.log.append_sources(Arc::from([]), session.now),
        Op::Memory => session.log.append_recollection(Arc::default(), session.now),
        Op::Call => session.call(),
        Op::Result(n) => session.result(*n),
        Op::Phase(thinking) => {
            session.log.set_doing(if *thinking { Phase::Thinking } else { Phase::Streaming }.into());
        }
        Op::Failover(keep) => session.fail_over(*keep),
        Op::Finish(whole) => session.finish(if *whole { Status::Complete } else { Status::Interrupted }),
        Op::Rate(n, up) => {
            let rated = session.messages.iter().rev().nth(*n).map(|message| message.id.clone());
            let feedback = Feedback { value: if *up { Rating::Good } else { Rating::Bad }, comment: None };
            rated.into_iter().for_each(|rated| session.log.rate(&rated, feedback.clone()));
        }
        Op::Wait(time) => {
            session.now += time;
            session.log.trim(session.now);
        }
        reading => read(&session.log, readers, reading),
    }
}

/// What readers do, at a log or at a copy of it.
fn read(log: &Log, readers: &mut [Reader], op: &Op) {
    match op {
        Op::Connect(r) => readers[*r].connect(log, None),
        Op::Resume(r, n) => {
            let reader = &mut readers[*r];
            let cursor = match reader.held.len() {
                0 => reader.client.cursor(),
                held => reader.held[n % held].clone(),
            };
            reader.connect(log, Some(&cursor));
        }
        Op::Foreign(r, cursor) => readers[*r].connect(log, Some(cursor)),
        Op::Cut(r) => readers[*r].socket = None,
        Op::Read(r, steps, max) => readers[*r].read(log, *steps, *max),
        Op::Sync(r, off) => {
            let reader = &mut readers[*r];
            if let (Some(cursor), Some(run)) = (&mut reader.socket, reader.client.live.clone()) {
                let held = utf16_len(reader.client.text(&run));
                log.seek(cursor, &run, (*off).min(held));
            }
        }
        _ => unreachable!("the writer's"),
    }
}

/// A copy of a session's log at another gateway, and how far it is told.
struct Elsewhere {
    log: Log,
    copied: Copied,
}

impl Elsewhere {
    fn of(session: &Session) -> Self {
        let mut copy = Self { log: Log::empty_copy(50), copied: Copied::default() };
        copy.hear(session, usize::MAX, 7, false);
        copy
    }

    /// Hears up to so many changes; of those that get lost it hears with the next one that comes.
    fn hear(&mut self, session: &Session, most: usize, max_bytes: usize, lost: bool) {
        let mut changes = Vec::new();
        session.log.tell_copy(&mut self.copied, max_bytes, session.now, |change| {
            // As it goes over the wire.
            let bytes = rmp_serde::to_vec_named(&change).unwrap();
            changes.push(rmp_serde::from_slice::<Change>(&bytes).unwrap());
            changes.len() < most
        });
        if lost {
            let (at, revision) = self.log.copy_end();
            self.copied = session.log.copied(Some(&at), revision);
            return;
        }
        for change in changes {
            assert_eq!(self.log.repeat(change, session.now), Ok(()));
        }
    }
}

/// Ops, and what the copy hears after each.
fn heard() -> impl Strategy<Value = (Op, usize, usize, bool)> {
    (op(), 0..6usize, 1..20usize, prop::bool::weighted(0.1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_reader_ends_with_the_same_text(ops in vec(op(), 1..160)) {
        let mut session = Session::new();
        let mut readers: Vec<_> =
            (0..3).map(|_| Reader { client: Client::default(), socket: None, held: Vec::new() }).collect();
        for op in &ops {
            apply(&mut session, &mut readers, op);
        }
        while session.live.is_some() {
            session.finish(Status::Complete);
        }
        for reader in &mut readers {
            if reader.socket.is_none() {
                let cursor = reader.client.cursor();
                reader.connect(&session.log, Some(&cursor));
            }
            reader.read(&session.log, usize::MAX, 7);
            let cursor = reader.socket.as_ref().unwrap();
            prop_assert!(session.log.is_up_to_date(cursor));
            prop_assert_eq!(reader.client.seq, session.log.head());
            prop_assert_eq!(&reader.client.live, &None);
            // A snapshot holds the newest messages only: of what a client holds, all is right, and the newest is there.
            for (run, text) in &session.texts {
                if reader.client.done.contains(run) {
                    prop_assert_eq!(reader.client.text(run), text);
                }
            }
            let newest: Vec<_> = session.messages.iter().rev().take(SNAPSHOT_MESSAGES).map(|m| &m.id).collect();
            let shown: Vec<_> = reader.client.shown.iter().rev().take(newest.len()).collect();
            prop_assert_eq!(newest, shown);
            for answer in session.messages.iter().rev().take(SNAPSHOT_MESSAGES) {
                if let Some(run) = &answer.run {
                    prop_assert_eq!(reader.client.text(run), &answer.text);
                }
                for (call, status) in calls_of(&answer.tools) {
                    prop_assert_eq!(reader.client.calls.get(&call), Some(&status));
                }
            }
        }
    }

    #[test]
    fn a_copy_elsewhere_is_the_same_log_whatever_is_lost_on_the_way(ops in vec(heard(), 1..160)) {
        let mut session = Session::new();
        let mut copy = Elsewhere::of(&session);
        let mut readers: Vec<_> =
            (0..3).map(|_| Reader { client: Client::default(), socket: None, held: Vec::new() }).collect();
        for (op, most, max_bytes, lost) in &ops {
            match op {
                Op::Connect(_) | Op::Resume(..) | Op::Foreign(..) | Op::Cut(_) | Op::Read(..) | Op::Sync(..) => {
                    read(&copy.log, &mut readers, op);
                }
                writing => apply(&mut session, &mut [], writing),
            }
            if *most > 0 {
                copy.hear(&session, *most, *max_bytes, *lost);
            }
        }
        copy.hear(&session, usize::MAX, 7, false);
        prop_assert!(session.log.is_copied(&copy.copied));
        let ((theirs, _), (ours, _)) = (session.log.snapshot(), copy.log.snapshot());
        // Events age from when they were heard of, so interruptions may be told a little longer there.
        prop_assert_eq!((theirs.messages, theirs.more, theirs.live), (ours.messages, ours.more, ours.live));
        // Whoever read the copy goes on at the log, and the other way round.
        for reader in &mut readers {
            let cursor = reader.client.cursor();
            if reader.socket.is_some() {
                let before = reader.client.clone();
                reader.read(&copy.log, usize::MAX, 7);
                prop_assert_eq!(reader.client.seq, session.log.head());
                reader.client = before; // It may have been shown a snapshot, and has no such cursor any more.
            }
            reader.connect(&session.log, Some(&cursor));
            reader.read(&session.log, usize::MAX, 7);
            for (run, text) in &session.texts {
                if reader.client.done.contains(run) {
                    prop_assert_eq!(reader.client.text(run), text);
                }
            }
        }
        // A log that has moved as a whole takes up every reader as this one does.
        if session.live.is_none() {
            let carry = rmp_serde::to_vec_named(&session.log.whole(session.now)).unwrap();
            let moved = Log::of_whole(rmp_serde::from_slice(&carry).unwrap(), 50, session.now).unwrap();
            for reader in &readers {
                for cursor in reader.held.iter().map(String::as_str).chain([&*reader.client.cursor()]) {
                    let (before, after) = (session.log.attach(Some(cursor)), moved.attach(Some(cursor)));
                    prop_assert_eq!((before.recovered, before.seq), (after.recovered, after.seq));
                }
            }
            prop_assert_eq!(moved.snapshot().0.messages, session.log.snapshot().0.messages);
        } else {
            prop_assert!(Log::of_whole(session.log.whole(session.now), 50, session.now).is_err());
        }
    }

    #[test]
    fn any_string_is_a_cursor_or_is_not(cursor in ".{0,40}") {
        let mut session = Session::new();
        session.turn();
        session.log.append_text("abc", 0);
        let attachment = session.log.attach(Some(&cursor));
        prop_assert!(attachment.recovered == Recovered::Full || attachment.snapshot.is_some());
    }
}

#[test]
fn a_trimmed_or_foreign_cursor_gets_a_snapshot_and_never_a_part() {
    let mut session = Session::new();
    session.turn();
    session.text("one");
    session.finish(Status::Complete);
    assert_eq!(session.log.attach(Some("e7:1")).recovered, Recovered::Full);
    session.log.trim(RETENTION + 1);
    for foreign in ["e7:1", "e7:99", "e8:3", "e7:3:r_x", "e7", ""] {
        let attachment = session.log.attach(Some(foreign));
        assert_eq!(attachment.recovered, Recovered::Snapshot, "{foreign}");
        assert_eq!(attachment.snapshot.unwrap().messages.len(), 2);
    }
    assert_eq!(session.log.attach(Some("e7:3")).recovered, Recovered::Full, "nothing is missing behind the head");
}

#[test]
fn an_interrupted_answer_is_in_the_snapshot_and_its_end_follows() {
    let run = RunId::random();
    let question = message(&MessageId::random(), Role::User, "Why?", Status::Complete);
    let answer = Message {
        run: Some(run.clone()),
        ..message(&MessageId::random(), Role::Assistant, "Because", Status::Interrupted)
    };
    let log = Log::new("e8", vec![question, answer.clone()], false, 50, 0);
    let Attachment { mut cursor, recovered, snapshot, .. } = log.attach(Some("e7:5:r_1:3"));
    assert_eq!(recovered, Recovered::Snapshot);
    let snapshot = snapshot.unwrap();
    assert_eq!((snapshot.seq, snapshot.messages.last().unwrap().status), (0, Status::Interrupted));
    let Step::Event(1, Event::RunDone(done)) = log.next(&mut cursor, 100) else { panic!("no run.done") };
    assert_eq!((&done.run, done.status, done.len), (&run, Status::Interrupted, 7));
    assert_eq!(log.text_of(&run, 0, 100), Some((0, "Because")));
}

#[test]
fn what_is_kept_is_bounded() {
    let mut session = Session::new();
    let long = "x".repeat(MAX_KEPT_BYTES / 8);
    for _ in 0..60 {
        session.turn();
        session.text(&long);
        session.finish(Status::Complete);
        let kept: usize = session.log.runs.iter().map(|r| r.text.as_str().len()).sum();
        assert!(kept <= session.log.kept_bytes && session.log.kept_bytes <= MAX_KEPT_BYTES);
        assert_eq!(session.log.kept_bytes, session.log.events.iter().map(|kept| kept.bytes).sum::<usize>());
        let transcript = session.log.transcript();
        assert!(transcript.iter().count() <= SNAPSHOT_MESSAGES);
        let bytes: usize = transcript.iter().map(|m| m.text.len()).sum();
        assert!(bytes <= transcript::MAX_BYTES);
        assert_eq!(bytes, transcript.bytes());
    }
}

#[test]
fn events_are_bounded_in_number_and_waiting_questions_stay() {
    let mut session = Session::new();
    for _ in 0..MAX_EVENTS {
        session.turn();
    }
    assert_eq!(session.log.events.len(), MAX_EVENTS);
    assert_eq!(session.log.transcript().iter().count(), 2 * MAX_EVENTS, "each of them waits for its answer");
    assert!(session.log.transcript().message(&session.messages[0].id).is_some());
    while session.live.is_some() {
        session.finish(Status::Complete);
    }
    assert_eq!(session.log.transcript().iter().count(), SNAPSHOT_MESSAGES);
}

#[test]
fn every_interrupted_answer_is_reported() {
    let message =
        |status, role| Message { run: Some(RunId::random()), ..message(&MessageId::random(), role, "x", status) };
    let messages = [(Status::Complete, Role::User), (Status::Interrupted, Role::Assistant)].repeat(2);
    let messages: Vec<_> = messages.into_iter().map(|(status, role)| message(status, role)).collect();
    let log = Log::new("e8", messages.clone(), false, 50, 0);
    let (snapshot, mut cursor) = log.snapshot();
    assert_eq!((snapshot.seq, snapshot.messages.len()), (0, 4));
    for answer in [&messages[1], &messages[3]] {
        let Step::Event(_, Event::RunDone(done)) = log.next(&mut cursor, 100) else { panic!("no run.done") };
        assert_eq!(done.message, answer.id);
    }
    assert_eq!(log.next(&mut cursor, 100), Step::UpToDate);
}

/// What a reader is shown until there is nothing more, in short.
fn shown(log: &Log, cursor: &mut Cursor) -> Vec<String> {
    let mut shown = Vec::new();
    loop {
        match log.next(cursor, 100) {
            Step::UpToDate => return shown,
            Step::Delta { off, text, .. } => shown.push(format!("{off}:{text}")),
            Step::Failover { keep, from, to, .. } => shown.push(format!("{from}>{to}@{keep}")),
            _ => {}
        }
    }
}

#[test]
fn a_failover_withdraws_text_from_whoever_may_hold_it() {
    let mut session = Session::new();
    session.turn();
    session.text("Hello wo");
    let (mut ahead, mut behind) = (session.log.attach(Some("e7:2")).cursor, session.log.attach(Some("e7:2")).cursor);
    assert_eq!(shown(&session.log, &mut ahead), ["0:Hello wo"]);
    session.fail_over(5);
    assert!(!session.log.is_up_to_date(&ahead));
    session.text(", tent");
    assert_eq!(shown(&session.log, &mut ahead), ["a>b@5", "5:, tent"]);
    assert!(session.log.is_up_to_date(&ahead));
    assert_eq!(shown(&session.log, &mut behind), ["a>b@5", "0:Hello, tent"]);
    // A cursor within the withdrawn text, one within the new text, one before both.
    let run = session.live.as_ref().unwrap().0.clone();
    for (off, rest) in [(8, "5:, tent"), (10, "5:, tent"), (100, "5:, tent"), (3, "3:lo, tent")] {
        let mut cursor = session.log.attach(Some(&format!("e7:2:{run}:{off}"))).cursor;
        assert_eq!(shown(&session.log, &mut cursor), ["a>b@5", rest], "{off}");
    }
    let mut fresh = session.log.attach(Some("e7:1")).cursor;
    assert_eq!(shown(&session.log, &mut fresh), ["a>b@5", "0:Hello, tent"]);
    let (snapshot, mut cursor) = session.log.snapshot();
    assert_eq!((snapshot.live.unwrap().text.as_str(), shown(&session.log, &mut cursor)), ("Hello, tent", vec![]));
    session.finish(Status::Complete);
    let done = session.log.attach(Some(&format!("e7:2:{run}:8"))).cursor;
    assert_eq!(shown(&session.log, &mut done.clone()), ["a>b@5", "5:, tent"]);
}
