//! Masks the session's secrets in response bodies, as they stream by.
//!
//! IntelligenceBank embeds URLs with the live session id in its JSON. Every occurrence of a secret is
//! overwritten with as many `*` as it has bytes, so that lengths and offsets stay right. What counts as
//! an occurrence says [`spelling`]; [`body_plan`] says which bodies are looked at.
//!
//! Most chunks hold no secret and go on as they came, uncopied: [`needles`] skips through plain text,
//! and [`walk`] only reads where an occurrence could be. The end of a chunk is held back as far as it
//! could be the beginning of an occurrence, and no further.

mod body_plan;
mod glance;
mod needles;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod reference;
mod spelling;
mod walk;

use std::{mem, ops::Range, rc::Rc};

pub(crate) use body_plan::{BodyPlan, plan};
pub(crate) use needles::{Needles, SHORTEST_NEEDLE};

/// What stands in the place of a masked byte.
const MASK: u8 = b'*';

/// One response body under way.
pub(crate) struct Redactor {
    needles: Rc<Needles>,
    /// The end of what has come, as it came: it may be the beginning of an occurrence.
    carry: Vec<u8>,
    /// So many bytes of the carry belong to an occurrence that began before it.
    masked: usize,
}

/// What goes on in the place of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redacted {
    /// The chunk itself.
    Unchanged,
    /// Other bytes, and possibly none.
    Replaced(Vec<u8>),
}

impl Redactor {
    /// A body of which nothing has come yet.
    pub(crate) fn new(needles: Rc<Needles>) -> Self {
        Self { needles, carry: Vec::new(), masked: 0 }
    }

    /// Takes the next chunk of the body. `is_last`: nothing follows, and nothing is held back.
    pub(crate) fn push(&mut self, chunk: &[u8], is_last: bool) -> Redacted {
        if self.needles.is_empty() {
            return Redacted::Unchanged;
        }
        if self.carry.is_empty() && glance::holds_nothing(&self.needles, chunk, is_last) {
            #[cfg(test)]
            self.check_by_the_walk(chunk, is_last);
            return Redacted::Unchanged;
        }
        self.push_searched(chunk, is_last)
    }

    /// The same for a chunk that needs a closer look. (Apart, so that the usual way stays short.)
    #[inline(never)]
    fn push_searched(&mut self, chunk: &[u8], is_last: bool) -> Redacted {
        let is_joined = !self.carry.is_empty();
        let mut text = if is_joined {
            let mut joined = mem::take(&mut self.carry);
            joined.extend_from_slice(chunk);
            joined
        } else {
            chunk.to_vec()
        };
        let found = walk::find(&self.needles, &text, is_last);
        let is_whole = found.held_from == text.len();
        if is_whole && !is_joined && found.occurrences.is_empty() {
            return Redacted::Unchanged;
        }
        // The carry is kept as it came: where it is searched again, its own occurrences are found again.
        self.carry = text.split_off(found.held_from);
        mask(&mut text, 0..self.masked);
        self.masked = self.masked.saturating_sub(text.len());
        for occurrence in found.occurrences {
            if occurrence.start < text.len() {
                let past = occurrence.end.saturating_sub(text.len());
                self.masked = self.masked.max(past);
            }
            mask(&mut text, occurrence);
        }
        Redacted::Replaced(text)
    }

    /// Fails a test where the walk finds something at which the glance saw nothing.
    #[cfg(test)]
    fn check_by_the_walk(&self, chunk: &[u8], is_last: bool) {
        let steps = needles::STEPS.get();
        let found = walk::find(&self.needles, chunk, is_last);
        needles::STEPS.set(steps);
        assert!(found.occurrences.is_empty(), "an occurrence was overlooked");
        assert_eq!(found.held_from, chunk.len(), "a beginning was overlooked");
    }

    /// How many bytes are held back now.
    pub(crate) fn held(&self) -> usize {
        self.carry.len()
    }
}

/// Masks as much of an occurrence as lies in `text`.
fn mask(text: &mut [u8], occurrence: Range<usize>) {
    let end = occurrence.end.min(text.len());
    text.get_mut(occurrence.start..end).unwrap_or_default().fill(MASK);
}

#[cfg(test)]
mod tests;
