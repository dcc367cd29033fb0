//! How a hook call waits for the agent: one file a call in `RUNTIME/hooks`, which a rename puts there whole.
//!
//! A file is the line `slash32 hook 1`, then the name of the hook and each argument as a netstring (`7:network,`), a line
//! feed, and what libvirt wrote to the hook's standard input. It is text that an operator can read; that it is well-formed
//! XML nobody has checked yet.

use crate::{Call, Fault, Hook};
use std::time::Duration;

/// The folder of the files, in the agent's runtime folder.
pub const FOLDER: &str = "hooks";

/// So long after the call its XML is waited for; what is not whole long after that never will be.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The largest file, in bytes. A domain with hundreds of devices is well below a tenth of it.
pub const MOST: usize = 4 << 20;

/// The first line; its number is that of the version of what follows.
const HEAD: &[u8] = b"slash32 hook 1\n";

/// The name of the file of a call made at `boottime` (nanoseconds since boot) by process `pid`. Names sort as the calls were
/// made.
pub fn name(boottime: u64, pid: u32) -> String {
    format!("{boottime:020}-{pid}.hook")
}

/// The name that the file has until it is whole.
pub fn temporary(name: &str) -> String {
    format!(".{name}")
}

/// Whether a file of this name in the folder is a whole call.
pub fn is_call(name: &str) -> bool {
    name.ends_with(".hook") && !name.starts_with('.')
}

/// When the call was made whose file has this name, whole or not: nanoseconds since boot.
pub fn made(name: &str) -> Option<u64> {
    let name = name.strip_prefix('.').unwrap_or(name);
    let (boottime, pid) = name.strip_suffix(".hook")?.split_once('-')?;
    let _: u32 = pid.parse().ok()?;
    boottime.parse().ok()
}

/// What the file holds.
pub fn encode(call: &Call) -> Vec<u8> {
    let mut bytes = HEAD.to_vec();
    let hook = call.hook.name();
    for text in std::iter::once(hook).chain(call.arguments.iter().map(String::as_str)) {
        bytes.extend_from_slice(format!("{}:{text},", text.len()).as_bytes());
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(call.xml.as_bytes());
    bytes
}

/// What a file held. Bytes that are no UTF-8 are taken for U+FFFD.
///
/// Errors: it is larger than [`MOST`], no such file, or of another version.
pub fn decode(bytes: &[u8]) -> Result<Call, Fault> {
    if bytes.len() > MOST {
        return Err(Fault("the hook call is larger than 4 MiB".into()));
    }
    let Some(mut rest) = bytes.strip_prefix(HEAD) else {
        return Err(Fault(
            "it is no hook call that this version of slash32 has written".into(),
        ));
    };
    let mut texts = Vec::new();
    let xml = loop {
        if let Some(xml) = rest.strip_prefix(b"\n") {
            break lossy(xml);
        }
        let (text, after) = netstring(rest)
            .ok_or_else(|| Fault("the hook call breaks off in its arguments".into()))?;
        texts.push(lossy(text));
        rest = after;
    };
    let mut texts = texts.into_iter();
    let hook = texts.next().and_then(|name| Hook::of_name(&name));
    let hook = hook.ok_or_else(|| Fault("it is the call of no hook that is known".into()))?;
    Ok(Call {
        hook,
        arguments: texts.collect(),
        xml,
    })
}

/// The text of the netstring at the start of `bytes`, and what comes after it.
fn netstring(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let length: usize = str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    let (text, after) = bytes[colon + 1..].split_at_checked(length)?;
    Some((text, after.strip_prefix(b",")?))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn started() -> Call {
        Call {
            hook: Hook::Qemu,
            arguments: ["vm13", "started", "begin", "-"].map(str::to_owned).into(),
            xml: "<domain type='kvm'/>\n".into(),
        }
    }

    #[test]
    fn a_file_is_text_that_an_operator_can_read() {
        let text = String::from_utf8(encode(&started())).unwrap();
        assert_eq!(
            text,
            "slash32 hook 1\n4:qemu,4:vm13,7:started,5:begin,1:-,\n<domain type='kvm'/>\n"
        );
    }

    #[test]
    fn names_sort_as_the_calls_were_made() {
        let early = name(999_999_999, 70_000);
        let late = name(1_000_000_000, 2);
        assert!(early < late, "{early} {late}");
        assert!(name(u64::MAX, u32::MAX) > late);
    }

    #[test]
    fn a_file_that_is_still_written_is_no_call_yet() {
        let name = name(1, 2);
        assert!(is_call(&name));
        assert!(!is_call(&temporary(&name)));
        assert!(!is_call("notes.txt"));
    }

    #[test]
    fn a_name_tells_when_the_call_was_made() {
        let name = name(7_000_000_001, 42);
        assert_eq!(made(&name), Some(7_000_000_001));
        assert_eq!(made(&temporary(&name)), Some(7_000_000_001));
        for other in ["", "7.hook", "7-1", "7-x.hook", "-1.hook", "..7-1.hook"] {
            assert_eq!(made(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_file_of_this_version_is_refused_with_a_reason() {
        let table: [(&[u8], &str); 8] = [
            (b"", "no hook call that this version"),
            (
                b"slash32 hook 2\n4:qemu,\n",
                "no hook call that this version",
            ),
            (b"slash32 hook 1\n", "breaks off"),
            (b"slash32 hook 1\n4:qemu,9:vm13,\n<domain/>", "breaks off"),
            (b"slash32 hook 1\n4:qemu;\n", "breaks off"),
            (
                b"slash32 hook 1\n18446744073709551615:qemu,\n",
                "breaks off",
            ),
            (b"slash32 hook 1\n3:lxc,\n", "no hook that is known"),
            (b"slash32 hook 1\n\n", "no hook that is known"),
        ];
        for (bytes, expected) in table {
            let text = String::from_utf8_lossy(bytes);
            let Fault(why) = decode(bytes).unwrap_err();
            assert!(why.contains(expected), "{text:?}: {why}");
        }
        let large = [HEAD, b"4:qemu,\n", &vec![b' '; MOST]].concat();
        assert!(decode(&large).unwrap_err().0.contains("larger"));
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_as_far_as_they_are() {
        let call = decode(b"slash32 hook 1\n4:qemu,5:vm\xff13,\n<domain>\xc3</domain>").unwrap();
        assert_eq!(call.arguments, ["vm\u{fffd}13"]);
        assert_eq!(call.xml, "<domain>\u{fffd}</domain>");
    }

    proptest! {
        #[test]
        fn what_is_decoded_is_what_was_encoded(
            is_qemu: bool,
            arguments in proptest::collection::vec("(?s).{0,20}", 0..8),
            xml in "(?s).{0,200}",
        ) {
            let hook = if is_qemu { Hook::Qemu } else { Hook::Network };
            let call = Call { hook, arguments, xml };
            prop_assert_eq!(decode(&encode(&call)), Ok(call));
        }

        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = decode(&[HEAD, &bytes].concat());
        }

        /// Each file differs from a right one in one byte.
        #[test]
        fn no_damage_does_harm(at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(&started());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode(&bytes);
            let _ = decode(&bytes[..at]);
        }
    }
}
