//! What is told of a frame: who sent it, what it said, what became of it.

use super::client::client;
use super::frame::{Frame, Message};
use super::{hex, option, text, unhex, why};
use crate::output::clean;
use serde::Serialize;
use slash32_binding::Ipv4Addr;
use slash32_control::{LinkRow, SeenFrame};
use std::collections::BTreeMap;

/// The guest's last request. All texts can be printed as they are.
#[derive(Serialize)]
pub(crate) struct Request {
    /// When it came: RFC 3339, in UTC.
    pub(crate) at: String,
    /// How it was answered, by the name of the counter.
    pub(crate) outcome: Option<String>,
    /// Why it was not answered, by the name of the counter.
    pub(crate) reason: Option<String>,
    /// The same for people, in a sentence.
    pub(crate) why: String,
    /// Which software sent it, and what that guess rests on.
    pub(crate) client: Option<String>,
    /// Option 53: `DISCOVER`, or a number without a name.
    pub(crate) message_type: Option<String>,
    /// `chaddr`.
    pub(crate) mac: Option<String>,
    /// Option 61, in hexadecimal with colons.
    pub(crate) client_id: Option<String>,
    /// Option 12.
    pub(crate) hostname: Option<String>,
    /// Option 81.
    pub(crate) fqdn: Option<String>,
    /// Option 60.
    pub(crate) vendor_class: Option<String>,
    /// Option 77.
    pub(crate) user_class: Option<String>,
    /// Option 93.
    pub(crate) architecture: Option<Vec<u16>>,
    /// Option 50.
    pub(crate) requested_address: Option<Ipv4Addr>,
    /// Option 54.
    pub(crate) server_identifier: Option<Ipv4Addr>,
    /// The address that it has; `None` for 0.0.0.0.
    pub(crate) ciaddr: Option<Ipv4Addr>,
    /// Option 57.
    pub(crate) max_message_size: Option<u16>,
    /// Option 55, in its order.
    pub(crate) parameter_request_list: Option<Vec<Asked>>,
    /// Every option by its code, in hexadecimal.
    pub(crate) options: BTreeMap<u8, String>,
    /// The whole frame, in hexadecimal.
    pub(crate) frame: String,
}

/// An option that a client asks for.
#[derive(Serialize)]
pub(crate) struct Asked {
    pub(crate) code: u8,
    pub(crate) name: Option<&'static str>,
}

/// Another DHCP server that was seen on the link. All texts can be printed as they are.
#[derive(Serialize)]
pub(crate) struct OtherServer {
    /// Option 54.
    pub(crate) identifier: Option<Ipv4Addr>,
    /// The IP source of its reply; `None` when only a request to it was seen.
    pub(crate) source: Option<Ipv4Addr>,
    /// The MAC address that its reply came from; `None` when only a request to it was seen.
    pub(crate) mac: Option<String>,
    /// What was seen: `OFFER`, or a `REQUEST` to it.
    pub(crate) message: Option<String>,
    /// The address that it offers or gives.
    pub(crate) address: Option<Ipv4Addr>,
    /// When: RFC 3339, in UTC.
    pub(crate) at: String,
}

impl Request {
    /// Decodes a frame that came in on the link that `row` shows.
    pub(crate) fn read(seen: &SeenFrame, row: &LinkRow) -> Self {
        let message = message(seen);
        let get = |code| message.as_ref().and_then(|message| message.bytes(code));
        let address = |code| message.as_ref().and_then(|message| message.address(code));
        let (vendor_class, user_class) = (get(option::VENDOR_CLASS), get(option::USER_CLASS));
        let list = get(option::PARAMETER_REQUEST_LIST);
        let asked = |code: &u8| Asked {
            code: *code,
            name: option::name(*code),
        };
        Self {
            at: clean(&seen.at),
            outcome: seen.outcome.as_deref().map(clean),
            reason: seen.reason.as_deref().map(clean),
            why: why::why(seen, message.as_ref(), row),
            client: client(vendor_class, user_class, list),
            message_type: message.as_ref().and_then(message_type),
            mac: message.as_ref().map(|message| message.chaddr.to_string()),
            client_id: get(option::CLIENT_IDENTIFIER).map(|id| hex(id, ":")),
            hostname: get(option::HOST_NAME).map(text),
            fqdn: get(option::FQDN).map(fqdn),
            vendor_class: vendor_class.map(text),
            user_class: user_class.map(self::user_class),
            architecture: get(option::ARCHITECTURE).map(numbers),
            requested_address: address(option::REQUESTED_ADDRESS),
            server_identifier: address(option::SERVER_IDENTIFIER),
            ciaddr: message.as_ref().and_then(|message| some(message.ciaddr)),
            max_message_size: message
                .as_ref()
                .and_then(|m| m.number(option::MAXIMUM_SIZE)),
            parameter_request_list: list.map(|list| list.iter().map(asked).collect()),
            options: message
                .iter()
                .flat_map(|message| &message.options)
                .map(|(code, value)| (*code, hex(value, "")))
                .collect(),
            frame: clean(&seen.frame),
        }
    }
}

/// The other servers that the two frames tell of: at most one is in each.
pub(crate) fn other_servers(
    other_server: Option<&SeenFrame>,
    last_request: Option<&SeenFrame>,
) -> Vec<OtherServer> {
    let named = last_request.filter(|seen| seen.reason.as_deref() == Some("other_server"));
    let mut servers: Vec<OtherServer> = Vec::new();
    for server in other_server.into_iter().chain(named).map(OtherServer::read) {
        if servers
            .iter()
            .all(|known| known.identifier != server.identifier)
        {
            servers.push(server);
        }
    }
    servers
}

impl OtherServer {
    fn read(seen: &SeenFrame) -> Self {
        let frame = Frame::read(&unhex(&seen.frame).unwrap_or_default());
        let is_reply = seen.reason.as_deref() == Some("other_servers_reply");
        let message = frame.message.as_ref();
        let given = message.map_or(Ipv4Addr::UNSPECIFIED, |message| message.yiaddr);
        Self {
            identifier: message.and_then(|message| message.address(option::SERVER_IDENTIFIER)),
            source: frame.source.filter(|_| is_reply),
            mac: frame
                .source_mac
                .filter(|_| is_reply)
                .map(|mac| mac.to_string()),
            message: message.and_then(message_type),
            address: some(given).filter(|_| is_reply),
            at: clean(&seen.at),
        }
    }
}

fn message(seen: &SeenFrame) -> Option<Message> {
    Frame::read(&unhex(&seen.frame)?).message
}

fn message_type(message: &Message) -> Option<String> {
    let value = message.bytes(option::MESSAGE_TYPE)?;
    let known = value
        .first()
        .filter(|_| value.len() == 1)
        .and_then(|value| option::message_type(*value));
    Some(known.map_or_else(|| format!("type {}", hex(value, "")), str::to_owned))
}

/// `None` for 0.0.0.0.
fn some(address: Ipv4Addr) -> Option<Ipv4Addr> {
    (!address.is_unspecified()).then_some(address)
}

fn numbers(bytes: &[u8]) -> Vec<u16> {
    let pairs = bytes.chunks_exact(2);
    pairs
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect()
}

/// Pieces that each have their length before them, up to `end`; `None` when they do not add up to the bytes before that.
fn pieces(mut bytes: &[u8], end: Option<u8>) -> Option<Vec<&[u8]>> {
    let mut pieces = Vec::new();
    while let Some((&length, rest)) = bytes.split_first() {
        if Some(length) == end {
            return Some(pieces);
        }
        let (piece, rest) = rest.split_at_checked(length.into())?;
        pieces.push(piece);
        bytes = rest;
    }
    Some(pieces)
}

/// Option 77: the classes of RFC 3004 §4, or, as iPXE sends it, a plain text.
fn user_class(value: &[u8]) -> String {
    let classes = pieces(value, None).filter(|classes| !classes.iter().any(|c| c.is_empty()));
    match classes {
        Some(classes) => {
            let classes: Vec<String> = classes.into_iter().map(text).collect();
            classes.join(", ")
        }
        None => text(value),
    }
}

/// Option 81 (RFC 4702 §2): flags, two bytes that are of no use any more, and the name, as labels when the flag E is set. A
/// name that does not keep to its own rules is shown as the bytes that it is.
fn fqdn(value: &[u8]) -> String {
    const E: u8 = 0b100;
    let (Some(flags), Some(name)) = (value.first(), value.get(3..)) else {
        return text(value);
    };
    let labels = (flags & E != 0)
        .then(|| pieces(name, Some(0)))
        .flatten()
        .filter(|labels| labels.iter().all(|label| label.len() <= 63));
    match labels {
        Some(labels) => {
            let labels: Vec<String> = labels.into_iter().map(text).collect();
            labels.join(".")
        }
        None => text(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::frame::tests::frame;
    use crate::table::tests::row;
    use proptest::prelude::*;

    fn seen(reason: &str, options: &[u8]) -> SeenFrame {
        SeenFrame {
            at: "2026-11-22T10:41:00Z".into(),
            outcome: None,
            reason: Some(reason.into()),
            frame: hex(&frame(&[], &[], options), ""),
        }
    }

    #[test]
    fn a_user_class_is_a_list_or_a_plain_text() {
        assert_eq!(user_class(b"iPXE"), "iPXE");
        assert_eq!(user_class(b"\x04gold\x03lab"), "gold, lab");
        assert_eq!(user_class(b"\x04gold\x00"), "\\u{4}gold\\0");
        assert_eq!(user_class(b"\x09gold"), "\\tgold");
    }

    #[test]
    fn item_90_a_name_is_labels_or_text_and_a_loop_is_only_shown() {
        let table: [(&[u8], &str); 7] = [
            (b"\x05\0\0\x03web\x07example\0", "web.example"),
            (b"\x01\0\0web.example", "web.example"),
            (b"\x05\0\0\x03web\xc0\x00", "\\u{3}web\\xc0\\0"),
            (b"\x05\0\0\xc0\x03", "\\xc0\\u{3}"),
            (b"\x05\0\0\x03w\x1bb", "w\\u{1b}b"),
            (b"\x05", "\\u{5}"),
            (b"", ""),
        ];
        for (value, expected) in table {
            assert_eq!(fqdn(value), expected, "{value:?}");
        }
        // A label of more than 63 bytes is a pointer, or nothing at all.
        let long = [&[5, 0, 0, 64][..], &[b'a'; 64], &[0]].concat();
        assert_eq!(fqdn(&long), format!("@{}\\0", "a".repeat(64)));
    }

    #[test]
    fn another_server_is_told_once_and_its_own_word_first() {
        let reply = seen("other_servers_reply", &[53, 1, 2, 54, 4, 198, 51, 100, 1]);
        let same = seen("other_server", &[53, 1, 3, 54, 4, 198, 51, 100, 1]);
        let third = seen("other_server", &[53, 1, 3, 54, 4, 198, 51, 100, 3]);
        let told = |other, request| {
            let servers = other_servers(other, request);
            let of = |server: OtherServer| (server.identifier, server.mac, server.message);
            servers.into_iter().map(of).collect::<Vec<_>>()
        };
        let word = (
            Some(Ipv4Addr::new(198, 51, 100, 1)),
            Some("52:54:00:00:00:01".to_owned()),
            Some("OFFER".to_owned()),
        );
        let named = |last| {
            let identifier = Some(Ipv4Addr::new(198, 51, 100, last));
            (identifier, None, Some("REQUEST".to_owned()))
        };
        assert_eq!(told(Some(&reply), Some(&third)), [word.clone(), named(3)]);
        assert_eq!(told(Some(&reply), Some(&same)), [word]);
        assert_eq!(told(Some(&same), Some(&same)), [named(1)]);
        assert_eq!(told(None, Some(&seen("decline", &[]))), []);
    }

    /// What may stand in a terminal or in JSON as it is.
    fn is_clean(text: &str) -> bool {
        text.chars()
            .all(|c| matches!(c, '"' | '\'' | '\\') || c.escape_debug().eq([c]))
    }

    proptest! {
        #[test]
        fn item_90_whatever_a_guest_sends_every_text_is_clean(
            options in prop::collection::vec(any::<u8>(), 0..64),
            value in prop::collection::vec(any::<u8>(), 0..64),
            code in prop::sample::select(vec![12_u8, 53, 60, 61, 77, 81]),
        ) {
            let mut bytes = vec![code, value.len() as u8];
            bytes.extend(&value);
            bytes.extend(&options);
            let mut seen = seen("\u{1b}[2J", &bytes);
            let read = Request::read(&seen, &row("virbr1"));
            for text in serde_json::to_value(&read).unwrap().as_object().unwrap().values().filter_map(|v| v.as_str()) {
                prop_assert!(is_clean(text), "{:?}", text);
            }
            seen.reason = Some("other_servers_reply".into());
            for server in other_servers(Some(&seen), None) {
                prop_assert!(server.message.is_none_or(|message| is_clean(&message)));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_frame_tell_nothing_and_stop_nothing() {
        for frame in ["", "0", "zz", "\u{1b}[2J", "ffffffffffff"] {
            let broken = SeenFrame {
                frame: frame.into(),
                ..seen("decline", &[])
            };
            let read = Request::read(&broken, &row("virbr1"));
            assert!(read.mac.is_none() && read.options.is_empty(), "{frame:?}");
            assert!(is_clean(&read.frame), "{frame:?}");
        }
    }
}
