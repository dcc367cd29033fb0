//! The frames that are counted: recorded ones, and some made of them. None has IP options.

/// Bytes in front of the first record of a pcap file, and in front of each frame.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// Where the IPv4 header, the UDP header, the DHCP message, `chaddr` and the options begin.
const IP: usize = 14;
const UDP: usize = IP + 20;
const MESSAGE: usize = UDP + 8;
const CHADDR: usize = MESSAGE + 28;
const OPTIONS: usize = MESSAGE + 240;

/// Frame `number`, from 0, of a little-endian pcap file; empty when there are not as many.
pub(crate) fn recorded(capture: &[u8], number: usize) -> Vec<u8> {
    let mut rest = &capture[FILE_HEADER..];
    let mut frames = std::iter::from_fn(|| {
        let (header, behind) = rest.split_first_chunk::<RECORD_HEADER>()?;
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let (frame, behind) = behind.split_at_checked(length as usize)?;
        rest = behind;
        Some(frame)
    });
    frames.nth(number).unwrap_or_default().to_vec()
}

/// The same of another client.
pub(crate) fn another(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[CHADDR + 5] ^= 0xff;
    mend(&mut frame);
    frame
}

/// The same with a parameter request list of every code that one can have.
pub(crate) fn many_codes(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame[..OPTIONS].to_vec();
    frame.extend([53, 1, 1, 55, 254]);
    frame.extend(1..=254);
    frame.push(255);
    mend(&mut frame);
    frame
}

/// The same with a last option that is longer than what is left of the message.
pub(crate) fn past_the_end(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if let Some(end) = frame[OPTIONS..].iter().rposition(|byte| *byte == 255) {
        frame.truncate(OPTIONS + end);
    }
    frame.extend([12, 200]);
    mend(&mut frame);
    frame
}

/// Writes the lengths and the checksum of the IPv4 header; 0 as that of UDP, which is "not computed" (RFC 768).
fn mend(frame: &mut [u8]) {
    let length = frame.len() as u16;
    frame[IP + 2..IP + 4].copy_from_slice(&(length - IP as u16).to_be_bytes());
    frame[IP + 10..IP + 12].fill(0);
    let (words, _) = frame[IP..UDP].as_chunks();
    let sum: u32 = words
        .iter()
        .map(|word| u32::from(u16::from_be_bytes(*word)))
        .sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[IP + 10..IP + 12].copy_from_slice(&checksum.to_be_bytes());
    frame[UDP + 4..UDP + 6].copy_from_slice(&(length - UDP as u16).to_be_bytes());
    frame[UDP + 6..UDP + 8].fill(0);
}
