//! Agent to responder.

use crate::Malformed;
use crate::record::{Reader, Sink, Writer};
use slash32_binding::{
    Binding, Generation, Ipv4Addr, MOST_OVERLAY_BYTES, Overlays, Route, Routers,
};

/// No message to a responder is longer than this many bytes.
pub const MAX_DOWN: usize = 3264;

/// A message from the agent.
// One lives at a time, on a stack: that of the agent, for a responder reads a [`Word`].
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
                write_binding(&mut w, &hello.binding, hello.binding.former_gateway);
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
        Ok(match Word::read(bytes)? {
            Word::Hello(greeting) => {
                let unspecified = Ipv4Addr::UNSPECIFIED;
                let mut binding = Binding::new(unspecified, unspecified);
                greeting.unpack(&mut binding);
                Self::Hello(Hello {
                    generation: greeting.generation,
                    confirmed: greeting.confirmed,
                    binding,
                })
            }
            Word::Confirm(generation) => Self::Confirm(generation),
            Word::End(generation) => Self::End(generation),
            Word::Inquire => Self::Inquire,
            Word::Quit => Self::Quit,
        })
    }
}

/// A [`ToResponder`] as a responder reads it: the binding of a Hello is checked, and still packed.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Word<'a> {
    Hello(Greeting<'a>),
    Confirm(Generation),
    End(Generation),
    Inquire,
    Quit,
}

/// A [`Hello`] whose binding is to be unpacked where it shall lie.
#[derive(Clone, Copy, Debug)]
pub struct Greeting<'a> {
    /// As in [`Hello`].
    pub generation: Generation,
    /// As in [`Hello`].
    pub confirmed: bool,
    /// Was read to its end once without an error.
    binding: Reader<'a>,
}

impl Greeting<'_> {
    /// Puts the binding in the place of another one. What the other one does not use either is not written to.
    pub fn unpack(&self, place: &mut Binding) {
        let checked = read_binding(&mut self.binding.clone(), Some(place));
        debug_assert_eq!(checked, Ok(()));
    }
}

impl<'a> Word<'a> {
    /// Reads one record. Errors: [`Malformed`] for anything that [`ToResponder::encode`] does not write.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, mut r) = Reader::message(bytes)?;
        let word = match kind {
            HELLO => {
                let greeting = Greeting {
                    generation: Generation(r.u64()?),
                    confirmed: r.flag()?,
                    binding: r,
                };
                read_binding(&mut r, None)?;
                Self::Hello(greeting)
            }
            CONFIRM => Self::Confirm(Generation(r.u64()?)),
            END => Self::End(Generation(r.u64()?)),
            INQUIRE => Self::Inquire,
            QUIT => Self::Quit,
            _ => return Err(Malformed::Message),
        };
        r.finish(word)
    }
}

fn generation_message(out: &mut [u8], kind: u16, generation: Generation) -> usize {
    let mut w = Writer::message(out, kind);
    w.u64(generation.0);
    w.finish()
}

fn write_binding<S: Sink>(w: &mut Writer<S>, b: &Binding, former_gateway: Option<Ipv4Addr>) {
    w.address(b.address);
    w.address(b.netmask);
    w.address(b.gateway);
    w.option(former_gateway, Writer::address);
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

/// Reads a binding into `place`; with `None` it is only checked.
fn read_binding(r: &mut Reader<'_>, mut place: Option<&mut Binding>) -> Result<(), Malformed> {
    macro_rules! set {
        ($field:ident = $value:expr) => {
            let value = $value;
            if let Some(b) = &mut place {
                b.$field = value;
            }
        };
    }
    macro_rules! place {
        ($field:ident) => {
            place.as_mut().map(|b| &mut b.$field)
        };
    }
    set!(address = r.address()?);
    set!(netmask = r.address()?);
    set!(gateway = r.address()?);
    set!(former_gateway = r.option(Reader::address)?);
    set!(server_mac = r.mac()?);
    set!(chaddr = r.option(Reader::mac)?);
    set!(lease_time = r.u32()?);
    set!(renewal_time = r.option(Reader::u32)?);
    set!(rebinding_time = r.option(Reader::u32)?);
    set!(rapid_commit = r.flag()?);
    set!(ipv6_only_wait = r.u32()?);
    set!(fuzz_seed = r.u32()?);
    let only_without_routes = r.flag()?;
    set!(
        routers = if only_without_routes {
            Routers::Rfc3442
        } else {
            Routers::Always
        }
    );
    r.list_into(place!(routes), |r| {
        Ok(Route {
            to: r.prefix()?,
            via: r.address()?,
        })
    })?;
    r.list_into(place!(dns), Reader::address)?;
    r.list_into(place!(ntp), Reader::address)?;
    r.list_into(place!(tftp_servers), Reader::address)?;
    set!(mtu = r.u16()?);
    r.text_into(place!(hostname))?;
    r.text_into(place!(domain))?;
    r.text_into(place!(search))?;
    set!(next_server = r.address()?);
    r.text_into(place!(server_name))?;
    r.text_into(place!(boot_file))?;
    r.list_into(place!(raw), Reader::u8)?;
    let overlays = r.counted(MOST_OVERLAY_BYTES)?;
    let known = match &mut place {
        Some(b) => b.overlays.replace(overlays),
        None => Overlays::check(overlays),
    };
    known.ok_or(Malformed::Message)
}

/// Writes a binding to the front of `out`, as a [`Hello`] carries it, and returns its length: a hundred bytes or two for most,
/// where a [`Binding`] takes three thousand.
pub fn encode_binding(binding: &Binding, out: &mut [u8; MAX_DOWN]) -> usize {
    let mut w = Writer::message(out, HELLO);
    write_binding(&mut w, binding, binding.former_gateway);
    w.finish()
}

/// Reads what [`encode_binding`] has written. Errors: [`Malformed`] for anything else.
pub fn decode_binding(bytes: &[u8]) -> Result<Binding, Malformed> {
    let (_, mut r) = Reader::message(bytes)?;
    let mut binding = Binding::new(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
    read_binding(&mut r, Some(&mut binding))?;
    r.finish(binding)
}

/// A number that two bindings share only when they tell a VM the same (FNV-1a, 64 bits): the agent sees by it whether the
/// last ACK told what is in force now. What only says where requests come to does not count.
pub fn digest(binding: &Binding) -> u64 {
    struct Fnv1a(u64);
    impl Sink for Fnv1a {
        fn put(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    let mut w = Writer::begin(Fnv1a(0xcbf2_9ce4_8422_2325), HELLO);
    write_binding(&mut w, binding, None);
    w.into_sink().0
}
