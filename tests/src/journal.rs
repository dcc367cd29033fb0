use crate::Namespace;
use anyhow::{Context, Result, bail};
use std::{
    fs,
    io::ErrorKind,
    os::unix::net::UnixDatagram,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Where journald takes entries.
const SOCKET: &str = "/run/systemd/journal/socket";

/// A journal inside a [`Namespace`]: it takes what programs log there in journald's own protocol.
pub struct Journal {
    socket: UnixDatagram,
    entries: Mutex<Vec<Entry>>,
}

/// One entry: its fields, in the order in which they came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry(Vec<(String, Vec<u8>)>);

impl Journal {
    /// Listens in the namespace, whose /run is its own.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let path = namespace.path(SOCKET);
        fs::create_dir_all(path.parent().context("no folder")?)?;
        let socket = UnixDatagram::bind(&path).with_context(|| format!("cannot bind {SOCKET}"))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            entries: Mutex::new(Vec::new()),
        })
    }

    /// Every entry so far. Errors: something came that is none.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut datagram = vec![0; 256 << 10];
        loop {
            match self.socket.recv(&mut datagram) {
                // What is sent to see whether somebody listens.
                Ok(0) => {}
                Ok(length) => entries.push(Entry::read(&datagram[..length])?),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(entries.clone()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What `journalctl FIELD=VALUE` shows: the entries that have this value of the field.
    pub fn matching(&self, field: &str, value: &str) -> Result<Vec<Entry>> {
        let mut entries = self.entries()?;
        entries.retain(|entry| entry.all(field).any(|found| found == value.as_bytes()));
        Ok(entries)
    }

    /// Waits for an entry among those with this value of the field whose message has `text` in it.
    pub fn wait(&self, field: &str, value: &str, text: &str, bound: Duration) -> Result<Entry> {
        crate::until(
            &format!("{text:?} with {field}={value} in the journal"),
            bound,
            || {
                let entries = self.matching(field, value)?;
                Ok(entries
                    .into_iter()
                    .find(|entry| entry.message().contains(text)))
            },
        )
    }
}

impl Entry {
    /// Reads a datagram of <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>: lines `FIELD=VALUE`, or `FIELD`, the length of the
    /// value as a little-endian number of 64 bits, the value and a line's end.
    fn read(mut bytes: &[u8]) -> Result<Self> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let (line, rest) = bytes.split_at(end.context("a field that does not end")?);
            let rest = &rest[1..];
            let (name, value, rest) = match line.iter().position(|&byte| byte == b'=') {
                Some(at) => (&line[..at], &line[at + 1..], rest),
                None => {
                    let (length, rest) = rest.split_first_chunk().context("no length")?;
                    let length = usize::try_from(u64::from_le_bytes(*length))?;
                    if rest.get(length) != Some(&b'\n') {
                        bail!("a value that is not as long as it says: {bytes:?}");
                    }
                    (line, &rest[..length], &rest[length + 1..])
                }
            };
            let is_name =
                |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
            // journald drops any other.
            if !name.iter().all(is_name)
                || name.first().is_none_or(|first| !first.is_ascii_uppercase())
            {
                bail!("{:?} is no name of a field", String::from_utf8_lossy(name));
            }
            fields.push((String::from_utf8(name.to_vec())?, value.to_vec()));
            bytes = rest;
        }
        Ok(Self(fields))
    }

    fn all(&self, field: &str) -> impl Iterator<Item = &[u8]> {
        let same = move |(name, _): &&(String, Vec<u8>)| name == field;
        self.0.iter().filter(same).map(|(_, value)| &**value)
    }

    /// The value of a field that is there once. `None`: it is not there, or several times.
    pub fn get(&self, field: &str) -> Option<String> {
        let mut values = self.all(field);
        let value = values.next()?;
        let text = String::from_utf8_lossy(value).into_owned();
        values.next().is_none().then_some(text)
    }

    /// `MESSAGE`, or nothing.
    pub fn message(&self) -> String {
        self.get("MESSAGE").unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_in_both_forms() {
        let bytes = b"PRIORITY=6\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nLINK\n\x01\0\0\0\0\0\0\0=\n";
        let entry = Entry::read(bytes).unwrap();
        assert_eq!(entry.message(), "a\nb");
        assert_eq!(entry.get("PRIORITY").as_deref(), Some("6"));
        assert_eq!(entry.get("LINK").as_deref(), Some("="));
        assert_eq!(entry.get("VM"), None);
        let table: [&[u8]; 4] = [
            b"LINK",
            b"LINK\n\x01",
            b"LINK\n\x02\0\0\0\0\0\0\0=\n",
            b"link=virbr1\n",
        ];
        for bytes in table {
            assert!(Entry::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
