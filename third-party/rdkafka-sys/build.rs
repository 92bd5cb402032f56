//! Builds librdkafka as the published package does, with the changes of [`CHANGES`].
//!
//! Nothing of it is kept here: cargo is asked for the published package (`upstream/Cargo.lock` has its
//! checksum), and a copy in `OUT_DIR` is changed and built.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What is replaced, once in one file of librdkafka.
struct Change {
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

/// Versions of requests in whose answers a broker names new leaders (KIP-951) are not asked for; README.md
/// says why.
const CHANGES: [Change; 2] = [
    Change {
        file: "src/rdkafka_fetcher.c",
        from: "rd_kafka_broker_ApiVersion_supported(rkb, RD_KAFKAP_Fetch,
                                                          0, 16, NULL);",
        to: "rd_kafka_broker_ApiVersion_supported(rkb, RD_KAFKAP_Fetch,
                                                          0, 15, NULL);",
    },
    Change {
        file: "src/rdkafka_msgset_writer.c",
        from: "rd_kafka_ProduceRequest_max_version = 10;",
        to: "rd_kafka_ProduceRequest_max_version = 9;",
    },
];

/// Features of the published package that this script does not build.
const UNKNOWN: [&str; 7] =
    ["CMAKE_BUILD", "CURL", "CURL_STATIC", "DYNAMIC_LINKING", "EXTERNAL_LZ4", "GSSAPI", "SASL"];

fn main() {
    for file in ["build.rs", "upstream/Cargo.toml", "upstream/Cargo.lock"] {
        println!("cargo:rerun-if-changed={file}");
    }
    if let Some(feature) = UNKNOWN.into_iter().find(|it| has(it)) {
        panic!(
            "third-party/rdkafka-sys does not know the feature {feature}: build it in build.rs, or take the \
             published rdkafka-sys by removing [patch.crates-io] from the workspace's Cargo.toml"
        );
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    let (library, bindings) = (out.join("librdkafka"), out.join("bindings"));
    copy(&published(), &library, &bindings);
    for change in &CHANGES {
        change.make(&library);
    }
    configure_and_make(&library);
    println!("cargo:rustc-link-search=native={}", library.join("src").display());
    println!("cargo:rustc-link-lib=static=rdkafka");
    println!("cargo:root={}", library.display());
}

impl Change {
    fn make(&self, library: &Path) {
        let file = library.join(self.file);
        let text = fs::read_to_string(&file).expect("librdkafka's source");
        let found = text.matches(self.from).count();
        assert_eq!(
            found, 1,
            "{} does not have once what is to be changed: {}",
            self.file, self.from
        );
        fs::write(&file, text.replace(self.from, self.to)).expect("a changed source");
    }
}

/// Where cargo keeps the published package; it fetches it when it is not there.
fn published() -> PathBuf {
    let output = Command::new(variable("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(Path::new(&variable("CARGO_MANIFEST_DIR")).join("upstream/Cargo.toml"))
        .args(["--filter-platform", &variable("TARGET")])
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo has not got the published rdkafka-sys: {said}");
    let metadata = String::from_utf8(output.stdout).expect("metadata in UTF-8");
    // The only manifest in a folder of this name; to read it as JSON would take a parser that has to be built first.
    let end = format!("rdkafka-sys-{}/Cargo.toml", variable("CARGO_PKG_VERSION"));
    let at = metadata.find(&format!("{end}\"")).expect("the manifest of the published rdkafka-sys");
    let start = metadata[..at].rfind('"').expect("a path in quotes") + 1;
    let manifest = PathBuf::from(&metadata[start..at + end.len()]);
    manifest.parent().expect("a folder").to_owned()
}

/// The source, to be changed and built, and the bindings, to be included.
fn copy(published: &Path, library: &Path, bindings: &Path) {
    // From an earlier run: what was changed is not changed twice.
    let _ = fs::remove_dir_all(library);
    run(Command::new("cp").arg("-R").arg(published.join("librdkafka")).arg(library));
    fs::create_dir_all(bindings).expect("a folder in OUT_DIR");
    for file in ["bindings.rs", "helpers.rs", "types.rs"] {
        let text = fs::read_to_string(published.join("src").join(file)).expect("the bindings");
        // The doc of a whole file cannot stand in an included one.
        let lines = text.lines().filter(|line| !line.starts_with("//!"));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        fs::write(bindings.join(file), text).expect("a file in OUT_DIR");
    }
}

fn configure_and_make(library: &Path) {
    let mut configure = Command::new("./configure");
    configure.args(["--disable-gssapi", "--disable-curl", "--disable-lz4-ext"]);
    let mut compile = env::var("CFLAGS").unwrap_or_default();
    let mut link = env::var("LDFLAGS").unwrap_or_default();
    // Feature, `links` of the package that brings it, and what configure calls it.
    for (feature, links, name) in
        [("LIBZ", "Z", "zlib"), ("SSL", "OPENSSL", "ssl"), ("ZSTD", "ZSTD", "zstd")]
    {
        let enabled = if has(feature) { "enable" } else { "disable" };
        configure.arg(format!("--{enabled}-{name}"));
        if let (true, Ok(root)) = (has(feature), env::var(format!("DEP_{links}_ROOT"))) {
            compile.push_str(&format!(" -I{root}/include"));
            link.push_str(&format!(" -L{root}/lib -L{root}"));
        }
    }
    let mut make =
        Command::new(if variable("TARGET").contains("freebsd") { "gmake" } else { "make" });
    if let Some(flags) = env::var_os("CARGO_MAKEFLAGS") {
        make.env("MAKEFLAGS", flags);
    }
    for command in [&mut configure, make.arg("libs")] {
        run(command.current_dir(library).env("CFLAGS", &compile).env("LDFLAGS", &link));
    }
}

fn run(command: &mut Command) {
    let status = command.status();
    let ended = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    assert!(ended, "{command:?} failed ({status:?}): it needs a C and a C++ compiler, make, and zlib's headers");
}

fn has(feature: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{feature}")).is_some()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
