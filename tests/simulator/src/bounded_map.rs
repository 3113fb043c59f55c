//! A map that never holds more than its bound: the entry inserted first makes room for a new one.

use std::collections::{HashMap, VecDeque};

/// Text keys and values in the order of their insertion, up to a bound.
pub(crate) struct BoundedMap<V> {
    bound: usize,
    values: HashMap<String, V>,
    order: VecDeque<String>,
}

impl<V> BoundedMap<V> {
    /// An empty map that holds at most `bound` entries.
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, values: HashMap::new(), order: VecDeque::new() }
    }

    /// Adds `value` under `key`; at the bound, the oldest entry goes.
    pub(crate) fn insert(&mut self, key: String, value: V) {
        if self.values.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.bound {
            if let Some(oldest) = self.order.pop_front() {
                self.values.remove(&oldest);
            }
        }
    }

    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.values.get(key)
    }

    /// The value under `key`, to be changed.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.values.get_mut(key)
    }
}

#[cfg(test)]
mod tests {
    use super::BoundedMap;

    #[test]
    fn a_full_map_forgets_its_oldest_entry_and_keeps_the_newest() {
        let mut map = BoundedMap::new(2);
        for key in ["first", "second", "third"] {
            map.insert(key.to_owned(), key.len());
        }
        assert!(map.get("first").is_none());
        assert_eq!(map.get("second"), Some(&6));
        assert_eq!(map.get("third"), Some(&5));
    }

    #[test]
    fn writing_an_entry_again_does_not_push_another_one_out() {
        let mut map = BoundedMap::new(2);
        for (key, value) in [("a", 1), ("b", 2), ("b", 3), ("b", 4)] {
            map.insert(key.to_owned(), value);
        }
        assert_eq!(map.get("a"), Some(&1));
        assert_eq!(map.get("b"), Some(&4));
    }
}
