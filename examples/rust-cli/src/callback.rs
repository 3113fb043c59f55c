//! A port of this machine to which the browser comes back (RFC 8252 section 7.3).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use url::Url;

use crate::Outcome;

/// Bytes. More than any redirect of the gateway's has.
const LONGEST_LINE: u64 = 8192;
/// What the person has.
const LOGIN_PATIENCE: Duration = Duration::from_secs(300);
/// What one connection has. Browsers open some ahead, and say nothing on them.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(5);

pub struct Callback {
    listener: TcpListener,
    pub uri: String,
}

impl Callback {
    /// Listens on a free port, on loopback alone.
    pub fn listen() -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let uri = format!("http://127.0.0.1:{}/callback", listener.local_addr()?.port());
        Ok(Self { listener, uri })
    }

    /// Waits for the redirect, and gives the address that the browser came to.
    pub fn wait(self) -> Outcome<Url> {
        let deadline = Instant::now() + LOGIN_PATIENCE;
        // `accept` knows no deadline.
        self.listener.set_nonblocking(true)?;
        while Instant::now() < deadline {
            let Ok((stream, _)) = self.listener.accept() else {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            // A connection that fails is no reason to stop: the next one may be the person's.
            if let Ok(back) = self.target(stream)
                && back.path() == "/callback"
            {
                return Ok(back);
            }
        }
        Err("nobody logged in in time".into())
    }

    /// Answers a connection, and gives the address that it asked for.
    fn target(&self, mut stream: TcpStream) -> Outcome<Url> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(CONNECTION_PATIENCE))?;
        stream.set_write_timeout(Some(CONNECTION_PATIENCE))?;
        let mut line = String::new();
        BufReader::new((&stream).take(LONGEST_LINE)).read_line(&mut line)?;
        let asked = Url::parse(&self.uri)?.join(line.split(' ').nth(1).unwrap_or("/"))?;
        let status = if asked.path() == "/callback" { "200 OK" } else { "404 Not Found" };
        let text = "You can close this window.\n";
        // The browser may have gone: what it asked for is known all the same.
        let _ = write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n\r\n{text}");
        Ok(asked)
    }
}
