use crate::golden::{Golden, folder};
use anyhow::{Context, Result, anyhow};
use slash32_binding::Binding;
use slash32_dhcp::{Action, Instant, MAX_FRAME, Responder};
use slash32_policy::{Allocations, Config, LinkFacts, LinkKind, Source};
use slash32_tests::bridge_mac;
use std::fs;

/// The link on which every golden was recorded: a bridge.
pub(crate) const LINK: &str = "virbr1";

/// The text of a config of the goldens.
pub(crate) fn config(name: &str) -> Result<String> {
    let path = folder().join(format!("{name}.toml"));
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The binding that an agent with that config gives to [`LINK`].
pub(crate) fn binding(name: &str) -> Result<Binding> {
    let source = Source {
        name: format!("{name}.toml"),
        text: config(name)?,
    };
    let config = Config::parse(&[source]).map_err(|errors| anyhow!("{errors}"))?;
    let mut link = LinkFacts::new(LINK, LinkKind::Bridge);
    link.server_mac = bridge_mac(LINK);
    let network = config
        .network_of(&link.name, &link.altnames)
        .ok()
        .flatten()
        .context("no network claims the link")?;
    let assignment = Allocations::new(&config, "boot", [])
        .assign(&config, network, &link)
        .map_err(|reason| anyhow!("the link has no address: {reason:?}"))?;
    Ok(config.binding(network, &assignment, &link))
}

/// What a new responder with `binding` answers to the requests of `golden`, one after the other.
pub(crate) fn replies(golden: &Golden, binding: Binding) -> Vec<Option<Vec<u8>>> {
    let mut responder = Responder::new(binding);
    let answer = |request: &[u8]| {
        let mut out = [0; MAX_FRAME];
        match responder.handle(Instant(1), request, &mut out) {
            Action::Reply { len, .. } => Some(out[..len].to_vec()),
            Action::Ignore(_) => None,
        }
    };
    let requests = golden.0.iter().map(|exchange| &exchange.request[..]);
    requests.map(answer).collect()
}
