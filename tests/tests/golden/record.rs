//! Recording: real clients behind an agent, a bridge and a tap, as `cargo xtask golden` runs them.

use crate::{
    difference::difference,
    golden::{Golden, folder},
    served::{LINK, binding, config, replies},
};
use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, Capture, Client, GATEWAY, Guest, Host, Software,
    dhcp::{Message, code, message_type},
    vm_address,
};
use std::{net::Ipv4Addr, process::Command, time::Duration};

/// dhcpcd alone probes its address for 5 s, and firmware takes half a minute on a machine that has time.
const BOUND: Duration = Duration::from_secs(120);
/// What a client remembers that comes with the image of another machine.
const WRONG: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn dhclient() -> Result<()> {
    let client = Recorded::new(Software::Dhclient, "dhclient")?;
    client.first_boots()?;
    client.renewal()?;
    client.reboot()?;
    client.wrong_address()?;
    client.release()
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn udhcpc() -> Result<()> {
    let client = Recorded::new(Software::Udhcpc, "udhcpc")?;
    client.first_boots()?;
    client.renewal()?;
    client.wrong_address()?;
    client.release()
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn udhcpc_classless() -> Result<()> {
    Recorded::new(Software::UdhcpcClassless, "udhcpc-classless")?.first_boots()
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn dhcpcd() -> Result<()> {
    let client = Recorded::new(Software::Dhcpcd, "dhcpcd")?;
    client.first_boots()?;
    client.renewal()?;
    client.reboot()?;
    client.wrong_address()?;
    client.release()?;
    client.inform()
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn networkd() -> Result<()> {
    // It remembers nothing once it has ended.
    let client = Recorded::new(Software::Networkd, "networkd")?;
    client.first_boots()?;
    client.renewal()?;
    client.release()
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn network_manager() -> Result<()> {
    // It sends no RELEASE.
    let client = Recorded::new(Software::NetworkManager, "network-manager")?;
    client.first_boots()?;
    client.renewal()?;
    client.reboot()?;
    client.wrong_address()
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn connman() -> Result<()> {
    let client = Recorded::new(Software::Connman, "connman")?;
    client.first_boots()?;
    client.renewal()?;
    client.reboot()?;
    client.wrong_address()?;
    client.release()
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn klibc() -> Result<()> {
    // It ends with its ACK.
    Recorded::new(Software::Klibc, "klibc-ipconfig")?.first_boots()
}

/// A client whose stories are recorded.
struct Recorded {
    software: Software,
    /// `CLIENT-VERSION`
    folder: String,
}

impl Recorded {
    fn new(software: Software, name: &str) -> Result<Self> {
        Ok(Self {
            software,
            folder: format!("{name}-{}", software.version()?),
        })
    }

    /// From power-on to the address, with each config.
    fn first_boots(&self) -> Result<()> {
        for config in ["plain", "full"] {
            self.story(config, "first-boot", |stage| {
                let capture = stage.capture()?;
                let _client = stage.boot(self.software)?;
                Ok(capture)
            })?;
        }
        Ok(())
    }

    /// T1, or half the lease time for who believes no T1.
    fn renewal(&self) -> Result<()> {
        self.story("full", "renewal", |stage| {
            let _client = stage.boot(self.software)?;
            let capture = stage.capture()?;
            answered(&capture, |message| message.ciaddr == vm_address(1))?;
            Ok(capture)
        })
    }

    /// INIT-REBOOT with the address of the last boot.
    fn reboot(&self) -> Result<()> {
        self.story("plain", "reboot", |stage| {
            stage.boot(self.software)?.kill()?;
            stage.guest.flush()?;
            let capture = stage.capture()?;
            let _client = stage.boot(self.software)?;
            answered(&capture, is_init_reboot)?;
            Ok(capture)
        })
    }

    /// The client asks for an address that is not its own, and all that comes of it.
    fn wrong_address(&self) -> Result<()> {
        self.story("plain", "wrong-address", |stage| {
            stage.boot(self.software)?.kill()?;
            stage.guest.flush()?;
            stage
                .guest
                .forge_memory(self.software, vm_address(1), WRONG)?;
            let capture = stage.capture()?;
            let _client = stage.boot(self.software)?;
            answered(&capture, |message| {
                message.address(code::REQUESTED_ADDRESS) == Some(WRONG)
            })?;
            Ok(capture)
        })
    }

    /// The client gives its address back; nobody answers.
    fn release(&self) -> Result<()> {
        self.story("plain", "release", |stage| {
            let mut client = stage.boot(self.software)?;
            // A guest that does not know its gateway's hardware address yet takes its own address away before it has
            // learnt it, and the RELEASE with it.
            stage.guest.ping(GATEWAY)?;
            let capture = stage.capture()?;
            client.release(&stage.guest)?;
            capture.wait_for("the RELEASE", BOUND, |_, message| {
                message.message_type() == message_type::RELEASE
            })?;
            Ok(capture)
        })
    }

    /// The address is the guest's own; it only asks for the rest. dhcpcd alone does that here.
    fn inform(&self) -> Result<()> {
        self.story("plain", "inform", |stage| {
            let capture = stage.capture()?;
            let address = format!("{}/32", vm_address(1));
            let mut dhcpcd = Command::new("dhcpcd");
            dhcpcd.args(["-4", "-B", "-s", &address, "eth0"]);
            let _process = stage.guest.namespace().spawn(&mut dhcpcd)?;
            answered(&capture, |message| {
                message.message_type() == message_type::INFORM
            })?;
            Ok(capture)
        })
    }

    fn story(
        &self,
        name: &str,
        story: &str,
        act: impl FnOnce(&Stage) -> Result<Capture>,
    ) -> Result<()> {
        record(name, &self.folder, story, |host, agent| {
            host.bridge(LINK)?;
            let guest = host.guest(LINK, 1)?;
            agent.wait(LINK, "ready", BOUND)?;
            act(&Stage { host, guest })
        })
    }
}

/// Runs a story on a host whose agent has this config, and writes what the responder was given and what it answered.
///
/// Errors: the core, asked again, answers otherwise than was seen on the wire.
pub(crate) fn record(
    name: &str,
    client: &str,
    story: &str,
    act: impl FnOnce(&Host, &Agent) -> Result<Capture>,
) -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &config(name)?)?;
    let mut golden = Golden::of_capture(act(&host, &agent)?.frames()?)?;
    golden.forget_unfinished_checksums();
    for (exchange, answer) in golden.0.iter().zip(replies(&golden, binding(name)?)) {
        let shown = difference(exchange.reply.as_deref(), answer.as_deref());
        ensure!(
            shown.is_empty(),
            "seen on the wire -, answered by the core +\n{shown}"
        );
    }
    agent.hush();
    let path = folder().join(name).join(client);
    golden.write(&path.join(format!("{story}.pcap")))
}

/// A host with one link, and a guest behind it.
struct Stage<'h> {
    host: &'h Host,
    guest: Guest,
}

impl Stage<'_> {
    /// What the responder hears and says from now on.
    fn capture(&self) -> Result<Capture> {
        Capture::open(self.host.namespace(), LINK)
    }

    /// Starts the client and waits until the guest has its address and its routes.
    fn boot(&self, software: Software) -> Result<Client> {
        let mut client = self.guest.start(software)?;
        self.guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
        client.hush();
        Ok(client)
    }
}

/// Waits until a request that `wanted` accepts has got its answer.
pub(crate) fn answered(capture: &Capture, wanted: impl Fn(&Message) -> bool) -> Result<()> {
    slash32_tests::until("a request and its answer", BOUND, || {
        let messages = capture.messages()?;
        let mut messages = messages.iter().map(|(_, message)| message);
        let asked = messages.find(|message| message.op == 1 && wanted(message));
        Ok(asked.and_then(|asked| {
            messages
                .find(|message| message.op == 2 && message.xid == asked.xid)
                .map(drop)
        }))
    })
}

fn is_init_reboot(message: &Message) -> bool {
    message.message_type() == message_type::REQUEST
        && message.option(code::SERVER_IDENTIFIER).is_none()
        && message.option(code::REQUESTED_ADDRESS).is_some()
}
