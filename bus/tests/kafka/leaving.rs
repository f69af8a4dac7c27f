//! A process that ends while its clients are still connecting ends well.

use orch_bus::Bus;
use orch_bus::kafka::{CLIENT_PROPERTIES, KafkaBus, KafkaConfig};
use tokio::process::Command;

use crate::secured::folder;
use crate::suite::until;

/// Enough that some client is in a TLS handshake whenever the process ends.
const CONNECTIONS: usize = 60;
const TIMES: usize = 6;
/// How the process below is told the brokers.
const TASK: &str = "ORCH_TEST_LEAVING";

/// The process that ends: this very program. Its clients begin a handshake some hundred times a second, and never come
/// further, because they do not know the authority of the brokers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by crashed_at_exit_while_clients_were_connecting"]
async fn connecting_process() {
    let Ok(servers) = std::env::var(TASK) else { return };
    let other = std::fs::read(folder("admin").join("../../certs/other-ca.crt")).unwrap();
    let properties = b"security.protocol=SSL".to_vec();
    let files = [(CLIENT_PROPERTIES.to_owned(), properties), ("ca.crt".to_owned(), other)].into();
    let config = KafkaConfig::from_files(&files, Some(&servers)).unwrap();
    let buses: Vec<KafkaBus> = (0..CONNECTIONS).map(|_| KafkaBus::new(config.clone()).unwrap()).collect();
    until("the refusal", || async { buses[0].trouble() }).await;
    // Nothing is closed: whoever gives up in mid-connection does not wait for it.
    std::mem::forget(buses);
}

/// OpenSSL freed its state at the end of the process, and the threads that used it crashed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashed_at_exit_while_clients_were_connecting() {
    let text = std::fs::read_to_string(folder("admin").join(CLIENT_PROPERTIES)).unwrap();
    let servers = text.lines().find_map(|line| line.strip_prefix("bootstrap.servers=")).unwrap();
    for _ in 0..TIMES {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "leaving::connecting_process", "--ignored"])
            .env(TASK, servers)
            .status()
            .await
            .unwrap();
        assert!(status.success(), "{status}");
    }
}
