//! Codes of fixed length: currencies and countries.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a text is not a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {letters} capital letters A to Z, such as {example:?}; {found:?} is not")]
pub struct InvalidCode {
    what: &'static str,
    letters: usize,
    example: &'static str,
    found: String,
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $letters:literal, $what:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $letters]);

        impl FromStr for $name {
            type Err = InvalidCode;
            fn from_str(text: &str) -> Result<Self, InvalidCode> {
                match <[u8; $letters]>::try_from(text.as_bytes()) {
                    Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => Ok(Self(letters)),
                    _ => Err(InvalidCode {
                        what: $what,
                        letters: $letters,
                        example: $example,
                        // Enough of it to be found again.
                        found: text.chars().take(16).collect(),
                    }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidCode;
            fn try_from(text: String) -> Result<Self, InvalidCode> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(code: $name) -> Self {
                code.to_string()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": concat!("^[A-Z]{", $letters, "}$"),
                    "examples": [$example],
                })
            }
        }
    };
}

code! {
    /// A currency: three capital letters, as in ISO 4217.
    Currency, 3, "a currency", "EUR"
}
code! {
    /// A country: two capital letters, as in ISO 3166-1.
    Country, 2, "a country", "FR"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_and_written_as_text() {
        let euro: Currency = serde_json::from_str(r#""EUR""#).unwrap();
        assert_eq!(serde_json::to_string(&euro).unwrap(), r#""EUR""#);
    }

    #[test]
    fn refuses_other_lengths_and_letters() {
        for text in ["", "EU", "EURO", "eur", "E R", "€", "EU\0"] {
            let error = text.parse::<Currency>().unwrap_err().to_string();
            assert!(error.contains("3 capital letters"), "{error}");
        }
    }
}
