use crate::{
    Class, ConfigErrors, LinkFacts, Network, Options, Source,
    check::check,
    class::Membership,
    class_read::ClassDraft,
    error::Errors,
    network_read::Draft,
    origin::{Origin, Page},
    reader::{Item, Section},
    value,
};
use slash32_binding::Ipv4Addr;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use toml::de::DeTable;

/// A config without an error. What it holds is what the design calls the operator's contract (DESIGN.md §3).
#[derive(Clone, Debug)]
pub struct Config {
    /// `[agent]`
    pub agent: AgentConfig,
    /// `[route]`
    pub route: RouteConfig,
    /// Every `[[network]]`, in the order of the files. No link name is claimed by two of them.
    pub networks: Vec<Network>,
    /// Every `[[class]]`, in the order of the files.
    pub classes: Vec<Class>,
    /// `[options]`: the global scope.
    pub options: Options,
}

/// `[agent]`: where the agent keeps what it needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentConfig {
    /// `runtime-dir`: sockets and the hook spool. Absolute; at most 76 bytes, so that every socket in it has a path that
    /// fits `sockaddr_un`.
    pub runtime_dir: PathBuf,
    /// `state-dir`: the store. Absolute.
    pub state_dir: PathBuf,
    /// `responder`: the responder's program, when it is neither beside the agent nor where packages put it. Absolute.
    pub responder: Option<PathBuf>,
    /// `libvirt-dir`: libvirt's runtime folder, whose files say which VMs run. Absolute; it need not be there.
    pub libvirt_dir: PathBuf,
    /// `metrics`: where Prometheus may ask; `None` is nowhere.
    pub metrics: Option<SocketAddr>,
    /// `admin-group`: whose members may change things by the operator API; `None` is root alone.
    pub admin_group: Option<String>,
}

/// `[route]`: the host route to each VM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteConfig {
    /// `protocol` (`rtm_protocol`), 5 to 255, and none that another routing program has.
    pub protocol: u8,
    /// `metric` (`RTA_PRIORITY`).
    pub metric: u32,
    /// `table` (`RTA_TABLE`); main is 254.
    pub table: u32,
    /// `install`: when it is put into the kernel.
    pub install: Install,
    /// `source` (`RTA_PREFSRC`): the host's own source address towards VMs.
    pub source: Option<Ipv4Addr>,
}

/// When a host route is put into the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Install {
    /// Before the first ACK leaves.
    Ack,
    /// As soon as the link is bound.
    Bind,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            runtime_dir: "/run/slash32".into(),
            state_dir: "/var/lib/slash32".into(),
            responder: None,
            libvirt_dir: "/run/libvirt".into(),
            metrics: None,
            admin_group: None,
        }
    }
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self {
            protocol: 132,
            metric: 1,
            table: 254,
            install: Install::Ack,
            source: None,
        }
    }
}

impl Config {
    /// Reads all sources as one config: a key of `[agent]`, `[route]` or `[options]` in a later source takes the place of
    /// the same key in an earlier one, and classes and networks add up.
    ///
    /// Errors: everything that is wrong, in all sources, at once. A source that is no TOML is told by its first error, and
    /// then nothing of it is read.
    pub fn parse(sources: &[Source]) -> Result<Self, ConfigErrors> {
        let mut errors = Errors::default();
        let mut parts = Parts::default();
        for (order, source) in sources.iter().enumerate() {
            parts.read(order, source, &mut errors);
        }
        check(&parts.options, &parts.classes, &parts.drafts, &mut errors);
        errors.into_result()?;
        Ok(parts.finish())
    }

    /// The network of this name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// The network in one of whose subnets `address` lies, if any. For a relayed message (RFC 2131 §4.3.1) the address of the
    /// relay agent would take the place of the link's name: this is the seam; no relay is answered so far.
    pub fn network_at(&self, address: Ipv4Addr) -> Option<&Network> {
        self.networks.iter().find(|network| {
            let mut subnets = network.subnets.iter();
            subnets.any(|subnet| subnet.prefix.contains(address))
        })
    }

    /// The classes that the host knows a link to be in, in the order of the config.
    pub fn classes_of(&self, link: &LinkFacts) -> impl Iterator<Item = &Class> {
        Membership::of(&self.classes, link).into_known()
    }

    /// The network that claims a link by its name or one of its alternative names; `None` when none does.
    ///
    /// Errors: two networks do. No single name can be claimed twice, but a link with several names can.
    pub fn network_of(
        &self,
        name: &str,
        altnames: &[String],
    ) -> Result<Option<&Network>, ClaimedTwice> {
        let names = std::iter::once(name).chain(altnames.iter().map(String::as_str));
        let mut claiming = self
            .networks
            .iter()
            .filter(|network| network.links.claim(names.clone()));
        match (claiming.next(), claiming.next()) {
            (Some(one), Some(other)) => Err(ClaimedTwice {
                networks: [one.name.clone(), other.name.clone()],
            }),
            (one, _) => Ok(one),
        }
    }
}

/// What has been read of a config, before its parts are held against each other.
#[derive(Default)]
pub(crate) struct Parts {
    agent: AgentConfig,
    pub(crate) route: RouteConfig,
    pub(crate) options: Options,
    pub(crate) classes: Vec<ClassDraft>,
    pub(crate) drafts: Vec<Draft>,
}

impl Parts {
    /// Reads one more source, the one at `order` among all.
    pub(crate) fn read(&mut self, order: usize, source: &Source, errors: &mut Errors) {
        let page = Page::new(order, &source.name, &source.text);
        let Some(table) = document(&page, errors) else {
            return;
        };
        let mut root = Section::new("", table.get_ref(), &page, Origin::new(&page, 0..0));
        if let Some(section) = part(&mut root, "agent", errors) {
            read_agent(section, &mut self.agent, errors);
        }
        if let Some(section) = part(&mut root, "store", errors) {
            read_store(section, errors);
        }
        if let Some(section) = part(&mut root, "route", errors) {
            read_route(section, &mut self.route, errors);
        }
        if let Some(item) = root.item("options") {
            self.options.read(&item, errors);
        }
        let networks = root
            .item("network")
            .and_then(|item| item.sections("[[network]]", errors));
        self.drafts.extend(
            networks
                .unwrap_or_default()
                .into_iter()
                .map(|section| Draft::read(section, errors)),
        );
        let sections = root
            .item("class")
            .and_then(|item| item.sections("[[class]]", errors));
        self.classes.extend(
            sections
                .unwrap_or_default()
                .into_iter()
                .map(|section| ClassDraft::read(section, errors)),
        );
        root.finish(errors);
    }

    /// The config, when nothing of it was wrong.
    pub(crate) fn finish(self) -> Config {
        Config {
            agent: self.agent,
            route: self.route,
            networks: self.drafts.into_iter().filter_map(Draft::finish).collect(),
            classes: self
                .classes
                .into_iter()
                .filter_map(ClassDraft::finish)
                .collect(),
            options: self.options,
        }
    }
}

/// Two networks claim one link, each by another of its names.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("networks {} and {} both claim the link; exclude one of its names in one of them", networks[0], networks[1])]
pub struct ClaimedTwice {
    /// Their names, in the order of the config.
    pub networks: [String; 2],
}

pub(crate) fn document<'p>(
    page: &'p Arc<Page>,
    errors: &mut Errors,
) -> Option<toml::Spanned<DeTable<'p>>> {
    DeTable::parse(page.text())
        .inspect_err(|error| {
            let span = error.span().unwrap_or(0..0);
            errors.add(&Origin::new(page, span), "TOML", error.message());
        })
        .ok()
}

pub(crate) fn part<'d>(
    root: &mut Section<'d>,
    key: &'static str,
    errors: &mut Errors,
) -> Option<Section<'d>> {
    root.item(key)?
        .section(&format!("a table that begins with [{key}]"), errors)
}

fn set<T>(place: &mut T, value: Option<crate::Located<T>>) {
    if let Some(value) = value {
        *place = value.value;
    }
}

/// `sun_path` less its NUL, less the longest name below the folder: `/responder/`, 15 bytes of link name, `.sock`.
const LONGEST_RUNTIME_DIR: usize = 107 - "/responder/".len() - 15 - ".sock".len();

fn read_agent(mut section: Section<'_>, agent: &mut AgentConfig, errors: &mut Errors) {
    let s = &mut section;
    let runtime_dir = s.read("runtime-dir", errors, |item, errors| {
        let path = path(item, errors)?;
        if path.as_os_str().len() > LONGEST_RUNTIME_DIR {
            return item.wrong(
                format!("is too long for the sockets in it; at most {LONGEST_RUNTIME_DIR} bytes would be right"),
                errors,
            );
        }
        Some(path)
    });
    set(&mut agent.runtime_dir, runtime_dir);
    set(&mut agent.state_dir, s.read("state-dir", errors, path));
    set(
        &mut agent.responder,
        s.read("responder", errors, |item, errors| {
            path(item, errors).map(Some)
        }),
    );
    set(&mut agent.libvirt_dir, s.read("libvirt-dir", errors, path));
    let metrics = s.read("metrics", errors, |item, errors| {
        item.parsed("a text such as \"127.0.0.1:9132\"", errors, |text| {
            let wrong = "is not an address and a port; one such as 127.0.0.1:9132 would be right";
            text.parse().map(Some).map_err(|_| wrong.to_owned())
        })
    });
    set(&mut agent.metrics, metrics);
    let admin_group = s.read("admin-group", errors, |item, errors| {
        item.parsed("the name of a group in quotes", errors, |text| {
            // What a line of group(5) can hold.
            if text.is_empty()
                || text
                    .contains(|c: char| c == ':' || c == ',' || c.is_whitespace() || c.is_control())
            {
                return Err(
                    "is no group's name; one such as \"slash32-admin\" would be right".to_owned(),
                );
            }
            Ok(Some(text.to_owned()))
        })
    });
    set(&mut agent.admin_group, admin_group);
    s.refuse(
        "quarantine",
        "is a key of a [[network]]; there, beside allocation = \"dynamic\", it would be right",
        errors,
    );
    section.finish(errors);
}

fn path(item: &Item<'_>, errors: &mut Errors) -> Option<PathBuf> {
    item.parsed("a path in quotes", errors, |text| {
        if Path::new(text).is_absolute() && !text.contains('\0') {
            return Ok(PathBuf::from(text));
        }
        Err("is not an absolute path; one that begins with / would be right".into())
    })
}

fn read_store(mut section: Section<'_>, errors: &mut Errors) {
    section.read("backend", errors, |item, errors| {
        item.parsed("\"embedded\"", errors, |text| match text {
            "embedded" => Ok(()),
            "etcd" => Err("does not exist yet; \"embedded\", with pools that no other host has, would be right".into()),
            _ => Err("is not known; \"embedded\" would be right".into()),
        })
    });
    section.finish(errors);
}

pub(crate) fn read_route(mut section: Section<'_>, route: &mut RouteConfig, errors: &mut Errors) {
    let s = &mut section;
    set(&mut route.protocol, s.read("protocol", errors, protocol));
    set(
        &mut route.metric,
        s.read("metric", errors, |item, errors| {
            item.number(0..=u32::MAX, "a number", errors)
        }),
    );
    set(&mut route.table, s.read("table", errors, table));
    let install = s.read("install", errors, |item, errors| {
        item.parsed("\"ack\" or \"bind\"", errors, |text| match text {
            "ack" => Ok(Install::Ack),
            "bind" => Ok(Install::Bind),
            _ => Err("is not known; \"ack\" or \"bind\" would be right".into()),
        })
    });
    set(&mut route.install, install);
    let source = s.read("source", errors, |item, errors| {
        item.parsed("an address in quotes", errors, value::unicast)
            .map(Some)
    });
    set(&mut route.source, source);
    section.finish(errors);
}

/// Our routes are known by their protocol and nothing else, so it must be nobody else's (`rtnetlink.h`, `RTPROT_*`).
fn protocol(item: &Item<'_>, errors: &mut Errors) -> Option<u8> {
    let number: u8 = item.number(0..=255, "a number such as 132", errors)?;
    let owner = match number {
        0..=4 => "the kernel, boot scripts and administrators",
        8 => "GateD",
        9 => "router advertisements",
        10 => "MRT",
        11 => "Zebra",
        12 => "BIRD",
        13 => "DECnet routing",
        14 => "XORP",
        15 => "Netsukuku",
        16 => "DHCP clients",
        17 => "a multicast router",
        18 => "keepalived",
        42 => "Babel",
        84 => "OVN",
        99 => "Open/R",
        186..=189 | 192 => "FRR",
        _ => return Some(number),
    };
    item.wrong(
        format!(
            "{number} marks the routes of {owner}; a number of its own such as 132 would be right"
        ),
        errors,
    )
}

fn table(item: &Item<'_>, errors: &mut Errors) -> Option<u32> {
    const RIGHT: &str = "\"main\" or a number";
    if !item.is_text() {
        return match item.number(1..=u32::MAX, RIGHT, errors)? {
            255 => item.wrong(
                "255 is the kernel's own table local; \"main\" or another number would be right",
                errors,
            ),
            number => Some(number),
        };
    }
    item.parsed(RIGHT, errors, |text| match text {
        "main" => Ok(254),
        _ => Err(format!("is not known; {RIGHT} would be right")),
    })
}
