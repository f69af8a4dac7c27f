//! A TCP proxy that a test can make slow, deaf or dead.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It passes.
    Open,
    /// It passes later by this, each way.
    Slow(Duration),
    /// Questions arrive, their answers do not. Such a connection is cut when that is over: it lacks bytes.
    Deaf,
    /// Connections are cut, and new ones too.
    Cut,
}

/// Stands between clients and a server. Dropping it cuts everything.
pub struct Proxy {
    link: watch::Sender<Link>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens at one address and connects to the other one.
    pub async fn start(listen: &str, server: &str) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap_or_else(|error| panic!("{listen}: {error}"));
        let (link, links) = watch::channel(Link::Open);
        let server = server.to_owned();
        let task = tokio::spawn(async move {
            // A connection that ended before it was accepted is no reason to end.
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                tokio::spawn(connect(client, server.clone(), links.clone()));
            }
        });
        Self { link, task }
    }

    /// From now on.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.link.send_replace(Link::Cut);
    }
}

async fn connect(client: TcpStream, server: String, links: watch::Receiver<Link>) {
    if *links.borrow() == Link::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    // Delays are ours alone.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Whichever way ends first ends both.
    tokio::select! {
        () = pump(from_client, to_server, false, links.clone()) => {}
        () = pump(from_server, to_client, true, links) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    is_answer: bool,
    mut links: watch::Receiver<Link>,
) {
    let mut bytes = vec![0; 64 * 1024];
    let mut lacks = false;
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            changed = links.changed() => {
                let link = *links.borrow_and_update();
                if changed.is_err() || link == Link::Cut || (lacks && link != Link::Deaf) {
                    return;
                }
                continue;
            }
        };
        let Ok(length @ 1..) = read else { return };
        let link = *links.borrow();
        match link {
            Link::Cut => return,
            Link::Deaf if is_answer => {
                lacks = true;
                continue;
            }
            Link::Slow(delay) => tokio::time::sleep(delay).await,
            Link::Open | Link::Deaf => {}
        }
        if lacks || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says everything again, and a proxy before it.
    async fn echo() -> (Proxy, String) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = server.accept().await {
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
        });
        let listen = crate::http::free_address();
        (Proxy::start(&listen, &address).await, listen)
    }

    async fn say(stream: &mut TcpStream, word: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(word).await?;
        let mut answer = vec![0; word.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn what_passes_an_open_or_slow_link_arrives() {
        let (proxy, address) = echo().await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        assert_eq!(say(&mut stream, b"one").await.unwrap(), b"one");
        let delay = Duration::from_millis(50);
        proxy.set(Link::Slow(delay));
        let begin = std::time::Instant::now();
        assert_eq!(say(&mut stream, b"two").await.unwrap(), b"two");
        assert!(begin.elapsed() >= 2 * delay, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn a_connection_whose_answers_were_lost_is_cut_afterwards() {
        let (proxy, address) = echo().await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        assert_eq!(say(&mut stream, b"one").await.unwrap(), b"one");
        proxy.set(Link::Deaf);
        let silent = tokio::time::timeout(Duration::from_millis(200), say(&mut stream, b"two")).await;
        assert!(silent.is_err(), "{silent:?}");
        proxy.set(Link::Open);
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0, "it lacks bytes");
    }

    #[tokio::test]
    async fn a_cut_link_lets_nobody_in() {
        let (proxy, address) = echo().await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        assert_eq!(say(&mut stream, b"one").await.unwrap(), b"one");
        proxy.set(Link::Cut);
        assert!(say(&mut stream, b"two").await.is_err());
        let mut next = TcpStream::connect(&address).await.unwrap();
        assert!(say(&mut next, b"two").await.is_err());
        proxy.set(Link::Open);
        let mut next = TcpStream::connect(&address).await.unwrap();
        assert_eq!(say(&mut next, b"two").await.unwrap(), b"two");
    }
}
