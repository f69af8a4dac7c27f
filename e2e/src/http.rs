//! HTTP as far as tests need it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// An address of this machine on which nobody listens.
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The answer to a GET, headers included; empty when nobody answers.
pub fn get(address: &str, path: &str) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_string(&mut text).unwrap();
    }
    text
}

/// The body of the answer to a POST of JSON; empty when nobody answers.
pub fn post(address: &str, path: &str, json: &str) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        let head =
            format!("POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", json.len());
        stream.write_all(format!("{head}{json}").as_bytes()).unwrap();
        stream.read_to_string(&mut text).unwrap();
    }
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

/// The value of a counter in the text of /metrics: `name` with its labels.
pub fn counter(metrics: &str, name: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
