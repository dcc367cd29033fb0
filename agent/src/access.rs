//! Who may change things by the operator API.
//!
//! Whoever may open the socket (its mode is 0660, its group `slash32` where there is one) may read. Root and the agent's own
//! user may change things; so may members of `[agent] admin-group`.

use anyhow::{Result, bail};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Group;
use slash32_control::NotPermitted;
use slash32_policy::AgentConfig;
use slash32_sys::fd::BorrowedFd;

/// The group whose members may change things, by its name and gid.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Access {
    admin_group: Option<(String, u32)>,
}

impl Access {
    /// Looks the group up (getgrnam_r(3)). Errors: there is none of that name.
    pub(crate) fn of(config: &AgentConfig) -> Result<Self> {
        let Some(name) = &config.admin_group else {
            return Ok(Self::default());
        };
        match Group::from_name(name) {
            Ok(Some(group)) => Ok(Self {
                admin_group: Some((name.clone(), group.gid.as_raw())),
            }),
            Ok(None) => bail!(
                "[agent] admin-group: there is no group {name} on this host: make it (groupadd --system {name}), or name another"
            ),
            Err(error) => bail!("[agent] admin-group: cannot look the group {name} up: {error}"),
        }
    }

    /// Errors: the process that connected is in no group that may.
    pub(crate) fn may_change(&self, connection: BorrowedFd<'_>) -> Result<(), NotPermitted> {
        let Some((name, gid)) = &self.admin_group else {
            return Err(NotPermitted {
                reason: "only root may change anything: run this with sudo, or set admin-group in [agent] to a group whose \
                         members may, and restart slash32-agent"
                    .into(),
            });
        };
        if is_member(connection, *gid) {
            return Ok(());
        }
        Err(NotPermitted {
            reason: format!(
                "only root and members of the group {name} may change anything: run this with sudo, or become a member \
                 (usermod -aG {name} USER) and log in again"
            ),
        })
    }
}

/// The kernel says of the process that connected that it is, or was then, in this group.
fn is_member(connection: BorrowedFd<'_>, gid: u32) -> bool {
    let primary = getsockopt(&connection, PeerCredentials).map(|peer| peer.gid());
    primary == Ok(gid)
        || slash32_sys::peer::groups(connection).is_ok_and(|groups| groups.contains(&gid))
}
