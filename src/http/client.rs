//! Who a client is, by address: the peer of the connection, or what a trusted proxy says about its own peer. Pure.
//!
//! `X-Forwarded-For` is text that anybody may write. Each proxy appends the address it was called from, so only the
//! entries on the right, as far as trusted proxies wrote them, say anything. Uses `config`'s networks.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Entries that are looked at, from the right. Nobody has so many proxies of their own.
const MAX_HOPS: usize = 32;

/// The client's address, as an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The proxies whose word counts.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// The proxies in these networks.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.to_vec())
    }

    /// Whether a proxy has this address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client behind the connection of `peer`: the rightmost address that is no trusted proxy. Where that
    /// cannot be known (no header, or something else than an address in its place), the proxy that was reached last.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        // Several headers are one list, in their order.
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for entry in entries.take(MAX_HOPS) {
            if !self.contains(client) {
                break;
            }
            let Some(before) = std::str::from_utf8(entry).ok().and_then(address) else { break };
            client = before;
        }
        client
    }
}

/// An entry of the header: an address, with a port or in brackets too, as some proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let address = text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn proxies() -> TrustedProxies {
        TrustedProxies::new(&["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        for (peer, lines, client) in [
            ("192.0.2.9", vec!["198.51.100.1"], "192.0.2.9"), // No proxy: its header says nothing.
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            ("10.0.0.1", vec!["1.1.1.1", "198.51.100.1 ,fd00::5,\t10.9.9.9"], "198.51.100.1"),
            ("10.0.0.1", vec!["1.1.1.1, 198.51.100.1", "10.9.9.9"], "198.51.100.1"),
            ("10.0.0.1", vec!["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", vec!["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", vec!["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["198.51.100.1, ::ffff:10.0.0.7"], "198.51.100.1"),
            ("10.0.0.1", vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // Whoever stands there, it is not what stands left of it.
            ("10.0.0.1", vec!["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1, , 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", vec![""], "10.0.0.1"),
        ] {
            let bytes: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(proxies().client(ip(peer), &headers(&bytes)), ip(client), "{peer} {lines:?}");
        }
    }

    /// Lines of a header as an attacker may write them.
    fn spoofed() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let byte = prop_oneof![Just(b','), Just(b' '), Just(b'\t'), 0x20_u8..0x7f, 0x80_u8..=0xff];
        let entry = prop_oneof![
            any::<IpAddr>().prop_map(|address| address.to_string().into_bytes()),
            any::<SocketAddr>().prop_map(|address| address.to_string().into_bytes()),
            Just(b"10.1.1.1".to_vec()),
            Just(b"unknown".to_vec()),
            prop::collection::vec(byte, 0..40),
        ];
        prop::collection::vec(prop::collection::vec(entry, 0..5).prop_map(|entries| entries.join(&b',')), 0..4)
    }

    proptest! {
        #[test]
        fn nothing_on_the_left_changes_the_client(
            lines in spoofed(), client: IpAddr, hops in prop::collection::vec(any::<[u8; 3]>(), 0..4), port: u16,
            written in 0..3_u8, joined: bool,
        ) {
            let proxies = proxies();
            prop_assume!(!proxies.contains(client));
            let written = match (written, client) {
                (0, _) => client.to_string(),
                (1, _) => SocketAddr::new(client, port).to_string(),
                (_, IpAddr::V4(v4)) => v4.to_ipv6_mapped().to_string(),
                (_, IpAddr::V6(v6)) => format!("[{v6}]"),
            };
            let own = hops.iter().map(|[b, c, d]| format!("10.{b}.{c}.{d}"));
            let honest = std::iter::once(written).chain(own).collect::<Vec<_>>().join(", ");
            let mut lines = lines;
            match lines.last_mut() {
                Some(last) if joined => last.extend_from_slice(format!(", {honest}").as_bytes()),
                _ => lines.push(honest.into_bytes()),
            }
            let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(proxies.client(ip("10.0.0.1"), &headers(&lines)), client.to_canonical());
        }

        #[test]
        fn the_header_of_anybody_else_is_not_read(lines in spoofed(), peer: IpAddr) {
            let proxies = proxies();
            prop_assume!(!proxies.contains(peer));
            let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(proxies.client(peer, &headers(&lines)), peer.to_canonical());
        }
    }
}
