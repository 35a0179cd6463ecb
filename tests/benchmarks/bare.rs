//! The least that a server can do: it reads a request and answers the same bytes, whatever was asked.
//!
//! What the load generator reaches against it is what it can measure at all: no server on this machine is faster under
//! the same load. It lives in the process of the load generator, on threads that wait in `accept` and `read`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use slapledger_tests::http::Answer;

/// A running one; ends when it is dropped.
pub(crate) struct Bare {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Bare {
    /// Answers this to everybody, on as many connections at a time as there are clients.
    pub(crate) fn start(answer: &Answer, clients: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let answer: Arc<[u8]> = [answer.head.as_bytes(), &answer.body].concat().into();
        let serve = |_| {
            let (listener, stopping, answer) =
                (listener.try_clone()?, Arc::clone(&stopping), Arc::clone(&answer));
            Ok(thread::spawn(move || {
                while let Ok((connection, _)) = listener.accept() {
                    if stopping.load(Ordering::Relaxed) {
                        return;
                    }
                    // A client that hangs up is done.
                    let _ = answer_all(connection, &answer);
                }
            }))
        };
        let threads = (0..clients).map(serve).collect::<io::Result<_>>()?;
        Ok(Self { address, stopping, threads })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        for _ in &self.threads {
            // Each of them takes one more connection, and ends.
            drop(TcpStream::connect(self.address));
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Answers what comes on a connection, until it asks for its end.
fn answer_all(mut connection: TcpStream, answer: &[u8]) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut received = Vec::new();
    loop {
        received.clear();
        let head = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            read_some(&mut connection, &mut received)?;
        };
        let text = String::from_utf8_lossy(&received[..head]).into_owned();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let length = field("Content-Length: ").and_then(|length| length.parse().ok()).unwrap_or(0);
        while received.len() < head + length {
            read_some(&mut connection, &mut received)?;
        }
        connection.write_all(answer)?;
        if field("Connection: ") != Some("keep-alive") {
            return Ok(());
        }
    }
}

fn read_some(connection: &mut TcpStream, into: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 16 * 1024];
    match connection.read(&mut piece)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => {
            into.extend_from_slice(&piece[..read]);
            Ok(())
        }
    }
}
