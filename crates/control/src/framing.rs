//! Messages on a stream of bytes: each is followed by a NUL byte.

use serde::Serialize;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The messages that arrive on `R`, each of at most `limit` bytes.
#[derive(Debug)]
pub(crate) struct Messages<R> {
    stream: R,
    limit: usize,
    /// What was read and not returned yet.
    buffer: Vec<u8>,
    /// How many bytes at the start of `buffer` are known to hold no NUL.
    searched: usize,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    pub(crate) fn new(stream: R, limit: usize) -> Self {
        Self {
            stream,
            limit,
            buffer: Vec::new(),
            searched: 0,
        }
    }

    /// The next message without its NUL; `None` at the end of the stream. Nothing is lost when the future is dropped.
    ///
    /// Errors: `InvalidData` for a message that is too long, `UnexpectedEof` for one that is cut off.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(place) = self.buffer[self.searched..]
                .iter()
                .position(|byte| *byte == 0)
            {
                let rest = self.buffer.split_off(self.searched + place + 1);
                let mut message = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                message.pop();
                return Ok(Some(message));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.limit {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the message is too long",
                ));
            }
            if !self.fill().await? {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// Returns when the peer has hung up, or has sent more than one message's worth ahead of its turn.
    pub(crate) async fn hang_up(&mut self) {
        while self.buffer.len() <= self.limit {
            if !self.fill().await.unwrap_or(false) {
                return;
            }
        }
    }

    /// Reads what is there; `false` at the end of the stream.
    async fn fill(&mut self) -> io::Result<bool> {
        let room = (self.limit + 1)
            .saturating_sub(self.buffer.len())
            .clamp(1, 16 * 1024);
        self.buffer.reserve(room);
        let length = (&mut self.stream)
            .take(room as u64)
            .read_buf(&mut self.buffer)
            .await?;
        Ok(length > 0)
    }
}

/// Writes `message` and its NUL.
pub(crate) async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(0);
    stream.write_all(&bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn messages(bytes: &[u8], limit: usize) -> (Vec<String>, Option<io::ErrorKind>) {
        let mut messages = Messages::new(bytes, limit);
        let mut texts = Vec::new();
        loop {
            match messages.next().await {
                Ok(Some(message)) => texts.push(String::from_utf8(message).unwrap()),
                Ok(None) => return (texts, None),
                Err(error) => return (texts, Some(error.kind())),
            }
        }
    }

    #[tokio::test]
    async fn a_message_ends_at_its_nul_and_is_bounded() {
        use io::ErrorKind::{InvalidData, UnexpectedEof};
        let table: [(&[u8], &[&str], Option<io::ErrorKind>); 7] = [
            (b"", &[], None),
            (b"one\0", &["one"], None),
            (b"one\0two\0", &["one", "two"], None),
            (b"\0\0", &["", ""], None),
            (b"12345678\0", &["12345678"], None),
            (b"123456789\0", &[], Some(InvalidData)),
            (b"one\0two", &["one"], Some(UnexpectedEof)),
        ];
        for (bytes, texts, error) in table {
            let expected = (texts.iter().map(|text| (*text).to_owned()).collect(), error);
            assert_eq!(
                messages(bytes, 8).await,
                expected,
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[tokio::test]
    async fn a_message_survives_a_reader_that_was_dropped_half_way() {
        let (mut far, near) = tokio::io::duplex(64);
        let mut messages = Messages::new(near, 64);
        far.write_all(b"on").await.unwrap();
        tokio::select! {
            biased;
            _ = messages.next() => panic!("the message is not whole yet"),
            () = std::future::ready(()) => {}
        }
        far.write_all(b"e\0").await.unwrap();
        assert_eq!(messages.next().await.unwrap().unwrap(), b"one");
    }
}
