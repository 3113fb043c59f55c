//! Finds the occurrences in a text.
//!
//! An occurrence that is all plain is found by [`Needles::find_plain`], any other by its first escape.
//! From where either could begin, the text is walked byte by byte with every occurrence that may be
//! under way, until none is. No byte is walked twice, so the work grows with the text alone, whatever
//! it holds.

use std::ops::Range;

use super::{
    needles::{Needles, count_step},
    spelling::{BACKSLASH, Glance, PERCENT, glance, is_mark, read},
};
use crate::pairs::{any_pair, is};

/// What a text holds.
pub(super) struct Found {
    /// Every occurrence lies in one of them, and nothing else does.
    pub(super) occurrences: Vec<Range<usize>>,
    /// From here on an occurrence may have begun that the text does not end.
    pub(super) held_from: usize,
}

/// Finds the occurrences in `text`. `is_last`: no text follows.
pub(super) fn find(needles: &Needles, text: &[u8], is_last: bool) -> Found {
    let found = Found { occurrences: Vec::new(), held_from: text.len() };
    let mut walk = Walk { needles, text, is_last, under_way: Vec::new(), here: Vec::new(), found };
    let first = if needles.have_marks() { 0 } else { without_useful_escapes(text) };
    let rest = text.get(first..).unwrap_or_default();
    let escapes = memchr::memchr2_iter(PERCENT, BACKSLASH, rest);
    let mut escapes = escapes.map(|at| at.saturating_add(first));
    // Within the last bytes an occurrence may begin that goes on in the next text.
    let tail = needles.longest().saturating_sub(1).min(text.len());
    let tail = text.len().saturating_sub(if is_last { 0 } else { tail });
    let mut plain = needles.find_plain(text, 0);
    let mut escape = escapes.find_map(|at| walk.escape_at(at));
    let mut walked_to = 0;
    loop {
        if plain.is_some_and(|begin| begin < walked_to) {
            plain = needles.find_plain(text, walked_to);
        }
        if escape.is_some_and(|escape| escape.at < walked_to) {
            let mut unwalked = escapes.by_ref().skip_while(|at| *at < walked_to);
            escape = unwalked.find_map(|at| walk.escape_at(at));
        }
        let next_escape = escape.map(|escape| escape.begin.max(walked_to));
        let from = plain.into_iter().chain(next_escape).fold(tail.max(walked_to), usize::min);
        if from >= text.len() {
            return walk.found;
        }
        // Up to the escape an occurrence may begin at any byte; without one, here.
        let escape_end = escape.map(|escape| escape.at.saturating_add(1));
        let reach = match escape_end {
            _ if from >= tail => text.len(),
            Some(end) if next_escape == Some(from) => end,
            _ => from.saturating_add(1),
        };
        walked_to = walk.run(from, reach);
    }
}

/// So many bytes at the beginning of `text` hold no escape that could spell a letter or a digit.
///
/// JSON of a PHP server has an escape in every few bytes (`\/`), and to stop at each would cost more than
/// all other work on a body.
fn without_useful_escapes(text: &[u8]) -> usize {
    let mut free = 0_usize;
    // A block, and the byte that its last one may go on with.
    while let Some(rest) = text.get(free..)
        && let Some(block) = rest.get(..BLOCK.saturating_add(1))
        && holds_useful_escape(block) == Some(false)
    {
        free = free.saturating_add(BLOCK);
    }
    free
}

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Whether a text holds an escape that could spell a letter or a digit. Its last byte is not looked at
/// itself. `None`: the text is too short to say.
pub(super) fn holds_useful_escape(text: &[u8]) -> Option<bool> {
    any_pair(text, |byte, next| {
        let goes_on = is(next, b'u') | is(next, b'x') | is(next, BACKSLASH) | is(next, PERCENT);
        is(byte, PERCENT) | (is(byte, BACKSLASH) & goes_on)
    })
}

/// Whether `rest` begins with one of the escapes that JSON is full of and that spell no letter or digit
/// (`\/`, `\"`, `\n`).
#[inline]
fn is_of_no_use(rest: &[u8]) -> bool {
    matches!(rest, [BACKSLASH, byte, ..] if !matches!(byte, b'u' | b'x' | &BACKSLASH | &PERCENT))
}

/// An escape that can be part of an occurrence.
#[derive(Clone, Copy)]
struct Escape {
    at: usize,
    /// Where an occurrence can begin, at the earliest, of which this is the first escape.
    begin: usize,
}

/// An occurrence that may be under way.
#[derive(Clone, Copy)]
struct UnderWay {
    /// Where it goes on.
    at: usize,
    needle: usize,
    /// So many bytes of the needle have been spelled.
    matched: usize,
    begin: usize,
}

struct Walk<'a> {
    needles: &'a Needles,
    text: &'a [u8],
    is_last: bool,
    under_way: Vec<UnderWay>,
    /// Those that go on at the present byte.
    here: Vec<UnderWay>,
    found: Found,
}

impl Walk<'_> {
    /// The escape that stands at `at`, unless no occurrence can have it as its first.
    #[inline]
    fn escape_at(&self, at: usize) -> Option<Escape> {
        count_step();
        let rest = self.text.get(at..).unwrap_or_default();
        if is_of_no_use(rest) && !self.needles.have_marks() {
            return None;
        }
        self.possible_escape_at(at, rest)
    }

    fn possible_escape_at(&self, at: usize, rest: &[u8]) -> Option<Escape> {
        let earliest = |byte| {
            let is_part = self.needles.have(byte);
            is_part.then(|| self.needles.earliest_beginning(self.text, at, byte)).flatten()
        };
        let begin = match glance(rest) {
            Glance::Nothing => None,
            Glance::Spells(byte, _) => earliest(byte),
            Glance::SpellsMarks if !self.needles.have_marks() => None,
            Glance::SpellsMarks | Glance::Unclear => {
                let readings = read(rest);
                let escaped = readings.iter().filter(|reading| reading.is_escaped());
                let begins = escaped.filter_map(|reading| earliest(reading.byte));
                let longest_before = self.needles.longest().saturating_sub(1);
                let is_open = readings.is_open && !self.is_last;
                let open = is_open.then(|| at.saturating_sub(longest_before));
                begins.chain(open).min()
            }
        };
        begin.map(|begin| Escape { at, begin })
    }

    /// Walks from `from` to `reach`, and on as long as an occurrence may be under way. Returns where it
    /// stopped: no occurrence that began before can go on there.
    fn run(&mut self, from: usize, reach: usize) -> usize {
        let mut at = from;
        while let Some(&byte) = self.text.get(at) {
            if self.under_way.is_empty() {
                if at >= reach {
                    return at;
                }
                if !self.needles.can_begin_with(byte) {
                    count_step();
                    at = at.saturating_add(1);
                    continue;
                }
            }
            self.step(at, byte);
            at = at.saturating_add(1);
        }
        if !self.is_last {
            let begins = self.under_way.iter().map(|occurrence| occurrence.begin);
            self.found.held_from = begins.fold(self.found.held_from, usize::min);
        }
        self.under_way.clear();
        at
    }

    /// Takes every occurrence at `at` on by what the text spells there.
    fn step(&mut self, at: usize, byte: u8) {
        count_step();
        self.gather(at);
        self.advance(at, byte, 1);
        if !is_mark(byte) {
            return;
        }
        let rest = self.text.get(at..).unwrap_or_default();
        match glance(rest) {
            Glance::Nothing => {}
            Glance::Spells(byte, length) => self.advance(at, byte, length),
            Glance::SpellsMarks if !self.needles.have_marks() => {}
            Glance::SpellsMarks | Glance::Unclear => {
                let readings = read(rest);
                if readings.is_open && !self.is_last {
                    let begins = self.here.iter().map(|occurrence| occurrence.begin);
                    self.found.held_from = begins.fold(self.found.held_from, usize::min);
                }
                for reading in readings.iter().filter(|reading| reading.is_escaped()) {
                    self.advance(at, reading.byte, reading.length());
                }
            }
        }
    }

    /// Brings together in `here` what goes on at `at`, and what may begin there. Of those that only
    /// differ in where they began, the earliest stays.
    fn gather(&mut self, at: usize) {
        let here = &mut self.here;
        here.clear();
        self.under_way.retain(|occurrence| {
            if occurrence.at == at {
                here.push(*occurrence);
            }
            occurrence.at != at
        });
        if here.len() > 1 {
            here.sort_unstable_by_key(|it| (it.needle, it.matched, it.begin));
            here.dedup_by_key(|it| (it.needle, it.matched));
        }
        let needles = self.needles.iter().enumerate();
        here.extend(needles.map(|(needle, _)| UnderWay { at, needle, matched: 0, begin: at }));
    }

    fn advance(&mut self, at: usize, byte: u8, length: usize) {
        let byte = byte.to_ascii_lowercase();
        let end = at.saturating_add(length);
        for occurrence in &self.here {
            let needle = self.needles.get(occurrence.needle);
            if needle.get(occurrence.matched) != Some(&byte) {
                continue;
            }
            count_step();
            let matched = occurrence.matched.saturating_add(1);
            if matched < needle.len() {
                self.under_way.push(UnderWay { at: end, matched, ..*occurrence });
            } else {
                self.found.add(occurrence.begin..end);
            }
        }
    }
}

impl Found {
    fn add(&mut self, new: Range<usize>) {
        match self.occurrences.last_mut() {
            Some(last) if new.start <= last.end && last.start <= new.end => {
                *last = last.start.min(new.start)..last.end.max(new.end);
            }
            _ => self.occurrences.push(new),
        }
    }
}
