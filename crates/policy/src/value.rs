//! The texts that a config's values are written in. Errors are the words behind the text: what is wrong; what would be right.
use slash32_binding::{Ipv4Addr, MacAddr, ParsePrefixError, Prefix};

/// An IPv4 address.
pub(crate) fn address(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| {
        "is not an IPv4 address; four numbers such as 192.0.2.1 would be right".to_owned()
    })
}

/// An IPv4 address that one host can have: not 0.0.0.0/8, 127.0.0.0/8, multicast or 255.255.255.255.
pub(crate) fn unicast(text: &str) -> Result<Ipv4Addr, String> {
    let address = address(text)?;
    let kind = if address.octets()[0] == 0 {
        "is in 0.0.0.0/8, which no host can have"
    } else if address.is_loopback() {
        "is a loopback address"
    } else if address.is_multicast() {
        "is a multicast address"
    } else if address.is_broadcast() {
        "is the broadcast address"
    } else {
        return Ok(address);
    };
    Err(format!(
        "{kind}; the address of one host such as 192.0.2.1 would be right"
    ))
}

/// An IPv4 prefix without host bits.
pub(crate) fn prefix(text: &str) -> Result<Prefix, String> {
    text.parse().map_err(|error| match error {
        ParsePrefixError::HostBits(meant) => format!(
            "has bits set behind its length; {:?} would be right",
            meant.to_string()
        ),
        ParsePrefixError::Syntax => {
            "is not an IPv4 prefix; an address and a length such as 203.0.113.0/24 would be right"
                .into()
        }
    })
}

/// A prefix of addresses that hosts can have.
pub(crate) fn unicast_prefix(text: &str) -> Result<Prefix, String> {
    let prefix = prefix(text)?;
    let never = [([0, 0, 0, 0], 8), ([127, 0, 0, 0], 8), ([224, 0, 0, 0], 4)];
    let never = never
        .iter()
        .filter_map(|(octets, length)| Prefix::new(Ipv4Addr::from(*octets), *length));
    match never.into_iter().find(|never| never.overlaps(prefix)) {
        Some(never) => Err(format!(
            "holds addresses of {never}, which no VM can have; a prefix such as 203.0.113.0/24 would be right"
        )),
        None => Ok(prefix),
    }
}

/// `A-B`, both ends inside.
pub(crate) fn range(text: &str) -> Result<(Ipv4Addr, Ipv4Addr), String> {
    let syntax = || {
        "is not a range of addresses; one such as 203.0.113.10-203.0.113.99 would be right"
            .to_owned()
    };
    let (first, last) = text.split_once('-').ok_or_else(syntax)?;
    let first: Ipv4Addr = first.trim().parse().map_err(|_| syntax())?;
    let last: Ipv4Addr = last.trim().parse().map_err(|_| syntax())?;
    if last < first {
        return Err(format!(
            "ends before it begins; \"{last}-{first}\" would be right"
        ));
    }
    Ok((first, last))
}

/// A mask of leading ones.
pub(crate) fn netmask(text: &str) -> Result<Ipv4Addr, String> {
    let right = "a mask such as 255.255.255.252 would be right";
    let mask: Ipv4Addr = text
        .parse()
        .map_err(|_| format!("is not a netmask; {right}"))?;
    if mask.is_unspecified()
        || mask.to_bits().leading_ones() + mask.to_bits().trailing_zeros() != 32
    {
        return Err(format!("is not a netmask: ones, then zeros; {right}"));
    }
    Ok(mask)
}

/// The MAC address of one host.
pub(crate) fn mac(text: &str) -> Result<MacAddr, String> {
    let right = "six pairs of hexadecimal digits such as 52:54:00:12:34:56 would be right";
    let mac: MacAddr = text
        .parse()
        .map_err(|_| format!("is not a MAC address; {right}"))?;
    if mac.is_group() || mac == MacAddr::ZERO {
        return Err(format!("is not the MAC address of one host; {right}"));
    }
    Ok(mac)
}

/// A UUID, in lower case.
pub(crate) fn uuid(text: &str) -> Result<String, String> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths_are_right = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]);
    if !lengths_are_right
        || !groups
            .iter()
            .all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err("is not a UUID; what `virsh domuuid VM` prints would be right".into());
    }
    Ok(text.to_ascii_lowercase())
}

/// Seconds as `30s`, `15m`, `12h`, `7d`, `2w` or several of these behind each other; 1 to 2^32-2.
pub(crate) fn duration(text: &str) -> Result<u32, String> {
    let wrong = || {
        "is not a duration; seconds as a number, or a text such as \"90s\", \"30m\", \"24h\" or \"7d\" would be right".to_owned()
    };
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let mut units = behind.chars();
        let seconds: u64 = match units.next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        total = total.saturating_add(number.saturating_mul(seconds));
        rest = units.as_str();
    }
    match u32::try_from(total) {
        Ok(0) if text.is_empty() => Err(wrong()),
        Ok(0) => Err("is no time at all; one second or more would be right".into()),
        Ok(seconds) if seconds < u32::MAX => Ok(seconds),
        _ => Err(
            "is longer than an option can say; at most 4294967294 seconds would be right".into(),
        ),
    }
}

/// Seconds in the largest unit that divides them.
pub(crate) fn show_duration(seconds: u32) -> String {
    match seconds {
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// Bytes as pairs of hexadecimal digits; colons and spaces may stand between the pairs.
pub(crate) fn hex(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || "is not hexadecimal; pairs of digits such as \"0a0b\" would be right".to_owned();
    let mut bytes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (pair, behind) = rest.split_at_checked(2).ok_or_else(wrong)?;
        if !pair.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        bytes.push(u8::from_str_radix(pair, 16).map_err(|_| wrong())?);
        rest = behind.strip_prefix([':', ' ']).unwrap_or(behind);
    }
    Ok(bytes)
}

/// A domain name of labels of at most 63 letters, digits, hyphens and underscores (RFC 1035 §2.3.1); empty is allowed and means "not sent".
pub(crate) fn domain(text: &str) -> Result<&str, String> {
    let label_is_right = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.is_empty() || text.split('.').all(label_is_right) {
        return Ok(text);
    }
    Err("is not a host or domain name; letters, digits and hyphens, with dots between, such as \"vm.example\" would be right".into())
}

/// A name of ours that appears in tables, metrics and files: letters, digits, `-`, `_` and `.`, at most 63.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let right = "1 to 63 letters, digits, hyphens, underscores and dots would be right";
    let fits = (1..=63).contains(&text.len());
    if fits
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Ok(text.to_owned());
    }
    Err(format!("is not a name; {right}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_table_says() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("30m", Some(1_800)),
            ("24h", Some(86_400)),
            ("7d", Some(604_800)),
            ("2w", Some(1_209_600)),
            ("1h30m", Some(5_400)),
            ("4294967294s", Some(4_294_967_294)),
            ("4294967295s", None),
            ("99999999999999999999d", None),
            ("", None),
            ("0s", None),
            ("24", None),
            ("h", None),
            ("-1h", None),
            ("1 h", None),
            ("1é", None),
        ] {
            assert_eq!(duration(text).ok(), seconds, "{text}");
        }
    }

    #[test]
    fn hexadecimal_is_read_as_the_table_says() {
        for (text, bytes) in [
            ("", Some(&[][..])),
            ("0a0B", Some(&[10, 11])),
            ("0a:0b", Some(&[10, 11])),
            ("0a 0b", Some(&[10, 11])),
            ("0a0", None),
            ("0é", None),
            ("+1", None),
            ("0x", None),
        ] {
            assert_eq!(hex(text).ok().as_deref(), bytes, "{text}");
        }
    }

    #[test]
    fn uuids_and_macs_are_read_as_the_table_says() {
        assert_eq!(
            uuid("4DEA22B3-1D52-D8F3-2516-782E98AB3FA0").as_deref(),
            Ok("4dea22b3-1d52-d8f3-2516-782e98ab3fa0")
        );
        for text in [
            "",
            "4dea22b3",
            "4dea22b3-1d52-d8f3-2516-782e98ab3fag",
            "4dea22b31-d52-d8f3-2516-782e98ab3fa0",
        ] {
            assert!(uuid(text).is_err(), "{text}");
        }
        for (text, right) in [
            ("52:54:00:12:34:56", true),
            ("53:54:00:12:34:56", false),
            ("00:00:00:00:00:00", false),
        ] {
            assert_eq!(mac(text).is_ok(), right, "{text}");
        }
    }
}
