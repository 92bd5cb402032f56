//! What the compiler says to those who get the types wrong. Each message names its mend.
//!
//! After a change of messages: `TRYBUILD=overwrite cargo test -p compile-fail`, then read them.
//! What compiles is in `toolkit/tests/small_service.rs`.

#[test]
fn ui_messages_name_the_mend() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
