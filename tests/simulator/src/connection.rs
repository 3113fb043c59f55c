//! Accepted TCP connections that a request's handler can abort.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower::Layer as _;

/// Aborts the connection that a request came on.
#[derive(Clone, Default)]
pub(crate) struct ConnectionHandle(Arc<AtomicBool>);

impl ConnectionHandle {
    /// From now on nothing more is read from the connection or written to it. The server's next
    /// attempt to write fails, it drops the socket, and the peer sees a reset (RST).
    pub(crate) fn abort(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_aborted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Accepts TCP connections so that each request carries its [`ConnectionHandle`] as an extension.
#[derive(Clone, Copy)]
pub(crate) struct AbortableAcceptor;

impl<S> Accept<TcpStream, S> for AbortableAcceptor {
    type Stream = AbortableStream;
    type Service = AddExtension<S, ConnectionHandle>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let handle = ConnectionHandle::default();
        let service = Extension(handle.clone()).layer(service);
        ready(stream.set_nodelay(true).map(|()| (AbortableStream { stream, handle }, service)))
    }
}

/// A TCP stream below TLS that fails as soon as its handle says so.
pub(crate) struct AbortableStream {
    stream: TcpStream,
    handle: ConnectionHandle,
}

impl AbortableStream {
    fn check(&self) -> io::Result<()> {
        if !self.handle.is_aborted() {
            return Ok(());
        }
        // Without lingering, closing the socket sends RST in place of FIN.
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for AbortableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for AbortableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
