//! Seats for answers that are being written, at all gateways together: those of a user, and all.
//!
//! A seat is a member of a sorted set in the Redis, by when it is free unless it is renewed: a gateway that is killed frees its
//! own within [`LIFE`]. Most answers are over before they are renewed once. Where the Redis is away a seat is had at once, and
//! kept nowhere.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use redis::Script;
use tokio::{
    sync::Notify,
    time::{Instant, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Spender, shared};
use crate::{
    ephemeral::{Away, PATIENTLY, Redis, script},
    telemetry::metrics::LIMITS_ALONE,
};

/// For how long a seat is somebody's, unless it is renewed.
const LIFE: Duration = Duration::from_secs(15);
/// How often those are renewed that are older than that.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How often whoever waits for one looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// ARGV: the most members, how long one stays in milliseconds, its name.
const TAKE: &str = "
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
    redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return 1";
/// ARGV: how long they stay from now on in milliseconds, their names.
const RENEW: &str = "
    local time = redis.call('TIME')
    local over = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
    for n = 2, #ARGV do redis.call('ZADD', KEYS[1], over, ARGV[n]) end
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    return 1";
/// Users that are seen to at a time: a distant server must not make them wait for one another.
const ROOMS: usize = 64;
/// Names in one call.
const AT_ONCE: usize = 1000;

static TAKING: LazyLock<Script> = LazyLock::new(|| script(TAKE));
static RENEWING: LazyLock<Script> = LazyLock::new(|| script(RENEW));

/// The name of a set.
type Room = Arc<str>;

/// The seats that this gateway has.
#[derive(Debug)]
pub(super) struct Seats {
    redis: Arc<Redis>,
    /// Tells seats of gateways apart.
    gateway: u64,
    own: Mutex<Own>,
    given_back: Notify,
    /// Whose turn it is to have the next one of all.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// There are never more of them than answers that are being written, and for [`LIFE`] those that were.
#[derive(Debug, Default)]
struct Own {
    next: u64,
    /// By name, with when they were taken or renewed.
    held: HashMap<u64, (Room, Instant)>,
    /// Nobody's any more, since when.
    free: Vec<(Room, u64, Instant)>,
}

/// A seat. Given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    name: u64,
}

impl Seats {
    pub(super) fn over(redis: Arc<Redis>) -> Arc<Self> {
        let (own, given_back, turn) = (Mutex::default(), Notify::new(), tokio::sync::Mutex::new(()));
        Arc::new(Self { redis, gateway: rand::random(), own, given_back, turn })
    }

    /// Whether the seats of others are known.
    pub(super) fn are_known(&self) -> bool {
        self.redis.is_up()
    }

    /// The seats of all.
    pub(super) fn of_all() -> Room {
        "rivulet:runs".into()
    }

    /// Those of one user.
    pub(super) fn of(spender: &Spender) -> Room {
        format!("rivulet:runs:{}", shared::name(&spender.user_account())).into()
    }

    /// One seat in `room`, if fewer than `most` are taken.
    pub(super) async fn take(self: &Arc<Self>, room: Room, most: usize) -> Option<Seat> {
        let name = {
            let mut own = self.own.lock();
            own.next += 1;
            let name = own.next;
            own.held.insert(name, (room.clone(), Instant::now()));
            name
        };
        // From here on it is given back, whatever comes of it: what did not answer may have been done.
        let seat = Seat { seats: self.clone(), name };
        let mut taking = TAKING.key(&*room);
        taking.arg(most).arg(millis(LIFE)).arg(self.member(name));
        match self.redis.run::<bool>(&taking, PATIENTLY).await {
            Ok(true) => Some(seat),
            Ok(false) => {
                self.own.lock().held.remove(&name); // There is none to be given back.
                None
            }
            Err(Away) if self.are_known() => None, // A moment later there may be an answer.
            Err(Away) => {
                metrics::counter!(LIMITS_ALONE, "scope" => "runs").increment(1);
                Some(seat)
            }
        }
    }

    /// The same, as soon as there is one.
    pub(super) async fn wait(self: &Arc<Self>, room: Room, most: usize) -> Seat {
        loop {
            sleep(LOOK_EVERY).await;
            if let Some(seat) = self.take(room.clone(), most).await {
                return seat;
            }
        }
    }

    /// Renews seats and gives them back, until `stop`, and once more then.
    pub(super) async fn keep(&self, stop: CancellationToken) {
        let mut renewal = interval(RENEW_EVERY);
        let mut ending = false;
        while !ending {
            tokio::select! {
                () = stop.cancelled() => ending = true,
                () = self.given_back.notified() => {}
                _ = renewal.tick() => self.renew().await,
            }
            self.give_back().await;
        }
    }

    /// A seat that the server did not hear of, or forgot, is there again from then on.
    async fn renew(&self) {
        let now = Instant::now();
        let mut rooms: HashMap<Room, Vec<u64>> = HashMap::new();
        for (name, (room, since)) in &self.own.lock().held {
            if now.duration_since(*since) >= RENEW_EVERY {
                rooms.entry(room.clone()).or_default().push(*name);
            }
        }
        stream::iter(rooms).for_each_concurrent(ROOMS, |(room, names)| self.renew_in(room, names, now)).await;
    }

    async fn renew_in(&self, room: Room, names: Vec<u64>, now: Instant) {
        for names in names.chunks(AT_ONCE) {
            let mut renewing = RENEWING.key(&*room);
            renewing.arg(millis(LIFE));
            for name in names {
                renewing.arg(self.member(*name));
            }
            if self.redis.run::<bool>(&renewing, PATIENTLY).await.is_err() {
                return;
            }
            let mut own = self.own.lock();
            let own = &mut *own;
            for name in names {
                match own.held.get_mut(name) {
                    Some((_, since)) => *since = now,
                    // Given back while it was renewed: that may have come first.
                    None => own.free.push((room.clone(), *name, now)),
                }
            }
        }
    }

    async fn give_back(&self) {
        let free = mem::take(&mut self.own.lock().free);
        let mut rooms: HashMap<Room, Vec<(u64, Instant)>> = HashMap::new();
        for (room, name, since) in free.into_iter().filter(|(.., since)| since.elapsed() < LIFE) {
            rooms.entry(room).or_default().push((name, since));
        }
        stream::iter(rooms).for_each_concurrent(ROOMS, |(room, names)| self.give_back_in(room, names)).await;
    }

    async fn give_back_in(&self, room: Room, names: Vec<(u64, Instant)>) {
        for names in names.chunks(AT_ONCE) {
            let mut remove = redis::cmd("ZREM");
            remove.arg(&*room);
            for (name, _) in names {
                remove.arg(self.member(*name));
            }
            if self.redis.ask::<u64>(&remove, PATIENTLY).await.is_err() {
                let again = names.iter().map(|(name, since)| (room.clone(), *name, *since));
                self.own.lock().free.extend(again); // With the next one, or the next renewal.
            }
        }
    }

    fn member(&self, name: u64) -> String {
        format!("{:x}:{name:x}", self.gateway)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut own = self.seats.own.lock();
        if let Some((room, _)) = own.held.remove(&self.name) {
            own.free.push((room, self.name, Instant::now()));
            self.seats.given_back.notify_one();
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
