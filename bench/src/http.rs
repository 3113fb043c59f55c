//! A small HTTP/1.1 client: it sends exactly the target that it is given.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use crate::error::{BenchError, Result, because, failed};

const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer: its status and its body.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).map_err(because("an answer is no JSON"))
    }
}

/// A connection that stays open.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT);
        stream.and_then(Self::over).map_err(BenchError::io(address.to_string()))
    }

    /// Connects from an address of one's own: on loopback, any of 127.0.0.0/8.
    pub(crate) fn open_from(source: IpAddr, address: SocketAddr) -> Result<Self> {
        let connected = Socket::new(Domain::for_address(address), Type::STREAM, None)
            .and_then(|socket| {
                socket.bind(&SocketAddr::new(source, 0).into())?;
                socket.connect_timeout(&address.into(), TIMEOUT)?;
                Ok(TcpStream::from(socket))
            })
            .and_then(Self::over);
        connected.map_err(BenchError::io(format!("{source} to {address}")))
    }

    fn over(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Sends a request as it is and reads the answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.reader.get_mut().write_all(request).map_err(BenchError::io("sending a request"))?;
        let head = self.head()?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let Some(status) = status else { return failed("an answer has no status") };
        let field = |wanted: &str| {
            head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
                name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
            })
        };
        let body = if field("transfer-encoding").is_some() {
            self.chunks()?
        } else {
            let length = field("content-length").and_then(|length| length.parse().ok());
            self.bytes(length.unwrap_or_default())?
        };
        Ok(Answer { status, body })
    }

    fn head(&mut self) -> Result<String> {
        let mut head = String::new();
        loop {
            let read = self.reader.read_line(&mut head).map_err(BenchError::io("an answer"))?;
            if read == 0 {
                return failed("the connection ended before the answer");
            }
            if head.ends_with("\r\n\r\n") {
                return Ok(head);
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).map_err(BenchError::io("an answer's body"))?;
        Ok(body)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).map_err(BenchError::io("an answer's body"))?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(because("a chunk's size"))?;
            let mut chunk = self.bytes(size + 2)?;
            if size == 0 {
                return Ok(body);
            }
            chunk.truncate(size);
            body.append(&mut chunk);
        }
    }
}

/// One GET on a connection of its own.
pub(crate) fn get(address: SocketAddr, target: &str) -> Result<Answer> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    Connection::open(address)?.exchange(request.as_bytes())
}
