//! The life of a machine credential's token: acquired once, refreshed behind, replaced when it is
//! rejected, and used to its end when its endpoint is down.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use ib_contract::Revoked;
use serde_json::{Value, json};

use super::{
    Answer, Kit,
    gateway::{authorized, renewal, send},
    machine::{AZURA, BLUE_OCEAN, KEYS, kit, kit_in, kit_with},
    post, text,
};
use crate::{
    clients::PrivateKey,
    upstreams::{Acquired, UpstreamError},
};

const ACQUISITIONS: &str = "oauth_machine_credential_acquisitions_total";

async fn ask(kit: &Kit, token: &str) -> Answer {
    kit.send_internal(authorized(post("/introspect", &[("token", token)]))).await
}

/// What the gateway injects for a token.
async fn injected(kit: &Kit, token: &str) -> String {
    let told = kit.introspect(token).await;
    text(&told["upstreams"][0]["headers"], "authorization")
}

async fn until_asked(kit: &Kit, times: usize) {
    let asked = async {
        while kit.tokens.times_asked() < times {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap();
}

async fn listed(kit: &Kit) -> Value {
    let request = Request::get("/admin/credentials").body(Body::empty()).unwrap();
    let answer = kit.operator(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()["credentials"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_first_calls_over_two_instances_one_acquires() {
    let kit = Arc::new(kit());
    let token = kit.machine_token(AZURA).await;
    let (_twin, other) = kit.twin_with_tokens();
    let tasks: Vec<_> = (0..1_000)
        .map(|number| {
            let router = if number % 2 == 0 { kit.internal.clone() } else { other.clone() };
            let request = authorized(post("/introspect", &[("token", token.as_str())]));
            tokio::spawn(async move { send(&router, request).await })
        })
        .collect();
    for task in tasks {
        let told = task.await.unwrap().json();
        assert_eq!(told["upstreams"][0]["generation"], 1, "{told}");
    }
    assert_eq!(kit.tokens.times_asked(), 1);
}

#[tokio::test]
async fn each_brand_has_a_token_of_its_own_which_a_restart_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let kit = kit_in(&folder, &PrivateKey::p256(), "");
    let (azura, blue) = (kit.machine_token(AZURA).await, kit.machine_token(BLUE_OCEAN).await);
    for _ in 0..3 {
        assert_eq!(injected(&kit, &azura).await, "bearer upstr3amt0ken-remax-azura-1");
        assert_eq!(injected(&kit, &blue).await, "bearer upstr3amt0ken-remax-blue-ocean-2");
    }
    assert_eq!(kit.tokens.times_asked(), 2);
    let kit = kit.restarted();
    assert_eq!(injected(&kit, &azura).await, "bearer upstr3amt0ken-remax-azura-1");
    assert_eq!(kit.tokens.times_asked(), 0, "of the endpoint of the new process");
}

#[tokio::test]
async fn a_due_token_is_refreshed_behind_calls_that_go_on_with_it() {
    let kit = kit();
    let token = kit.machine_token(AZURA).await;
    assert_eq!(injected(&kit, &token).await, "bearer upstr3amt0ken-remax-azura-1");
    kit.clock.advance(Duration::from_secs(86_399 - 1_800));
    let token = kit.machine_token(AZURA).await;
    kit.tokens.close_gate();
    for _ in 0..5 {
        assert_eq!(injected(&kit, &token).await, "bearer upstr3amt0ken-remax-azura-1");
    }
    until_asked(&kit, 2).await;
    kit.tokens.open_gate();
    let series = format!(
        r#"{ACQUISITIONS}{{credential="remax-azura",cause="near_expiry",result="acquired"}}"#
    );
    kit.until_metric(&series, "1").await;
    assert_eq!(injected(&kit, &token).await, "bearer upstr3amt0ken-remax-azura-2");
    assert_eq!(kit.tokens.times_asked(), 2);
}

#[tokio::test]
async fn an_endpoint_that_is_down_fails_no_call_while_the_token_lives_and_each_call_after_that() {
    let kit = kit_with("tokens: { access_token_seconds: 86400 }");
    kit.tokens.gives_tokens_for(3_600);
    let token = kit.machine_token(AZURA).await;
    assert_eq!(injected(&kit, &token).await, "bearer upstr3amt0ken-remax-azura-1");
    kit.tokens.is_down();
    for _ in 0..359 {
        kit.clock.advance(Duration::from_secs(10));
        assert_eq!(injected(&kit, &token).await, "bearer upstr3amt0ken-remax-azura-1");
        // What the gateway does near the end must not fail either.
        let told = kit.introspect(&token).await;
        let session = text(&told["upstreams"][0], "session");
        let answer = kit.renew(&token, &session, 1, "near_expiry").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    let asked = kit.tokens.times_asked();
    assert!((10..=70).contains(&asked), "{asked} questions in half an hour");
    kit.clock.advance(Duration::from_secs(10));
    let refused = ask(&kit, &token).await;
    refused.expect(503, "temporarily_unavailable");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    kit.tokens.is_up();
    kit.clock.advance(Duration::from_secs(60));
    assert!(injected(&kit, &token).await.starts_with("bearer upstr3amt0ken-remax-azura-"));
}

#[tokio::test]
async fn a_buffer_longer_than_a_token_lives_is_cut_and_operators_see_that() {
    let kit = kit();
    kit.tokens.gives_tokens_for(600);
    let token = kit.machine_token(AZURA).await;
    injected(&kit, &token).await;
    let shown = listed(&kit).await;
    assert_eq!(shown[0]["refresh_buffer_cut"], true);
    assert_eq!(
        (&shown[0]["refresh_in_seconds"], &shown[0]["state"]),
        (&json!(300), &json!("valid"))
    );
    for _ in 0..29 {
        kit.clock.advance(Duration::from_secs(10));
        injected(&kit, &token).await;
    }
    assert_eq!(kit.tokens.times_asked(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_who_see_a_token_rejected_one_acquires_and_all_get_the_newer_one() {
    let kit = Arc::new(kit());
    let token = kit.machine_token(AZURA).await;
    let session = text(&kit.introspect(&token).await["upstreams"][0], "session");
    let (_twin, other) = kit.twin_with_tokens();
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let router = if number % 2 == 0 { kit.internal.clone() } else { other.clone() };
            let request = renewal(&token, &session, 1, "rejected");
            tokio::spawn(async move { send(&router, request).await })
        })
        .collect();
    for task in tasks {
        let told = task.await.unwrap().json();
        assert_eq!(told["upstreams"][0]["generation"], 2, "{told}");
        assert_eq!(told["upstreams"][0]["session"], json!(session));
    }
    assert_eq!(kit.tokens.times_asked(), 2);
}

#[tokio::test]
async fn an_upstream_that_rejects_every_token_costs_one_acquisition_in_a_pause() {
    let kit = kit();
    let token = kit.machine_token(AZURA).await;
    let session = text(&kit.introspect(&token).await["upstreams"][0], "session");
    assert_eq!(kit.renew(&token, &session, 1, "rejected").await.status, StatusCode::OK);
    for _ in 0..20 {
        let refused = kit.renew(&token, &session, 2, "rejected").await;
        // 503 and never an end of the session: the client's own token is good.
        refused.expect(503, "temporarily_unavailable");
    }
    assert_eq!(kit.tokens.times_asked(), 2);
    kit.clock.advance(Duration::from_secs(30));
    assert_eq!(kit.renew(&token, &session, 2, "rejected").await.status, StatusCode::OK);
    assert_eq!(kit.tokens.times_asked(), 3);
}

#[tokio::test]
async fn a_renewal_of_another_brands_session_renews_nothing() {
    let kit = kit();
    let (azura, blue) = (kit.machine_token(AZURA).await, kit.machine_token(BLUE_OCEAN).await);
    let session = text(&kit.introspect(&blue).await["upstreams"][0], "session");
    let told = kit.renew(&azura, &session, 1, "rejected").await.json();
    assert_eq!(told["upstreams"][0]["generation"], 1);
    assert_eq!(kit.tokens.times_asked(), 2, "the first of each brand");
}

#[tokio::test]
async fn after_a_restart_with_other_keys_the_old_token_is_forgotten_by_who_sees_it_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let kit = kit_in(&folder, &PrivateKey::p256(), "");
    let token = kit.machine_token(AZURA).await;
    let before = text(&kit.introspect(&token).await["upstreams"][0], "session");
    std::fs::write(folder.path().join("key"), "an0th3r-s3cr3tk3y").unwrap();
    let kit = kit.restarted();
    let told = kit.introspect(&token).await;
    let after = text(&told["upstreams"][0], "session");
    assert_ne!(after, before, "gateways may not take one for the other");
    assert_eq!(kit.tokens.times_asked(), 1, "with the new keys");
    let head = kit.head().await;
    let told = kit.renew(&token, &before, 1, "rejected").await.json();
    assert_eq!(text(&told["upstreams"][0], "session"), after);
    assert_eq!(kit.ended(head).await, [Revoked::Session(before.clone())]);
    assert_eq!(kit.tokens.times_asked(), 1, "the new one was not rejected");
    // However many calls see that, the feed of all instances holds it once in a while.
    for _ in 0..20 {
        kit.renew(&token, &before, 1, "rejected").await;
    }
    assert_eq!(kit.ended(head).await.len(), 1);
    kit.clock.advance(Duration::from_secs(30));
    kit.renew(&token, &before, 1, "rejected").await;
    assert_eq!(kit.ended(head).await.len(), 2);
}

#[tokio::test]
async fn a_token_that_is_over_when_it_arrives_costs_one_question_in_a_pause_and_not_four_a_call() {
    let kit = Arc::new(kit());
    kit.tokens.gives_tokens_for(10);
    kit.tokens.close_gate();
    let token = kit.machine_token(AZURA).await;
    let call = tokio::spawn({
        let (kit, token) = (Arc::clone(&kit), token.clone());
        async move { ask(&kit, &token).await }
    });
    until_asked(&kit, 1).await;
    kit.clock.advance(Duration::from_secs(10));
    kit.tokens.open_gate();
    call.await.unwrap().expect(503, "temporarily_unavailable");
    for _ in 0..10 {
        let refused = ask(&kit, &token).await;
        refused.expect(503, "temporarily_unavailable");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    assert_eq!(kit.tokens.times_asked(), 1);
    let shown = listed(&kit).await;
    assert_eq!((&shown[0]["state"], &shown[0]["generation"]), (&json!("unavailable"), &json!(0)));
    assert_eq!(shown[0]["last_error"]["reason"], "unusable");
    let series = format!(
        r#"{ACQUISITIONS}{{credential="remax-azura",cause="first_use",result="unusable"}}"#
    );
    assert_eq!(kit.metric(&series), "1");
}

#[tokio::test]
async fn the_first_refusal_of_keys_is_an_increase_that_an_alert_can_see() {
    let kit = kit();
    for result in ["unauthorized_client", "keys_refused", "unsupported_grant_type"] {
        let series = format!(
            r#"{ACQUISITIONS}{{credential="remax-azura",cause="first_use",result="{result}"}}"#
        );
        assert_eq!(kit.metric(&series), "0", "{result}");
    }
}

#[tokio::test]
async fn keys_that_are_refused_are_not_shown_again_soon_and_operators_see_why() {
    let kit = kit();
    kit.tokens.fails_with(Ok(Acquired::Refused { reason: "unauthorized_client" }));
    let token = kit.machine_token(AZURA).await;
    for _ in 0..10 {
        ask(&kit, &token).await.expect(503, "temporarily_unavailable");
        kit.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(kit.tokens.times_asked(), 1);
    let shown = listed(&kit).await;
    assert_eq!(shown[0]["state"], "unavailable");
    assert_eq!(shown[0]["last_error"], json!({"reason": "unauthorized_client", "seconds_ago": 10}));
    assert_eq!(shown[1]["state"], "unused");
    let series = format!(
        r#"{ACQUISITIONS}{{credential="remax-azura",cause="first_use",result="unauthorized_client"}}"#
    );
    assert_eq!(kit.metric(&series), "1");
    assert_eq!(kit.metric(r#"oauth_machine_credential_failures{credential="remax-azura"}"#), "1");
}

#[tokio::test]
async fn an_operator_sees_each_credential_and_forces_a_refresh_also_in_a_pause() {
    let kit = kit();
    let token = kit.machine_token(AZURA).await;
    injected(&kit, &token).await;
    kit.clock.advance(Duration::from_secs(100));
    let shown = listed(&kit).await;
    assert_eq!(
        shown[0],
        json!({
            "name": "remax-azura", "host": "remax-cca.com", "scope": AZURA, "state": "valid",
            "generation": 1, "age_seconds": 100, "refresh_in_seconds": 84_499,
            "expires_in_seconds": 86_299, "refresh_buffer_cut": false, "failures": 0,
            "paused_seconds": null, "last_error": null,
        })
    );
    let refresh = |name| post("/admin/credentials/refresh", &[("name", name)]);
    let session = text(&kit.introspect(&token).await["upstreams"][0], "session");
    let head = kit.head().await;
    let forced = kit.operator(refresh("remax-azura")).await;
    assert_eq!((forced.status, &forced.json()["generation"]), (StatusCode::OK, &json!(2)));
    assert_eq!(kit.ended(head).await, [Revoked::Session(session)], "so that gateways ask again");
    assert_eq!(injected(&kit, &token).await, "bearer upstr3amt0ken-remax-azura-2");
    kit.tokens.fails_with(Err(UpstreamError::Limited { retry_after: Some(200) }));
    kit.operator(refresh("remax-azura")).await.expect(503, "temporarily_unavailable");
    assert_eq!(listed(&kit).await[0]["state"], "failing");
    kit.tokens.is_up();
    let forced = kit.operator(refresh("remax-azura")).await;
    assert_eq!(forced.json()["generation"], 3, "{}", forced.text);
    kit.operator(refresh("remax-nobody")).await.expect(404, "not_found");
    kit.send_internal(authorized(refresh("remax-azura"))).await.expect(401, "invalid_client");
}

#[tokio::test]
async fn no_key_and_no_token_is_in_an_answer_for_operators_a_metric_or_an_error() {
    let kit = kit();
    let token = kit.machine_token(AZURA).await;
    let upstream_token = injected(&kit, &token).await;
    let mut shown = vec![listed(&kit).await.to_string(), kit.app.metrics.render()];
    let refresh = || post("/admin/credentials/refresh", &[("name", "remax-azura")]);
    shown.push(kit.operator(refresh()).await.text);
    kit.tokens.is_down();
    shown.push(kit.operator(refresh()).await.text);
    let newer = injected(&kit, &token).await;
    let bare = |header: &str| header.strip_prefix("bearer ").unwrap().to_owned();
    let (first, second) = (bare(&upstream_token), bare(&newer));
    for secret in [KEYS[0], KEYS[1], KEYS[2], &token, &first, &second] {
        for text in &shown {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn a_token_that_the_store_held_is_sealed_there() {
    let kit = kit();
    let token = kit.machine_token(AZURA).await;
    injected(&kit, &token).await;
    let stopped = kit.stopped();
    let bytes = std::fs::read(stopped.folder.path().join("store.redb")).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("machine_credential"), "the table is there, so this looks at the right file");
    for secret in KEYS.into_iter().chain(["upstr3amt0ken", token.as_str()]) {
        assert!(!holds(secret), "{secret}");
    }
}
