//! Ids: short texts from a small alphabet, checked where they enter.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The longest id, in characters.
pub const ID_CHARS_MAX: usize = 64;

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// No character at all.
    #[error("an id must not be empty")]
    Empty,
    /// More than [`ID_CHARS_MAX`] characters.
    #[error("an id has at most {ID_CHARS_MAX} characters, this one has {chars}")]
    TooLong {
        /// How many it has.
        chars: usize,
    },
    /// A character from outside the alphabet; NUL and the other control characters are among them.
    #[error("the character {0:?} cannot be in an id: use letters, digits, `-`, `_`, `.` and `:`")]
    Character(char),
}

/// An id's alphabet: safe in a URL's path, in a stream's name and as an event's key.
fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if let Some(c) = text.chars().find(|c| !allowed(*c)) {
        return Err(InvalidId::Character(c));
    }
    match text.chars().count() {
        chars if chars > ID_CHARS_MAX => Err(InvalidId::TooLong { chars }),
        _ => Ok(()),
    }
}

fn schema(what: &str) -> Schema {
    json_schema!({
        "type": "string",
        "description": what,
        "pattern": "^[A-Za-z0-9._:-]+$",
        "minLength": 1,
        "maxLength": ID_CHARS_MAX,
    })
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident;)*) => {$(
        $(#[doc = $doc])*
        ///
        /// 1 to [`ID_CHARS_MAX`] ASCII letters, digits, `-`, `_`, `.` and `:`. Cheap to clone.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schema(concat!($($doc),*).trim())
            }
        }
    )*};
}

ids! {
    /// Names an order; every event of its saga carries it as key.
    OrderId;
    /// Names a customer.
    CustomerId;
    /// Names an account that orders are charged to.
    AccountId;
    /// Names a product that is kept in stock.
    Sku;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_character_of_the_alphabet_up_to_the_limit() {
        let id: OrderId = "aZ09-_.:".parse().unwrap();
        assert_eq!(id.to_string(), "aZ09-_.:");
        assert!("x".repeat(ID_CHARS_MAX).parse::<Sku>().is_ok());
    }

    #[test]
    fn refuses_what_would_harm_later() {
        let reason = |text: &str| text.parse::<AccountId>().unwrap_err();
        assert_eq!(reason(""), InvalidId::Empty);
        assert_eq!(reason(&"x".repeat(65)), InvalidId::TooLong { chars: 65 });
        for c in ['\0', '\n', '\u{7f}', '\u{202e}', ' ', '/', '%', '"', 'é'] {
            assert_eq!(reason(&format!("a{c}b")), InvalidId::Character(c));
        }
    }

    #[test]
    fn deserialisation_says_what_is_wrong() {
        let error = serde_json::from_str::<OrderId>(r#""a\u0000b""#).unwrap_err().to_string();
        assert!(error.contains(r"'\0' cannot be in an id"), "{error}");
        assert!(serde_json::from_str::<OrderId>("7").is_err());
    }
}
