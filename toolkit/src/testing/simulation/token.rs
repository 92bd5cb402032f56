//! A run in one word: a seed alone, or a seed with the sagas and the faults that are left of its run.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{faults::Fault, plan::Site};

/// What replays a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) seed: u64,
    /// `None` for the whole run of the seed.
    pub(super) part: Option<Part>,
}

/// A run that was shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) calm: bool,
    /// It is one of a bounded search, in which everything takes little time.
    pub(super) brief: bool,
    pub(super) sagas: Vec<usize>,
    pub(super) faults: BTreeMap<Site, Fault>,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        let Some(part) = &self.part else { return Ok(()) };
        let sagas: Vec<String> = part.sagas.iter().map(usize::to_string).collect();
        let manner = match (part.calm, part.brief) {
            (_, true) => "brief",
            (true, false) => "calm",
            (false, false) => "wild",
        };
        write!(f, ";{manner};{}", sagas.join(","))?;
        part.faults.iter().try_for_each(|(site, fault)| write!(f, ";{site}={fault}"))
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{text:?} is no run: {what}");
        let mut parts = text.split(';');
        let seed = parts.next().unwrap_or_default().trim();
        let seed = seed.parse().map_err(|_| wrong("it begins with a seed, a number"))?;
        let Some(manner) = parts.next() else { return Ok(Self { seed, part: None }) };
        let (calm, brief) = match manner {
            "brief" => (true, true),
            "calm" => (true, false),
            "wild" => (false, false),
            _ => return Err(wrong("`brief`, `calm` or `wild` follows the seed")),
        };
        let sagas = parts.next().unwrap_or_default().split(',').filter(|s| !s.is_empty());
        let sagas = sagas.map(str::parse).collect::<Result<_, _>>();
        let sagas = sagas.map_err(|_| wrong("the sagas are numbers, with commas between"))?;
        let mut faults = BTreeMap::new();
        for fault in parts {
            let (site, fault) =
                fault.split_once('=').ok_or_else(|| wrong("a fault is `where=what`"))?;
            faults.insert(site.parse()?, fault.parse()?);
        }
        Ok(Self { seed, part: Some(Part { calm, brief, sagas, faults }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written() {
        let whole = Token { seed: 7, part: None };
        assert_eq!("7".parse(), Ok(whole));
        let faults = BTreeMap::from([("pay/0:append#3".parse().unwrap(), Fault::CrashAfter)]);
        let part = Part { calm: true, brief: false, sagas: vec![1, 3], faults };
        let token = Token { seed: 7, part: Some(part) };
        assert_eq!(token.to_string(), "7;calm;1,3;pay/0:append#3=crash-after");
        assert_eq!(token.to_string().parse(), Ok(token));
        for wrong in ["", "x", "7;maybe", "7;calm;x", "7;calm;1;pay", "7;calm;1;pay/0:a#1=x"] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
    }
}
