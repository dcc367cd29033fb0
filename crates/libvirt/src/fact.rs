use crate::{Call, Domain, Hook, Network, Port, xml};
use roxmltree::{Document, Node};

/// What one hook call or one state file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// The network is there, or is about to be.
    Network(Network),
    /// The network has this definition from now on, if it is there.
    NetworkUpdated(Network),
    /// The network of this name has stopped. Its VMs run on.
    NetworkGone(String),
    /// A VM's NIC is about to be put into a network.
    Port(Port),
    /// A VM's NIC has left a network.
    PortGone(Port),
    /// A domain at some point of its life.
    Domain(Stage, Domain),
    /// The domain of this UUID runs no more.
    DomainGone(String),
    /// The state file of the domain of this name is not there.
    StatusGone(String),
}

/// How far a domain is, and so what its XML is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// It is about to migrate to this host.
    Migrate,
    /// It is about to be restored from what was saved of it; [`Stage::Prepare`] follows.
    Restore,
    /// It is about to start here: no taps yet.
    Prepare,
    /// It runs, or is about to, with these interfaces and no others.
    Running,
    /// A state file of libvirt's: it runs with these interfaces, or did when the file was written.
    Status {
        /// It migrates to this host just now.
        incoming: bool,
    },
}

/// Why a call or a file says nothing, in one sentence without a full stop.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// The facts of one hook call. None for an operation that says nothing.
///
/// # Errors
/// When the operation says something and its XML cannot be read; the fault names hook and operation.
pub fn read(call: &Call) -> Result<Vec<Fact>, Fault> {
    let Some(operation) = call.arguments.get(1) else {
        return Ok(Vec::new());
    };
    let (hook, facts) = match call.hook {
        Hook::Network => ("network", network_hook(operation, &call.xml)),
        Hook::Qemu => ("qemu", qemu_hook(operation, &call.xml)),
    };
    facts.map_err(|fault| Fault(format!("{hook} hook, {operation}: {fault}")))
}

fn network_hook(operation: &str, xml: &str) -> Result<Vec<Fact>, Fault> {
    let known = [
        "start",
        "started",
        "stopped",
        "updated",
        "port-created",
        "port-deleted",
        "plugged",
        "unplugged",
    ];
    if !known.contains(&operation) {
        return Ok(Vec::new());
    }
    let document = xml::parse(xml)?;
    let data = document.root_element();
    let network = Network::read(find(&document, "hookData", "network")?)?;
    Ok(match operation {
        "stopped" => vec![Fact::NetworkGone(network.name)],
        "updated" => vec![Fact::NetworkUpdated(network)],
        "port-created" | "plugged" => {
            let port = Port::read(data, &network)?;
            let mut facts = vec![Fact::Network(network)];
            facts.extend(port.map(Fact::Port));
            facts
        }
        // It comes for a network that has stopped, too.
        "port-deleted" | "unplugged" => {
            let port = Port::read(data, &network)?;
            port.map(Fact::PortGone).into_iter().collect()
        }
        _ => vec![Fact::Network(network)],
    })
}

fn qemu_hook(operation: &str, xml: &str) -> Result<Vec<Fact>, Fault> {
    let stage = match operation {
        "migrate" => Some(Stage::Migrate),
        "restore" => Some(Stage::Restore),
        "prepare" => Some(Stage::Prepare),
        "start" | "started" | "reconnect" | "attach" => Some(Stage::Running),
        "stopped" | "release" => None,
        _ => return Ok(Vec::new()),
    };
    let document = xml::parse(xml)?;
    let domain = Domain::read(find(&document, "", "domain")?)?;
    Ok(vec![match stage {
        Some(stage) => Fact::Domain(stage, domain),
        None => Fact::DomainGone(domain.uuid),
    }])
}

/// The facts of `/run/libvirt/qemu/NAME.xml`. When the file is gone: [`Fact::StatusGone`].
///
/// # Errors
/// When it cannot be read.
pub fn domain_status(xml: &str) -> Result<Vec<Fact>, Fault> {
    let document = xml::parse(xml)?;
    let domain = Domain::read(find(&document, "domstatus", "domain")?)?;
    let job = xml::attribute_of(document.root_element(), "job", "async");
    let incoming = job.as_deref() == Some("migration in");
    Ok(vec![Fact::Domain(Stage::Status { incoming }, domain)])
}

/// The facts of `/run/libvirt/network/NAME.xml`. When the file is gone: [`Fact::NetworkGone`].
///
/// # Errors
/// When it cannot be read.
pub fn network_status(xml: &str) -> Result<Vec<Fact>, Fault> {
    let document = xml::parse(xml)?;
    let network = find(&document, "networkstatus", "network")?;
    Ok(vec![Fact::Network(Network::read(network)?)])
}

/// The element `name`: the document itself, or that in its root `around`.
fn find<'d, 'i>(
    document: &'d Document<'i>,
    around: &str,
    name: &str,
) -> Result<Node<'d, 'i>, Fault> {
    let root = document.root_element();
    let found = match root.tag_name().name() {
        found if found == name => Some(root),
        found if found == around => xml::child(root, name),
        _ => None,
    };
    found.ok_or_else(|| Fault(format!("it has no <{name}>")))
}
