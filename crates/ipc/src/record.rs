//! Reading and writing one record: integers little-endian, lists as a 16-bit count and their items.

use crate::{Malformed, VERSION};
use slash32_binding::{Ipv4Addr, List, MacAddr, Prefix, Text};

/// Where the bytes of a message go.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

/// A record in a buffer, which must hold the largest message: running over it is a bug of ours and panics.
pub(crate) struct Record<'a> {
    out: &'a mut [u8],
    length: usize,
}

impl Sink for Record<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.out[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }
}

pub(crate) struct Writer<S> {
    sink: S,
}

impl<'a> Writer<Record<'a>> {
    /// Starts a message of `kind` in the buffer `out`.
    pub(crate) fn message(out: &'a mut [u8], kind: u16) -> Self {
        Self::begin(Record { out, length: 0 }, kind)
    }

    pub(crate) fn finish(self) -> usize {
        self.sink.length
    }
}

impl<S: Sink> Writer<S> {
    /// Starts a message of `kind`.
    pub(crate) fn begin(sink: S, kind: u16) -> Self {
        let mut writer = Self { sink };
        writer.u16(VERSION);
        writer.u16(kind);
        writer
    }

    pub(crate) fn into_sink(self) -> S {
        self.sink
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.sink.put(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn address(&mut self, value: Ipv4Addr) {
        self.bytes(&value.octets());
    }

    pub(crate) fn mac(&mut self, value: MacAddr) {
        self.bytes(&value.0);
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn list<T: Copy>(&mut self, values: &[T], write: impl Fn(&mut Self, T)) {
        self.u16(values.len() as u16);
        for value in values {
            write(self, *value);
        }
    }

    pub(crate) fn prefix(&mut self, value: Prefix) {
        self.address(value.address());
        self.u8(value.length());
    }

    pub(crate) fn text<const N: usize>(&mut self, value: &Text<N>) {
        self.list(value.as_bytes(), Self::u8);
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads the version and the kind of a message.
    pub(crate) fn message(bytes: &'a [u8]) -> Result<(u16, Self), Malformed> {
        let mut reader = Self { rest: bytes };
        let version = reader.u16()?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        Ok((reader.u16()?, reader))
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Malformed::Message)?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.bytes().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.bytes().map(u64::from_le_bytes)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Message),
        }
    }

    pub(crate) fn address(&mut self) -> Result<Ipv4Addr, Malformed> {
        self.bytes::<4>().map(Ipv4Addr::from)
    }

    pub(crate) fn mac(&mut self) -> Result<MacAddr, Malformed> {
        self.bytes().map(MacAddr)
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(crate) fn list<T: Copy, const N: usize>(
        &mut self,
        fill: T,
        read: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<List<T, N>, Malformed> {
        let mut list = List::new(fill);
        self.list_into(Some(&mut list), read)?;
        Ok(list)
    }

    /// Reads a list into the place of another one; with `None` it is only checked.
    pub(crate) fn list_into<T: Copy, const N: usize>(
        &mut self,
        mut place: Option<&mut List<T, N>>,
        read: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<(), Malformed> {
        let length = usize::from(self.u16()?);
        if length > N {
            return Err(Malformed::Message);
        }
        if let Some(list) = &mut place {
            list.truncate(0);
        }
        for _ in 0..length {
            let value = read(self)?;
            if let Some(list) = &mut place {
                list.push(value).map_err(|_| Malformed::Message)?;
            }
        }
        Ok(())
    }

    /// The bytes of a list of bytes, at most `most`.
    pub(crate) fn counted(&mut self, most: usize) -> Result<&'a [u8], Malformed> {
        let length = usize::from(self.u16()?);
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .filter(|_| length <= most)
            .ok_or(Malformed::Message)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn prefix(&mut self) -> Result<Prefix, Malformed> {
        let address = self.address()?;
        let prefix = Prefix::new(address, self.u8()?).ok_or(Malformed::Message)?;
        if prefix.address() == address {
            Ok(prefix)
        } else {
            Err(Malformed::Message)
        }
    }

    /// Reads a text into the place of another one; with `None` it is only checked.
    pub(crate) fn text_into<const N: usize>(
        &mut self,
        place: Option<&mut Text<N>>,
    ) -> Result<(), Malformed> {
        let text = core::str::from_utf8(self.counted(N)?).map_err(|_| Malformed::Message)?;
        match place {
            Some(place) => place.replace(text).map_err(|_| Malformed::Message),
            None => Ok(()),
        }
    }

    /// The record must end here.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Malformed> {
        if self.rest.is_empty() {
            Ok(value)
        } else {
            Err(Malformed::Message)
        }
    }
}
