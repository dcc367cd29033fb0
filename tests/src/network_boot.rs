use crate::{Boot, Capture, Host, MacAddr, Qemu, dhcp::Message, guest_mac};
use anyhow::{Context, Result, ensure};
use etherparse::{NetSlice, SlicedPacket};
use std::{net::Ipv4Addr, time::Duration};

/// The tap and the bridge of the only VM of a case.
const TAP: &str = "vnet1";
const BRIDGE: &str = "virbr1";
/// The EtherType of ARP.
const ARP: [u8; 2] = [0x08, 0x06];

/// Option 60 (RFC 2132 §9.13).
const VENDOR_CLASS: u8 = 60;
/// Option 77 (RFC 3004).
const USER_CLASS: u8 = 77;

/// A machine that boots over the network from one server, behind the tap `vnet1` in the bridge `virbr1`, and all its frames.
pub struct NetworkBoot {
    machine: Qemu,
    capture: Capture,
    bridge: MacAddr,
    server: Ipv4Addr,
}

impl NetworkBoot {
    /// The tap that it is behind.
    pub const TAP: &str = TAP;

    /// Makes the links and starts the machine.
    pub fn start(host: &Host, boot: &Boot, server: Ipv4Addr) -> Result<Self> {
        host.bridge(BRIDGE)?;
        host.qemu_tap(TAP, Some(BRIDGE))?;
        let links = host
            .namespace()
            .ip_json(&format!("link show dev {BRIDGE}"))?;
        let bridge = links[0]["address"]
            .as_str()
            .context("a bridge without an address")?;
        Ok(Self {
            capture: Capture::open(host.namespace(), TAP)?,
            machine: Qemu::start(host, TAP, 1, boot)?,
            bridge: bridge.parse()?,
            server,
        })
    }

    /// The hardware address of its bridge: what its gateway answers ARP with.
    pub fn bridge(&self) -> MacAddr {
        self.bridge
    }

    /// The machine.
    pub fn machine(&self) -> &Qemu {
        &self.machine
    }

    /// Waits until its console has a line with `text`, at most for `bound`, and returns that line.
    pub fn wait_console(&self, text: &str, bound: Duration) -> Result<String> {
        let console = self.machine.console();
        let place = console.wait_line(text, 0, bound, |line| line.contains(text))?;
        Ok(console.lines()[place].clone())
    }

    /// The first answer of this type to a request that says of itself what `client` says, with that request.
    ///
    /// Errors: there is none.
    pub fn answer(&self, kind: u8, client: Stage) -> Result<(Message, Message)> {
        let messages = self.capture.messages()?;
        let messages = || messages.iter().map(|(_, message)| message);
        let requests = messages().filter(|message| message.op == 1 && client.sent(message));
        let mut answered = requests.filter_map(|request| {
            let answer = messages().find(|message| {
                message.op == 2 && message.message_type() == kind && message.xid == request.xid
            });
            Some((request.clone(), answer?.clone()))
        });
        answered
            .next()
            .with_context(|| format!("{client:?} had no answer of type {kind}"))
    }

    /// The Ethernet destination of each IPv4 frame that it sent to the server.
    pub fn destinations(&self) -> Result<Vec<MacAddr>> {
        let server = self.server;
        let is_to_server = |frame: &[u8]| {
            let packet = SlicedPacket::from_ethernet(frame);
            packet.is_ok_and(|packet| {
                matches!(packet.net, Some(NetSlice::Ipv4(ip)) if ip.header().destination_addr() == server)
            })
        };
        let frames = self.frames_of_vm()?.into_iter();
        let frames = frames.filter(|frame| is_to_server(frame));
        Ok(frames
            .filter_map(|frame| frame.first_chunk().map(|address| MacAddr(*address)))
            .collect())
    }

    /// Whether it asked who has `address`, by ARP (RFC 826).
    pub fn looked_for(&self, address: Ipv4Addr) -> Result<bool> {
        let asks = |frame: &[u8]| {
            frame.get(12..14) == Some(&ARP) && frame.get(38..42) == Some(&address.octets())
        };
        Ok(self.frames_of_vm()?.iter().any(|frame| asks(frame)))
    }

    /// Checks that it looked for `gateway`, and that all that it sent to the server went into frames to the hypervisor.
    pub fn talked_to(&self, gateway: Ipv4Addr) -> Result<()> {
        ensure!(self.looked_for(gateway)?, "nobody asked for {gateway}");
        let destinations = self.destinations()?;
        ensure!(
            !destinations.is_empty() && destinations.iter().all(|one| *one == self.bridge),
            "all frames should go to {}: {destinations:?}",
            self.bridge
        );
        Ok(())
    }

    fn frames_of_vm(&self) -> Result<Vec<Vec<u8>>> {
        let frames = self.capture.frames()?.into_iter().map(|frame| frame.bytes);
        let vm = guest_mac(1);
        Ok(frames
            .filter(|frame| frame.get(6..12) == Some(&vm.0))
            .collect())
    }
}

/// Who asks for an address while a machine boots, by what it says of itself.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// Firmware whose vendor class begins so.
    Firmware(&'static str),
    /// iPXE.
    Ipxe,
    /// One that does not say what it is.
    Silent,
}

impl Stage {
    fn sent(self, message: &Message) -> bool {
        let ipxe = message.option(USER_CLASS) == Some(b"iPXE");
        let vendor = message.option(VENDOR_CLASS).unwrap_or_default();
        match self {
            Self::Firmware(beginning) => !ipxe && vendor.starts_with(beginning.as_bytes()),
            Self::Ipxe => ipxe,
            Self::Silent => !ipxe && vendor.is_empty(),
        }
    }
}
