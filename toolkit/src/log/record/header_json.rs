//! Headers as a JSON object, for a message that is held back: people read it, and it comes back.
//!
//! `"name": "text"`, or `"name;base64": "…"` when the value is no text that every store takes. A name
//! that occurs several times has an array. A name that itself ends like one of our suffixes is
//! followed by `;text`, so that nothing is ambiguous.

use std::{borrow::Cow, collections::HashMap, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap,
};

use super::{Headers, base64};
use crate::log::Header;

const BASE64: &str = ";base64";
const TEXT: &str = ";text";

/// Headers as a JSON object, names in the order of their first occurrence. Values of one name keep
/// their order; so the last one, which counts, stays the last.
#[must_use]
pub fn headers_to_json(headers: &Headers) -> Bytes {
    // Strings in a map: serialisation cannot fail.
    Bytes::from(serde_json::to_vec(&Object(headers)).unwrap_or_else(|_| b"{}".to_vec()))
}

/// Headers from the JSON object of [`headers_to_json`].
///
/// # Errors
/// Not such an object.
pub fn headers_from_json(json: &[u8]) -> Result<Headers, serde_json::Error> {
    serde_json::from_slice::<Read>(json).map(|read| read.0.into())
}

struct Object<'a>(&'a Headers);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut index = HashMap::new();
        let mut groups: Vec<(&str, Vec<&[u8]>)> = Vec::new();
        for header in self.0.iter() {
            let at = *index.entry(header.name).or_insert(groups.len());
            if at == groups.len() {
                groups.push((header.name, Vec::new()));
            }
            groups[at].1.push(header.value);
        }
        let mut map = serializer.serialize_map(Some(groups.len()))?;
        for (name, values) in groups {
            let (name, values) = written(name, &values);
            match &values[..] {
                [one] => map.serialize_entry(&name, one)?,
                many => map.serialize_entry(&name, many)?,
            }
        }
        map.end()
    }
}

fn written<'a>(name: &'a str, values: &[&'a [u8]]) -> (Cow<'a, str>, Vec<Cow<'a, str>>) {
    match values.iter().map(|v| plain_text(v).map(Cow::Borrowed)).collect() {
        Some(texts) if name.ends_with(BASE64) || name.ends_with(TEXT) => {
            (format!("{name}{TEXT}").into(), texts)
        }
        Some(texts) => (name.into(), texts),
        None => {
            let coded = values.iter().map(|v| base64::encode(v).into()).collect();
            (format!("{name}{BASE64}").into(), coded)
        }
    }
}

/// Databases refuse U+0000 in JSON.
fn plain_text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| !text.contains('\0'))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

struct Read(Vec<Header>);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        let mut headers = Vec::new();
        while let Some((name, values)) = map.next_entry::<String, OneOrMany>()? {
            let values = match values {
                OneOrMany::One(value) => vec![value],
                OneOrMany::Many(values) => values,
            };
            let (name, coded) = match (name.strip_suffix(BASE64), name.strip_suffix(TEXT)) {
                (Some(name), _) => (name, true),
                (_, Some(name)) => (name, false),
                _ => (name.as_str(), false),
            };
            for value in values {
                let value = if coded {
                    base64::decode(&value).ok_or_else(|| A::Error::custom("not base64"))?
                } else {
                    value.into_bytes()
                };
                headers.push(Header { name: name.to_owned().into(), value: value.into() });
            }
        }
        Ok(Read(headers))
    }
}
