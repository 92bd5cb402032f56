//! From the text of a setting to its value. Each error says what is wrong, and after a semicolon the mend.

use std::{collections::BTreeMap, fmt, net::SocketAddr, str::FromStr as _};

use sqlx::postgres::PgConnectOptions;
use tracing_subscriber::EnvFilter;

use crate::{
    http::{OperatorAccess, TOKEN_BYTES_MIN},
    store::StartAt,
    telemetry::Parentage,
    webhook::{Endpoint, Secret},
};

/// The address of a database. Shown without its password and its options.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    url: String,
    place: String,
    role: String,
}

impl DatabaseUrl {
    /// The whole address, for the driver alone.
    pub(super) fn expose(&self) -> &str {
        &self.url
    }

    /// Who logs in.
    pub(super) fn role(&self) -> &str {
        &self.role
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(super) fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    let mend = "write postgres://user:password@host:port/database";
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(format!("is no address of a PostgreSQL database; {mend}"));
    }
    let options = PgConnectOptions::from_str(text).map_err(|_| {
        format!("cannot be read as an address; {mend}, with % codes for special signs")
    })?;
    let Some(database) = options.get_database() else {
        return Err(format!("names no database; {mend}"));
    };
    let (role, host, port) = (options.get_username(), options.get_host(), options.get_port());
    let place = format!("postgres://{role}:***@{host}:{port}/{database}");
    Ok(DatabaseUrl { url: text.to_owned(), place, role: role.to_owned() })
}

/// A whole number in a range; `unit` is for people.
pub(super) fn number(text: &str, from: u32, to: u32, unit: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if (from..=to).contains(&number) => Ok(number),
        Ok(_) => Err(format!("is out of range; write {from} to {to} {unit}")),
        Err(_) => Err(format!("is no whole number; write {from} to {to} {unit}")),
    }
}

/// What names in Kafka are made of.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

pub(super) fn name(text: &str) -> Result<String, String> {
    // Kafka allows a topic 249; what we put behind this one must fit too.
    if text.len() > 100 {
        return Err("is too long; write at most 100 letters".to_owned());
    }
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err("has other signs; use letters, digits, - _ .".to_owned());
    }
    Ok(text.to_owned())
}

/// Kafka's own limit.
const TOPIC_BYTES_MAX: usize = 249;

/// `service=topic`, separated by commas.
pub(super) fn topics(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mend = "write service=topic, separated by commas, for example billing=legacy.invoices";
    let mut topics = BTreeMap::new();
    for pair in text.split(',').map(str::trim) {
        let Some((service, topic)) = pair.split_once('=') else {
            return Err(format!("{pair:?} names no topic; {mend}"));
        };
        let (service, topic) = (service.trim(), topic.trim());
        let fits = topic.len() <= TOPIC_BYTES_MAX && topic.chars().all(is_plain);
        if service.is_empty() || topic.is_empty() || !fits || matches!(topic, "." | "..") {
            return Err(format!("{pair:?} is no service and no topic of Kafka's; {mend}"));
        }
        if topics.insert(service.to_owned(), topic.to_owned()).is_some() {
            return Err(format!("{service:?} is there twice; {mend}"));
        }
    }
    Ok(topics)
}

/// `host:port`, separated by commas.
pub(super) fn brokers(text: &str) -> Result<String, String> {
    let mend = "write host:port, separated by commas, for example localhost:9092";
    for broker in text.split(',').map(str::trim) {
        let Some((host, port)) = broker.rsplit_once(':') else {
            return Err(format!("{broker:?} has no port; {mend}"));
        };
        if host.is_empty() || port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err(format!("{broker:?} is no host and port; {mend}"));
        }
    }
    Ok(text.to_owned())
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "is no address to listen on; write ip:port, for example 0.0.0.0:8080".to_owned()
    })
}

pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("is neither; write yes or no".to_owned()),
    }
}

pub(super) fn start_at(text: &str) -> Result<StartAt, String> {
    match text {
        "first" => Ok(StartAt::First),
        "retained" => Ok(StartAt::Retained),
        _ => Err("is neither; write first or retained".to_owned()),
    }
}

pub(super) fn parentage(text: &str) -> Result<Parentage, String> {
    match text {
        "child" => Ok(Parentage::Parent),
        "link" => Ok(Parentage::Link),
        _ => Err("is neither; write child or link".to_owned()),
    }
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is no filter; write error, warn, info, debug or trace, or target=level \
                       separated by commas"
            .to_owned()),
    }
}

/// A token, which nobody sees.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    pub(super) fn access(&self) -> OperatorAccess {
        OperatorAccess::token(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

pub(super) fn token(text: &str) -> Result<Token, String> {
    let visible = |c: char| c.is_ascii_graphic();
    if text.len() < TOKEN_BYTES_MIN || !text.chars().all(visible) {
        return Err(format!(
            "is too short, or has blanks or other signs that no header takes; write {TOKEN_BYTES_MIN} characters \
             or more, such as `openssl rand -hex 16` gives"
        ));
    }
    Ok(Token(text.to_owned()))
}

pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    Endpoint::new(text, None).map_err(|error| error.to_string())
}

pub(super) fn secret(text: &str) -> Result<Secret, String> {
    Secret::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_shown_without_its_secrets() {
        let url = "postgres://me:s%40same@db:5433/orders?password=open&options[search_path]=x";
        let url = database_url(url).unwrap();
        let shown = format!("{url} {url:?}");
        assert_eq!(shown, "postgres://me:***@db:5433/orders postgres://me:***@db:5433/orders");
        assert_eq!(url.role(), "me");
        assert!(url.expose().contains("s%40same"));
    }

    #[test]
    fn what_is_no_database_is_refused_without_showing_it() {
        for text in ["", "mysql://me:sesame@db/x", "postgres://me:sesame@db:port/x", "postgres://h"]
        {
            let error = database_url(text).unwrap_err();
            assert!(!error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn numbers_have_a_range() {
        assert_eq!(number("7", 1, 7, "things"), Ok(7));
        for text in ["0", "8", "-1", "1.5", "", "7 "] {
            assert!(number(text, 1, 7, "things").unwrap_err().contains("1 to 7 things"), "{text}");
        }
    }

    #[test]
    fn brokers_have_a_host_and_a_port() {
        for good in ["a:1", "a:1,b.c:65535", "[::1]:9092, a:1"] {
            assert!(brokers(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "a:", ":1", "a:0", "a:65536", "a:1,", "a:1,,b:1"] {
            assert!(brokers(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn topics_have_a_service_each() {
        let read = topics("billing=legacy.invoices, stock=wms-2").unwrap();
        let expected = [("billing", "legacy.invoices"), ("stock", "wms-2")];
        assert!(read.iter().map(|(a, b)| (&**a, &**b)).eq(expected), "{read:?}");
        let long = format!("a={}", "t".repeat(TOPIC_BYTES_MAX + 1));
        for bad in ["", "a", "a=", "=t", "a=t,", "a=t,a=u", "a=t u", "a=..", &long] {
            assert!(topics(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_words_are_checked() {
        assert!(name("a-b_c.D1").is_ok());
        assert!(name("").is_err() && name("a b").is_err() && name(&"a".repeat(101)).is_err());
        assert_eq!((yes_or_no("yes"), yes_or_no("no")), (Ok(true), Ok(false)));
        assert!(yes_or_no("maybe").is_err() && start_at("last").is_err());
        assert!(parentage("child").is_ok() && parentage("parent").is_err());
        assert!(socket_address("0.0.0.0:80").is_ok() && socket_address("8080").is_err());
        assert!(log_filter("info,quadrille=debug").is_ok() && log_filter("=,=").is_err());
    }
}
