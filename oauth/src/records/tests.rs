use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeysError, Record, Records};
use crate::{
    error::Error,
    metrics::Metrics,
    sealing::{Sealer, SealingError, SealingKey},
    store::{Applied, Table, redb::RedbStore},
};

const NOW: u64 = 1_000;

#[derive(Debug, Serialize, Deserialize)]
struct Sample(u8);

impl Record for Sample {
    const TABLE: Table = Table::Session;
}

/// The records in the file at `path`, under keys of these ids and bytes.
fn records(path: &Path, keys: &[(&str, u8)]) -> Records {
    let store = RedbStore::open(path, 4 * 1024 * 1024).unwrap();
    let mut keys = keys.iter().map(|(id, byte)| SealingKey::new(id, &Zeroizing::new([*byte; 32])));
    let sealer = Sealer::new(keys.next().unwrap(), keys.collect());
    Records::new(Arc::new(store), Arc::new(sealer), Arc::new(Metrics::new()))
}

#[tokio::test]
async fn a_wrong_or_removed_sealing_key_is_noticed_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let proven = async |keys: &[(&str, u8)]| records(&path, keys).prove_keys(NOW).await;
    assert_eq!(proven(&[("old", 1)]).await, Ok(()));
    assert_eq!(proven(&[("old", 1)]).await, Ok(()));
    let forged = Err(KeysError::Sealing(SealingError::Forged));
    let unknown = Err(KeysError::Sealing(SealingError::UnknownKey));
    assert_eq!(proven(&[("old", 9)]).await, forged);
    assert_eq!(proven(&[("new", 2)]).await, unknown);
    // A rotation: from here on the old key alone does not do.
    assert_eq!(proven(&[("new", 2), ("old", 1)]).await, Ok(()));
    assert_eq!(proven(&[("new", 2)]).await, Ok(()));
    assert_eq!(proven(&[("old", 1)]).await, unknown);
}

#[tokio::test]
async fn a_record_of_a_removed_key_is_absent_and_counted_and_a_forged_one_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let old = records(&path, &[("old", 1)]);
    let applied = old.changes().insert("a", &Sample(7), NOW + 9).apply(NOW).await;
    assert_eq!(applied, Ok(Applied::Yes));
    drop(old);
    let removed = records(&path, &[("new", 2)]);
    assert!(removed.get::<Sample>("a", NOW).await.unwrap().is_none());
    let scraped = removed.metrics().render();
    assert!(scraped.contains("oauth_records_of_unknown_keys_total 1"), "{scraped}");
    drop(removed);
    let other = records(&path, &[("old", 9)]);
    assert_eq!(other.get::<Sample>("a", NOW).await.unwrap_err(), Error::Internal);
}
