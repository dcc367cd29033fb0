//! Another config comes into force, whole or not at all.

use super::Reconciler;
use crate::moment::Moment;
use crate::vm::VmLink;
use jiff::Timestamp;
use slash32_control::{EventKind, LinkRow, ReloadError, ReloadReport};
use slash32_policy::{Allocations, Config, RouteConfig};
use std::sync::Arc;

/// More changed links than this are counted, not named.
const NAMED: usize = 20;

impl Reconciler {
    /// On SIGHUP: never at the price of a VM's address.
    pub(super) async fn reload_on_signal(&mut self) {
        match self.reload(false).await {
            Ok(report) => report
                .changed
                .iter()
                .for_each(|change| tracing::info!("reload: {change}")),
            Err(error) => {
                tracing::error!("the config is not reloaded, the old one stays in force:");
                error
                    .to_string()
                    .lines()
                    .for_each(|line| tracing::error!("{line}"));
            }
        }
    }

    /// Reads the config again and puts it into force. Without `force` not when a bound VM would lose its address.
    pub(super) async fn reload(&mut self, force: bool) -> Result<ReloadReport, ReloadError> {
        let reloaded = self.put_into_force(force).await;
        self.metrics.count_reload(reloaded.is_ok());
        reloaded
    }

    async fn put_into_force(&mut self, force: bool) -> Result<ReloadReport, ReloadError> {
        let config = crate::config::load(&self.config_file);
        let config = config.map_err(|error| ReloadError::Config {
            text: format!("{error:#}{}", what_to_do(&error)),
        })?;
        let mut changed = changes(&self.config, &config);
        let agent = self.config.agent.clone();
        let install = config.route.install;
        if install != self.config.route.install {
            changed.push("[route] install has changed: the host routes follow".to_owned());
        }
        let route = RouteConfig {
            install,
            ..self.config.route.clone()
        };
        if (&agent, &route) != (&config.agent, &config.route) {
            changed
                .push("[agent] and [route] take effect when slash32-agent is restarted".to_owned());
        }
        let config = Arc::new(Config {
            agent,
            route,
            ..config
        });
        let mut allocations = self.allocations.clone();
        allocations.reload(&config);
        let lost = self.losers(&config, &mut allocations);
        if !lost.is_empty() && !force {
            return Err(ReloadError::WouldLose { links: lost });
        }
        changed.extend(self.other_bindings(&config, &mut allocations));
        self.config = config;
        self.published.tell_networks(self.config.networks.len());
        self.allocations.reload(&self.config);
        self.dirty
            .extend(self.table.iter().map(|link| link.ifindex));
        // Other subnets, so other foreign routes matter.
        self.dump_at = tokio::time::Instant::now();
        self.pass().await;
        let text = "a new config is in force".to_owned();
        self.published.event(
            Timestamp::now(),
            None,
            EventKind::ConfigReloaded,
            None,
            text,
        );
        Ok(ReloadReport { changed, lost })
    }

    /// The running VMs that would have another address, or none, by `config` and `allocations`.
    pub(super) fn losers(&self, config: &Config, allocations: &mut Allocations) -> Vec<LinkRow> {
        let now = Moment::now();
        // One that is back after a flap runs, too, though it has not asked again.
        let runs = |vm: &&VmLink| vm.is_bound(now) || vm.kept.is_some();
        let bound: Vec<_> = self.vms.values().filter(runs).collect();
        let rows = self.published.rows();
        let loses = |ifindex: u32, address| {
            let Some(link) = self.table.get(ifindex) else {
                return false;
            };
            let Ok(Some(claiming)) = config.network_of(&link.name, &link.altnames) else {
                return true;
            };
            let facts = self.facts_of(link);
            let assigned = config
                .chosen(claiming, &facts)
                .and_then(|network| allocations.assign(config, network, &facts));
            assigned.map(|assignment| assignment.address) != Ok(address)
        };
        let mut loses = loses;
        let lost: Vec<u32> = bound
            .iter()
            .filter_map(|vm| vm.current.map(|(_, address)| (vm.ifindex, address)))
            .filter(|(ifindex, address)| loses(*ifindex, *address))
            .map(|(ifindex, _)| ifindex)
            .collect();
        rows.into_iter()
            .filter(|row| lost.contains(&row.ifindex))
            .collect()
    }

    /// The links whose VMs keep their address and get other options.
    fn other_bindings(&self, config: &Config, allocations: &mut Allocations) -> Vec<String> {
        let mut links = Vec::new();
        for vm in self.vms.values() {
            let (Some(serve), Some(link)) = (&vm.serve, self.table.get(vm.ifindex)) else {
                continue;
            };
            let Ok(Some(claiming)) = config.network_of(&link.name, &link.altnames) else {
                continue;
            };
            let facts = self.facts_of(link);
            let Ok(network) = config.chosen(claiming, &facts) else {
                continue;
            };
            if let Ok(assignment) = allocations.assign(config, network, &facts)
                && Some(assignment.address) == vm.current.map(|(_, address)| address)
                && config.binding(network, &assignment, &facts) != serve.binding.decode()
            {
                links.push(vm.name.as_str());
            }
        }
        let more = links.len().saturating_sub(NAMED);
        let mut told: Vec<_> = links
            .into_iter()
            .take(NAMED)
            .map(|link| format!("{link}: its VM gets other options when it renews"))
            .collect();
        if more > 0 {
            told.push(format!("and {more} more links"));
        }
        told
    }
}

/// A file that was not the agent's to read when it isolated itself (see [`crate::isolate`]) is so until the next start.
fn what_to_do(error: &anyhow::Error) -> &'static str {
    let is_denied = |cause: &(dyn std::error::Error + 'static)| {
        let cause = cause.downcast_ref::<std::io::Error>();
        cause.is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    if error.chain().any(is_denied) {
        "; a running slash32-agent reads only files in the folder of its config, and where links there led to at its start: \
         restart slash32-agent if these have changed"
    } else {
        ""
    }
}

/// Which networks come, go, or change their gateway.
fn changes(before: &Config, after: &Config) -> Vec<String> {
    let mut changes = Vec::new();
    for network in &before.networks {
        match after.network(&network.name) {
            None => changes.push(format!("network {} is gone", network.name)),
            Some(new) if new.gateway != network.gateway => {
                changes.push(format!(
                    "network {}: gateway {} becomes {}",
                    network.name, network.gateway, new.gateway
                ));
            }
            Some(_) => {}
        }
    }
    let is_new = |name: &str| before.network(name).is_none();
    changes.extend(
        after
            .networks
            .iter()
            .filter(|n| is_new(&n.name))
            .map(|n| format!("network {} is new", n.name)),
    );
    changes
}
