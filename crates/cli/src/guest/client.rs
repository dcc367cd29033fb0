//! Which software a guest's DHCP client is, as far as its requests give it away.

/// What a vendor class (option 60) begins with, and whose it is.
const VENDOR_CLASSES: [(&str, &str); 7] = [
    ("udhcp ", "BusyBox udhcpc"),
    ("dhcpcd-", "dhcpcd"),
    ("Linux ipconfig", "klibc ipconfig"),
    ("MSFT ", "Windows"),
    ("android-dhcp-", "Android"),
    ("PXEClient", "PXE firmware"),
    ("HTTPClient", "UEFI HTTP boot"),
];

/// Parameter request lists (option 55) that one client alone is known to send, as observed.
const LISTS: [(&[u8], &str); 6] = [
    (
        &[1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42],
        "ISC dhclient",
    ),
    (&[1, 3, 6, 12, 15, 33, 42, 120, 121], "systemd-networkd"),
    (
        &[
            1, 2, 6, 12, 15, 26, 28, 121, 3, 33, 40, 41, 42, 119, 249, 252, 17,
        ],
        "NetworkManager",
    ),
    (&[1, 3, 26, 252, 42, 15, 6, 12], "ConnMan"),
    (
        &[1, 3, 6, 12, 15, 17, 26, 28, 40, 119, 121],
        "klibc ipconfig",
    ),
    (&[1, 3, 6, 12, 15, 17, 26, 40], "the kernel's ip=dhcp"),
];

/// A guess, and what it rests on; `None` when nothing gives the client away.
pub(super) fn client(
    vendor_class: Option<&[u8]>,
    user_class: Option<&[u8]>,
    list: Option<&[u8]>,
) -> Option<String> {
    let by_user_class = || {
        let is_ipxe = user_class.is_some_and(|class| class.starts_with(b"iPXE"));
        is_ipxe.then(|| "iPXE (by its user class)".to_owned())
    };
    let by_vendor_class = || {
        let class = vendor_class?;
        let (_, name) = VENDOR_CLASSES
            .iter()
            .find(|(start, _)| class.starts_with(start.as_bytes()))?;
        Some(format!("{name} (by its vendor class)"))
    };
    let by_list = || {
        let (_, name) = LISTS.iter().find(|(known, _)| Some(*known) == list)?;
        Some(format!("{name} (by the options that it asks for)"))
    };
    by_user_class().or_else(by_vendor_class).or_else(by_list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_what_it_says() {
        type Row = (
            Option<&'static [u8]>,
            Option<&'static [u8]>,
            Option<&'static [u8]>,
            Option<&'static str>,
        );
        let table: [Row; 5] = [
            (
                Some(b"udhcp 1.35.0"),
                None,
                Some(&[1, 3]),
                Some("BusyBox udhcpc (by its vendor class)"),
            ),
            (
                Some(b"PXEClient:Arch:00000"),
                Some(b"iPXE"),
                None,
                Some("iPXE (by its user class)"),
            ),
            (
                None,
                None,
                Some(&[1, 3, 6, 12, 15, 33, 42, 120, 121]),
                Some("systemd-networkd (by the options that it asks for)"),
            ),
            (Some(b"mine"), None, Some(&[1]), None),
            (None, None, None, None),
        ];
        for (vendor_class, user_class, list, expected) in table {
            assert_eq!(
                client(vendor_class, user_class, list).as_deref(),
                expected,
                "{vendor_class:?} {user_class:?} {list:?}"
            );
        }
    }
}
