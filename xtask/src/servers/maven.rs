//! Artifacts from Maven, through Maven's own client and the settings it has here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::machine::{self, MAVEN};
use crate::process::{Launch, Output};

/// A download of some 50 MB on a slow line.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

/// The goal that copies artifacts into a folder, with a version, so that it stays the same.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Artifacts that belong together.
#[derive(Debug)]
pub(super) struct Bundle {
    /// Names the folder; holds the version.
    pub(super) name: String,
    /// `group:artifact:version` each.
    pub(super) artifacts: Vec<String>,
    /// Whether what they depend on is wanted too.
    pub(super) transitive: bool,
}

/// The folder with the bundle's jars: from the cache, else downloaded.
pub(super) fn fetch(bundle: &Bundle, cache: &Path) -> Result<PathBuf> {
    let done = cache.join(&bundle.name);
    if done.is_dir() {
        return Ok(done);
    }
    let maven = machine::require(MAVEN)?;
    eprintln!("xtask: downloading {} through Maven", bundle.name);
    // Beside the final folder and renamed at the end: a broken download is never used.
    let work = cache.join(format!("{}.part-{}", bundle.name, std::process::id()));
    fs::create_dir_all(&work)?;
    let result = copy(&maven, bundle, &work);
    if result.is_ok() && !done.is_dir() {
        fs::rename(work.join("jars"), &done).context("cannot keep the download")?;
    }
    fs::remove_dir_all(&work)?;
    result.map(|()| done)
}

fn copy(maven: &Path, bundle: &Bundle, work: &Path) -> Result<()> {
    let pom = work.join("pom.xml");
    fs::write(&pom, pom_of(bundle))?;
    Launch::new("Maven", maven)
        .args(["-B", "-q", COPY, "-DincludeScope=runtime"])
        .arg(format!("-DexcludeTransitive={}", !bundle.transitive))
        .arg(format!("-DoutputDirectory={}", work.join("jars").display()))
        .arg("-f")
        .arg(&pom)
        .output(Output::Log(work.join("maven.log")))
        .run(DOWNLOAD_LIMIT)
}

fn pom_of(bundle: &Bundle) -> String {
    let dependencies: String = bundle.artifacts.iter().map(|it| dependency(it)).collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n\
         <modelVersion>4.0.0</modelVersion>\n\
         <groupId>quadrille</groupId><artifactId>servers</artifactId><version>0</version>\n\
         <packaging>pom</packaging>\n\
         <dependencies>\n{dependencies}</dependencies>\n\
         </project>\n"
    )
}

fn dependency(coordinates: &str) -> String {
    let mut parts = coordinates.splitn(3, ':');
    let mut part = || parts.next().unwrap_or_default();
    format!(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId>\
         <version>{}</version></dependency>\n",
        part(),
        part(),
        part()
    )
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_pom_names_every_artifact() {
        let bundle = Bundle {
            name: "b".into(),
            artifacts: vec!["g:a:1".into(), "h:b:2.0".into()],
            transitive: false,
        };
        let pom = pom_of(&bundle);
        assert!(pom.contains("<groupId>g</groupId><artifactId>a</artifactId><version>1</version>"));
        assert!(pom.contains("<version>2.0</version>"));
        assert_eq!(pom.matches("<dependency>").count(), 2);
    }
}
