//! Recording: real clients behind an agent, a bridge and a tap, as `cargo xtask golden` runs them.

use crate::{
    difference::difference,
    golden::{Golden, folder},
    served::{LINK, binding, config, replies},
};
use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Capture, Client, GATEWAY, Guest, Host, Software,
    dhcp::{Message, code, message_type},
    vm_address,
};
use std::{fs, net::Ipv4Addr, process::Command, time::Duration};

/// dhcpcd alone probes its address for 5 s.
const BOUND: Duration = Duration::from_secs(60);
/// What a client remembers that comes with the image of another machine.
const WRONG: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn dhclient() -> Result<()> {
    let client = Recorded::new(Software::Dhclient, "dhclient", "isc-dhcp-client")?;
    client.first_boot("plain")?;
    client.first_boot("full")?;
    client.renewal(|_, _| Ok(()))?;
    client.reboot()?;
    client.wrong_address(|guest| {
        let leases = guest.namespace().path("/var/lib/dhcp/leases");
        let text = fs::read_to_string(&leases)?;
        let (right, wrong) = (format!("{};", vm_address(1)), format!("{WRONG};"));
        Ok(fs::write(&leases, text.replace(&right, &wrong))?)
    })?;
    client.release(|_, guest| {
        let files = ["-lf", "/var/lib/dhcp/leases", "-pf", "/run/dhclient.pid"];
        guest
            .namespace()
            .run("dhclient", &[&["-4", "-r"], &files[..], &["eth0"]].concat())
            .map(drop)
    })
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn udhcpc() -> Result<()> {
    let client = Recorded::new(Software::Udhcpc, "udhcpc", "udhcpc")?;
    client.first_boot("plain")?;
    client.first_boot("full")?;
    client.renewal(|client, guest| client.renew(guest))?;
    client.release(|_, guest| signal(guest, "udhcpc", "USR2"))
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn udhcpc_classless() -> Result<()> {
    let client = Recorded::new(Software::UdhcpcClassless, "udhcpc-classless", "udhcpc")?;
    client.first_boot("plain")?;
    client.first_boot("full")
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn dhcpcd() -> Result<()> {
    let client = Recorded::new(Software::Dhcpcd, "dhcpcd", "dhcpcd-base")?;
    client.first_boot("plain")?;
    client.first_boot("full")?;
    client.renewal(|client, guest| client.renew(guest))?;
    client.reboot()?;
    client.wrong_address(|guest| {
        // The lease is kept as the ACK's message.
        let path = guest.namespace().path("/var/lib/dhcpcd/eth0.lease");
        let mut lease = fs::read(&path)?;
        let yiaddr = lease
            .get_mut(16..20)
            .context("no message in the lease file")?;
        ensure!(yiaddr == vm_address(1).octets(), "it holds {yiaddr:?}");
        yiaddr.copy_from_slice(&WRONG.octets());
        Ok(fs::write(path, lease)?)
    })?;
    client.release(|_, guest| {
        guest
            .namespace()
            .run("dhcpcd", &["-4", "-k", "eth0"])
            .map(drop)
    })?;
    client.inform()
}

/// A client whose stories are recorded.
struct Recorded {
    software: Software,
    /// `CLIENT-VERSION`
    folder: String,
}

impl Recorded {
    fn new(software: Software, name: &str, package: &str) -> Result<Self> {
        Ok(Self {
            software,
            folder: format!("{name}-{}", version(package)?),
        })
    }

    /// From power-on to the address.
    fn first_boot(&self, config: &str) -> Result<()> {
        self.story(config, "first-boot", |stage| {
            let capture = stage.capture()?;
            let _client = stage.boot(self.software)?;
            Ok(capture)
        })
    }

    /// Half the lease is over, or `renew` asks for it.
    fn renewal(&self, renew: impl Fn(&Client, &Guest) -> Result<()>) -> Result<()> {
        self.story("full", "renewal", |stage| {
            let client = stage.boot(self.software)?;
            let capture = stage.capture()?;
            renew(&client, &stage.guest)?;
            answered(&capture, |message| message.ciaddr == vm_address(1))?;
            Ok(capture)
        })
    }

    /// INIT-REBOOT with the address of the last boot.
    fn reboot(&self) -> Result<()> {
        self.story("plain", "reboot", |stage| {
            stage.boot(self.software)?.kill()?;
            stage.guest.namespace().ip("addr flush dev eth0")?;
            let capture = stage.capture()?;
            let _client = stage.boot(self.software)?;
            answered(&capture, is_init_reboot)?;
            Ok(capture)
        })
    }

    /// INIT-REBOOT with an address that `remember` has put in the place of the right one, and all that comes of it.
    fn wrong_address(&self, remember: impl Fn(&Guest) -> Result<()>) -> Result<()> {
        self.story("plain", "wrong-address", |stage| {
            stage.boot(self.software)?.kill()?;
            stage.guest.namespace().ip("addr flush dev eth0")?;
            remember(&stage.guest)?;
            let capture = stage.capture()?;
            let _client = stage.boot(self.software)?;
            answered(&capture, |message| {
                is_init_reboot(message) && message.address(code::REQUESTED_ADDRESS) == Some(WRONG)
            })?;
            Ok(capture)
        })
    }

    /// The client gives its address back; nobody answers.
    fn release(&self, release: impl Fn(&Client, &Guest) -> Result<()>) -> Result<()> {
        self.story("plain", "release", |stage| {
            let client = stage.boot(self.software)?;
            // A guest that does not know its gateway's hardware address yet takes its own address away before it has
            // learnt it, and the RELEASE with it.
            stage.guest.ping(GATEWAY)?;
            let capture = stage.capture()?;
            release(&client, &stage.guest)?;
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
            dhcpcd.args([
                "-4",
                "-B",
                "--nohook",
                "resolv.conf",
                "-s",
                &address,
                "eth0",
            ]);
            let _process = stage.guest.namespace().spawn(&mut dhcpcd)?;
            answered(&capture, |message| {
                message.message_type() == message_type::INFORM
            })?;
            Ok(capture)
        })
    }

    /// Runs a story behind an agent with this config, and writes what the responder was given and what it answered.
    ///
    /// Errors: the core, asked again, answers otherwise than was seen on the wire.
    fn story(
        &self,
        name: &str,
        story: &str,
        act: impl FnOnce(&Stage) -> Result<Capture>,
    ) -> Result<()> {
        let host = Host::new()?;
        let mut agent = Agent::start(&host, &config(name)?)?;
        host.bridge(LINK)?;
        let stage = Stage {
            // Its frames come through a tap, as QEMU's do, so the guest's kernel has finished their checksums.
            guest: host.guest_behind_tap_in(LINK, 1)?,
            host: &host,
        };
        agent.wait(LINK, "ready", BOUND)?;
        let golden = Golden::of_capture(act(&stage)?.frames()?)?;
        for (exchange, answer) in golden.0.iter().zip(replies(&golden, binding(name)?)) {
            let shown = difference(exchange.reply.as_deref(), answer.as_deref());
            ensure!(
                shown.is_empty(),
                "seen on the wire -, answered by the core +\n{shown}"
            );
        }
        agent.hush();
        let path = folder().join(name).join(&self.folder);
        golden.write(&path.join(format!("{story}.pcap")))
    }
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
fn answered(capture: &Capture, wanted: impl Fn(&Message) -> bool) -> Result<()> {
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

/// Sends a signal to the programs with this name in the guest.
fn signal(guest: &Guest, program: &str, signal: &str) -> Result<()> {
    let script = format!(
        "for name in /proc/[0-9]*/comm; do [ \"$(cat $name)\" != {program} ] || {{ pid=${{name%/comm}}; \
         kill -{signal} ${{pid#/proc/}}; }}; done"
    );
    guest.namespace().run("sh", &["-c", &script]).map(drop)
}

/// The upstream version of an installed Debian package: without epoch and revision.
fn version(package: &str) -> Result<String> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Version}", package])
        .output()?;
    ensure!(output.status.success(), "{package} is not installed");
    let version = String::from_utf8(output.stdout)?;
    let upstream = version
        .split_once(':')
        .map_or(&version[..], |(_, rest)| rest);
    let upstream = upstream
        .rsplit_once('-')
        .map_or(upstream, |(start, _)| start);
    Ok(upstream.to_owned())
}
