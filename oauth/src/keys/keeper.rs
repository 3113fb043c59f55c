//! The keys that the service makes itself and keeps in its store, sealed, the same for all instances.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ib_contract::{Secret, TAG_KEY_BYTES};
use zeroize::Zeroizing;

use super::stored::{KeyKind, KeyState, Rotation, StoredKey, StoredKeys};
use crate::{
    error::Error,
    records::{Record as _, Records, Versioned},
    settings::{Settings, StoredKeySettings},
    store::{Applied, Key},
    tokens::{NoRandomness, SigningKey, SigningKeys, TagKeys, random_bytes},
};

/// How often a change is tried while other instances make theirs.
const MOST_TRIES: usize = 8;
/// They never expire: the service removes them itself.
const FOR_GOOD: u64 = u64::MAX;

/// Why the keys in the store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysUnusable {
    #[error("{0}")]
    Store(String),
    #[error("the keys in the store were sealed under a key that is not in sealing.keys")]
    Sealed,
    #[error("the keys in the store are not of the form that this version knows")]
    Form,
    #[error("other instances change the keys in the store without end")]
    Contended,
}

impl From<Error> for KeysUnusable {
    fn from(cause: Error) -> Self {
        Self::Store(cause.description().to_owned())
    }
}

impl From<NoRandomness> for KeysUnusable {
    fn from(cause: NoRandomness) -> Self {
        Self::Store(cause.to_string())
    }
}

/// Why there is no new key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RotateError {
    #[error("these keys come from files, or there are none")]
    NotInStore,
    #[error("a rotation is under way: the newest key issues from {until} on")]
    UnderWay { until: u64 },
    #[error("there are as many keys as there may be; the oldest goes at {until}")]
    Full { until: u64 },
    #[error("{0}")]
    Keys(#[from] KeysUnusable),
}

impl From<Rotation> for RotateError {
    fn from(cause: Rotation) -> Self {
        match cause {
            Rotation::UnderWay { until } => Self::UnderWay { until },
            Rotation::Full { until } => Self::Full { until },
        }
    }
}

/// Makes keys, follows what other instances have made, and hands both to those who use them.
pub(crate) struct KeyKeeper {
    records: Arc<Records>,
    settings: Arc<Settings>,
}

impl KeyKeeper {
    pub(crate) fn new(records: Arc<Records>, settings: Arc<Settings>) -> Self {
        Self { records, settings }
    }

    /// Takes over what the store has at `now` (Unix seconds), and does what is due: makes the first keys,
    /// rotates those that are old enough, removes those that are gone, and seals anew what is not under
    /// the first sealing key.
    pub(crate) async fn refresh(&self, now: u64) -> Result<(), KeysUnusable> {
        for kind in KeyKind::ALL {
            let Some(kept) = self.kept(kind) else { continue };
            let mut rotated = false;
            let due = |keys: &mut StoredKeys| -> Result<bool, KeysUnusable> {
                rotated = keys.is_due(kept.rotate_seconds, now);
                if rotated {
                    // It has just been asked whether it may.
                    keys.rotate(new_id()?, new_secret(kind)?, kept.publish_seconds, now).ok();
                }
                Ok(rotated)
            };
            self.change(kind, now, due).await?;
            if rotated {
                self.rotated(kind);
            }
        }
        Ok(())
    }

    /// Adds a key, which is published at once and issues when everybody knows it.
    pub(crate) async fn rotate(&self, kind: KeyKind, now: u64) -> Result<(), RotateError> {
        let kept = self.kept(kind).ok_or(RotateError::NotInStore)?;
        self.change(kind, now, |keys| -> Result<bool, RotateError> {
            let (id, secret) = made(kind)?;
            keys.rotate(id, secret, kept.publish_seconds, now)?;
            Ok(true)
        })
        .await?;
        self.rotated(kind);
        Ok(())
    }

    /// The ids of the keys, oldest first, with what they do at `now`. It changes nothing, so there are none
    /// before the service has made the first. `None`: they are not in the store.
    pub(crate) async fn list(
        &self,
        kind: KeyKind,
        now: u64,
    ) -> Result<Option<Vec<(String, KeyState)>>, KeysUnusable> {
        if self.kept(kind).is_none() {
            return Ok(None);
        }
        let (found, _) = self.read(kind, now).await?;
        let keys = found.iter().flat_map(|found| found.record.states(now));
        Ok(Some(keys.map(|(key, state)| (key.id.clone(), state)).collect()))
    }

    fn kept(&self, kind: KeyKind) -> Option<StoredKeySettings> {
        match kind {
            KeyKind::Signing => self.settings.keys.stored_signing,
            KeyKind::TokenTags => self.settings.keys.stored_token_tags,
        }
    }

    fn rotated(&self, kind: KeyKind) {
        tracing::info!(kind = kind.name(), "a new key is published");
        self.records.metrics().key_rotation(kind);
    }

    /// Writes the record with what `change` makes of it, if it says that it has changed it, and goes on
    /// with what is written then.
    async fn change<E: From<KeysUnusable>>(
        &self,
        kind: KeyKind,
        now: u64,
        mut change: impl FnMut(&mut StoredKeys) -> Result<bool, E>,
    ) -> Result<StoredKeys, E> {
        let token_seconds = self.settings.tokens.access_token_seconds;
        for _ in 0..MOST_TRIES {
            let (before, is_sealed_well) = self.read(kind, now).await?;
            let mut keys = match &before {
                Some(before) => before.record.clone(),
                None => {
                    let (id, secret) = made(kind)?;
                    StoredKeys::begin(id, secret, token_seconds, now)
                }
            };
            let tidied = keys.tidy(token_seconds, now);
            let changed = change(&mut keys)? || tidied || !is_sealed_well;
            let applied = match before {
                Some(_) if !changed => Applied::Yes,
                Some(before) => {
                    let changes = self.records.changes();
                    let changes = changes.replace(kind.name(), before.version, &keys, FOR_GOOD);
                    changes.apply(now).await.map_err(KeysUnusable::from)?
                }
                None => {
                    let changes = self.records.changes().insert(kind.name(), &keys, FOR_GOOD);
                    changes.apply(now).await.map_err(KeysUnusable::from)?
                }
            };
            if applied == Applied::Yes {
                self.take_over(kind, &keys.accepted(now))?;
                return Ok(keys);
            }
        }
        Err(KeysUnusable::Contended.into())
    }

    /// The record, and whether it is sealed under the first sealing key.
    async fn read(
        &self,
        kind: KeyKind,
        now: u64,
    ) -> Result<(Option<Versioned<StoredKeys>>, bool), KeysUnusable> {
        let key = Key::new(StoredKeys::TABLE, kind.name());
        let stored = self.records.store().get(&key, now).await.map_err(Error::from)?;
        let Some(stored) = stored else { return Ok((None, true)) };
        let is_sealed_well = self.records.is_under_first(&stored);
        // To take it for absent, as other records are, would be to make new keys in its place.
        let keys = self.records.open(&key, Some(stored))?.ok_or(KeysUnusable::Sealed)?;
        Ok((Some(keys), is_sealed_well))
    }

    /// Hands the keys to those who use them, the one that issues first.
    fn take_over(&self, kind: KeyKind, keys: &[&StoredKey]) -> Result<(), KeysUnusable> {
        match kind {
            KeyKind::Signing => {
                let read: Option<Vec<_>> = keys.iter().map(|key| signing_key(key)).collect();
                let read = SigningKeys(read.ok_or(KeysUnusable::Form)?);
                self.settings.signing.set(Arc::new(read));
            }
            KeyKind::TokenTags => {
                let mut tags = TagKeys::default();
                for key in keys {
                    let bytes = plain(key).ok_or(KeysUnusable::Form)?;
                    let bytes = <[u8; TAG_KEY_BYTES]>::try_from(bytes.as_slice())
                        .map(Zeroizing::new)
                        .map_err(|_| KeysUnusable::Form)?;
                    tags.accept(&key.id, &bytes).map_err(|_| KeysUnusable::Form)?;
                }
                self.settings.token_tags.set(Arc::new(tags));
            }
        }
        Ok(())
    }
}

fn signing_key(key: &StoredKey) -> Option<SigningKey> {
    SigningKey::from_pkcs8(&key.id, &plain(key)?).ok()
}

fn plain(key: &StoredKey) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD.decode(key.secret.expose()).ok().map(Zeroizing::new)
}

fn made(kind: KeyKind) -> Result<(String, Secret), KeysUnusable> {
    Ok((new_id()?, new_secret(kind)?))
}

/// 64 random bits in hexadecimal: a tag key's id has 16 letters and digits at most.
fn new_id() -> Result<String, NoRandomness> {
    Ok(random_bytes::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn new_secret(kind: KeyKind) -> Result<Secret, NoRandomness> {
    Ok(Secret::new(match kind {
        KeyKind::Signing => STANDARD.encode(&*SigningKey::generate()?),
        KeyKind::TokenTags => STANDARD.encode(*Zeroizing::new(random_bytes::<TAG_KEY_BYTES>()?)),
    }))
}
