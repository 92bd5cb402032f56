//! Every input of the corpus, and for a moment what can be made of them.

use std::time::Duration;

use fuzz::{corpus, run, targets};

/// New inputs are tried for this long in each test; `cargo xtask fuzz` takes a minute.
const MOMENT: Duration = Duration::from_secs(1);

fn replay(name: &str) {
    let mut target = targets::target(name).unwrap();
    let inputs = corpus::load(&corpus::folder(name)).unwrap();
    assert!(inputs.len() >= 3, "{name} has no corpus to speak of");
    for (file, input) in &inputs {
        if let Err(message) = run::try_one(&mut *target, input) {
            panic!("fuzz/corpus/{name}/{file}: {message}");
        }
    }
    let inputs: Vec<Vec<u8>> = inputs.into_iter().map(|(_, input)| input).collect();
    let (tried, fault) = run::run(&mut *target, &inputs, 1, MOMENT);
    if let Some(fault) = fault {
        panic!("{name}: {}\ninput: {:?}", fault.message, String::from_utf8_lossy(&fault.input));
    }
    assert!(tried > 10, "only {tried} inputs in {MOMENT:?}");
}

#[test]
fn record() {
    replay("record");
}

#[test]
fn headers() {
    replay("headers");
}

#[test]
fn payload() {
    replay("payload");
}

#[test]
fn http() {
    replay("http");
}

#[test]
fn configuration() {
    replay("configuration");
}

/// A target that has a fault: it is found, made small, and told.
#[test]
fn a_fault_is_found_and_made_small() {
    struct Faulty;
    impl fuzz::Target for Faulty {
        fn check(&mut self, input: &[u8]) -> Result<Vec<u64>, String> {
            assert!(!input.windows(2).any(|pair| pair == b"[]"), "brackets");
            Ok(vec![])
        }
    }
    let corpus = [b"a long input without any of them".to_vec()];
    let (_, fault) = run::run(&mut Faulty, &corpus, 1, Duration::from_secs(60));
    let fault = fault.unwrap();
    assert_eq!((&*fault.input, &*fault.message), (&b"[]"[..], "it panics: brackets"));
}
