//! The settings of a process, read as a whole: either all are good, or all that is wrong is told.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    indented,
    sources::{Origin, Sources},
    values::{self, DatabaseUrl, Token},
    variables::{self, Default, Variable},
};
use crate::{
    engine::Config,
    http::OperatorAccess,
    log::kafka::{KafkaConfig, KafkaLog},
    store::StartAt,
    telemetry::{
        Parentage,
        otlp::{OtlpSettings, OtlpSettingsError},
    },
    webhook::{Endpoint, Secret},
};

/// What is written where nobody says otherwise.
const LOG_DEFAULT: &str = "info";
/// A topic of more partitions than this is a typing error.
const LANES_MAX: u32 = 1_000;
const DRAIN_SECONDS_MAX: u32 = 3_600;
/// A year.
const KEPT_HOURS_MAX: u32 = 8_760;

/// More than fit into any memory that one process has.
const AGGREGATES_MAX: u32 = 10_000_000;

/// The settings of a process. Shown without secrets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The first part of every topic, group and transactional id.
    pub namespace: String,
    /// Kafka's bootstrap servers: `host:port`, separated by commas.
    pub kafka_brokers: String,
    /// Whether the connection to brokers on other machines may be unencrypted.
    pub kafka_plaintext_ok: bool,
    /// The service's own database.
    pub database_url: DatabaseUrl,
    /// The tables' owner, who migrates.
    pub database_owner_url: Option<DatabaseUrl>,
    /// Where to listen.
    pub http_address: SocketAddr,
    /// Partitions of the service's topic.
    pub lanes: u32,
    /// Transactional producers among which the lanes are divided.
    pub shards: u32,
    /// Where a topic is begun that was never read before.
    pub start_at: StartAt,
    /// The topics of services that do not follow `<namespace>.<service>.events`, by the service's name.
    pub topics: BTreeMap<String, String>,
    /// How long an event of a foreign producer is known again.
    pub inbox_kept: Duration,
    /// How long a command's answer is kept under the key that its caller gave.
    pub answers_kept: Duration,
    /// Aggregates that are kept in memory.
    pub aggregates_cached: u32,
    /// The name that this instance keeps over restarts.
    pub instance: Option<String>,
    /// What is written to standard error, as a filter of `tracing-subscriber`.
    pub log: String,
    /// For how long to finish what was begun.
    pub drain: Duration,
    /// What an event is to the span that processes it.
    pub parentage: Parentage,
    /// Where spans go, by OpenTelemetry's own variables; nowhere when they name no endpoint.
    pub otlp: Option<OtlpSettings>,
    /// What opens the operator's interface, where it is not open to this machine.
    operator_token: Option<Token>,
    /// Where dead letters are told.
    pub alert_webhook: Option<Endpoint>,
    /// What is in force, and who said it: for people.
    in_force: Vec<String>,
    /// Variables that mean nothing.
    pub(super) unknown: Vec<String>,
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} wrong in the configuration:\n{}--help lists every variable", count(.0.len()), indented(.0))]
pub struct SettingsError(pub Vec<String>);

fn count(things: usize) -> String {
    if things == 1 { "1 thing is".to_owned() } else { format!("{things} things are") }
}

/// Reads this process's environment, and the file that it names.
pub(super) fn from_environment() -> Result<Settings, SettingsError> {
    // What is not Unicode cannot be a value of ours, and its name then says where the error is.
    let variables = std::env::vars_os().map(|(name, value)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    });
    let otlp = OtlpSettings::from_variables(|name| std::env::var(name).ok());
    with_otlp(read(Sources::from_variables(variables)), otlp)
}

/// All that is wrong, on either side.
fn with_otlp(
    settings: Result<Settings, SettingsError>,
    otlp: Result<Option<OtlpSettings>, OtlpSettingsError>,
) -> Result<Settings, SettingsError> {
    match (settings, otlp) {
        (Ok(mut settings), Ok(otlp)) => {
            settings.otlp = otlp.map(|otlp| OtlpSettings {
                namespace: Some(settings.namespace.clone()),
                instance: settings.instance.clone(),
                ..otlp
            });
            Ok(settings)
        }
        (settings, otlp) => {
            let ours = settings.err().map_or(vec![], |error| error.0);
            let theirs = otlp.err().map_or(vec![], |error| error.0);
            Err(SettingsError([ours, theirs].concat()))
        }
    }
}

/// The same of given variables, and of a file's text.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn settings_of(
    variables: impl IntoIterator<Item = (String, String)>,
    file: Option<&str>,
) -> Result<Settings, SettingsError> {
    let path = variables::CONFIG.full_name();
    let variables = variables.into_iter().filter(|(name, _)| *name != path);
    let mut sources = Sources::from_variables(variables);
    let mut errors = vec![];
    if let Some(text) = file {
        sources.take_file(text, &mut errors);
    }
    settled(&sources, errors)
}

fn read(mut sources: Sources) -> Result<Settings, SettingsError> {
    let mut errors = vec![];
    let file = sources.get(&variables::CONFIG).map(|(path, _)| PathBuf::from(path));
    if let Some(path) = file {
        sources.read_file(&path, &mut errors);
    }
    settled(&sources, errors)
}

fn settled(sources: &Sources, errors: Vec<String>) -> Result<Settings, SettingsError> {
    let mut reader = Reader { sources, errors, in_force: vec![] };
    let settings = reader.settings();
    let Reader { mut errors, in_force, .. } = reader;
    match settings {
        Some(settings) if errors.is_empty() => {
            Ok(Settings { in_force, unknown: sources.unknown(), ..settings })
        }
        _ => {
            // A misspelt name is the likeliest cause of a missing one.
            errors.extend(sources.unknown());
            Err(SettingsError(errors))
        }
    }
}

struct Reader<'a> {
    sources: &'a Sources,
    errors: Vec<String>,
    in_force: Vec<String>,
}

impl Reader<'_> {
    /// `None` when something is wrong; all is read nevertheless.
    fn settings(&mut self) -> Option<Settings> {
        let namespace = self.read(&variables::NAMESPACE, values::name);
        let kafka_brokers = self.read(&variables::KAFKA_BROKERS, values::brokers);
        let kafka_plaintext_ok = self.read(&variables::KAFKA_PLAINTEXT_OK, values::yes_or_no);
        let database_url = self.read(&variables::DATABASE_URL, values::database_url);
        let database_owner_url =
            self.optional(&variables::DATABASE_OWNER_URL, values::database_url);
        let http_address = self.read(&variables::HTTP_ADDRESS, values::socket_address);
        let lanes = self.number(&variables::LANES, LANES_MAX, "partitions");
        let shards = self.number(&variables::SHARDS, LANES_MAX, "producers");
        let start_at = self.read(&variables::START_AT, values::start_at);
        let topics = self.optional(&variables::TOPICS, values::topics);
        let inbox_kept = self.hours(&variables::INBOX_KEPT_HOURS);
        let answers_kept = self.hours(&variables::ANSWERS_KEPT_HOURS);
        let aggregates_cached =
            self.number(&variables::AGGREGATES_CACHED, AGGREGATES_MAX, "aggregates");
        let instance = self.optional(&variables::INSTANCE, values::name);
        let log = self.log();
        let operator_token = self.optional(&variables::OPERATOR_TOKEN, values::token);
        let alert_webhook = self.optional(&variables::ALERT_WEBHOOK_URL, values::endpoint);
        let alert_secret = self.optional(&variables::ALERT_WEBHOOK_SECRET, values::secret);
        let parentage = self.read(&variables::PROCESS_SPANS, values::parentage);
        let drain = self.number(&variables::DRAIN_SECONDS, DRAIN_SECONDS_MAX, "seconds");
        if let (Some(lanes), Some(shards)) = (lanes, shards) {
            self.errors.extend(too_many_shards(lanes, shards));
        }
        if let (Some(brokers), Some(plaintext_ok)) = (&kafka_brokers, kafka_plaintext_ok) {
            self.errors.extend(refused_by_kafka(brokers, plaintext_ok));
        }
        Some(Settings {
            namespace: namespace?,
            kafka_brokers: kafka_brokers?,
            kafka_plaintext_ok: kafka_plaintext_ok?,
            database_url: database_url?,
            database_owner_url: database_owner_url?,
            http_address: http_address?,
            lanes: lanes?,
            shards: shards?,
            start_at: start_at?,
            topics: topics?.unwrap_or_default(),
            inbox_kept: inbox_kept?,
            answers_kept: answers_kept?,
            aggregates_cached: aggregates_cached?,
            instance: instance?,
            log: log?,
            drain: Duration::from_secs(drain?.into()),
            parentage: parentage?,
            operator_token: operator_token?,
            alert_webhook: signed(alert_webhook?, alert_secret?),
            otlp: None,
            in_force: vec![],
            unknown: vec![],
        })
    }

    fn read<T>(
        &mut self,
        variable: &Variable,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match (self.sources.get(variable), &variable.default) {
            (Some((text, origin)), _) => self.parse(variable, text, &origin, parse),
            (None, Default::Is(text)) => self.parse(variable, text, &Origin::Default, parse),
            (None, _) => {
                let (name, form, what) = (variable.full_name(), variable.form, variable.what);
                self.errors.push(format!("{name} is not set: {what}; set it to {form}"));
                None
            }
        }
    }

    /// `Some(None)` when nothing was said.
    fn optional<T>(
        &mut self,
        variable: &Variable,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.sources.get(variable) {
            Some((text, origin)) => self.parse(variable, text, &origin, parse).map(Some),
            None => Some(None),
        }
    }

    fn number(&mut self, variable: &Variable, most: u32, unit: &str) -> Option<u32> {
        self.read(variable, |text| values::number(text, 1, most, unit))
    }

    fn hours(&mut self, variable: &Variable) -> Option<Duration> {
        let hours = self.number(variable, KEPT_HOURS_MAX, "hours")?;
        Some(Duration::from_secs(u64::from(hours) * 3600))
    }

    fn log(&mut self) -> Option<String> {
        if let Some((text, origin)) = self.sources.get(&variables::LOG) {
            return self.parse(&variables::LOG, text, &origin, values::log_filter);
        }
        // Another's variable: what we cannot read of it is no error of ours.
        let filter = self.sources.rust_log.as_deref().filter(|it| values::log_filter(it).is_ok());
        Some(filter.unwrap_or(LOG_DEFAULT).to_owned())
    }

    fn parse<T>(
        &mut self,
        variable: &Variable,
        text: &str,
        origin: &Origin,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let name = variable.full_name();
        let shown = shown(variable, text);
        match parse(text) {
            Ok(value) => {
                self.in_force.push(format!("{name} = {shown}  ({origin})"));
                Some(value)
            }
            Err(error) => {
                let place = match origin {
                    Origin::File(file) => format!("{file}: {:?}", variable.key()),
                    _ => name,
                };
                self.errors.push(format!("{place} = {shown}: {error}"));
                None
            }
        }
    }
}

/// A value as people may see it: the one that cannot be read may be all password.
fn shown(variable: &Variable, text: &str) -> String {
    let hidden = || "(not shown)".to_owned();
    match variable.name {
        "OPERATOR_TOKEN" | "ALERT_WEBHOOK_SECRET" => hidden(),
        "ALERT_WEBHOOK_URL" => {
            values::endpoint(text).map_or_else(|_| hidden(), |url| url.to_string())
        }
        "DATABASE_URL" | "DATABASE_OWNER_URL" => {
            values::database_url(text).map_or_else(|_| hidden(), |url| url.to_string())
        }
        _ => format!("{text:?}"),
    }
}

fn signed(endpoint: Option<Endpoint>, secret: Option<Secret>) -> Option<Endpoint> {
    match secret {
        Some(secret) => endpoint.map(|endpoint| endpoint.signed(secret)),
        None => endpoint,
    }
}

fn too_many_shards(lanes: u32, shards: u32) -> Option<String> {
    let name = variables::SHARDS.full_name();
    (shards > lanes).then(|| {
        format!("{name} = \"{shards}\": is more than the {lanes} lanes; write 1 to {lanes}")
    })
}

/// What the log itself would say later.
fn refused_by_kafka(brokers: &str, plaintext_ok: bool) -> Vec<String> {
    let name = variables::KAFKA_BROKERS.full_name();
    let yes = variables::KAFKA_PLAINTEXT_OK.full_name();
    let errors = KafkaLog::new(kafka(brokers, plaintext_ok)).err().map(|error| error.0);
    let told = |error| format!("{name} = {brokers:?}: {error}; the yes is {yes}=yes");
    errors.into_iter().flatten().map(told).collect()
}

fn kafka(brokers: &str, plaintext_ok: bool) -> KafkaConfig {
    let mut kafka = KafkaConfig::new(brokers);
    kafka.plaintext_off_loopback = plaintext_ok;
    kafka
}

impl Settings {
    /// How to reach Kafka.
    #[must_use]
    pub fn kafka(&self) -> KafkaConfig {
        kafka(&self.kafka_brokers, self.kafka_plaintext_ok)
    }

    /// Who may use the operator's interface.
    #[must_use]
    pub fn operator_access(&self) -> OperatorAccess {
        match &self.operator_token {
            Some(token) => token.access(),
            None => OperatorAccess::of(self.http_address, None),
        }
    }

    /// How the engine is set up.
    #[must_use]
    pub fn engine(&self) -> Config {
        let mut config = Config::new(self.namespace.as_str());
        config.lanes = self.lanes;
        config.shards = self.shards;
        config.start = self.start_at;
        config.topics = self.topics.clone();
        config.limits.inbox_kept = self.inbox_kept;
        config.limits.answers_kept = self.answers_kept;
        config.limits.aggregates_cached_max =
            usize::try_from(self.aggregates_cached).unwrap_or(usize::MAX);
        config.instance = self.instance.clone();
        config.parentage = self.parentage;
        config
    }

    /// What is in force and who said it, one line each, without secrets.
    #[must_use]
    pub fn report(&self) -> String {
        let mut lines = self.in_force.clone();
        if self.instance.is_none() {
            lines.push(format!("{} = a random name  (default)", variables::INSTANCE.full_name()));
        }
        if !lines.iter().any(|line| line.starts_with(&variables::LOG.full_name())) {
            lines.push(format!(
                "{} = {:?}  (RUST_LOG or default)",
                variables::LOG.full_name(),
                self.log
            ));
        }
        let spans = self.otlp.as_ref().map(|otlp| format!("spans go to {}", otlp.shown_endpoint()));
        lines.push(
            spans.unwrap_or_else(|| "no spans: OTEL_EXPORTER_OTLP_ENDPOINT is not set".into()),
        );
        lines.extend(self.unknown.iter().map(|line| format!("warning: {line}")));
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report())
    }
}

#[cfg(test)]
mod tests;
