//! A port of this machine to which the browser comes back (RFC 8252 section 7.3).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use url::Url;

use crate::Outcome;

/// More than any redirect of the gateway's has.
const LONGEST_LINE: u64 = 8192;

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
        loop {
            let (mut stream, _) = self.listener.accept()?;
            let mut line = String::new();
            BufReader::new(Read::by_ref(&mut stream).take(LONGEST_LINE)).read_line(&mut line)?;
            let back = Url::parse(&self.uri)?.join(line.split(' ').nth(1).unwrap_or("/"))?;
            let found = back.path() == "/callback";
            let status = if found { "200 OK" } else { "404 Not Found" };
            write!(
                stream,
                "HTTP/1.1 {status}\r\nConnection: close\r\n\r\nYou can close this window.\n"
            )?;
            if found {
                return Ok(back);
            }
        }
    }
}
