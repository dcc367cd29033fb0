//! Why a link gets what it gets: the same decisions as those of [`Config::binding`], told with where each was written.
use crate::{
    AddressSource, Assignment, ClaimedTwice, Class, Config, GuestMatch, LinkFacts, Network,
    Options, Origin, Unassigned,
    class::Membership,
    merge::DEFAULT_LEASE_TIME,
    scope::Scope,
    settings::{At, each_setting, hex, show},
    value::show_duration,
};
use slash32_binding::Ipv4Addr;
use std::collections::BTreeMap;

/// Everything that a link gets, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The link's name.
    pub link: String,
    /// The network whose addresses it gets.
    pub network: NetworkReason,
    /// The classes that the host knows it to be in, in the order of the config.
    pub classes: Vec<ClassReason>,
    /// Its address, or why it has none.
    pub address: Result<AddressReason, String>,
    /// Every option, by key; those that nobody set but that have a default, too. When there is no address, only what the
    /// network, the classes and the global scope set.
    pub options: Vec<OptionReason>,
    /// What else it gets when the guest says something of itself: in the order of the config, and the first that sets a key
    /// has it.
    pub claims: Vec<ClaimReason>,
    /// What libvirt's metadata asks of options and is left out, a sentence for each.
    pub left_out: Vec<String>,
}

/// Why a link's VM is in a network.
#[derive(Clone, Debug)]
pub struct NetworkReason {
    /// Its name.
    pub name: String,
    /// Where that stands.
    pub origin: Origin,
    /// The gateway of its VMs.
    pub gateway: Ipv4Addr,
    /// The network that claims the link: this one, unless libvirt's metadata names this one ([`Config::chosen`]).
    pub claimed_by: String,
    /// The first pattern in the `links` of that one that takes the link.
    pub pattern: String,
    /// Where that stands.
    pub pattern_origin: Origin,
    /// The name of the link that the pattern takes: its own or an alternative one.
    pub taken: String,
}

/// A class that a link is in.
#[derive(Clone, Debug)]
pub struct ClassReason {
    /// Its name.
    pub name: String,
    /// Where that stands.
    pub origin: Origin,
}

/// Why a link has its address.
#[derive(Clone, Debug)]
pub struct AddressReason {
    /// The address.
    pub address: Ipv4Addr,
    /// Why.
    pub source: AddressSource,
    /// Under what it is held, in an `automatic` or `dynamic` network.
    pub identity: Option<String>,
    /// The pool that it lies in, `FIRST-LAST`; else the prefix of the subnet.
    pub within: String,
    /// Where that stands in the config: the reservation; of what was allocated, the pool or subnet; `None`: elsewhere.
    pub origin: Option<Origin>,
}

/// Why an option has its value.
#[derive(Clone, PartialEq, Debug)]
pub struct OptionReason {
    /// The key; of a raw option, `raw.CODE`.
    pub key: String,
    /// The value, with `gateway` and `auto` resolved; empty: it stops what a wider scope sets, and nothing is sent.
    pub value: String,
    /// The scope that set it: `reservation 203.0.113.7`, `pool ...`, `class gold`, `global`, or `default`.
    pub scope: String,
    /// Where; `None`: in libvirt's metadata, or it is the default.
    pub origin: Option<Origin>,
    /// What wider scopes set, narrowest first, and is not in force.
    pub overridden: Vec<Overridden>,
}

/// A value that is not in force.
#[derive(Clone, PartialEq, Debug)]
pub struct Overridden {
    /// The value.
    pub value: String,
    /// The scope that set it.
    pub scope: String,
    /// Where; `None`: in libvirt's metadata.
    pub origin: Option<Origin>,
}

/// A class that the guest may claim.
#[derive(Clone, Debug)]
pub struct ClaimReason {
    /// Its name.
    pub name: String,
    /// Where that stands.
    pub origin: Origin,
    /// What the guest must say: each key with its values, of which one must be.
    pub says: Vec<(&'static str, Vec<String>)>,
    /// What then is in force, by key; `overridden` is what is otherwise.
    pub options: Vec<OptionReason>,
}

impl Config {
    /// Why `link` gets what it gets, when [`crate::Allocations::assign`] said `assigned` of it. `None`: no network claims it.
    ///
    /// Errors: two networks do.
    pub fn explain(
        &self,
        link: &LinkFacts,
        assigned: Result<&Assignment, &Unassigned>,
    ) -> Result<Option<Explanation>, ClaimedTwice> {
        let Some(claimed) = self.network_of(&link.name, &link.altnames)? else {
            return Ok(None);
        };
        let Some((pattern, pattern_origin, taken)) = claimed.links.claiming(link.names()) else {
            return Ok(None);
        };
        let network = self.chosen(claimed, link).unwrap_or(claimed);
        let at = At {
            gateway: network.gateway,
            mtu: link.mtu,
        };
        let membership = Membership::of(&self.classes, link);
        let asked = self.asked(network, assigned.ok(), link, &membership);
        let scopes = self.scopes(network, assigned.ok(), &membership, &asked.options);
        let mut options = in_force(&scopes, at);
        let claims = claims(&membership, &scopes, at, &mut options);
        for (key, value) in defaults() {
            options
                .entry(key.to_owned())
                .or_insert_with(|| OptionReason {
                    key: key.to_owned(),
                    value,
                    scope: "default".to_owned(),
                    origin: None,
                    overridden: Vec::new(),
                });
        }
        // Of a lease that never ends nothing is renewed.
        if options
            .get("lease-time")
            .is_some_and(|o| o.value == INFINITE)
        {
            options.remove("t1");
            options.remove("t2");
        }
        Ok(Some(Explanation {
            link: link.name.clone(),
            network: NetworkReason {
                name: network.name.clone(),
                origin: network.origin.clone(),
                gateway: network.gateway,
                claimed_by: claimed.name.clone(),
                pattern: pattern.to_string(),
                pattern_origin: pattern_origin.clone(),
                taken: taken.to_owned(),
            },
            classes: membership.known().map(class_reason).collect(),
            address: assigned
                .map(|assignment| address(network, assignment, link))
                .map_err(ToString::to_string),
            options: options.into_values().collect(),
            claims,
            left_out: asked.faults,
        }))
    }
}

fn class_reason(class: &Class) -> ClassReason {
    ClassReason {
        name: class.name.clone(),
        origin: class.origin.clone(),
    }
}

fn address(network: &Network, assignment: &Assignment, link: &LinkFacts) -> AddressReason {
    let subnet = assignment.subnet.and_then(|at| network.subnets.get(at));
    let pool = assignment.pool.and_then(|at| subnet?.pools.get(at));
    let reservation = assignment.reservation;
    let reservation = reservation.and_then(|at| network.reservations.get(at));
    let block = pool
        .map(|pool| &pool.origin)
        .or(subnet.map(|subnet| &subnet.origin));
    let origin = match assignment.source {
        AddressSource::Reservation => reservation.map(|reservation| &reservation.origin),
        AddressSource::Metadata | AddressSource::Bind => None,
        AddressSource::Mac | AddressSource::Automatic | AddressSource::Dynamic => block,
    };
    let identity = match assignment.source {
        AddressSource::Automatic => link.identity(),
        AddressSource::Dynamic => Some(link.passing_identity()),
        _ => None,
    };
    let within = match (pool, subnet) {
        (Some(pool), _) => format!("{}-{}", pool.first, pool.last),
        (None, Some(subnet)) => subnet.prefix.to_string(),
        (None, None) => String::new(),
    };
    AddressReason {
        address: assignment.address,
        source: assignment.source,
        identity,
        within,
        origin: origin.cloned(),
    }
}

type InForce = BTreeMap<String, OptionReason>;

/// Each key as the narrowest scope sets it.
fn in_force(scopes: &[Scope<'_>], at: At) -> InForce {
    let mut options = InForce::new();
    for scope in scopes {
        for (key, value, origin) in entries(scope.options, at) {
            let origin = (!scope.is_metadata()).then_some(origin);
            add(&mut options, key, value, scope.to_string(), origin);
        }
    }
    options
}

/// Adds what a wider scope sets than those before.
fn add(options: &mut InForce, key: String, value: String, scope: String, origin: Option<&Origin>) {
    let origin = origin.cloned();
    if let Some(option) = options.get_mut(&key) {
        option.overridden.push(Overridden {
            value,
            scope,
            origin,
        });
        return;
    }
    let option = OptionReason {
        key: key.clone(),
        value,
        scope,
        origin,
        overridden: Vec::new(),
    };
    options.insert(key, option);
}

/// What each class that the guest may claim changes; what it would but for a stronger scope is told there.
fn claims(
    membership: &Membership<'_>,
    scopes: &[Scope<'_>],
    at: At,
    options: &mut InForce,
) -> Vec<ClaimReason> {
    let narrow = scopes.iter().filter(|scope| scope.is_narrow());
    let narrow: Vec<Scope<'_>> = narrow.copied().collect();
    let mut claims = Vec::new();
    for (index, class) in membership.0.iter().enumerate() {
        if !class.is_claimed() {
            continue;
        }
        let before = membership.0.iter().take(index);
        let known = before.copied().filter(|class| !class.is_claimed());
        let stronger: Vec<Scope<'_>> = narrow
            .iter()
            .copied()
            .chain(known.map(Scope::class))
            .collect();
        let stronger = in_force(&stronger, at);
        let scope = Scope::class(class).to_string();
        let mut own = InForce::new();
        for (key, value, origin) in entries(&class.options, at) {
            if stronger.contains_key(&key) {
                add(options, key, value, scope.clone(), Some(origin));
                continue;
            }
            let otherwise = options.get(&key).map(|option| Overridden {
                value: option.value.clone(),
                scope: option.scope.clone(),
                origin: option.origin.clone(),
            });
            add(&mut own, key.clone(), value, scope.clone(), Some(origin));
            if let Some(option) = own.get_mut(&key) {
                option.overridden.extend(otherwise);
            }
        }
        claims.push(ClaimReason {
            name: class.name.clone(),
            origin: class.origin.clone(),
            says: class.guest.iter().map(says).collect(),
            options: own.into_values().collect(),
        });
    }
    claims
}

fn says(matching: &GuestMatch) -> (&'static str, Vec<String>) {
    match matching {
        GuestMatch::VendorClass(globs) => ("vendor-class", texts(globs)),
        GuestMatch::UserClass(globs) => ("user-class", texts(globs)),
        GuestMatch::Architecture(numbers) => ("architecture", texts(numbers)),
    }
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}

const INFINITE: &str = "infinite";

/// Every key that a scope sets, with its value and its place.
fn entries(options: &Options, at: At) -> Vec<(String, String, &Origin)> {
    let mut entries = Vec::new();
    let times = [
        ("lease-time", &options.lease_time),
        ("t1", &options.t1),
        ("t2", &options.t2),
    ];
    for (key, set) in times {
        if let Some(set) = set {
            let value = match set.value {
                u32::MAX => INFINITE.to_owned(),
                seconds => show_duration(seconds),
            };
            entries.push((key.to_owned(), value, &set.origin));
        }
    }
    each_setting(options, at, |key, origin, setting| {
        entries.push((key.to_owned(), show(&setting), origin));
    });
    if let Some(set) = &options.raw {
        for raw in &set.value {
            entries.push((format!("raw.{}", raw.code), hex(&raw.bytes), &set.origin));
        }
    }
    entries
}

/// What holds where nobody says anything.
fn defaults() -> [(&'static str, String); 4] {
    [
        ("lease-time", show_duration(DEFAULT_LEASE_TIME)),
        ("mtu", "1500".to_owned()),
        ("netmask", Ipv4Addr::BROADCAST.to_string()),
        ("routers", "always".to_owned()),
    ]
}
