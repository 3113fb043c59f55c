//! Whether this instance is about to stop, which others are told while it still answers.

use std::sync::atomic::{AtomicBool, Ordering};

/// Off until the service is asked to stop, and on from then.
#[derive(Debug, Default)]
pub(crate) struct Draining(AtomicBool);

impl Draining {
    /// The service has been asked to stop.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
