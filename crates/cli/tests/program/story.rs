//! What `show` tells of a guest's own frames.

use crate::agent::Agent;
use crate::output;
use serde_json::{Value, json};
use slash32_control::SeenFrame;

/// A message of the MAC 52:54:00:00:00:02 behind 52:54:00:00:00:01, from port `source_port`, and no more of it than `show`
/// reads.
fn frame(source_port: u8, yiaddr: [u8; 4], options: &[(u8, &[u8])]) -> String {
    let mut message = vec![0; 240];
    message[16..20].copy_from_slice(&yiaddr);
    message[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 2]);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    for (code, value) in options {
        message.extend([*code, value.len() as u8]);
        message.extend(*value);
    }
    message.push(255);
    let mut frame = vec![0xff; 6];
    frame.extend([0x52, 0x54, 0, 0, 0, 1, 8, 0, 0x45]);
    frame.extend([0; 11]);
    frame.extend([
        192,
        0,
        2,
        9,
        255,
        255,
        255,
        255,
        0,
        source_port,
        0,
        135 - source_port,
    ]);
    frame.extend((message.len() as u16 + 8).to_be_bytes());
    frame.extend([0; 2]);
    frame.extend(message);
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answered(outcome: &str, frame: String) -> Option<SeenFrame> {
    Some(SeenFrame {
        at: "2026-11-22T10:41:00Z".into(),
        outcome: Some(outcome.into()),
        reason: None,
        frame,
    })
}

fn ignored(reason: &str, frame: String) -> Option<SeenFrame> {
    Some(SeenFrame {
        at: "2026-11-22T10:41:30Z".into(),
        outcome: None,
        reason: Some(reason.into()),
        frame,
    })
}

/// The section of `show web1` with this title, without how long ago anything was.
fn section(agent: &Agent, title: &str) -> String {
    let page = output(agent.path(), "show web1");
    let lines = page.lines().skip_while(|line| *line != title).skip(1);
    let lines = lines.take_while(|line| line.starts_with(' '));
    lines
        .map(|line| match line.split_once("Z, ") {
            Some((line, ago)) => {
                assert!(ago.ends_with(" ago"), "{line}: {ago}");
                format!("{line}Z\n")
            }
            None => format!("{line}\n"),
        })
        .collect()
}

/// As udhcpc and iPXE and who knows who would send it.
fn talkative() -> String {
    frame(
        68,
        [0; 4],
        &[
            (53, &[3]),
            (61, &[1, 0x52, 0x54, 0, 0, 0, 2]),
            (12, b"web1"),
            (81, b"\x05\0\0\x04web1\x07example\0"),
            (60, b"udhcp 1.35.0"),
            (77, b"\x04gold"),
            (93, &[0, 7, 0xff, 0]),
            (50, &[203, 0, 113, 7]),
            (54, &[169, 254, 0, 1]),
            (57, &[2, 64]),
            (55, &[1, 3, 121, 224]),
        ],
    )
}

#[test]
fn show_tells_who_asked_for_what_and_what_became_of_it() {
    let agent = Agent::start();
    agent.see(answered("ack_selecting", talkative()), None);
    let expected = "\x20 received       2026-11-22T10:41:00Z
  message        REQUEST
  client         BusyBox udhcpc (by its vendor class)
  mac            52:54:00:00:00:02
  client id      01:52:54:00:00:00:02
  hostname       web1
  fqdn           web1.example
  vendor class   udhcp 1.35.0
  user class     gold
  architecture   x64-uefi (7), 65280
  wants address  203.0.113.7
  of server      169.254.0.1
  takes up to    576 bytes
  asks for       subnet mask (1), router (3), classless static route (121), 224
  answer         acknowledged: it took the offer of 203.0.113.7
  counted as     ack_selecting
";
    assert_eq!(section(&agent, "last request"), expected);
    assert_eq!(section(&agent, "other DHCP servers"), "");
}

#[test]
fn show_json_has_the_request_decoded_and_as_it_came() {
    let agent = Agent::start();
    agent.see(answered("ack_selecting", talkative()), None);
    let shown: Value = serde_json::from_str(&output(agent.path(), "show web1 --json")).unwrap();
    let expected = json!({
        "at": "2026-11-22T10:41:00Z",
        "outcome": "ack_selecting",
        "reason": null,
        "why": "acknowledged: it took the offer of 203.0.113.7",
        "client": "BusyBox udhcpc (by its vendor class)",
        "message_type": "REQUEST",
        "mac": "52:54:00:00:00:02",
        "client_id": "01:52:54:00:00:00:02",
        "hostname": "web1",
        "fqdn": "web1.example",
        "vendor_class": "udhcp 1.35.0",
        "user_class": "gold",
        "architecture": [7, 65280],
        "requested_address": "203.0.113.7",
        "server_identifier": "169.254.0.1",
        "ciaddr": null,
        "max_message_size": 576,
        "parameter_request_list": [
            { "code": 1, "name": "subnet mask" },
            { "code": 3, "name": "router" },
            { "code": 121, "name": "classless static route" },
            { "code": 224, "name": null },
        ],
        "options": {
            "12": "77656231", "50": "cb007107", "53": "03", "54": "a9fe0001", "55": "010379e0", "57": "0240",
            "60": "756468637020312e33352e30", "61": "01525400000002", "77": "04676f6c64",
            "81": "0500000477656231076578616d706c6500", "93": "0007ff00",
        },
        "frame": talkative(),
    });
    assert_eq!(shown["last_request"], expected);
    assert_eq!(shown["other_servers"], json!([]));
}

#[test]
fn show_says_why_a_request_was_refused_or_ignored() {
    let agent = Agent::start();
    let wrong = frame(68, [0; 4], &[(53, &[3]), (50, &[198, 51, 100, 7])]);
    agent.see(answered("nak_init_reboot", wrong.clone()), None);
    let told = section(&agent, "last request");
    assert!(
        told.contains(
            "refused: it remembered 198.51.100.7, which is not its address; it begins anew and gets 203.0.113.7"
        ),
        "{told}"
    );
    agent.see(ignored("other_mac", wrong), None);
    let told = section(&agent, "last request");
    assert!(
        told.contains(
            "ignored: the link belongs to 52:54:00:12:34:56, and this is 52:54:00:00:00:02"
        ),
        "{told}"
    );
    assert!(told.contains("counted as     other_mac"), "{told}");
}

#[test]
fn show_names_the_other_servers_and_says_what_to_do() {
    let agent = Agent::start();
    let offer = frame(
        67,
        [198, 51, 100, 7],
        &[(53, &[2]), (54, &[198, 51, 100, 1])],
    );
    let request = frame(68, [0; 4], &[(53, &[3]), (54, &[192, 0, 2, 1])]);
    let ours = frame(67, [203, 0, 113, 7], &[(53, &[5]), (54, &[169, 254, 0, 1])]);
    agent.see(
        ignored("other_server", request),
        ignored("other_servers_reply", offer),
    );
    let expected = "\x20 198.51.100.1  OFFER of 198.51.100.7, from 52:54:00:00:00:01  2026-11-22T10:41:30Z
  192.0.2.1     named in a REQUEST of the guest                2026-11-22T10:41:30Z
  The VM may take an address from there. Nobody else is to serve DHCP on a VM's link: stop that server,
  which runs in the VM itself or behind another port of the link.
";
    assert_eq!(section(&agent, "other DHCP servers"), expected);
    let shown: Value = serde_json::from_str(&output(agent.path(), "show web1 --json")).unwrap();
    let expected = json!([
        {
            "identifier": "198.51.100.1", "source": "192.0.2.9", "mac": "52:54:00:00:00:01", "message": "OFFER",
            "address": "198.51.100.7", "at": "2026-11-22T10:41:30Z",
        },
        {
            "identifier": "192.0.2.1", "source": null, "mac": null, "message": "REQUEST",
            "address": null, "at": "2026-11-22T10:41:30Z",
        },
    ]);
    assert_eq!(shown["other_servers"], expected);

    agent.see(None, ignored("other_servers_reply", ours));
    let told = section(&agent, "other DHCP servers");
    assert!(told.contains("look for a loop"), "{told}");
    assert!(!told.contains("stop that server"), "{told}");
}

#[test]
fn item_90_a_guests_text_cannot_write_to_the_terminal_or_break_a_row() {
    let agent = Agent::start();
    let hostile: [&[u8]; 6] = [
        b"\x1b[2J\x1b]0;owned\x07",
        b"web1\0\r\n  answer  acknowledged",
        "\u{9b}31m".as_bytes(),
        "\u{202e}1bew".as_bytes(),
        b"\xff\xfe\x80",
        &[b'a'; 255],
    ];
    for text in hostile {
        let [fqdn, user_class] = [[&[0, 0, 0], text].concat(), text.to_vec()];
        let options: [(u8, &[u8]); 6] = [
            (53, &[1]),
            (12, text),
            (60, text),
            (61, text),
            (77, &user_class),
            (81, &fqdn[..fqdn.len().min(255)]),
        ];
        agent.see(answered("offer", frame(68, [0; 4], &options)), None);
        let page = output(agent.path(), "show web1");
        assert!(
            page.chars()
                .all(|c| c == '\n' || c.escape_debug().eq([c]) || "\\'\"".contains(c)),
            "{page:?}"
        );
        let rows = page.lines().filter(|line| line.starts_with("  answer"));
        assert_eq!(rows.count(), 1, "{page}");
        let json = output(agent.path(), "show web1 --json");
        assert!(
            json.chars()
                .all(|c| c == '\n' || c.escape_debug().eq([c]) || "\\'\"".contains(c)),
            "{json:?}"
        );
        let shown: Value = serde_json::from_str(&json).unwrap();
        for key in ["hostname", "vendor_class", "user_class", "fqdn"] {
            let told = shown["last_request"][key].as_str().unwrap();
            assert!(
                told.chars()
                    .all(|c| c.escape_debug().eq([c]) || "\\'\"".contains(c)),
                "{told:?}"
            );
        }
    }
}

#[test]
fn what_is_no_frame_at_all_is_shown_without_a_story() {
    let agent = Agent::start();
    for nonsense in ["", "0", "zz\u{1b}[2J", "ffff"] {
        agent.see(
            ignored("of_tomorrow", nonsense.into()),
            answered("?", nonsense.into()),
        );
        let told = section(&agent, "last request");
        assert!(told.contains("the agent is of another version"), "{told}");
        assert!(section(&agent, "other DHCP servers").contains("without identifier"));
    }
}
