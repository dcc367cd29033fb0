/// Defines a fieldless enum whose variants are counted: an index for a counter array and a name for people.
macro_rules! counted {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every variant, in the order of its index.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many variants there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The place of this variant's counter, 0 to `COUNT - 1`.
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The name in tables, JSON and metrics: lower case, words joined by `_`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

counted! {
    /// How a frame was answered. States are those of RFC 2131 §4.3.2.
    Outcome {
        /// A DISCOVER got an OFFER.
        Offer = "offer",
        /// A DISCOVER with option 80 got an ACK at once (RFC 4039).
        AckRapidCommit = "ack_rapid_commit",
        /// A REQUEST in SELECTING got an ACK.
        AckSelecting = "ack_selecting",
        /// A REQUEST in INIT-REBOOT got an ACK.
        AckInitReboot = "ack_init_reboot",
        /// A REQUEST in RENEWING (unicast) got an ACK.
        AckRenewing = "ack_renewing",
        /// A REQUEST in REBINDING (broadcast) got an ACK.
        AckRebinding = "ack_rebinding",
        /// An INFORM got an ACK without an address.
        AckInform = "ack_inform",
        /// A REQUEST in SELECTING for another address, or without one, got a NAK.
        NakSelecting = "nak_selecting",
        /// A REQUEST in INIT-REBOOT for another address, or without one, got a NAK.
        NakInitReboot = "nak_init_reboot",
        /// A REQUEST in RENEWING for another address got a NAK.
        NakRenewing = "nak_renewing",
        /// A REQUEST in REBINDING for another address got a NAK.
        NakRebinding = "nak_rebinding",
    }
}

counted! {
    /// Why a frame was not answered.
    Reason {
        /// Shorter than its own headers say, or longer than any frame that is read.
        Truncated = "truncated",
        /// Not IPv4 in Ethernet II.
        NotIpv4 = "not_ipv4",
        /// The IPv4 header is wrong: version, IHL, total length or checksum.
        BadIpHeader = "bad_ip_header",
        /// A fragment; DHCP fits one packet.
        Fragment = "fragment",
        /// Not UDP, or not to port 67.
        NotDhcp = "not_dhcp",
        /// The UDP length is wrong.
        BadUdpLength = "bad_udp_length",
        /// The UDP checksum is there and wrong.
        BadUdpChecksum = "bad_udp_checksum",
        /// To another host: neither broadcast nor the link's own address, in Ethernet or in IP.
        OtherHost = "other_host",
        /// Not a BOOTREQUEST (`op`).
        NotARequest = "not_a_request",
        /// `htype` or `hlen` is not that of Ethernet, or `chaddr` is a group address.
        BadHardwareAddress = "bad_hardware_address",
        /// The magic cookie is missing: plain BOOTP or not DHCP at all.
        BadCookie = "bad_cookie",
        /// Options run past the end, or a mandatory one has the wrong length.
        MalformedOptions = "malformed_options",
        /// No option 53, or one with a value that a server does not answer.
        BadMessageType = "bad_message_type",
        /// `giaddr` is set: there is no relay on a VM link.
        Relayed = "relayed",
        /// Another MAC address than that of the VM that owns the link.
        OtherMac = "other_mac",
        /// Option 54 names another server.
        OtherServer = "other_server",
        /// A server's reply to a client (UDP port 67 to 68) that came in on the link: somebody else serves there, too.
        OtherServersReply = "other_servers_reply",
        /// A DISCOVER with option 54, which RFC 2131 table 5 forbids.
        ServerIdInDiscover = "server_id_in_discover",
        /// An INFORM, DECLINE or RELEASE for another address than that of the binding, or for none.
        OtherAddress = "other_address",
        /// A DECLINE of our address: counted and shown; moves nothing.
        Decline = "decline",
        /// A RELEASE of our address: changes only what `list` shows.
        Release = "release",
        /// The reply does not fit what the client can take (option 57) even without its optional parts.
        ReplyTooLarge = "reply_too_large",
        /// The first ACK of a generation waited for the host route, and a later request of the client took its place.
        Held = "held",
    }
}

/// How a frame ended: in exactly one of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Verdict {
    /// It was answered so.
    Answered(Outcome),
    /// It was not answered, and why.
    Ignored(Reason),
}
