//! Gives the core one message after the other, for callgrind, which counts the instructions of each.
//!
//! `tests/instructions` of the tests runs it: counting is on while [`handled`] runs, and what was counted is written when it
//! returns. Each message is handled once before, so that nothing is counted that happens only the first time. The names of the
//! messages are printed, a line each, in the order in which they are counted.

mod frames;

use frames::{another, many_codes, past_the_end, recorded};
use slash32_binding::{Binding, Claim, Full, Ipv4Addr, MacAddr, Overlays, Setting, Text};
use slash32_dhcp::{Action, Instant, MAX_FRAME, Outcome, Reason, Responder};
use std::hint::black_box;

const DHCLIENT: &[u8] = include_bytes!("../../golden/plain/dhclient-4.4.3-P1/first-boot.pcap");
const DHCLIENT_REBOOT: &[u8] = include_bytes!("../../golden/plain/dhclient-4.4.3-P1/reboot.pcap");
const DHCLIENT_WRONG_ADDRESS: &[u8] =
    include_bytes!("../../golden/plain/dhclient-4.4.3-P1/wrong-address.pcap");
const DHCLIENT_RENEWAL: &[u8] = include_bytes!("../../golden/full/dhclient-4.4.3-P1/renewal.pcap");
const IPXE: &[u8] =
    include_bytes!("../../golden/full/ipxe-bios-1.0.0+git-20190125.36a4c85/first-boot.pcap");

/// What most VMs are given: the binding of `tests/golden/plain.toml`.
fn plain() -> Result<Binding, Full> {
    let mut binding = Binding::new(Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(169, 254, 0, 1));
    binding.server_mac = MacAddr([0x52, 0x54, 0, 0xbb, 0xcd, 0x62]);
    binding.dns.push(Ipv4Addr::new(9, 9, 9, 9))?;
    Ok(binding)
}

/// Something of most options, and two overlays, the second of which is for iPXE.
fn full() -> Result<Binding, Full> {
    let mut binding = plain()?;
    let boot_server = Ipv4Addr::new(198, 51, 100, 69);
    binding.dns.push(Ipv4Addr::new(149, 112, 112, 112))?;
    binding.ntp.push(Ipv4Addr::new(198, 51, 100, 123))?;
    binding.tftp_servers.push(boot_server)?;
    binding.mtu = 1400;
    binding.next_server = boot_server;
    binding.hostname = Text::new("web1")?;
    binding.domain = Text::new("vms.example")?;
    binding.search = Text::new("vms.example")?;
    binding.server_name = Text::new("boot.example")?;
    binding.boot_file = Text::new("pxelinux.0")?;
    // Code 224 unasked, code 252 to whoever asks.
    binding
        .raw
        .extend_from_slice(&[224, 1, 2, 0x0a, 0x0b, 252, 0, 1, 0x0a])?;
    let mut overlays = Overlays::NONE;
    for (claim, boot_file) in [
        (
            Claim::VendorClass("HTTPClient*"),
            "http://boot.example/ipxe.efi",
        ),
        (Claim::UserClass("iPXE"), "http://boot.example/menu.ipxe"),
    ] {
        overlays.push(&[claim], &[Setting::BootFile(Text::new(boot_file)?)])?;
    }
    binding.overlays = overlays;
    Ok(binding)
}

/// The name of a message, what is served, the frame, and what becomes of it.
type Counted = (&'static str, Binding, Vec<u8>, Result<Outcome, Reason>);

/// The frame goes in, the answer comes out: what is counted.
#[inline(never)]
fn handled(responder: &mut Responder, frame: &[u8], out: &mut [u8; MAX_FRAME]) -> Action {
    responder.handle(Instant(0), frame, out)
}

fn main() -> Result<(), Full> {
    use Outcome::{AckInitReboot, AckRenewing, AckSelecting, NakInitReboot, Offer};

    let discover = recorded(DHCLIENT, 0);
    let messages: [Counted; 10] = [
        ("DISCOVER", plain()?, discover.clone(), Ok(Offer)),
        (
            "DISCOVER, all codes asked for",
            full()?,
            many_codes(&discover),
            Ok(Offer),
        ),
        (
            "DISCOVER of iPXE, overlaid",
            full()?,
            recorded(IPXE, 0),
            Ok(Offer),
        ),
        (
            "REQUEST, selecting",
            plain()?,
            recorded(DHCLIENT, 2),
            Ok(AckSelecting),
        ),
        (
            "REQUEST, init-reboot",
            plain()?,
            recorded(DHCLIENT_REBOOT, 0),
            Ok(AckInitReboot),
        ),
        (
            "REQUEST, renewing",
            plain()?,
            recorded(DHCLIENT_RENEWAL, 0),
            Ok(AckRenewing),
        ),
        (
            "REQUEST for another address",
            plain()?,
            recorded(DHCLIENT_WRONG_ADDRESS, 0),
            Ok(NakInitReboot),
        ),
        (
            "another client",
            plain()?,
            another(&discover),
            Err(Reason::OtherMac),
        ),
        (
            "options past their end",
            plain()?,
            past_the_end(&discover),
            Err(Reason::MalformedOptions),
        ),
        (
            "half a frame",
            plain()?,
            discover[..discover.len() / 2].to_vec(),
            Err(Reason::Truncated),
        ),
    ];
    for (name, binding, frame, expected) in messages {
        let mut owned = Responder::new(binding);
        let mut out = [0; MAX_FRAME];
        // From here on the client of the recordings is the only one that is served.
        owned.handle(Instant(0), &recorded(DHCLIENT, 2), &mut out);
        owned.handle(Instant(0), &frame, &mut out);
        let action = handled(
            black_box(&mut owned),
            black_box(&frame),
            black_box(&mut out),
        );
        let actual = match action {
            Action::Reply { outcome, .. } => Ok(outcome),
            Action::Ignore(reason) => Err(reason),
        };
        assert_eq!(actual, expected, "{name}");
        println!("{name}");
    }
    Ok(())
}
