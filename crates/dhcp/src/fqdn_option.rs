//! Option 81, Client FQDN (RFC 4702): the answer of a server that leaves the DNS alone.

use crate::search_option::{LONGEST_NAME, is_name, labels};
use slash32_binding::{Binding, Bytes, List};

/// The flags of the option (RFC 4702 §2.1).
const SERVER_UPDATES: u8 = 0x01;
const OVERRIDDEN: u8 = 0x02;
const ENCODED: u8 = 0x04;
const NO_UPDATES: u8 = 0x08;
/// RCODE1 and RCODE2 of a server (RFC 4702 §2.2).
const NO_RESULT: u8 = 255;
/// Flags, RCODE1 and RCODE2.
const HEAD: usize = 3;

/// The value of the option for a client that sent `asked`: the binding's host name, in its domain when it has one.
/// `None` when the binding has no name, or the client sent no whole option.
///
/// The name is a part of one (no zero label at its end) when there is no domain. It comes as the client's E flag says.
pub(crate) fn value(binding: &Binding, asked: &[u8]) -> Option<Bytes<{ HEAD + LONGEST_NAME }>> {
    let (&[flags, _, _], _) = asked.split_first_chunk::<HEAD>()?;
    let (hostname, domain) = (binding.hostname.as_str(), binding.domain.as_str());
    let is_whole = hostname.contains('.') || !domain.is_empty();
    let domain = if hostname.contains('.') { "" } else { domain };
    if hostname.is_empty() || !is_name(hostname) || !(domain.is_empty() || is_name(domain)) {
        return None;
    }
    let overridden = if flags & SERVER_UPDATES == 0 {
        0
    } else {
        OVERRIDDEN
    };
    let mut value = List::new(0);
    let head = [
        NO_UPDATES | overridden | flags & ENCODED,
        NO_RESULT,
        NO_RESULT,
    ];
    value.extend_from_slice(&head).ok()?;
    if flags & ENCODED == 0 {
        value.extend_from_slice(hostname.as_bytes()).ok()?;
        if !domain.is_empty() {
            value.push(b'.').ok()?;
            value.extend_from_slice(domain.as_bytes()).ok()?;
        }
    } else {
        for label in labels(hostname).chain(labels(domain)) {
            value.push(label.len() as u8).ok()?;
            value.extend_from_slice(label.as_bytes()).ok()?;
        }
        if is_whole {
            value.push(0).ok()?;
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slash32_binding::{Ipv4Addr, Text};

    fn binding(hostname: &str, domain: &str) -> Binding {
        let mut binding =
            Binding::new(Ipv4Addr::new(203, 0, 113, 7), Ipv4Addr::new(169, 254, 0, 1));
        binding.hostname = Text::new(hostname).unwrap();
        binding.domain = Text::new(domain).unwrap();
        binding
    }

    #[test]
    fn the_name_comes_in_the_form_that_the_client_uses_and_no_update_is_promised() {
        for (hostname, domain, asked, expected) in [
            (
                "web1",
                "vm.example",
                &[0x00, 0, 0][..],
                Some(&b"\x08\xff\xffweb1.vm.example"[..]),
            ),
            (
                "web1",
                "vm.example",
                b"\x05\0\0\x01a",
                Some(b"\x0e\xff\xff\x04web1\x02vm\x07example\0"),
            ),
            (
                "web1",
                "vm.example",
                b"\x04\0\0",
                Some(b"\x0c\xff\xff\x04web1\x02vm\x07example\0"),
            ),
            ("web1", "", &[0xf9, 1, 2], Some(b"\x0a\xff\xffweb1")),
            ("web1", "", &[0x04, 0, 0], Some(b"\x0c\xff\xff\x04web1")),
            ("a.b", "vm.example", &[0x00, 0, 0], Some(b"\x08\xff\xffa.b")),
            (
                "a.b",
                "vm.example",
                &[0x04, 0, 0],
                Some(b"\x0c\xff\xff\x01a\x01b\0"),
            ),
            ("", "vm.example", &[0x04, 0, 0], None),
            ("web1", "vm.example", &[0x04, 0], None),
            ("web1", "vm.example", &[], None),
        ] {
            let value = value(&binding(hostname, domain), asked);
            assert_eq!(value.as_deref(), expected, "{hostname} {domain} {asked:?}");
        }
    }
}
