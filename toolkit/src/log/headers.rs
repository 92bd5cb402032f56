//! A record's headers, all in one buffer: a record has nearly twenty, and is read and written a thousand times
//! a second.

use std::{fmt, io::Write as _, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{Header, record::name};

/// Names that nearly every record has, in the order in which ours has them: they are kept as a number.
const KNOWN: [&str; 18] = [
    name::SPEC_VERSION,
    name::ID,
    name::SOURCE,
    name::TYPE,
    name::TIME,
    name::SUBJECT,
    name::DATA_SCHEMA,
    name::CONTENT_TYPE,
    name::CORRELATION_ID,
    name::CAUSATION_ID,
    name::SEQUENCE,
    name::PARTITION_KEY,
    name::LANE,
    name::LANE_SEQ,
    name::STREAM_VERSION,
    name::TRACE_PARENT,
    name::TRACE_STATE,
    name::BAGGAGE,
];

/// One of [`KNOWN`], looked up when this is compiled: a record is asked for a dozen of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known(usize);

impl Known {
    /// Does not compile, in a constant, where the name is not one of them.
    pub(crate) const fn of(name: &str) -> Self {
        let mut n = 0;
        while n < KNOWN.len() {
            if same(KNOWN[n].as_bytes(), name.as_bytes()) {
                return Self(n);
            }
            n += 1;
        }
        panic!("no name that nearly every record has");
    }

    pub(crate) const fn name(self) -> &'static str {
        KNOWN[self.0]
    }

    /// How many there are.
    #[cfg(feature = "kafka")]
    pub(crate) const COUNT: usize = KNOWN.len();

    /// Its place in a record of ours.
    #[cfg(feature = "kafka")]
    pub(crate) const fn place(self) -> usize {
        self.0
    }
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut n = 0;
    while n < one.len() && n < other.len() && one[n] == other[n] {
        n += 1;
    }
    n == one.len() && n == other.len()
}

/// A record's headers, in order; a name may come several times. Cheap to clone.
#[derive(Clone, Default)]
pub struct Headers {
    bytes: Bytes,
    slots: Arc<[Slot]>,
}

/// A header that stands in [`Headers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// Its name, in lower case.
    pub name: &'a str,
    /// Its value.
    pub value: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    name: Name,
    value: Place,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    /// Which of [`KNOWN`]. Each of those is kept so, and never as text.
    Known(usize),
    Text(Place),
}

/// A part of the buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    start: usize,
    end: usize,
}

impl Place {
    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

impl Headers {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The value of this name; the last one when there are several.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        if let Some(n) = KNOWN.iter().position(|known| *known == name) {
            return self.known(Known(n));
        }
        self.last(|own| match own {
            Name::Known(_) => false,
            Name::Text(place) => self.part(place) == name.as_bytes(),
        })
    }

    /// As [`get`](Self::get), without comparing names.
    pub(crate) fn known(&self, known: Known) -> Option<&[u8]> {
        self.last(|own| matches!(own, Name::Known(n) if n == known.0))
    }

    /// The value of the last one of such a name.
    fn last(&self, is: impl Fn(Name) -> bool) -> Option<&[u8]> {
        let slot = self.slots.iter().rev().find(|slot| is(slot.name));
        slot.map(|slot| self.part(slot.value))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = HeaderRef<'_>> + ExactSizeIterator {
        self.slots
            .iter()
            .map(|slot| HeaderRef { name: self.name(slot.name), value: self.part(slot.value) })
    }

    /// All of them, each for itself. The values are not copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Header> {
        let header = |slot: &Slot| {
            let name = match slot.name {
                Name::Known(n) => KNOWN[n].into(),
                Name::Text(_) => self.name(slot.name).to_owned().into(),
            };
            Header { name, value: self.bytes.slice(slot.value.range()) }
        };
        self.slots.iter().map(header).collect()
    }

    /// Adds one at the end. All are put together anew, as with [`retain`](Self::retain): collect a list of them
    /// where it is long.
    pub fn push(&mut self, header: Header) {
        self.edit(|all| all.push(header));
    }

    /// Keeps those for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&Header) -> bool) {
        self.edit(|all| all.retain(keep));
    }

    fn edit(&mut self, change: impl FnOnce(&mut Vec<Header>)) {
        let mut all = self.to_vec();
        change(&mut all);
        *self = all.into();
    }

    /// The bytes of all names and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.iter().map(|header| header.name.len() + header.value.len()).sum()
    }

    /// The memory that they take, with all that shares their buffer, in bytes.
    #[cfg(feature = "kafka")]
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.slots)
    }

    fn part(&self, place: Place) -> &[u8] {
        &self.bytes[place.range()]
    }

    fn name(&self, name: Name) -> &str {
        match name {
            Name::Known(n) => KNOWN[n],
            // It was text when it came.
            Name::Text(place) => std::str::from_utf8(self.part(place)).unwrap_or_default(),
        }
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|h| (h.name, h.value.escape_ascii().to_string()));
        f.debug_map().entries(shown).finish()
    }
}

impl From<Vec<Header>> for Headers {
    fn from(headers: Vec<Header>) -> Self {
        headers.into_iter().collect()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        let mut builder = Builder::with_capacity(0, 0);
        for header in headers {
            builder.put(&header.name, &header.value);
        }
        builder.finish().1
    }
}

/// Puts headers together, and whatever else of the record is to share their buffer.
#[derive(Debug)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

impl Builder {
    pub(crate) fn with_capacity(bytes: usize, headers: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), slots: Vec::with_capacity(headers) }
    }

    /// A part that is no header, yet.
    pub(crate) fn part(&mut self, part: &[u8]) -> Place {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(part);
        Place { start, end: self.bytes.len() }
    }

    pub(crate) fn put(&mut self, name: &str, value: &[u8]) {
        let name = self.name(name);
        let value = self.part(value);
        self.slots.push(Slot { name, value });
    }

    /// A value that is written out.
    pub(crate) fn write(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let name = self.name(name);
        let start = self.bytes.len();
        // Writing to memory fails only if `value` itself fails to format, and none of ours does.
        let _ = self.bytes.write_fmt(value);
        let value = Place { start, end: self.bytes.len() };
        self.slots.push(Slot { name, value });
    }

    /// A value that stands in the buffer already.
    pub(crate) fn put_placed(&mut self, name: &str, value: Place) {
        let name = self.name(name);
        self.slots.push(Slot { name, value });
    }

    pub(crate) fn finish(self) -> (Bytes, Headers) {
        let bytes = Bytes::from(self.bytes);
        (bytes.clone(), Headers { bytes, slots: self.slots.into() })
    }

    fn name(&mut self, name: &str) -> Name {
        let expected = self.slots.len();
        if KNOWN.get(expected) == Some(&name) {
            return Name::Known(expected);
        }
        match KNOWN.iter().position(|known| *known == name) {
            Some(n) => Name::Known(n),
            None => Name::Text(self.part(name.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Header> {
        let of = |name: &'static str, value: &'static [u8]| Header {
            name: name.into(),
            value: Bytes::from_static(value),
        };
        vec![
            of("ce_id", b"1"),
            of("x-own", b"\xff\0"),
            of("ce_id", b"2"),
            of("x-own", b""),
            of("baggage", b"a=b"),
        ]
    }

    #[test]
    fn what_is_put_in_comes_out_in_order() {
        let headers = Headers::from(all());
        assert_eq!(headers.to_vec(), all());
        assert_eq!(headers.len(), 5);
        assert_eq!(headers.bytes(), 5 + 5 + 5 + 5 + 7 + 1 + 2 + 1 + 3);
        let names: Vec<&str> = headers.iter().map(|h| h.name).collect();
        assert_eq!(names, ["ce_id", "x-own", "ce_id", "x-own", "baggage"]);
    }

    #[test]
    fn of_several_with_one_name_the_last_counts() {
        let headers = Headers::from(all());
        assert_eq!(headers.get("ce_id"), Some(&b"2"[..]));
        assert_eq!(headers.get("x-own"), Some(&b""[..]));
        assert_eq!(headers.get("baggage"), Some(&b"a=b"[..]));
        assert_eq!(headers.get("ce_source"), None);
        assert_eq!(headers.get("x"), None);
        assert_eq!(headers.known(Known::of("ce_id")), headers.get("ce_id"));
        assert_eq!(headers.known(Known::of("ce_source")), None);
    }

    #[test]
    fn the_same_headers_are_equal_wherever_they_lie() {
        let mut other = Builder::with_capacity(0, 0);
        other.part(b"a key");
        let placed = other.part(b"1");
        other.put_placed("ce_id", placed);
        for header in &all()[1..] {
            other.put(&header.name, &header.value);
        }
        let (_, mut other) = other.finish();
        assert_eq!(other, Headers::from(all()));
        other.retain(|header| header.name != "baggage");
        assert_ne!(other, Headers::from(all()));
        assert_eq!(other.to_vec(), all()[..4]);
    }
}
