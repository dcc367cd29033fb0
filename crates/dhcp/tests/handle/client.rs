//! The other end: a client that can send whatever a test wants, built with `etherparse` and by hand.

use crate::answer::Answer;
use etherparse::PacketBuilder;
use slash32_binding::{Binding, Ipv4Addr, MacAddr, Reason};
use slash32_dhcp::{Action, Instant, MAX_FRAME, Outcome, Responder};

pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
pub(crate) const OTHER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 8);
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
pub(crate) const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
pub(crate) const CLIENT: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
pub(crate) const SERVER: MacAddr = MacAddr([0xfe, 0x54, 0, 0x12, 0x34, 0x56]);

pub(crate) const DISCOVER: u8 = 1;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const DECLINE: u8 = 4;
pub(crate) const RELEASE: u8 = 7;
pub(crate) const INFORM: u8 = 8;

pub(crate) fn binding() -> Binding {
    let mut binding = Binding::new(ADDRESS, GATEWAY);
    binding.server_mac = SERVER;
    binding
}

/// A message and the headers around it.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) link: (MacAddr, MacAddr),
    pub(crate) ip: (Ipv4Addr, Ipv4Addr),
    pub(crate) ports: (u16, u16),
    pub(crate) message: Vec<u8>,
}

impl Client {
    /// A broadcast message of this type with this client's `chaddr`, and no option but 53.
    pub(crate) fn sends(message_type: u8) -> Self {
        Self::sends_raw(&[53, 1, message_type])
    }

    /// A broadcast message with these bytes as its options field.
    pub(crate) fn sends_raw(options: &[u8]) -> Self {
        let mut message = vec![0; 240];
        message[..4].copy_from_slice(&[1, 1, 6, 0]);
        message[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
        message[28..34].copy_from_slice(&CLIENT.0);
        message[236..240].copy_from_slice(&[99, 130, 83, 99]);
        message.extend_from_slice(options);
        Self {
            link: (CLIENT, MacAddr::BROADCAST),
            ip: (NONE, Ipv4Addr::BROADCAST),
            ports: (68, 67),
            message,
        }
    }

    /// Sent to the server alone, from the client's address.
    pub(crate) fn unicast(mut self) -> Self {
        self.link.1 = SERVER;
        self.ip = (ADDRESS, GATEWAY);
        self
    }

    /// Overwrites header bytes at an offset of the message.
    pub(crate) fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.message[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn flags(self, flags: u16) -> Self {
        self.with(10, &flags.to_be_bytes())
    }

    pub(crate) fn ciaddr(self, address: Ipv4Addr) -> Self {
        self.with(12, &address.octets())
    }

    pub(crate) fn chaddr(self, mac: MacAddr) -> Self {
        self.with(28, &mac.0)
    }

    /// Adds an option in one record.
    pub(crate) fn option(mut self, code: u8, value: &[u8]) -> Self {
        self.message.push(code);
        self.message.push(value.len().try_into().unwrap());
        self.message.extend_from_slice(value);
        self
    }

    /// Option 50.
    pub(crate) fn asks_for(self, address: Ipv4Addr) -> Self {
        self.option(50, &address.octets())
    }

    /// Option 54.
    pub(crate) fn chooses(self, address: Ipv4Addr) -> Self {
        self.option(54, &address.octets())
    }

    /// Option 55.
    pub(crate) fn list(self, codes: &[u8]) -> Self {
        self.option(55, codes)
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(self.link.0.0, self.link.1.0)
            .ipv4(self.ip.0.octets(), self.ip.1.octets(), 64)
            .udp(self.ports.0, self.ports.1)
            .write(&mut frame, &self.message)
            .unwrap();
        frame
    }

    /// What a new responder does.
    pub(crate) fn asks(&self, binding: Binding) -> Result<Answer, Reason> {
        ask(&mut Responder::new(binding), &self.frame())
    }

    /// The answer of a new responder.
    pub(crate) fn gets(&self, binding: Binding) -> Answer {
        self.asks(binding).unwrap()
    }

    /// Why a new responder with the usual binding does not answer; `None` when it does.
    pub(crate) fn ignored(&self) -> Option<Reason> {
        self.asks(binding()).err()
    }

    /// The outcome of a new responder with the usual binding.
    pub(crate) fn outcome(&self) -> Result<Outcome, Reason> {
        self.asks(binding()).map(|answer| answer.outcome)
    }
}

/// What `responder` does with `frame`: the decoded answer, every checksum verified.
pub(crate) fn ask(responder: &mut Responder, frame: &[u8]) -> Result<Answer, Reason> {
    let mut out = [0xaa; MAX_FRAME];
    match responder.handle(Instant(1), frame, &mut out) {
        Action::Ignore(reason) => {
            assert!(
                out.iter().all(|&byte| byte == 0xaa),
                "written for {reason:?}"
            );
            Err(reason)
        }
        Action::Reply { len, outcome } => {
            assert!(
                out[len..].iter().all(|&byte| byte == 0xaa),
                "written behind the reply"
            );
            Ok(Answer::decode(&out[..len], outcome))
        }
    }
}
