//! A circuit breaker: a target that fails again and again is left alone for a while, then tried by one caller.
//!
//! Counted are runs, not attempts: a run whose attempts at a target all failed is one failure. What the caller is to
//! blame for, what a filter refused and what was cancelled says nothing about the target and does not count. Of what is
//! left, one caller's failures are at most half of what opens it: alone, they shut it for that caller. Callers who need
//! not say who they are cannot be told apart, and count as everybody.
//!
//! Pure: knows no time but the one it is told. Uses `chat`.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::chat::Owner;

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerRule {
    /// What opens it.
    pub trip: Trip,
    /// How long it stays open before one caller may try.
    pub open: Duration,
}

/// What opens a breaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trip {
    /// So many failures in a row.
    InARow(u32),
    /// This share of failures among so many runs, the newest.
    Rate {
        /// From 0 to 1.
        share: f64,
        /// How many are looked at; fewer open nothing.
        of: usize,
    },
}

/// What a run says about a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answers.
    Good,
    /// It does not.
    Bad,
    /// Nothing.
    Unknown,
}

/// Leave to ask. What becomes of it is told to [`Breaker::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// One of many.
    Usual,
    /// The one that finds out whether the target is back.
    Probe,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everybody may ask.
    Closed,
    /// One caller is finding out whether the target is back.
    Probing,
    /// Nobody may ask before that time; then one caller may.
    Open(Instant),
}

impl BreakerState {
    /// As health reports say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Probing => "probing",
            Self::Open(_) => "open",
        }
    }

    /// As the metric `breaker_state` has it.
    #[must_use]
    pub const fn level(self) -> u32 {
        match self {
            Self::Closed => 0,
            Self::Probing => 1,
            Self::Open(_) => 2,
        }
    }
}

/// Who asked.
type Asker = Option<Owner>;

/// The breaker of one target.
#[derive(Debug)]
pub struct Breaker {
    rule: BreakerRule,
    state: BreakerState,
    /// Failures since the last success.
    in_a_row: u32,
    /// Whose failures the newest ones of these were; at most twice as many as the rule looks at.
    row: VecDeque<Asker>,
    /// The newest runs, and whether they failed; at most as many as the rule looks at.
    newest: VecDeque<(Asker, bool)>,
    /// A caller for whom alone it is shut, and until when.
    shut_for: Option<(Owner, Instant)>,
    /// Whose probe failed, since it opened: one more has to.
    probed_by: Option<Owner>,
}

/// For whom failures open it.
#[derive(Debug, PartialEq, Eq)]
enum Opens {
    Everybody,
    One(Owner),
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(rule: BreakerRule) -> Self {
        Self {
            rule,
            state: BreakerState::Closed,
            in_a_row: 0,
            row: VecDeque::new(),
            newest: VecDeque::new(),
            shut_for: None,
            probed_by: None,
        }
    }

    /// How it stands for everybody.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.in_a_row
    }

    /// Whether `who` would get leave now.
    #[must_use]
    pub fn may_admit(&self, who: Option<&Owner>, now: Instant) -> bool {
        if self.shut_for.as_ref().is_some_and(|(owner, until)| who == Some(owner) && now < *until) {
            return false;
        }
        match self.state {
            BreakerState::Closed => true,
            BreakerState::Open(until) => now >= until,
            BreakerState::Probing => false,
        }
    }

    /// Asks for leave. `None` while the target is to be left alone.
    pub fn admit(&mut self, who: Option<&Owner>, now: Instant) -> Option<Permit> {
        if !self.may_admit(who, now) {
            return None;
        }
        if self.state == BreakerState::Closed {
            return Some(Permit::Usual);
        }
        self.state = BreakerState::Probing;
        Some(Permit::Probe)
    }

    /// The target began to answer whom it gave `permit`: after a probe the others need not wait for the end of its
    /// answer. The first failure opens it again.
    pub fn begins(&mut self, permit: Permit) {
        if permit == Permit::Probe && self.state == BreakerState::Probing {
            self.state = BreakerState::Closed;
        }
    }

    /// A run of `who` that had `permit` is over.
    pub fn settle(&mut self, permit: Permit, who: Option<&Owner>, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Good => self.good(who, now),
            Verdict::Bad => self.bad(permit, who, now),
            // The next caller may try.
            Verdict::Unknown if permit == Permit::Probe && self.state == BreakerState::Probing => {
                self.state = BreakerState::Open(now);
            }
            Verdict::Unknown => {}
        }
    }

    fn good(&mut self, who: Option<&Owner>, now: Instant) {
        self.in_a_row = 0;
        self.row.clear();
        match self.state {
            // A run that began before it opened says nothing about now, unless it would be tried now anyway.
            BreakerState::Open(until) if now < until => return,
            BreakerState::Open(_) | BreakerState::Probing => {
                self.state = BreakerState::Closed;
                self.newest.clear();
            }
            BreakerState::Closed => {}
        }
        self.shut_for = None;
        self.probed_by = None;
        self.note(who, false);
    }

    fn bad(&mut self, permit: Permit, who: Option<&Owner>, now: Instant) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        match (self.state, permit) {
            (BreakerState::Open(_), _) | (BreakerState::Probing, Permit::Usual) => {}
            (BreakerState::Probing | BreakerState::Closed, Permit::Probe) => match who {
                // What one caller's probe says may be that caller's doing: another one tries at once.
                Some(owner) if self.probed_by.as_ref().is_none_or(|other| other == owner) => {
                    self.probed_by = Some(owner.clone());
                    self.shut_for = Some((owner.clone(), now + self.rule.open));
                    self.state = BreakerState::Open(now);
                }
                _ => self.open(now),
            },
            (BreakerState::Closed, Permit::Usual) => {
                self.note(who, true);
                match self.opens() {
                    Some(Opens::Everybody) => self.open(now),
                    Some(Opens::One(owner)) => self.shut_for = Some((owner, now + self.rule.open)),
                    None => {}
                }
            }
        }
    }

    fn open(&mut self, now: Instant) {
        self.state = BreakerState::Open(now + self.rule.open);
        self.newest.clear();
        self.row.clear();
        self.shut_for = None;
        self.probed_by = None;
    }

    fn note(&mut self, who: Option<&Owner>, failed: bool) {
        let (list, most) = match self.rule.trip {
            Trip::InARow(most) if failed => {
                self.row.push_back(who.cloned());
                (self.row.len(), 2 * most.max(1) as usize)
            }
            Trip::InARow(_) => return,
            Trip::Rate { of, .. } => {
                self.newest.push_back((who.cloned(), failed));
                (self.newest.len(), of)
            }
        };
        if list > most {
            self.row.pop_front();
            self.newest.pop_front();
        }
    }

    /// For whom the failures are enough.
    fn opens(&self) -> Option<Opens> {
        match self.rule.trip {
            Trip::InARow(most) => opens(self.row.iter(), most.max(1) as usize),
            Trip::Rate { of, .. } if self.newest.len() < of => None,
            Trip::Rate { share, of } => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `of`")]
                let enough = (share * of as f64).ceil().max(1.0) as usize;
                opens(self.newest.iter().filter(|(_, failed)| *failed).map(|(who, _)| who), enough)
            }
        }
    }
}

/// Whether failures of these are `enough`, and for whom.
fn opens<'a>(failed: impl Iterator<Item = &'a Asker>, enough: usize) -> Option<Opens> {
    let mut counts: Vec<(&Asker, usize)> = Vec::new();
    for who in failed {
        match counts.iter_mut().find(|(known, _)| *known == who) {
            Some((_, count)) => *count += 1,
            None => counts.push((who, 1)),
        }
    }
    let half = enough.div_ceil(2);
    let heard: usize = counts.iter().map(|(who, count)| if who.is_some() { half.min(*count) } else { *count }).sum();
    let are_several = counts.len() > 1 || counts.iter().any(|(who, _)| who.is_none());
    if heard >= enough && are_several {
        return Some(Opens::Everybody);
    }
    let alone = counts.into_iter().find(|(_, count)| *count >= enough)?.0.clone();
    Some(alone.map_or(Opens::Everybody, Opens::One))
}

#[cfg(test)]
mod tests;
