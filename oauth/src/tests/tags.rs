//! The tags of access tokens, through the whole service.

use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{CLIENT_SECRET, Kit, basic, changed, post, refresh_form, text};

/// The settings with a second tag key, alone or in front of the first.
fn rotated(kit: &Kit, keep_first: bool) -> String {
    let path = kit.folder.path().join("second-tag-key");
    std::fs::write(&path, STANDARD.encode([8; 32])).unwrap();
    let first = kit.settings.lines().find(|line| line.starts_with("token_tags:")).unwrap();
    let old = first.split_once("[ ").unwrap().1.split_once(" ]").unwrap().0;
    let new = format!("{{ id: t2, file: \"{}\" }}", path.display());
    let keys = if keep_first { format!("{new}, {old}") } else { new };
    kit.settings.replace(first, &format!("token_tags: {{ keys: [ {keys} ] }}"))
}

#[tokio::test]
async fn while_a_tag_key_is_rotated_old_tokens_stay_good_and_new_ones_have_the_new_key() {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    let old = text(&tokens, "access_token");
    let settings = rotated(&kit, true);
    let kit = kit.restarted_with(settings);
    assert_eq!(kit.introspect(&old).await["active"], true);
    let new = text(&kit.refresh(&text(&tokens, "refresh_token")).await.json(), "access_token");
    assert!(old.starts_with("ibg_at_t1") && new.starts_with("ibg_at_t2"), "{old} {new}");
    let handed: Vec<_> = kit.feed("").await.tag_keys.into_iter().map(|key| key.id).collect();
    assert_eq!(handed, ["t2", "t1"]);
}

#[tokio::test]
async fn a_removed_tag_key_ends_access_tokens_and_no_grant() {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    let settings = rotated(&kit, false);
    let kit = kit.restarted_with(settings);
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], false);
    let answer = kit.refresh(&text(&tokens, "refresh_token")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let token = text(&answer.json(), "access_token");
    assert_eq!(kit.introspect(&token).await["active"], true);
}

#[tokio::test]
async fn row_7_a_lost_answer_is_given_again_across_a_rotation_of_the_tag_key() {
    let kit = Kit::new();
    let first = text(&kit.tokens().await, "refresh_token");
    let second = kit.refresh(&first).await.json();
    let settings = rotated(&kit, false);
    let kit = kit.restarted_with(settings);
    let again = kit.refresh(&first).await.json();
    assert_eq!(again["access_token"], second["access_token"]);
    assert_eq!(again["refresh_token"], second["refresh_token"]);
}

#[tokio::test]
async fn a_token_with_a_wrong_tag_is_unknown_everywhere() {
    let kit = Kit::new();
    let good = text(&kit.tokens().await, "access_token");
    let last = if good.ends_with('A') { "Q" } else { "A" };
    let mut forged = good.clone();
    forged.pop();
    forged.push_str(last);
    assert_eq!(kit.introspect(&forged).await["active"], false);
    let revoked = post("/revoke", &[("token", &forged), ("client_id", "mcp-public-client")]);
    assert_eq!(kit.send(revoked).await.status, StatusCode::OK);
    let form = changed(refresh_form(&forged), "client_id", "mcp-public-client");
    kit.post("/token", &form).await.expect(400, "invalid_grant");
    let mut ask = post("/introspect", &[("token", &forged)]);
    let caller = basic("backend", CLIENT_SECRET).parse().unwrap();
    ask.headers_mut().insert("authorization", caller);
    assert_eq!(kit.send(ask).await.text, r#"{"active":false}"#);
    assert_eq!(kit.introspect(&good).await["active"], true);
}
