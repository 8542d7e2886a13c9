//! Somebody who watches a session at one gateway and then at another, sends messages, and repeats what was not answered.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt, OptionFuture};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    judge::Acked,
    world::{Gateway, World},
};
use crate::{
    chat::{MessageId, RunId, SessionId, Status, utf16_len},
    config::DEFAULT_ASSISTANT,
    limits::Visitor,
    session::{
        NewMessage, Receipt, SendError, SendMode, SessionHandle, StopTarget, Viewer,
        log::{Attachment, Event, Recovered, Snapshot, Step},
        viewer::Change,
    },
};

/// What clients do at the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// They come and go and send.
    Work,
    /// They stay, and send what they have not sent.
    Settle,
    /// The first one of each session says a last word.
    LastWord,
    /// They leave.
    Leave,
}

/// How long an answer is waited for, and to be let in.
const PATIENCE: Duration = Duration::from_secs(9);

/// What others see of a client.
#[derive(Default)]
pub(super) struct Standing {
    /// Everything it wanted to say is acknowledged.
    pub(super) is_done: bool,
    pub(super) is_attached: bool,
    /// Who watches, as it was told last.
    pub(super) viewers: usize,
    /// Runs that are to answer it, and those whose ends it knows.
    pub(super) acked: Vec<RunId>,
    pub(super) heard: HashSet<RunId>,
    /// The run of its last word.
    pub(super) last: Option<RunId>,
}

pub(super) struct Client {
    world: Arc<World>,
    number: usize,
    is_first: bool,
    session: SessionId,
    rng: SmallRng,
    to_say: VecDeque<(MessageId, String)>,
    has_said_last: bool,
    seen: Seen,
    pub(super) standing: Arc<Mutex<Standing>>,
}

/// What it has of the session.
#[derive(Default)]
struct Seen {
    epoch: Option<Arc<str>>,
    seq: u64,
    cursor: Option<String>,
    /// Texts, as far as it has all of them from their beginning.
    runs: HashMap<RunId, String>,
}

type Sending = BoxFuture<'static, Option<Result<Receipt, SendError>>>;

impl Client {
    pub(super) fn new(world: &Arc<World>, (number, seed): (usize, u64), (session, is_first): (usize, bool)) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(number as u64 + 1));
        let session = world.sessions[session].clone();
        let to_say = (0..rng.random_range(1..5)).map(|n| message(&session, number, n)).collect();
        let (world, standing, seen) = (world.clone(), Arc::default(), Seen::default());
        Self { world, number, is_first, session, rng, to_say, has_said_last: false, seen, standing }
    }

    pub(super) fn session(&self) -> &SessionId {
        &self.session
    }

    pub(super) async fn live(mut self) {
        // Nobody else can know of a session before its first message, when it is not made before.
        self.world.known(&self.session, self.is_first).await;
        while self.phase() != Phase::Leave {
            let Some((at, gateway)) = self.world.any(&mut self.rng) else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let opening = gateway.process.run(gateway.hub.get_or_open(&self.session, DEFAULT_ASSISTANT, None));
            match timeout(PATIENCE, opening).await {
                Ok(Some(Ok(handle))) if gateway.process.is_running() => self.stay(at, &gateway, &handle).await,
                refused => {
                    let refused = refused.map(|refused| refused.map(|refused| refused.err()));
                    self.note(|| format!("is not let in at {at}: {refused:?}"));
                }
            }
            self.standing.lock().is_attached = false;
            sleep(self.millis(20..900)).await;
        }
    }

    /// Watches at a gateway until it ends, or one leaves.
    async fn stay(&mut self, at: usize, gateway: &Arc<Gateway>, handle: &SessionHandle) {
        let (mut viewer, attachment) = handle.attach(self.seen.cursor.as_deref());
        self.begin(at, &attachment);
        {
            let mut standing = self.standing.lock();
            (standing.is_attached, standing.viewers) = (true, 1);
        }
        let leaves = Instant::now() + self.millis(200..7000);
        let mut speaks = Instant::now() + self.millis(0..2500);
        let mut sending: Option<(Sending, Instant)> = None;
        let mut stopping: Option<BoxFuture<'static, ()>> = None;
        let mut phase = self.world.phase.subscribe();
        loop {
            self.has_last_word();
            let now = *phase.borrow_and_update();
            if now == Phase::Leave {
                return;
            }
            let (reply, until) = match &mut sending {
                Some((reply, until)) => (Some(reply), Some(*until)),
                None => (None, None),
            };
            let speaks_at = (reply.is_none() && !self.to_say.is_empty()).then_some(speaks);
            tokio::select! {
                biased;
                change = gateway.process.run(viewer.changed()) => {
                    self.read(at, &mut viewer);
                    match change {
                        Some(Change::More) => {}
                        Some(Change::Closed(cause)) => return self.note(|| format!("closed at {at}: {cause:?}")),
                        None => return,
                    }
                }
                Some(reply) = OptionFuture::from(reply) => {
                    sending = None;
                    match reply {
                        Some(Ok(receipt)) => self.on_ack(&receipt),
                        Some(Err(refusal)) => {
                            self.note(|| format!("is refused at {at}: {refusal}"));
                            if !refusal.is_retryable() {
                                let wrong = format!("client {} is refused: {refusal}", self.number);
                                self.world.history.is_wrong(wrong);
                                self.to_say.pop_front();
                            }
                            if self.rng.random() {
                                return;
                            }
                            speaks = Instant::now() + self.millis(100..900);
                        }
                        None => return,
                    }
                }
                Some(()) = OptionFuture::from(until.map(sleep_until)) => {
                    return self.note(|| format!("is not answered at {at}"));
                }
                Some(()) = OptionFuture::from(speaks_at.map(sleep_until)) => {
                    sending = Some((self.say(gateway, handle), Instant::now() + PATIENCE));
                    speaks = Instant::now() + self.millis(0..2500);
                    if now == Phase::Work && self.rng.random_range(0..8) == 0 {
                        let (process, handle) = (gateway.process.clone(), handle.clone());
                        let stop = async move { drop(process.run(handle.stop(StopTarget::Active)).await) };
                        stopping = Some(stop.boxed());
                    }
                }
                Some(()) = OptionFuture::from(stopping.as_mut()) => stopping = None,
                () = sleep_until(leaves), if now == Phase::Work => return self.note(|| format!("leaves {at}")),
                _ = phase.changed() => {}
            }
        }
    }

    fn say(&mut self, gateway: &Arc<Gateway>, handle: &SessionHandle) -> Sending {
        let (id, text) = self.to_say[0].clone();
        let mode = [SendMode::Queue, SendMode::Queue, SendMode::Reject, SendMode::Replace][self.rng.random_range(0..4)];
        self.note(|| format!("sends {id} to {}", handle.id()));
        let message = NewMessage { id: Some(id), text, mode, by: Visitor::at([127, 0, 0, 1].into()) };
        let (process, handle) = (gateway.process.clone(), handle.clone());
        async move { process.run(handle.send(message)).await }.boxed()
    }

    fn on_ack(&mut self, receipt: &Receipt) {
        let Some((message, text)) = self.to_say.pop_front() else { return };
        self.note(|| format!("{message} is acknowledged: {receipt:?}"));
        if receipt.message != message {
            self.world.history.is_wrong(format!("{message} is acknowledged as {receipt:?}"));
        }
        self.world.make_known(&self.session);
        let (session, run) = (self.session.clone(), receipt.run.clone());
        self.standing.lock().acked.extend(run.clone());
        if self.has_said_last {
            self.standing.lock().last.clone_from(&run);
        }
        self.world.history.acked(Acked { client: self.number, session, message, text, run });
    }

    /// Adds its last word when it is time for that, and says whether there is anything to say.
    fn has_last_word(&mut self) {
        if self.is_first && self.phase() == Phase::LastWord && !self.has_said_last {
            self.has_said_last = true;
            self.to_say.push_back(message(&self.session, self.number, 99));
        }
        self.standing.lock().is_done = self.to_say.is_empty();
    }

    fn begin(&mut self, at: usize, attachment: &Attachment) {
        let Attachment { epoch, seq, recovered, snapshot, .. } = attachment;
        self.note(|| format!("attaches at {at} to {epoch}:{seq}, {recovered:?}"));
        match recovered {
            Recovered::Full if self.seen.epoch.as_ref() == Some(epoch) => {}
            Recovered::Full => self.wrong(format!("goes on in {epoch}, where it never was")),
            Recovered::New => self.seen = Seen { epoch: Some(epoch.clone()), ..Seen::default() },
            Recovered::Snapshot => {
                self.seen = Seen { epoch: Some(epoch.clone()), ..Seen::default() };
                if let Some(snapshot) = snapshot {
                    self.take(snapshot);
                }
            }
        }
    }

    fn take(&mut self, snapshot: &Snapshot) {
        let Seen { epoch, seq, runs, .. } = &mut self.seen;
        (*seq, *runs) = (snapshot.seq, HashMap::new());
        if let (Some(live), Some(epoch)) = (&snapshot.live, epoch) {
            self.world.history.text(epoch, &live.run, &live.text);
            runs.insert(live.run.clone(), live.text.clone());
        }
        for message in &snapshot.messages {
            self.world.history.message(message);
            if message.status != Status::Pending {
                self.standing.lock().heard.extend(message.run.clone().filter(|_| message.question.is_some()));
            }
        }
    }

    fn read(&mut self, at: usize, viewer: &mut Viewer) {
        let (mut is_trimmed, mut wrong) = (false, Vec::new());
        let Seen { epoch, seq, runs, .. } = &mut self.seen;
        let (Some(epoch), history, standing) = (epoch.clone(), &self.world.history, &self.standing) else { return };
        let (world, number) = (&self.world, self.number);
        viewer.read(16 << 10, |step| {
            match step {
                Step::Event(number, event) => {
                    history.event(&epoch, number, event);
                    if number != *seq + 1 {
                        wrong.push(format!("hears of event {number} after {seq} in {epoch}"));
                    }
                    *seq = number;
                    match event {
                        Event::RunStart { run, .. } => drop(runs.insert(run.clone(), String::new())),
                        Event::RunDone(done) => {
                            standing.lock().heard.insert(done.run.clone());
                            if let Some(text) = runs.get(&done.run)
                                && (utf16_len(text), crc32fast::hash(text.as_bytes())) != (done.len, done.crc32)
                            {
                                wrong.push(format!("has {text:?} of {done:?} in {epoch}"));
                            }
                        }
                        Event::Message(_)
                        | Event::Memory { .. }
                        | Event::Sources { .. }
                        | Event::ToolCall { .. }
                        | Event::ToolResult { .. }
                        | Event::Decided(_) => {}
                    }
                }
                Step::Delta { run, off, text, .. } => match runs.get_mut(run) {
                    Some(known) if utf16_len(known) == off => {
                        known.push_str(text);
                        history.text(&epoch, run, known);
                    }
                    known => wrong.push(format!("has {known:?} of {run} in {epoch}, and hears {text:?} at {off}")),
                },
                Step::Presence(presence) => {
                    world.history.note(world.now(), || format!("{number} hears that {} watch", presence.viewers));
                    standing.lock().viewers = presence.viewers;
                }
                Step::Failover { .. } => wrong.push("hears that a model fails, which none does".to_owned()),
                Step::Trimmed => is_trimmed = true,
                Step::Doing(..) | Step::UpToDate => {}
            }
            true
        });
        if is_trimmed {
            let snapshot = viewer.snapshot();
            self.take(&snapshot);
        }
        wrong.into_iter().for_each(|wrong| self.wrong(format!("{wrong} at {at}")));
        self.seen.cursor = Some(viewer.cursor_text());
    }

    fn phase(&self) -> Phase {
        *self.world.phase.borrow()
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(range))
    }

    fn wrong(&self, what: String) {
        self.world.history.is_wrong(format!("client {} {what}", self.number));
    }

    fn note(&self, what: impl FnOnce() -> String) {
        self.world.history.note(self.world.now(), || format!("{} {}", self.number, what()));
    }
}

fn message(session: &SessionId, client: usize, n: usize) -> (MessageId, String) {
    let id = MessageId::parse(&format!("m-{client}-{n}")).expect("an id");
    (id, format!("{session} {client} {n}"))
}
