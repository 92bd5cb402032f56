//! The published bindings, with the library that `build.rs` has built.
#![allow(clippy::all, missing_docs)]

// For what they link.
#[cfg(feature = "libz-sys")]
extern crate libz_sys;
#[cfg(feature = "openssl-sys")]
extern crate openssl_sys;
#[cfg(feature = "zstd-sys")]
extern crate zstd_sys;

/// What bindgen has made of librdkafka's header.
#[allow(non_camel_case_types, non_upper_case_globals, non_snake_case)]
pub mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings/bindings.rs"));
}
/// Functions for error codes.
pub mod helpers {
    include!(concat!(env!("OUT_DIR"), "/bindings/helpers.rs"));
}
/// Shorter names.
pub mod types {
    include!(concat!(env!("OUT_DIR"), "/bindings/types.rs"));
}

pub use bindings::*;
pub use helpers::*;
pub use types::*;
