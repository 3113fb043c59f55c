use std::{sync::mpsc, time::Duration};

use super::{ServeError, Signals, run_on, wait_for_end};
use crate::store::redb::RedbStore;

#[tokio::test]
async fn a_store_that_ends_ends_the_service_with_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("store.redb"), 4 * 1024 * 1024).unwrap();
    store.kill_writer().await;
    let mut signals = Signals::new().unwrap();
    let end = wait_for_end(&store, &mut signals);
    let outcome = tokio::time::timeout(Duration::from_secs(30), end).await.unwrap();
    assert!(matches!(outcome, Err(ServeError::StoreEnded)));
}

#[test]
fn a_look_up_that_hangs_does_not_keep_the_service_from_ending() {
    let (ended, hears) = mpsc::channel();
    let (_never, waits) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        run_on(runtime, Duration::from_millis(50), async move {
            let (begun, begins) = tokio::sync::oneshot::channel();
            tokio::task::spawn_blocking(move || {
                begun.send(()).unwrap();
                waits.recv().ok();
            });
            begins.await.unwrap();
        });
        ended.send(()).unwrap();
    });
    assert_eq!(hears.recv_timeout(Duration::from_secs(30)), Ok(()));
}
