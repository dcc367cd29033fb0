//! Valid requests of every kind (RFC 2131 §4.3), at random: what a client may say of itself and ask for, in one piece or two.

use crate::client::{Client, OTHER, SERVER};
use crate::meant::Said;
use dhcproto::v4;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use slash32_binding::Binding;

/// The kinds of request that a server answers (RFC 2131 §4.3), for its own address or for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Discover,
    Selecting(Asks),
    InitReboot(Asks),
    Renewing(Asks),
    Rebinding(Asks),
    Inform,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asks {
    ForOurs,
    ForAnother,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) said: Said,
    /// Option 57.
    size: Option<u16>,
    pub(crate) broadcast: bool,
    pub(crate) xid: u32,
    /// Every option in two pieces, far from each other, broken after so many bytes.
    broken_at: Option<usize>,
}

impl Request {
    pub(crate) fn client(&self, binding: &Binding) -> Client {
        use Kind::{Discover, Inform, InitReboot, Rebinding, Renewing, Selecting};
        let address = |asks| match asks {
            Asks::ForOurs => binding.address,
            Asks::ForAnother => OTHER,
        };
        let mut options: Vec<(u8, Vec<u8>)> = Vec::new();
        let mut say = |code: u8, value: &[u8]| options.push((code, value.to_vec()));
        let said = &self.said;
        let numbers = said.architectures.iter().flat_map(|n| n.to_be_bytes());
        let architectures: Vec<u8> = numbers.collect();
        let architectures = (!architectures.is_empty()).then_some(&architectures);
        if let Selecting(asks) | InitReboot(asks) = self.kind {
            say(50, &address(asks).octets());
        }
        if let Selecting(_) = self.kind {
            say(54, &binding.gateway.octets());
        }
        for (code, value) in [
            (82, said.relay.as_ref()),
            (55, said.list.as_ref()),
            (60, said.vendor.as_ref()),
            (77, said.user.as_ref()),
            (93, architectures),
            (61, said.identifier.as_ref()),
            (
                57,
                self.size.map(|size| size.to_be_bytes().to_vec()).as_ref(),
            ),
        ] {
            if let Some(value) = value {
                say(code, value);
            }
        }
        let message_type = match self.kind {
            Discover => 1,
            Inform => 8,
            _ => 3,
        };
        if said.rapid_commit {
            say(80, &[]);
        }
        if let Some((encoded, update)) = said.fqdn {
            say(81, &[u8::from(encoded) << 2 | u8::from(update), 0, 0]);
        }
        let mut client = Client::sends(message_type).with(4, &self.xid.to_be_bytes());
        let at = self.broken_at.unwrap_or(255);
        for (code, value) in &options {
            client = client.option(*code, &value[..at.min(value.len())]);
        }
        for (code, value) in options.iter().filter(|(_, value)| value.len() > at) {
            client = client.option(*code, &value[at..]);
        }
        client.message.push(255);
        if self.broadcast {
            client = client.flags(0x8000);
        }
        if let Renewing(asks) | Rebinding(asks) = self.kind {
            client = client.ciaddr(address(asks));
            client.ip.0 = address(asks);
        }
        if let Inform = self.kind {
            client = client.ciaddr(binding.address);
            client.ip.0 = binding.address;
        }
        if let Renewing(_) = self.kind {
            client.link.1 = SERVER;
            client.ip.1 = binding.gateway;
        }
        client
    }

    /// A DISCOVER gets its ACK at once (RFC 4039), but not who could do without IPv4 (RFC 8925 §3.3).
    pub(crate) fn is_committed_at_once(&self, binding: &Binding) -> bool {
        let list = self.said.list.as_deref().unwrap_or_default();
        let without = binding.ipv6_only_wait != 0 && list.contains(&108);
        let asks = self.kind == Kind::Discover && self.said.rapid_commit;
        asks && binding.rapid_commit && !without
    }

    /// Option 53 of the reply: OFFER, ACK or NAK.
    pub(crate) fn answer(&self, binding: &Binding) -> v4::MessageType {
        use Kind::{Discover, Inform, InitReboot, Rebinding, Renewing, Selecting};
        match self.kind {
            Discover if self.is_committed_at_once(binding) => v4::MessageType::Ack,
            Discover => v4::MessageType::Offer,
            Inform => v4::MessageType::Ack,
            Selecting(asks) | InitReboot(asks) | Renewing(asks) | Rebinding(asks) => match asks {
                Asks::ForOurs => v4::MessageType::Ack,
                Asks::ForAnother => v4::MessageType::Nak,
            },
        }
    }

    /// The IP packet that the client takes, in bytes.
    pub(crate) fn limit(&self, mtu: u16) -> usize {
        let limit = self.size.unwrap_or(576).clamp(576, 1500);
        usize::from(limit.min(mtu.max(576)))
    }
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    use Kind::{Discover, Inform, InitReboot, Rebinding, Renewing, Selecting};
    let asks = || prop_oneof![3 => Just(Asks::ForOurs), 1 => Just(Asks::ForAnother)];
    let kind = prop_oneof![
        Just(Discover),
        asks().prop_map(Selecting),
        asks().prop_map(InitReboot),
        asks().prop_map(Renewing),
        asks().prop_map(Rebinding),
        Just(Inform),
    ];
    let codes = select(vec![
        1, 3, 6, 12, 15, 26, 28, 42, 43, 51, 54, 58, 59, 66, 67, 80, 81, 82, 108, 119, 121, 150,
        224, 225, 249,
    ]);
    let list = option::of(vec(prop_oneof![6 => codes, 1 => any::<u8>()], 0..40));
    let vendor = option::of(select(VENDORS.to_vec()));
    let user = option::of((vec(select(USERS.to_vec()), 1..3), any::<bool>()));
    let said = (
        list,
        option::of(vec(any::<u8>(), 1..255)),
        option::of(vec(any::<u8>(), 1..100)),
        vendor,
        user,
        vec(select(vec![0, 7, 9, 11]), 0..3),
    );
    let rest = (option::of(any::<u16>()), any::<bool>(), any::<u32>());
    let rapid = (any::<bool>(), option::of(any::<(bool, bool)>()));
    let broken_at = option::of(0..200_usize);
    (kind, said, rest, rapid, broken_at).prop_map(|(kind, said, rest, rapid, broken_at)| {
        let (user, user_classes) = said.4.map_or((None, Vec::new()), user_class);
        let said = Said {
            list: said.0,
            identifier: said.1,
            relay: said.2,
            vendor: said.3.map(|text| text.as_bytes().to_vec()),
            user,
            user_classes,
            architectures: said.5,
            rapid_commit: rapid.0,
            fqdn: rapid.1,
        };
        Request {
            kind,
            said,
            size: rest.0,
            broadcast: rest.1,
            xid: rest.2,
            broken_at,
        }
    })
}

const VENDORS: [&str; 4] = ["PXEClient:Arch:00007", "MSFT 5.0", "udhcp 1.35.0", "x"];
const USERS: [&str; 3] = ["iPXE", "lab", "gold"];

/// Option 77 as RFC 3004 writes it, or the first class alone as iPXE does.
fn user_class(
    (classes, by_rfc): (Vec<&'static str>, bool),
) -> (Option<Vec<u8>>, Vec<&'static str>) {
    if !by_rfc {
        return (Some(classes[0].as_bytes().to_vec()), Vec::new());
    }
    let class = |text: &&str| [&[text.len() as u8], text.as_bytes()].concat();
    (Some(classes.iter().flat_map(class).collect()), classes)
}
