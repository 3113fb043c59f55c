//! A glance at a chunk that tells, of nearly all chunks that hold no secret, that they hold none.
//!
//! It looks at each byte with vector instructions, for escapes that could spell a letter or a digit, and at
//! as few rows of bytes as every plain occurrence must have one of.

use super::{needles::Needles, spelling::is_mark, walk::holds_useful_escape};

/// Whether a text neither holds an occurrence nor ends in what could be the beginning of one. `false` says
/// nothing. `is_last`: no text follows.
pub(super) fn holds_nothing(needles: &Needles, text: &[u8], is_last: bool) -> bool {
    let Some(&last) = text.last() else { return true };
    (is_last || !needles.have(last))
        && !needles.have_marks()
        && !is_mark(last)
        && holds_no_useful_escape(text)
        && !needles.may_be_plainly_in(text)
}

/// Whether no escape stands in a text that could spell a letter or a digit. The last byte is for the caller
/// to look at.
fn holds_no_useful_escape(text: &[u8]) -> bool {
    match holds_useful_escape(text) {
        Some(holds) => !holds,
        None => !text.iter().any(|byte| is_mark(*byte)),
    }
}
