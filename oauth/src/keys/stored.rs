//! The keys of one kind as the store keeps them, and which of them does what at a time.
//!
//! A key is first published: everybody who checks tokens learns of it. Then it issues. When a younger one
//! issues, it is accepted for as long as a token that it has made can live, and goes. All instances find
//! the same from the same record, so they need not agree on anything else.

use ib_contract::Secret;
use serde::{Deserialize, Serialize};

use crate::{records::Record, store::Table};

/// Most keys of a kind: a rotation beyond it is refused.
pub(crate) const MOST_KEYS: usize = 8;
/// How much the clocks of two instances may differ, in seconds.
const CLOCKS: u64 = 60;

/// What keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// They sign JWT access tokens.
    Signing,
    /// They tag opaque access tokens.
    TokenTags,
}

impl KeyKind {
    pub(crate) const ALL: [Self; 2] = [Self::Signing, Self::TokenTags];

    /// The name of the record, of the metric's label, and of the command line's value.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::TokenTags => "token-tags",
        }
    }
}

/// One key. Times are in seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredKey {
    pub(crate) id: String,
    /// The key itself, in base64.
    pub(crate) secret: Secret,
    pub(crate) created_at: u64,
    pub(crate) issues_from: u64,
}

/// What a key does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It is published and issues from then on.
    Waits { until: u64 },
    /// New tokens are made with it. From then on it has a successor, if there is one already.
    Issues { until: Option<u64> },
    /// Its tokens are still accepted.
    Accepted { until: u64 },
    /// Nothing more: whoever writes next removes it.
    Gone,
}

/// Why a rotation does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// The newest key still waits.
    UnderWay { until: u64 },
    /// There are as many keys as there may be. The oldest goes then.
    Full { until: u64 },
}

/// The keys of one kind, oldest first. Sealed as every record is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredKeys {
    keys: Vec<StoredKey>,
    /// The longest that an access token has been allowed to live while there were these keys.
    longest_token_seconds: u64,
}

impl Record for StoredKeys {
    const TABLE: Table = Table::Key;
}

impl StoredKeys {
    /// The first key, which issues at once: nobody has tokens of another.
    pub(crate) fn begin(id: String, secret: Secret, token_seconds: u64, now: u64) -> Self {
        let key = StoredKey { id, secret, created_at: now, issues_from: now };
        Self { keys: vec![key], longest_token_seconds: token_seconds }
    }

    /// All keys with what they do at `now`, oldest first.
    pub(crate) fn states(&self, now: u64) -> impl Iterator<Item = (&StoredKey, KeyState)> {
        let issuing = self.issuing(now);
        self.keys.iter().enumerate().map(move |(position, key)| {
            let next = self.keys.get(position.saturating_add(1)).map(|next| next.issues_from);
            let state = match (position.cmp(&issuing), next) {
                (std::cmp::Ordering::Greater, _) => KeyState::Waits { until: key.issues_from },
                (std::cmp::Ordering::Equal, next) => KeyState::Issues { until: next },
                (std::cmp::Ordering::Less, next) => {
                    let until = self.gone_at(next.unwrap_or_default());
                    if now < until { KeyState::Accepted { until } } else { KeyState::Gone }
                }
            };
            (key, state)
        })
    }

    /// The keys that are accepted at `now`, and first the one that issues.
    pub(crate) fn accepted(&self, now: u64) -> Vec<&StoredKey> {
        let mut keys: Vec<_> =
            self.states(now).filter(|(_, state)| *state != KeyState::Gone).collect();
        keys.sort_by_key(|(_, state)| !matches!(state, KeyState::Issues { .. }));
        keys.into_iter().map(|(key, _)| key).collect()
    }

    /// The newest key that may issue; before the first may, the first.
    fn issuing(&self, now: u64) -> usize {
        self.keys.iter().rposition(|key| key.issues_from <= now).unwrap_or_default()
    }

    /// When the last token is out that was made before `successor_issues_from`.
    fn gone_at(&self, successor_issues_from: u64) -> u64 {
        successor_issues_from.saturating_add(self.longest_token_seconds).saturating_add(CLOCKS)
    }

    /// Whether a successor may be added at `now`.
    pub(crate) fn may_rotate(&self, now: u64) -> Result<(), Rotation> {
        let oldest = self.states(now).map(|(_, state)| state).next();
        match (self.keys.last(), oldest) {
            (Some(newest), _) if newest.issues_from > now => {
                Err(Rotation::UnderWay { until: newest.issues_from })
            }
            (_, Some(KeyState::Accepted { until })) if self.keys.len() >= MOST_KEYS => {
                Err(Rotation::Full { until })
            }
            _ => Ok(()),
        }
    }

    /// Adds a successor, which issues after `publish_seconds`.
    pub(crate) fn rotate(
        &mut self,
        id: String,
        secret: Secret,
        publish_seconds: u64,
        now: u64,
    ) -> Result<(), Rotation> {
        self.may_rotate(now)?;
        let issues_from = now.saturating_add(publish_seconds);
        self.keys.push(StoredKey { id, secret, created_at: now, issues_from });
        Ok(())
    }

    /// Whether the newest key is as old as keys may become.
    pub(crate) fn is_due(&self, rotate_seconds: Option<u64>, now: u64) -> bool {
        let (Some(age), Some(newest)) = (rotate_seconds, self.keys.last()) else { return false };
        now >= newest.created_at.saturating_add(age) && self.may_rotate(now).is_ok()
    }

    /// Removes what is gone, and notes how long tokens may live. Whether anything has changed.
    pub(crate) fn tidy(&mut self, token_seconds: u64, now: u64) -> bool {
        let (before, longest) = (self.keys.len(), self.longest_token_seconds);
        self.longest_token_seconds = longest.max(token_seconds);
        let gone: Vec<_> = self
            .states(now)
            .filter(|(_, state)| *state == KeyState::Gone)
            .map(|(key, _)| key.id.clone())
            .collect();
        self.keys.retain(|key| !gone.contains(&key.id));
        (before, longest) != (self.keys.len(), self.longest_token_seconds)
    }
}

#[cfg(test)]
mod tests {
    use ib_contract::Secret;

    use super::{KeyState, MOST_KEYS, Rotation, StoredKeys};

    const NOW: u64 = 1_000_000;

    fn keys() -> StoredKeys {
        StoredKeys::begin("a".to_owned(), Secret::new("s"), 3_600, NOW)
    }

    fn ids(keys: &StoredKeys, now: u64) -> Vec<&str> {
        keys.accepted(now).into_iter().map(|key| key.id.as_str()).collect()
    }

    fn rotate(keys: &mut StoredKeys, id: &str, now: u64) -> Result<(), Rotation> {
        keys.rotate(id.to_owned(), Secret::new("s"), 600, now)
    }

    #[test]
    fn a_new_key_is_published_then_issues_and_the_old_one_goes_when_its_last_token_is_out() {
        let mut keys = keys();
        assert_eq!(ids(&keys, NOW), ["a"]);
        rotate(&mut keys, "b", NOW + 10).unwrap();
        assert_eq!(ids(&keys, NOW + 10), ["a", "b"]);
        assert_eq!(ids(&keys, NOW + 609), ["a", "b"]);
        assert_eq!(ids(&keys, NOW + 610), ["b", "a"]);
        // A token of the last moment, an hour's life, and a minute between clocks.
        let gone = NOW + 610 + 3_600 + 60;
        assert_eq!(ids(&keys, gone - 1), ["b", "a"]);
        assert_eq!(ids(&keys, gone), ["b"]);
        assert!(!keys.tidy(3_600, gone - 1));
        assert!(keys.tidy(3_600, gone));
        assert_eq!(ids(&keys, NOW + 700), ["b"]);
    }

    #[test]
    fn what_each_key_does_is_told_with_the_time_until_which_it_does() {
        let mut keys = keys();
        rotate(&mut keys, "b", NOW).unwrap();
        let states = |keys: &StoredKeys, now| -> Vec<_> {
            keys.states(now).map(|(_, state)| state).collect()
        };
        let until = NOW + 600;
        assert_eq!(
            states(&keys, NOW),
            [KeyState::Issues { until: Some(until) }, KeyState::Waits { until }]
        );
        let gone = until + 3_660;
        assert_eq!(
            states(&keys, until),
            [KeyState::Accepted { until: gone }, KeyState::Issues { until: None }]
        );
        assert_eq!(states(&keys, gone), [KeyState::Gone, KeyState::Issues { until: None }]);
    }

    #[test]
    fn whoever_asks_twice_does_not_make_keys_sign_before_they_are_known() {
        let mut keys = keys();
        rotate(&mut keys, "b", NOW).unwrap();
        let under_way = Err(Rotation::UnderWay { until: NOW + 600 });
        assert_eq!(rotate(&mut keys, "c", NOW + 599), under_way);
        assert_eq!(rotate(&mut keys, "c", NOW + 600), Ok(()));
    }

    #[test]
    fn there_are_never_more_keys_than_may_be_and_a_place_becomes_free() {
        let mut keys = keys();
        let mut now = NOW;
        for number in 1..MOST_KEYS {
            rotate(&mut keys, &format!("k{number}"), now).unwrap();
            now += 600;
        }
        // The first ended when the second began to issue.
        let until = NOW + 600 + 3_660;
        assert_eq!(rotate(&mut keys, "more", until - 1), Err(Rotation::Full { until }));
        assert!(keys.tidy(3_600, until));
        assert_eq!(rotate(&mut keys, "more", until), Ok(()));
    }

    #[test]
    fn a_longer_life_of_tokens_keeps_the_old_key_longer_and_a_shorter_one_does_not_end_it_early() {
        let mut keys = keys();
        assert!(keys.tidy(7_200, NOW));
        assert!(!keys.tidy(60, NOW), "tokens of two hours are out there");
        rotate(&mut keys, "b", NOW).unwrap();
        assert_eq!(ids(&keys, NOW + 600 + 7_259), ["b", "a"]);
        assert_eq!(ids(&keys, NOW + 600 + 7_260), ["b"]);
    }

    #[test]
    fn keys_rotate_by_age_once_and_never_where_the_settings_say_so() {
        let mut keys = keys();
        assert!(!keys.is_due(None, u64::MAX));
        assert!(!keys.is_due(Some(1_000), NOW + 999));
        assert!(keys.is_due(Some(1_000), NOW + 1_000));
        rotate(&mut keys, "b", NOW + 1_000).unwrap();
        assert!(!keys.is_due(Some(1_000), NOW + 1_999));
        assert!(keys.is_due(Some(1_000), NOW + 2_000));
    }

    #[test]
    fn a_clock_that_goes_back_leaves_a_key_to_issue_with() {
        assert_eq!(ids(&keys(), NOW - 500), ["a"]);
    }

    #[test]
    fn debug_output_shows_no_key() {
        assert!(!format!("{:?}", keys()).contains("\"s\""));
    }
}
