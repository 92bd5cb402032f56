//! Configuration: lines `NAME=value` are variables, then an empty line, and the file.

use quadrille::testing::settings;

use super::{Target, ensure, head_and_body, mark};

pub(super) struct ConfigurationTarget;

impl Target for ConfigurationTarget {
    /// What is wrong is listed; what is right is reported, without the secret in it.
    fn check(&mut self, input: &[u8]) -> Result<Vec<u64>, String> {
        let (head, file) = head_and_body(input);
        let head = String::from_utf8_lossy(head);
        let variables = head
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let file = String::from_utf8_lossy(file);
        let file = (!file.is_empty()).then_some(&*file);
        let secret = is_a_secret(&head, file);
        match settings::read(variables, file) {
            Ok(settings) => {
                let report = settings.report();
                ensure(!secret || !report.contains(SECRET), || {
                    format!("the secret is in the report:\n{report}")
                })?;
                Ok(vec![mark(&report)])
            }
            Err(errors) => {
                let text = errors.to_string();
                ensure(errors.0.iter().all(|error| !error.is_empty()), || {
                    "an empty error".to_owned()
                })?;
                ensure(!errors.0.is_empty(), || "wrong, and nobody says what".to_owned())?;
                ensure(!secret || !text.contains(SECRET), || {
                    format!("the secret is in the errors:\n{text}")
                })?;
                Ok(errors.0.iter().map(|error| mark(error)).collect())
            }
        }
    }
}

/// The password in the corpus.
const SECRET: &str = "hunter2";

/// Whether the password stands where one is expected, and nowhere else: elsewhere it is no secret.
fn is_a_secret(head: &str, file: Option<&str>) -> bool {
    let places = head.matches(SECRET).count();
    let proper = ["QUADRILLE_DATABASE_URL=", "QUADRILLE_DATABASE_OWNER_URL="].iter().map(|name| {
        let is_it = |line: &&str| {
            line.strip_prefix(name).is_some_and(|url| url.starts_with("postgres://order:hunter2@"))
        };
        usize::from(head.lines().filter(is_it).count() == 1)
    });
    places == proper.sum::<usize>() && !file.is_some_and(|file| file.contains(SECRET))
}
