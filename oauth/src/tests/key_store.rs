//! Keys that the service makes and keeps in its store.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Kit, NOW, text};
use crate::{
    keys::{KeyKeeper, KeyKind, KeyState, RotateError},
    metrics::Metrics,
    records::Records,
    settings::Settings,
    store::redb::RedbStore,
};

/// A kit whose keys are all in the store, with `tokens` of this format.
async fn kit(format: &str) -> Kit {
    let kit = Kit::new();
    let settings = stored(&kit.settings, format);
    let kit = kit.restarted_with(settings);
    kit.app.keys.refresh(NOW).await.unwrap();
    kit
}

fn stored(settings: &str, format: &str) -> String {
    let tags = settings.lines().find(|line| line.starts_with("token_tags:")).unwrap();
    let settings = settings.replace(tags, "token_tags: { source: store, rotate_days: 0 }");
    format!(
        "{settings}\nsigning: {{ source: store, publish_seconds: 600, rotate_days: 30 }}\n\
         tokens: {{ access_token_format: {format} }}\n"
    )
}

impl Kit {
    fn now(&self) -> u64 {
        use crate::clock::Clock as _;
        self.clock.unix_seconds()
    }

    /// Lets time pass, and the poll come by.
    async fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.app.keys.refresh(self.now()).await.unwrap();
    }

    async fn key_ids(&self) -> Vec<String> {
        let keys = self.get("/jwks.json").await.json();
        keys["keys"].as_array().unwrap().iter().map(|key| text(key, "kid")).collect()
    }

    async fn next(&self, tokens: &mut serde_json::Value) -> String {
        *tokens = self.refresh(&text(tokens, "refresh_token")).await.json();
        text(tokens, "access_token")
    }
}

#[tokio::test]
async fn keys_are_made_at_the_first_start_and_are_the_same_after_the_next() {
    let kit = kit("jwt").await;
    let (ids, token) = (kit.key_ids().await, text(&kit.tokens().await, "access_token"));
    assert_eq!(ids.len(), 1);
    let handed = kit.feed("").await.tag_keys;
    assert_eq!(handed.len(), 1);
    let kit = kit.restarted();
    kit.app.keys.refresh(kit.now()).await.unwrap();
    assert_eq!(kit.key_ids().await, ids);
    assert_eq!(kit.feed("").await.tag_keys, handed);
    assert_eq!(kit.introspect(&token).await["active"], true);
}

#[tokio::test]
async fn instances_that_start_at_the_same_time_have_the_same_keys() {
    let kit = Kit::new();
    let text = stored(&kit.settings, "jwt");
    drop(kit.app);
    drop((kit.public, kit.internal));
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(RedbStore::open(&folder.path().join("shared"), 1 << 20).unwrap());
    let instances: Vec<_> = (0..8)
        .map(|_| {
            let settings = Arc::new(Settings::parse(&text, &[]).unwrap());
            let sealer = Arc::clone(&settings.sealer);
            let records = Records::new(store.clone(), sealer, Arc::new(Metrics::new()));
            (KeyKeeper::new(Arc::new(records), Arc::clone(&settings)), settings)
        })
        .collect();
    let (keepers, settings): (Vec<_>, Vec<_>) = instances.into_iter().unzip();
    let mut begun = tokio::task::JoinSet::new();
    for keeper in keepers {
        begun.spawn(async move { keeper.refresh(NOW).await });
    }
    while let Some(outcome) = begun.join_next().await {
        outcome.unwrap().unwrap();
    }
    let first = settings[0].signing.get().jwks();
    assert!(settings.iter().all(|settings| settings.signing.get().jwks() == first));
    let tags = settings[0].token_tags.get();
    assert!(settings.iter().all(|own| own.token_tags.get().texts() == tags.texts()));
}

#[tokio::test]
async fn a_signing_key_in_the_store_rotates_and_no_token_of_its_time_is_refused() {
    let kit = kit("jwt").await;
    let mut tokens = kit.tokens().await;
    let first = text(&tokens, "access_token");
    let header = |token: &str| token.split('.').next().unwrap().to_owned();
    kit.app.keys.rotate(KeyKind::Signing, kit.now()).await.unwrap();
    assert_eq!(kit.key_ids().await.len(), 2, "published at once");
    let again = kit.app.keys.rotate(KeyKind::Signing, kit.now()).await;
    assert_eq!(again, Err(RotateError::UnderWay { until: NOW + 600 }));

    kit.later(599).await;
    let last_of_old = kit.next(&mut tokens).await;
    assert_eq!(header(&last_of_old), header(&first));
    kit.later(1).await;
    let first_of_new = kit.next(&mut tokens).await;
    assert_ne!(header(&first_of_new), header(&first));

    // The old key's last token was made at 599 and lives an hour.
    kit.later(3_598).await;
    assert_eq!(kit.introspect(&last_of_old).await["active"], true);
    kit.later(61).await;
    assert_eq!(kit.key_ids().await.len(), 2);
    kit.later(1).await;
    assert_eq!(kit.key_ids().await.len(), 1);
    let listed = kit.app.keys.list(KeyKind::Signing, kit.now()).await.unwrap().unwrap();
    assert_eq!(listed.len(), 1, "and it is removed from the store");
    assert_eq!(listed[0].1, KeyState::Issues { until: None });
}

#[tokio::test]
async fn a_tag_key_in_the_store_is_handed_to_gateways_before_it_issues() {
    let kit = kit("opaque").await;
    let mut tokens = kit.tokens().await;
    let first = text(&tokens, "access_token");
    kit.app.keys.rotate(KeyKind::TokenTags, kit.now()).await.unwrap();
    let handed: Vec<_> = kit.feed("").await.tag_keys.into_iter().map(|key| key.id).collect();
    assert!(first.starts_with(&format!("ibg_at_{}", handed[0])));
    kit.later(119).await;
    assert!(kit.next(&mut tokens).await.starts_with(&format!("ibg_at_{}", handed[0])));
    kit.later(1).await;
    let next = kit.next(&mut tokens).await;
    assert!(next.starts_with(&format!("ibg_at_{}", handed[1])));
    assert_eq!(kit.introspect(&first).await["active"], true);
}

#[tokio::test]
async fn another_instance_notices_a_rotation_at_its_next_look() {
    let kit = kit("jwt").await;
    let settings = Arc::new(Settings::parse(&kit.settings, &[]).unwrap());
    let other = KeyKeeper::new(Arc::clone(&kit.app.records), Arc::clone(&settings));
    other.refresh(NOW).await.unwrap();
    kit.app.keys.rotate(KeyKind::Signing, NOW).await.unwrap();
    let published = kit.get("/jwks.json").await.json();
    assert_ne!(settings.signing.get().jwks(), published);
    other.refresh(NOW + 5).await.unwrap();
    assert_eq!(settings.signing.get().jwks(), published);
}

#[tokio::test]
async fn keys_rotate_by_themselves_when_they_are_old_where_the_settings_say_so() {
    let kit = kit("jwt").await;
    kit.later(30 * 24 * 3_600 - 1).await;
    assert_eq!(kit.key_ids().await.len(), 1);
    kit.later(1).await;
    assert_eq!(kit.key_ids().await.len(), 2);
    assert_eq!(kit.feed("").await.tag_keys.len(), 1, "rotate_days: 0");
}

#[tokio::test]
async fn keys_in_the_store_are_sealed_and_move_to_a_new_sealing_key() {
    let kit = kit("jwt").await;
    let ids = kit.key_ids().await;
    let tag = kit.feed("").await.tag_keys.remove(0);
    let path = kit.folder.path().join("second-sealing-key");
    std::fs::write(&path, STANDARD.encode([6; 32])).unwrap();
    let line = kit.settings.lines().find(|line| line.starts_with("sealing:")).unwrap();
    let old = line.split_once("[ ").unwrap().1.split_once(" ]").unwrap().0;
    let new = format!("{{ id: k2, file: \"{}\" }}", path.display());
    let both = kit.settings.replace(line, &format!("sealing: {{ keys: [ {new}, {old} ] }}"));
    let alone = kit.settings.replace(line, &format!("sealing: {{ keys: [ {new} ] }}"));

    // Without the old key the records of the keys would not open.
    let next = Settings::parse(&alone, &[]).unwrap();
    assert!(crate::keys::reload(&kit.app, &next).await.is_err());
    let kit = kit.restarted_with(alone.clone());
    let refused = kit.app.keys.refresh(NOW).await.unwrap_err();
    assert!(refused.to_string().contains("sealing.keys"), "new keys in the place of the old?");
    let kit = kit.restarted_with(both);
    kit.app.keys.refresh(NOW).await.unwrap();
    let kit = kit.restarted_with(alone);
    kit.app.keys.refresh(NOW).await.unwrap();
    assert_eq!(kit.key_ids().await, ids);

    let bytes = std::fs::read(kit.folder.path().join("store.redb")).unwrap();
    let contains = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(contains("key/signing") && contains("key/token-tags"), "the records are there");
    assert!(!contains(tag.key.expose()) && !contains(&ids[0]), "a key is in the store in plain");
}
