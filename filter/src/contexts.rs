//! Which gateway a stream belongs to.
//!
//! A VM has a root context for each plugin configuration. Nearly always there is one. While the proxy
//! reloads there are two, and each stream stays with the one that it was created from.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// The proxy's number of a context. Numbers are used again when all have been used once.
pub(crate) type ContextId = u32;

/// The root contexts of one VM, each with what `R` is, and the streams that are not of the usual one.
///
/// Streams of the *usual* root are only counted, so that they cost no look-up. Another root becomes the
/// usual one when it has gone and the last of its streams too.
pub(crate) struct Contexts<R> {
    roots: Vec<(ContextId, Option<R>)>,
    usual: Option<ContextId>,
    /// Streams of the usual root, or of the one that was.
    usual_streams: u32,
    other_streams: HashMap<ContextId, ContextId, BuildHasherDefault<ContextHasher>>,
}

impl<R> Contexts<R> {
    pub(crate) const fn new() -> Self {
        Self {
            roots: Vec::new(),
            usual: None,
            usual_streams: 0,
            other_streams: HashMap::with_hasher(BuildHasherDefault::new()),
        }
    }

    /// A root context that has no configuration yet.
    pub(crate) fn add_root(&mut self, root: ContextId) {
        self.roots.retain(|(id, _)| *id != root);
        self.roots.push((root, None));
    }

    /// Gives a root context what it takes to serve.
    pub(crate) fn configure(&mut self, root: ContextId, configured: R) {
        if let Some((_, place)) = self.roots.iter_mut().find(|(id, _)| *id == root) {
            *place = Some(configured);
        }
    }

    /// A stream that was created from a root context.
    pub(crate) fn add_stream(&mut self, stream: ContextId, root: ContextId) {
        if self.usual.is_none() && self.usual_streams == 0 {
            self.usual = Some(root);
        }
        if self.usual == Some(root) {
            self.usual_streams = self.usual_streams.saturating_add(1);
        } else {
            self.other_streams.insert(stream, root);
        }
    }

    /// What a root context was given, unless it has gone.
    pub(crate) fn of_root(&self, root: ContextId) -> Option<&R> {
        self.roots
            .iter()
            .find(|(id, _)| *id == root)
            .and_then(|(_, configured)| configured.as_ref())
    }

    /// What the root context of a stream was given, unless that has gone.
    pub(crate) fn of_stream(&self, stream: ContextId) -> Option<&R> {
        let other = if self.other_streams.is_empty() {
            None
        } else {
            self.other_streams.get(&stream).copied()
        };
        self.of_root(other.or(self.usual)?)
    }

    /// Forgets a root context, and gives back what it was given. None for what is no root context.
    pub(crate) fn remove_root(&mut self, context: ContextId) -> Option<Option<R>> {
        let place = self.roots.iter().position(|(id, _)| *id == context)?;
        if self.usual == Some(context) {
            self.usual = None;
        }
        Some(self.roots.swap_remove(place).1)
    }

    /// Forgets a stream.
    pub(crate) fn remove_stream(&mut self, stream: ContextId) {
        if self.other_streams.is_empty() || self.other_streams.remove(&stream).is_none() {
            self.usual_streams = self.usual_streams.saturating_sub(1);
        }
    }
}

/// Spreads the proxy's own consecutive numbers, which no peer chooses.
#[derive(Default)]
pub(crate) struct ContextHasher(u64);

impl Hasher for ContextHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        /// An odd number without a pattern: the golden ratio in 64 bits.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0.rotate_left(5) ^ u64::from(value)).wrapping_mul(SPREAD);
    }
}

#[cfg(test)]
mod tests {
    use super::Contexts;

    /// Two root contexts, 1 and 2, that are given their own numbers.
    fn two_roots() -> Contexts<u32> {
        let mut contexts = Contexts::new();
        for root in [1, 2] {
            contexts.add_root(root);
            contexts.configure(root, root);
        }
        contexts
    }

    #[test]
    fn a_stream_stays_with_its_own_configuration_while_the_proxy_reloads() {
        let mut contexts = two_roots();
        contexts.add_stream(10, 1);
        contexts.add_stream(11, 2);
        contexts.add_stream(12, 1);
        assert_eq!(
            [10, 11, 12].map(|stream| contexts.of_stream(stream).copied()),
            [Some(1), Some(2), Some(1)]
        );
        contexts.remove_stream(11);
        contexts.remove_stream(10);
        assert_eq!(contexts.of_stream(12), Some(&1));
    }

    #[test]
    fn a_stream_whose_configuration_has_gone_is_never_served_by_another() {
        let mut contexts = two_roots();
        contexts.add_stream(10, 1);
        assert_eq!(contexts.remove_root(1), Some(Some(1)));
        contexts.add_stream(11, 2);
        assert_eq!(contexts.of_stream(10), None);
        assert_eq!(contexts.of_stream(11), Some(&2));
        contexts.remove_stream(10);
        contexts.add_stream(12, 2);
        assert_eq!(contexts.of_stream(11), Some(&2));
        assert_eq!(contexts.of_stream(12), Some(&2));
    }

    #[test]
    fn a_context_number_that_comes_again_is_the_new_context() {
        let mut contexts = two_roots();
        contexts.add_stream(10, 1);
        contexts.remove_stream(10);
        contexts.add_stream(10, 2);
        assert_eq!(contexts.of_stream(10), Some(&2));
        contexts.add_root(2);
        assert_eq!(contexts.of_stream(10), None, "a root context is served once it is configured");
    }

    #[test]
    fn streams_of_a_configuration_that_was_refused_are_not_served() {
        let mut contexts = Contexts::<u32>::new();
        contexts.add_root(1);
        contexts.add_stream(10, 1);
        contexts.add_stream(11, 7);
        assert_eq!(contexts.of_stream(10), None);
        assert_eq!(contexts.of_stream(11), None);
        assert_eq!(contexts.remove_root(1), Some(None));
        assert_eq!(contexts.remove_root(10), None);
    }

    #[test]
    fn streams_cost_no_look_up_again_once_a_reload_is_over() {
        let mut contexts = two_roots();
        contexts.add_stream(10, 1);
        contexts.add_stream(11, 2);
        contexts.remove_stream(10);
        contexts.remove_root(1);
        contexts.add_stream(12, 2);
        contexts.remove_stream(11);
        assert!(contexts.other_streams.is_empty());
        assert_eq!(contexts.of_stream(12), Some(&2));
    }
}
