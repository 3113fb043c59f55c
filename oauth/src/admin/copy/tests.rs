use tempfile::TempDir;

use super::{backup, compact, migrate, restore, verify_backup};
use crate::{
    admin::AdminError,
    settings::Settings,
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
    assert_eq!(outside(|| verify_backup(&there, &file, |_| {}).unwrap()), written);
    assert_eq!(outside(|| restore(&there, &file, |_| {}).unwrap()), written);
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
