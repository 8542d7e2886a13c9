//! A flight under an executor that polls only who was woken, in every order that chance comes up with.

use std::{
    sync::{
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    task::Wake,
    time::Duration,
};

use futures_util::{future::join_all, stream};
use proptest::prelude::*;

use super::*;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(60);

/// A source that says what it is allowed to, and tells when it is gone.
struct Source(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    events: Vec<Result<ModelEvent, ModelError>>,
    next: usize,
    allowed: usize,
    waker: Option<Waker>,
    is_dropped: bool,
}

impl Stream for Source {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut script = self.0.lock();
        assert!(script.next <= script.events.len(), "nobody polls it after its end");
        if script.next < script.allowed {
            script.next += 1;
            script.waker = None; // As a timer that is found to be over before it has told so.
            return Poll::Ready(script.events.get(script.next - 1).cloned());
        }
        // Only the newest waker counts, as the contract of streams has it.
        script.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.0.lock().is_dropped = true;
    }
}

/// A task of the executor: who reads, and whether it was woken.
struct Reader {
    participant: Option<Participant>,
    woken: Arc<Woken>,
    heard: Vec<Result<ModelEvent, ModelError>>,
    is_over: bool,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl Reader {
    fn new(participant: Participant) -> Self {
        let woken = Arc::new(Woken(true.into())); // A new task is polled once.
        Self { participant: Some(participant), woken, heard: Vec::new(), is_over: false }
    }

    fn is_due(&self) -> bool {
        self.participant.is_some() && !self.is_over && self.woken.0.load(SeqCst)
    }

    fn poll(&mut self) {
        let Some(participant) = self.participant.as_mut().filter(|_| !self.is_over) else { return };
        self.woken.0.store(false, SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        match participant.poll_next_unpin(&mut Context::from_waker(&waker)) {
            Poll::Pending => {}
            Poll::Ready(None) => self.is_over = true,
            Poll::Ready(Some(event)) => {
                self.heard.push(event);
                self.woken.0.store(true, SeqCst); // Whoever got something asks for more.
            }
        }
    }
}

/// A transcript in a form that does not depend on how the text was cut, and the newest usage.
fn transcript(events: &[Result<ModelEvent, ModelError>]) -> (Vec<String>, Option<Usage>) {
    let (mut lines, mut usage) = (vec![String::new()], None);
    for event in events {
        match event {
            Ok(ModelEvent::Text(text)) => lines.last_mut().unwrap().push_str(text),
            Ok(ModelEvent::Usage(newest)) => usage = Some(*newest),
            // Signs of what it does are worth nothing to who comes later.
            Ok(ModelEvent::Thinking(_)) => {}
            other => lines.extend([format!("{other:?}"), String::new()]),
        }
    }
    (lines, usage)
}

/// Bytes of reasoning.
fn thought(events: &[Result<ModelEvent, ModelError>]) -> u32 {
    events.iter().map(|event| if let Ok(ModelEvent::Thinking(bytes)) = event { *bytes } else { 0 }).sum()
}

/// Whether everything in `part` comes in `whole`, from its beginning on.
fn begins(whole: &[String], part: &[String]) -> bool {
    let Some((last, before)) = part.split_last() else { return true };
    whole.starts_with(before) && whole.get(before.len()).is_some_and(|line| line.starts_with(last.as_str()))
}

fn by() -> ModelEvent {
    ModelEvent::By(Author::new("m"))
}

fn broken() -> ModelError {
    ModelError::Truncated { target: "t".to_owned(), detail: "d".to_owned() }
}

fn usage(output: u32) -> ModelEvent {
    ModelEvent::Usage(Usage { input: 1, output, estimated: false })
}

/// What models say: an author, text with signs in between, and one of three ends.
fn answers() -> impl Strategy<Value = Vec<Result<ModelEvent, ModelError>>> {
    let step = prop_oneof![
        6 => "[a-zä€ ]{1,9}".prop_map(ModelEvent::Text),
        1 => (1..9u32).prop_map(ModelEvent::Thinking),
        1 => (0..9u32).prop_map(usage),
    ];
    let end = prop_oneof![
        3 => Just(vec![Ok(ModelEvent::Finish(FinishReason::Stop)), Ok(usage(10))]),
        1 => Just(vec![Ok(usage(11)), Err(broken())]),
        1 => Just(vec![]),
    ];
    (prop::collection::vec(step, 0..30), end).prop_map(|(steps, end)| {
        let begun = std::iter::once(by()).chain(steps).map(Ok);
        begun.chain(end).collect()
    })
}

#[derive(Debug, Clone)]
enum Act {
    Join,
    Leave(prop::sample::Index),
    /// Of those who are due.
    Poll(prop::sample::Index),
    /// Without having been woken, which is allowed to whoever polls.
    PollAnybody(prop::sample::Index),
    Feed(usize),
    /// It is there, and the source is about to tell so.
    FeedUntold(usize),
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Join),
        2 => any::<prop::sample::Index>().prop_map(Act::Leave),
        12 => any::<prop::sample::Index>().prop_map(Act::Poll),
        2 => any::<prop::sample::Index>().prop_map(Act::PollAnybody),
        5 => (1..4usize).prop_map(Act::Feed),
        2 => (1..4usize).prop_map(Act::FeedUntold),
    ]
}

fn allow(script: &Mutex<Script>, events: usize) {
    let mut script = script.lock();
    script.allowed = (script.allowed + events).min(script.events.len() + 1); // Its end comes behind them.
}

fn feed(script: &Mutex<Script>, events: usize) {
    allow(script, events);
    let waker = script.lock().waker.take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn everybody_reads_the_whole_and_nobody_sleeps_for_ever(
        events in answers(), acts in prop::collection::vec(acts(), 0..120),
    ) {
        let script = Arc::new(Mutex::new(Script { events: events.clone(), ..Script::default() }));
        let first = Flight::start(Box::pin(Source(Arc::clone(&script))));
        let flight = Arc::clone(first.flight());
        let mut readers = vec![Reader::new(first)];
        let whole = transcript(&events);
        for act in acts {
            match act {
                Act::Join => readers.extend(flight.join().map(Reader::new)),
                Act::Leave(index) => {
                    let at = index.index(readers.len());
                    readers[at].participant = None;
                }
                Act::Poll(index) => {
                    let due: Vec<_> = (0..readers.len()).filter(|&at| readers[at].is_due()).collect();
                    if !due.is_empty() {
                        readers[due[index.index(due.len())]].poll();
                    }
                }
                Act::PollAnybody(index) => {
                    let at = index.index(readers.len());
                    readers[at].poll();
                }
                Act::Feed(count) => feed(&script, count),
                Act::FeedUntold(count) => allow(&script, count),
            }
            let is_read = readers.iter().any(|reader| reader.participant.is_some());
            let script = script.lock();
            let has_ended = script.next > script.events.len()
                || script.next > 0 && script.events[script.next - 1].is_err();
            prop_assert_eq!(script.is_dropped, !is_read || has_ended, "gone when the last one has left, not before");
            for reader in &readers {
                prop_assert!(begins(&whole.0, &transcript(&reader.heard).0));
            }
        }
        feed(&script, usize::MAX / 2);
        while let Some(due) = readers.iter_mut().find(|reader| reader.is_due()) {
            due.poll();
        }
        for reader in readers.iter().filter(|reader| reader.participant.is_some()) {
            prop_assert!(reader.is_over, "a wake-up was lost");
            prop_assert_eq!(transcript(&reader.heard), whole.clone());
            prop_assert_eq!(thought(&reader.heard), thought(&events), "everybody knows what it cost");
        }
    }
}

/// Says `events` texts, each after a pause, and notices when two threads are in it.
fn guarded(events: usize, is_inside: Arc<AtomicBool>) -> ModelStream {
    let mut said = 0;
    let mut pause = Box::pin(tokio::task::yield_now());
    let source = stream::poll_fn(move |context| {
        assert!(!is_inside.swap(true, SeqCst), "two are in it at a time");
        let paused = futures_util::FutureExt::poll_unpin(&mut pause, context);
        let polled = paused.map(|()| {
            pause = Box::pin(tokio::task::yield_now());
            said += 1;
            match said {
                1 => Some(Ok(by())),
                said if said <= events => Some(Ok(ModelEvent::Text("ab".to_owned()))),
                said if said == events + 1 => Some(Ok(ModelEvent::Finish(FinishReason::Stop))),
                _ => None,
            }
        });
        is_inside.store(false, SeqCst);
        polled
    });
    source.boxed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_on_many_threads_take_turns() {
    let tracker = tokio_util::task::TaskTracker::new();
    let flight = Flight::start(guarded(5000, Arc::default()));
    let others: Vec<_> = (0..7).map(|_| flight.flight().join().expect("open")).collect();
    let reading = others.into_iter().chain([flight]).map(|participant| {
        tracker.spawn(participant.fold(0, |bytes, event| async move {
            bytes + if let Ok(ModelEvent::Text(text)) = event { text.len() } else { 0 }
        }))
    });
    let read = tokio::time::timeout(LONG, join_all(reading)).await.expect("an end");
    assert!(read.into_iter().all(|bytes| bytes.expect("no panic") == 2 * 4999));
}

#[test]
fn a_source_that_panics_leaves_nobody_waiting() {
    let panics = stream::poll_fn(|_| panic!("on purpose"));
    let first = Flight::start(panics.boxed());
    let mut other = Reader::new(first.flight().join().expect("open"));
    other.woken.0.store(false, SeqCst);
    let woken = Arc::clone(&other.woken);
    let waker = Waker::from(Arc::clone(&woken));
    first.flight().wakers.wait(1, &waker);
    let mut first = Reader::new(first);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| first.poll()));
    assert!(caught.is_err());
    drop(first);
    assert!(woken.0.load(SeqCst), "who waits hears of it");
    other.poll();
    assert!(other.is_over && other.heard.is_empty());
}

/// Reads what is there.
fn read(participant: &mut Participant) -> Vec<Result<ModelEvent, ModelError>> {
    let mut context = Context::from_waker(Waker::noop());
    let mut events = Vec::new();
    while let Poll::Ready(Some(event)) = participant.poll_next_unpin(&mut context) {
        events.push(event);
    }
    events
}

#[test]
fn who_joins_later_gets_what_is_there_in_one_piece() {
    let text = |text: &str| ModelEvent::Text(text.to_owned());
    let waited = [ModelEvent::Queued(2), ModelEvent::Queued(1), ModelEvent::Asked];
    let said: Vec<_> = waited
        .into_iter()
        .chain([by(), ModelEvent::Thinking(3), text("Hel"), text("lo"), ModelEvent::Thinking(4)])
        .collect();
    let source = stream::iter(said.clone().into_iter().map(Ok)).chain(stream::pending());
    let mut first = Flight::start(source.boxed());
    let heard: Vec<_> = read(&mut first).into_iter().map(Result::unwrap).collect();
    assert_eq!(heard, said);
    let mut second = first.flight().join().expect("open");
    let heard: Vec<_> = read(&mut second).into_iter().map(Result::unwrap).collect();
    assert_eq!(heard, [by(), text("Hello"), ModelEvent::Thinking(7)], "only what it does now, and all that it cost");
}

#[test]
fn nobody_joins_what_is_too_long_and_what_nobody_needs_is_not_recorded() {
    let text = || Ok(ModelEvent::Text("x".repeat(MAX_SHARED_BYTES / 2 + 1)));
    let source = stream::iter([Ok(by()), text(), text(), text(), Ok(ModelEvent::Finish(FinishReason::Stop))]);
    let mut first = Flight::start(source.boxed());
    let mut second = first.flight().join().expect("open");
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert!(matches!(first.poll_next_unpin(&mut context), Poll::Ready(Some(Ok(_)))));
    }
    assert!(first.flight().join().is_none());
    assert_eq!(first.flight().state.lock().record.text.len(), MAX_SHARED_BYTES + 2, "the other one still needs it");
    assert_eq!(read(&mut second).len(), 4, "author, what was there, the third text, the end");
    drop(first);
    let flight = Arc::clone(second.flight());
    assert!(matches!(flight.settle(), Some(None)), "not kept");
    assert!(flight.settle().is_none(), "told once");

    let source = stream::iter([Ok(by()), text(), text(), text()]).chain(stream::pending());
    let mut alone = Flight::start(source.boxed());
    assert_eq!(read(&mut alone).len(), 4);
    assert_eq!(alone.flight().state.lock().record.text.capacity(), 0);
}

#[test]
fn who_joined_pays_for_the_rest_when_the_first_one_leaves_and_nobody_twice() {
    let mut first = Flight::start(stream::pending().boxed());
    let (mut second, mut third) = (first.flight().join().unwrap(), first.flight().join().unwrap());
    assert!(first.pays() && !second.pays());
    drop(first);
    assert!(second.pays() && !third.pays() && second.pays());
    drop(second);
    assert!(third.pays());
}

#[test]
fn a_source_that_takes_its_time_holds_up_nobody_else() {
    let (is_inside, inside) = mpsc::sync_channel::<()>(1);
    let (go_on, waits) = mpsc::sync_channel::<()>(1);
    let mut said = false;
    let slow = stream::poll_fn(move |_| {
        if mem::replace(&mut said, true) {
            return Poll::Ready(None);
        }
        is_inside.send(()).unwrap();
        waits.recv_timeout(LONG).expect("nobody waits for this");
        Poll::Ready(Some(Ok(by())))
    });
    let mut first = Flight::start(slow.boxed());
    let flight = Arc::clone(first.flight());
    let reading = std::thread::spawn(move || read(&mut first));
    inside.recv_timeout(LONG).unwrap();
    let mut second = flight.join().expect("open");
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(Arc::clone(&woken));
    assert!(second.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    assert!(!second.pays() && flight.settle().is_none());
    drop(flight.join());
    go_on.send(()).unwrap();
    assert_eq!(reading.join().unwrap().len(), 1);
    assert!(woken.0.load(SeqCst));
    assert_eq!(read(&mut second).len(), 1);
}
