//! What an operator means by a binding, in plain words: which header fields and options a client is to see. A model beside
//! the core, which reads no line of it; where the two differ, one of them is wrong.

use dhcproto::v4::DhcpOption;
use slash32_binding::{Binding, Claim, Ipv4Addr, List, Prefix, Route, Routers, Setting, Text};
use std::collections::BTreeMap;

/// What a scope of the config says of options, all of them set.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) netmask: Ipv4Addr,
    pub(crate) rfc3442: bool,
    pub(crate) routes: Vec<(Ipv4Addr, u8, Ipv4Addr)>,
    pub(crate) dns: Vec<Ipv4Addr>,
    pub(crate) ntp: Vec<Ipv4Addr>,
    pub(crate) tftp: Vec<Ipv4Addr>,
    pub(crate) mtu: u16,
    pub(crate) hostname: String,
    pub(crate) domain: String,
    pub(crate) search: Vec<String>,
    pub(crate) next_server: Ipv4Addr,
    pub(crate) server_name: String,
    pub(crate) boot_file: String,
    pub(crate) ipv6_only_wait: u32,
    /// By code: sent unasked, and the value.
    pub(crate) raw: BTreeMap<u8, (bool, Vec<u8>)>,
}

impl Options {
    fn settings(&self) -> [Setting; 15] {
        let mut raw = List::new(0);
        for (code, (always, value)) in &self.raw {
            // An empty value is one empty piece.
            let pieces = value.chunks(255).chain(value.is_empty().then_some(&[][..]));
            for piece in pieces {
                let head = [*code, u8::from(*always), piece.len() as u8];
                raw.extend_from_slice(&[&head, piece].concat()).unwrap();
            }
        }
        let routes = self.routes.iter().map(|&(to, length, via)| Route {
            to: Prefix::new(to, length).unwrap(),
            via,
        });
        let no_route = Route {
            to: Prefix::DEFAULT,
            via: Ipv4Addr::UNSPECIFIED,
        };
        [
            Setting::Netmask(self.netmask),
            Setting::Routers(if self.rfc3442 {
                Routers::Rfc3442
            } else {
                Routers::Always
            }),
            Setting::Routes(list(no_route, routes)),
            Setting::Dns(addresses(&self.dns)),
            Setting::Ntp(addresses(&self.ntp)),
            Setting::TftpServers(addresses(&self.tftp)),
            Setting::Mtu(self.mtu),
            Setting::Hostname(text(&self.hostname)),
            Setting::Domain(text(&self.domain)),
            Setting::Search(text(&self.search.join(" "))),
            Setting::NextServer(self.next_server),
            Setting::ServerName(text(&self.server_name)),
            Setting::BootFile(text(&self.boot_file)),
            Setting::Raw(raw),
            Setting::Ipv6OnlyWait(self.ipv6_only_wait),
        ]
    }

    /// `other` is asked first, for what the bits of `which` name: one a setting, in their order above; the last is no class's.
    fn overlay(&mut self, other: &Self, which: u16) {
        let takes = |bit: u16| which >> bit & 1 == 1;
        macro_rules! take {
            ($($bit:literal $field:ident,)+) => {
                $(if takes($bit) { self.$field.clone_from(&other.$field); })+
            };
        }
        take! {
            0 netmask, 1 rfc3442, 2 routes, 3 dns, 4 ntp, 5 tftp, 6 mtu, 7 hostname, 8 domain, 9 search,
            10 next_server, 11 server_name, 12 boot_file,
        }
        if takes(13) {
            self.raw.extend(other.raw.clone());
        }
    }
}

/// What clients that claim to be something get instead.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) vendor: Option<&'static str>,
    pub(crate) user: Option<&'static str>,
    pub(crate) architectures: Vec<u16>,
    pub(crate) options: Options,
    /// Which of the options, one bit each; never what decides the kind of an answer.
    pub(crate) which: u16,
}

/// What a client says, and asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) list: Option<Vec<u8>>,
    pub(crate) identifier: Option<Vec<u8>>,
    pub(crate) relay: Option<Vec<u8>>,
    pub(crate) vendor: Option<Vec<u8>>,
    pub(crate) user: Option<Vec<u8>>,
    /// The user classes in `user`, when it is written as RFC 3004 says.
    pub(crate) user_classes: Vec<&'static str>,
    pub(crate) architectures: Vec<u16>,
    /// Option 80 is there.
    pub(crate) rapid_commit: bool,
    /// Option 81 is there: whether its E flag is set, and its S flag.
    pub(crate) fqdn: Option<(bool, bool)>,
}

impl Class {
    fn claims(&self) -> Vec<Claim<'static>> {
        let vendor = self.vendor.map(Claim::VendorClass);
        let user = self.user.map(Claim::UserClass);
        let numbers = self.architectures.iter().map(|n| Claim::Architecture(*n));
        vendor.into_iter().chain(user).chain(numbers).collect()
    }

    fn has(&self, said: &Said) -> bool {
        let vendor = |pattern| said.vendor.as_ref().is_some_and(|text| fits(pattern, text));
        let user = |pattern: &'static str| {
            let mut classes = said.user_classes.iter();
            said.user.as_ref().is_some_and(|text| fits(pattern, text))
                || classes.any(|class| fits(pattern, class.as_bytes()))
        };
        let architecture = || {
            let mut numbers = said.architectures.iter();
            numbers.any(|number| self.architectures.contains(number))
        };
        self.vendor.is_none_or(vendor)
            && self.user.is_none_or(user)
            && (self.architectures.is_empty() || architecture())
    }
}

/// A glob of `*`, `?` and letters, tried in every way.
fn fits(pattern: &str, text: &[u8]) -> bool {
    match (pattern.as_bytes().first(), text.split_first()) {
        (None, rest) => rest.is_none(),
        (Some(b'*'), None) => fits(&pattern[1..], text),
        (Some(b'*'), Some((_, rest))) => fits(&pattern[1..], text) || fits(pattern, rest),
        (Some(b'?'), Some((_, rest))) => fits(&pattern[1..], rest),
        (Some(letter), Some((byte, rest))) => letter == byte && fits(&pattern[1..], rest),
        (Some(_), None) => false,
    }
}

/// Everything that a VM is to get.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    /// Address, gateway, times.
    pub(crate) fixed: Binding,
    pub(crate) options: Options,
    pub(crate) classes: Vec<Class>,
}

impl Intent {
    /// The binding; classes that do not fit in it are no part of the intent any more.
    pub(crate) fn binding(&mut self) -> Binding {
        let mut binding = self.fixed;
        for setting in self.options.settings() {
            binding.set(&setting);
        }
        self.classes.retain(|class| {
            let all = class.options.settings().into_iter().enumerate();
            let settings: Vec<Setting> = all
                .filter(|(bit, _)| *bit < 14 && class.which >> bit & 1 == 1)
                .map(|(_, setting)| setting)
                .collect();
            binding.overlays.push(&class.claims(), &settings).is_ok()
        });
        binding
    }

    /// As the client that says this is to get it.
    pub(crate) fn options_for(&self, said: &Said) -> Options {
        let mut options = self.options.clone();
        for class in self.classes.iter().filter(|class| class.has(said)) {
            options.overlay(&class.options, class.which);
        }
        options
    }
}

/// What an option is to mean.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    /// This, as `dhcproto` reads it.
    Is(DhcpOption),
    /// These names, as `dhcproto` reads them.
    Names(Vec<String>),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// The options of an OFFER or ACK that do not depend on which of them it is: none of 53, 51, 58, 59.
pub(crate) fn meanings(fixed: &Binding, options: &Options, said: &Said) -> BTreeMap<u8, Meaning> {
    let empty = Vec::new();
    let list = said.list.as_ref().unwrap_or(&empty);
    // A client without a list is told what most ask for; what the operator sends unasked is sent, whoever gives its value.
    let usual = [12, 15, 42, 119];
    let unasked = |code: u8| options.raw.get(&code).is_some_and(|raw| raw.0);
    let asks = |code: u8| {
        list.contains(&code) || (list.is_empty() && usual.contains(&code)) || unasked(code)
    };
    let mut meant = BTreeMap::new();
    let mut say = |code: u8, meaning: Meaning| meant.insert(code, meaning);

    // The operator's own options stand in for those that have no value, and give way to those that have one.
    let ours = [
        0, 1, 3, 50, 51, 52, 53, 54, 55, 57, 58, 59, 61, 80, 81, 82, 121, 249, 255,
    ];
    for (code, (_, value)) in &options.raw {
        if !ours.contains(code) && asks(*code) {
            say(*code, Meaning::Bytes(value.clone()));
        }
    }
    say(54, Meaning::Is(DhcpOption::ServerIdentifier(fixed.gateway)));
    say(1, mask(options, said));
    let routes = routes(fixed.gateway, &options.routes);
    say(121, Meaning::Bytes(routes.clone()));
    if asks(249) {
        say(249, Meaning::Bytes(routes));
    }
    if !options.rfc3442 || !list.contains(&121) {
        say(3, Meaning::Is(DhcpOption::Router(vec![fixed.gateway])));
    }
    if !options.dns.is_empty() {
        say(
            6,
            Meaning::Is(DhcpOption::DomainNameServer(options.dns.clone())),
        );
    }
    if options.mtu != 1500 {
        say(26, Meaning::Is(DhcpOption::InterfaceMtu(options.mtu)));
    }
    if asks(42) && !options.ntp.is_empty() {
        say(42, Meaning::Is(DhcpOption::NtpServers(options.ntp.clone())));
    }
    if asks(12) && !options.hostname.is_empty() {
        say(
            12,
            Meaning::Is(DhcpOption::Hostname(options.hostname.clone())),
        );
    }
    if asks(15) && !options.domain.is_empty() {
        say(
            15,
            Meaning::Is(DhcpOption::DomainName(options.domain.clone())),
        );
    }
    if asks(108) && options.ipv6_only_wait != 0 {
        // `dhcproto` takes 106 for the code of RFC 8925.
        say(
            108,
            Meaning::Bytes(options.ipv6_only_wait.to_be_bytes().to_vec()),
        );
    }
    if let Some(value) = said.fqdn.and_then(|flags| fqdn(options, flags)) {
        say(81, Meaning::Bytes(value));
    }
    if asks(119) && !options.search.is_empty() {
        say(119, Meaning::Names(options.search.clone()));
    }
    if asks(150) && !options.tftp.is_empty() {
        let octets = options.tftp.iter().flat_map(Ipv4Addr::octets);
        say(150, Meaning::Bytes(octets.collect()));
    }
    if asks(66) && !options.server_name.is_empty() {
        let name = options.server_name.clone().into_bytes();
        say(66, Meaning::Is(DhcpOption::TFTPServerName(name)));
    }
    // A name that `file` cannot hold is sent to everybody.
    let name = &options.boot_file;
    if (asks(67) && !name.is_empty()) || name.len() > 127 {
        let name = name.clone().into_bytes();
        say(67, Meaning::Is(DhcpOption::BootfileName(name)));
    }
    if let Some(identifier) = &said.identifier {
        say(61, Meaning::Bytes(identifier.clone()));
    }
    if let Some(relay) = &said.relay {
        say(82, Meaning::Bytes(relay.clone()));
    }
    meant
}

/// RFC 4702 §2: flags, two codes that say nothing, the name; as the client writes its own. No update is promised.
fn fqdn(options: &Options, (encoded, update): (bool, bool)) -> Option<Vec<u8>> {
    let name = [&options.hostname[..], &options.domain]
        .into_iter()
        .filter(|part| !part.is_empty());
    let name = name.collect::<Vec<_>>().join(".");
    let labels = name.split('.').all(|label| (1..=63).contains(&label.len()));
    // 255 bytes hold a name, however it is written.
    let length = name.len() + if encoded { 2 } else { 0 };
    if options.hostname.is_empty() || !labels || length > 255 {
        return None;
    }
    let flags = 8 | u8::from(encoded) << 2 | u8::from(update) << 1;
    let mut value = vec![flags, 255, 255];
    if encoded {
        for label in name.split('.') {
            value.push(label.len() as u8);
            value.extend(label.as_bytes());
        }
        // Without a domain it is a part of a name, which does not end.
        value.extend((!options.domain.is_empty()).then_some(0));
    } else {
        value.extend(name.as_bytes());
    }
    Some(value)
}

/// RFC 3442: width, significant octets, router; the gateway on the link first, then what is behind it.
fn routes(gateway: Ipv4Addr, own: &[(Ipv4Addr, u8, Ipv4Addr)]) -> Vec<u8> {
    let none = Ipv4Addr::UNSPECIFIED;
    let base = [(gateway, 32, none), (none, 0, gateway)];
    let mut bytes = Vec::new();
    for &(to, width, via) in base.iter().chain(own) {
        let network = to.to_bits() & !u32::MAX.checked_shr(width.into()).unwrap_or(0);
        let octets = match width {
            0 => 0,
            1..=8 => 1,
            9..=16 => 2,
            17..=24 => 3,
            _ => 4,
        };
        bytes.push(width);
        bytes.extend(&network.to_be_bytes()[..octets]);
        bytes.extend(via.octets());
    }
    bytes
}

/// Option 1; old iPXE (DESIGN.md §4, rule 6) takes a /30 where others take a /32.
fn mask(options: &Options, said: &Said) -> Meaning {
    let own = DhcpOption::SubnetMask(options.netmask);
    let user = said.user.as_deref().unwrap_or_default();
    let ipxe = user.windows(4).any(|text| text == b"iPXE");
    if !ipxe || options.netmask != Ipv4Addr::BROADCAST {
        return Meaning::Is(own);
    }
    let thirty = DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 252));
    match &said.list {
        Some(list) if list.contains(&121) => Meaning::Is(own),
        _ => Meaning::Is(thirty),
    }
}

fn list<T: Copy, const N: usize>(fill: T, values: impl IntoIterator<Item = T>) -> List<T, N> {
    let mut list = List::new(fill);
    for value in values {
        list.push(value).unwrap();
    }
    list
}

fn addresses<const N: usize>(values: &[Ipv4Addr]) -> List<Ipv4Addr, N> {
    list(Ipv4Addr::UNSPECIFIED, values.iter().copied())
}

fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).unwrap()
}
