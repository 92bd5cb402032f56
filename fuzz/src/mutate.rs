//! New inputs from known ones.

use crate::random::Random;

/// The longest input that is made, in bytes.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Pieces that decoders have an opinion about.
const WORDS: &[&[u8]] = &[
    b"",
    b"\0",
    b"\n",
    b"\r\n",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x92\xa9",
    b"0",
    b"-1",
    b"1e999",
    b"00",
    b"+1",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"\\",
    b",",
    b":",
    b"=",
    b"%00",
    b"%ff",
    b"%2e%2e",
    b"..",
    b"/",
    b"?",
    b"#",
    b" ",
    b"EUR",
    b"1.0",
    b"1970-01-01T00:00:00Z",
    b"9999-12-31T23:59:60Z",
    b"00000000-0000-0000-0000-000000000000",
    b";base64",
    b"ce_laneseq: ",
    b"ce_lane: ",
    b"ce_id: ",
];

/// Changes an input in one to six places; `others` are there to borrow from.
#[must_use]
pub fn mutate(input: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(6) {
        change(&mut bytes, others, random);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn change(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(9) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.byte();
            }
        }
        2 => bytes.insert(at, random.byte()),
        3 => remove(bytes, at, random.below(16)),
        4 => remove(bytes, at, random.below(256)),
        5 => insert(bytes, at, random.choose(WORDS).copied().unwrap_or_default()),
        6 => {
            // A word in the place of what was there.
            let word = random.choose(WORDS).copied().unwrap_or_default();
            remove(bytes, at, word.len());
            insert(bytes, at, word);
        }
        7 => {
            let piece = piece(bytes, random);
            for _ in 0..=random.below(8) {
                insert(bytes, at, &piece);
            }
        }
        _ => {
            let other = random.choose(others).map_or(&[][..], Vec::as_slice);
            let piece = piece(other, random);
            insert(bytes, at, &piece);
        }
    }
}

fn piece(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let from = random.below(bytes.len() + 1);
    let to = from + random.below((bytes.len() - from + 1).min(512));
    bytes[from..to].to_vec()
}

fn remove(bytes: &mut Vec<u8>, at: usize, count: usize) {
    let end = at.saturating_add(count).min(bytes.len());
    bytes.drain(at.min(end)..end);
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    if bytes.len() + piece.len() <= INPUT_BYTES_MAX {
        let at = at.min(bytes.len());
        bytes.splice(at..at, piece.iter().copied());
    }
}

/// Whatever comes: bytes without a model.
#[must_use]
pub fn invent(random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![];
    for _ in 0..random.below(40) {
        match random.below(3) {
            0 => bytes.push(random.byte()),
            _ => bytes.extend_from_slice(random.choose(WORDS).copied().unwrap_or_default()),
        }
    }
    bytes
}
