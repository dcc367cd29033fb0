use super::*;
use slash32_binding::MacAddr;

const STAY: Stay = Stay {
    port: 2,
    carrier_ups: 1,
};

fn nic(vm: &str, uuid: &str, address: Option<&str>) -> Nic {
    Nic {
        vm: vm.into(),
        uuid: uuid.into(),
        mac: MacAddr([0x52, 0x54, 0, 0, 0, 1]),
        network: None,
        incoming: false,
        resumed: false,
        metadata: Metadata {
            address: address.map(Into::into),
            ..Metadata::default()
        },
    }
}

/// What libvirt says, one word after the other, each with whether the VM was told its address by then.
type Words<'w> = &'w [(Option<&'w Nic>, bool)];

fn after(words: Words<'_>) -> Occupant {
    let mut occupant = Occupant::new(STAY, None, false);
    for (told, settled) in words {
        occupant.take(*told, *settled);
    }
    occupant
}

#[test]
fn what_libvirt_says_counts_until_the_vm_was_told_its_address_and_is_shown_ever_after() {
    let one = nic("web", "1", Some("203.0.113.1"));
    let other = nic("web", "1", Some("203.0.113.2"));
    let renamed = nic("web2", "1", Some("203.0.113.1"));
    let arriving = Nic {
        incoming: true,
        resumed: false,
        ..one.clone()
    };
    let stranger = nic("db", "2", None);
    // The words, what counts then, and what is shown.
    let table: &[(Words<'_>, Option<&Nic>, Option<&Nic>)] = &[
        (&[(None, false)], None, None),
        (&[(Some(&one), false)], Some(&one), Some(&one)),
        (
            &[(Some(&one), false), (None, false)],
            Some(&one),
            Some(&one),
        ),
        (
            &[(Some(&one), false), (Some(&other), false)],
            Some(&other),
            Some(&other),
        ),
        (
            &[(Some(&stranger), false), (Some(&one), false)],
            Some(&one),
            Some(&one),
        ),
        (
            &[(Some(&one), false), (Some(&other), true)],
            Some(&one),
            Some(&other),
        ),
        (&[(Some(&one), true)], None, Some(&one)),
        (
            &[(Some(&one), false), (None, true), (None, true)],
            Some(&one),
            Some(&one),
        ),
        (
            &[(Some(&one), false), (Some(&renamed), true)],
            Some(&one),
            Some(&renamed),
        ),
        (
            &[(Some(&arriving), false), (Some(&one), true)],
            Some(&arriving),
            Some(&one),
        ),
        (
            &[(Some(&one), false), (Some(&stranger), true)],
            Some(&one),
            Some(&one),
        ),
        (
            &[(Some(&one), false), (None, true), (Some(&other), false)],
            Some(&one),
            Some(&other),
        ),
    ];
    for (words, counts, shown) in table {
        let occupant = after(words);
        assert_eq!(occupant.in_force(), *counts, "{words:?}");
        assert_eq!(occupant.nic(), *shown, "{words:?}");
    }
}

#[test]
fn what_will_count_from_the_next_start_is_told_with_what_differs() {
    let one = nic("web", "1", Some("203.0.113.1"));
    let plain = nic("web", "1", None);
    let mut tagged = one.clone();
    tagged.metadata.tags = vec!["gold".into(), "eu".into()];
    tagged.metadata.options.insert("mtu".into(), "9000".into());
    let arriving = Nic {
        incoming: true,
        resumed: false,
        ..one.clone()
    };
    let table: &[(Words<'_>, Option<&str>)] = &[
        (&[(None, true)], None),
        (&[(Some(&one), false), (Some(&one), true)], None),
        (&[(Some(&one), false), (None, true)], None),
        (&[(Some(&one), false), (Some(&arriving), true)], None),
        (
            &[(Some(&one), false), (Some(&tagged), true)],
            Some("libvirt now says tags = gold, eu, mtu = 9000: from the VM's next start"),
        ),
        (
            &[(Some(&one), false), (Some(&plain), true)],
            Some("libvirt now says no address: from the VM's next start"),
        ),
        (
            &[(Some(&plain), true)],
            Some(
                "libvirt now says vm = web, uuid = 1, mac = 52:54:00:00:00:01: from the VM's next start",
            ),
        ),
    ];
    for (words, told) in table {
        assert_eq!(after(words).counts_next().as_deref(), *told, "{words:?}");
    }
}

#[test]
fn the_address_that_metadata_fixes_may_be_written_with_its_length() {
    let address = Ipv4Addr::new(203, 0, 113, 1);
    for (text, is_that) in [
        (Some("203.0.113.1"), true),
        (Some(" 203.0.113.1/32 "), true),
        (Some("203.0.113.2"), false),
        (Some("203.0.113"), false),
        (None, false),
    ] {
        let nic = nic("web", "1", text);
        let occupant = after(&[(Some(&nic), false)]);
        assert_eq!(occupant.is_to_have(address), is_that, "{text:?}");
    }
}
