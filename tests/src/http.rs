//! HTTP/1.1 over a plain socket, with or without keep-alive.
//!
//! Nothing is retried, followed or guessed: a request whose answer does not arrive whole is an error, and what became
//! of it is unknown. It is cheap on purpose, so that a load generator leaves the machine to the program it measures.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its status line and header fields, as they came.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header field; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).map_err(|error| anyhow::anyhow!("read {self}: {error}"))
    }

    /// Itself, if it has this status.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        anyhow::ensure!(self.status == status, "expected status {status}: {self}");
        Ok(self)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.text().chars().take(600).collect();
        write!(f, "{} {text}", self.status)
    }
}

/// How a client comes in. As it is by default: in the clear, and as nobody.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Header fields that say who it is, each with its line end.
    pub fields: String,
    /// TLS, with or without a certificate of the client.
    pub tls: Option<Arc<ClientConfig>>,
}

/// A connection that is open.
#[derive(Debug)]
enum Connection {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Connection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// One sender of requests, one after the other.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    keep_alive: bool,
    access: Access,
    connection: Option<Connection>,
    request: Vec<u8>,
    received: Vec<u8>,
}

impl Client {
    /// A client of this address. Without keep-alive every request opens a connection, as SLAP clients do.
    pub fn new(address: SocketAddr, keep_alive: bool) -> Self {
        Self::coming_in(address, keep_alive, Access::default())
    }

    /// The same of somebody.
    pub fn coming_in(address: SocketAddr, keep_alive: bool, access: Access) -> Self {
        Self { address, keep_alive, access, connection: None, request: Vec::new(), received: Vec::new() }
    }

    /// GET; the path begins with `/`.
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send("GET", path, "", b"")
    }

    /// POST of a body of this type.
    pub fn post(&mut self, path: &str, content_type: &str, body: &[u8]) -> io::Result<Answer> {
        let fields = format!("Content-Type: {content_type}\r\n");
        self.send("POST", path, &fields, body)
    }

    /// The same under a name, so that it can be sent again and is answered again.
    pub fn post_named(
        &mut self,
        path: &str,
        content_type: &str,
        name: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        let fields = format!("Content-Type: {content_type}\r\nIdempotency-Key: {name}\r\n");
        self.send("POST", path, &fields, body)
    }

    /// POST of an encoded form.
    pub fn post_form(&mut self, path: &str, form: &str) -> io::Result<Answer> {
        self.post(path, "application/x-www-form-urlencoded", form.as_bytes())
    }

    fn send(&mut self, method: &str, path: &str, fields: &str, body: &[u8]) -> io::Result<Answer> {
        // Taken out: a connection on which something failed is not used again.
        let mut connection = match self.connection.take() {
            Some(open) => open,
            None => self.connect()?,
        };
        let connection_field = if self.keep_alive { "keep-alive" } else { "close" };
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: {connection_field}\r\n{}{fields}",
            self.address, self.access.fields
        )?;
        if method == "POST" {
            write!(self.request, "Content-Length: {}\r\n", body.len())?;
        }
        self.request.extend_from_slice(b"\r\n");
        self.request.extend_from_slice(body);
        connection.write_all(&self.request)?;
        connection.flush()?;
        let answer = read_answer(&mut connection, &mut self.received)?;
        let closes = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if self.keep_alive && !closes && answer.head.starts_with("HTTP/1.1") {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    fn connect(&self) -> io::Result<Connection> {
        let connection = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.set_write_timeout(Some(TIMEOUT))?;
        let Some(tls) = &self.access.tls else { return Ok(Connection::Plain(connection)) };
        let session = ClientConnection::new(Arc::clone(tls), self.address.ip().into());
        let session = session.map_err(io::Error::other)?;
        Ok(Connection::Tls(Box::new(StreamOwned::new(session, connection))))
    }
}

fn read_answer(connection: &mut impl Read, received: &mut Vec<u8>) -> io::Result<Answer> {
    received.clear();
    let head_bytes = loop {
        if let Some(at) = position(received, b"\r\n\r\n") {
            break at + 4;
        }
        read_some(connection, received)?;
    };
    let head = String::from_utf8_lossy(&received[..head_bytes]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| invalid("an answer without a status"))?;
    let mut body = received[head_bytes..].to_vec();
    if header(&head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        body = read_chunks(connection, body)?;
    } else if let Some(length) = header(&head, "content-length") {
        let length: usize = length.parse().map_err(|_| invalid("a length that is no number"))?;
        let rest = length.checked_sub(body.len()).ok_or_else(|| invalid("more than the length says"))?;
        let before = body.len();
        body.resize(before + rest, 0);
        connection.read_exact(&mut body[before..])?;
    } else if status != 204 && status != 304 {
        connection.read_to_end(&mut body)?;
    }
    Ok(Answer { status, head, body })
}

fn read_chunks(connection: &mut impl Read, mut received: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            match position(&received, b"\r\n") {
                Some(line) => break line,
                None => read_some(connection, &mut received)?,
            }
        };
        let size = String::from_utf8_lossy(&received[..line]);
        let size = size.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| invalid("a chunk without a size"))?;
        let end = line + 2 + size + 2;
        while received.len() < end {
            read_some(connection, &mut received)?;
        }
        body.extend_from_slice(&received[line + 2..end - 2]);
        received.drain(..end);
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_some(connection: &mut impl Read, into: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 16 * 1024];
    match connection.read(&mut piece)? {
        0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection ended within an answer")),
        read => {
            into.extend_from_slice(&piece[..read]);
            Ok(())
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

fn position(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What comes of an answer that arrives in these pieces before the connection ends.
    fn received(pieces: &'static [&'static str]) -> io::Result<Answer> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = connection.read(&mut request).unwrap();
            for piece in pieces {
                connection.write_all(piece.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let answer = Client::new(address, true).get("/");
        serving.join().unwrap();
        answer
    }

    #[test]
    fn whole_answers_are_read_in_any_pieces() {
        let rows: [&[&str]; 4] = [
            &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
            &["HTTP/1.1 200 OK\r\ncontent-le", "ngth: 5\r\n\r", "\nhe", "llo"],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2", "\r\nlo\r\n0\r\n\r\n"],
            &["HTTP/1.0 200 OK\r\n\r\nhel", "lo"],
        ];
        for pieces in rows {
            let answer = received(pieces).unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{pieces:?}");
        }
    }

    #[test]
    fn an_answer_that_breaks_off_is_none() {
        let rows: [&[&str]; 3] = [
            &[],
            &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"],
        ];
        for pieces in rows {
            assert!(received(pieces).is_err(), "{pieces:?}");
        }
    }
}
