//! How many connections one client address has, and the places that a connection holds. An address is known only while
//! it has one, so the map is never larger than the number of connections.
//!
//! A trusted proxy's own connections are not counted, for many clients come through it. Their requests count instead,
//! for the client's address, while they are being answered; sockets and event streams for as long as they are open.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::http::HeaderMap;
use parking_lot::Mutex;
use tracing::warn;

use super::{client::TrustedProxies, notices::SaidOnce};
use crate::{
    config::Config,
    limits::{AddressKey, Seat},
    telemetry::metrics::RATE_LIMITED,
};

/// Seconds after which a client that has too many connections may try again.
pub(super) const RETRY_AFTER_S: u32 = 5;

/// Who clients are, and how many connections each may have.
#[derive(Debug)]
pub struct Clients {
    proxies: TrustedProxies,
    places: Arc<Places>,
    /// Addresses of which it was told that they have too many.
    told: SaidOnce,
}

/// The address has as many connections as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many connections from this address")]
pub(super) struct TooMany;

impl Clients {
    /// `server.trusted_proxies` and `limits.connections_per_ip`.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let places = Arc::new(Places::new(config.connections_per_ip()));
        Self { proxies: TrustedProxies::new(&config.server.trusted_proxies), places, told: SaidOnce::default() }
    }

    /// From now on each address may have so many; 0 = no limit. Those that are there stay.
    pub fn set_most_per_address(&self, most: usize) {
        self.places.set_most(most);
    }

    /// A place for a new connection from `peer`; none is needed by a trusted proxy.
    pub(super) fn connect(&self, peer: IpAddr) -> Result<Option<AddressPlace>, TooMany> {
        if self.proxies.contains(peer) {
            return Ok(None);
        }
        self.place(peer).map(Some).inspect_err(|TooMany| self.tell(peer))
    }

    /// The client of a request, and a place for it when it came through a trusted proxy.
    pub(super) fn request(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(IpAddr, Option<AddressPlace>), TooMany> {
        let client = self.proxies.client(peer, headers);
        let through_proxy = self.proxies.contains(peer) && !self.proxies.contains(client);
        let place = if through_proxy { Some(self.place(client)?) } else { None };
        Ok((client, place))
    }

    /// When everybody comes from one address, it is that of a proxy which nobody has named.
    fn tell(&self, peer: IpAddr) {
        let address = peer.to_canonical();
        if self.told.is_new(&address.to_string()) {
            warn!(
                %address,
                most = self.places.most.load(Ordering::Relaxed),
                "this address has as many connections as limits.connections_per_ip allows, and further ones are refused \
                 with 429: if it is a proxy that others come through, list it in server.trusted_proxies"
            );
        }
    }

    fn place(&self, address: IpAddr) -> Result<AddressPlace, TooMany> {
        self.places.take(address).ok_or_else(|| {
            metrics::counter!(RATE_LIMITED, "scope" => "connections_per_ip").increment(1);
            TooMany
        })
    }
}

/// A connection's places among all and among those of its client. A request carries it as an extension; an upgraded
/// socket keeps it.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPermit {
    _connection: Arc<(Seat, Option<AddressPlace>)>,
    /// The place of a client behind a proxy.
    client: Option<Arc<AddressPlace>>,
}

impl ConnectionPermit {
    pub(super) fn new(places: (Seat, Option<AddressPlace>)) -> Self {
        Self { _connection: Arc::new(places), client: None }
    }

    /// Keeps a place for as long as this permit and its clones live.
    pub(super) fn hold(&mut self, place: AddressPlace) {
        self.client = Some(Arc::new(place));
    }
}

/// The places of all addresses.
#[derive(Debug)]
struct Places {
    most: AtomicUsize,
    taken: Mutex<HashMap<AddressKey, usize>>,
}

/// A place of one address, until it is dropped.
#[derive(Debug)]
pub(super) struct AddressPlace {
    places: Arc<Places>,
    key: AddressKey,
}

impl Places {
    /// `most` places for each address; 0 is no limit.
    fn new(most: usize) -> Self {
        let places = Self { most: AtomicUsize::default(), taken: Mutex::default() };
        places.set_most(most);
        places
    }

    fn set_most(&self, most: usize) {
        self.most.store(if most == 0 { usize::MAX } else { most }, Ordering::Relaxed);
    }

    /// A place for a connection from `address`; `None` when it has as many as it may.
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<AddressPlace> {
        let key = AddressKey::from(address);
        let mut taken = self.taken.lock();
        let count = taken.entry(key).or_default();
        if *count >= self.most.load(Ordering::Relaxed) {
            return None;
        }
        *count += 1;
        Some(AddressPlace { places: self.clone(), key })
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.places.taken.lock().entry(self.key) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_places_and_is_forgotten_without_one() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let places = Arc::new(Places::new(2));
        let (one, two) = (places.take(ip("192.0.2.1")), places.take(ip("::ffff:192.0.2.1")));
        assert!(one.is_some() && two.is_some());
        assert!(places.take(ip("192.0.2.1")).is_none());
        let other = places.take(ip("192.0.2.2"));
        assert!(other.is_some());
        drop(one);
        let again = places.take(ip("192.0.2.1"));
        assert!(again.is_some() && places.take(ip("192.0.2.1")).is_none());
        drop((two, other, again));
        assert!(places.taken.lock().is_empty());
    }

    #[test]
    fn without_a_bound_there_is_always_a_place() {
        let places = Arc::new(Places::new(0));
        let held: Vec<_> = (0..1000).map(|_| places.take(IpAddr::from([127, 0, 0, 1])).expect("a place")).collect();
        drop(held);
        assert!(places.taken.lock().is_empty());
    }
}
