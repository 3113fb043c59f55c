//! Where keys come from, checked.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{live::Live, settings::Problem, tokens::SecretHash};

/// What new access tokens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessTokenFormat {
    /// A random text with a tag: only this service knows what it stands for.
    #[default]
    Opaque,
    /// RFC 9068.
    Jwt,
}

/// Keys that the service keeps in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredKeySettings {
    /// How long a new key is known everywhere before it issues.
    pub(crate) publish_seconds: u64,
    /// The age at which the newest key gets a successor by itself. `None`: never.
    pub(crate) rotate_seconds: Option<u64>,
}

/// The keys of one list of files, by their names, so that a reload can say what has changed.
pub(crate) type KeyNames = Vec<(String, SecretHash)>;

/// Where each kind of key comes from.
#[derive(Debug)]
pub(crate) struct KeySettings {
    /// The file of the settings, which is read again on SIGHUP. Empty for settings that came from none.
    pub(crate) settings_file: PathBuf,
    /// `None`: from files.
    pub(crate) stored_token_tags: Option<StoredKeySettings>,
    /// `None`: from files, or there are none.
    pub(crate) stored_signing: Option<StoredKeySettings>,
    /// How long resource servers may keep the JWK set, in seconds.
    pub(crate) jwks_seconds: u64,
    /// Whether there is a `signing` section.
    pub(crate) signs: bool,
    pub(crate) files: Live<KeyFiles>,
}

/// The lists of files.
#[derive(Debug, Default)]
pub(crate) struct KeyFiles {
    pub(crate) sealing: KeyNames,
    pub(crate) token_tags: KeyNames,
    pub(crate) signing: KeyNames,
}

impl KeyFiles {
    /// What keeps a running service that has these keys from going on with `next`.
    ///
    /// An id names one key for good: what it has sealed, tagged or signed is found by it. A key of the
    /// kinds that gateways must know is accepted before it is the one that issues.
    pub(crate) fn refuses(&self, next: &Self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (list, old, new, known_first) in [
            ("sealing.keys", &self.sealing, &next.sealing, false),
            ("token_tags.keys", &self.token_tags, &next.token_tags, true),
            ("signing.keys", &self.signing, &next.signing, true),
        ] {
            for (position, (id, hash)) in new.iter().enumerate() {
                let known = old.iter().find(|(name, _)| name == id);
                let reason = match known {
                    Some((_, was)) if was != hash => {
                        "holds another key than before: a new key needs a new id"
                    }
                    None if position == 0 && known_first && !old.is_empty() => {
                        "is new and stands first: put it behind the others until it is known everywhere"
                    }
                    _ => continue,
                };
                problems.push(Problem {
                    field: format!("{list}[{position}]"),
                    reason: reason.to_owned(),
                });
            }
        }
        problems
    }
}
