//! As much of Kafka's protocol as the proxy needs: frames, the head of a request, addresses in answers.

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a request is for: Kafka's `api_key`.
pub type Kind = i16;
/// A version of such a request: Kafka's `api_version`.
pub type Version = i16;
/// Records for a partition.
pub const PRODUCE: Kind = 0;
/// Records from a partition.
pub const FETCH: Kind = 1;
/// A consumer asks its group for a place.
pub const JOIN_GROUP: Kind = 11;
/// A producer's new epoch.
pub const INIT_PRODUCER_ID: Kind = 22;
/// The first records of a transaction in a partition are about to come.
pub const ADD_PARTITIONS_TO_TXN: Kind = 24;
/// The commit or abort of a transaction.
pub const END_TXN: Kind = 26;

/// No frame is larger, in bytes: a broker refuses larger ones by default.
const FRAME_MAX: usize = 100 * 1024 * 1024;

/// A request or an answer, with its length in front.
#[derive(Debug)]
pub(super) struct Frame(pub(super) Vec<u8>);

impl Frame {
    /// The next frame; none when the other side has closed the connection, in whatever manner.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Self>> {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).await.is_err() {
            return Ok(None);
        }
        let size = usize::try_from(i32::from_be_bytes(length)).context("a negative length")?;
        ensure!(size <= FRAME_MAX, "a frame of {size} bytes");
        let mut frame = vec![0; 4 + size];
        frame[..4].copy_from_slice(&length);
        match stream.read_exact(&mut frame[4..]).await {
            Ok(_) => Ok(Some(Self(frame))),
            Err(_) => Ok(None),
        }
    }

    /// Of a request.
    pub(super) fn kind(&self) -> Result<Kind> {
        Ok(Kind::from_be_bytes(self.bytes(4)?))
    }

    /// Of a request.
    pub(super) fn version(&self) -> Result<Version> {
        Ok(Version::from_be_bytes(self.bytes(6)?))
    }

    /// Of a request, repeated in its answer.
    pub(super) fn request_number(&self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.bytes(8)?))
    }

    /// Of an answer.
    pub(super) fn answer_number(&self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.bytes(4)?))
    }

    fn bytes<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let bytes = self.0.get(at..at + N).context("a frame without a head")?;
        Ok(bytes.try_into()?)
    }

    /// Puts a port in place of another wherever it follows this host. In every answer and version the port
    /// is four bytes behind the host's name, so no length changes.
    pub(super) fn replace_port(&mut self, host: &str, from: u16, to: u16) {
        let behind = |port: u16| u32::from(port).to_be_bytes();
        let wanted = [host.as_bytes(), &behind(from)].concat();
        let mut at = 0;
        while let Some(found) = self.0[at..].windows(wanted.len()).position(|it| it == wanted) {
            let end = at + found + wanted.len();
            self.0[end - 4..end].copy_from_slice(&behind(to));
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_cut_where_they_end() {
        let mut stream: &[u8] = &[0, 0, 0, 8, 0, 26, 0, 1, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0, 9, 0];
        let first = Frame::read(&mut stream).await.unwrap().unwrap();
        assert_eq!((first.kind().unwrap(), first.request_number().unwrap()), (END_TXN, 7));
        assert_eq!(first.version().unwrap(), 1);
        let second = Frame::read(&mut stream).await.unwrap().unwrap();
        assert_eq!(second.answer_number().unwrap(), 9);
        assert!(second.request_number().is_err(), "too short for a request");
        assert!(Frame::read(&mut stream).await.unwrap().is_none(), "half a length");
    }

    #[test]
    fn only_the_port_behind_the_host_is_replaced() {
        let address = |port: u8| [b"\x09localhost".as_slice(), &[0, 0, 35, port]].concat();
        let mut frame = Frame([address(1), address(2), vec![0, 0, 35, 1], address(1)].concat());
        frame.replace_port("localhost", 0x2301, 0x2303);
        let expected = [address(3), address(2), vec![0, 0, 35, 1], address(3)].concat();
        assert_eq!(frame.0, expected);
    }
}
