//! Agent to responder.

use crate::Malformed;
use crate::record::{Reader, Writer};
use slash32_binding::{
    Binding, Generation, Ipv4Addr, List, MOST_OVERLAY_BYTES, Overlays, Prefix, Route, Routers,
};

/// No message to a responder is longer than this many bytes.
pub const MAX_DOWN: usize = 4096;

/// A message from the agent.
// A responder decodes one such message at a time, on its stack; boxing would need an allocator.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToResponder {
    /// A new or changed binding. With a new generation, or another gateway, the packet socket and the idle socket come along
    /// (`SCM_RIGHTS`, in this order; the idle socket may be missing).
    Hello(Hello),
    /// The host route of this generation is installed: its first ACK may leave.
    Confirm(Generation),
    /// This generation is over: close its sockets, forget its binding.
    End(Generation),
    /// Answer with the frames that are kept, and then a State.
    Inquire,
    /// Exit.
    Quit,
}

/// What a responder needs to serve its one VM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The number of this binding; a larger one than before is a new VM or a new address.
    pub generation: Generation,
    /// The host route is there already: the first ACK need not wait for a Confirm.
    pub confirmed: bool,
    /// What the VM gets.
    pub binding: Binding,
}

const HELLO: u16 = 1;
const CONFIRM: u16 = 2;
const END: u16 = 3;
const INQUIRE: u16 = 4;
const QUIT: u16 = 5;

impl ToResponder {
    /// Writes the message to the front of `out` and returns its length.
    pub fn encode(&self, out: &mut [u8; MAX_DOWN]) -> usize {
        match self {
            Self::Hello(hello) => {
                let mut w = Writer::message(out, HELLO);
                w.u64(hello.generation.0);
                w.flag(hello.confirmed);
                write_binding(&mut w, &hello.binding);
                w.finish()
            }
            Self::Confirm(generation) => generation_message(out, CONFIRM, *generation),
            Self::End(generation) => generation_message(out, END, *generation),
            Self::Inquire => Writer::message(out, INQUIRE).finish(),
            Self::Quit => Writer::message(out, QUIT).finish(),
        }
    }

    /// Reads one record. Errors: [`Malformed`] for anything that [`ToResponder::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (kind, mut r) = Reader::message(bytes)?;
        let message = match kind {
            HELLO => Self::Hello(Hello {
                generation: Generation(r.u64()?),
                confirmed: r.flag()?,
                binding: read_binding(&mut r)?,
            }),
            CONFIRM => Self::Confirm(Generation(r.u64()?)),
            END => Self::End(Generation(r.u64()?)),
            INQUIRE => Self::Inquire,
            QUIT => Self::Quit,
            _ => return Err(Malformed::Message),
        };
        r.finish(message)
    }
}

fn generation_message(out: &mut [u8], kind: u16, generation: Generation) -> usize {
    let mut w = Writer::message(out, kind);
    w.u64(generation.0);
    w.finish()
}

fn write_binding(w: &mut Writer<'_>, b: &Binding) {
    w.address(b.address);
    w.address(b.netmask);
    w.address(b.gateway);
    w.option(b.former_gateway, Writer::address);
    w.mac(b.server_mac);
    w.option(b.chaddr, Writer::mac);
    w.u32(b.lease_time);
    w.option(b.renewal_time, Writer::u32);
    w.option(b.rebinding_time, Writer::u32);
    w.flag(b.rapid_commit);
    w.u32(b.ipv6_only_wait);
    w.u32(b.fuzz_seed);
    w.flag(b.routers == Routers::Rfc3442);
    w.list(&b.routes, |w, route| {
        w.prefix(route.to);
        w.address(route.via);
    });
    w.list(&b.dns, Writer::address);
    w.list(&b.ntp, Writer::address);
    w.list(&b.tftp_servers, Writer::address);
    w.u16(b.mtu);
    w.text(&b.hostname);
    w.text(&b.domain);
    w.text(&b.search);
    w.address(b.next_server);
    w.text(&b.server_name);
    w.text(&b.boot_file);
    w.list(&b.raw, Writer::u8);
    w.list(b.overlays.as_bytes(), Writer::u8);
}

fn read_binding(r: &mut Reader<'_>) -> Result<Binding, Malformed> {
    let no_route = Route {
        to: Prefix::DEFAULT,
        via: Ipv4Addr::UNSPECIFIED,
    };
    Ok(Binding {
        address: r.address()?,
        netmask: r.address()?,
        gateway: r.address()?,
        former_gateway: r.option(Reader::address)?,
        server_mac: r.mac()?,
        chaddr: r.option(Reader::mac)?,
        lease_time: r.u32()?,
        renewal_time: r.option(Reader::u32)?,
        rebinding_time: r.option(Reader::u32)?,
        rapid_commit: r.flag()?,
        ipv6_only_wait: r.u32()?,
        fuzz_seed: r.u32()?,
        routers: if r.flag()? {
            Routers::Rfc3442
        } else {
            Routers::Always
        },
        routes: r.list(no_route, |r| {
            Ok(Route {
                to: r.prefix()?,
                via: r.address()?,
            })
        })?,
        dns: r.list(Ipv4Addr::UNSPECIFIED, Reader::address)?,
        ntp: r.list(Ipv4Addr::UNSPECIFIED, Reader::address)?,
        tftp_servers: r.list(Ipv4Addr::UNSPECIFIED, Reader::address)?,
        mtu: r.u16()?,
        hostname: r.text()?,
        domain: r.text()?,
        search: r.text()?,
        next_server: r.address()?,
        server_name: r.text()?,
        boot_file: r.text()?,
        raw: r.list(0, Reader::u8)?,
        overlays: {
            let bytes: List<u8, MOST_OVERLAY_BYTES> = r.list(0, Reader::u8)?;
            Overlays::from_bytes(&bytes).ok_or(Malformed::Message)?
        },
    })
}

/// Writes a binding to the front of `out`, as a [`Hello`] carries it, and returns its length: a hundred bytes or two for most,
/// where a [`Binding`] takes three thousand.
pub fn encode_binding(binding: &Binding, out: &mut [u8; MAX_DOWN]) -> usize {
    let mut w = Writer::message(out, HELLO);
    write_binding(&mut w, binding);
    w.finish()
}

/// Reads what [`encode_binding`] has written. Errors: [`Malformed`] for anything else.
pub fn decode_binding(bytes: &[u8]) -> Result<Binding, Malformed> {
    let (_, mut r) = Reader::message(bytes)?;
    let binding = read_binding(&mut r)?;
    r.finish(binding)
}

/// A number that two bindings share only when they tell a VM the same (FNV-1a, 64 bits): the agent sees by it whether the
/// last ACK told what is in force now. What only says where requests come to does not count.
pub fn digest(binding: &Binding) -> u64 {
    let told = Binding {
        former_gateway: None,
        ..*binding
    };
    let mut out = [0; MAX_DOWN];
    let length = encode_binding(&told, &mut out);
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    out[..length].iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
