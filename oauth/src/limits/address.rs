//! Whose request it is, as far as its address tells.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;

/// Envoy writes it.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The part of an IPv6 address that one subscriber has: within it an address costs nothing.
const SUBSCRIBER: u128 = !(u64::MAX as u128);

/// What an address counts as: an IPv6 network of 64 bits, or one IPv4 address.
pub(crate) fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & SUBSCRIBER)),
    }
}

/// The client's address: the `trusted_hops`th of `X-Forwarded-For` from the right, where each proxy
/// that is trusted has appended its peer's, or else the peer's. A header that is too short or not of
/// addresses was not written by those proxies: all its senders then count as their peer.
pub(crate) fn of_client(peer: IpAddr, headers: &HeaderMap, trusted_hops: usize) -> IpAddr {
    let forwarded = trusted_hops.checked_sub(1).and_then(|skipped| {
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut entries =
            lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',').map(str::trim));
        address(entries.nth(skipped)?)
    });
    key(forwarded.unwrap_or(peer))
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse().ok().map(|socket: std::net::SocketAddr| socket.ip()))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::http::HeaderMap;

    use super::{key, of_client};

    fn of(lines: &[&str], trusted_hops: usize) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        of_client(IpAddr::from([10, 0, 0, 9]), &headers, trusted_hops).to_string()
    }

    #[test]
    fn a_client_cannot_choose_its_address_by_a_header_that_no_trusted_hop_wrote() {
        let forged = ["1.1.1.1, 2.2.2.2", "192.0.2.7"];
        assert_eq!(of(&forged, 0), "10.0.0.9");
        assert_eq!(of(&forged, 1), "192.0.2.7");
        assert_eq!(of(&forged, 2), "2.2.2.2");
        assert_eq!(of(&["1.1.1.1,192.0.2.7"], 1), "192.0.2.7");
    }

    #[test]
    fn a_header_that_is_too_short_or_no_address_leaves_the_peer() {
        assert_eq!(of(&[], 1), "10.0.0.9");
        assert_eq!(of(&["192.0.2.7"], 2), "10.0.0.9");
        for bad in ["unknown", "", "192.0.2.7, ", "192.0.2.256", "_hidden"] {
            assert_eq!(of(&[bad], 1), "10.0.0.9", "{bad}");
        }
        assert_eq!(of(&["192.0.2.7:4711"], 1), "192.0.2.7");
        assert_eq!(of(&["[2001:db8::1]:4711"], 1), "2001:db8::");
    }

    #[test]
    fn an_ipv6_subscriber_is_one_whatever_addresses_it_takes() {
        let key = |text: &str| key(text.parse().unwrap()).to_string();
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(key("2001:db8:1:2:ffff::"), "2001:db8:1:2::");
        assert_ne!(key("2001:db8:1:3::1"), "2001:db8:1:2::");
        assert_eq!(key("::ffff:192.0.2.7"), "192.0.2.7");
    }
}
