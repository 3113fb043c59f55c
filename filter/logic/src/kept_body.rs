//! Request bodies that are kept, so that a request can be sent again when its session turns out to be
//! dead. Bounded for each request and for all of a worker's.

use std::{cell::Cell, rc::Rc};

/// The memory that all kept bodies of a worker may take, in bytes. Past it, bodies are not kept, and
/// their requests are not sent again.
const MOST_BYTES: usize = 16 << 20;

/// The bounds of kept bodies, and what they take now.
pub(crate) struct BodyStore {
    maximum_bytes: usize,
    taken: Rc<Cell<usize>>,
}

impl BodyStore {
    /// `maximum_bytes` is the bound for one request.
    pub(crate) fn new(maximum_bytes: usize) -> Self {
        Self { maximum_bytes, taken: Rc::default() }
    }

    /// A body of which nothing has come yet. `is_empty`: nothing will.
    pub(crate) fn begin(&self, is_empty: bool) -> KeptBody {
        let state = if is_empty { State::Whole } else { State::Partial };
        KeptBody { bytes: Vec::new(), state, taken: Rc::clone(&self.taken) }
    }

    /// Whether a piece of `length` bytes can be kept with what is there.
    pub(crate) fn has_room(&self, body: &KeptBody, length: usize) -> bool {
        matches!(body.state, State::Partial)
            && body.bytes.len().saturating_add(length) <= self.maximum_bytes
            && self.taken.get().saturating_add(length) <= MOST_BYTES
    }
}

/// One request's body, as far as it was kept.
pub(crate) struct KeptBody {
    bytes: Vec<u8>,
    state: State,
    taken: Rc<Cell<usize>>,
}

enum State {
    /// More is to come.
    Partial,
    /// All of it is here.
    Whole,
    /// Some of it was not kept, so nothing is.
    Lost,
}

impl KeptBody {
    /// Keeps a piece. `is_last`: no other follows.
    pub(crate) fn push(&mut self, piece: &[u8], is_last: bool) {
        self.bytes.extend_from_slice(piece);
        self.taken.set(self.taken.get().saturating_add(piece.len()));
        if is_last {
            self.state = State::Whole;
        }
    }

    /// Gives the body up: the request cannot be sent again.
    pub(crate) fn lose(&mut self) {
        self.release();
        self.state = State::Lost;
    }

    /// The body, if all of it is here.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        matches!(self.state, State::Whole).then_some(self.bytes.as_slice())
    }

    fn release(&mut self) {
        self.taken.set(self.taken.get().saturating_sub(self.bytes.len()));
        self.bytes = Vec::new();
    }
}

impl Drop for KeptBody {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyStore, MOST_BYTES};

    #[test]
    fn a_body_within_its_bound_is_kept_whole_and_one_past_it_not_at_all() {
        let store = BodyStore::new(8);
        let mut body = store.begin(false);
        assert!(store.has_room(&body, 8) && !store.has_room(&body, 9));
        body.push(b"12345", false);
        assert_eq!(body.whole(), None);
        assert!(!store.has_room(&body, 4));
        body.push(b"678", true);
        assert_eq!(body.whole(), Some(b"12345678".as_slice()));
        let mut lost = store.begin(false);
        lost.push(b"1", false);
        lost.lose();
        assert!(lost.whole().is_none() && !store.has_room(&lost, 1));
        assert_eq!(store.begin(true).whole(), Some(b"".as_slice()));
    }

    #[test]
    fn the_memory_of_all_bodies_is_bounded_and_given_back() {
        let store = BodyStore::new(MOST_BYTES);
        let mut large = store.begin(false);
        large.push(&vec![0; MOST_BYTES - 1], false);
        assert!(!store.has_room(&store.begin(false), 2));
        drop(large);
        assert!(store.has_room(&store.begin(false), 2));
    }
}
