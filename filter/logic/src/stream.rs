//! What is known about one HTTP stream between two callbacks.

use std::{cell::Cell, rc::Rc};

use crate::{
    CalloutId, HeaderMap, credentials::Credentials, held_answer::Rejected, kept_body::KeptBody,
    redact::Redactor, session::Session,
};

/// How far a stream is. A stream that is none of the gateway's business, or that was answered, has no
/// state at all.
pub(crate) enum Stream {
    /// Paused until the token service answers.
    Waiting(Waiting),
    /// On its way upstream.
    Approved(Box<Approved>),
}

/// What a waiting stream keeps. The headers stay with the host: they are read again.
pub(crate) struct Waiting {
    pub(crate) callout: CalloutId,
    /// No body follows the headers.
    pub(crate) is_last: bool,
    pub(crate) _place: Place,
}

/// What the later phases need to know of the request.
pub(crate) struct Approved {
    pub(crate) session: Rc<Session>,
    /// The credentials that went upstream.
    pub(crate) credentials: Rc<Credentials>,
    /// The client's own headers.
    pub(crate) head: HeaderMap,
    pub(crate) body: KeptBody,
    pub(crate) answer: Answer,
}

/// How far the upstream's answer is.
pub(crate) enum Answer {
    /// Not here yet, or passing through as it is.
    Passing,
    /// Its body is searched for session ids on the way.
    Redacting(Redactor),
    /// A 404 whose body may say that the session is gone: held until it was read.
    Suspected {
        /// Bytes of it that are held.
        held: usize,
    },
    /// The session was rejected: held until the request was sent again, or refused.
    Rejected(Box<Rejected>),
}

/// What the host does with headers after their callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum HeadersFlow {
    /// They go on.
    Continue,
    /// They stay, and so does what follows, but the callbacks of the body come.
    Hold,
    /// Everything waits until it is resumed, held back by flow control; or it was answered.
    Pause,
}

/// What the host does with a piece of a body after its callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum BodyFlow {
    /// It goes on, and so do headers that were held.
    Continue,
    /// It is kept with what came before.
    Buffer,
}

/// What the host does with trailers after their callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum TrailersFlow {
    /// They go on.
    Continue,
    /// The stream stops here.
    Pause,
}

/// Places for those who wait, of which there are so many and no more.
#[derive(Clone)]
pub(crate) struct Places {
    taken: Rc<Cell<u32>>,
    all: u32,
}

impl Places {
    pub(crate) fn new(all: u32) -> Self {
        Self { taken: Rc::default(), all }
    }

    /// Takes a place, if there is one.
    pub(crate) fn take(&self) -> Option<Place> {
        let taken = self.taken.get();
        if taken >= self.all {
            return None;
        }
        self.taken.set(taken.saturating_add(1));
        Some(Place { taken: Rc::clone(&self.taken) })
    }

    /// Whether one could be taken.
    pub(crate) fn has_free(&self) -> bool {
        self.taken.get() < self.all
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken.get()
    }
}

/// A place among those who wait, given back when it is dropped: a stream that goes away while it waits
/// takes no place.
pub(crate) struct Place {
    taken: Rc<Cell<u32>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.set(self.taken.get().saturating_sub(1));
    }
}
