//! Keys and credentials in files change while the service runs.

use axum::http::{StatusCode, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{GATEWAY_CREDENTIAL, Kit, jwt::with_signing, post, text};
use crate::{
    keys::reload,
    settings::{Settings, SettingsError},
};

impl Kit {
    /// What a SIGHUP does after the settings have become `text`.
    async fn reload(&self, text: &str) -> Result<(), Vec<String>> {
        let next = Settings::parse(text, &[]).map_err(fields)?;
        reload(&self.app, &next).await.map_err(fields)
    }

    /// The settings with this list of files in a section of keys.
    fn with_keys(&self, section: &str, keys: &[(&str, &str)]) -> String {
        let line = self.settings.lines().find(|line| line.starts_with(section)).unwrap();
        let keys: Vec<_> = keys
            .iter()
            .map(|(id, name)| {
                let path = self.folder.path().join(name);
                if !path.exists() {
                    std::fs::write(&path, STANDARD.encode([name.len() as u8; 32])).unwrap();
                }
                format!("{{ id: {id}, file: \"{}\" }}", path.display())
            })
            .collect();
        self.settings.replace(line, &format!("{section}: {{ keys: [ {} ] }}", keys.join(", ")))
    }

    async fn kids(&self) -> Vec<String> {
        let keys = self.get("/jwks.json").await.json();
        keys["keys"].as_array().unwrap().iter().map(|key| text(key, "kid")).collect()
    }

    async fn is_active(&self, token: &str) -> bool {
        self.introspect(token).await["active"] == true
    }
}

fn fields(SettingsError(problems): SettingsError) -> Vec<String> {
    problems.into_iter().map(|problem| problem.field).collect()
}

#[tokio::test]
async fn a_signing_key_is_published_then_signs_and_tokens_of_the_old_one_end_with_it_alone() {
    let kit = Kit::new();
    let settings = with_signing(&kit, &["k1"], "jwt");
    let kit = kit.restarted_with(settings);
    let tokens = kit.tokens().await;
    let old = text(&tokens, "access_token");
    kit.reload(&with_signing(&kit, &["k1", "k2"], "jwt")).await.unwrap();
    assert_eq!(kit.kids().await, ["k1", "k2"]);
    let header = |token: &str| token.split('.').next().unwrap().to_owned();
    let between = kit.refresh(&text(&tokens, "refresh_token")).await.json();
    assert_eq!(header(&text(&between, "access_token")), header(&old));

    kit.reload(&with_signing(&kit, &["k2", "k1"], "jwt")).await.unwrap();
    let last = kit.refresh(&text(&between, "refresh_token")).await.json();
    let new = text(&last, "access_token");
    assert_ne!(header(&new), header(&old));
    assert!(kit.is_active(&old).await && kit.is_active(&new).await);

    kit.reload(&with_signing(&kit, &["k2"], "jwt")).await.unwrap();
    assert_eq!(kit.kids().await, ["k2"]);
    assert!(!kit.is_active(&old).await, "a token of a removed key");
    assert!(kit.is_active(&new).await);
}

#[tokio::test]
async fn a_key_that_nobody_knows_yet_does_not_come_to_issue_by_a_reload() {
    let kit = Kit::new();
    let settings = with_signing(&kit, &["k1"], "jwt");
    let kit = kit.restarted_with(settings);
    let refused = kit.reload(&with_signing(&kit, &["k2", "k1"], "jwt")).await;
    assert_eq!(refused, Err(vec!["signing.keys[0]".to_owned()]));
    let tags = kit.with_keys("token_tags", &[("t2", "second"), ("t1", "token-tag-key")]);
    assert_eq!(kit.reload(&tags).await, Err(vec!["token_tags.keys[0]".to_owned()]));
    assert_eq!(kit.kids().await, ["k1"]);
}

#[tokio::test]
async fn a_tag_key_rotates_without_a_restart() {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    let old = text(&tokens, "access_token");
    kit.reload(&kit.with_keys("token_tags", &[("t1", "token-tag-key"), ("t2", "second")]))
        .await
        .unwrap();
    let handed: Vec<_> = kit.feed("").await.tag_keys.into_iter().map(|key| key.id).collect();
    assert_eq!(handed, ["t1", "t2"]);
    kit.reload(&kit.with_keys("token_tags", &[("t2", "second"), ("t1", "token-tag-key")]))
        .await
        .unwrap();
    let new = text(&kit.refresh(&text(&tokens, "refresh_token")).await.json(), "access_token");
    assert!(new.starts_with("ibg_at_t2"));
    assert!(kit.is_active(&old).await && kit.is_active(&new).await);
    kit.reload(&kit.with_keys("token_tags", &[("t2", "second")])).await.unwrap();
    assert!(!kit.is_active(&old).await && kit.is_active(&new).await);
}

#[tokio::test]
async fn a_sealing_key_rotates_without_a_restart_and_the_next_start_needs_the_new_one_alone() {
    let kit = Kit::new();
    let old = text(&kit.tokens().await, "access_token");
    kit.reload(&kit.with_keys("sealing", &[("k2", "another-key"), ("k1", "sealing-key")]))
        .await
        .unwrap();
    assert!(kit.is_active(&old).await);
    let new = text(&kit.tokens().await, "access_token");
    let settings = kit.with_keys("sealing", &[("k2", "another-key")]);
    kit.reload(&settings).await.unwrap();
    assert!(!kit.is_active(&old).await, "sealed under a key that is gone");
    let kit = kit.restarted_with(settings);
    kit.app.records.prove_keys(super::NOW).await.unwrap();
    assert!(kit.is_active(&new).await);
}

#[tokio::test]
async fn sealing_keys_that_do_not_open_the_store_are_refused_and_nothing_changes() {
    let kit = Kit::new();
    kit.app.records.prove_keys(super::NOW).await.unwrap();
    let token = text(&kit.tokens().await, "access_token");
    let foreign = kit.with_keys("sealing", &[("k2", "another-key")]);
    let foreign = foreign.replace(GATEWAY_CREDENTIAL, "x");
    assert_eq!(kit.reload(&foreign).await, Err(vec!["sealing.keys".to_owned()]));
    // The same id for another key would make every record look forged.
    let same_id = kit.with_keys("sealing", &[("k1", "another-key")]);
    let refused = kit.reload(&same_id).await.unwrap_err();
    assert_eq!(refused, ["sealing.keys[0]", "sealing.keys"]);
    assert!(kit.is_active(&token).await);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_changes_no_key_of_any_kind() {
    let kit = Kit::new();
    let settings = with_signing(&kit, &["k1"], "jwt");
    let kit = kit.restarted_with(settings);
    let next = with_signing(&kit, &["k1", "k2"], "jwt");
    std::fs::write(kit.folder.path().join("gateway-credential"), "short").unwrap();
    let refused = kit.reload(&next).await;
    assert_eq!(refused, Err(vec!["gateway.credentials[0].file".to_owned()]));
    assert_eq!(kit.kids().await, ["k1"]);
    for bad in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        std::fs::write(kit.folder.path().join("gateway-credential"), GATEWAY_CREDENTIAL).unwrap();
        std::fs::write(kit.folder.path().join("signing-k2"), bad).unwrap();
        assert_eq!(kit.reload(&next).await, Err(vec!["signing.keys[1].file".to_owned()]));
    }
    assert_eq!(kit.kids().await, ["k1"]);
}

#[tokio::test]
async fn where_keys_come_from_does_not_change_without_a_restart() {
    let kit = Kit::new();
    let with = with_signing(&kit, &["k1"], "opaque");
    assert_eq!(kit.reload(&with).await, Err(vec!["signing".to_owned()]));
    let line = kit.settings.lines().find(|line| line.starts_with("token_tags:")).unwrap();
    let stored = kit.settings.replace(line, "token_tags: { source: store }");
    assert_eq!(kit.reload(&stored).await, Err(vec!["token_tags".to_owned()]));
}

#[tokio::test]
async fn the_gateways_credential_rotates_over_two_that_are_good_at_the_same_time() {
    let kit = Kit::new();
    let next = "another-credential-for-tests-0123456789";
    let path = kit.folder.path().join("next-credential");
    std::fs::write(&path, next).unwrap();
    let line = kit.settings.lines().find(|line| line.starts_with("gateway:")).unwrap();
    let old = line.split_once("[ ").unwrap().1.split_once(" ]").unwrap().0;
    let new = format!("{{ file: \"{}\" }}", path.display());
    let ask = |credential: &str| {
        let mut request = post("/introspect", &[("token", "x")]);
        let credential = format!("Bearer {credential}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, credential);
        kit.send_internal(request)
    };
    let set =
        |list: &str| kit.settings.replace(line, &format!("gateway: {{ credentials: [ {list} ] }}"));
    assert_eq!(ask(next).await.status, StatusCode::UNAUTHORIZED);
    kit.reload(&set(&format!("{old}, {new}"))).await.unwrap();
    for credential in [GATEWAY_CREDENTIAL, next] {
        assert_eq!(ask(credential).await.status, StatusCode::OK);
    }
    kit.reload(&set(&new)).await.unwrap();
    assert_eq!(ask(GATEWAY_CREDENTIAL).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(next).await.status, StatusCode::OK);
}
