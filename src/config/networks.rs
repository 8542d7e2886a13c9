//! Networks in CIDR notation. Pure.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, de::Error};

/// What a list of networks must be.
pub(super) const EXPECTED: &str = "a list of addresses or networks like 10.0.0.0/8 or fd00::/8. A network of all \
                                   addresses (0.0.0.0/0, ::/0) is refused: everybody could then claim any address";

/// A network, or a single address. IPv4 in the clothes of IPv6 becomes IPv4, as the addresses it is compared with do.
/// `None` for a network that holds every address.
pub(super) fn parse(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    let network = match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => {
            let mapped = v6.addr().to_ipv4_mapped().and_then(|v4| Ipv4Net::new(v4, v6.prefix_len() - 96).ok());
            mapped.map_or(network, IpNet::V4)
        }
        // It would hold all of IPv4, which is compared as IPv4.
        IpNet::V6(v6) if v6.contains(&Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)) => return None,
        _ => network,
    };
    (network.prefix_len() > 0).then_some(network.trunc())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| parse(text).ok_or_else(|| D::Error::custom(format!("must be {EXPECTED}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_single_addresses_are_read() {
        for (text, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 10.1.2.3/8 ", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ] {
            assert_eq!(parse(text).map(|network| network.to_string()).as_deref(), Some(network), "{text}");
        }
    }

    #[test]
    fn everything_and_nothing_are_no_networks() {
        for text in
            ["", "proxy", "10.0.0.0/33", "10.0.0", "10.0.0.1:80", "0.0.0.0/0", "::/0", "::/1", "::ffff:0.0.0.0/96", "*"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
