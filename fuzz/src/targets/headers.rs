//! Headers as they are stored with a message that is held back: JSON.

use quadrille::log::{
    Header, Headers,
    record::{headers_from_json, headers_to_json},
};

use super::{Target, ensure, mark};

pub(super) struct HeadersTarget;

impl Target for HeadersTarget {
    fn check(&mut self, input: &[u8]) -> Result<Vec<u64>, String> {
        let headers = match headers_from_json(input) {
            Ok(headers) => headers,
            Err(error) => return Ok(vec![mark(&error.to_string())]),
        };
        let json = headers_to_json(&headers);
        let again = headers_from_json(&json).map_err(|error| format!("its own JSON: {error}"))?;
        ensure(sorted(&headers) == sorted(&again), || format!("{headers:?} became {again:?}"))?;
        ensure(headers_to_json(&again) == json, || "the second JSON is another".to_owned())?;
        Ok(vec![u64::try_from(headers.len().min(9)).unwrap_or(9)])
    }
}

/// Those of one name keep their order; the names need not.
fn sorted(headers: &Headers) -> Vec<Header> {
    let mut sorted = headers.to_vec();
    sorted.sort_by(|one, other| one.name.cmp(&other.name));
    sorted
}
