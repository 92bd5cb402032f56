//! Asks a broker which transactions it knows: Kafka's `ListTransactions` (key 66, version 0), written out
//! by hand because librdkafka does not have it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::evidence::OpenTransaction;

const LIMIT: Duration = Duration::from_secs(10);
const LIST_TRANSACTIONS: i16 = 66;
/// States in which nothing is left to be done.
const ENDED: [&str; 3] = ["Empty", "CompleteCommit", "CompleteAbort"];
/// An answer is a few hundred bytes a producer.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// The transactions of this namespace's producers that are not ended, as the first of the bootstrap servers
/// coordinates them: with one broker, all.
///
/// # Errors
/// When it does not answer, or in other words than expected.
pub async fn open(kafka: &str, namespace: &str) -> Result<Vec<OpenTransaction>> {
    let first = kafka.split(',').next().unwrap_or_default();
    let answer = timeout(LIMIT, ask(first)).await.context("no answer in time")??;
    let own = format!("{namespace}.");
    Ok(read(&answer)?
        .into_iter()
        .filter(|it| it.transactional_id.starts_with(&own))
        .filter(|it| !ENDED.contains(&it.state.as_str()))
        .collect())
}

async fn ask(broker: &str) -> Result<Vec<u8>> {
    let mut request = vec![];
    request.extend(LIST_TRANSACTIONS.to_be_bytes());
    request.extend(0_i16.to_be_bytes());
    // The request's number, and the client's id.
    request.extend(1_i32.to_be_bytes());
    request.extend(7_i16.to_be_bytes());
    request.extend(b"checker");
    // No tags in the head; no filter by state, none by producer; no tags.
    request.extend([0, 1, 1, 0]);
    let mut stream = TcpStream::connect(broker).await?;
    stream.write_i32(i32::try_from(request.len())?).await?;
    stream.write_all(&request).await?;
    let size = usize::try_from(stream.read_i32().await?)?;
    ensure!(size <= ANSWER_MAX, "an answer of {size} bytes");
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn read(answer: &[u8]) -> Result<Vec<OpenTransaction>> {
    let mut rest = Bytes(answer);
    ensure!(rest.number::<4>()? == 1, "the answer to another request");
    rest.tags()?;
    rest.number::<4>()?; // how long we were throttled
    let error = rest.number::<2>()?;
    ensure!(error == 0, "error {error}");
    for _ in 0..rest.length()? {
        rest.text()?; // filters that it does not know
    }
    let mut found = vec![];
    for _ in 0..rest.length()? {
        let transactional_id = rest.text()?;
        rest.number::<8>()?; // the producer's number
        let state = rest.text()?;
        rest.tags()?;
        found.push(OpenTransaction { transactional_id, state });
    }
    Ok(found)
}

/// Kafka's flexible encoding, as far as it is needed.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n).context("the answer is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<u64> {
        Ok(self.take(N)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..28).step_by(7) {
            let byte = self.take(1)?[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        anyhow::bail!("a number that is too long")
    }

    /// Of a list or a text: one more than its length.
    fn length(&mut self) -> Result<usize> {
        Ok(self.varint()?.saturating_sub(1))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.length()?;
        Ok(std::str::from_utf8(self.take(length)?)?.to_owned())
    }

    fn tags(&mut self) -> Result<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let size = self.varint()?;
            self.take(size)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let mut answer = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 3];
        for (id, state) in [("a.order.relay.0", "Ongoing"), ("b", "Empty")] {
            answer.push(u8::try_from(id.len() + 1).unwrap());
            answer.extend(id.as_bytes());
            answer.extend([0, 0, 0, 0, 0, 0, 0, 9]);
            answer.push(u8::try_from(state.len() + 1).unwrap());
            answer.extend(state.as_bytes());
            answer.push(0);
        }
        answer.push(0);
        let found = read(&answer).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].transactional_id, "a.order.relay.0");
        assert_eq!(found[0].state, "Ongoing");
        assert!(read(&answer[..20]).is_err(), "half an answer");
    }
}
