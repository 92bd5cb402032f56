//! A batch of records as it is written.

use bytes::{BufMut, BytesMut};

use super::{Writer, length};

/// A batch (format 2) of one record without key, the first of its writer's epoch, in a transaction.
pub(super) fn of_one(writer: Writer, value: &[u8]) -> BytesMut {
    const TRANSACTIONAL: i16 = 1 << 4;
    of(TRANSACTIONAL, writer, &record(value, None))
}

/// One of a writer that nobody knows, with a header of this name.
pub(super) fn with_header(name: &[u8], value: &[u8]) -> BytesMut {
    of(0, Writer { id: -1, epoch: -1 }, &record(value, Some(name)))
}

fn of(attributes: i16, writer: Writer, record: &[u8]) -> BytesMut {
    const FORMAT: i8 = 2;
    const TIME_MILLIS: i64 = 1_700_000_000_000;
    let first_sequence = if writer.id < 0 { -1 } else { 0 };
    let mut summed = BytesMut::new();
    summed.put_i16(attributes);
    summed.put_i32(0); // the last record's distance from the first
    summed.put_i64(TIME_MILLIS); // of the first
    summed.put_i64(TIME_MILLIS); // the latest
    summed.put_i64(writer.id);
    summed.put_i16(writer.epoch);
    summed.put_i32(first_sequence);
    summed.put_i32(1); // records
    summed.put_slice(record);

    let mut rest = BytesMut::new();
    rest.put_i32(-1); // the leader's epoch: for the broker to fill in
    rest.put_i8(FORMAT);
    rest.put_u32(crc32c(&summed));
    rest.put_slice(&summed);

    let mut batch = BytesMut::new();
    batch.put_i64(0); // the offset: for the broker to fill in
    batch.put_u32(length(&rest));
    batch.put_slice(&rest);
    batch
}

/// Its numbers are written in as many bytes as they need, and here all of them need one.
fn record(value: &[u8], header: Option<&[u8]>) -> BytesMut {
    const NO_KEY: i8 = -1;
    let number = |n: i8| u8::try_from((n << 1) ^ (n >> 7)).expect("one byte is enough");
    let size = |bytes: &[u8]| number(i8::try_from(bytes.len()).expect("a short record"));
    let mut body = BytesMut::new();
    // Attributes; how far its time and its offset are from the batch's.
    body.put_slice(&[0, number(0), number(0), number(NO_KEY), size(value)]);
    body.put_slice(value);
    body.put_u8(number(i8::from(header.is_some())));
    if let Some(name) = header {
        body.put_u8(size(name));
        body.put_slice(name);
        body.put_u8(number(0)); // its value's bytes
    }
    let mut record = BytesMut::new();
    record.put_u8(size(&body));
    record.put_slice(&body);
    record
}

/// The checksum of Castagnoli, a bit at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    const REVERSED: u32 = 0x82f6_3b78;
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (REVERSED * (sum & 1)))
    })
}

#[test]
fn the_checksum_is_the_one_of_the_standard_text() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
