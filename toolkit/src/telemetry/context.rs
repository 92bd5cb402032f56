//! W3C trace context: who caused what.

use std::fmt;

/// A trace's id; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub u128);

/// A span's id, unique in its trace; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A span as others refer to it. Shown as a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanContext {
    /// Its trace.
    pub trace: TraceId,
    /// Its id.
    pub span: SpanId,
    /// Whether it is recorded.
    pub sampled: bool,
}

/// `00-<32 digits>-<16 digits>-<2 digits>`.
const TRACE_PARENT_BYTES: usize = 55;
const SAMPLED: u8 = 1;

impl SpanContext {
    /// Reads a `traceparent`. Of a version that comes after ours, what ours has is read.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let whole = bytes.get(..TRACE_PARENT_BYTES)?;
        let dashes = [2, 35, 52].iter().all(|at| whole[*at] == b'-');
        let version = digits(whole, 0, 2)?;
        let more = &bytes[TRACE_PARENT_BYTES..];
        let ends = more.is_empty() || (version != 0 && more[0] == b'-');
        if !dashes || !ends || version == 0xff {
            return None;
        }
        let trace = digits(whole, 3, 35).filter(|trace| *trace != 0)?;
        let span = digits(whole, 36, 52).filter(|span| *span != 0)?;
        let flags = digits(whole, 53, 55)?;
        Some(Self {
            trace: TraceId(trace),
            span: SpanId(u64::try_from(span).ok()?),
            sampled: flags & u128::from(SAMPLED) != 0,
        })
    }
}

/// Lower-case hexadecimal digits only.
fn digits(bytes: &[u8], from: usize, to: usize) -> Option<u128> {
    bytes[from..to].iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled) * SAMPLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_parent_is_read_and_shown_as_it_was() {
        let context = SpanContext::parse(EXAMPLE).unwrap();
        assert_eq!(context.span, SpanId(0xb7ad_6b71_6920_3331));
        assert!(context.sampled);
        assert_eq!(context.to_string(), EXAMPLE);
        let unsampled = EXAMPLE.replace("-01", "-00");
        assert_eq!(SpanContext::parse(&unsampled).unwrap().to_string(), unsampled);
    }

    #[test]
    fn a_later_version_may_be_longer_and_this_one_may_not() {
        let later = EXAMPLE.replacen("00", "01", 1);
        assert!(SpanContext::parse(&later).is_some());
        assert!(SpanContext::parse(&format!("{later}-more")).is_some());
        assert!(SpanContext::parse(&format!("{later}more")).is_none());
        assert!(SpanContext::parse(&format!("{EXAMPLE}-more")).is_none());
    }

    #[test]
    fn what_is_no_trace_parent_is_none() {
        for bad in [
            "",
            "garbage",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-01",
        ] {
            assert_eq!(SpanContext::parse(bad), None, "{bad}");
        }
    }
}
