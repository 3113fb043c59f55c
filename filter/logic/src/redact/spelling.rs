//! The ways in which a text can spell a byte.
//!
//! A byte is spelled by itself, by `%2c`, by the escapes of JSON and JavaScript (`\u002c`, `\x2c`, and
//! `\/`, `\"`, `\\`), and by those whose own bytes are escaped again (`%252c`, `%25%32%63`, `\u00252c`,
//! `\\u002c`), up to [`MOST_LAYERS`] one over the other. A text spells a secret if it is cut into
//! pieces that spell the secret's bytes one after the other, letters in either case. Each piece is read
//! for itself: what stands before an occurrence cannot hide it.

use super::needles::count_step;

/// How many escapes may lie one over the other. Each layer makes a byte up to six times as long.
const MOST_LAYERS: u8 = 3;
/// The longest spelling of one byte, in bytes: `\\u002c` in as many layers.
const LONGEST_SPELLING: u8 = 216;

/// The bytes that escapes begin with.
pub(super) const PERCENT: u8 = b'%';
pub(super) const BACKSLASH: u8 = b'\\';

/// The most readings of one place. A run of backslashes has the most: one for each number of them.
const MOST_READINGS: usize = 16;

/// One way to read a text at its beginning.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) byte: u8,
    /// The length of the spelling, in bytes. A byte holds it: see [`LONGEST_SPELLING`].
    length: u8,
    /// How many escapes lie one over the other in it.
    layers: u8,
}

impl Reading {
    /// The length of the spelling, in bytes.
    pub(super) fn length(self) -> usize {
        usize::from(self.length)
    }

    /// Whether the byte stands there as something else than itself.
    pub(super) fn is_escaped(self) -> bool {
        self.layers > 0
    }
}

/// What a text can spell at its beginning.
#[derive(Default)]
pub(super) struct Readings {
    list: [Reading; MOST_READINGS],
    count: u8,
    /// More text could spell another byte.
    pub(super) is_open: bool,
}

impl Readings {
    /// The readings; the first is the byte that stands there.
    pub(super) fn iter(&self) -> impl Iterator<Item = Reading> {
        self.list.iter().copied().take(usize::from(self.count))
    }

    /// Takes a reading in. Of two that only differ in their layers, the flatter one counts.
    fn add(&mut self, new: Reading) {
        let is_alike = |known: &Reading| (known.byte, known.length) == (new.byte, new.length);
        let (known, free) = self.list.split_at_mut(usize::from(self.count).min(MOST_READINGS));
        if let Some(known) = known.iter_mut().find(|known| is_alike(known)) {
            known.layers = known.layers.min(new.layers);
        } else if let Some(free) = free.first_mut() {
            *free = new;
            self.count = self.count.saturating_add(1);
        }
    }

    /// The shortest reading that is longer than `length`, or as long and of a higher byte.
    fn next_after(&self, length: u8, byte: u8) -> Option<Reading> {
        let later = self.iter().filter(|it| (it.length, it.byte) > (length, byte));
        later.min_by_key(|it| (it.length, it.byte))
    }
}

/// What `text` spells at its beginning.
pub(super) fn read(text: &[u8]) -> Readings {
    read_within(text, MOST_LAYERS)
}

fn read_within(text: &[u8], most_layers: u8) -> Readings {
    let mut readings = Readings::default();
    let Some(&byte) = text.first() else {
        readings.is_open = true;
        return readings;
    };
    count_step();
    readings.add(Reading { byte, length: 1, layers: 0 });
    let Some(inner) = most_layers.checked_sub(1) else {
        return readings;
    };
    // Each mark that is found may be the beginning of a longer escape, never of a shorter one.
    let mut next = readings.next_after(0, 0);
    while let Some(mark) = next {
        let escape = Escape { text, at: mark.length(), layers: mark.layers, inner };
        match mark.byte {
            PERCENT if mark.layers <= inner => escape.digits(2, 0, &mut readings),
            BACKSLASH if mark.layers <= inner => escape.after_backslash(&mut readings),
            _ => {}
        }
        next = readings.next_after(mark.length, mark.byte);
    }
    readings
}

/// An escape that has been read up to `at`.
#[derive(Clone, Copy)]
struct Escape<'a> {
    text: &'a [u8],
    at: usize,
    /// The layers of its deepest part.
    layers: u8,
    /// The most layers that a part may have.
    inner: u8,
}

impl Escape<'_> {
    /// Reads the next part of the escape, and tells each reading with the escape after it.
    fn part(self, readings: &mut Readings, mut each: impl FnMut(Self, u8, &mut Readings)) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if let Some(&byte) = rest.first().filter(|byte| !is_mark(**byte)) {
            each(Self { at: self.at.saturating_add(1), ..self }, byte, readings);
            return;
        }
        let parts = read_within(rest, self.inner);
        readings.is_open |= parts.is_open;
        for part in parts.iter() {
            let at = self.at.saturating_add(part.length());
            let layers = self.layers.max(part.layers);
            each(Self { at, layers, ..self }, part.byte, readings);
        }
    }

    fn after_backslash(self, readings: &mut Readings) {
        self.part(readings, |escape, byte, readings| match byte {
            BACKSLASH | b'/' | b'"' => escape.end(byte, readings),
            b'u' => escape.digits(4, 0, readings),
            b'x' => escape.digits(2, 0, readings),
            _ => {}
        });
    }

    /// Reads hexadecimal digits: how many are still to come, and the value of those before.
    fn digits(self, missing: u8, value: u8, readings: &mut Readings) {
        let Some(after) = missing.checked_sub(1) else {
            self.end(value, readings);
            return;
        };
        self.part(readings, |escape, byte, readings| match hex_value(byte) {
            // Secrets are ASCII: no value past a byte is of use.
            Some(digit) if missing <= 2 || digit == 0 => {
                escape.digits(after, value.wrapping_shl(4) | digit, readings);
            }
            _ => {}
        });
    }

    fn end(self, byte: u8, readings: &mut Readings) {
        let layers = self.layers.saturating_add(1);
        let length = u8::try_from(self.at).unwrap_or(LONGEST_SPELLING);
        readings.add(Reading { byte, length, layers });
    }
}

/// So many backslashes spell nothing but backslashes: every layer doubles them, and the escape of
/// another byte, which needs a layer itself, is not begun before them all.
const LONGEST_RUN: usize = 1 << MOST_LAYERS;

/// What can be said of an escape at a glance.
pub(super) enum Glance {
    /// It spells this byte in as many bytes, and nothing else.
    Spells(u8, usize),
    /// It spells no byte besides `%`, `\`, `/` and `"`.
    SpellsMarks,
    /// It spells nothing.
    Nothing,
    /// It takes a closer look.
    Unclear,
}

/// Reads the escape at the beginning of `rest` if it is one of the usual ones.
pub(super) fn glance(rest: &[u8]) -> Glance {
    match *rest {
        [PERCENT, b'2', b'5', ..] => Glance::Unclear,
        [PERCENT, first, ..] if ends_escape(first) => Glance::Nothing,
        [PERCENT, first, second, ..] => match (hex_value(first), hex_value(second)) {
            (Some(high), Some(low)) => simple(high, low, 3),
            _ if !is_mark(first) && ends_escape(second) => Glance::Nothing,
            _ => Glance::Unclear,
        },
        [BACKSLASH, b'/', ..] => Glance::Spells(b'/', 2),
        [BACKSLASH, b'"', ..] => Glance::Spells(b'"', 2),
        [BACKSLASH, b'u', b'0', b'0', high, low, ..] => match (hex_value(high), hex_value(low)) {
            (Some(high), Some(low)) => simple(high, low, 6),
            _ => Glance::Unclear,
        },
        [BACKSLASH, b'u', first, ..] if first != b'0' && !is_mark(first) => Glance::Nothing,
        [BACKSLASH, BACKSLASH, ..] => {
            match rest.iter().take(LONGEST_RUN).find(|byte| **byte != BACKSLASH) {
                Some(b'u' | b'x' | &PERCENT) => Glance::Unclear,
                None if rest.len() < LONGEST_RUN => Glance::Unclear,
                None | Some(_) => Glance::SpellsMarks,
            }
        }
        [BACKSLASH, byte, ..] if !matches!(byte, b'u' | b'x') && !is_mark(byte) => Glance::Nothing,
        _ => Glance::Unclear,
    }
}

/// What spells a mark may be the beginning of a longer escape.
fn simple(high: u8, low: u8, length: usize) -> Glance {
    let byte = high.wrapping_shl(4) | low;
    if is_mark(byte) { Glance::Unclear } else { Glance::Spells(byte, length) }
}

/// Whether no escape goes on with this byte where a digit is missing.
const fn ends_escape(byte: u8) -> bool {
    hex_value(byte).is_none() && !is_mark(byte)
}

pub(super) const fn is_mark(byte: u8) -> bool {
    byte == PERCENT || byte == BACKSLASH
}

/// The value of a hexadecimal digit.
pub(super) const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}
