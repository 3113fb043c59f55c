//! Header maps as the host hands them over, read in place, and as it takes them back.
//!
//! The host writes a map as one block: the number of headers, then the lengths of each name and value
//! (32 bits, little endian), then all texts, each followed by a zero byte. Reading it where it lies
//! saves two allocations a header on every request.

use std::borrow::Cow;

use smallvec::SmallVec;

/// Names of headers. A request has few that must not leave.
pub(crate) type Names<'a> = SmallVec<[&'a [u8]; 6]>;

/// A list of headers to set: names in lower case, and values.
pub type HeaderReferences<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Bytes before the first pair of lengths.
const COUNT_BYTES: usize = 4;
/// Bytes of one pair of lengths.
const LENGTHS_BYTES: usize = 8;

/// The headers of a message, pseudo-headers included: names in lower case, in the message's order.
#[derive(Clone, Default)]
pub struct HeaderMap {
    block: Vec<u8>,
    /// Where the texts begin.
    texts: usize,
}

impl HeaderMap {
    /// Takes over a block that the host has written.
    ///
    /// # Errors
    ///
    /// [`MalformedHeaders`] where the block is cut short.
    pub fn from_block(block: Vec<u8>) -> Result<Self, MalformedHeaders> {
        if block.is_empty() {
            return Ok(Self::default());
        }
        let count = block.first_chunk().copied().map(u32::from_le_bytes).ok_or(MalformedHeaders)?;
        let texts = usize::try_from(count)
            .ok()
            .map(texts_after)
            .filter(|texts| *texts <= block.len())
            .ok_or(MalformedHeaders)?;
        let map = Self { block, texts };
        if map.texts_length() <= map.block.len().saturating_sub(texts) {
            Ok(map)
        } else {
            Err(MalformedHeaders)
        }
    }

    /// A map of these headers: names in lower case, and values.
    #[must_use]
    pub fn from_pairs(headers: &[(&[u8], &[u8])]) -> Self {
        Self { block: to_block(headers), texts: texts_after(headers.len()) }
    }

    /// The block that the host takes.
    #[must_use]
    pub fn as_block(&self) -> &[u8] {
        const NO_HEADERS: &[u8] = &[0; COUNT_BYTES];
        if self.block.is_empty() { NO_HEADERS } else { &self.block }
    }

    /// The memory that the headers are in.
    #[must_use]
    pub fn into_block(self) -> Vec<u8> {
        self.block
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.block.get(self.texts..).unwrap_or_default();
        self.lengths().map(move |(name_length, value_length)| {
            let name = take(&mut rest, name_length);
            let value = take(&mut rest, value_length);
            (name, value)
        })
    }

    /// How many headers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.saturating_sub(COUNT_BYTES) / LENGTHS_BYTES
    }

    /// Whether there is no header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first value of a header, its name in lower case.
    pub(crate) fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The values of a header, its name in lower case.
    fn values(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(other, _)| *other == name).map(|(_, value)| value)
    }

    /// All values of a header, its name in lower case, as one (RFC 9110 section 5.3).
    pub(crate) fn joined(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut values = self.values(name);
        let first = values.next()?;
        let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
        let mut joined = [first, second].join(b", ".as_slice());
        for value in values {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        Some(Cow::Owned(joined))
    }

    /// Bytes that the texts should take by what their lengths say.
    fn texts_length(&self) -> usize {
        let (lengths, _) =
            self.block.get(COUNT_BYTES..self.texts).unwrap_or_default().as_chunks::<4>();
        // Each sum of a block's numbers of 32 bits is less than 2^64. One zero byte follows each text.
        let sum = lengths.iter().fold(0_u64, |sum, length| {
            sum.wrapping_add(u64::from(u32::from_le_bytes(*length))).wrapping_add(1)
        });
        usize::try_from(sum).unwrap_or(usize::MAX)
    }

    fn lengths(&self) -> impl Iterator<Item = (usize, usize)> {
        let lengths = self.block.get(COUNT_BYTES..self.texts).unwrap_or_default();
        lengths.chunks_exact(LENGTHS_BYTES).map(|pair| {
            let (name, value) = pair.split_at(LENGTHS_BYTES / 2);
            (length(name), length(value))
        })
    }
}

/// What is to change in a map, header by header: a host changes a few headers much faster than it takes a
/// whole map.
pub struct HeaderEdits<'a> {
    source: &'a HeaderMap,
    // Lists without memory of their own, as long as they are short: they are made for each request.
    removed: Names<'a>,
    set: SmallVec<[(&'a [u8], &'a [u8]); 8]>,
}

impl<'a> HeaderEdits<'a> {
    /// No changes to `source` yet.
    #[must_use]
    pub fn of(source: &'a HeaderMap) -> Self {
        Self { source, removed: Names::new(), set: SmallVec::new() }
    }

    /// Removes every header of these names, in lower case and each once; no other changes yet.
    pub(crate) fn without(source: &'a HeaderMap, removed: Names<'a>) -> Self {
        Self { source, removed, set: SmallVec::new() }
    }

    /// Removes every header of this name, in lower case.
    pub fn remove(&mut self, name: &'a [u8]) {
        if !self.removed.contains(&name) {
            self.removed.push(name);
        }
    }

    /// Puts a header in the place of the one of this name, in lower case, or adds it. Once a name. What a
    /// host does that finds two to replace is not said anywhere: those must be removed as well.
    pub fn set(&mut self, name: &'a [u8], value: &'a [u8]) {
        self.set.push((name, value));
    }

    /// The names to remove, before anything is set.
    pub fn removed(&self) -> impl Iterator<Item = &[u8]> {
        self.removed.iter().copied()
    }

    /// The headers to set then: each in the place of the one of its name, or as another.
    pub fn set_headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.set.iter().copied()
    }

    /// The headers as they are afterwards: those that are set, then those that stay, in their order.
    pub fn result(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let is_set = |name: &[u8]| self.set.iter().any(|(other, _)| *other == name);
        let stays = move |name: &[u8]| !self.removed.contains(&name) && !is_set(name);
        self.set_headers().chain(self.source.iter().filter(move |(name, _)| stays(name)))
    }
}

/// Takes a text of `length` bytes and its zero byte off the front of `rest`.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (text, after) = rest.split_at_checked(length).unwrap_or_default();
    *rest = after.get(1..).unwrap_or_default();
    text
}

fn length(bytes: &[u8]) -> usize {
    let value = bytes.first_chunk().copied().map(u32::from_le_bytes).unwrap_or_default();
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Writes headers as the block that the host takes.
#[must_use]
pub fn to_block(headers: &[(&[u8], &[u8])]) -> Vec<u8> {
    let texts = headers.iter().map(|(name, value)| text_bytes(name, value));
    let total = texts.fold(texts_after(headers.len()), usize::saturating_add);
    let mut block = Vec::with_capacity(total);
    block.extend_from_slice(&length_bytes(headers.len()));
    headers.iter().for_each(|header| push_lengths(&mut block, *header));
    headers.iter().for_each(|header| push_texts(&mut block, *header));
    block
}

/// Where the texts of so many headers begin.
fn texts_after(count: usize) -> usize {
    count.saturating_mul(LENGTHS_BYTES).saturating_add(COUNT_BYTES)
}

/// Bytes that the texts of a header take.
fn text_bytes(name: &[u8], value: &[u8]) -> usize {
    name.len().saturating_add(value.len()).saturating_add(2)
}

fn length_bytes(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn push_lengths(block: &mut Vec<u8>, (name, value): (&[u8], &[u8])) {
    block.extend_from_slice(&length_bytes(name.len()));
    block.extend_from_slice(&length_bytes(value.len()));
}

fn push_texts(block: &mut Vec<u8>, (name, value): (&[u8], &[u8])) {
    block.extend_from_slice(name);
    block.push(0);
    block.extend_from_slice(value);
    block.push(0);
}

/// The host's block of headers is cut short. The fault is the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the block of headers is cut short")]
pub struct MalformedHeaders;

/// Whether every byte is a visible ASCII character, which leaves out the space.
pub(crate) fn is_visible_ascii(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_graphic)
}

/// Whether a text is a header name in lower case (RFC 9110 section 5.6.2, `token`).
pub(crate) fn is_lower_case_token(text: &str) -> bool {
    let is_mark = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || is_mark(byte))
}

#[cfg(test)]
mod tests {
    use super::{HeaderEdits, HeaderMap, MalformedHeaders, to_block};

    #[test]
    fn what_the_host_writes_is_read_back_as_it_was() {
        let pairs: [(&[u8], &[u8]); 4] =
            [(b":path", b"/x"), (b"empty", b""), (b"accept", b"\xff\x00z"), (b"accept", b"*/*")];
        let map = HeaderMap::from_block(to_block(&pairs)).unwrap();
        assert_eq!(map.iter().collect::<Vec<_>>(), pairs);
        assert_eq!(map.len(), 4);
        assert_eq!(map.first(b"accept"), Some(b"\xff\x00z".as_slice()));
        assert_eq!(map.first(b"missing"), None);
        assert_eq!(map.joined(b"accept").as_deref(), Some(b"\xff\x00z, */*".as_slice()));
        assert_eq!(map.joined(b":path").as_deref(), Some(b"/x".as_slice()));
        assert_eq!(map.joined(b"missing"), None);
        assert!(HeaderMap::from_block(to_block(&[])).unwrap().is_empty());
        assert!(HeaderMap::from_block(Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn edits_leave_one_header_of_a_name_that_is_set_and_none_of_one_that_is_removed() {
        let map = HeaderMap::from_pairs(&[
            (b"one", b"1"),
            (b"two", b"2"),
            (b"stays", b"first"),
            (b"two", b"another"),
            (b"gone", b"x"),
            (b"stays", b"second"),
            (b"gone", b"y"),
        ]);
        let mut edits = HeaderEdits::of(&map);
        edits.remove(b"gone");
        edits.remove(b"gone");
        edits.set(b"one", b"new one");
        edits.remove(b"two");
        edits.set(b"two", b"new two");
        edits.set(b"three", b"3");
        assert_eq!(edits.removed().collect::<Vec<_>>(), [b"gone".as_slice(), b"two"]);
        let expected: [(&[u8], &[u8]); 5] = [
            (b"one", b"new one"),
            (b"two", b"new two"),
            (b"three", b"3"),
            (b"stays", b"first"),
            (b"stays", b"second"),
        ];
        assert_eq!(edits.result().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_block_that_is_cut_short_anywhere_is_an_error_and_never_a_crash() {
        let block = to_block(&[(b":path", b"/x"), (b"accept", b"*/*")]);
        for length in 1..block.len() {
            let cut = HeaderMap::from_block(block[..length].to_vec());
            assert_eq!(cut.err(), Some(MalformedHeaders), "{length}");
        }
        assert!(HeaderMap::from_block(vec![0xff; 64]).is_err());
    }
}
