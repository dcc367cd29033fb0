//! A binding as it is kept: its bytes, which are few, and shared by all who know it.

use slash32_binding::{Binding, Ipv4Addr};
use slash32_ipc::{MAX_DOWN, decode_binding, digest, encode_binding};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A [`Binding`], as its responder is told it. Two are equal when all that they say is.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedBinding {
    bytes: Arc<[u8]>,
    digest: u64,
}

impl EncodedBinding {
    pub fn new(binding: &Binding) -> Self {
        let mut out = [0; MAX_DOWN];
        let length = encode_binding(binding, &mut out);
        Self {
            bytes: out[..length].into(),
            digest: digest(binding),
        }
    }

    /// The binding.
    pub fn decode(&self) -> Binding {
        // Nobody but `new` makes the bytes.
        decode_binding(&self.bytes)
            .unwrap_or(Binding::new(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED))
    }

    /// [`slash32_ipc::digest`]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// What the VM is told, by the name of the config key; what is not set is left out.
    pub fn options(&self) -> BTreeMap<String, String> {
        let binding = self.decode();
        let list = |values: &[Ipv4Addr]| {
            values
                .iter()
                .map(Ipv4Addr::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let lease = if binding.lease_time == u32::MAX {
            "infinite".into()
        } else {
            format!("{}s", binding.lease_time)
        };
        let next_server =
            (!binding.next_server.is_unspecified()).then(|| binding.next_server.to_string());
        let rapid_commit = if binding.rapid_commit { "true" } else { "" };
        let ipv6_only =
            (binding.ipv6_only_wait != 0).then(|| format!("{}s", binding.ipv6_only_wait));
        let all = [
            ("lease-time", lease),
            ("netmask", binding.netmask.to_string()),
            ("mtu", binding.mtu.to_string()),
            ("dns", list(&binding.dns)),
            ("ntp", list(&binding.ntp)),
            ("tftp-servers", list(&binding.tftp_servers)),
            ("hostname", binding.hostname.as_str().to_owned()),
            ("domain", binding.domain.as_str().to_owned()),
            ("search", binding.search.as_str().to_owned()),
            ("next-server", next_server.unwrap_or_default()),
            ("server-name", binding.server_name.as_str().to_owned()),
            ("boot-file", binding.boot_file.as_str().to_owned()),
            ("rapid-commit", rapid_commit.to_owned()),
            ("ipv6-only-preferred", ipv6_only.unwrap_or_default()),
        ];
        all.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}

impl fmt::Debug for EncodedBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decode().fmt(f)
    }
}
