//! Inputs that are kept, one a file, in `fuzz/corpus/<target>`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The files of a target.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    let home = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    home.join("corpus").join(target)
}

/// The inputs of a folder with their names, sorted by name.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn load(folder: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        inputs.push((name.unwrap_or_default(), fs::read(&path)?));
    }
    inputs.sort();
    Ok(inputs)
}

/// Keeps an input; its name is made of its bytes, so that the same one is kept once.
///
/// # Errors
/// A folder or file that cannot be written.
pub fn save(folder: &Path, input: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("found-{:016x}", fingerprint(input)));
    fs::write(&path, input)?;
    Ok(path)
}

/// FNV-1a, 64 bits: stable over time and machines.
fn fingerprint(input: &[u8]) -> u64 {
    input.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
