use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::api::until;

use super::*;

const TOPIC: &str = "recorded.events";
const FENCED: Duration = Duration::from_secs(1);
/// Of the protocol.
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

/// A broker that its controller fenced for a moment: who asks about topics is told of it once, then of no broker at all.
/// Who comes later meets one that is `well`.
fn fenced_for_a_moment(well: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, is_known) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    std::thread::spawn(move || {
        for connection in listener.incoming().map(Result::unwrap) {
            if begun.elapsed() < FENCED {
                let is_known = is_known.clone();
                std::thread::spawn(move || name_itself_then_nobody(connection, address.port(), &is_known));
            } else {
                let server = TcpStream::connect(&well).unwrap();
                pass(connection.try_clone().unwrap(), server.try_clone().unwrap());
                pass(server, connection);
            }
        }
    });
    address.to_string()
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
}

fn name_itself_then_nobody(mut client: TcpStream, port: u16, is_known: &AtomicBool) {
    let text = |text: &str| [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat();
    let itself = [&numbers([1, 1]), &text("127.0.0.1")[..], &numbers([port.into()])].concat();
    // One topic with one partition that has no leader, no replica and none in sync.
    let no_leader = [&[0, 5][..], &numbers([0, -1, 0, 0])].concat();
    let topic = [&numbers([1])[..], &[0, 0], &text(TOPIC)[..], &numbers([1]), &no_leader].concat();
    let range = |key: i16| [key, 0, 0].map(i16::to_be_bytes).concat();
    let versions = [&numbers([2])[..], &range(METADATA), &range(API_VERSIONS)].concat();
    let mut size = [0; 4];
    while client.read_exact(&mut size).is_ok() {
        let mut request = vec![0; i32::from_be_bytes(size) as usize];
        client.read_exact(&mut request).unwrap();
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let answer = match (number(0), number(2)) {
            (API_VERSIONS, 0) => [&[0, 0][..], &versions].concat(),
            // 35: a version that it does not have.
            (API_VERSIONS, _) => [&[0, 35][..], &versions].concat(),
            (METADATA, 0) => {
                let brokers = if is_known.swap(true, Ordering::SeqCst) { &numbers([0]) } else { &itself };
                [&brokers[..], &topic].concat()
            }
            other => panic!("asked {other:?}"),
        };
        let length = (4 + answer.len()) as i32;
        client.write_all(&[&length.to_be_bytes()[..], &request[4..8], &answer].concat()).unwrap();
    }
}

fn numbers<const N: usize>(numbers: [i32; N]) -> Vec<u8> {
    numbers.map(i32::to_be_bytes).concat()
}

/// Its client forgot all brokers, those of `bootstrap.servers` too, and a run that went on seemed to stand still.
#[tokio::test]
async fn a_recorder_whose_client_has_lost_sight_of_all_brokers_reads_on() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let well = cluster.bootstrap_servers();
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &well).create().unwrap();
    producer.send(BaseRecord::to(TOPIC).key("k").payload("v")).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let recorder =
        Recorder::start(&fenced_for_a_moment(well), "recorded.", &folder.path().join("records.jsonl"));
    let read = async || match recorder.recent(TOPIC).len() {
        1 => Ok(()),
        records => Err(records.to_string()),
    };
    until("the record is read", Duration::from_secs(30), read).await;
}
