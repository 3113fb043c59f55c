//! One sealed record with known contents, which proves at start that the sealing keys are those of
//! the store. Without it a wrong key would be noticed by clients first.

use super::Records;
use crate::{
    keys::KeyKind,
    sealing::{Sealer, SealingError},
    store::{Applied, Change, Condition, Key, Operation, StoreError, Table},
};

const ID: &str = "canary";
/// How often it is tried while other instances write it.
const MOST_TRIES: usize = 5;
const CONTENTS: &[u8] = b"ib-gateway";

/// Why the sealing keys are not those of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("sealing.keys: the store cannot be used with these keys: {0}")]
    Sealing(#[from] SealingError),
    #[error("another process writes to the store")]
    Conflict,
}

/// The name of the record.
pub(crate) fn canary_key() -> Key {
    Key::new(Table::Canary, ID)
}

/// Names of the records that must open at any time: the canary, and the keys in the store.
pub(crate) fn must_open() -> Vec<Key> {
    let keys = KeyKind::ALL.map(|kind| Key::new(Table::Key, kind.name()));
    std::iter::once(canary_key()).chain(keys).collect()
}

impl Records {
    /// Whether the service could go on with the keys of `sealer`.
    ///
    /// # Errors
    ///
    /// [`KeysError`] when they do not open what must open, or the store fails.
    pub(crate) async fn prove(&self, sealer: &Sealer, now: u64) -> Result<(), KeysError> {
        let keys = must_open();
        let found = self.store.get_many(&keys, now).await?;
        for (key, stored) in keys.iter().zip(found) {
            if let Some(stored) = stored {
                sealer.open(key.to_string().as_bytes(), &stored.value)?;
            }
        }
        Ok(())
    }

    /// Opens the canary, or writes it into a new store. Afterwards it is sealed under the first key,
    /// so that the keys behind it may be removed one day.
    ///
    /// # Errors
    ///
    /// [`KeysError`] when no key opens it, or the store fails.
    pub(crate) async fn prove_keys(&self, now: u64) -> Result<(), KeysError> {
        // Several instances may start at the same time: who comes second finds what the first wrote.
        for _ in 0..MOST_TRIES {
            if self.prove_keys_once(now).await? == Applied::Yes {
                return Ok(());
            }
        }
        Err(KeysError::Conflict)
    }

    async fn prove_keys_once(&self, now: u64) -> Result<Applied, KeysError> {
        let key = canary_key();
        let name = key.to_string();
        let found = self.store.get(&key, now).await?;
        let condition = match &found {
            None => Condition::Absent,
            Some(stored) => {
                self.sealer.open(name.as_bytes(), &stored.value)?;
                if self.sealer.is_under_first(&stored.value) {
                    return Ok(Applied::Yes);
                }
                Condition::Version(stored.version)
            }
        };
        let value = self.sealer.seal(name.as_bytes(), CONTENTS)?;
        let change = Change::Put { value, expires_at: u64::MAX };
        Ok(self.store.apply(vec![Operation { key, condition, change }], now).await?)
    }
}
