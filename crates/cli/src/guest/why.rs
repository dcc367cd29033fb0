//! Every outcome and every reason as a sentence for people.

use super::frame::Message;
use super::{hex, option};
use crate::output::clean;
use slash32_binding::{Ipv4Addr, Outcome, Reason};
use slash32_control::{LinkRow, SeenFrame};

/// What became of a request, and why. It can be printed as it is.
pub(super) fn why(seen: &SeenFrame, message: Option<&Message>, row: &LinkRow) -> String {
    let facts = Facts { message, row };
    let outcome = Outcome::ALL
        .iter()
        .find(|outcome| seen.outcome.as_deref() == Some(outcome.name()));
    let reason = Reason::ALL
        .iter()
        .find(|reason| seen.reason.as_deref() == Some(reason.name()));
    match (outcome, reason) {
        (Some(outcome), _) => facts.answered(*outcome),
        (None, Some(reason)) => facts.ignored(*reason),
        (None, None) => "the agent is of another version: its word for it is all there is".into(),
    }
}

struct Facts<'a> {
    message: Option<&'a Message>,
    row: &'a LinkRow,
}

impl Facts<'_> {
    fn answered(&self, outcome: Outcome) -> String {
        let address = self.address();
        match outcome {
            Outcome::Offer => match self.option(option::REQUESTED_ADDRESS) {
                Some(hoped) if Some(hoped) != self.row.address => {
                    format!("offered {address}: it hoped for {hoped}, and has one address only")
                }
                _ => format!("offered {address}"),
            },
            Outcome::AckRapidCommit => {
                format!("acknowledged at once: it takes {address} by rapid commit (option 80)")
            }
            Outcome::AckSelecting => format!("acknowledged: it took the offer of {address}"),
            Outcome::AckInitReboot => {
                format!("acknowledged: it started with {address}, which it remembered")
            }
            Outcome::AckRenewing => format!("renewed: it asked in good time to keep {address}"),
            Outcome::AckRebinding => format!(
                "renewed: it asked everybody to keep {address}, because its questions to {} alone got no answer",
                self.gateway()
            ),
            Outcome::AckInform => {
                "answered with the options only: it has its address and did not ask for one".into()
            }
            Outcome::NakSelecting => self.refused("it took an offer of"),
            Outcome::NakInitReboot => self.refused("it remembered"),
            Outcome::NakRenewing | Outcome::NakRebinding => self.refused("it wanted to keep"),
        }
    }

    /// A NAK tells the client to begin anew.
    fn refused(&self, what: &str) -> String {
        let ciaddr = self.message.map(|message| message.ciaddr);
        let named = self
            .option(option::REQUESTED_ADDRESS)
            .filter(|address| !address.is_unspecified())
            .or(ciaddr.filter(|address| !address.is_unspecified()));
        match named {
            Some(named) => format!(
                "refused: {what} {named}, which is not its address; it begins anew and gets {}",
                self.address()
            ),
            None => "refused: it named no address; it begins anew".into(),
        }
    }

    fn ignored(&self, reason: Reason) -> String {
        let (address, gateway) = (self.address(), self.gateway());
        match reason {
            Reason::OtherMac => format!(
                "ignored: the link belongs to {}, and this is {}",
                self.row.mac.as_deref().map_or_else(
                    || "the MAC address that was acknowledged first".to_owned(),
                    clean
                ),
                self.message
                    .map_or_else(|| "another one".to_owned(), |m| m.chaddr.to_string())
            ),
            Reason::OtherServer => format!(
                "ignored: it is for the DHCP server {}, and this one is {gateway}",
                self.option(option::SERVER_IDENTIFIER)
                    .map_or_else(|| "of another address".to_owned(), |id| id.to_string())
            ),
            Reason::OtherServersReply => {
                "ignored: it is another DHCP server's reply, not a request".into()
            }
            Reason::ServerIdInDiscover => {
                "ignored: a DISCOVER is for every server, and this one names one (option 54)".into()
            }
            Reason::OtherAddress => format!("ignored: it is about another address than {address}"),
            Reason::Decline => format!(
                "not answered: the VM says that somebody else has {address}; it keeps it, so find out who answers ARP for it"
            ),
            Reason::Release => format!(
                "not answered: the VM gave {address} back; it gets it again as long as its link is there"
            ),
            Reason::Held => format!(
                "held: the ACK leaves as soon as the host route to {address} is in the kernel"
            ),
            Reason::ReplyTooLarge => format!(
                "not answered: the reply does not fit into the {} bytes that the client takes; give it fewer options",
                self.message
                    .and_then(|message| message.number(option::MAXIMUM_SIZE))
                    .map_or_else(|| "576".to_owned(), |size| size.max(576).to_string())
            ),
            Reason::Relayed => format!(
                "ignored: it comes from a relay agent ({}), and there is none on a VM's link",
                self.message
                    .map_or(Ipv4Addr::UNSPECIFIED, |message| message.giaddr)
            ),
            Reason::BadMessageType => match self
                .message
                .and_then(|message| message.bytes(option::MESSAGE_TYPE))
            {
                Some(value) => format!(
                    "ignored: no client sends a message of the type {} (option 53)",
                    hex(value, "")
                ),
                None => "ignored: it has no message type (option 53), as in BOOTP".into(),
            },
            Reason::MalformedOptions => {
                "ignored: its options run past its end, or one has the wrong length".into()
            }
            Reason::NotARequest => "ignored: it calls itself a reply (op), and came to the server's port".into(),
            Reason::BadHardwareAddress => {
                "ignored: its hardware address is none of a client on Ethernet (htype, hlen, chaddr)".into()
            }
            Reason::BadCookie => "ignored: it has no magic cookie, so it is no DHCP".into(),
            Reason::Truncated => "ignored: it is cut short".into(),
            Reason::NotIpv4 => "ignored: it is no IPv4".into(),
            Reason::BadIpHeader => "ignored: its IPv4 header is wrong".into(),
            Reason::Fragment => "ignored: it is a fragment".into(),
            Reason::NotDhcp => "ignored: it is not for a DHCP server".into(),
            Reason::BadUdpLength => "ignored: its UDP length is wrong".into(),
            Reason::BadUdpChecksum => "ignored: its UDP checksum is wrong".into(),
            Reason::OtherHost => "ignored: it is for another host".into(),
        }
    }

    fn option(&self, code: u8) -> Option<Ipv4Addr> {
        self.message?.address(code)
    }

    fn address(&self) -> String {
        let address = self.row.address.map(|address| address.to_string());
        address.unwrap_or_else(|| "its address".into())
    }

    fn gateway(&self) -> String {
        let gateway = self.row.gateway.map(|gateway| gateway.to_string());
        gateway.unwrap_or_else(|| "the gateway".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::frame::Frame;
    use crate::guest::frame::tests::frame;
    use crate::table::tests::row;
    use std::collections::BTreeSet;

    fn told(outcome: Option<&str>, reason: Option<&str>, options: &[u8]) -> String {
        let row = LinkRow {
            address: Some("203.0.113.7".parse().unwrap()),
            gateway: Some("169.254.0.1".parse().unwrap()),
            mac: Some("52:54:00:12:34:56".into()),
            ..row("virbr1")
        };
        let mut bytes = frame(&[], &[], options);
        // No ciaddr.
        bytes[14 + 28 + 12..14 + 28 + 16].fill(0);
        let message = Frame::read(&bytes).message;
        let seen = SeenFrame {
            at: String::new(),
            outcome: outcome.map(str::to_owned),
            reason: reason.map(str::to_owned),
            frame: String::new(),
        };
        why(&seen, message.as_ref(), &row)
    }

    #[test]
    fn every_outcome_and_every_reason_has_a_sentence_of_its_own() {
        let outcomes = Outcome::ALL.iter().map(|o| told(Some(o.name()), None, &[]));
        let reasons = Reason::ALL.iter().map(|r| told(None, Some(r.name()), &[]));
        let sentences: Vec<String> = outcomes.chain(reasons).collect();
        let different: BTreeSet<&String> = sentences.iter().collect();
        // A NAK of a request that names no address is the same in the four states.
        assert_eq!(different.len(), sentences.len() - 3, "{sentences:#?}");
        assert!(sentences.iter().all(|s| !s.contains("version")));
        assert!(told(None, Some("of_tomorrow"), &[]).contains("version"));
    }

    #[test]
    fn a_sentence_has_the_facts_in_it() {
        let other = [198, 51, 100, 7];
        let named = [&[50, 4][..], &other].concat();
        let server = [&[54, 4][..], &other].concat();
        let table = [
            (Some("offer"), None, &[][..], "offered 203.0.113.7"),
            (Some("offer"), None, &named, "it hoped for 198.51.100.7"),
            (
                Some("nak_init_reboot"),
                None,
                &named,
                "refused: it remembered 198.51.100.7, which is not its address; it begins anew and gets 203.0.113.7",
            ),
            (
                Some("nak_renewing"),
                None,
                &named,
                "it wanted to keep 198.51.100.7",
            ),
            (
                None,
                Some("other_mac"),
                &[],
                "ignored: the link belongs to 52:54:00:12:34:56, and this is 52:54:00:00:00:02",
            ),
            (
                None,
                Some("other_server"),
                &server,
                "ignored: it is for the DHCP server 198.51.100.7, and this one is 169.254.0.1",
            ),
            (None, Some("decline"), &[], "somebody else has 203.0.113.7"),
            (None, Some("relayed"), &[], "(192.0.2.4)"),
            (
                None,
                Some("reply_too_large"),
                &[57, 2, 5, 220],
                "the 1500 bytes",
            ),
            (None, Some("bad_message_type"), &[53, 1, 99], "the type 63"),
        ];
        for (outcome, reason, options, part) in table {
            let sentence = told(outcome, reason, options);
            assert!(
                sentence.contains(part),
                "{outcome:?} {reason:?}: {sentence}"
            );
        }
    }
}
