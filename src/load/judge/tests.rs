use super::*;
use crate::load::stored::StoredMessage;

const QUESTION: &str = "?";

fn message(id: &str, role: &str, text: &str, status: &str, run: &str) -> StoredMessage {
    StoredMessage {
        id: id.to_owned(),
        role: role.to_owned(),
        text: text.to_owned(),
        status: Some(status.to_owned()),
        run: Some(run.to_owned()),
    }
}

/// One session of two questions, as it should be.
struct Told {
    events: Vec<Event>,
    stored: Vec<StoredMessage>,
}

fn s(text: &str) -> String {
    text.to_owned()
}

fn crc(text: &str) -> u32 {
    crc32fast::hash(text.as_bytes())
}

fn turn(number: u32) -> (Vec<Event>, [StoredMessage; 2]) {
    let (id, run, text) = (format!("q{number}"), format!("r{number}"), format!("answer {number}"));
    let (len, crc32, status) = (text.len() as u64, crc(&text), s("complete"));
    let events = vec![
        Event::Sent { id: id.clone(), crc32: crc(QUESTION) },
        Event::Acked { id: id.clone(), run: Some(run.clone()), duplicate: false },
        Event::Message { id: id.clone() },
        Event::RunStarted { run: run.clone(), question: id.clone() },
        Event::RunDone { run: run.clone(), status: status.clone(), len, crc32 },
        Event::Proven { question: id.clone(), answer: Some(format!("a{number}")), status, len, crc32 },
    ];
    let question = message(&id, "user", QUESTION, "complete", &run);
    (events, [question, message(&format!("a{number}"), "assistant", &text, "complete", &run)])
}

impl Told {
    fn honest() -> Self {
        let mut events = vec![Event::Welcomed { epoch: s("e"), recovered: s("new") }];
        let mut stored = Vec::new();
        for number in 1..=2 {
            let (told, messages) = turn(number);
            events.extend(told);
            stored.extend(messages);
        }
        Self { events, stored }
    }

    /// As many records as events, and the verdict on them.
    fn verdict(&self) -> Verdict {
        let record = |(n, event): (usize, &Event)| Record {
            at_us: n as u64,
            conversation: 0,
            session: Some(s("s_1")),
            event: event.clone(),
        };
        let records: Vec<_> = self.events.iter().enumerate().map(record).collect();
        judge(&records, &HashMap::from([(s("s_1"), self.stored.clone())]))
    }

    #[track_caller]
    fn finds(&self, violation: Violation) {
        let verdict = self.verdict();
        assert_eq!(verdict.violations.keys().collect::<Vec<_>>(), [&violation], "{verdict}");
        assert!(!verdict.is_clean() && !verdict.told.is_empty());
    }
}

/// Does something to an honest session.
#[track_caller]
fn after(change: impl FnOnce(&mut Told), violation: Violation) {
    let mut told = Told::honest();
    change(&mut told);
    told.finds(violation);
}

#[test]
fn an_honest_session_is_clean() {
    let verdict = Told::honest().verdict();
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.sessions, verdict.sent, verdict.acked, verdict.proven), (1, 2, 2, 2));
    assert_eq!(verdict.answers, BTreeMap::from([(s("complete"), 2)]));
    let text = verdict.to_string();
    assert!(text.contains("2 sent, 2 acknowledged") && text.contains("lost          0"), "{text}");
}

#[test]
fn what_a_crash_may_leave_is_no_violation() {
    let mut told = Told::honest();
    // Sent, never acknowledged; one arrived, one did not.
    told.events.push(Event::Sent { id: s("q3"), crc32: crc(QUESTION) });
    told.events.push(Event::Lost { cut: false });
    told.events.push(Event::Welcomed { epoch: s("f"), recovered: s("snapshot") });
    told.events.push(Event::Sent { id: s("q3"), crc32: crc(QUESTION) });
    told.events.push(Event::GaveUp { reason: s("interrupted") });
    let verdict = told.verdict();
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.sent, verdict.acked, verdict.resent, verdict.restarts), (3, 2, 1, 1));
    assert_eq!(verdict.recovered, BTreeMap::from([(s("snapshot"), 1)]), "the first socket had nothing to come back to");
    told.stored.push(message("q3", "user", QUESTION, "complete", "r3"));
    told.stored.push(message("a3", "assistant", "half an", "interrupted", "r3"));
    let verdict = told.verdict();
    assert!(verdict.is_clean() && verdict.stored_unacked == 1, "{verdict}");
    // A repetition is no second acceptance.
    told.events.push(Event::Acked { id: s("q3"), run: Some(s("r3")), duplicate: true });
    told.events.push(Event::Refused { id: None, code: s("storage_unavailable") });
    let verdict = told.verdict();
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.errors, BTreeMap::from([(s("interrupted"), 1), (s("storage_unavailable"), 1)]));
}

#[test]
fn lost_messages_and_answers_are_found() {
    after(|told| drop(told.stored.drain(2..)), Violation::Lost);
    after(|told| told.stored.clear(), Violation::Lost);
    after(|told| drop(told.stored.pop()), Violation::Lost);
    // Announced, and the acknowledgement got lost.
    let unacked = |told: &mut Told| {
        told.events.retain(|event| !matches!(event, Event::Acked { id, .. } if id == "q2"));
        told.stored.truncate(2);
    };
    after(unacked, Violation::Lost);
    let records = [Record {
        at_us: 0,
        conversation: 0,
        session: Some(s("s_1")),
        event: Event::Acked { id: s("q"), run: None, duplicate: false },
    }];
    assert_eq!(judge(&records, &HashMap::new()).violations.len(), 0, "an ack of what was never sent is not a message");
}

#[test]
fn a_loss_counts_once_however_many_records_prove_it() {
    let acked = |event: &Event| matches!(event, Event::Acked { id, .. } if id == "q2");
    let announced = |event: &Event| matches!(event, Event::Message { id } if id == "q2");
    for (untold, kept, lost) in [
        (&(|_: &Event| false) as &dyn Fn(&Event) -> bool, 2, "was acknowledged"),
        (&acked, 2, "was acknowledged"),
        (&acked, 3, "the answer to q2 is not stored"),
        (&|event| acked(event) || announced(event), 2, "was proven"),
    ] {
        let mut told = Told::honest();
        told.events.retain(|event| !untold(event));
        told.stored.truncate(kept);
        let verdict = told.verdict();
        assert_eq!(verdict.violations, BTreeMap::from([(Violation::Lost, 1)]), "{verdict}");
        assert!(verdict.told[0].contains(lost), "{verdict}");
    }
}

#[test]
fn doubled_messages_runs_and_answers_are_found() {
    after(|told| told.stored.push(told.stored[0].clone()), Violation::Duplicated);
    after(|told| told.stored.push(message("a9", "assistant", "answer 2", "complete", "r2")), Violation::Duplicated);
    let again = Event::Acked { id: s("q1"), run: Some(s("r1")), duplicate: false };
    after(|told| told.events.push(again), Violation::Duplicated);
    // Another run is a doubled one, and not the stored one.
    let mut told = Told::honest();
    told.events.push(Event::Acked { id: s("q1"), run: Some(s("r9")), duplicate: true });
    let found = told.verdict().violations;
    assert!(found.contains_key(&Violation::Duplicated) && found.contains_key(&Violation::Altered), "{found:?}");
    let mut told = Told::honest();
    told.events.push(Event::RunStarted { run: s("r9"), question: s("q1") });
    assert!(told.verdict().violations.contains_key(&Violation::Duplicated));
}

#[test]
fn altered_texts_and_endings_are_found() {
    after(|told| told.stored[0].text.push('!'), Violation::Altered);
    after(|told| told.stored[3].text.push('!'), Violation::Altered);
    after(|told| told.stored[3].status = Some(s("interrupted")), Violation::Altered);
    let otherwise = Event::RunDone { run: s("r1"), status: s("complete"), len: 1, crc32: 1 };
    after(|told| told.events.push(otherwise), Violation::Altered);
}

#[test]
fn another_order_is_found() {
    after(|told| told.stored.rotate_left(2), Violation::Disordered);
    after(|told| told.stored.swap(1, 2), Violation::Disordered);
}

#[test]
fn answers_without_an_end_and_messages_without_a_sender_are_found() {
    let pending = |told: &mut Told| {
        told.events.retain(|event| !matches!(event, Event::Proven { question, .. } if question == "q2"));
        told.stored[3].status = Some(s("pending"));
    };
    after(pending, Violation::Unended);
    after(|told| told.stored.push(message("x", "user", "hm", "complete", "r9")), Violation::Foreign);
}
