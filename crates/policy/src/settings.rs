//! The keys of `options` that each feed one field of a [`slash32_binding::Binding`]: all but the three times, which are
//! judged together, and `raw`, which is merged code by code.
use crate::{Host, Mtu, Options, Origin, value};
use slash32_binding::{Ipv4Addr, List, Prefix, Route, Routers, Setting};

/// What a value may refer to: `"gateway"` and `"auto"`.
#[derive(Clone, Copy)]
pub(crate) struct At {
    /// The network's gateway.
    pub(crate) gateway: Ipv4Addr,
    /// The link's MTU.
    pub(crate) mtu: u32,
}

/// Hands every key that `options` set to `f`, with its place and its value.
pub(crate) fn each_setting<'o>(
    options: &'o Options,
    at: At,
    mut f: impl FnMut(&'static str, &'o Origin, Setting),
) {
    let host = |host: Host| host.at(at.gateway);
    if let Some(set) = &options.netmask {
        f("netmask", &set.origin, Setting::Netmask(set.value));
    }
    if let Some(set) = &options.routers {
        f("routers", &set.origin, Setting::Routers(set.value));
    }
    if let Some(set) = &options.routes {
        let routes = set.value.iter().map(|route| Route {
            to: route.to,
            via: host(route.via),
        });
        f(
            "routes",
            &set.origin,
            Setting::Routes(list(NO_ROUTE, routes)),
        );
    }
    if let Some(set) = &options.dns {
        let value = list(NO_HOST, set.value.iter().copied().map(host));
        f("dns", &set.origin, Setting::Dns(value));
    }
    if let Some(set) = &options.ntp {
        let value = list(NO_HOST, set.value.iter().copied().map(host));
        f("ntp", &set.origin, Setting::Ntp(value));
    }
    if let Some(set) = &options.tftp_servers {
        let value = list(NO_HOST, set.value.iter().copied().map(host));
        f("tftp-servers", &set.origin, Setting::TftpServers(value));
    }
    if let Some(set) = &options.mtu {
        let bytes = match set.value {
            Mtu::Bytes(bytes) => bytes,
            // 68 is the least that option 26 can say, and that IPv4 works with.
            Mtu::Auto => at.mtu.clamp(68, u16::MAX.into()) as u16,
        };
        f("mtu", &set.origin, Setting::Mtu(bytes));
    }
    if let Some(set) = &options.hostname {
        f("hostname", &set.origin, Setting::Hostname(set.value));
    }
    if let Some(set) = &options.domain {
        f("domain", &set.origin, Setting::Domain(set.value));
    }
    if let Some(set) = &options.search {
        f("search", &set.origin, Setting::Search(set.value));
    }
    if let Some(set) = &options.next_server {
        let value = host(set.value);
        f("next-server", &set.origin, Setting::NextServer(value));
    }
    if let Some(set) = &options.server_name {
        f("server-name", &set.origin, Setting::ServerName(set.value));
    }
    if let Some(set) = &options.boot_file {
        f("boot-file", &set.origin, Setting::BootFile(set.value));
    }
    if let Some(set) = &options.rapid_commit {
        f("rapid-commit", &set.origin, Setting::RapidCommit(set.value));
    }
    if let Some(set) = &options.ipv6_only_preferred {
        f(
            "ipv6-only-preferred",
            &set.origin,
            Setting::Ipv6OnlyWait(set.value),
        );
    }
}

/// The value as people read it.
pub(crate) fn show(setting: &Setting) -> String {
    fn joined<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
        let texts: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        texts.join(", ")
    }
    match setting {
        Setting::Netmask(address) | Setting::NextServer(address) => address.to_string(),
        Setting::Routers(Routers::Always) => "always".to_owned(),
        Setting::Routers(Routers::Rfc3442) => "rfc3442".to_owned(),
        Setting::Routes(routes) => joined(
            routes
                .iter()
                .map(|route| format!("{} via {}", route.to, route.via)),
        ),
        Setting::Dns(addresses) | Setting::Ntp(addresses) => joined(addresses.iter()),
        Setting::TftpServers(addresses) => joined(addresses.iter()),
        Setting::Mtu(bytes) => bytes.to_string(),
        Setting::Hostname(text) | Setting::ServerName(text) => text.as_str().to_owned(),
        Setting::Domain(text) | Setting::BootFile(text) => text.as_str().to_owned(),
        Setting::Search(text) => text.as_str().to_owned(),
        Setting::RapidCommit(on) => on.to_string(),
        Setting::Ipv6OnlyWait(0) => "off".to_owned(),
        Setting::Ipv6OnlyWait(seconds) => value::show_duration(*seconds),
        Setting::Raw(bytes) => hex(bytes),
    }
}

/// Bytes as pairs of hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const NO_HOST: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const NO_ROUTE: Route = Route {
    to: Prefix::DEFAULT,
    via: NO_HOST,
};

/// `values`, of which there are no more than fit: [`crate::Config::parse`] has seen to that.
pub(crate) fn list<T: Copy, const N: usize>(
    fill: T,
    values: impl IntoIterator<Item = T>,
) -> List<T, N> {
    let mut list = List::new(fill);
    for value in values {
        let pushed = list.push(value);
        debug_assert!(pushed.is_ok(), "the config holds more than a binding");
    }
    list
}
