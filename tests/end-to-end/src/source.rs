//! Clients with an address of their own: on loopback, all of 127.0.0.0/8 belongs to the machine.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::connection::Connection;
use crate::deadline::PATIENCE;
use crate::deployment::Deployment;
use crate::http::{Request, Response};

impl Deployment {
    /// A fresh connection to the gateway from `source`.
    ///
    /// # Panics
    ///
    /// When nobody listens there, or the source is not an address of this machine.
    #[must_use]
    #[track_caller]
    pub fn connect_from(&self, source: IpAddr) -> Connection {
        let stream = stream_from(source, self.reach().gateway);
        Connection::over_stream(stream.expect("the gateway listens"))
    }

    /// Sends a request from `source` on a connection of its own and reads the answer.
    ///
    /// # Panics
    ///
    /// When there is no whole answer.
    #[track_caller]
    pub fn send_from(&self, source: IpAddr, request: &Request) -> Response {
        let answer = self.connect_from(source).exchange(request, &self.host());
        answer.unwrap_or_else(|error| panic!("no answer for {source}: {error}"))
    }
}

fn stream_from(source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect_timeout(&address.into(), PATIENCE)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}
