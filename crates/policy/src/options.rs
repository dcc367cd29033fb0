use crate::{
    error::Errors,
    options_owned::owned,
    origin::Located,
    reader::{Item, Section},
    value,
};
use slash32_binding::{Ipv4Addr, Prefix, Routers, Text};

/// Another host, which the config may name by the word `"gateway"`: that of the network that the VM is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host {
    /// The network's gateway.
    Gateway,
    /// This address.
    Address(Ipv4Addr),
}

impl Host {
    /// The address, in a network with this gateway.
    pub fn at(self, gateway: Ipv4Addr) -> Ipv4Addr {
        match self {
            Self::Gateway => gateway,
            Self::Address(address) => address,
        }
    }
}

/// The value of `mtu`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mtu {
    /// That of the link.
    Auto,
    /// In bytes, 68 to 65535.
    Bytes(u16),
}

/// One of `routes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouteOption {
    /// The destination; not the default route, which is always there.
    pub to: Prefix,
    /// The next hop; the address 0.0.0.0 is "on the link itself".
    pub via: Host,
}

/// One of `raw`: an option as its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawOption {
    /// The option code, 1 to 254, none that slash32 makes itself.
    pub code: u8,
    /// Sent to a client that did not ask for it, too.
    pub always: bool,
    /// What the option holds; more than 255 bytes are sent in pieces (RFC 3396).
    pub bytes: Vec<u8>,
}

/// What one scope of the config sets. Each field names the key and what it feeds.
///
/// An empty list or text is a value: it stops what a wider scope sets.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `lease-time`, option 51, in seconds; `u32::MAX` is infinite.
    pub lease_time: Option<Located<u32>>,
    /// `t1`, option 58, in seconds.
    pub t1: Option<Located<u32>>,
    /// `t2`, option 59, in seconds.
    pub t2: Option<Located<u32>>,
    /// `netmask`, option 1.
    pub netmask: Option<Located<Ipv4Addr>>,
    /// `routers`: whether option 3 goes beside option 121.
    pub routers: Option<Located<Routers>>,
    /// `routes`, option 121; at most [`MOST_ROUTES`].
    pub routes: Option<Located<Vec<RouteOption>>>,
    /// `dns`, option 6; at most [`MOST_SERVERS`].
    pub dns: Option<Located<Vec<Host>>>,
    /// `ntp`, option 42; at most [`MOST_SERVERS`].
    pub ntp: Option<Located<Vec<Host>>>,
    /// `tftp-servers`, option 150; at most [`MOST_TFTP_SERVERS`].
    pub tftp_servers: Option<Located<Vec<Host>>>,
    /// `mtu`, option 26.
    pub mtu: Option<Located<Mtu>>,
    /// `hostname`, option 12.
    pub hostname: Option<Located<Text<63>>>,
    /// `domain`, option 15.
    pub domain: Option<Located<Text<253>>>,
    /// `search`, option 119: the names, with one space between them.
    pub search: Option<Located<Text<255>>>,
    /// `next-server`, `siaddr`.
    pub next_server: Option<Located<Host>>,
    /// `server-name`, `sname` or option 66.
    pub server_name: Option<Located<Text<63>>>,
    /// `boot-file`, `file` or option 67.
    pub boot_file: Option<Located<Text<253>>>,
    /// `rapid-commit`: whether option 80 of a DISCOVER is honoured.
    pub rapid_commit: Option<Located<bool>>,
    /// `ipv6-only-preferred`, option 108, in seconds, [`LEAST_IPV6_ONLY_WAIT`] or more; 0 is off.
    pub ipv6_only_preferred: Option<Located<u32>>,
    /// `raw`. Unlike the others these are merged code by code, as each is an option of its own.
    pub raw: Option<Located<Vec<RawOption>>>,
    /// Some of these keys was wrong, so what they say together cannot be judged.
    pub(crate) unsound: bool,
}

/// The most `routes` of a scope: what [`slash32_binding::Binding::routes`] holds.
pub const MOST_ROUTES: usize = 16;
/// The most servers in `dns` and in `ntp`: what [`slash32_binding::Binding::dns`] holds.
pub const MOST_SERVERS: usize = 8;
/// The most `tftp-servers`: what [`slash32_binding::Binding::tftp_servers`] holds.
pub const MOST_TFTP_SERVERS: usize = 4;
/// The least of `ipv6-only-preferred`, in seconds: MIN_V6ONLY_WAIT of RFC 8925 §3.4.
pub(crate) const LEAST_IPV6_ONLY_WAIT: u32 = 300;
/// The most bytes that all `raw` options of a binding take, with three for the code, flags and length of each, or of each of
/// its pieces.
pub const MOST_RAW_BYTES: usize = 512;

impl Options {
    /// Reads the `options` of a narrower section; nothing set when there are none.
    pub(crate) fn of(section: &mut Section<'_>, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        if let Some(item) = section.item("options") {
            options.read(&item, errors);
        }
        options
    }

    /// Reads a table of options over what is set here already.
    pub(crate) fn read(&mut self, item: &Item<'_>, errors: &mut Errors) {
        let before = errors.count();
        if let Some(mut section) = item.section("a table such as { mtu = 1400 }", errors) {
            let s = &mut section;
            set(
                &mut self.lease_time,
                s.read("lease-time", errors, lease_time),
            );
            set(&mut self.t1, s.read("t1", errors, duration));
            set(&mut self.t2, s.read("t2", errors, duration));
            set(&mut self.netmask, s.read("netmask", errors, netmask));
            set(&mut self.routers, s.read("routers", errors, routers));
            set(&mut self.routes, s.read("routes", errors, routes));
            set(
                &mut self.dns,
                s.read("dns", errors, |item, errors| {
                    hosts(item, MOST_SERVERS, errors)
                }),
            );
            set(
                &mut self.ntp,
                s.read("ntp", errors, |item, errors| {
                    hosts(item, MOST_SERVERS, errors)
                }),
            );
            set(
                &mut self.tftp_servers,
                s.read("tftp-servers", errors, |item, errors| {
                    hosts(item, MOST_TFTP_SERVERS, errors)
                }),
            );
            set(&mut self.mtu, s.read("mtu", errors, mtu));
            set(&mut self.hostname, s.read("hostname", errors, domain));
            set(&mut self.domain, s.read("domain", errors, domain));
            set(&mut self.search, s.read("search", errors, search));
            set(&mut self.next_server, s.read("next-server", errors, host));
            set(
                &mut self.server_name,
                s.read("server-name", errors, printable),
            );
            set(&mut self.boot_file, s.read("boot-file", errors, printable));
            set(
                &mut self.rapid_commit,
                s.read("rapid-commit", errors, |item, errors| item.boolean(errors)),
            );
            set(
                &mut self.ipv6_only_preferred,
                s.read("ipv6-only-preferred", errors, ipv6_only_preferred),
            );
            set(&mut self.raw, s.read("raw", errors, raw));
            section.finish(errors);
        }
        self.unsound |= errors.count() > before;
    }
}

fn set<T>(place: &mut Option<Located<T>>, value: Option<Located<T>>) {
    if value.is_some() {
        *place = value;
    }
}

/// The longest value of one record of an option, in bytes.
const LONGEST_PIECE: usize = 255;

const DURATION: &str = "seconds as a number, or a text such as \"24h\"";

pub(crate) fn duration(item: &Item<'_>, errors: &mut Errors) -> Option<u32> {
    if item.is_number() {
        return item.number(1..=u32::MAX - 1, DURATION, errors);
    }
    item.parsed(DURATION, errors, value::duration)
}

fn lease_time(item: &Item<'_>, errors: &mut Errors) -> Option<u32> {
    if item.is_text() && item.text("", errors) == Some("infinite") {
        return Some(u32::MAX);
    }
    duration(item, errors)
}

fn ipv6_only_preferred(item: &Item<'_>, errors: &mut Errors) -> Option<u32> {
    if item.is_text() && item.text("", errors) == Some("off") {
        return Some(0);
    }
    let seconds = duration(item, errors)?;
    if seconds < LEAST_IPV6_ONLY_WAIT {
        let message =
            "is less than any client takes (RFC 8925 §3.4); 5m or more, or \"off\", would be right";
        return item.wrong(message, errors);
    }
    Some(seconds)
}

fn netmask(item: &Item<'_>, errors: &mut Errors) -> Option<Ipv4Addr> {
    item.parsed("a text such as \"255.255.255.252\"", errors, value::netmask)
}

fn routers(item: &Item<'_>, errors: &mut Errors) -> Option<Routers> {
    item.parsed("\"always\" or \"rfc3442\"", errors, |text| match text {
        "always" => Ok(Routers::Always),
        "rfc3442" => Ok(Routers::Rfc3442),
        _ => Err("is not known; \"always\" or \"rfc3442\" would be right".into()),
    })
}

fn host(item: &Item<'_>, errors: &mut Errors) -> Option<Host> {
    item.parsed("an address in quotes, or \"gateway\",", errors, parse_host)
}

fn parse_host(text: &str) -> Result<Host, String> {
    if text == "gateway" {
        Ok(Host::Gateway)
    } else {
        value::unicast(text).map(Host::Address)
    }
}

fn hosts(item: &Item<'_>, most: usize, errors: &mut Errors) -> Option<Vec<Host>> {
    let items = at_most(item, most, "a list such as [\"9.9.9.9\"]", errors)?;
    all(&items, |item| host(item, errors))
}

fn routes(item: &Item<'_>, errors: &mut Errors) -> Option<Vec<RouteOption>> {
    let items = at_most(
        item,
        MOST_ROUTES,
        "a list such as [{ to = \"10.0.0.0/8\", via = \"gateway\" }]",
        errors,
    )?;
    all(&items, |item| route(item, errors))
}

fn route(item: &Item<'_>, errors: &mut Errors) -> Option<RouteOption> {
    let mut section = item.section(
        "a table such as { to = \"10.0.0.0/8\", via = \"gateway\" }",
        errors,
    )?;
    let to = section.require("to", "to = \"10.0.0.0/8\"", errors, |item, errors| {
        item.parsed("a prefix in quotes", errors, |text| {
            match value::prefix(text)? {
                Prefix::DEFAULT => Err(
                    "is the default route, which every VM gets; a narrower prefix would be right"
                        .into(),
                ),
                prefix => Ok(prefix),
            }
        })
    });
    let via = section.require("via", "via = \"gateway\"", errors, |item, errors| {
        item.parsed(
            "an address in quotes, or \"gateway\",",
            errors,
            |text| match text {
                "0.0.0.0" => Ok(Host::Address(Ipv4Addr::UNSPECIFIED)),
                _ => parse_host(text),
            },
        )
    });
    section.finish(errors);
    Some(RouteOption {
        to: to?.value,
        via: via?.value,
    })
}

fn mtu(item: &Item<'_>, errors: &mut Errors) -> Option<Mtu> {
    const RIGHT: &str = "a number from 68 to 65535, or \"auto\",";
    if item.is_text() {
        return item.parsed(RIGHT, errors, |text| match text {
            "auto" => Ok(Mtu::Auto),
            _ => Err(format!("is not an MTU; {RIGHT} would be right")),
        });
    }
    item.number(68..=u16::MAX, RIGHT, errors).map(Mtu::Bytes)
}

fn domain<const N: usize>(item: &Item<'_>, errors: &mut Errors) -> Option<Text<N>> {
    item.parsed("a name in quotes", errors, |text| {
        bounded(value::domain(text)?)
    })
}

fn search(item: &Item<'_>, errors: &mut Errors) -> Option<Text<255>> {
    let items = item.list("a list such as [\"vm.example\"]", errors)?;
    let names = all(&items, |item| {
        item.parsed("a name in quotes", errors, |text| match text {
            "" => Err("is empty; a name such as \"vm.example\" would be right".into()),
            _ => value::domain(text),
        })
    })?;
    match Text::new(&names.join(" ")) {
        Ok(text) => Some(text),
        Err(_) => item.wrong(
            "is too long; names of at most 255 bytes together would be right",
            errors,
        ),
    }
}

/// A text for a guest's firmware: ASCII without control characters.
fn printable<const N: usize>(item: &Item<'_>, errors: &mut Errors) -> Option<Text<N>> {
    item.parsed("a text in quotes", errors, |text| {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return bounded(text);
        }
        Err("has characters that firmware cannot read; printable ASCII would be right".into())
    })
}

fn bounded<const N: usize>(text: &str) -> Result<Text<N>, String> {
    Text::new(text).map_err(|_| format!("is {} bytes long; at most {N} would be right", text.len()))
}

fn raw(item: &Item<'_>, errors: &mut Errors) -> Option<Vec<RawOption>> {
    let items = item.list("a list such as [{ code = 224, hex = \"0a0b\" }]", errors)?;
    let options = all(&items, |item| raw_option(item, errors))?;
    for (index, (item, option)) in items.iter().zip(&options).enumerate() {
        if options
            .iter()
            .take(index)
            .any(|other| other.code == option.code)
        {
            let code = option.code;
            return item.wrong(
                format!("sets option {code} for the second time; one of the two would be right"),
                errors,
            );
        }
    }
    let size: usize = options.iter().map(RawOption::size).sum();
    if size > MOST_RAW_BYTES {
        return item.wrong(too_many_raw_bytes(size), errors);
    }
    Some(options)
}

pub(crate) fn too_many_raw_bytes(size: usize) -> String {
    format!(
        "takes {size} bytes, with three for each option; at most {MOST_RAW_BYTES} together would be right"
    )
}

impl RawOption {
    /// What it takes of [`MOST_RAW_BYTES`].
    pub(crate) fn size(&self) -> usize {
        self.pieces().map(|piece| 3 + piece.len()).sum()
    }

    /// The bytes in pieces of at most 255 (RFC 3396 §6); one piece when there are none.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let none = self.bytes.is_empty().then_some(&[][..]);
        self.bytes.chunks(LONGEST_PIECE).chain(none)
    }
}

fn raw_option(item: &Item<'_>, errors: &mut Errors) -> Option<RawOption> {
    let mut section = item.section("a table such as { code = 224, hex = \"0a0b\" }", errors)?;
    let code = section.require("code", "code = 224", errors, |item, errors| {
        let code: u8 = item.number(1..=254, "a number from 1 to 254", errors)?;
        match owned(code) {
            Some(sentence) => item.wrong(format!("{code} is not yours to set; {sentence}"), errors),
            None => Some(code),
        }
    });
    let bytes = raw_value(&mut section, errors);
    let always = section.item("always").map(|item| item.boolean(errors));
    section.finish(errors);
    Some(RawOption {
        code: code?.value,
        bytes: bytes?,
        always: always.unwrap_or(Some(false))?,
    })
}

/// What the option holds: `hex`, or `text` for what is text.
fn raw_value(section: &mut Section<'_>, errors: &mut Errors) -> Option<Vec<u8>> {
    let Some(text) = section.item("text") else {
        let right = "hex = \"0a0b\" (or text = \"...\")";
        let hex = section.require("hex", right, errors, |item, errors| {
            item.parsed("a text such as \"0a0b\"", errors, value::hex)
        });
        return Some(hex?.value);
    };
    if let Some(hex) = section.item("hex") {
        return hex.wrong("stands beside text; one of the two would be right", errors);
    }
    let bytes = text.text("a text in quotes", errors)?.as_bytes().to_vec();
    Some(bytes)
}

fn at_most<'d>(
    item: &Item<'d>,
    most: usize,
    right: &str,
    errors: &mut Errors,
) -> Option<Vec<Item<'d>>> {
    let items = item.list(right, errors)?;
    if items.len() > most {
        return item.wrong(
            format!("has {} entries; at most {most} would be right", items.len()),
            errors,
        );
    }
    Some(items)
}

/// What `read` makes of every item, or `None` when one is wrong; but all are read, so that every wrong one is told.
fn all<'d, T>(items: &[Item<'d>], read: impl FnMut(&Item<'d>) -> Option<T>) -> Option<Vec<T>> {
    let values: Vec<Option<T>> = items.iter().map(read).collect();
    values.into_iter().collect()
}
