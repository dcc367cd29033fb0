//! The matrix: every client through every stage of its life, with a /32 and a gateway outside of it.
//!
//! Each case records its cell ([`matrix::record`]). A stage that a client has not by its nature is a case too: it asserts
//! what there is instead, or says why there is nothing.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "matrix/options.rs"]
mod options;
#[path = "matrix/stages.rs"]
mod stages;
#[path = "matrix/wire.rs"]
mod wire;

use anyhow::Result;
use slash32_tests::{Software, matrix};
use stages::{
    boots, is_renewed, is_renewed_without_agent, rebinds, reboots, releases, unlearns_wrong_address,
};

/// A module of cases a client.
macro_rules! clients {
    ($($module:ident is $software:ident),+ $(,)?) => {$(
        mod $module {
            use super::*;

            #[test]
            fn is_configured_and_reachable_after_its_first_boot() -> Result<()> {
                boots(Software::$software)
            }

            #[test]
            fn gets_its_address_again_after_a_reboot() -> Result<()> {
                reboots(Software::$software)
            }

            #[test]
            fn renews_its_lease_by_unicast() -> Result<()> {
                is_renewed(Software::$software)
            }

            #[test]
            fn renews_its_lease_while_the_agent_is_away() -> Result<()> {
                is_renewed_without_agent(Software::$software)
            }

            #[test]
            fn rebinds_by_broadcast_when_no_unicast_arrives() -> Result<()> {
                rebinds(Software::$software)
            }

            #[test]
            fn gets_its_address_again_after_a_release() -> Result<()> {
                releases(Software::$software)
            }

            #[test]
            fn gets_the_right_address_when_it_remembers_a_wrong_one() -> Result<()> {
                unlearns_wrong_address(Software::$software)
            }
        }
    )+

        /// The clients that have cases here.
        const COVERED: &[Software] = &[$(Software::$software),+];
    };
}

clients! {
    dhclient is Dhclient,
    udhcpc is Udhcpc,
    udhcpc_with_classless_routes is UdhcpcClassless,
    dhcpcd is Dhcpcd,
    networkd is Networkd,
    network_manager is NetworkManager,
    connman is Connman,
    klibc_ipconfig is Klibc,
}

#[test]
fn every_client_is_in_the_matrix_and_its_row_in_the_readme() {
    for software in Software::ALL {
        assert!(COVERED.contains(&software), "{software:?} has no cases");
        let name = software.name();
        assert!(
            matrix::DOCUMENTED.contains(&format!("| {name} ")),
            "README.md has no row of {name}"
        );
    }
}
