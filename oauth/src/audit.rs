//! The audit log: one JSON line for each event that matters to security, appended and never changed.
//! docs/audit.md has the events and fields.
//!
//! Whoever decides something calls [`record`]. Which request it belongs to is known by the task
//! ([`Origin`]), so that the domain has no HTTP in it.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use crate::{clock::Clock, metrics::Metrics};

mod event;
mod origin;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use event::{Entry, Event, Outcome};
pub(crate) use origin::{Origin, carried, claimed_client, record, request_id};
use writer::{Message, Output, Writer};

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    Nowhere,
    StandardError,
    File(PathBuf),
}

/// How the log is kept.
#[derive(Debug, Clone)]
pub(crate) struct AuditSettings {
    pub(crate) destination: Destination,
    /// Whether nothing is granted while the log cannot be written.
    pub(crate) required: bool,
    /// Most lines that wait for the writer.
    pub(crate) queue: usize,
}

/// What the writer's thread and the askers share.
#[derive(Default)]
struct State {
    /// The last attempt to write failed.
    is_failing: AtomicBool,
    /// The queue was full at the last event, and nothing has been written since.
    is_full: AtomicBool,
    /// The service stops: what cannot be written now never will be.
    is_closing: AtomicBool,
}

/// The way into the log.
pub(crate) struct Audit {
    lines: Option<SyncSender<Message>>,
    thread: Option<std::thread::Thread>,
    state: Arc<State>,
    required: bool,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    failure: Option<String>,
}

impl Audit {
    /// Opens the log and starts its writer. A log that cannot be opened is one that cannot be written
    /// now: [`Audit::failure`] says so, and the writer tries again.
    pub(crate) fn start(
        settings: &AuditSettings,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let state = Arc::new(State::default());
        let mut audit = Self {
            lines: None,
            thread: None,
            state: Arc::clone(&state),
            required: settings.required,
            clock,
            metrics: Arc::clone(&metrics),
            failure: None,
        };
        let mut output = match &settings.destination {
            Destination::Nowhere => return audit,
            Destination::StandardError => Output::StandardError,
            Destination::File(path) => Output::file(path.clone()),
        };
        if let Err(cause) = output.open() {
            audit.failure = Some(cause.to_string());
            state.is_failing.store(true, Ordering::SeqCst);
            metrics.audit_failing(true);
        }
        let (sender, receiver) = sync_channel(settings.queue);
        let writer = Writer::new(output, state, metrics);
        match start_thread(writer, receiver) {
            Ok(thread) => {
                audit.thread = Some(thread);
                audit.lines = Some(sender);
            }
            Err(cause) => audit.failure = Some(cause.to_string()),
        }
        audit
    }

    /// Why the log could not be opened at the start.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Whether nothing may be granted now, since it could not be recorded.
    pub(crate) fn forbids_grants(&self) -> bool {
        let is_failing = self.state.is_failing.load(Ordering::SeqCst);
        self.required && (is_failing || self.state.is_full.load(Ordering::SeqCst))
    }

    /// Hands an entry to the writer. It waits for nothing: at the queue's bound the entry is lost, and
    /// counted as lost.
    fn write(&self, entry: &Entry<'_>, origin: &Origin) {
        let Some(lines) = &self.lines else { return };
        let line = entry.line(self.clock.unix_milliseconds(), origin);
        match lines.try_send(Message::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                if !self.state.is_full.swap(true, Ordering::SeqCst) {
                    tracing::error!("the audit log is behind: events are lost");
                }
                self.metrics.audit_lost(1);
            }
        }
    }

    /// Waits until everything that was handed over before is written, or has turned out to be lost;
    /// for `longest` at most.
    pub(crate) fn close(&self, longest: Duration) {
        self.state.is_closing.store(true, Ordering::SeqCst);
        self.settle(longest);
    }

    fn settle(&self, longest: Duration) {
        let Some(lines) = &self.lines else { return };
        // A writer that pauses is woken, so that there is room in the queue.
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
        let (done, settled) = sync_channel(1);
        if lines.send(Message::Settled(done)).is_ok() {
            settled.recv_timeout(longest).ok();
        }
    }
}

fn start_thread(
    writer: Writer,
    receiver: Receiver<Message>,
) -> Result<std::thread::Thread, io::Error> {
    let builder = std::thread::Builder::new().name("audit".to_owned());
    let handle = builder.spawn(move || writer.run(&receiver))?;
    Ok(handle.thread().clone())
}
