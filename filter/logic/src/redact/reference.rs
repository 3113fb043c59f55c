//! The same masks by the definition alone, slowly: what the fast search is compared with.

use std::collections::HashMap;

use super::MASK;

/// How many escapes may lie one over the other.
const MOST_LAYERS: u8 = 3;

/// The whole body with every occurrence masked. Secrets shorter than eight bytes are not searched.
pub(crate) fn masked(secrets: &[&[u8]], body: &[u8]) -> Vec<u8> {
    let mut shown = body.to_vec();
    let escapes: Vec<_> = (0..=0x7F).map(escapes).collect();
    let mut spellings = Spellings { text: body, escapes: &escapes, known: HashMap::new() };
    for secret in secrets.iter().filter(|secret| secret.len() >= 8) {
        for begin in 0..body.len() {
            let ends = secret.iter().fold(vec![begin], |reached, byte| {
                let both = [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
                spellings.of_any(&both, &reached, MOST_LAYERS)
            });
            let longest = ends.into_iter().max().and_then(|end| shown.get_mut(begin..end));
            longest.unwrap_or_default().fill(MASK);
        }
    }
    shown
}

/// Where bytes are spelled in a text.
struct Spellings<'a> {
    text: &'a [u8],
    /// The escapes of each byte of ASCII.
    escapes: &'a [Vec<Escape>],
    /// What was found, by its beginning, its byte and its layers.
    known: HashMap<(usize, u8, u8), Vec<usize>>,
}

impl Spellings<'_> {
    /// Where spellings of one of `wanted` end that begin at one of `begins`.
    fn of_any(&mut self, wanted: &[u8], begins: &[usize], layers: u8) -> Vec<usize> {
        let mut ends = Vec::new();
        for begin in begins {
            for byte in wanted {
                ends.extend(self.of(*byte, *begin, layers));
            }
        }
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// Where spellings of `wanted` end that begin at `begin`.
    fn of(&mut self, wanted: u8, begin: usize, layers: u8) -> Vec<usize> {
        let Some(&byte) = self.text.get(begin) else {
            return Vec::new();
        };
        if !matches!(byte, b'%' | b'\\') {
            // Every escape begins with one of these, however it is escaped itself.
            return if byte == wanted { vec![begin.saturating_add(1)] } else { Vec::new() };
        }
        if let Some(known) = self.known.get(&(begin, wanted, layers)) {
            return known.clone();
        }
        let mut ends = if byte == wanted { vec![begin.saturating_add(1)] } else { Vec::new() };
        if let Some(inner) = layers.checked_sub(1) {
            let escapes = self.escapes;
            for form in escapes.get(usize::from(wanted)).into_iter().flatten() {
                ends.extend(form.iter().fold(vec![begin], |reached, part| {
                    if reached.is_empty() { reached } else { self.of_any(part, &reached, inner) }
                }));
            }
        }
        self.known.insert((begin, wanted, layers), ends.clone());
        ends
    }
}

/// An escape: for each of its bytes, what it may be.
type Escape = Vec<Vec<u8>>;

/// The escapes of a byte.
fn escapes(byte: u8) -> Vec<Escape> {
    let digit = |value: u8| {
        let digit = char::from_digit(u32::from(value), 16).unwrap_or_default();
        [digit.to_ascii_lowercase(), digit.to_ascii_uppercase()].map(|digit| digit as u8).to_vec()
    };
    let digits = [digit(byte >> 4), digit(byte & 15)];
    let zeros = [vec![b'0'], vec![b'0']];
    let literally = |text: &[u8]| text.iter().map(|byte| vec![*byte]).collect::<Vec<_>>();
    let mut forms = vec![
        [literally(b"%"), digits.to_vec()].concat(),
        [literally(b"\\x"), digits.to_vec()].concat(),
        [literally(b"\\u"), zeros.to_vec(), digits.to_vec()].concat(),
    ];
    if matches!(byte, b'\\' | b'/' | b'"') {
        forms.push(literally(&[b'\\', byte]));
    }
    forms
}
