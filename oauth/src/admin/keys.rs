//! Keys: made for files, and listed and rotated in a store.

use std::{fmt, io, path::Path, sync::Arc};

use crate::{
    clock::{Clock as _, SystemClock},
    keys::{self, KeyKeeper, KeyKind, KeyState},
    metrics::Metrics,
    records::{KeysError, Records},
    settings::Settings,
    store::{self, StoreError},
};

/// Keys that the service may keep in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredKind {
    /// They sign JWT access tokens.
    Signing,
    /// They tag opaque access tokens.
    TokenTags,
}

impl From<StoredKind> for KeyKind {
    fn from(kind: StoredKind) -> Self {
        match kind {
            StoredKind::Signing => Self::Signing,
            StoredKind::TokenTags => Self::TokenTags,
        }
    }
}

/// Why a command about keys failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyCommandError {
    /// The file cannot be written, or there was no randomness.
    #[error("{0}")]
    File(String),
    /// The runtime could not be made.
    #[error("the runtime failed: {0}")]
    Runtime(#[from] io::Error),
    /// The store cannot be used.
    #[error("the store failed: {0}")]
    Store(String),
    /// The keys cannot be listed or rotated.
    #[error("{0}")]
    Keys(String),
}

impl From<StoreError> for KeyCommandError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause.to_string())
    }
}

impl From<KeysError> for KeyCommandError {
    fn from(cause: KeysError) -> Self {
        Self::Store(cause.to_string())
    }
}

/// A key of the store, without the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    id: String,
    state: KeyState,
}

impl fmt::Display for ListedKey {
    /// Times are in Unix seconds.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = &self.id;
        match self.state {
            KeyState::Waits { until } => write!(formatter, "{id}  published, issues from {until}"),
            KeyState::Issues { until: None } => write!(formatter, "{id}  issues"),
            KeyState::Issues { until: Some(until) } => {
                write!(formatter, "{id}  issues until {until}")
            }
            KeyState::Accepted { until } => write!(formatter, "{id}  accepted until {until}"),
            KeyState::Gone => write!(formatter, "{id}  gone"),
        }
    }
}

/// Writes a new key into a new file for its owner alone: one that signs or tags, or (`None`) one that
/// seals.
///
/// # Errors
///
/// [`KeyCommandError::File`], also where the file is there already.
pub fn generate_key(kind: Option<StoredKind>, output: &Path) -> Result<(), KeyCommandError> {
    let made = keys::generate(kind.map(Into::into), output);
    made.map_err(|cause| KeyCommandError::File(cause.to_string()))
}

/// The keys in the store, oldest first. Nothing is changed.
///
/// # Errors
///
/// [`KeyCommandError`] when the store cannot be used, such as while a service has it open alone, or
/// these keys are not in it.
pub fn list_keys(settings: Settings, kind: StoredKind) -> Result<Vec<ListedKey>, KeyCommandError> {
    on_store(settings, false, kind)
}

/// Adds a key to the store, and gives the list. Instances that run notice it by themselves.
///
/// # Errors
///
/// As [`list_keys`], and where a rotation is under way.
pub fn rotate_keys(
    settings: Settings,
    kind: StoredKind,
) -> Result<Vec<ListedKey>, KeyCommandError> {
    on_store(settings, true, kind)
}

fn on_store(
    settings: Settings,
    rotate: bool,
    kind: StoredKind,
) -> Result<Vec<ListedKey>, KeyCommandError> {
    let failed = |cause: &dyn fmt::Display| KeyCommandError::Keys(cause.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = store::open_existing(&settings.store).await?;
        let (sealer, metrics) = (Arc::clone(&settings.sealer), Arc::new(Metrics::new()));
        let records = Arc::new(Records::new(store, sealer, metrics));
        let now = SystemClock::new().unix_seconds();
        if rotate {
            records.prove_keys(now).await?;
        } else {
            // Who only asks writes nothing.
            records.prove(&settings.sealer, now).await?;
        }
        let keeper = KeyKeeper::new(records, Arc::new(settings));
        if rotate {
            keeper.rotate(kind.into(), now).await.map_err(|cause| failed(&cause))?;
        }
        let keys = keeper.list(kind.into(), now).await.map_err(|cause| failed(&cause))?;
        let keys = keys.ok_or_else(|| failed(&"these keys come from files, or there are none"))?;
        if keys.is_empty() {
            return Err(failed(&"there are none yet: the service makes them at its first start"));
        }
        Ok(keys.into_iter().map(|(id, state)| ListedKey { id, state }).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::{KeyCommandError, StoredKind, list_keys, rotate_keys};
    use crate::{
        settings::Settings,
        store::{Store as _, redb::RedbStore},
        tests::settings_text,
    };

    #[tokio::test]
    async fn who_lists_the_keys_of_a_new_or_mistyped_store_makes_none() {
        let folder = tempfile::tempdir().unwrap();
        let text = settings_text(&folder, "");
        let (before, behind) = text.split_once("token_tags: {").unwrap();
        let behind = behind.split_once('\n').unwrap().1;
        let text = format!("{before}token_tags: {{ source: store }}\n{behind}");
        let settings = || Settings::parse(&text, &[]).unwrap();
        let path = settings().store.redb().path.clone();
        let outside = |command: fn(Settings, StoredKind) -> Result<_, KeyCommandError>| {
            let settings = settings();
            std::thread::scope(|scope| {
                scope.spawn(|| command(settings, StoredKind::TokenTags)).join().unwrap()
            })
        };
        assert!(matches!(outside(list_keys), Err(KeyCommandError::Store(_))));
        assert!(matches!(outside(rotate_keys), Err(KeyCommandError::Store(_))));
        assert!(!path.exists());
        drop(RedbStore::open(&path, 4 * 1024 * 1024).unwrap());
        assert!(matches!(outside(list_keys), Err(KeyCommandError::Keys(_))));
        let store = RedbStore::open(&path, 4 * 1024 * 1024).unwrap();
        assert!(store.export(None, 10).await.unwrap().records.is_empty());
        drop(store);
        let rotated = outside(rotate_keys).unwrap();
        assert_eq!(outside(list_keys).unwrap(), rotated);
    }
}
