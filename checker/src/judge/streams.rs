//! Per stream dense versions, each once.

use std::collections::BTreeMap;

use crate::{evidence::Evidence, report::Invariant};

pub(super) fn dense(evidence: &Evidence) -> Invariant {
    let mut found = Invariant::new(
        "stream_versions_dense",
        "the versions of each stream are 1, 2, 3 …, each once",
        "events",
    );
    for service in &evidence.services {
        let mut streams: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for event in &service.store.events {
            found.looked();
            streams.entry(&event.stream).or_default().push(event.version);
        }
        for (stream, mut versions) in streams {
            versions.sort_unstable();
            let expected = 1..=i64::try_from(versions.len()).unwrap_or(i64::MAX);
            if !versions.iter().copied().eq(expected) {
                found.violated(format!("{} {stream}: {}", service.name, holes(&versions)));
            }
        }
    }
    found
}

fn holes(versions: &[i64]) -> String {
    let mut last = 0;
    for &version in versions {
        if version == last {
            return format!("version {version} doubled");
        }
        if version != last + 1 {
            return format!("versions {} to {} lost", last + 1, version - 1);
        }
        last = version;
    }
    "versions lost".to_owned()
}
