//! What no body may show, prepared for searching.
//!
//! Plain text is searched by the pair of bytes at the end of a window as long as the shortest needle
//! (Wu and Manber's way to search for several words at once): most pairs are in no needle, so the
//! window moves on by nearly its whole length. That needs no vector instructions, which a plugin may
//! not have.

use super::spelling::{BACKSLASH, PERCENT};

/// A shorter value would be found by accident; no session id is as short. In bytes.
pub(crate) const SHORTEST_NEEDLE: usize = 8;
/// Entries of the table of shifts: few enough to stay in the processor's nearest cache, and so many
/// that two sessions' pairs fill few of them.
const SHIFTS: usize = 1024;

/// So many neighbouring bytes are looked up at a time.
const ROW: usize = 4;

/// What no body may show: made once a session generation, shared by its streams.
pub(crate) struct Needles {
    /// In lower case, no two alike.
    needles: Vec<Box<[u8]>>,
    /// The length of the longest needle, in bytes.
    longest: usize,
    /// The length of the shortest one, at most what an entry of the table can hold.
    window: usize,
    /// How far the window can move on, by the pair of bytes at its end. No entries: no needles.
    shifts: Box<[u8]>,
    /// The four neighbouring bytes at each place of each needle's window. A part of the processor's nearest
    /// cache that is much smaller than the table's.
    fours: FourSet,
    /// The bytes of the needles, in both cases.
    bytes: ByteSet,
    /// A needle holds a byte that escapes are made of.
    have_marks: bool,
    /// The bytes that an occurrence can begin with.
    beginnings: ByteSet,
}

impl Needles {
    /// Prepares secrets; those shorter than eight bytes are left out.
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a [u8]>) -> Self {
        let searched = secrets.filter(|secret| secret.len() >= SHORTEST_NEEDLE);
        let mut needles: Vec<Box<[u8]>> =
            searched.map(|secret| secret.to_ascii_lowercase().into_boxed_slice()).collect();
        needles.sort_unstable();
        needles.dedup();
        let longest = needles.iter().map(|needle| needle.len()).max().unwrap_or_default();
        let shortest = needles.iter().map(|needle| needle.len()).min().unwrap_or_default();
        let window = shortest.min(usize::from(u8::MAX));
        let mut bytes = ByteSet::default();
        let mut beginnings = ByteSet::default();
        if !needles.is_empty() {
            beginnings.insert(PERCENT);
            beginnings.insert(BACKSLASH);
        }
        for needle in &needles {
            needle.iter().for_each(|byte| bytes.insert_both_cases(*byte));
            needle.iter().take(1).for_each(|byte| beginnings.insert_both_cases(*byte));
        }
        let shifts = shifts(&needles, window);
        let mut fours = FourSet::default();
        for needle in &needles {
            let windows = needle.array_windows::<ROW>().take(window.saturating_sub(ROW - 1));
            windows.for_each(|four| fours.insert(*four));
        }
        let have_marks = b"%\\/\"".iter().any(|mark| bytes.contains(*mark));
        Self { needles, longest, window, shifts, fours, bytes, have_marks, beginnings }
    }

    /// Whether there is nothing to search for.
    pub(crate) fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// An estimate of the memory that the needles take, in bytes.
    pub(crate) fn size(&self) -> usize {
        let texts = self.needles.iter().map(|needle| needle.len().saturating_add(32));
        texts.fold(self.shifts.len().saturating_add(256), usize::saturating_add)
    }

    /// The length of the longest needle, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// The needles, in lower case.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.needles.iter().map(AsRef::as_ref)
    }

    /// The needle of this number, in the order of [`Self::iter`].
    pub(super) fn get(&self, number: usize) -> &[u8] {
        self.needles.get(number).map(AsRef::as_ref).unwrap_or_default()
    }

    /// Whether an occurrence can begin with this byte.
    pub(super) fn can_begin_with(&self, byte: u8) -> bool {
        self.beginnings.contains(byte)
    }

    /// Whether a needle holds this byte, in any case.
    pub(super) fn have(&self, byte: u8) -> bool {
        self.bytes.contains(byte)
    }

    /// Whether a needle holds `%`, `\\`, `/` or `"`.
    pub(super) fn have_marks(&self) -> bool {
        self.have_marks
    }

    /// Whether one of the needles stands in a text without any escape.
    pub(crate) fn are_plainly_in(&self, text: &[u8]) -> bool {
        self.find_plain(text, 0).is_some()
    }

    /// Whether one of the needles can stand in a text without any escape. `false` is sure.
    ///
    /// Every plain occurrence has one of the rows of four bytes that are looked at. None of the looks hangs on
    /// the one before, so the processor takes several at once; and hardly any text has such a row by chance.
    pub(super) fn may_be_plainly_in(&self, text: &[u8]) -> bool {
        // A needle is longer than a row ([`SHORTEST_NEEDLE`]), so each row is within its piece of the text.
        let Some(stride) = self.window.checked_sub(ROW - 1).filter(|stride| *stride > 0) else {
            return false;
        };
        let may_be_at = |(number, chunk): (usize, &[u8])| {
            count_step();
            let is_in_needle = chunk.first_chunk().is_some_and(|row| self.fours.contains(*row));
            is_in_needle && self.may_be_plainly_around(text, number.saturating_mul(stride))
        };
        text.chunks(stride).enumerate().any(may_be_at)
    }

    /// Whether a plain occurrence can have the row at `row`.
    #[inline(never)]
    fn may_be_plainly_around(&self, text: &[u8], row: usize) -> bool {
        // It begins there, or so far before that its window has the row.
        let from = row.saturating_sub(self.window.saturating_sub(ROW));
        self.find_plain_within(text, from, row).is_some()
    }

    /// Where the first plain occurrence begins that begins at `from` or after it.
    pub(super) fn find_plain(&self, text: &[u8], from: usize) -> Option<usize> {
        self.find_plain_within(text, from, usize::MAX)
    }

    /// The same for those that begin at `to` or before it.
    fn find_plain_within(&self, text: &[u8], from: usize, to: usize) -> Option<usize> {
        let before_pair = self.window.checked_sub(2)?;
        let mut at = from;
        while at <= to {
            count_step();
            let pair = text.get(at.saturating_add(before_pair)..)?.first_chunk::<2>()?;
            match self.shifts.get(place(*pair)).copied().unwrap_or_default() {
                0 => {
                    let rest = text.get(at..).unwrap_or_default();
                    if self.iter().any(|needle| begins_with(rest, needle)) {
                        return Some(at);
                    }
                    at = at.saturating_add(1);
                }
                shift => at = at.saturating_add(usize::from(shift)),
            }
        }
        None
    }

    /// Where an occurrence can begin, at the earliest, whose first escape stands at `at` and spells
    /// `byte`: all before it is plain.
    pub(super) fn earliest_beginning(&self, text: &[u8], at: usize, byte: u8) -> Option<usize> {
        let wanted = byte.to_ascii_lowercase();
        let before = text.get(..at).unwrap_or_default();
        self.iter().filter_map(|needle| earliest_beginning_of(needle, before, wanted)).min()
    }
}

fn earliest_beginning_of(needle: &[u8], before: &[u8], wanted: u8) -> Option<usize> {
    // A needle such as `aaaa` could take the square of its length: then the whole stretch is walked.
    let mut budget = needle.len().saturating_mul(4);
    let places = needle.iter().enumerate().rev().filter(|(_, byte)| **byte == wanted);
    for (matched, _) in places {
        let Some(begin) = before.len().checked_sub(matched) else { continue };
        let mut pairs = before.iter().rev().zip(needle.iter().take(matched).rev());
        let is_plain = pairs.all(|(shown, byte)| {
            count_step();
            budget = budget.saturating_sub(1);
            budget > 0 && shown.to_ascii_lowercase() == *byte
        });
        if is_plain || budget == 0 {
            return Some(begin);
        }
    }
    None
}

fn begins_with(text: &[u8], needle: &[u8]) -> bool {
    text.get(..needle.len()).is_some_and(|start| start.eq_ignore_ascii_case(needle))
}

/// How far a window can move on by the pair at its end, for each [`place`].
fn shifts(needles: &[Box<[u8]>], window: usize) -> Box<[u8]> {
    let Some(pairs) = window.checked_sub(1) else {
        return Box::default();
    };
    let furthest = |distance: usize| u8::try_from(distance).unwrap_or(u8::MAX);
    let mut shifts = vec![furthest(pairs); SHIFTS].into_boxed_slice();
    for needle in needles {
        for (number, pair) in needle.array_windows::<2>().take(pairs).enumerate() {
            let to_end = furthest(pairs.saturating_sub(number).saturating_sub(1));
            if let Some(shift) = shifts.get_mut(place(*pair)) {
                *shift = to_end.min(*shift);
            }
        }
    }
    shifts
}

/// The entry of a pair of bytes, the same for both cases of a letter.
fn place(pair: [u8; 2]) -> usize {
    let folded = u32::from(u16::from_le_bytes(pair) | 0x2020);
    // The upper bits of the product hang on all bits of the pair.
    let mixed = folded.wrapping_mul(0x9E37_79B1) >> 22;
    usize::try_from(mixed).unwrap_or_default()
}

/// A set of rows of bytes, the same for both cases of a letter, which may hold more than was put in.
#[derive(Default)]
struct FourSet([u64; 32]);

impl FourSet {
    fn insert(&mut self, row: [u8; ROW]) {
        let (word, bit) = Self::place(row);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn contains(&self, row: [u8; ROW]) -> bool {
        let (word, bit) = Self::place(row);
        self.0.get(word).copied().unwrap_or_default() & bit != 0
    }

    /// The word of a row, and its bit there.
    fn place(row: [u8; ROW]) -> (usize, u64) {
        let folded = u32::from_le_bytes(row) | 0x2020_2020;
        // The upper bits of the product hang on all bits of the row.
        let mixed = folded.wrapping_mul(0x9E37_79B1);
        (usize::try_from(mixed >> 27).unwrap_or_default(), 1_u64 << ((mixed >> 21) & 63))
    }
}

/// A set of bytes.
#[derive(Default)]
struct ByteSet([u64; 4]);

impl ByteSet {
    fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1_u64.wrapping_shl(u32::from(byte));
        }
    }

    fn insert_both_cases(&mut self, byte: u8) {
        self.insert(byte.to_ascii_lowercase());
        self.insert(byte.to_ascii_uppercase());
    }

    fn contains(&self, byte: u8) -> bool {
        let word = self.0.get(usize::from(byte >> 6)).copied().unwrap_or_default();
        word.wrapping_shr(u32::from(byte)) & 1 == 1
    }
}

#[cfg(not(test))]
#[inline(always)]
pub(super) fn count_step() {}

#[cfg(test)]
thread_local! {
    /// What the search has done on this thread.
    pub(super) static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
pub(super) fn count_step() {
    STEPS.set(STEPS.get() + 1);
}
