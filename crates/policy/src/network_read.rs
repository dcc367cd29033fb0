//! A `[[network]]` as it stands in a file, before it is held against the others.
use crate::{
    Allocation, Ipv6, LinkGlobs, MacPrefix, Network, Options, Pool, Reservation, Subnet,
    class_read::class_names,
    error::Errors,
    glob::Glob,
    network::{ReservationIndex, Selector},
    options::duration,
    origin::{Located, Origin},
    reader::{Item, Section},
    value,
};
use slash32_binding::Ipv4Addr;

/// What could be read of a network. `None` stands for what was missing or wrong, and has an error already.
pub(crate) struct Draft {
    pub(crate) header: Origin,
    pub(crate) name: Option<Located<String>>,
    pub(crate) links: Option<Located<LinkGlobs>>,
    pub(crate) gateway: Option<Located<Ipv4Addr>>,
    pub(crate) class: Vec<Located<String>>,
    pub(crate) allocation: Option<Allocation>,
    pub(crate) quarantine: Option<Located<u32>>,
    pub(crate) mac_prefix: Option<Located<MacPrefix>>,
    /// `mac-prefix` was wrong, and has an error already.
    pub(crate) mac_prefix_unsound: bool,
    pub(crate) ipv6: Option<Ipv6>,
    pub(crate) options: Options,
    pub(crate) subnets: Vec<Subnet>,
    /// A subnet or a pool was wrong and is not in `subnets`.
    pub(crate) subnets_unsound: bool,
    pub(crate) reservations: Vec<Reservation>,
    /// A reservation was wrong and is not in `reservations`.
    pub(crate) reservations_unsound: bool,
}

impl Draft {
    pub(crate) fn read(mut section: Section<'_>, errors: &mut Errors) -> Self {
        let s = &mut section;
        let name = s.require("name", "name = \"public\"", errors, |item, errors| {
            item.parsed("a text such as \"public\"", errors, value::name)
        });
        let links = s.require("links", "links = [\"virbr*\"]", errors, links);
        let gateway = s.require(
            "gateway",
            "gateway = \"169.254.0.1\"",
            errors,
            |item, errors| item.parsed("a text such as \"169.254.0.1\"", errors, value::unicast),
        );
        let allocation = s
            .item("allocation")
            .map_or(Some(Allocation::default()), |item| {
                allocation(&item, errors)
            });
        let quarantine = s.read("quarantine", errors, duration);
        let before = errors.count();
        let mac_prefix = s.read("mac-prefix", errors, |item, errors| {
            item.parsed("a text such as \"52:54:00\"", errors, str::parse)
        });
        let mac_prefix_unsound = errors.count() > before;
        let ipv6 = s
            .item("ipv6")
            .map_or(Some(Ipv6::default()), |item| ipv6(&item, errors));
        let options = Options::of(s, errors);
        let class = class_names(s, errors);
        let before = errors.count();
        let subnets = s
            .item("subnet")
            .and_then(|item| item.sections("[[network.subnet]]", errors))
            .unwrap_or_default();
        let subnets = subnets
            .into_iter()
            .filter_map(|section| subnet(section, errors))
            .collect();
        let subnets_unsound = errors.count() > before;
        let before = errors.count();
        let reservations = s
            .item("reservation")
            .and_then(|item| item.sections("[[network.reservation]]", errors))
            .unwrap_or_default();
        let reservations = reservations
            .into_iter()
            .filter_map(|section| reservation(section, errors))
            .collect();
        let reservations_unsound = errors.count() > before;
        let meant = section.finish(errors);
        // A misspelt key is told as such, and not again as missing.
        let allocation = allocation.filter(|_| !meant.contains(&"allocation"));
        let subnets_unsound = subnets_unsound || meant.contains(&"subnet");
        let reservations_unsound = reservations_unsound || meant.contains(&"reservation");
        Self {
            header: section.origin,
            name,
            links,
            gateway,
            class,
            allocation,
            quarantine,
            mac_prefix,
            mac_prefix_unsound: mac_prefix_unsound || meant.contains(&"mac-prefix"),
            ipv6,
            options,
            subnets,
            subnets_unsound,
            reservations,
            reservations_unsound,
        }
    }

    /// How other errors speak of it.
    pub(crate) fn shown_name(&self) -> &str {
        self.name
            .as_ref()
            .map_or("without a name", |name| &name.value)
    }

    /// The network, when nothing of it was missing or wrong.
    pub(crate) fn finish(self) -> Option<Network> {
        let name = self.name?;
        Some(Network {
            name: name.value,
            origin: name.origin,
            links: self.links?.value,
            gateway: self.gateway?.value,
            class: self.class,
            allocation: self.allocation?,
            quarantine: self.quarantine.map_or(0, |quarantine| quarantine.value),
            mac_prefix: self.mac_prefix.map(|prefix| prefix.value),
            ipv6: self.ipv6?,
            options: self.options,
            subnets: self.subnets,
            index: ReservationIndex::new(&self.reservations),
            reservations: self.reservations,
        })
    }
}

fn allocation(item: &Item<'_>, errors: &mut Errors) -> Option<Allocation> {
    const RIGHT: &str = "\"static\", \"automatic\", \"dynamic\" or \"mac\"";
    item.parsed(RIGHT, errors, |text| match text {
        "static" => Ok(Allocation::Static),
        "automatic" => Ok(Allocation::Automatic),
        "dynamic" => Ok(Allocation::Dynamic),
        "mac" => Ok(Allocation::Mac),
        _ => Err(format!("is not known; {RIGHT} would be right")),
    })
}

pub(crate) fn ipv6(item: &Item<'_>, errors: &mut Errors) -> Option<Ipv6> {
    const RIGHT: &str = "\"off\" or \"foreign\"";
    item.parsed(RIGHT, errors, |text| match text {
        "off" => Ok(Ipv6::Off),
        "foreign" => Ok(Ipv6::Foreign),
        _ => Err(format!("is not known; {RIGHT} would be right")),
    })
}

fn links(item: &Item<'_>, errors: &mut Errors) -> Option<LinkGlobs> {
    const RIGHT: &str = "a list of patterns such as [\"virbr*\", \"!virbr0\"]";
    let mut globs = LinkGlobs::default();
    let before = errors.count();
    for item in item.list(RIGHT, errors)? {
        let text = item.text("a text such as \"virbr*\"", errors);
        let excludes = text.is_some_and(|text| text.starts_with('!'));
        let glob = text.and_then(|_| {
            item.parsed("a pattern", errors, |text| {
                Glob::parse(text.strip_prefix('!').unwrap_or(text))
            })
        });
        match glob {
            Some(glob) if excludes => globs.excluding.push(glob),
            Some(glob) => {
                globs.claiming.push(glob);
                globs.origins.push(item.origin.clone());
            }
            None => {}
        }
    }
    if errors.count() > before {
        return None;
    }
    if globs.claiming.is_empty() {
        let kind = if globs.excluding.is_empty() {
            "is empty"
        } else {
            "only excludes"
        };
        return item.wrong(
            format!("{kind}, so that no link is claimed; {RIGHT} would be right"),
            errors,
        );
    }
    Some(globs)
}

fn subnet(mut section: Section<'_>, errors: &mut Errors) -> Option<Subnet> {
    let prefix = section.require(
        "prefix",
        "prefix = \"203.0.113.0/24\"",
        errors,
        |item, errors| {
            item.parsed(
                "a text such as \"203.0.113.0/24\"",
                errors,
                value::unicast_prefix,
            )
        },
    );
    let pools = section
        .item("pools")
        .and_then(|item| item.list("a list such as [\"203.0.113.10-203.0.113.99\"]", errors))
        .unwrap_or_default();
    let pools: Vec<Pool> = pools.iter().filter_map(|item| pool(item, errors)).collect();
    let options = Options::of(&mut section, errors);
    let class = class_names(&mut section, errors);
    section.finish(errors);
    let prefix = prefix?;
    Some(Subnet {
        prefix: prefix.value,
        class,
        pools,
        options,
        origin: prefix.origin,
    })
}

const RANGE: &str = "a range in quotes such as \"203.0.113.10-203.0.113.99\"";

fn pool(item: &Item<'_>, errors: &mut Errors) -> Option<Pool> {
    if !item.is_table() {
        let (first, last) = item.parsed(RANGE, errors, value::range)?;
        return Some(Pool {
            first,
            last,
            class: Vec::new(),
            options: Options::default(),
            origin: item.origin.clone(),
        });
    }
    let mut section = item.section(RANGE, errors)?;
    let range = section.require(
        "range",
        "range = \"203.0.113.10-203.0.113.99\"",
        errors,
        |item, errors| item.parsed(RANGE, errors, value::range),
    );
    let options = Options::of(&mut section, errors);
    let class = class_names(&mut section, errors);
    section.finish(errors);
    let Located {
        value: (first, last),
        origin,
    } = range?;
    Some(Pool {
        first,
        last,
        class,
        options,
        origin,
    })
}

const SELECTORS: [&str; 4] = ["mac", "link", "uuid", "vm"];

fn reservation(mut section: Section<'_>, errors: &mut Errors) -> Option<Reservation> {
    let before = errors.count();
    let s = &mut section;
    let mut selectors = Vec::new();
    // The rarest first: the index has each reservation under its first selector.
    selectors.extend(s.read("mac", errors, |item, errors| {
        item.parsed("a text such as \"52:54:00:12:34:56\"", errors, value::mac)
            .map(Selector::Mac)
    }));
    selectors.extend(s.read("link", errors, |item, errors| {
        item.parsed("a text such as \"virbr13\"", errors, link_name)
            .map(Selector::Link)
    }));
    selectors.extend(s.read("uuid", errors, |item, errors| {
        item.parsed(
            "a text, as `virsh domuuid VM` prints it,",
            errors,
            value::uuid,
        )
        .map(Selector::Uuid)
    }));
    selectors.extend(s.read("vm", errors, |item, errors| {
        item.parsed("a text such as \"web1\"", errors, vm_name)
            .map(Selector::Vm)
    }));
    let selectors_sound = errors.count() == before;
    let address = s.require(
        "address",
        "address = \"203.0.113.7\"",
        errors,
        |item, errors| item.parsed("a text such as \"203.0.113.7\"", errors, value::unicast),
    );
    let options = Options::of(s, errors);
    let meant = section.finish(errors);
    if selectors.is_empty() && selectors_sound && !meant.iter().any(|key| SELECTORS.contains(key)) {
        let right = "at least one of them, such as link = \"virbr13\", would be right";
        section.wrong(
            "link",
            format!("is missing, as are vm, uuid and mac; {right}"),
            errors,
        );
    }
    // With one of its selectors missing it would fit other links than were meant.
    if selectors.is_empty() || !selectors_sound || meant.iter().any(|key| SELECTORS.contains(key)) {
        return None;
    }
    let address = address?;
    let selectors = selectors
        .into_iter()
        .map(|selector| selector.value)
        .collect();
    Some(Reservation {
        selectors,
        address: address.value,
        options,
        origin: address.origin,
    })
}

pub(crate) fn link_name(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"/:*?[]!".contains(&byte));
    if is_name {
        return Ok(text.to_owned());
    }
    Err("is not the name of one link; a name such as \"virbr13\", without any pattern, would be right".into())
}

fn vm_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(
            "is not the name of a VM; what `virsh list --name` prints would be right".into(),
        );
    }
    Ok(text.to_owned())
}
