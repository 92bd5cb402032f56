//! Runs the program as a user does.

use std::{
    fs,
    process::{Command, Output},
};

fn quadrille(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quadrille"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

#[test]
fn draws_each_format() {
    for (format, start) in [("mermaid", "flowchart LR\n"), ("dot", "digraph choreography {\n")] {
        let output = quadrille(&["graph", "--format", format]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stdout(&output).starts_with(start), "{}", stdout(&output));
        assert!(stdout(&output).contains("ORDER_CONCLUDED"), "{}", stdout(&output));
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn draws_json_that_other_programs_can_read() {
    let output = quadrille(&["graph", "--format", "json"]);
    let graph: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let types: Vec<_> =
        graph["events"].as_array().expect("a list").iter().map(|e| &e["type"]).collect();
    assert!(types.contains(&&"ORDER_CONCLUDED".into()), "{types:?}");
}

#[test]
fn mermaid_is_the_default_and_can_go_to_a_file() {
    let file = std::env::temp_dir().join(format!("quadrille-story-{}.mmd", std::process::id()));
    let path = file.to_str().expect("UTF-8");
    let output = quadrille(&["graph", "--output", path]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), ""), "{}", stderr(&output));
    let drawn = fs::read_to_string(&file).expect("the drawing");
    fs::remove_file(&file).expect("the drawing goes");
    assert_eq!(drawn, stdout(&quadrille(&["graph"])));
}

#[test]
fn a_file_that_cannot_be_written_is_exit_code_1() {
    let output = quadrille(&["graph", "--output", "/no/such/folder/story.mmd"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("cannot write /no/such/folder/story.mmd: "));
    assert_eq!(stdout(&output), "");
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_is_right() {
    let output = quadrille(&["graph", "--format", "svg"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("mermaid, dot, json"), "{}", stderr(&output));
    assert_eq!(quadrille(&[]).status.code(), Some(2));
}

#[test]
fn help_teaches_by_examples() {
    let output = quadrille(&["graph", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("quadrille graph --format dot | dot -Tsvg"));
}
