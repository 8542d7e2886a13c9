//! Several gateways in one thread, with all that may happen between them: whether what is promised holds.
//!
//! The gateways are real ones from the hub on: sessions and their actors, mirrors, links, and the way that connects anew.
//! What is outside of them is in memory and does what a seed says: a Redis that loses and disorders (`exchange`), a database
//! with leases and fences (`store`), a model (`model`), processes that are stopped and killed (`process`, `world`), and
//! people who come and go (`client`). `judge` says what may not be.
//!
//! Every seed has a process with a time of its own, which goes on when nothing is left to do, and its own chance: `apart.c`,
//! a small library that stands before the system's, says so. So a seed always does the same, and in no time.
//! `RIVULET_TEST_SEED` runs one and tells what happens, `RIVULET_TEST_SEEDS` so many, on all cores.

mod client;
mod exchange;
mod judge;
mod model;
mod process;
mod store;
mod world;

use std::{
    env, iter,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::time::{Instant, sleep};

use self::client::{Client, Phase, Standing};
use crate::{
    chat::{MessageId, RunId, SessionId, Status},
    config::DEFAULT_ASSISTANT,
    limits::Visitor,
    session::{
        Closed, NewMessage, Redo, SendError, SendMode, SessionHandle, Viewer,
        log::{Event, Step},
        viewer::Change,
    },
};

pub(crate) use self::{exchange::Wire, world::World};

/// Seeds of a test run: about a minute of one core.
const SEEDS: u64 = 500;
/// How long clients may take, after all works again, until everything they said is acknowledged and answered; and until
/// everybody has heard the answer to a last word.
const SETTLED: Duration = Duration::from_secs(120);
const HEARD: Duration = Duration::from_secs(20);
/// When presence is true and mirrors are gone.
const TRUE_AFTER: Duration = Duration::from_secs(15);

/// Lives through what a seed says; what was wrong.
async fn simulate(seed: u64) -> Vec<String> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let (gateways, sessions) = (rng.random_range(2..5), rng.random_range(1..4));
    let world = World::new(seed, gateways, sessions);
    let mut people: Vec<(SessionId, Arc<Mutex<Standing>>)> = Vec::new();
    for session in &world.sessions {
        if rng.random_range(0..3) > 0 {
            world.make(session).await;
        }
    }
    for number in 0..sessions + rng.random_range(1..5) {
        let client = Client::new(&world, (number, seed), (number % sessions, number < sessions));
        people.push((client.session().clone(), client.standing.clone()));
        world.tasks.spawn(client.live());
    }
    world.suffer(seed).await;
    world.heal();
    world.history.note(world.now(), || "all works".to_owned());
    let healed = Instant::now();
    let wrong = judged(&world, &people, healed).await.err();
    world.history.judge(&world);
    wrong.into_iter().chain(world.history.wrong()).collect()
}

async fn judged(
    world: &Arc<World>,
    people: &[(SessionId, Arc<Mutex<Standing>>)],
    healed: Instant,
) -> Result<(), String> {
    let is_done = |(_, standing): &(SessionId, Arc<Mutex<Standing>>)| {
        let standing = standing.lock();
        standing.is_done && standing.is_attached && standing.acked.iter().all(|run| standing.heard.contains(run))
    };
    world.phase.send_replace(Phase::Settle);
    until(SETTLED, || people.iter().all(is_done)).await.map_err(|()| {
        let left = people.iter().enumerate().filter(|(_, one)| !is_done(one)).map(|(number, (_, standing))| {
            let standing = standing.lock();
            let unheard: Vec<_> = standing.acked.iter().filter(|run| !standing.heard.contains(*run)).collect();
            format!("{number} (done: {}, there: {}, unheard: {unheard:?})", standing.is_done, standing.is_attached)
        });
        format!("not all is acknowledged and answered: {}", left.collect::<Vec<_>>().join(", "))
    })?;
    world.phase.send_replace(Phase::LastWord);
    let has_heard = |(session, standing): &(SessionId, Arc<Mutex<Standing>>)| {
        let mut of_session = people.iter().filter(|(of, _)| of == session);
        let last = of_session.find_map(|(_, standing)| standing.lock().last.clone());
        last.is_some_and(|last| standing.lock().heard.contains(&last))
    };
    until(HEARD, || people.iter().all(has_heard)).await.map_err(|()| {
        let deaf: Vec<usize> = (0..people.len()).filter(|at| !has_heard(&people[*at])).collect();
        format!("{deaf:?} have not heard the last word")
    })?;
    sleep(TRUE_AFTER.saturating_sub(healed.elapsed())).await;
    for (session, standing) in people {
        let all = people.iter().filter(|(of, _)| of == session).count();
        let standing = standing.lock();
        if !standing.is_attached || standing.viewers != all {
            return Err(format!("{all} watch {session}, and somebody hears of {}", standing.viewers));
        }
    }
    world.phase.send_replace(Phase::Leave);
    sleep(TRUE_AFTER).await;
    match world.copies() {
        (0, 0) => Ok(()),
        (mirrors, elsewhere) => Err(format!("there are {mirrors} mirrors, and {elsewhere} said to watch elsewhere")),
    }
}

/// Waits until something is so.
async fn until(at_most: Duration, is_so: impl Fn() -> bool) -> Result<(), ()> {
    let end = Instant::now() + at_most;
    while !is_so() {
        if Instant::now() > end {
            return Err(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|number| number.parse().unwrap_or_else(|_| panic!("{variable}: a number")))
}

/// The library that gives each thread its own time and chance.
fn apart(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("apart.c"), folder.join("apart.so"));
    std::fs::write(&source, include_str!("simulation/apart.c")).expect("written");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source);
    assert!(compiler.status().expect("cc can be run").success(), "cc");
    library
}

/// Runs seeds, each in a process whose threads have their own time; what they wrote, of those that went wrong.
fn run(seeds: Range<u64>, trace: bool) -> Vec<(u64, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let (library, next) = (apart(folder.path()), AtomicU64::new(seeds.start));
    let one = |seed: u64| {
        let mut child = Command::new(env::current_exe().expect("this program"));
        child.args(["simulation::one_seed", "--exact", "--ignored", "--nocapture", "--quiet"]);
        child.env("LD_PRELOAD", &library).env("RIVULET_TEST_SEED", seed.to_string()).env("RUST_BACKTRACE", "0");
        if trace {
            child.env("RIVULET_TEST_TRACE", "1");
        }
        let Output { status, stdout, stderr } = child.output().expect("it can be run");
        let wrote = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        (trace || !status.success()).then_some((seed, wrote))
    };
    let lane = || {
        let seeds = iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end));
        seeds.filter_map(one).inspect(|(seed, wrote)| println!("seed {seed}: {wrote}")).collect::<Vec<_>>()
    };
    // Of `make test` it has one core's share.
    let all = || thread::available_parallelism().map_or(1, usize::from);
    let lanes = number("RIVULET_TEST_SEEDS").map_or(1, |_| all());
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let mut wrote: Vec<_> = lanes.into_iter().flat_map(|lane| lane.join().expect("a lane")).collect();
        wrote.sort_unstable();
        wrote
    })
}

#[test]
fn what_is_promised_holds_whatever_happens_between_gateways() {
    let (seeds, trace) = match number("RIVULET_TEST_SEED") {
        Some(seed) => (seed..seed + 1, true),
        None => (0..number("RIVULET_TEST_SEEDS").unwrap_or(SEEDS), false),
    };
    let wrong: Vec<u64> = run(seeds, trace).into_iter().map(|(seed, _)| seed).collect();
    assert!(wrong.is_empty() || trace, "RIVULET_TEST_SEED={} repeats the first of {wrong:?}", wrong[0]);
}

#[test]
fn a_seed_does_the_same_every_time() {
    // What the test's own process says has its time.
    let told = |wrote: &str| wrote.lines().filter(|line| line.starts_with(' ')).map(str::to_owned).collect::<Vec<_>>();
    let lived = || run(7..10, true).iter().map(|(seed, wrote)| (*seed, told(wrote))).collect::<Vec<_>>();
    let first = lived();
    assert!(first.iter().all(|(_, told)| told.len() > 10), "{first:?}");
    assert_eq!(first, lived());
}

#[test]
#[ignore = "run by the tests above, with a time of its own"]
fn one_seed() {
    let seed = number("RIVULET_TEST_SEED").expect("a seed");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let wrong = runtime.block_on(simulate(seed));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A session at a gateway.
pub(crate) fn a_session() -> (Arc<World>, SessionHandle) {
    let world = World::new(0, 1, 0);
    let session = world.gateways()[0].hub.open(DEFAULT_ASSISTANT, None, false).expect("a place");
    (world, session)
}

fn said(text: &str) -> NewMessage {
    let (id, by) = (MessageId::parse(text).expect("an id"), Visitor::at([127, 0, 0, 1].into()));
    NewMessage { id: Some(id), text: text.to_owned(), mode: SendMode::Queue, by }
}

/// Waits until a viewer hears of the end of a run.
async fn ended(viewer: &mut Viewer, run: &RunId) {
    let mut has_ended = false;
    while !has_ended {
        assert_eq!(viewer.changed().await, Change::More);
        viewer.read(usize::MAX, |step| {
            has_ended |= matches!(step, Step::Event(_, Event::RunDone(done)) if done.run == *run);
            true
        });
    }
}

#[tokio::test]
async fn what_was_opened_at_two_gateways_is_what_one_of_them_has_stored() {
    let world = World::new(0, 2, 1);
    let (gateways, id) = (world.gateways(), &world.sessions[0]);
    let open = async |at: usize| gateways[at].hub.get_or_open(id, DEFAULT_ASSISTANT, None).await;
    let (here, elsewhere) = (open(0).await.expect("opened"), open(1).await.expect("opened"));
    let (viewer, _) = here.attach(None);
    elsewhere.send(said("first")).await.expect("stored");
    let shown = open(0).await.expect("shown");
    assert!(shown.is_mirror() && shown.attach(None).1.seq > 0);
    assert_eq!(viewer.closed(), Some(Closed::Moved), "whoever watches what never was the session is told");
}

#[tokio::test]
async fn what_was_refused_and_is_stored_all_the_same_is_answered_when_it_is_said_again() {
    let world = World::new(0, 1, 1);
    let (gateway, id) = (&world.gateways()[0], &world.sessions[0]);
    let session = gateway.hub.get_or_open(id, DEFAULT_ASSISTANT, None).await.expect("opened");
    let (mut viewer, _) = session.attach(None);
    let first = session.send(said("first")).await.expect("stored").run.expect("a run");
    ended(&mut viewer, &first).await;
    let is_stored = |id: &str| world.database.rows(session.id()).0.iter().any(|row| row.id.as_str() == id);

    // Of what is in doubt, some was done.
    let ids = (0..64).map(|n| format!("doubtful-{n}"));
    for id in ids {
        world.database.set_doubtful(1000);
        assert_eq!(session.send(said(&id)).await, Err(SendError::StorageUnavailable));
        world.database.set_doubtful(0);
        let was_stored = is_stored(&id);
        let receipt = session.send(said(&id)).await.expect("stored");
        assert_eq!(receipt.duplicate, was_stored);
        ended(&mut viewer, &receipt.run.expect("a run")).await;
        assert_eq!(world.asked().get(&*id), Some(&1));
        if was_stored {
            break;
        }
    }
    for n in 0..64 {
        let (id, by) = (MessageId::parse(&format!("again-{n}")).expect("an id"), Visitor::at([127, 0, 0, 1].into()));
        let again = || session.redo(Some(id.clone()), Redo::Regenerate { at: None }, by.clone());
        world.database.set_doubtful(1000);
        assert_eq!(again().await, Err(SendError::StorageUnavailable));
        world.database.set_doubtful(0);
        let was_stored = is_stored(id.as_str());
        let receipt = again().await.expect("stored");
        if was_stored {
            // Whoever watches comes back to what the conversation is now.
            assert_eq!((receipt.duplicate, viewer.closed()), (true, Some(Closed::Moved)));
            let session = gateway.hub.get(session.id()).await.expect("loaded");
            let snapshot = session.attach(None).1.snapshot.expect("a snapshot");
            let newest = snapshot.messages.last().expect("an answer");
            assert_eq!((&newest.id, newest.status), (&id, Status::Interrupted));
            return;
        }
        ended(&mut viewer, &receipt.run.expect("a run")).await;
    }
    panic!("nothing that was in doubt was done");
}
