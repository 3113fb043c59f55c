//! A bounded table of what is known about tokens.

use std::{
    hash::{BuildHasher, BuildHasherDefault, Hasher},
    rc::Rc,
};

use lru::LruCache;

use crate::{Timestamp, bytes::are_same};

/// Memory of an entry besides its token and its decision, in bytes, estimated.
const ENTRY_OVERHEAD: usize = 240;

/// Entries within a bound of count and one of bytes; past either, the least recently used goes.
///
/// An entry is found by a hash of its token with random keys (`S`) and told by the whole token. Where two
/// tokens have one hash of 64 bits, the newer entry takes the place of the older one.
pub(super) struct Entries<V, S> {
    entries: LruCache<u64, Entry<V>, BuildHasherDefault<AsItIs>>,
    hashing: S,
    bytes: usize,
    maximum_entries: usize,
    maximum_bytes: usize,
}

/// What is known about one token.
pub(super) struct Entry<V> {
    pub(super) token: Rc<[u8]>,
    pub(super) value: V,
    pub(super) size: usize,
    pub(super) kept_at: Timestamp,
    pub(super) until: Timestamp,
}

/// What a look-up found.
pub(super) enum Found<'a, V> {
    Fresh(&'a V, Timestamp),
    Expired,
    Nothing,
}

impl<V, S: BuildHasher + Default> Entries<V, S> {
    pub(super) fn new(maximum_entries: usize, maximum_bytes: usize) -> Self {
        let entries = LruCache::unbounded_with_hasher(BuildHasherDefault::default());
        Self { entries, hashing: S::default(), bytes: 0, maximum_entries, maximum_bytes }
    }

    pub(super) fn get(&mut self, token: &[u8], now: Timestamp) -> Found<'_, V> {
        match self.entries.get(&self.hashing.hash_one(token)) {
            Some(entry) if !are_same(&entry.token, token) => Found::Nothing,
            None => Found::Nothing,
            Some(entry) if now < entry.kept_at || now >= entry.until => Found::Expired,
            Some(entry) => Found::Fresh(&entry.value, entry.kept_at),
        }
    }

    /// Puts an entry in, and tells which others made way, and how many.
    pub(super) fn put(&mut self, entry: Entry<V>, mut evicted: impl FnMut(&V)) -> u64 {
        let size = entry.size.saturating_add(entry.token.len()).saturating_add(ENTRY_OVERHEAD);
        if size > self.maximum_bytes {
            evicted(&entry.value);
            return 1;
        }
        let hash = self.hashing.hash_one(&entry.token);
        let mut count = 0_u64;
        loop {
            let is_full = self.entries.len() >= self.maximum_entries
                || self.bytes.saturating_add(size) > self.maximum_bytes;
            let alike = self.entries.pop_entry(&hash);
            let Some((_, oldest)) =
                alike.or_else(|| is_full.then(|| self.entries.pop_lru()).flatten())
            else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.size);
            evicted(&oldest.value);
            count = count.saturating_add(1);
        }
        self.bytes = self.bytes.saturating_add(size);
        self.entries.put(hash, Entry { size, ..entry });
        count
    }

    pub(super) fn remove(&mut self, token: &[u8]) -> Option<V> {
        let hash = self.hashing.hash_one(token);
        self.entries.peek(&hash).filter(|entry| are_same(&entry.token, token))?;
        let entry = self.entries.pop(&hash)?;
        self.bytes = self.bytes.saturating_sub(entry.size);
        Some(entry.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<V>> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the entries take, in bytes, estimated.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

/// For numbers that are hashes already.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, Hasher};

    use super::{Entries, Entry, Found};
    use crate::Timestamp;

    /// Gives every token the same hash.
    #[derive(Default)]
    struct Colliding;

    struct One;

    impl Hasher for One {
        fn finish(&self) -> u64 {
            1
        }

        fn write(&mut self, _bytes: &[u8]) {}
    }

    impl BuildHasher for Colliding {
        type Hasher = One;

        fn build_hasher(&self) -> One {
            One
        }
    }

    #[test]
    fn tokens_of_one_hash_are_never_taken_for_each_other() {
        let now = Timestamp::from_milliseconds(1_000);
        let mut entries = Entries::<&str, Colliding>::new(8, 1 << 20);
        let entry = |token: &[u8], value| Entry {
            token: token.into(),
            value,
            size: 0,
            kept_at: now,
            until: now.plus_seconds(1),
        };
        let mut evicted = Vec::new();
        assert_eq!(entries.put(entry(b"one", "of one"), |value| evicted.push(*value)), 0);
        assert!(matches!(entries.get(b"two", now), Found::Nothing));
        assert_eq!(entries.remove(b"two"), None);
        assert_eq!(entries.put(entry(b"two", "of two"), |value| evicted.push(*value)), 1);
        assert_eq!(evicted, ["of one"]);
        assert!(matches!(entries.get(b"one", now), Found::Nothing));
        assert!(matches!(entries.get(b"two", now), Found::Fresh(&"of two", _)));
        assert_eq!(entries.remove(b"two"), Some("of two"));
        assert_eq!((entries.len(), entries.bytes), (0, 0));
    }
}
