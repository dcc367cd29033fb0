use crate::{
    MacAddr, PacketSocket, Wire,
    dhcp::{Message, code, message_type},
};
use anyhow::{Context, Result, bail};
use std::{
    net::Ipv4Addr,
    time::{Duration, Instant, SystemTime},
};

/// How long an answer may take on a machine that is busy with other cases.
const PATIENCE: Duration = Duration::from_secs(5);

/// A DHCP client made by hand: it sends exactly the frames that a case wants, and hears every answer.
pub struct RawClient {
    wire: Box<dyn Wire>,
    mac: MacAddr,
    next_xid: u32,
    read: fn(&[u8]) -> Option<Message>,
}

impl RawClient {
    /// A client with the hardware address `mac` behind `wire`.
    pub fn new(wire: impl Wire + 'static, mac: MacAddr) -> Self {
        Self {
            wire: Box::new(wire),
            mac,
            next_xid: 0x5132_0001,
            read: Message::read,
        }
    }

    /// A client on a link of `namespace`, with the link's own hardware address.
    pub fn on(namespace: &crate::Namespace, link: &str) -> Result<Self> {
        let socket = PacketSocket::open(namespace, link)?;
        let mac = socket.address();
        Ok(Self::new(socket, mac))
    }

    /// The same client, which takes answers whose UDP checksum is [unfinished](Message::read_unfinished): other servers than
    /// ours send by their kernel's UDP.
    #[must_use]
    pub fn of_any_server(mut self) -> Self {
        self.read = Message::read_unfinished;
        self
    }

    /// Its hardware address.
    pub fn mac(&self) -> MacAddr {
        self.mac
    }

    /// The wire, for frames that are no messages.
    pub fn wire(&self) -> &dyn Wire {
        &*self.wire
    }

    /// The start of a request with a transaction id of its own.
    pub fn message(&mut self, kind: u8) -> Message {
        self.next_xid += 1;
        Message::request(kind, self.mac, self.next_xid)
            .with(code::PARAMETER_REQUEST_LIST, &[1, 3, 6, 12, 26, 121])
    }

    /// A DISCOVER.
    pub fn discover(&mut self) -> Message {
        self.message(message_type::DISCOVER)
    }

    /// A REQUEST in SELECTING (RFC 2131 §4.3.2): it takes `offer`.
    pub fn selecting(&mut self, offer: &Message) -> Message {
        let server = offer
            .option(code::SERVER_IDENTIFIER)
            .unwrap_or_default()
            .to_vec();
        self.message(message_type::REQUEST)
            .with(code::SERVER_IDENTIFIER, &server)
            .with(code::REQUESTED_ADDRESS, &offer.yiaddr.octets())
    }

    /// A REQUEST in INIT-REBOOT: is `address` still right?
    pub fn init_reboot(&mut self, address: Ipv4Addr) -> Message {
        self.message(message_type::REQUEST)
            .with(code::REQUESTED_ADDRESS, &address.octets())
    }

    /// A REQUEST in RENEWING, unicast to the server that sent `ack`.
    pub fn renewing(&mut self, ack: &Message) -> Message {
        let mut request = self.rebinding(ack);
        request.envelope.source = ack.yiaddr;
        request.envelope.destination = ack.envelope.source;
        request.envelope.destination_mac = ack.envelope.source_mac;
        request
    }

    /// A REQUEST in REBINDING, broadcast.
    pub fn rebinding(&mut self, ack: &Message) -> Message {
        let mut request = self.message(message_type::REQUEST);
        request.ciaddr = ack.yiaddr;
        request
    }

    /// Sends one message.
    pub fn send(&self, message: &Message) -> Result<()> {
        self.wire.send(&message.frame())
    }

    /// The next answer to transaction `xid`, with the time at which it was on the wire, or `None` within `bound`.
    pub fn answer(&self, xid: u32, bound: Duration) -> Result<Option<(SystemTime, Message)>> {
        let end = Instant::now() + bound;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if let Some(frame) = self.wire.receive(left)? {
                let message = (self.read)(&frame.bytes)
                    .filter(|message| message.op == 2 && message.xid == xid);
                if let Some(message) = message.filter(|_| !frame.outgoing) {
                    return Ok(Some((frame.at, message)));
                }
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Sends `message` and returns the answer. Errors: there is none within 5 s.
    pub fn ask(&self, message: &Message) -> Result<Message> {
        self.send(message)?;
        let answer = self.answer(message.xid, PATIENCE)?;
        answer.map(|(_, answer)| answer).with_context(|| {
            format!(
                "{} got no answer to its message of type {}",
                self.mac,
                message.message_type()
            )
        })
    }

    /// Sends `message` again each 200 ms, as a client does while the link is not served yet, until an answer comes.
    ///
    /// Errors: there is none within `bound`.
    pub fn insist(&self, message: &Message, bound: Duration) -> Result<Message> {
        self.insist_each(message, Duration::from_millis(200), bound)
    }

    /// The same with another `pause` than 200 ms.
    pub fn insist_each(
        &self,
        message: &Message,
        pause: Duration,
        bound: Duration,
    ) -> Result<Message> {
        let start = Instant::now();
        while start.elapsed() < bound {
            self.send(message)?;
            if let Some((_, answer)) = self.answer(message.xid, pause)? {
                return Ok(answer);
            }
        }
        bail!(
            "{} got no answer to its message of type {} within {bound:?}",
            self.mac,
            message.message_type()
        );
    }

    /// DISCOVER, OFFER, REQUEST, ACK: returns the ACK. Errors: no answer, or another one.
    pub fn bind(&mut self) -> Result<Message> {
        let discover = self.discover();
        let offer = expect(message_type::OFFER, self.insist(&discover, 2 * PATIENCE)?)?;
        let request = self.selecting(&offer);
        expect(message_type::ACK, self.insist(&request, 2 * PATIENCE)?)
    }

    /// Sends `frame` and then a DISCOVER. Errors: anything but the DISCOVER was answered.
    ///
    /// A responder takes frames in order, so the OFFER proves that `frame` had its turn.
    pub fn is_ignored(&mut self, frame: &[u8]) -> Result<()> {
        let discover = self.discover();
        while self.wire.receive(Duration::ZERO)?.is_some() {}
        self.wire.send(frame)?;
        self.send(&discover)?;
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let frame = self.wire.receive(left)?.filter(|frame| !frame.outgoing);
            match frame
                .and_then(|frame| Message::read(&frame.bytes))
                .filter(|message| message.op == 2)
            {
                Some(answer) if answer.xid == discover.xid => {
                    return expect(message_type::OFFER, answer).map(drop);
                }
                Some(answer) => bail!("it was answered: {answer:?}"),
                None if left.is_zero() => {
                    bail!("the DISCOVER behind it got no answer within {PATIENCE:?}")
                }
                None => {}
            }
        }
    }
}

/// `answer`, when it is of the type that was expected.
pub fn expect(message_type: u8, answer: Message) -> Result<Message> {
    if answer.message_type() != message_type {
        bail!("expected a message of type {message_type}, got {answer:?}");
    }
    Ok(answer)
}
