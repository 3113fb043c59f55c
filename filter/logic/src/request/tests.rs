//! The request phase over the mock world: hits, misses, and what a decision lets through.

mod faults;
mod refused;

use serde_json::json;

use crate::{
    Counter, Note,
    host::mock::{
        PATH, SID, World, active_answer, active_with, generation, get_request, map, replaced,
        request, sid_of, token_named,
    },
    policy::{NoteMode, TokenFormat},
};

#[test]
fn a_miss_asks_once_waits_and_goes_upstream_with_the_session() {
    let world = World::new();
    let stream = world.get("token");
    assert_eq!(world.sent().len(), 1);
    assert!(world.is_waiting(stream) && !world.is_upstream(stream));
    world.answer(world.last_callout().id, &active_answer(SID));
    assert!(world.is_upstream(stream));
    assert_eq!(world.request_values(stream, ":path"), ["/api/3.0.0/x?y"]);
    assert_eq!(world.request_values(stream, ":authority"), ["company.intelligencebank.com"]);
    assert_eq!(world.request_values(stream, ":scheme"), ["https"]);
    assert_eq!(world.request_values(stream, "sid"), [SID]);
    assert!(world.request_values(stream, "authorization").is_empty());
    assert_eq!(world.count_of(Counter::CacheMiss), 1);
    assert_eq!(world.count_of(Counter::IntrospectionActive), 1);
    assert_eq!(world.count_of(Counter::RequestApproved), 1);
    assert_eq!(world.notes(stream, Note::Cache), ["miss"]);
}

#[test]
fn a_hit_goes_upstream_without_a_callout() {
    let world = World::knowing("token", &active_answer(SID));
    let stream = world.get("token");
    assert!(world.is_upstream(stream));
    assert_eq!(world.sent().len(), 1, "the one that was asked before");
    assert_eq!(world.request_values(stream, "sid"), [SID]);
    assert_eq!(world.count_of(Counter::CacheHit), 1);
    assert!(world.notes(stream, Note::Cache).is_empty());
    let other = world.get("Token");
    assert!(world.is_waiting(other), "another token is another token");
    assert_eq!(world.sent().len(), 2);
}

#[test]
fn where_every_stream_is_noted_the_access_log_reads_the_same_of_a_token_each_time_and_no_secret() {
    let world = World::with(|policy| policy.notes = NoteMode::All);
    let miss = world.get("token");
    world.answer(world.last_callout().id, &active_answer(SID));
    let note = world.notes(miss, Note::Decision);
    let [note] = note.as_slice() else { panic!("one note") };
    assert!(note.starts_with("approved client=test-client subject="), "{note}");
    for secret in [SID, "user-1", &token_named("token")] {
        assert!(!note.contains(secret));
    }
    for _ in 0..3 {
        assert_eq!(world.notes(world.get("token"), Note::Decision), [note.as_str()]);
    }
    world.failing.set("set_note");
    assert_eq!(world.status(world.get("token")), Some(503), "not unnoted either");
}

#[test]
fn what_a_client_cannot_send_marks_an_approved_request() {
    let world = World::knowing("token", &active_answer(SID));
    let stream = world.get("token");
    assert!(world.notes(stream, Note::Decision).is_empty(), "which would cost each request");
    assert!(world.request_values(stream, "x-ib-gateway").is_empty());
    // A session of another kind of upstream.
    let machine =
        active_with(json!({"upstream.headers": {"authorization": "bearer machine-token"}}));
    let world = World::knowing("token", &machine);
    let stream = world.get("token");
    assert_eq!(world.request_values(stream, "x-ib-gateway"), ["approved"]);
    assert_eq!(world.request_values(stream, "authorization"), ["bearer machine-token"]);
}

#[test]
fn an_approved_request_says_whose_it_is_and_no_client_can_say_so_itself() {
    let forged = |token: &str| {
        let authorization = format!("Bearer {token}");
        map(&[
            (":method", b"GET"),
            (":path", PATH.as_bytes()),
            ("authorization", authorization.as_bytes()),
            ("x-ib-gateway-user", b"another"),
            ("x-ib-gateway-user", b"yet-another"),
            ("x-ib-gateway-client", b"another"),
        ])
    };
    let answer = active_with(json!({"client_id": "desk-app", "sub": "user-1"}));
    let world = World::with(|policy| policy.names_callers = true);
    let asked_about = world.open(forged(&token_named("token")), true);
    world.answer(world.last_callout().id, &answer);
    let hits = [world.get("token"), world.open(forged(&token_named("token")), true)];
    for stream in [asked_about].into_iter().chain(hits) {
        assert_eq!(world.request_values(stream, "x-ib-gateway-client"), ["desk-app"]);
        let users = world.request_values(stream, "x-ib-gateway-user");
        let [user] = users.as_slice() else { panic!("{users:?}") };
        assert!(user.len() == 16 && !user.contains("another"), "{user}");
    }
    let world = World::knowing("token", &answer);
    let stream = world.open(forged(&token_named("token")), true);
    for name in ["x-ib-gateway-client", "x-ib-gateway-user"] {
        assert!(world.request_values(stream, name).is_empty(), "{name}");
    }
}

#[test]
fn a_signed_token_that_jwt_authn_has_not_seen_is_not_asked_about() {
    let world = World::with(|policy| policy.token_format = TokenFormat::Jwt);
    let send = |scheme: &str| {
        let value = format!("{scheme}a.b.c");
        let path = (":path", PATH.as_bytes());
        world.open(map(&[(":method", b"GET"), path, ("authorization", value.as_bytes())]), true)
    };
    for scheme in ["bEARER ", "BeareR ", " Bearer "] {
        assert_eq!(world.status(send(scheme)), Some(401), "{scheme}");
    }
    assert!(world.sent().is_empty());
    for scheme in ["Bearer ", "bearer ", "BEARER "] {
        assert!(world.is_waiting(send(scheme)), "{scheme}");
    }
}

#[test]
fn a_cached_approval_ends_though_it_is_used_all_the_time() {
    let world = World::knowing("token", &active_answer(SID));
    for (pause, is_hit) in [(0, true), (20, true), (20, true), (19, true), (1, false)] {
        world.pass(pause);
        assert_eq!(world.is_upstream(world.get("token")), is_hit);
        assert_eq!(world.under_way().len(), usize::from(!is_hit));
    }
}

#[test]
fn a_refused_token_is_refused_from_memory_for_a_short_while() {
    let world = World::new();
    let stream = world.get("bad");
    world.answer(world.last_callout().id, &json!({"active": false}));
    let invalid = (401, "Invalid or expired access token".to_owned());
    assert_eq!(world.refusal(stream), invalid);
    world.pass_milliseconds(4_999);
    assert_eq!(world.refusal(world.get("bad")), invalid);
    assert_eq!(world.sent().len(), 1);
    assert_eq!(world.count_of(Counter::CacheRefused), 1);
    world.pass_milliseconds(1);
    assert!(world.is_waiting(world.get("bad")));
    assert_eq!(world.sent().len(), 2);
}

#[test]
fn a_client_whose_session_is_over_reads_the_words_that_it_matches() {
    let over = json!({"upstream.expires_in": 0});
    let after_attempts = json!({"upstream.expires_in": 0, "upstream.refresh_limit_exceeded": true});
    let reason = |reason: &str| json!({"active": false, "reason": reason});
    for (answer, description) in [
        (reason("session_expired"), "Session has expired"),
        (reason("refresh_limit_exceeded"), "Session refresh limit exceeded"),
        (reason("some_newer_reason"), "Invalid or expired access token"),
        (active_with(over), "Session has expired"),
        (active_with(after_attempts), "Session refresh limit exceeded"),
    ] {
        let world = World::new();
        let first = world.get("token");
        world.answer(world.last_callout().id, &answer);
        for stream in [first, world.get("token")] {
            let answer = world.client(stream).unwrap();
            assert_eq!(answer.status, 401);
            let body = json!({"error": "invalid_token", "error_description": description});
            assert_eq!(answer.json(), body);
            assert!(!world.is_upstream(stream) && world.is_untouched(stream));
        }
    }
}

#[test]
fn a_session_that_runs_out_while_it_is_cached_is_not_used_any_more() {
    let world = World::knowing("token", &active_with(json!({"upstream.expires_in": 10})));
    world.pass(10);
    let stream = world.get("token");
    assert!(world.is_waiting(stream));
    let over = json!({"active": false, "reason": "session_expired"});
    world.answer(world.last_callout().id, &over);
    assert_eq!(world.refusal(stream), (401, "Session has expired".to_owned()));
}

#[test]
fn a_token_that_shares_a_session_learns_from_another_tokens_answer_that_it_is_over_sooner() {
    let world = World::knowing("one", &active_answer(SID));
    world.learn("two", &active_with(json!({"upstream.expires_in": 10})));
    world.pass(10);
    assert_eq!(world.refusal(world.get("one")), (401, "Session has expired".to_owned()));
}

#[test]
fn tokens_of_one_session_go_with_its_newest_generation_whichever_token_brought_it() {
    let world = World::knowing("one", &generation(1));
    world.learn("two", &generation(2));
    assert_eq!(world.request_values(world.get("one"), "sid"), [sid_of(2)]);
    // An answer that was on its way for long takes nothing back.
    world.learn("three", &generation(1));
    for name in ["one", "two", "three"] {
        assert_eq!(world.request_values(world.get(name), "sid"), [sid_of(2)], "{name}");
    }
}

#[test]
fn the_session_goes_to_its_own_hosts_only() {
    let world = World::knowing("token", &active_answer(SID));
    for host in ["other.intelligencebank.com", "remax-cca.com"] {
        let stream = world.open(get_request(&format!("/proxy/{host}/x"), "token"), true);
        let (status, description) = world.refusal(stream);
        assert_eq!(status, 403);
        assert_eq!(world.client(stream).unwrap().json()["error"], "access_denied");
        assert!(description.contains(host));
        assert!(!world.is_upstream(stream) && world.is_untouched(stream));
    }
    for path in ["/proxy/apiv3.intelligencebank.com/", "/proxy/COMPANY.intelligencebank.com./"] {
        let stream = world.open(get_request(path, "token"), true);
        assert_eq!(world.request_values(stream, "sid"), [SID]);
    }
}

#[test]
fn a_request_elsewhere_is_left_alone_whatever_it_holds() {
    let world = World::new();
    for path in ["/authorize", "/%70roxy/company.intelligencebank.com/", "/", "*"] {
        let headers = replaced(&get_request(path, "token"), "upgrade", b"websocket");
        let stream = world.open(replaced(&headers, "authorization", b"\xff"), true);
        assert!(!world.is_upstream(stream) && world.is_untouched(stream));
        assert!(world.client(stream).is_none() && !world.is_waiting(stream));
        assert!(world.notes(stream, Note::Decision).is_empty());
    }
    let connect = world.open(crate::host::mock::map(&[(":method", b"CONNECT")]), true);
    assert!(!world.is_upstream(connect) && !world.is_waiting(connect));
    for counter in Counter::ALL {
        assert_eq!(world.count_of(counter), 0, "{}", counter.name());
    }
}

#[test]
fn every_plain_method_goes_upstream_as_it_is() {
    let world = World::knowing("token", &active_answer(SID));
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let stream = world.open(request(method, PATH, &token_named("token")), true);
        assert!(world.is_upstream(stream));
        assert_eq!(world.request_values(stream, ":method"), [method]);
    }
}

#[test]
fn a_stage_prefix_works_like_the_prefix_itself() {
    let world = World::with(|policy| policy.prefixes = vec!["/dev/proxy/".to_owned()]);
    let stream = world.open(get_request(&format!("/dev{PATH}"), "token"), true);
    world.answer(world.last_callout().id, &active_answer(SID));
    assert_eq!(world.request_values(stream, ":path"), ["/api/3.0.0/x?y"]);
    let bare = world.get("token");
    assert!(!world.is_upstream(bare) && world.client(bare).is_none(), "not configured");
}

#[test]
fn no_trailer_goes_upstream() {
    let world = World::knowing("token", &active_answer(SID));
    let stream = world.open(get_request(PATH, "token"), false);
    assert_eq!(world.send_trailers(stream), crate::TrailersFlow::Continue);
    assert!(world.dropped_trailers(stream).0);
    let elsewhere = world.open(get_request("/x", "token"), false);
    assert_eq!(world.send_trailers(elsewhere), crate::TrailersFlow::Continue);
    assert!(!world.dropped_trailers(elsewhere).0);
}

#[test]
fn a_machine_client_whose_upstreams_token_ran_out_waits_for_the_next_and_is_never_told_to_log_in() {
    let token = |generation: u64, seconds: u64| {
        let value = format!("bearer machine-token-{generation}");
        active_with(json!({
            "upstream.generation": generation, "upstream.expires_in": seconds,
            "upstream.headers": {"authorization": value},
        }))
    };
    let world = World::knowing("token", &token(1, 300));
    // The answer about another token says that the shared one ends sooner.
    world.learn("other", &token(1, 1));
    world.pass_milliseconds(2_000);
    let stream = world.get("token");
    assert!(world.is_waiting(stream), "the service is asked");
    world.answer(world.last_callout().id, &token(2, 300));
    assert!(world.is_upstream(stream));
    assert_eq!(world.request_values(stream, "authorization"), ["bearer machine-token-2"]);
    // One that is over as it arrives is no reason for 401 either, and the next request asks again.
    world.learn("other", &token(2, 1));
    world.pass_milliseconds(2_000);
    for _ in 0..2 {
        let stream = world.get("token");
        assert!(world.is_waiting(stream));
        world.answer(world.last_callout().id, &token(2, 0));
        assert_eq!(world.status(stream), Some(503));
    }
}
