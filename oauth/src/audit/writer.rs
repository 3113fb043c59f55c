//! The thread that appends lines. A file that was moved away is made anew, so that rotation needs no
//! signal; what cannot be written is tried again.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, SyncSender},
    },
    time::Duration,
};

use super::State;
use crate::metrics::Metrics;

/// Pause after a failed attempt.
const PAUSE: Duration = Duration::from_secs(1);
/// Lines that are written at once, in bytes.
const BATCH: usize = 64 * 1024;

/// What the writer gets.
pub(super) enum Message {
    Line(String),
    /// Somebody waits until what came before is done.
    Settled(SyncSender<()>),
}

/// Where lines go.
pub(super) enum Output {
    StandardError,
    File { path: PathBuf, open: Option<Open> },
}

/// A file that is open, and which one it is.
pub(super) struct Open {
    file: File,
    device: u64,
    inode: u64,
}

impl Output {
    pub(super) fn file(path: PathBuf) -> Self {
        Self::File { path, open: None }
    }

    /// Opens the file, or another one when the path leads elsewhere by now.
    pub(super) fn open(&mut self) -> Result<(), io::Error> {
        let Self::File { path, open } = self else { return Ok(()) };
        let is_current = open.as_ref().is_some_and(|open| {
            let found = std::fs::metadata(&*path);
            found.is_ok_and(|found| (found.dev(), found.ino()) == (open.device, open.inode))
        });
        if is_current {
            return Ok(());
        }
        *open = None;
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&*path)?;
        let metadata = file.metadata()?;
        *open = Some(Open { file, device: metadata.dev(), inode: metadata.ino() });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, io::Error> {
        match self {
            Self::StandardError => io::stderr().write(bytes),
            Self::File { open: Some(open), .. } => open.file.write(bytes),
            Self::File { open: None, .. } => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// Appends what it is sent, in its order.
pub(super) struct Writer {
    output: Output,
    state: Arc<State>,
    metrics: Arc<Metrics>,
}

impl Writer {
    pub(super) fn new(output: Output, state: Arc<State>, metrics: Arc<Metrics>) -> Self {
        Self { output, state, metrics }
    }

    /// Until every sender is gone.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let (mut batch, mut waiting) = (String::new(), Vec::new());
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Line(line) => batch.push_str(&line),
                    Message::Settled(done) => waiting.push(done),
                }
                next = if batch.len() < BATCH { messages.try_recv().ok() } else { None };
            }
            self.append(batch.as_bytes());
            for done in waiting {
                // Who has gone waits no more.
                done.send(()).ok();
            }
        }
    }

    /// Writes lines whole and once each, however long that takes: they wait here, and others in the
    /// queue. Only when the service stops are they given up.
    fn append(&mut self, lines: &[u8]) {
        let mut rest = lines;
        while !rest.is_empty() {
            let is_at_line = rest.len() == lines.len() || before_ends_a_line(lines, rest);
            // A line that was begun ends in the file that it began in.
            let opened = if is_at_line { self.output.open() } else { Ok(()) };
            let outcome = opened.and_then(|()| self.output.write(rest)).and_then(|count| {
                rest.get(count..).filter(|_| count > 0).ok_or(io::ErrorKind::WriteZero.into())
            });
            match outcome {
                Ok(left) => {
                    rest = left;
                    self.recovered();
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => {
                    self.failed(&cause);
                    if self.state.is_closing.load(Ordering::SeqCst) {
                        break;
                    }
                    std::thread::park_timeout(PAUSE);
                }
            }
        }
        if rest.is_empty() && !lines.is_empty() {
            // What was in the queue makes room now.
            self.state.is_full.store(false, Ordering::SeqCst);
        }
        let lost = count_lines(rest);
        self.metrics.audit_lost(lost);
        self.metrics.audit_written(count_lines(lines).saturating_sub(lost));
    }

    fn failed(&self, cause: &io::Error) {
        if !self.state.is_failing.swap(true, Ordering::SeqCst) {
            tracing::error!(%cause, "the audit log cannot be written");
            self.metrics.audit_failing(true);
        }
    }

    fn recovered(&self) {
        if self.state.is_failing.swap(false, Ordering::SeqCst) {
            tracing::warn!("the audit log can be written again");
            self.metrics.audit_failing(false);
        }
    }
}

fn before_ends_a_line(lines: &[u8], rest: &[u8]) -> bool {
    let written = lines.len().saturating_sub(rest.len());
    written.checked_sub(1).and_then(|last| lines.get(last)) == Some(&b'\n')
}

fn count_lines(bytes: &[u8]) -> u64 {
    let count = bytes.iter().filter(|byte| **byte == b'\n').count();
    u64::try_from(count).unwrap_or(u64::MAX)
}
