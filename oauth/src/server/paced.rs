//! A connection whose peer has to keep going: to finish the header fields that it has begun, and to
//! take the answers that it gets. (The body has a time limit where it is read, and an idle connection
//! one of the HTTP library.)

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How many requests of a connection have reached their handler, and how many were answered.
#[derive(Default)]
pub(super) struct Progress {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A request that is being handled. It ends when this is dropped.
pub(super) struct Handled(Arc<Progress>);

impl Progress {
    pub(super) fn begin(self: &Arc<Self>) -> Handled {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Handled(Arc::clone(self))
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    fn is_waiting(&self) -> bool {
        self.ended.load(Ordering::SeqCst) == self.begun()
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// The time limits of one connection.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// From the first byte of a request to the end of its header fields.
    pub(super) header: Duration,
    /// From a byte that the peer does not take to the end of what waits behind it.
    pub(super) write: Duration,
}

/// A stream that fails when its peer is too slow.
pub(super) struct Paced<S> {
    stream: S,
    pace: Pace,
    progress: Arc<Progress>,
    /// Runs while header fields are read: with the number of requests that came before.
    reading: Option<(u64, Pin<Box<Sleep>>)>,
    /// Runs while the peer does not take what is written.
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Pace, progress: Arc<Progress>) -> Self {
        Self { stream, pace, progress, reading: None, writing: None }
    }

    /// Fails once the peer has held up writing for too long.
    fn held_up<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let limit = self.pace.write;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut own.stream).poll_read(context, buffer);
        let begun = own.progress.begun();
        if own.reading.as_ref().is_some_and(|(earlier, _)| *earlier != begun) {
            own.reading = None;
        }
        match polled {
            Poll::Ready(Ok(())) => {
                let has_come = buffer.filled().len() > before;
                if has_come && own.reading.is_none() && own.progress.is_waiting() {
                    own.reading = Some((begun, Box::pin(sleep(own.pace.header))));
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => match &mut own.reading {
                Some((_, timer)) => {
                    timer.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
                }
                None => Poll::Pending,
            },
            failed => failed,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        match Pin::new(&mut own.stream).poll_write(context, bytes) {
            Poll::Pending => own.held_up(context),
            done => done,
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        match Pin::new(&mut own.stream).poll_write_vectored(context, slices) {
            Poll::Pending => own.held_up(context),
            done => done,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// The HTTP library flushes when all is written, and so not while a peer takes a byte now and then.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        match Pin::new(&mut own.stream).poll_flush(context) {
            Poll::Pending => own.held_up(context),
            done => {
                own.writing = None;
                done
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        match Pin::new(&mut own.stream).poll_shutdown(context) {
            Poll::Pending => own.held_up(context),
            done => done,
        }
    }
}
