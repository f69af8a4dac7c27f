//! `orch run --kafka` on brokers that want TLS and a login: what it says when one of them does not fit, and that it ends
//! well while its clients are still trying. `ORCH_TEST_KAFKA_SECURE` is the folder of the brokers' clients, as
//! `local/kafka/secure.sh up` makes it.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../it/program.rs"]
#[allow(dead_code, unused_macros, unused_imports)]
mod program;

use std::path::{Path, PathBuf};

use program::{Said, orch};

/// Runs at the same time: all of them have to end well, and to say the same.
const RUNS: usize = 8;

fn folder(client: &str) -> PathBuf {
    let clients = std::env::var("ORCH_TEST_KAFKA_SECURE").unwrap_or_else(|_| {
        panic!("ORCH_TEST_KAFKA_SECURE is not set: `make it-kafka` starts secured brokers and sets it")
    });
    PathBuf::from(clients).join(client)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A copy of a client's folder, but for one file.
fn changed(client: &str, file: &str, change: impl Fn(&str) -> String) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder(client)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    std::fs::write(copy.path().join(file), change(&read(&copy.path().join(file)))).unwrap();
    copy
}

/// The first address in a client's settings.
fn address(settings: &Path) -> String {
    let text = read(&settings.join("client.properties"));
    let servers = text.lines().find_map(|line| line.strip_prefix("bootstrap.servers=")).unwrap();
    servers.split(',').next().unwrap().to_owned()
}

fn run(address: &str, settings: Option<&Path>) -> Said {
    let mut args = vec!["run", "examples/objects/small.yaml", "--speed", "100", "-q", "--kafka", address];
    let settings = settings.map(|path| path.to_str().unwrap());
    args.extend(settings.iter().flat_map(|folder| ["--kafka-config", folder]));
    orch(&args)
}

/// Every run ends with status 1 and says all of this.
fn always_fails_with(settings: &Path, wanted: &[&str]) {
    let address = address(settings);
    let said: Vec<Said> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..RUNS).map(|_| scope.spawn(|| run(&address, Some(settings)))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for said in said {
        assert_eq!(said.status, 1, "{}", said.all());
        for words in wanted {
            assert!(said.err.contains(words), "no `{words}` in {}", said.all());
        }
    }
}

#[test]
fn a_login_and_the_right_authority_let_a_run_succeed() {
    let settings = folder("admin");
    let said = run(&address(&settings), Some(&settings));
    assert_eq!(said.status, 0, "{}", said.all());
}

#[test]
fn a_wrong_password_is_named_with_its_place() {
    let wrong = |text: &str| {
        let line = |line: &str| match line.split_once('=') {
            Some(("sasl.password", _)) => "sasl.password=wrong".to_owned(),
            _ => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    };
    let settings = changed("admin", "client.properties", wrong);
    let place = settings.path().join("client.properties").display().to_string();
    always_fails_with(
        settings.path(),
        &["cannot create the topics", "Authentication failed", "hint: correct sasl.username", &place],
    );
}

#[test]
fn an_unknown_authority_is_named_with_its_place() {
    let other = read(&folder("admin").join("../../certs/other-ca.crt"));
    let settings = changed("admin", "ca.crt", |_| other.clone());
    let place = settings.path().join("ca.crt").display().to_string();
    always_fails_with(
        settings.path(),
        &[
            "certificate verify failed",
            "hint: ",
            &place,
            "the authority that signed the broker's certificate",
        ],
    );
}

#[test]
fn a_certificate_that_the_broker_does_not_take_is_named() {
    let settings = folder("expired-tls");
    let said = run(&address(&settings), Some(&settings));
    let place = settings.join("tls.crt").display().to_string();
    assert_eq!(said.status, 1, "{}", said.all());
    assert!(
        said.err.contains("does not take the certificate in") && said.err.contains(&place),
        "{}",
        said.err
    );
}

#[test]
fn a_listener_that_wants_more_than_it_gets_is_named() {
    let said = run(&address(&folder("admin")), None);
    assert_eq!(said.status, 1, "{}", said.all());
    assert!(
        said.err.contains("hint: the listener seems to want TLS or a login: --kafka-config"),
        "{}",
        said.err
    );
}

#[test]
fn a_host_without_an_address_is_named() {
    let said = run("no-such-host.invalid:9092", None);
    assert_eq!(said.status, 1, "{}", said.all());
    assert!(
        said.err.contains("hint: the host has no address on this machine: correct --kafka"),
        "{}",
        said.err
    );
}

#[test]
fn settings_that_are_not_there_or_not_usable_are_invalid_input() {
    let settings = tempfile::tempdir().unwrap();
    let missing = run("127.0.0.1:1", Some(settings.path()));
    assert_eq!(missing.status, 2, "{}", missing.all());
    assert!(missing.err.contains("there is no client.properties in it"), "{}", missing.err);
    std::fs::write(settings.path().join("client.properties"), "security.protcol=SSL\n").unwrap();
    let wrong = run("127.0.0.1:1", Some(settings.path()));
    assert_eq!(wrong.status, 2, "{}", wrong.all());
    assert!(wrong.err.contains("`security.protcol`: no such setting"), "{}", wrong.err);
}
