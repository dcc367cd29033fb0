//! What is true now: of the links, and of the pools. Counted from the published snapshot when somebody asks.

use crate::publish::Published;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use slash32_control::State;
use std::fmt;
use std::sync::Arc;

/// What is to be said of a link beside its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Remark {
    /// More than one port of the bridge has carrier; the first VM is served.
    SeveralPorts,
    /// Another MAC address than the VM's has asked.
    SecondMac,
    /// Another DHCP server answers there, or is asked for.
    OtherDhcpServer,
    /// libvirt's own DHCP server answers there, for a network that has `<dhcp>`.
    LibvirtDhcp,
    /// The VM has the options of an earlier config until it renews.
    OlderOptions,
}

impl Remark {
    pub(crate) const ALL: [Self; 5] = [
        Self::SeveralPorts,
        Self::SecondMac,
        Self::OtherDhcpServer,
        Self::LibvirtDhcp,
        Self::OlderOptions,
    ];

    /// The name in the metrics.
    const fn name(self) -> &'static str {
        match self {
            Self::SeveralPorts => "several_ports",
            Self::SecondMac => "second_mac",
            Self::OtherDhcpServer => "other_dhcp_server",
            Self::LibvirtDhcp => "libvirt_dhcp",
            Self::OlderOptions => "older_options",
        }
    }
}

/// How many links there are of each sort.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct LinkCount {
    /// In the order of [`State::ALL`].
    pub(crate) states: [u64; State::ALL.len()],
    /// In the order of [`Remark::ALL`].
    pub(crate) remarks: [u64; Remark::ALL.len()],
    /// Links whose VM's host route is in the kernel.
    pub(crate) routes: u64,
    /// Links with a responder.
    pub(crate) responders: u64,
}

/// Counts when it is asked.
pub(crate) struct Census {
    published: Arc<Published>,
}

impl Census {
    pub(crate) fn new(published: Arc<Published>) -> Self {
        Self { published }
    }
}

impl fmt::Debug for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Census")
    }
}

impl Collector for Census {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let links = self.published.count();
        let states = State::ALL.iter().zip(links.states);
        gauges(
            &mut encoder,
            "links",
            "VM links, by their state",
            states.map(|(state, count)| ([("state", state.name())], count)),
        )?;
        let remarks = Remark::ALL.iter().zip(links.remarks);
        gauges(
            &mut encoder,
            "link_remarks",
            "VM links of which there is more to say than their state",
            remarks.map(|(remark, count)| ([("remark", remark.name())], count)),
        )?;
        gauge(
            &mut encoder,
            "routes",
            "VM links whose host route is in the kernel",
            links.routes,
        )?;
        gauge(
            &mut encoder,
            "responders",
            "VM links with a responder",
            links.responders,
        )?;
        let pools = self.published.pools();
        let addresses = pools.iter().flat_map(|pool| {
            let labels = |state| {
                [
                    ("network", pool.network.clone()),
                    ("pool", format!("{}-{}", pool.first, pool.last)),
                    ("state", String::from(state)),
                ]
            };
            [
                (labels("free"), pool.free),
                (labels("used"), pool.used),
                (labels("reserved"), pool.reserved),
                (labels("set_aside"), pool.set_aside),
                (labels("quarantined"), pool.quarantined),
            ]
        });
        gauges(
            &mut encoder,
            "pool_addresses",
            "Addresses of each pool, by what became of them; together they are the pool",
            addresses,
        )
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(encoder)
}

fn gauges<L, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = ([L; N], u64)>,
) -> fmt::Result
where
    [L; N]: prometheus_client::encoding::EncodeLabelSet,
{
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}
