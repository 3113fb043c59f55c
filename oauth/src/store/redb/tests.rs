use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{RedbStore, SERVING};
use crate::store::{
    Applied, Change, Condition, Key, Operation, Store as _, StoreError, Table, contract,
};

mod backend;

use backend::Backend;

const CACHE: usize = 8 * 1024 * 1024;

fn open(path: &Path) -> RedbStore {
    RedbStore::open(path, CACHE).unwrap()
}

fn put(id: &str) -> Operation {
    Operation {
        key: Key::new(Table::Code, id),
        condition: Condition::Absent,
        change: Change::Put { value: id.as_bytes().to_vec(), expires_at: 100 },
    }
}

#[tokio::test]
async fn redb_keeps_the_contract_of_every_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("store.redb")));
    contract::holds(store, contract::Sweeps::WhenAsked).await;
}

#[tokio::test]
async fn all_that_redb_holds_can_be_moved_into_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (open(&folder.path().join("from")), open(&folder.path().join("to")));
    contract::moves(&from, &to).await;
}

#[tokio::test]
async fn a_file_whose_records_have_gone_is_made_shorter_and_keeps_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open(&path);
    for number in 0..200 {
        let change = Change::Put { value: vec![7; 32 * 1024], expires_at: 100 };
        let key = Key::new(Table::Session, number.to_string());
        let operation = Operation { key, condition: Condition::Absent, change };
        assert_eq!(store.apply(vec![operation], 1).await.unwrap(), Applied::Yes);
    }
    let mut kept = put("kept");
    kept.change = Change::Put { value: b"kept".to_vec(), expires_at: 1_000 };
    assert_eq!(store.apply(vec![kept], 1).await.unwrap(), Applied::Yes);
    assert!(RedbStore::compact(&path, CACHE).is_err(), "it is in use");
    while store.purge(500, 100).await.unwrap() > 0 {}
    drop(store);
    let (before, after) = RedbStore::compact(&path, CACHE).unwrap();
    assert!(after < before / 4, "{after} of {before} bytes");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), after);
    let found = open(&path).get(&Key::new(Table::Code, "kept"), 500).await.unwrap().unwrap();
    assert_eq!(found.value, b"kept");
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_store_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open(&path);
    assert_eq!(store.apply(vec![put("a")], 1).await.unwrap(), Applied::Yes);
    drop(store);
    let found = open(&path).get(&Key::new(Table::Code, "a"), 1).await.unwrap().unwrap();
    assert_eq!(found.value, b"a");
}

#[tokio::test]
async fn what_was_answered_is_in_the_file_when_the_process_is_killed_right_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open(&path);
    assert_eq!(store.apply(vec![put("a")], 1).await.unwrap(), Applied::Yes);
    // The file as a killed process would leave it: copied while the store is open.
    let copy = folder.path().join("killed.redb");
    std::fs::copy(&path, &copy).unwrap();
    let found = open(&copy).get(&Key::new(Table::Code, "a"), 1).await.unwrap().unwrap();
    assert_eq!(found.value, b"a");
}

#[tokio::test]
async fn a_start_after_a_kill_does_not_wait_for_the_whole_file_to_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open(&path);
    store.apply(vec![put("a")], 1).await.unwrap();
    let copy = folder.path().join("killed.redb");
    std::fs::copy(&path, &copy).unwrap();
    let walked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&walked);
    let opened = RedbStore::over(SERVING, |builder| {
        builder.set_repair_callback(move |_| seen.store(true, Ordering::SeqCst)).create(&copy)
    });
    assert_eq!(opened.unwrap().apply(vec![put("b")], 1).await.unwrap(), Applied::Yes);
    assert!(!walked.load(Ordering::SeqCst), "the engine walked through the file");
}

#[tokio::test]
async fn who_only_reads_and_is_killed_leaves_no_slow_start_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open(&path);
    store.apply(vec![put("a")], 1).await.unwrap();
    drop(store);
    let _reading = open(&path);
    let copy = folder.path().join("killed.redb");
    std::fs::copy(&path, &copy).unwrap();
    let walked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&walked);
    let opened = RedbStore::over(SERVING, |builder| {
        builder.set_repair_callback(move |_| seen.store(true, Ordering::SeqCst)).create(&copy)
    });
    assert!(opened.unwrap().get(&Key::new(Table::Code, "a"), 1).await.unwrap().is_some());
    assert!(!walked.load(Ordering::SeqCst), "the engine walked through the file");
}

#[tokio::test]
async fn a_second_process_on_the_same_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let _first = open(&path);
    assert!(matches!(RedbStore::open(&path, CACHE), Err(StoreError::Engine { .. })));
}

#[tokio::test]
async fn the_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let _store = open(&path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_no_database_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    std::fs::write(&path, b"not a database, but long enough to be looked at").unwrap();
    assert!(matches!(RedbStore::open(&path, CACHE), Err(StoreError::Engine { .. })));
}

#[tokio::test]
async fn a_file_that_others_could_read_is_closed_to_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    drop(open(&path));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
    let _store = open(&path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_ends_no_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open(&path);
    for number in 0..50 {
        store.apply(vec![put(&number.to_string())], 1).await.unwrap();
    }
    drop(store);
    let good = std::fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged.redb");
    let mut panics = 0;
    let mut use_file = async |bytes: &[u8]| {
        std::fs::write(&damaged, bytes).unwrap();
        let outcomes = match RedbStore::open(&damaged, CACHE) {
            Err(cause) => vec![Err(cause)],
            Ok(store) => vec![
                store.get(&Key::new(Table::Code, "7"), 1).await.map(|_| ()),
                store.apply(vec![put("new")], 1).await.map(|_| ()),
                store.purge(1_000, 100).await.map(|_| ()),
            ],
        };
        panics += u32::from(outcomes.contains(&Err(StoreError::Damaged { engine: "redb" })));
    };
    for start in (0..good.len()).step_by(good.len() / 64).chain((0..512).step_by(8)) {
        let mut bytes = good.clone();
        let end = (start + 64).min(bytes.len());
        bytes[start..end].fill(0xff);
        use_file(&bytes).await;
        use_file(&good[..start]).await;
    }
    assert!(panics > 0, "the engine no longer panics: is the precaution still needed?");
}

#[tokio::test]
async fn a_store_whose_writer_has_died_is_not_ready_and_says_that_it_has_ended() {
    use std::task::{Context, Waker};
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store.redb"));
    let mut ended = store.ended();
    let mut context = Context::from_waker(Waker::noop());
    assert!(ended.as_mut().poll(&mut context).is_pending());
    store.kill_writer().await;
    tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap();
    assert_eq!(store.ready().await.unwrap_err(), StoreError::Closed);
}

#[tokio::test]
async fn one_failed_write_ends_the_store_so_that_no_service_lives_on_that_can_revoke_nothing() {
    let backend = Backend::default();
    let store = RedbStore::over(SERVING, |builder| builder.create_with_backend(backend.clone()));
    let store = store.unwrap();
    assert_eq!(store.apply(vec![put("before")], 1).await.unwrap(), Applied::Yes);
    backend.fail_writes(true);
    let failed = store.apply(vec![put("lost")], 1).await.unwrap_err();
    assert!(matches!(failed, StoreError::Engine { .. }), "{failed}");
    // The disk has room again, and the engine stays as it is.
    backend.fail_writes(false);
    tokio::time::timeout(Duration::from_secs(30), store.ended()).await.unwrap();
    assert_eq!(store.ready().await.unwrap_err(), StoreError::Closed);
    drop(store);
    // Whoever starts the process again finds a store that works, with all that was answered.
    let store = RedbStore::over(SERVING, |builder| builder.create_with_backend(backend)).unwrap();
    let found = async |id: &str| store.get(&Key::new(Table::Code, id), 1).await.unwrap();
    assert!(found("before").await.is_some());
    assert!(found("lost").await.is_none());
    assert_eq!(store.apply(vec![put("after")], 1).await.unwrap(), Applied::Yes);
}

#[tokio::test]
async fn a_failed_read_ends_the_store_at_the_next_write() {
    let backend = Backend::default();
    // Without a cache every page is read from the file.
    let store = RedbStore::over(SERVING, |builder| {
        builder.set_cache_size(0).create_with_backend(backend.clone())
    });
    let store = store.unwrap();
    assert_eq!(store.apply(vec![put("a")], 1).await.unwrap(), Applied::Yes);
    backend.fail_reads(true);
    assert!(store.get(&Key::new(Table::Code, "a"), 1).await.is_err());
    backend.fail_reads(false);
    assert!(store.apply(vec![put("b")], 1).await.is_err());
    tokio::time::timeout(Duration::from_secs(30), store.ended()).await.unwrap();
}
