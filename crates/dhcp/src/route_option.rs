//! Option 121, Classless Static Route (RFC 3442).

use slash32_binding::{Binding, Bytes, Ipv4Addr, List, Route};

/// The bytes that one route takes at most.
const LONGEST: usize = 9;
/// Bytes of the value of the option for [`base`] alone.
pub(crate) const BASE: usize = 14;
/// The most bytes of a value: [`base`] and all routes that a binding holds.
pub(crate) const MOST: usize = BASE + 16 * LONGEST;

/// The value with the two routes that every client gets, in the order that dhclient, klibc and cloud-init insist on: the
/// gateway is on the link, and everything else is behind it.
pub(crate) fn base(gateway: Ipv4Addr) -> [u8; BASE] {
    let [a, b, c, d] = gateway.octets();
    [32, a, b, c, d, 0, 0, 0, 0, 0, a, b, c, d]
}

/// The value with [`base`] and then the binding's own routes.
pub(crate) fn value(binding: &Binding) -> Bytes<MOST> {
    let mut value = List::new(0);
    // Each fits: no more routes than that are bound.
    let _ = value.extend_from_slice(&base(binding.gateway));
    for route in binding.routes.iter() {
        let _ = value.extend_from_slice(&encode(*route));
    }
    value
}

/// One route: the prefix length, as many bytes of the prefix as have bits in it, the router.
fn encode(route: Route) -> Bytes<LONGEST> {
    let significant = usize::from(route.to.length()).div_ceil(8);
    let prefix = route.to.address().octets();
    let mut bytes = List::new(0);
    let _ = bytes.push(route.to.length());
    let _ = bytes.extend_from_slice(prefix.get(..significant).unwrap_or(&prefix));
    let _ = bytes.extend_from_slice(&route.via.octets());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use slash32_binding::Prefix;
    use std::vec::Vec;

    #[test]
    fn item_74_a_prefix_takes_as_many_bytes_as_it_has_bits_for() {
        // The table of RFC 3442, "Classless Route Option Format".
        for (prefix, expected) in [
            ("0.0.0.0/0", &[0][..]),
            ("10.0.0.0/8", &[8, 10]),
            ("10.0.0.0/24", &[24, 10, 0, 0]),
            ("10.17.0.0/16", &[16, 10, 17]),
            ("10.27.129.0/24", &[24, 10, 27, 129]),
            ("10.229.0.128/25", &[25, 10, 229, 0, 128]),
            ("10.198.122.47/32", &[32, 10, 198, 122, 47]),
            ("128.0.0.0/1", &[1, 128]),
            ("10.128.0.0/9", &[9, 10, 128]),
            ("10.17.128.0/17", &[17, 10, 17, 128]),
        ] {
            let route = Route {
                to: prefix.parse().unwrap(),
                via: Ipv4Addr::new(1, 2, 3, 4),
            };
            let expected: Vec<u8> = expected.iter().copied().chain([1, 2, 3, 4]).collect();
            assert_eq!(encode(route)[..], expected, "{prefix}");
        }
    }

    #[test]
    fn item_73_the_gateway_is_on_the_link_before_the_default_route_goes_through_it() {
        let value = base(Ipv4Addr::new(169, 254, 0, 1));
        assert_eq!(value, [32, 169, 254, 0, 1, 0, 0, 0, 0, 0, 169, 254, 0, 1]);
    }

    #[test]
    fn item_75_host_bits_are_not_sent() {
        let to = Prefix::new(Ipv4Addr::new(129, 210, 177, 132), 25).unwrap();
        let value = encode(Route {
            to,
            via: Ipv4Addr::UNSPECIFIED,
        });
        assert_eq!(value[..], [25, 129, 210, 177, 128, 0, 0, 0, 0]);
    }
}
