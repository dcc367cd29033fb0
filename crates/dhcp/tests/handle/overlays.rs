//! Classes that a guest claims: they choose options, and nothing else.

use crate::answer::Answer;
use crate::client::{ADDRESS, CLIENT, Client, DISCOVER, REQUEST, binding};
use slash32_binding::{Binding, Claim, Ipv4Addr, List, MacAddr, Setting, Text};

fn boot_file(name: &str) -> Setting {
    Setting::BootFile(Text::new(name).unwrap())
}

/// BIOS and UEFI clients get iPXE, and iPXE a script.
fn chain() -> Binding {
    let mut binding = binding();
    binding.set(&Setting::NextServer(Ipv4Addr::new(192, 0, 2, 10)));
    let overlays = &mut binding.overlays;
    let pxe = Claim::VendorClass("PXEClient*");
    overlays
        .push(
            &[pxe, Claim::Architecture(0)],
            &[boot_file("undionly.kpxe")],
        )
        .unwrap();
    let efi = [Claim::Architecture(7), Claim::Architecture(9)];
    overlays
        .push(&[pxe, efi[0], efi[1]], &[boot_file("ipxe.efi")])
        .unwrap();
    let ipxe = [Claim::UserClass("iPXE"), Claim::UserClass("gPXE")];
    overlays
        .push(&ipxe, &[boot_file("http://192.0.2.10/menu.ipxe")])
        .unwrap();
    binding
}

fn file(answer: &Answer) -> String {
    let field = &answer.message[108..236];
    let end = field.iter().position(|byte| *byte == 0).unwrap();
    String::from_utf8(field[..end].to_vec()).unwrap()
}

#[test]
fn each_step_of_a_network_boot_gets_its_own_file() {
    let pxe = |message, architecture: u8| {
        Client::sends(message)
            .option(60, b"PXEClient:Arch:00000:UNDI:002001")
            .option(93, &[0, architecture])
            .asks_for(ADDRESS)
    };
    for message in [DISCOVER, REQUEST] {
        for (client, expected) in [
            (Client::sends(message).asks_for(ADDRESS), ""),
            (pxe(message, 0), "undionly.kpxe"),
            (pxe(message, 7), "ipxe.efi"),
            (pxe(message, 9), "ipxe.efi"),
            (pxe(message, 11), ""),
            (
                pxe(message, 0).option(77, b"iPXE"),
                "http://192.0.2.10/menu.ipxe",
            ),
            (pxe(message, 0).option(77, b"ipxe"), "undionly.kpxe"),
            (
                Client::sends(message).asks_for(ADDRESS).option(77, b"gPXE"),
                "http://192.0.2.10/menu.ipxe",
            ),
        ] {
            assert_eq!(
                file(&client.gets(chain())),
                expected,
                "{:?}",
                client.message
            );
        }
    }
}

#[test]
fn item_91_a_user_class_is_taken_raw_and_as_rfc_3004_writes_it() {
    for (value, fits) in [
        (&b"iPXE"[..], true),
        (b"\x04iPXE", true),
        (b"\x03lab\x04iPXE", true),
        (b"\x04iPXE\x03lab", true),
        (b"\x04iPXE\x04lab", false),
        (b"\x05iPXE", false),
        (b"\x00\x04iPXE", true),
        (b"", false),
    ] {
        let got = Client::sends(DISCOVER).option(77, value).gets(chain());
        assert_eq!(file(&got).is_empty(), !fits, "{value:?}");
    }
}

#[test]
fn one_of_several_architectures_is_enough_and_half_a_one_is_none() {
    for (value, expected) in [
        (&[0, 11, 0, 7][..], "ipxe.efi"),
        (&[0, 7, 0], "ipxe.efi"),
        (&[7], ""),
        (&[7, 0], ""),
    ] {
        let client = Client::sends(DISCOVER)
            .option(60, b"PXEClient")
            .option(93, value);
        assert_eq!(file(&client.gets(chain())), expected, "{value:?}");
    }
}

#[test]
fn of_two_overlays_the_later_sets_a_field_and_the_other_keeps_its_own() {
    let mut binding = binding();
    let any = [Claim::VendorClass("*")];
    let dns = |last| {
        let mut list = List::new(Ipv4Addr::UNSPECIFIED);
        list.push(Ipv4Addr::new(9, 9, 9, last)).unwrap();
        Setting::Dns(list)
    };
    binding
        .overlays
        .push(&any, &[dns(1), boot_file("first")])
        .unwrap();
    binding.overlays.push(&any, &[dns(2)]).unwrap();
    let got = Client::sends(DISCOVER).option(60, b"x").gets(binding);
    assert_eq!(got.option(6), Some(vec![9, 9, 9, 2]));
    assert_eq!(file(&got), "first");
}

#[test]
fn a_raw_option_takes_the_place_of_its_code_and_leaves_the_others() {
    let mut binding = binding();
    binding
        .raw
        .extend_from_slice(&[224, 1, 1, 1, 225, 1, 1, 2])
        .unwrap();
    let mut raw = List::new(0);
    raw.extend_from_slice(&[225, 1, 1, 9, 60, 1, 3, b'a', b'b', b'c'])
        .unwrap();
    binding
        .overlays
        .push(&[Claim::VendorClass("x")], &[Setting::Raw(raw)])
        .unwrap();
    let got = Client::sends(DISCOVER).option(60, b"x").gets(binding);
    assert_eq!(
        [got.option(224), got.option(225)],
        [Some(vec![1]), Some(vec![9])]
    );
    assert_eq!(got.option(60), Some(b"abc".to_vec()));
    let other = Client::sends(DISCOVER).option(60, b"y").gets(binding);
    assert_eq!([other.option(225), other.option(60)], [Some(vec![2]), None]);
}

#[test]
fn a_claim_moves_no_address() {
    let plain = Client::sends(DISCOVER).gets(chain());
    let claimed = Client::sends(DISCOVER).option(77, b"iPXE").gets(chain());
    assert_eq!(plain.message[16..20], claimed.message[16..20]);
    assert_eq!(
        (plain.option(54), plain.option(51)),
        (claimed.option(54), claimed.option(51))
    );
    assert_eq!((claimed.link.1, claimed.ip.1), (CLIENT, ADDRESS));
    assert_ne!(claimed.link.1, MacAddr::BROADCAST);
}
