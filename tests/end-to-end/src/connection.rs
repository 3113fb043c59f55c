//! One connection: bytes out, answers in, every wait bounded.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use crate::deadline::{Deadline, PATIENCE};
use crate::http::{Request, Response};

/// The most headers that an answer may have.
const MAXIMUM_HEADERS: usize = 200;
/// The most bytes of a response head, and of one chunk's size line.
const MAXIMUM_HEAD_BYTES: usize = 128 * 1024;

/// A connection to a server, plain or over TLS.
pub struct Connection {
    stream: Stream,
    received: Vec<u8>,
    deadline: Deadline,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// The status line and the headers of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The headers in the order of the wire, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerBytes(Framing);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    ChunkStart,
    Chunk(u64),
    UntilClose,
    Done,
}

impl Connection {
    /// Opens a plain connection; everything on it has to be over within [`PATIENCE`].
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        Ok(Self::over(Stream::Plain(stream)))
    }

    pub(crate) fn over_stream(stream: TcpStream) -> Self {
        Self::over(Stream::Plain(stream))
    }

    pub(crate) fn over_tls(stream: StreamOwned<ClientConnection, TcpStream>) -> Self {
        Self::over(Stream::Tls(Box::new(stream)))
    }

    fn over(stream: Stream) -> Self {
        Self { stream, received: Vec::new(), deadline: Deadline::after(PATIENCE) }
    }

    /// Gives the connection `length` from now, for transfers that take their time.
    #[must_use]
    pub fn within(mut self, length: Duration) -> Self {
        self.deadline = Deadline::after(length);
        self
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// When the other side has gone, or the deadline has passed.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.apply_deadline()?;
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Sends a request and reads the answer. Where the server answers before it has read everything
    /// and closes, the answer counts and not the failed writing.
    ///
    /// # Errors
    ///
    /// When no whole answer comes before the deadline.
    pub fn exchange(&mut self, request: &Request, host: &str) -> io::Result<Response> {
        let written = self.write(&request.to_bytes(host));
        match self.read_response(request.method()) {
            Ok(response) => Ok(response),
            Err(error) => Err(written.err().unwrap_or(error)),
        }
    }

    /// Reads one answer to its end; interim answers are noted and passed over.
    ///
    /// # Errors
    ///
    /// When no whole answer comes before the deadline.
    pub fn read_response(&mut self, method: &str) -> io::Result<Response> {
        let mut interim = Vec::new();
        let head = loop {
            let head = self.read_head()?;
            if head.status >= 200 || head.status == 101 {
                break head;
            }
            interim.push(head.status);
        };
        let mut left = head.body_of(method)?;
        let mut body = Vec::new();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let count = self.read_body(&mut left, &mut chunk)?;
            if count == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..count]);
        }
        Ok(Response { status: head.status, headers: head.headers, body, interim })
    }

    /// Reads the next status line with its headers, interim answers too.
    ///
    /// # Errors
    ///
    /// When no whole head comes before the deadline.
    pub fn read_head(&mut self) -> io::Result<Head> {
        loop {
            if let Some((head, used)) = parse_head(&self.received)? {
                self.received.drain(..used);
                return Ok(head);
            }
            if self.received.len() > MAXIMUM_HEAD_BYTES {
                return Err(malformed("the head of the answer is too large"));
            }
            if self.fill()? == 0 {
                return Err(closed());
            }
        }
    }

    /// Reads some of a body into `into`; 0 means that the body is over.
    ///
    /// # Errors
    ///
    /// When the body breaks off or the deadline passes.
    pub fn read_body(&mut self, left: &mut ServerBytes, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match left.0 {
                Framing::Done => return Ok(0),
                Framing::UntilClose => {
                    if self.received.is_empty() && self.fill()? == 0 {
                        left.0 = Framing::Done;
                        return Ok(0);
                    }
                    return Ok(self.take(into, u64::MAX));
                }
                Framing::Length(0) => left.0 = Framing::Done,
                Framing::Length(bytes) => {
                    let count = self.take_some(into, bytes)?;
                    left.0 = Framing::Length(bytes - count as u64);
                    return Ok(count);
                }
                Framing::ChunkStart => left.0 = self.read_chunk_start()?,
                Framing::Chunk(0) => {
                    self.read_line()?;
                    left.0 = Framing::ChunkStart;
                }
                Framing::Chunk(bytes) => {
                    let count = self.take_some(into, bytes)?;
                    left.0 = Framing::Chunk(bytes - count as u64);
                    return Ok(count);
                }
            }
        }
    }

    /// Whether the server has closed the connection: true also for a reset.
    #[must_use]
    pub fn is_closed_by_server(&mut self) -> bool {
        match self.fill() {
            Ok(count) => count == 0,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ),
        }
    }

    fn read_chunk_start(&mut self) -> io::Result<Framing> {
        let line = self.read_line()?;
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size)
            .ok()
            .and_then(|size| u64::from_str_radix(size.trim(), 16).ok())
            .ok_or_else(|| malformed("a chunk without a size"))?;
        if size > 0 {
            return Ok(Framing::Chunk(size));
        }
        while !self.read_line()?.is_empty() {}
        Ok(Framing::Done)
    }

    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.received[..end].to_vec();
                self.received.drain(..end + 2);
                return Ok(line);
            }
            if self.received.len() > MAXIMUM_HEAD_BYTES {
                return Err(malformed("a line of the chunked coding is too long"));
            }
            if self.fill()? == 0 {
                return Err(closed());
            }
        }
    }

    fn take_some(&mut self, into: &mut [u8], most: u64) -> io::Result<usize> {
        if self.received.is_empty() && self.fill()? == 0 {
            return Err(closed());
        }
        Ok(self.take(into, most))
    }

    fn take(&mut self, into: &mut [u8], most: u64) -> usize {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let count = self.received.len().min(into.len()).min(most);
        into[..count].copy_from_slice(&self.received[..count]);
        self.received.drain(..count);
        count
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.apply_deadline()?;
        let mut bytes = vec![0; 64 * 1024];
        let count = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut bytes)?,
            Stream::Tls(stream) => stream.read(&mut bytes)?,
        };
        self.received.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn apply_deadline(&mut self) -> io::Result<()> {
        let left = self.deadline.remaining()?;
        let socket = match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref(),
        };
        socket.set_read_timeout(Some(left))?;
        socket.set_write_timeout(Some(left))
    }
}

impl Head {
    /// What body follows this head, for a request of `method`.
    ///
    /// # Errors
    ///
    /// When the framing headers make no sense.
    pub fn body_of(&self, method: &str) -> io::Result<ServerBytes> {
        if method == "HEAD" || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(ServerBytes(Framing::Done));
        }
        if self.value("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
            return Ok(ServerBytes(Framing::ChunkStart));
        }
        match self.value("content-length") {
            Some(length) => length
                .parse()
                .map(|length| ServerBytes(Framing::Length(length)))
                .map_err(|_| malformed("a content-length that is no number")),
            None => Ok(ServerBytes(Framing::UntilClose)),
        }
    }

    /// The first value of a header.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        self.headers
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

fn parse_head(bytes: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAXIMUM_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => {
            let headers = parsed
                .headers
                .iter()
                .map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec()))
                .collect();
            Ok(Some((Head { status: parsed.code.unwrap_or_default(), headers }, used)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(malformed(&format!("no HTTP answer: {error}"))),
    }
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed before the answer was whole")
}
