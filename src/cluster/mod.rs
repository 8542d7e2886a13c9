//! Many gateways as one: what they tell one another about sessions, over a bus that may lose it.
//!
//! Each session is written by the gateway that has it ([`store`](crate::store)). Every other gateway where somebody
//! watches keeps a *mirror*: a copy of its log, which the owner tells what happened as it tells any reader, and from which
//! wishes go to the owner. `record` is what is said, `line` numbers what is sent from one gateway to another so that a
//! loss is noticed, `link` is what is between two of them, and `peers` does both ends of it, by `order` of `mirror`, the
//! mirror's actor, and of the hub; `fulfil` does what others want. `apart` is what is known of those that cannot be
//! reached. `carry` has a log go on at another gateway, `left` bounds that. `bus` carries it all, over a Redis.
//! The logs are the history, so nothing that is lost on the way has to be kept. Uses `session`, `store`, `ephemeral`,
//! `telemetry`.

mod apart;
mod bus;
mod carry;
mod fulfil;
mod left;
mod line;
mod link;
mod mirror;
mod order;
mod peers;
mod record;

pub use bus::Bus;
pub(crate) use left::KEPT;
pub(crate) use order::Inherited;
pub use order::{Mirroring, Seen};
pub use peers::{Cluster, Home};
