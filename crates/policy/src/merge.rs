//! From the scopes of the config to the one [`Binding`] of a link.
use crate::{
    Assignment, Config, LinkFacts, Located, Network, Options,
    class::Membership,
    options::RawOption,
    overlay::overlays,
    scope::Scope,
    settings::{At, each_setting, list},
};
use slash32_binding::{Binding, Bytes, Ipv4Addr};

/// `lease-time` where no scope sets it: a day.
pub(crate) const DEFAULT_LEASE_TIME: u32 = 86_400;

impl Config {
    /// All that the answer to the VM on `link` depends on. Each option is that of the narrowest scope that sets it:
    /// reservation, libvirt's metadata, pool, subnet, network, class, global.
    ///
    /// It cannot fail: what does not fit a [`Binding`] was refused by [`Config::parse`], or is [`Config::left_out`].
    pub fn binding(&self, network: &Network, assignment: &Assignment, link: &LinkFacts) -> Binding {
        let classes = Membership::of(&self.classes, link);
        let asked = self.asked(network, Some(assignment), link, &classes);
        let scopes = self.scopes(network, Some(assignment), &classes, &asked.options);
        let narrow = scopes.iter().filter(|scope| scope.is_narrow());
        let narrow: Vec<&Options> = narrow.map(|scope| scope.options).collect();
        let scopes: Vec<&Options> = scopes.iter().map(|scope| scope.options).collect();
        let at = At {
            gateway: network.gateway,
            mtu: link.mtu,
        };
        let mut binding = Binding::new(assignment.address, network.gateway);
        binding.server_mac = link.server_mac;
        binding.chaddr = link.mac;
        binding.lease_time = value(&scopes, |o| &o.lease_time).unwrap_or(DEFAULT_LEASE_TIME);
        let (t1, t2) = (value(&scopes, |o| &o.t1), value(&scopes, |o| &o.t2));
        (binding.renewal_time, binding.rebinding_time) = renewal_times(binding.lease_time, t1, t2);
        binding.fuzz_seed = fuzz_seed(&network.name, assignment.address);
        for options in scopes.iter().rev() {
            each_setting(options, at, |_, _, setting| binding.set(&setting));
        }
        binding.raw = raw_list(merged_raw(&scopes));
        binding.overlays = overlays(&narrow, &classes, at);
        binding
    }

    /// The scopes that an assignment is in, narrowest first; without one metadata's, and those of the network and wider.
    pub(crate) fn scopes<'c>(
        &'c self,
        network: &'c Network,
        assignment: Option<&Assignment>,
        classes: &Membership<'c>,
        metadata: &'c Options,
    ) -> Vec<Scope<'c>> {
        let reservation = assignment.and_then(|a| network.reservations.get(a.reservation?));
        let subnet = assignment.and_then(|a| network.subnets.get(a.subnet?));
        let pool = assignment.and_then(|a| subnet?.pools.get(a.pool?));
        let mut scopes = Vec::with_capacity(6 + classes.0.len());
        scopes.extend(reservation.map(Scope::reservation));
        scopes.push(Scope::metadata(metadata));
        scopes.extend(pool.map(Scope::pool));
        scopes.extend(subnet.map(Scope::subnet));
        scopes.push(Scope::network(network));
        scopes.extend(classes.known().map(Scope::class));
        scopes.push(Scope::global(&self.options));
        scopes
    }
}

/// What the narrowest of `scopes` that sets `field` sets.
pub(crate) fn nearest<'c, T>(
    scopes: &[&'c Options],
    field: impl Fn(&'c Options) -> &'c Option<Located<T>>,
) -> Option<&'c Located<T>> {
    scopes.iter().find_map(|options| field(options).as_ref())
}

fn value<'c, T: Copy + 'c>(
    scopes: &[&'c Options],
    field: impl Fn(&'c Options) -> &'c Option<Located<T>>,
) -> Option<T> {
    nearest(scopes, field).map(|set| set.value)
}

/// Each raw code once, as the narrowest scope that has it sets it; in the order of the codes.
pub(crate) fn merged_raw<'c>(scopes: &[&'c Options]) -> Vec<&'c RawOption> {
    let mut options: Vec<&RawOption> = Vec::new();
    for raw in scopes
        .iter()
        .filter_map(|scope| scope.raw.as_ref())
        .flat_map(|set| &set.value)
    {
        if options.iter().all(|option| option.code != raw.code) {
            options.push(raw);
        }
    }
    options.sort_by_key(|option| option.code);
    options
}

/// As [`Binding::raw`] holds them.
pub(crate) fn raw_list<'c>(options: impl IntoIterator<Item = &'c RawOption>) -> Bytes<512> {
    list(0, options.into_iter().flat_map(raw_records))
}

/// The records of [`Binding::raw`] that make up one option.
fn raw_records(option: &RawOption) -> impl Iterator<Item = u8> {
    let head = |piece: &[u8]| [option.code, u8::from(option.always), piece.len() as u8];
    option
        .pieces()
        .flat_map(move |piece| head(piece).into_iter().chain(piece.iter().copied()))
}

/// T1 and T2 of a lease. When one of the two is set, the other follows in the proportions of RFC 2131 §4.4.5, so that they
/// stay in order: T1 at half and T2 at seven eighths of the lease means T2 three quarters of the way from T1 to the end.
fn renewal_times(lease_time: u32, t1: Option<u32>, t2: Option<u32>) -> (Option<u32>, Option<u32>) {
    if lease_time == u32::MAX {
        return (None, None);
    }
    let part = |whole: u32, numerator: u64, denominator: u64| {
        (u64::from(whole) * numerator / denominator) as u32
    };
    match (t1, t2) {
        (Some(t1), None) => (
            Some(t1),
            Some(t1 + part(lease_time.saturating_sub(t1), 3, 4)),
        ),
        (None, Some(t2)) => (Some(part(t2, 4, 7)), Some(t2)),
        both => both,
    }
}

/// The same for the life of a binding, through restarts of the agent, and unlike that of its neighbours (FNV-1a).
fn fuzz_seed(network: &str, address: Ipv4Addr) -> u32 {
    let bytes = network.bytes().chain(address.octets());
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
