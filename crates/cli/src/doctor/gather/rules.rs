use super::super::firewall::Firewall;
use super::command::run;
use std::fs;
use std::io::ErrorKind;

/// The names of the tables that the iptables of before nftables has in this kernel.
const TABLES: &str = "/proc/net/ip_tables_names";

/// The rules of nftables, iptables-nft's among them, and those of the iptables before it.
pub(super) async fn firewall() -> Firewall {
    let mut firewall = Firewall::default();
    if let Err(why) = nftables(&mut firewall).await {
        firewall.unread.push([
            "nftables".into(),
            format!("Its rules were not read: {why}."),
            "install the package nftables, and run slash32 doctor as root".into(),
        ]);
    }
    let read = match fs::read_to_string(TABLES) {
        Ok(tables) if tables.trim().is_empty() => Ok(String::new()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Ok(_) => run("iptables-legacy-save", &[]).await,
        Err(error) => Err(format!("{TABLES}: {error}")),
    };
    match read {
        Ok(text) => firewall.add_iptables(&text),
        Err(why) => firewall.unread.push([
            "iptables-legacy".into(),
            format!("Its rules were not read: {why}."),
            "install the package iptables, and run slash32 doctor as root".into(),
        ]),
    }
    firewall
}

async fn nftables(firewall: &mut Firewall) -> Result<(), String> {
    firewall.add_nft(&run("nft", &["--json", "list", "ruleset"]).await?)?;
    if firewall.lacks_devices() {
        firewall.add_devices(&run("nft", &["list", "chains"]).await?);
    }
    Ok(())
}
