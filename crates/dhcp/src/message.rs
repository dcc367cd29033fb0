//! The fixed part of a DHCP message (RFC 2131 §2, figure 1): 236 bytes of BOOTP and the magic cookie.

use slash32_binding::{Ipv4Addr, MacAddr, Reason};

/// The UDP port of servers.
pub(crate) const SERVER_PORT: u16 = 67;
/// The UDP port of clients.
pub(crate) const CLIENT_PORT: u16 = 68;
/// Bytes of the fixed part, with the cookie.
pub(crate) const HEADER: usize = 240;
/// The least length of a message that is written: that of a BOOTP message (RFC 951 §3), which some clients insist on.
pub(crate) const MINIMUM: usize = 300;
/// Bytes of `sname`.
pub(crate) const SNAME: usize = 64;
/// Bytes of `file`.
pub(crate) const FILE: usize = 128;

const BOOTREQUEST: u8 = 1;
const BOOTREPLY: u8 = 2;
/// `htype` of Ethernet (RFC 1700).
const ETHERNET: u8 = 1;
/// `hlen` of Ethernet.
const ETHERNET_LENGTH: u8 = 6;
/// RFC 2131 §3.
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// The only bit of `flags` with a meaning (RFC 2131 §2, figure 2).
const BROADCAST_FLAG: u8 = 0x80;

/// A request's fixed part and the bytes behind it; [`Message::read`] checks once, and then every field is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    header: &'a [u8; HEADER],
    /// The options field.
    pub(crate) options: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes the payload of a datagram that is a BOOTREQUEST of an Ethernet client and has the cookie.
    pub(crate) fn read(payload: &'a [u8]) -> Result<Self, Reason> {
        let (header, options) = payload.split_first_chunk().ok_or(Reason::Truncated)?;
        let message = Self { header, options };
        if message.field::<0, 1>() != [BOOTREQUEST] {
            return Err(Reason::NotARequest);
        }
        if message.field::<236, 4>() != COOKIE {
            return Err(Reason::BadCookie);
        }
        if message.field::<1, 2>() != [ETHERNET, ETHERNET_LENGTH] || message.chaddr().is_group() {
            return Err(Reason::BadHardwareAddress);
        }
        Ok(message)
    }

    /// The `N` bytes at the offset `AT`, of which the compiler proves that they are there.
    fn field<const AT: usize, const N: usize>(&self) -> [u8; N] {
        const { assert!(AT + N <= HEADER) };
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.header[AT..AT + N]);
        bytes
    }

    /// The transaction: copied into the reply.
    pub(crate) fn xid(&self) -> [u8; 4] {
        self.field::<4, 4>()
    }

    /// All sixteen bits: copied into the reply.
    pub(crate) fn flags(&self) -> [u8; 2] {
        self.field::<10, 2>()
    }

    /// The client cannot take unicast before it has its address.
    pub(crate) fn wants_broadcast(&self) -> bool {
        self.flags()[0] & BROADCAST_FLAG != 0
    }

    /// The address that the client has and answers for; 0.0.0.0 when it has none.
    pub(crate) fn ciaddr(&self) -> Ipv4Addr {
        self.field::<12, 4>().into()
    }

    /// The relay agent; 0.0.0.0 when the client is on the link.
    pub(crate) fn giaddr(&self) -> Ipv4Addr {
        self.field::<24, 4>().into()
    }

    /// The client's hardware address.
    pub(crate) fn chaddr(&self) -> MacAddr {
        MacAddr(self.field::<28, 6>())
    }

    /// `chaddr` with its padding, all of which is copied into the reply: klibc compares sixteen bytes.
    pub(crate) fn chaddr_field(&self) -> [u8; 16] {
        self.field::<28, 16>()
    }

    /// The server host name field, which holds options when option 52 says so.
    pub(crate) fn sname(&self) -> &'a [u8] {
        &self.header[44..44 + SNAME]
    }

    /// The boot file name field, which holds options when option 52 says so.
    pub(crate) fn file(&self) -> &'a [u8] {
        &self.header[108..108 + FILE]
    }
}

/// The fixed part of a reply: what is not copied from the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    /// The client's own address, when it has one.
    pub(crate) ciaddr: Ipv4Addr,
    /// The address that it gets.
    pub(crate) yiaddr: Ipv4Addr,
    /// The server of the next boot step.
    pub(crate) siaddr: Ipv4Addr,
    /// `sname`, at most 63 bytes; a longer one is not written.
    pub(crate) sname: &'a [u8],
    /// `file`, at most 127 bytes; a longer one is not written.
    pub(crate) file: &'a [u8],
}

impl Reply<'_> {
    /// Writes the fixed part, cookie included, as the answer to `request` (RFC 2131 §4.3.1, table 3).
    pub(crate) fn write(&self, request: &Message, header: &mut [u8; HEADER]) {
        header.fill(0);
        let mut set = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        set(0, &[BOOTREPLY, ETHERNET, ETHERNET_LENGTH]);
        set(4, &request.xid());
        set(10, &request.flags());
        set(12, &self.ciaddr.octets());
        set(16, &self.yiaddr.octets());
        set(20, &self.siaddr.octets());
        set(28, &request.chaddr_field());
        // Both are C strings: the terminating NUL must fit, too.
        if self.sname.len() < SNAME {
            set(44, self.sname);
        }
        if self.file.len() < FILE {
            set(108, self.file);
        }
        set(236, &COOKIE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> [u8; 300] {
        let mut bytes = [0; 300];
        bytes[..3].copy_from_slice(&[1, 1, 6]);
        bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 1, 2, 3]);
        bytes[236..240].copy_from_slice(&COOKIE);
        bytes
    }

    #[test]
    fn item_86_a_message_shorter_than_its_fixed_part_is_truncated() {
        for length in 0..HEADER {
            assert_eq!(
                Message::read(&request()[..length]).err(),
                Some(Reason::Truncated),
                "{length}"
            );
        }
        assert!(Message::read(&request()[..HEADER]).is_ok());
    }

    #[test]
    fn item_89_only_an_ethernet_hardware_address_is_taken() {
        for (htype, hlen) in [
            (0, 0),
            (0, 6),
            (1, 0),
            (1, 5),
            (1, 7),
            (1, 16),
            (1, 17),
            (1, 46),
            (1, 255),
            (32, 6),
            (255, 6),
        ] {
            let mut bytes = request();
            bytes[1] = htype;
            bytes[2] = hlen;
            assert_eq!(
                Message::read(&bytes).err(),
                Some(Reason::BadHardwareAddress),
                "{htype} {hlen}"
            );
        }
    }

    #[test]
    fn a_group_address_is_no_client() {
        let mut bytes = request();
        bytes[28] |= 1;
        assert_eq!(
            Message::read(&bytes).err(),
            Some(Reason::BadHardwareAddress)
        );
    }

    #[test]
    fn a_reply_is_no_request() {
        for op in [0, 2, 255] {
            let mut bytes = request();
            bytes[0] = op;
            assert_eq!(
                Message::read(&bytes).err(),
                Some(Reason::NotARequest),
                "{op}"
            );
        }
    }

    #[test]
    fn item_92_bootp_without_the_cookie_is_not_answered() {
        let mut bytes = request();
        bytes[239] ^= 1;
        assert_eq!(Message::read(&bytes).err(), Some(Reason::BadCookie));
    }

    #[test]
    fn names_that_leave_no_room_for_the_nul_are_not_written() {
        for (sname, file, written) in [(63, 127, true), (64, 128, false)] {
            let bytes = request();
            let request = Message::read(&bytes).unwrap();
            let none = Ipv4Addr::UNSPECIFIED;
            let reply = Reply {
                ciaddr: none,
                yiaddr: none,
                siaddr: none,
                sname: &[b's'; 64][..sname],
                file: &[b'f'; 128][..file],
            };
            let mut header = [0xaa; HEADER];
            reply.write(&request, &mut header);
            assert_eq!(header[44] == b's', written);
            assert_eq!(header[108] == b'f', written);
            assert_eq!((header[107], header[235]), (0, 0));
        }
    }
}
