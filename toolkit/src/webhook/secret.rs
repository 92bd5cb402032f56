//! The secret that receiver and sender share.

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Webhook;
use crate::log::record::{base64_bytes, base64_text};

/// What a secret's text begins with.
const PREFIX: &str = "whsec_";
/// The lengths that Standard Webhooks allow, in bytes.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key of signatures: `whsec_` and the base64 of 24 to 64 random bytes. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

/// A text that is no secret. It does not say the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no secret of webhooks; write whsec_ and the base64 of 24 to 64 random bytes")]
pub struct NotASecret;

impl Secret {
    /// Reads the text that both sides were given.
    ///
    /// # Errors
    /// It has another form or length.
    pub fn parse(text: &str) -> Result<Self, NotASecret> {
        let bytes = text.strip_prefix(PREFIX).and_then(base64_bytes).ok_or(NotASecret)?;
        if BYTES.contains(&bytes.len()) { Ok(Self(bytes.into())) } else { Err(NotASecret) }
    }

    /// The value of `webhook-signature`.
    #[must_use]
    pub fn signature(&self, webhook: &Webhook) -> String {
        // A key of any length will do.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(webhook.id.as_bytes());
        mac.update(b".");
        mac.update(webhook.timestamp.to_string().as_bytes());
        mac.update(b".");
        mac.update(&webhook.body);
        format!("v1,{}", base64_text(&mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's reference libraries.
    #[test]
    fn signs_as_standard_webhooks_say() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let webhook = Webhook {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            timestamp: 1_614_265_330,
            body: r#"{"test": 2432232314}"#.into(),
        };
        assert_eq!(secret.signature(&webhook), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_and_never_shown() {
        for wrong in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_!"]
        {
            assert_eq!(Secret::parse(wrong), Err(NotASecret), "{wrong}");
        }
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(not shown)");
    }
}
