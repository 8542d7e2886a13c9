//! What is counted, and whose it is: a principal's, and of those who have not proven to be one, their address's. Pure.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::quota::{Left, Quota};
use crate::chat::Owner;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Requests over HTTP, openings of sockets and streams among them.
    Requests,
    /// Requests for what is for everybody, and for what is not there.
    OtherRequests,
    /// Questions, and answers anew.
    Messages,
    /// New sessions.
    Sessions,
    /// Documents that are sent.
    Uploads,
    /// Questions to one assistant, which has a limit of its own.
    Assistant,
}

impl Action {
    /// The name of its policy in headers, and of its scope in `rate_limited_total`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::OtherRequests => "other_requests",
            Self::Messages => "messages",
            Self::Sessions => "new_sessions",
            Self::Uploads => "uploads",
            Self::Assistant => "assistant",
        }
    }

    /// Whether it is counted for all gateways together. What is cheap is bounded for what it costs each of them.
    pub(super) const fn is_shared(self) -> bool {
        !matches!(self, Self::OtherRequests)
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::OtherRequests => "other requests",
            Self::Sessions => "new sessions",
            Self::Assistant => "questions to this assistant",
            _ => self.name(),
        }
    }
}

/// What was asked for, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Of what.
    pub action: Action,
    /// How much there is.
    pub quota: Quota,
    /// How much of it is left.
    pub left: Left,
}

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Visitor {
    /// A principal.
    Principal(Owner),
    /// Whoever has this address.
    Address(AddressKey),
    /// Somebody who is trusted to ask as often as they like.
    Unlimited,
}

impl Visitor {
    /// Whoever has this address.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self::Address(address.into())
    }
}

/// What addresses are counted by: an IPv4 address, or the 64 bits of IPv6 that one customer has at the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AddressKey {
    /// All of it.
    V4(Ipv4Addr),
    /// Its first half.
    V6([u16; 4]),
}

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_is_counted_by_its_first_half() {
        let key = |text: &str| AddressKey::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
