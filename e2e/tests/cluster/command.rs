//! Commands as a person types them.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs a program and gives what it said; panics unless the exit status is one of these.
pub(crate) fn run(program: &str, arguments: &[&str], statuses: &[i32]) -> String {
    let Output { status, stdout, stderr } = Command::new(program)
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        status.code().is_some_and(|code| statuses.contains(&code)),
        "{program} {arguments:?} ended with {status}:\n{stdout}\n{}",
        String::from_utf8_lossy(&stderr)
    );
    stdout
}

/// The same, with JSON as answer.
pub(crate) fn json(program: &str, arguments: &[&str], statuses: &[i32]) -> Value {
    let text = run(program, arguments, statuses);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{program} {arguments:?} said no JSON: {error}\n{text}"))
}

/// Deletes a namespace, and does not wait: [`until_gone`] does, for all of them at once.
pub(crate) fn delete_namespace(name: &str) {
    run("kubectl", &["delete", "namespace", name, "--wait=false"], &[0]);
}

/// Waits until these namespaces are gone: nothing in them holds them back.
pub(crate) fn until_gone(namespaces: &[&str]) {
    run("kubectl", &[&["wait", "--for=delete", "--timeout=60s", "namespace"], namespaces].concat(), &[0]);
}
