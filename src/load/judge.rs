//! Compares a history with what the gateway has stored. Pure: records and stored sessions in, a verdict out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
};

use serde::Serialize;

use super::{
    history::{Event, Record},
    proof::Proof,
    stored::StoredMessage,
};

/// How many violations and errors are told in words.
const TOLD: usize = 20;

/// What must not have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// A message that was acknowledged or announced, or its answer, is not stored.
    Lost,
    /// A message or an answer is stored twice, was accepted as new twice, or was answered by two runs.
    Duplicated,
    /// A text or an ending is another than was sent or proven.
    Altered,
    /// Messages are stored in another order than they were sent in, or an answer away from its question.
    Disordered,
    /// An answer is being written still.
    Unended,
    /// A message is stored that nobody sent.
    Foreign,
}

impl Violation {
    const ALL: [(Self, &str); 6] = [
        (Self::Lost, "lost"),
        (Self::Duplicated, "duplicated"),
        (Self::Altered, "altered"),
        (Self::Disordered, "disordered"),
        (Self::Unended, "unended"),
        (Self::Foreign, "foreign"),
    ];
}

/// What came out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Records of the history.
    pub records: u64,
    /// Sessions that were talked to.
    pub sessions: u64,
    /// Different messages that were sent.
    pub sent: u64,
    /// Of those, acknowledged at least once.
    pub acked: u64,
    /// Of those that were sent and never acknowledged, how many are stored all the same. Both is right.
    pub stored_unacked: u64,
    /// Times that a message was sent again.
    pub resent: u64,
    /// Times that a session came back with another epoch: the gateway had been restarted.
    pub restarts: u64,
    /// Connections lost or refused, cut ones included.
    pub connections_lost: u64,
    /// How sockets that came back to their session were welcomed: `full`, where it went on, or `snapshot`.
    pub recovered: BTreeMap<String, u64>,
    /// Stored answers to what was sent, by status.
    pub answers: BTreeMap<String, u64>,
    /// Answers that were held whole and proven, and compared with what is stored.
    pub proven: u64,
    /// What must not have happened, counted.
    pub violations: BTreeMap<Violation, u64>,
    /// The first of them, in words.
    pub told: Vec<String>,
    /// What the gateway refused, by code, and why conversations ended early. No violation: a refusal is an answer.
    pub errors: BTreeMap<String, u64>,
}

impl Verdict {
    /// Whether nothing happened that must not.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    fn violation(&mut self, violation: Violation, session: &str, what: impl fmt::Display) {
        *self.violations.entry(violation).or_default() += 1;
        if self.told.len() < TOLD {
            self.told.push(format!("{session}: {what}"));
        }
    }
}

/// Judges a history by what is stored of its sessions, oldest message first; a session that is absent is not stored.
#[must_use]
pub(super) fn judge(records: &[Record], stored: &HashMap<String, Vec<StoredMessage>>) -> Verdict {
    let mut verdict = Verdict { records: records.len() as u64, ..Verdict::default() };
    let mut sessions: BTreeMap<&str, Claims<'_>> = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::Lost { .. } => verdict.connections_lost += 1,
            Event::Welcomed { recovered, .. } if recovered != "new" => {
                *verdict.recovered.entry(recovered.clone()).or_default() += 1;
            }
            Event::Refused { code, .. } => *verdict.errors.entry(code.clone()).or_default() += 1,
            Event::GaveUp { reason } => *verdict.errors.entry(reason.clone()).or_default() += 1,
            _ => {}
        }
        if let Some(session) = &record.session {
            sessions.entry(session).or_default().take(&record.event);
        }
    }
    verdict.sessions = sessions.len() as u64;
    for (session, claims) in sessions {
        let nothing = Vec::new();
        let messages = stored.get(session).unwrap_or(&nothing);
        Case::new(session, &claims, messages, &mut verdict).judge();
    }
    verdict
}

/// What one session was told, and what it said.
#[derive(Default)]
struct Claims<'a> {
    /// In the order of the first attempt, with the CRC-32 of the text.
    sent: Vec<(&'a str, u32)>,
    resent: u64,
    epochs: BTreeSet<&'a str>,
    /// Runs that acknowledgements named, and how often one said that the message was new.
    acks: BTreeMap<&'a str, (BTreeSet<&'a str>, u64)>,
    announced: BTreeSet<&'a str>,
    runs: BTreeMap<&'a str, BTreeSet<&'a str>>,
    endings: BTreeMap<&'a str, BTreeSet<(&'a str, u64, u32)>>,
    proofs: Vec<(&'a str, Proof)>,
}

impl<'a> Claims<'a> {
    fn take(&mut self, event: &'a Event) {
        match event {
            Event::Welcomed { epoch, .. } => drop(self.epochs.insert(epoch)),
            Event::Sent { id, crc32 } if self.sent.iter().rev().any(|(known, _)| known == id) => {
                self.resent += 1;
                debug_assert!(self.sent.contains(&(id, *crc32)));
            }
            Event::Sent { id, crc32 } => self.sent.push((id, *crc32)),
            Event::Acked { id, run, duplicate } => {
                let (runs, new) = self.acks.entry(id).or_default();
                runs.extend(run.as_deref());
                *new += u64::from(!duplicate);
            }
            Event::Message { id } => drop(self.announced.insert(id)),
            Event::RunStarted { run, question } => drop(self.runs.entry(question).or_default().insert(run)),
            Event::RunDone { run, status, len, crc32 } => {
                self.endings.entry(run).or_default().insert((status, *len, *crc32));
            }
            Event::Proven { question, status, len, crc32, .. } => {
                self.proofs.push((question, Proof { units: *len, crc32: *crc32, status: status.clone() }));
            }
            Event::Refused { .. } | Event::Lost { .. } | Event::GaveUp { .. } => {}
        }
    }
}

/// One session before the judge.
struct Case<'a> {
    session: &'a str,
    claims: &'a Claims<'a>,
    messages: &'a [StoredMessage],
    /// Where each message stands, and the answers of each run.
    places: HashMap<&'a str, usize>,
    answers: HashMap<&'a str, Vec<usize>>,
    /// Questions that are lost, or their answers: a loss is told once, however many records prove it.
    lost: HashSet<&'a str>,
    verdict: &'a mut Verdict,
}

impl<'a> Case<'a> {
    fn new(session: &'a str, claims: &'a Claims<'a>, messages: &'a [StoredMessage], verdict: &'a mut Verdict) -> Self {
        let (mut places, mut answers) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        for (place, message) in messages.iter().enumerate() {
            places.entry(&*message.id).or_insert(place);
            if let Some(run) = message.run.as_deref().filter(|_| message.role == "assistant") {
                answers.entry(run).or_default().push(place);
            }
        }
        Self { session, claims, messages, places, answers, lost: HashSet::new(), verdict }
    }

    fn judge(mut self) {
        let claims = self.claims;
        self.verdict.sent += claims.sent.len() as u64;
        self.verdict.resent += claims.resent;
        self.verdict.acked += claims.sent.iter().filter(|(id, _)| claims.acks.contains_key(id)).count() as u64;
        self.verdict.restarts += claims.epochs.len().saturating_sub(1) as u64;
        self.what_was_told();
        self.ids();
        self.order();
        for (id, crc32) in &claims.sent {
            self.question(id, *crc32);
        }
        for (question, proof) in &claims.proofs {
            self.proof(question, proof);
        }
    }

    fn found(&mut self, violation: Violation, what: impl fmt::Display) {
        self.verdict.violation(violation, self.session, what);
    }

    fn stored(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// What the gateway said must not contradict itself.
    fn what_was_told(&mut self) {
        let claims = self.claims;
        for (id, (runs, new)) in &claims.acks {
            if *new > 1 {
                self.found(Violation::Duplicated, format_args!("message {id} was accepted as new {new} times"));
            }
            let started = claims.runs.get(id).into_iter().flatten();
            if runs.iter().chain(started).collect::<BTreeSet<_>>().len() > 1 {
                self.found(Violation::Duplicated, format_args!("message {id} is answered by several runs"));
            }
        }
        for (run, endings) in claims.endings.iter().filter(|(_, endings)| endings.len() > 1) {
            self.found(Violation::Altered, format_args!("run {run} was said to end in {} ways", endings.len()));
        }
    }

    /// Each id once, and only what was sent.
    fn ids(&mut self) {
        let sent: HashSet<&str> = self.claims.sent.iter().map(|(id, _)| *id).collect();
        let mut seen = HashSet::new();
        let messages = self.messages;
        for message in messages {
            if !seen.insert(&*message.id) {
                self.found(Violation::Duplicated, format_args!("message {} is stored twice", message.id));
            } else if message.role == "user" && !sent.contains(&*message.id) {
                self.found(Violation::Foreign, format_args!("message {} was never sent", message.id));
            }
        }
    }

    /// Questions one after the other as they were sent.
    fn order(&mut self) {
        let places: Vec<_> = self.claims.sent.iter().filter_map(|(id, _)| self.stored(id)).collect();
        for _ in places.windows(2).filter(|pair| pair[0] > pair[1]) {
            self.found(Violation::Disordered, "questions are stored in another order than they were sent in");
        }
    }

    fn lost(&mut self, question: &'a str, what: impl fmt::Display) {
        if self.lost.insert(question) {
            self.found(Violation::Lost, what);
        }
    }

    fn question(&mut self, id: &'a str, crc32: u32) {
        let claims = self.claims;
        let told = claims.acks.contains_key(id) || claims.announced.contains(id);
        let Some(place) = self.stored(id) else {
            if told {
                self.lost(id, format_args!("message {id} was acknowledged and is not stored"));
            }
            return;
        };
        self.verdict.stored_unacked += u64::from(!claims.acks.contains_key(id));
        let messages = self.messages;
        let message = &messages[place];
        if message.role != "user" || crc32fast::hash(message.text.as_bytes()) != crc32 {
            self.found(Violation::Altered, format_args!("message {id} is stored with another text"));
        }
        let acked = claims.acks.get(id).into_iter().flat_map(|(runs, _)| runs);
        let mut named = acked.chain(claims.runs.get(id).into_iter().flatten());
        if let Some(run) = named.find(|run| message.run.as_deref() != Some(**run)) {
            self.found(Violation::Altered, format_args!("message {id} has {:?} and not run {run}", message.run));
        }
        self.answer(id, place);
    }

    /// Exactly one, right behind its question, and it has an ending.
    fn answer(&mut self, id: &'a str, place: usize) {
        let messages = self.messages;
        let answers = messages[place].run.as_deref().and_then(|run| self.answers.get(run)).cloned().unwrap_or_default();
        match answers.len() {
            0 => return self.lost(id, format_args!("the answer to {id} is not stored")),
            1 => {}
            count => self.found(Violation::Duplicated, format_args!("{count} answers to {id} are stored")),
        }
        match messages.get(place + 1).filter(|_| answers.contains(&(place + 1))) {
            None => self.found(Violation::Disordered, format_args!("the answer to {id} does not follow it")),
            Some(answer) => {
                let status = answer.status.as_deref().unwrap_or("complete");
                *self.verdict.answers.entry(status.to_owned()).or_default() += 1;
                if status == "pending" {
                    self.found(Violation::Unended, format_args!("the answer to {id} is being written still"));
                }
            }
        }
    }

    /// The stored answer is the one that was held.
    fn proof(&mut self, question: &'a str, proof: &Proof) {
        self.verdict.proven += 1;
        let messages = self.messages;
        let run = self.stored(question).and_then(|place| messages[place].run.as_deref());
        let Some(answer) = run.and_then(|run| self.answers.get(run)).map(|places| &messages[places[0]]) else {
            return self.lost(question, format_args!("the answer to {question} was proven and is not stored"));
        };
        let status = answer.status.as_deref().unwrap_or("complete");
        // An answer that could not be stored was announced as an error: what is stored of it is a checkpoint.
        if proof.status == "error" && status != "error" {
            return;
        }
        if status != proof.status || !proof.holds(&answer.text) {
            let was = &proof.status;
            self.found(
                Violation::Altered,
                format_args!("the answer to {question} was proven as {was} and is stored otherwise, as {status}"),
            );
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |counts: &BTreeMap<String, u64>| {
            let texts: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
            if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
        };
        let unacked = self.sent - self.acked;
        writeln!(f, "{:<14}{} records of {} sessions", "history", self.records, self.sessions)?;
        writeln!(f, "{:<14}{} lost or cut, {} restarts seen", "connections", self.connections_lost, self.restarts)?;
        writeln!(f, "{:<14}{}", "recovered", listed(&self.recovered))?;
        writeln!(f, "{:<14}{} sent, {} acknowledged, {} sent again", "messages", self.sent, self.acked, self.resent)?;
        writeln!(f, "{:<14}{unacked} ({} of them stored)", "unacknowledged", self.stored_unacked)?;
        writeln!(f, "{:<14}{}", "answers", listed(&self.answers))?;
        writeln!(f, "{:<14}{} proven and compared", "", self.proven)?;
        writeln!(f)?;
        for (violation, name) in Violation::ALL {
            writeln!(f, "{name:<14}{}", self.violations.get(&violation).copied().unwrap_or_default())?;
        }
        writeln!(f, "{:<14}{}", "errors", listed(&self.errors))?;
        for text in &self.told {
            writeln!(f, "  {text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
