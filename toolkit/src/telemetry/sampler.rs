//! Which traces are recorded.

use super::{SpanContext, TraceId};

/// Decides by parent and trace whether a span is recorded. Named as in `OTEL_TRACES_SAMPLER`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether the parent's decision holds where there is a parent.
    parent_based: bool,
    ratio: f64,
}

/// Why a sampler is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SamplerError(String);

/// Bits of a trace id that are random by W3C's second level, the lowest ones. A UUIDv7's are.
const RANDOM_BITS: u32 = 56;

impl Default for Sampler {
    /// `parentbased_always_on`.
    fn default() -> Self {
        Self { parent_based: true, ratio: 1.0 }
    }
}

impl Sampler {
    /// By the values of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    ///
    /// # Errors
    /// A name that is not known here, or a ratio that is not between 0 and 1.
    pub fn named(name: &str, argument: Option<&str>) -> Result<Self, SamplerError> {
        let (parent_based, rest) = match name.strip_prefix("parentbased_") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let ratio = match rest {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio(argument)?,
            _ => {
                return Err(SamplerError(format!(
                    "{name:?} is no sampler that is built in: always_on, always_off, traceidratio, \
                     and these with parentbased_ before them"
                )));
            }
        };
        Ok(Self { parent_based, ratio })
    }

    /// Whether a span is recorded.
    #[must_use]
    pub fn samples(&self, parent: Option<SpanContext>, trace: TraceId) -> bool {
        match parent {
            Some(parent) if self.parent_based => parent.sampled,
            _ => chance(trace) < self.ratio,
        }
    }
}

/// At least 0 and below 1, even over all traces.
fn chance(trace: TraceId) -> f64 {
    let random = trace.0 & ((1 << RANDOM_BITS) - 1);
    // 53 of the 56 bits fit without rounding up to 1.
    #[allow(clippy::cast_precision_loss)]
    let whole = (random >> 3) as f64;
    whole / 2f64.powi(53)
}

fn ratio(argument: Option<&str>) -> Result<f64, SamplerError> {
    // Nothing said is all, by the specification.
    let Some(text) = argument else { return Ok(1.0) };
    match text.trim().parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(SamplerError(format!("{text:?} is no ratio between 0 and 1"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{runtime::Runtime, telemetry::SpanId};

    fn parent(sampled: bool) -> Option<SpanContext> {
        Some(SpanContext { trace: TraceId(1), span: SpanId(1), sampled })
    }

    #[test]
    fn a_parent_decides_only_for_those_that_are_parent_based() {
        let trace = TraceId(u128::MAX);
        for (name, orphan, under_sampled, under_unsampled) in [
            ("always_on", true, true, true),
            ("always_off", false, false, false),
            ("parentbased_always_on", true, true, false),
            ("parentbased_always_off", false, true, false),
        ] {
            let sampler = Sampler::named(name, None).unwrap();
            assert_eq!(sampler.samples(None, trace), orphan, "{name}");
            assert_eq!(sampler.samples(parent(true), trace), under_sampled, "{name}");
            assert_eq!(sampler.samples(parent(false), trace), under_unsampled, "{name}");
        }
    }

    #[test]
    fn a_ratio_of_the_sagas_is_sampled() {
        let sampler = Sampler::named("traceidratio", Some("0.25")).unwrap();
        let runtime = Runtime::tokio_seeded(7);
        let sampled = (0..10_000)
            .filter(|_| sampler.samples(None, TraceId(runtime.new_saga_id().0.as_u128())))
            .count();
        assert!((2_300..2_700).contains(&sampled), "{sampled}");
    }

    #[test]
    fn what_is_no_sampler_is_told() {
        for (name, argument) in
            [("jaeger_remote", None), ("traceidratio", Some("2")), ("traceidratio", Some("many"))]
        {
            let error = Sampler::named(name, argument).unwrap_err().to_string();
            assert!(error.contains(argument.unwrap_or(name)), "{error}");
        }
    }
}
