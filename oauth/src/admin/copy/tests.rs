use std::path::Path;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{Copied, backup, compact, compare, migrate, restore, verify_backup};
use crate::{
    admin::AdminError,
    clock::ManualClock,
    keys::KeyKind,
    records::canary_key,
    sealing::{Sealer, SealingKey},
    settings::Settings,
    store::{Import, Key, Named, Store as _, Stored, Table, redb::RedbStore},
    tests::{Kit, settings_text, text},
};

/// A store with one grant in it, and the tokens of the grant.
async fn filled() -> (Kit, serde_json::Value) {
    let kit = Kit::new();
    kit.app.records.prove_keys(0).await.unwrap();
    let tokens = kit.tokens().await;
    (kit, tokens)
}

/// Settings like those of `kit` with another, empty store.
fn elsewhere(kit: &Kit, folder: &TempDir) -> (String, Settings) {
    let path = folder.path().join("elsewhere.redb").display().to_string();
    let own = kit.folder.path().join("store.redb").display().to_string();
    let text = kit.settings.replace(&own, &path);
    let settings = Settings::parse(&text, &[]).unwrap();
    (text, settings)
}

/// Runs a command as the command line does: outside of a runtime, and with no service on the store.
fn outside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

#[tokio::test]
async fn what_was_backed_up_and_restored_elsewhere_serves_the_same_clients() {
    let (kit, tokens) = filled().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let (moved, there) = elsewhere(&kit, &folder);
    let here = Settings::parse(&kit.settings, &[]).unwrap();
    let kit = kit.stopped();
    let written = outside(|| backup(&here, &file, |_| {}).unwrap());
    assert!(written >= 6, "{written} records");
    let copied = Copied { records: written, of_unknown_keys: 0 };
    assert_eq!(outside(|| verify_backup(&there, &file, |_| {}).unwrap()), copied);
    assert_eq!(outside(|| restore(&there, &file, |_| {}).unwrap()), copied);
    let kit = kit.opened_with(moved);
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], true);
    let refreshed = kit.refresh(&text(&tokens, "refresh_token")).await;
    assert_eq!(refreshed.status.as_u16(), 200, "{}", refreshed.text);
}

#[tokio::test]
async fn a_store_that_moved_to_another_serves_the_same_clients_and_the_old_one_is_left_as_it_was() {
    let (kit, tokens) = filled().await;
    let folder = tempfile::tempdir().unwrap();
    let (moved, there) = elsewhere(&kit, &folder);
    let here = Settings::parse(&kit.settings, &[]).unwrap();
    let old = kit.settings.clone();
    let kit = kit.stopped();
    outside(|| migrate(&here, &there, |_| {}).unwrap());
    for settings in [moved, old] {
        let kit = kit.opened_with(settings);
        assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], true);
    }
}

#[tokio::test]
async fn a_store_that_holds_something_is_never_written_over() {
    let (kit, _) = filled().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let here = Settings::parse(&kit.settings, &[]).unwrap();
    let _kit = kit.stopped();
    outside(|| {
        backup(&here, &file, |_| {}).unwrap();
        assert!(matches!(restore(&here, &file, |_| {}), Err(AdminError::Store(_))));
        assert!(migrate(&here, &here, |_| {}).is_err(), "onto itself");
    });
}

#[tokio::test]
async fn a_backup_of_other_sealing_keys_is_refused_before_anything_is_written() {
    let (kit, _) = filled().await;
    let (folder, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = folder.path().join("backup");
    let here = Settings::parse(&kit.settings, &[]).unwrap();
    let key = others.path().join("sealing-key");
    let there_text = settings_text(&others, "");
    std::fs::write(&key, "CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws=").unwrap();
    let there = Settings::parse(&there_text, &[]).unwrap();
    let _kit = kit.stopped();
    outside(|| {
        backup(&here, &file, |_| {}).unwrap();
        assert!(matches!(restore(&there, &file, |_| {}), Err(AdminError::Keys(_))));
        assert!(matches!(migrate(&here, &there, |_| {}), Err(AdminError::Keys(_))));
    });
    assert!(!others.path().join("store.redb").exists());
}

#[tokio::test]
async fn a_store_is_compacted_without_losing_anything() {
    let (kit, tokens) = filled().await;
    let here = Settings::parse(&kit.settings, &[]).unwrap();
    let settings = kit.settings.clone();
    let kit = kit.stopped();
    let (before, after) = outside(|| compact(&here).unwrap());
    assert!(after <= before, "{before} became {after}");
    let kit = kit.opened_with(settings);
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], true);
}

#[tokio::test]
async fn a_backup_of_a_mistyped_store_leaves_the_last_good_one_and_makes_no_file() {
    let (kit, _) = filled().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let (_, there) = elsewhere(&kit, &folder);
    let here = Settings::parse(&kit.settings, &[]).unwrap();
    let _kit = kit.stopped();
    let mistyped = there.store.redb().path.clone();
    outside(|| {
        let written = backup(&here, &file, |_| {}).unwrap();
        assert!(backup(&there, &file, |_| {}).is_err());
        assert!(migrate(&there, &here, |_| {}).is_err());
        assert!(compact(&there).is_err());
        assert!(!mistyped.exists());
        // One that is there, and empty.
        drop(RedbStore::open(&mistyped, 4 * 1024 * 1024).unwrap());
        assert!(matches!(backup(&there, &file, |_| {}), Err(AdminError::NoStore)));
        assert_eq!(verify_backup(&here, &file, |_| {}).unwrap().records, written);
    });
}

/// A record for good, sealed by this sealer.
fn sealed(key: Key, sealer: &Sealer) -> Named {
    let value = sealer.seal(key.to_string().as_bytes(), b"{}").unwrap();
    Named { key, stored: Stored { value, version: 1, expires_at: u64::MAX } }
}

/// Fills the store at `path`.
async fn fill(path: &Path, records: Vec<Named>) {
    let store = RedbStore::open(path, 4 * 1024 * 1024).unwrap();
    store.import(records, Import::Begin, 0).await.unwrap();
}

#[tokio::test]
async fn records_of_a_sealing_key_that_is_missing_are_told_and_keys_of_one_are_refused() {
    let removed = Sealer::new(SealingKey::new("removed", &Zeroizing::new([1; 32])), Vec::new());
    for with_key in [false, true] {
        let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = folder.path().join("backup");
        let here = Settings::parse(&settings_text(&folder, ""), &[]).unwrap();
        let there = Settings::parse(&settings_text(&target, ""), &[]).unwrap();
        let mut ended = sealed(Key::new(Table::Grant, "ended"), &removed);
        ended.stored.expires_at = 9;
        let mut head = sealed(Key::new(Table::RevocationHead, "head"), &removed);
        head.stored.value = 7_u64.to_be_bytes().to_vec();
        let mut records = vec![
            sealed(canary_key(), &here.sealer),
            sealed(Key::new(Table::Grant, "a"), &removed),
            sealed(Key::new(Table::Grant, "b"), &here.sealer),
            ended,
            head,
        ];
        if with_key {
            records.push(sealed(Key::new(Table::Key, KeyKind::Signing.name()), &removed));
        }
        fill(&here.store.redb().path, records).await;
        outside(|| {
            assert!(backup(&here, &file, |_| {}).is_ok());
            let verified = verify_backup(&there, &file, |_| {});
            let restored = restore(&there, &file, |_| {});
            if with_key {
                assert!(matches!(verified, Err(AdminError::Keys(_))), "{verified:?}");
                assert!(matches!(restored, Err(AdminError::Keys(_))), "{restored:?}");
                let moved = migrate(&here, &there, |_| {});
                assert!(matches!(moved, Err(AdminError::Keys(_))), "{moved:?}");
                assert!(!there.store.redb().path.exists(), "before anything is written");
            } else {
                let copied = Copied { records: 5, of_unknown_keys: 1 };
                assert_eq!(verified.unwrap(), copied);
                assert_eq!(restored.unwrap(), copied);
                std::fs::remove_file(&there.store.redb().path).unwrap();
                assert_eq!(migrate(&here, &there, |_| {}).unwrap(), copied);
            }
        });
    }
}

#[tokio::test]
async fn a_copy_that_takes_long_is_not_taken_for_another_one_because_records_expire_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("store"), 4 * 1024 * 1024).unwrap();
    let record = |id: &str, expires_at| Named {
        key: Key::new(Table::Grant, id),
        stored: Stored { value: b"a".to_vec(), version: 1, expires_at },
    };
    let records = [record("gone", 100), record("stays", 2_000)];
    store.import(vec![records[1].clone()], Import::Begin, 0).await.unwrap();
    let with = async |clock: ManualClock| compare(&store, &records, &clock).await;
    assert!(matches!(with(ManualClock::at(50)).await, Err(AdminError::Differs("grant"))));
    assert!(with(ManualClock::at(1_000)).await.is_ok());
    assert!(with(ManualClock::at(3_000)).await.is_ok());
    let mut other = record("stays", 2_000);
    other.stored.value = b"b".to_vec();
    let differs = compare(&store, &[other], &ManualClock::at(1_000)).await;
    assert!(matches!(differs, Err(AdminError::Differs("grant"))));
}

#[tokio::test]
async fn a_page_that_is_longer_than_asked_for_and_names_a_record_twice_is_compared_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("store"), 4 * 1024 * 1024).unwrap();
    let record = |number: u64| Named {
        key: Key::new(Table::Grant, number.to_string()),
        stored: Stored { value: b"a".to_vec(), version: 1, expires_at: 2_000 },
    };
    let mut records: Vec<_> = (0..250).map(record).collect();
    records.push(record(7));
    store.import(records.clone(), Import::Begin, 0).await.unwrap();
    assert!(compare(&store, &records, &ManualClock::at(50)).await.is_ok());
    records.push(record(250));
    assert!(compare(&store, &records, &ManualClock::at(50)).await.is_err(), "the last is missing");
}

#[tokio::test]
async fn more_records_than_are_written_at_once_are_all_restored() {
    let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = folder.path().join("backup");
    let here = Settings::parse(&settings_text(&folder, ""), &[]).unwrap();
    let there = Settings::parse(&settings_text(&target, ""), &[]).unwrap();
    let grants = (0..10_001).map(|number| {
        let key = Key::new(Table::Grant, number.to_string());
        // In the form of a sealed value of the key `k1`.
        let value = b"\x02k1".to_vec();
        Named { key, stored: Stored { value, version: 1, expires_at: u64::MAX } }
    });
    let records = std::iter::once(sealed(canary_key(), &here.sealer)).chain(grants).collect();
    fill(&here.store.redb().path, records).await;
    outside(|| {
        backup(&here, &file, |_| {}).unwrap();
        let copied = Copied { records: 10_002, of_unknown_keys: 0 };
        assert_eq!(restore(&there, &file, |_| {}).unwrap(), copied);
        std::fs::remove_file(&there.store.redb().path).unwrap();
        assert_eq!(migrate(&here, &there, |_| {}).unwrap(), copied);
    });
}
