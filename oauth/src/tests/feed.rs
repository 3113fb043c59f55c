//! `GET /revocations`: order, resets, waiting, and its bounds.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use ib_contract::{MOST_EVENTS, RevocationEvent, Revoked};

use super::{
    CLIENT_SECRET, Kit, NOW, basic,
    gateway::{authorized, send},
    text,
};
use crate::{feed::MOST_WAITING, store::Applied};

const WAITING: &str = "oauth_revocation_feed_waiting";

/// Writes an event that goes with no change.
pub(super) async fn publish(kit: &Kit, session: &str) {
    let revoked = Revoked::Session(session.to_owned());
    let now = kit.app.clock.unix_seconds();
    let applied = kit.app.feed.publish(revoked, kit.app.records.changes(), now).await;
    assert_eq!(applied, Ok(Applied::Yes));
}

pub(super) fn event(number: u64, session: &str) -> RevocationEvent {
    RevocationEvent { number, revoked: Revoked::Session(session.to_owned()) }
}

#[tokio::test]
async fn only_the_gateway_hears_of_revocations_and_gets_the_tag_keys() {
    let kit = Kit::new();
    let bare = || Request::get("/revocations").body(Body::empty()).unwrap();
    kit.send_internal(bare()).await.expect(401, "invalid_client");
    for wrong in ["Bearer wrong".to_owned(), basic("backend", CLIENT_SECRET)] {
        let mut request = bare();
        request.headers_mut().insert("authorization", wrong.parse().unwrap());
        kit.send_internal(request).await.expect(401, "invalid_client");
    }
    kit.get("/revocations").await.expect(404, "not_found");
    let told = kit.revocations("").await;
    assert_eq!(told.header("cache-control"), "no-store");
    let told = kit.feed("").await;
    assert_eq!((told.events.len(), told.reset, told.tag_keys.len()), (0, false, 1));
}

#[tokio::test]
async fn a_gateway_that_knows_nothing_is_told_where_to_begin_and_of_no_event() {
    let kit = Kit::new();
    let begin = kit.head().await;
    publish(&kit, "a").await;
    let told = kit.feed("?wait=30").await;
    assert_eq!((told.as_of, told.events.len(), told.reset), (begin + 1, 0, false));
}

#[tokio::test]
async fn events_come_in_their_order_and_each_answer_says_where_to_go_on() {
    let kit = Kit::new();
    let head = kit.head().await;
    for session in ["a", "b", "c"] {
        publish(&kit, session).await;
    }
    let told = kit.feed(&format!("?after={head}&wait=30")).await;
    let all = [event(head + 1, "a"), event(head + 2, "b"), event(head + 3, "c")];
    assert_eq!((told.as_of, told.events.as_slice()), (head + 3, &all[..]));
    let told = kit.feed(&format!("?after={}", head + 2)).await;
    assert_eq!((told.as_of, told.events.as_slice()), (head + 3, &all[2..]));
    let told = kit.feed(&format!("?after={}", head + 3)).await;
    assert_eq!((told.as_of, told.events.len(), told.reset), (head + 3, 0, false));
    assert_eq!(told.tag_keys.len(), 1, "every answer has the keys");
    let kit = kit.restarted();
    let told = kit.feed(&format!("?after={head}")).await;
    assert_eq!(told.events, all, "after a restart, too");
}

#[tokio::test]
async fn one_answer_holds_so_many_events_and_the_next_has_the_rest() {
    let kit = Kit::new();
    let head = kit.head().await;
    for number in 0..=MOST_EVENTS {
        publish(&kit, &number.to_string()).await;
    }
    let told = kit.feed(&format!("?after={head}")).await;
    assert_eq!((told.events.len(), told.as_of), (MOST_EVENTS, head + MOST_EVENTS as u64));
    let rest = kit.feed(&format!("?after={}", told.as_of)).await;
    assert_eq!(rest.events, [event(told.as_of + 1, &MOST_EVENTS.to_string())]);
}

#[tokio::test]
async fn a_gateway_that_was_away_for_too_long_is_told_to_forget_everything() {
    let kit = Kit::new();
    let head = kit.head().await;
    publish(&kit, "a").await;
    kit.clock.advance(Duration::from_secs(3_899));
    publish(&kit, "b").await;
    let told = kit.feed(&format!("?after={head}")).await;
    assert_eq!((told.events.len(), told.reset), (2, false));
    kit.clock.advance(Duration::from_secs(1));
    let told = kit.feed(&format!("?after={head}&wait=30")).await;
    assert_eq!((told.events.len(), told.reset, told.as_of), (0, true, head + 2));
    // Who has seen that event has missed nothing.
    let told = kit.feed(&format!("?after={}", head + 1)).await;
    assert_eq!((told.events.len(), told.reset), (1, false));
    kit.clock.advance(Duration::from_secs(100_000));
    let told = kit.feed(&format!("?after={}", head + 2)).await;
    assert!(!told.reset, "and who has seen the last one never has");
}

#[tokio::test]
async fn a_gateway_that_knew_another_store_is_told_to_forget_everything() {
    let old = Kit::new();
    publish(&old, "a").await;
    let known = old.head().await;
    let new = Kit::new();
    new.clock.advance(Duration::from_secs(1));
    let told = new.feed(&format!("?after={known}&wait=30")).await;
    assert!(told.reset && told.as_of > known, "an empty store in place of the old one");
    for number in [told.as_of + 1, u64::MAX] {
        let ahead = new.feed(&format!("?after={number}&wait=30")).await;
        assert_eq!((ahead.reset, ahead.as_of), (true, told.as_of), "an older copy of it");
    }
    assert!(new.feed("?after=0").await.reset);
}

#[tokio::test]
async fn a_waiting_gateway_is_woken_by_an_event_of_this_instance_and_of_another() {
    let kit = Arc::new(Kit::new());
    let head = kit.head().await;
    let (twin, internal) = kit.twin();
    let path = format!("/revocations?after={head}&wait=30");
    let ask = || authorized(Request::get(&path).body(Body::empty()).unwrap());
    let own = tokio::spawn({
        let (kit, request) = (Arc::clone(&kit), ask());
        async move { kit.send_internal(request).await }
    });
    let other = {
        let request = ask();
        tokio::spawn(async move { send(&internal, request).await })
    };
    kit.until_metric(WAITING, "2").await;
    publish(&kit, "a").await;
    for task in [own, other] {
        let answer = tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
        assert_eq!(answer.json()["events"][0]["session"], "a");
    }
    assert_eq!(kit.metric(WAITING), "0");
    drop(twin);
}

#[tokio::test]
async fn the_time_limit_of_requests_cuts_no_poll() {
    let kit = Kit::with("server: { request_timeout_seconds: 1 }");
    let head = kit.head().await;
    let told = kit.feed(&format!("?after={head}&wait=2")).await;
    assert_eq!((told.as_of, told.events.len(), told.reset), (head, 0, false));
}

#[tokio::test]
async fn waiting_polls_are_bounded_and_a_stop_ends_them_all() {
    let kit = Arc::new(Kit::new());
    let head = kit.head().await;
    let polls: Vec<_> = (0..MOST_WAITING)
        .map(|_| {
            let app = Arc::clone(&kit.app);
            tokio::spawn(async move { app.feed.poll(Some(head), 30).await })
        })
        .collect();
    kit.until_metric(WAITING, &MOST_WAITING.to_string()).await;
    let refused = kit.revocations(&format!("?after={head}&wait=30")).await;
    refused.expect(503, "temporarily_unavailable");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(kit.feed(&format!("?after={head}")).await.as_of, head, "who does not wait may ask");
    kit.app.feed.close();
    let end = async {
        for poll in polls {
            assert_eq!(poll.await.unwrap().unwrap().as_of, head);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), end).await.unwrap();
    let query = format!("?after={head}&wait=30");
    tokio::time::timeout(Duration::from_secs(10), kit.feed(&query)).await.unwrap();
}

#[tokio::test]
async fn a_malformed_question_is_refused() {
    let kit = Kit::new();
    for query in [
        "?after=x",
        "?after=-1",
        "?after=1.5",
        "?after=1&after=2",
        "?after=1&wait=soon",
        "?wait=-1",
    ] {
        kit.revocations(query).await.expect(400, "invalid_request");
    }
    assert_eq!(kit.feed("?after=&wait=").await.events.len(), 0, "empty is absent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_two_instances_have_one_order_and_none_is_lost() {
    let kit = Arc::new(Kit::new());
    let mut sessions = Vec::new();
    for _ in 0..40 {
        sessions.push(kit.tokens().await);
    }
    let head = kit.head().await;
    let (twin, _) = kit.twin();
    let tasks: Vec<_> = sessions
        .iter()
        .enumerate()
        .map(|(position, tokens)| {
            let token = text(tokens, "refresh_token");
            let app = Arc::clone(if position % 2 == 0 { &kit.app } else { &twin });
            tokio::spawn(async move {
                let client = app.settings.clients.get("mcp-public-client").unwrap();
                app.grants.revoke_token(client, &token).await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    let told = kit.feed(&format!("?after={head}")).await;
    let numbers: Vec<_> = told.events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (head + 1..=head + 40).collect::<Vec<_>>());
    for tokens in &sessions {
        assert_eq!(kit.introspect(&text(tokens, "access_token")).await["active"], false);
    }
}

#[tokio::test]
async fn the_feed_outlives_a_rotation_of_the_sealing_keys() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let kit = Kit::new();
    let head = kit.head().await;
    publish(&kit, "a").await;
    let settings = kit.settings.clone();
    std::fs::write(kit.folder.path().join("new-key"), STANDARD.encode([6; 32])).unwrap();
    let new = format!("id: k2, file: \"{}\"", kit.folder.path().join("new-key").display());
    let old = settings.split_once("sealing: { keys: [ { ").unwrap().1.split_once(" }").unwrap().0;
    let kit = kit.restarted_with(settings.replace(old, &new));
    let told = kit.feed(&format!("?after={head}")).await;
    assert!(told.reset, "an event that cannot be read may have been anything");
    assert_eq!(told.as_of, head + 1);
    publish(&kit, "b").await;
    assert_eq!(kit.feed(&format!("?after={}", head + 1)).await.events, [event(head + 2, "b")]);
    assert!(told.as_of >= NOW * 1000);
}
