//! From the scopes of the config to the one [`Binding`] of a link.
use crate::{Assignment, Config, LinkFacts, Located, Mtu, Network, Options, options::RawOption};
use slash32_binding::{Binding, Ipv4Addr, List, Route, Text};

/// `lease-time` where no scope sets it: a day.
pub(crate) const DEFAULT_LEASE_TIME: u32 = 86_400;

impl Config {
    /// All that the answer to the VM on `link` depends on. Each option is that of the narrowest scope that sets it:
    /// reservation, pool, subnet, network, global.
    ///
    /// It cannot fail: what does not fit a [`Binding`] was refused by [`Config::parse`].
    pub fn binding(&self, network: &Network, assignment: &Assignment, link: &LinkFacts) -> Binding {
        let scopes = self.scopes(network, assignment);
        let gateway = network.gateway;
        let mut binding = Binding::new(assignment.address, gateway);
        binding.server_mac = link.server_mac;
        binding.chaddr = link.mac;
        binding.lease_time = value(&scopes, |o| &o.lease_time).unwrap_or(DEFAULT_LEASE_TIME);
        let (t1, t2) = (value(&scopes, |o| &o.t1), value(&scopes, |o| &o.t2));
        (binding.renewal_time, binding.rebinding_time) = renewal_times(binding.lease_time, t1, t2);
        binding.fuzz_seed = fuzz_seed(&network.name, assignment.address);
        binding.netmask = value(&scopes, |o| &o.netmask).unwrap_or(Ipv4Addr::BROADCAST);
        binding.routers = value(&scopes, |o| &o.routers).unwrap_or_default();
        let servers = |field: fn(&Options) -> &Option<Located<Vec<crate::Host>>>| {
            nearest(&scopes, field)
                .into_iter()
                .flat_map(|set| &set.value)
                .map(|host| host.at(gateway))
        };
        binding.dns = list(Ipv4Addr::UNSPECIFIED, servers(|o| &o.dns));
        binding.ntp = list(Ipv4Addr::UNSPECIFIED, servers(|o| &o.ntp));
        binding.tftp_servers = list(Ipv4Addr::UNSPECIFIED, servers(|o| &o.tftp_servers));
        let routes = nearest(&scopes, |o| &o.routes)
            .into_iter()
            .flat_map(|set| &set.value);
        let routes = routes.map(|route| Route {
            to: route.to,
            via: route.via.at(gateway),
        });
        binding.routes = list(
            Route {
                to: slash32_binding::Prefix::DEFAULT,
                via: gateway,
            },
            routes,
        );
        binding.mtu = match value(&scopes, |o| &o.mtu) {
            Some(Mtu::Bytes(bytes)) => bytes,
            // 68 is the least that option 26 can say, and that IPv4 works with.
            Some(Mtu::Auto) => link.mtu.clamp(68, u16::MAX.into()) as u16,
            None => 1500,
        };
        binding.hostname = value(&scopes, |o| &o.hostname).unwrap_or(Text::EMPTY);
        binding.domain = value(&scopes, |o| &o.domain).unwrap_or(Text::EMPTY);
        binding.search = value(&scopes, |o| &o.search).unwrap_or(Text::EMPTY);
        binding.next_server = value(&scopes, |o| &o.next_server)
            .map_or(Ipv4Addr::UNSPECIFIED, |host| host.at(gateway));
        binding.server_name = value(&scopes, |o| &o.server_name).unwrap_or(Text::EMPTY);
        binding.boot_file = value(&scopes, |o| &o.boot_file).unwrap_or(Text::EMPTY);
        binding.raw = list(0, merged_raw(&scopes).into_iter().flat_map(raw_record));
        binding
    }

    /// The scopes that an assignment is in, narrowest first.
    fn scopes<'c>(&'c self, network: &'c Network, assignment: &Assignment) -> Vec<&'c Options> {
        let reservation = assignment
            .reservation
            .and_then(|index| network.reservations.get(index));
        let subnet = assignment
            .subnet
            .and_then(|index| network.subnets.get(index));
        let pool = assignment.pool.and_then(|index| subnet?.pools.get(index));
        let narrow = [
            reservation.map(|reservation| &reservation.options),
            pool.map(|pool| &pool.options),
            subnet.map(|subnet| &subnet.options),
        ];
        narrow
            .into_iter()
            .flatten()
            .chain([&network.options, &self.options])
            .collect()
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

/// A record of [`Binding::raw`].
fn raw_record(option: &RawOption) -> impl Iterator<Item = u8> {
    let length = option.bytes.len().min(255) as u8;
    [option.code, u8::from(option.always), length]
        .into_iter()
        .chain(option.bytes.iter().copied().take(255))
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

/// `values`, of which there are no more than fit: [`crate::Config::parse`] has seen to that.
fn list<T: Copy, const N: usize>(fill: T, values: impl IntoIterator<Item = T>) -> List<T, N> {
    let mut list = List::new(fill);
    for value in values {
        let pushed = list.push(value);
        debug_assert!(pushed.is_ok(), "the config holds more than a binding");
    }
    list
}
