//! A CloudEvent in structured mode, JSON format, as the record that binary mode would have made of it.
//!
//! The data keeps its bytes. What is a header already and no attribute (a trace, for example) stays; an
//! attribute comes after it, and counts.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{base64, header, name};
use crate::log::{HeaderRef, HeadersBuilder, LogRecord};

/// What all media types of CloudEvents begin with.
const CLOUDEVENTS: &str = "application/cloudevents";
/// The longest name of an attribute, in bytes. CloudEvents asks for 20 at most, and forbids nothing.
const NAME_BYTES_MAX: usize = 64;

type Attributes<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// The record in binary mode; `None` when it is no record in structured mode.
///
/// # Errors
/// Says what is wrong: another format than JSON, several events in one record, not such an object.
pub(super) fn to_binary(record: &LogRecord) -> Option<Result<LogRecord, String>> {
    let content_type = header(&record.headers, name::CONTENT_TYPE)?;
    let media_type = content_type.split(|byte| *byte == b';').next()?.trim_ascii();
    let media_type = std::str::from_utf8(media_type).ok()?.to_ascii_lowercase();
    let format = media_type.strip_prefix(CLOUDEVENTS)?;
    Some(match format {
        "+json" => read(record),
        format if format.starts_with("-batch") => Err(
            "a CloudEvents batch: several events in one record cannot be kept apart by key; send one event a record"
                .to_owned(),
        ),
        _ => Err(format!("a CloudEvent as {media_type:?}; in structured mode only {CLOUDEVENTS}+json is read")),
    })
}

fn read(record: &LogRecord) -> Result<LogRecord, String> {
    const NUMBERED: &str =
        "an event with a lane or a number, in structured mode: such are read in binary mode only";
    let numbered = ["lane", "laneseq"];
    if numbered.iter().any(|name| header(&record.headers, &prefixed(name)).is_some()) {
        return Err(NUMBERED.to_owned());
    }
    let mut attributes: Attributes<'_> = serde_json::from_slice(&record.value)
        .map_err(|error| format!("a structured CloudEvent that is no JSON object: {error}"))?;
    if numbered.iter().any(|name| attributes.contains_key(*name)) {
        return Err(NUMBERED.to_owned());
    }
    attributes.retain(|_, value| value.get() != "null");
    let value = data(&mut attributes)?;
    let content_type = match attributes.remove("datacontenttype") {
        Some(stated) => text("datacontenttype", stated)?,
        None => "application/json".to_owned(),
    };
    let is_attribute =
        |h: &HeaderRef<'_>| h.name.starts_with("ce_") || h.name == name::CONTENT_TYPE;
    let mut headers = HeadersBuilder::with_capacity(record.value.len(), attributes.len());
    for header in record.headers.iter().filter(|h| !is_attribute(h)) {
        headers.put(header.name, header.value);
    }
    headers.put(name::CONTENT_TYPE, content_type.as_bytes());
    for (attribute, value) in attributes {
        let value = text(&attribute, value)?;
        headers.put(&header_name(&attribute)?, value.as_bytes());
    }
    Ok(LogRecord { value, headers: headers.finish().1, ..record.clone() })
}

/// The payload: `data` as it stands there, or the bytes of `data_base64`.
fn data(attributes: &mut Attributes<'_>) -> Result<Bytes, String> {
    match (attributes.remove("data"), attributes.remove("data_base64")) {
        (Some(_), Some(_)) => Err("data and data_base64: an event has one of them".to_owned()),
        (Some(data), None) if is_json(attributes) => {
            Ok(Bytes::copy_from_slice(data.get().as_bytes()))
        }
        (Some(data), None) => text("data", data).map(Bytes::from),
        (None, Some(coded)) => {
            let coded = text("data_base64", coded)?;
            base64::decode(&coded)
                .map(Bytes::from)
                .ok_or_else(|| "data_base64 is no base64".to_owned())
        }
        (None, None) => Ok(Bytes::new()),
    }
}

/// Whether `data` is JSON itself, and not a text that holds another format.
fn is_json(attributes: &Attributes<'_>) -> bool {
    let Some(stated) = attributes.get("datacontenttype") else { return true };
    let stated = stated.get().trim_matches('"').to_ascii_lowercase();
    let media_type = stated.split(';').next().unwrap_or_default().trim();
    media_type.ends_with("/json") || media_type.ends_with("+json")
}

/// An attribute's value as a header has it: attributes are texts, numbers or booleans.
fn text(attribute: &str, value: &RawValue) -> Result<String, String> {
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).map_err(|error| format!("{attribute}: {error}")),
        Some(b'{' | b'[') | None => Err(format!("{attribute} is no text, number or boolean")),
        Some(_) => Ok(json.to_owned()),
    }
}

/// `traceparent` and its like have the same name in both worlds.
fn header_name(attribute: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if attribute.is_empty() || attribute.len() > NAME_BYTES_MAX || !attribute.bytes().all(fits) {
        return Err(format!(
            "an attribute's name has lower-case letters and digits, and at most {NAME_BYTES_MAX}"
        ));
    }
    Ok(match attribute {
        name::TRACE_PARENT | "tracestate" => attribute.to_owned(),
        _ => prefixed(attribute),
    })
}

fn prefixed(attribute: &str) -> String {
    format!("ce_{attribute}")
}
