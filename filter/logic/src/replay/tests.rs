//! Answers that say that the session is dead, from the rejection to what the client gets.

mod bounds;
mod held;
mod joined;
mod not_found;
mod revoked;

use serde_json::json;

use crate::{
    BodyFlow, CalloutId, Counter, HeadersFlow, Histogram, StreamId,
    host::mock::{
        PATH, SID, SentCallout, World, active_answer, active_with, extended, generation,
        get_request, request, sid_of, token_named,
    },
    policy::IdentityAskedBy,
};

/// The upstream's own words about a dead session.
const DEAD: &[u8] = br#"{"message":"session is dead"}"#;

/// A world that knows `token`.
fn world() -> World {
    World::knowing("token", &active_answer(SID))
}

/// A request of a method with `token`, on its way upstream, its body included.
fn send(world: &World, method: &str, body: &[u8]) -> StreamId {
    let headers = request(method, PATH, &token_named("token"));
    let stream = world.open(headers, body.is_empty());
    assert!(world.is_upstream(stream));
    if !body.is_empty() {
        world.send_body(stream, body, true);
    }
    stream
}

/// The upstream rejects the session: 401 with a body.
fn reject(world: &World, stream: StreamId) {
    let headers = [(":status", b"401".as_slice()), ("content-type", b"application/json")];
    assert_eq!(world.respond(stream, &headers, false), HeadersFlow::Hold);
    assert_eq!(world.respond_body(stream, DEAD, true), BodyFlow::Buffer);
    assert!(world.is_waiting(stream));
}

/// A GET request whose session was rejected.
fn rejected(world: &World) -> StreamId {
    let stream = send(world, "GET", b"");
    reject(world, stream);
    stream
}

fn renewal(world: &World) -> CalloutId {
    let all = world.under_way();
    all.iter().find(|sent| sent.path == "/sessions/renew").expect("a renewal").id
}

fn replays(world: &World) -> Vec<SentCallout> {
    let sent = world.sent().into_iter();
    sent.filter(|callout| callout.cluster == world.gateway.policy.replay.cluster).collect()
}

fn replay(world: &World) -> SentCallout {
    replays(world).pop().expect("a replay")
}

/// The upstream's answer to a request that was sent again.
fn replay_answer(world: &World, status: &str, body: &[u8]) {
    let headers = [(":status", status), ("content-type", "application/json"), ("etag", "\"x\"")];
    world.answer_with(replay(world).id, &headers, body);
}

#[test]
fn a_client_whose_session_died_gets_its_answer_all_the_same() {
    let world = world();
    let stream = rejected(&world);
    let asked = world.last_callout();
    assert_eq!(asked.field("cause"), Some("rejected"));
    assert_eq!(asked.field("generation"), Some("1"));
    assert_eq!(asked.field("session"), Some("s1"));
    world.answer(renewal(&world), &generation(2));
    assert!(world.is_waiting(stream));
    let again = replay(&world);
    assert_eq!(again.header("sid"), Some(sid_of(2).as_str()));
    assert_eq!(again.header(":method"), Some("GET"));
    assert_eq!(again.header(":path"), Some("/api/3.0.0/x?y"));
    assert_eq!(again.header(":authority"), Some("company.intelligencebank.com"));
    assert_eq!(again.header("authorization"), None);
    assert_eq!(again.header("accept-encoding"), Some("identity"));
    world.pass_milliseconds(40);
    replay_answer(&world, "200", br#"{"name":"x"}"#);
    let answer = world.client(stream).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, br#"{"name":"x"}"#.as_slice()));
    assert_eq!(answer.header("etag"), Some("\"x\""));
    assert_eq!(answer.header("content-length"), Some("12"));
    assert_eq!(world.count_of(Counter::RenewalRejectedRenewed), 1);
    assert_eq!(world.count_of(Counter::ReplayAnswered), 1);
    assert_eq!(world.observed(Histogram::ReplayMilliseconds), [40]);
    assert_eq!(world.request_values(world.get("token"), "sid"), [sid_of(2)]);
}

#[test]
fn where_routes_ask_for_answers_that_can_be_searched_a_callout_which_has_none_asks_itself() {
    let world = World::with(|policy| policy.identity = IdentityAskedBy::Route);
    world.learn("token", &active_answer(SID));
    let headers = [("accept-encoding", b"gzip".as_slice())];
    let stream = world.open(extended(&get_request(PATH, "token"), &headers), true);
    assert_eq!(world.request_values(stream, "accept-encoding"), ["gzip"], "the route replaces it");
    reject(&world, stream);
    world.answer(renewal(&world), &generation(2));
    assert_eq!(replay(&world).header("accept-encoding"), Some("identity"));
}

#[test]
fn a_post_is_sent_again_with_the_very_body_that_was_kept_of_it() {
    let world = world();
    let stream = world.open(request("POST", PATH, &token_named("token")), false);
    for (piece, is_last) in [(b"first ".as_slice(), false), (b"second", false), (b"", true)] {
        world.send_body(stream, piece, is_last);
    }
    reject(&world, stream);
    world.answer(renewal(&world), &generation(2));
    let again = replay(&world);
    assert_eq!((again.header(":method"), again.body.as_str()), (Some("POST"), "first second"));
    replay_answer(&world, "201", b"{}");
    assert_eq!(world.status(stream), Some(201));
}

#[test]
fn a_post_that_ended_with_trailers_is_sent_again_without_them() {
    let world = world();
    let stream = world.open(request("POST", PATH, &token_named("token")), false);
    world.send_body(stream, b"body", false);
    let _flow = world.send_trailers(stream);
    reject(&world, stream);
    world.answer(renewal(&world), &generation(2));
    assert_eq!(replay(&world).body, "body");
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(stream), Some(200));
}

#[test]
fn what_frames_the_first_request_is_not_repeated_in_the_second() {
    let world = world();
    let headers = request("PUT", PATH, &token_named("token"));
    let extra: [(&str, &[u8]); 5] = [
        ("content-length", b"4"),
        ("expect", b"100-continue"),
        ("x-forwarded-proto", b"https"),
        ("content-type", b"text/plain"),
        ("cookie", b"c"),
    ];
    let stream = world.open(crate::host::mock::extended(&headers, &extra), false);
    world.send_body(stream, b"body", true);
    reject(&world, stream);
    world.answer(renewal(&world), &generation(2));
    let again = replay(&world);
    for name in ["content-length", "expect", "x-forwarded-proto", "cookie"] {
        assert_eq!(again.header(name), None, "{name}");
    }
    assert_eq!(again.header("content-type"), Some("text/plain"));
}

#[test]
fn an_answer_without_a_body_is_replaced_as_well() {
    let world = world();
    let stream = send(&world, "GET", b"");
    assert_eq!(world.respond(stream, &[(":status", b"401")], true), HeadersFlow::Pause);
    world.answer(renewal(&world), &generation(2));
    replay_answer(&world, "200", b"body");
    let answer = world.client(stream).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"body".as_slice()));
    // And by an answer that has none either.
    let stream = send(&world, "DELETE", b"");
    assert_eq!(world.respond(stream, &[(":status", b"401")], true), HeadersFlow::Pause);
    world.answer(renewal(&world), &generation(3));
    world.answer_with(replay(&world).id, &[(":status", "204")], b"");
    let answer = world.client(stream).unwrap();
    assert_eq!((answer.status, answer.body.len()), (204, 0));
}

#[test]
fn a_head_request_gets_headers_with_the_length_that_a_body_would_have() {
    let world = world();
    let stream = send(&world, "HEAD", b"");
    assert_eq!(world.respond(stream, &[(":status", b"401")], true), HeadersFlow::Pause);
    world.answer(renewal(&world), &generation(2));
    let headers = [(":status", "200"), ("content-length", "1234")];
    world.answer_with(replay(&world).id, &headers, b"");
    let answer = world.client(stream).unwrap();
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("1234")));
    assert!(answer.body.is_empty());
    // A refusal has no body for it either.
    let stream = send(&world, "HEAD", b"");
    assert_eq!(world.respond(stream, &[(":status", b"401")], true), HeadersFlow::Pause);
    world.no_answer(renewal(&world));
    let answer = world.client(stream).unwrap();
    assert_eq!((answer.status, answer.body.len()), (503, 0));
}

#[test]
fn where_nothing_newer_comes_the_client_logs_in_again() {
    let exceeded = crate::host::mock::active_with(json!({"upstream.refresh_limit_exceeded": true}));
    let reason = |reason: &str| json!({"active": false, "reason": reason});
    for (answer, description) in [
        (generation(1), "Session has expired"),
        (exceeded, "Session refresh limit exceeded"),
        (reason("session_expired"), "Session has expired"),
        (reason("refresh_limit_exceeded"), "Session refresh limit exceeded"),
        // Its own token has ended: the client refreshes it.
        (reason("invalid_token"), "Invalid or expired access token"),
    ] {
        let world = world();
        let stream = rejected(&world);
        world.answer(renewal(&world), &answer);
        assert_eq!(world.refusal(stream), (401, description.to_owned()));
        let got = world.client(stream).unwrap();
        assert!(
            got.header("www-authenticate").unwrap().starts_with("Bearer error=\"invalid_token\"")
        );
        assert_eq!(got.header("content-length"), Some(got.body.len().to_string().as_str()));
        assert!(replays(&world).is_empty());
        assert_eq!(world.count_of(Counter::RenewalRejectedUnchanged), 1);
        // Session or token are over: the next request asks the service, and goes nowhere before.
        assert!(world.is_waiting(world.get("token")));
    }
}

#[test]
fn an_outage_of_the_service_is_a_503_and_the_session_is_not_over_by_it() {
    for is_sent in [true, false] {
        let world = world();
        let stream = send(&world, "GET", b"");
        if is_sent {
            reject(&world, stream);
            world.no_answer(renewal(&world));
        } else {
            world.failing.set("dispatch");
            world.respond_whole(stream, "401", DEAD);
            world.failing.set("");
        }
        let answer = world.client(stream).unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert!(world.is_upstream(world.get("token")), "the next one tries again");
        assert_eq!(world.count_of(Counter::RenewalRejectedFailed), 1);
    }
}

#[test]
fn a_new_session_that_is_dead_as_well_is_not_tried_a_third_time() {
    let world = world();
    let stream = rejected(&world);
    world.answer(renewal(&world), &generation(2));
    replay_answer(&world, "401", DEAD);
    assert_eq!(world.refusal(stream), (401, "Session has expired".to_owned()));
    assert_eq!((replays(&world).len(), world.sent_to("/sessions/renew").len()), (1, 1));
}

#[test]
fn a_client_is_not_told_to_log_in_again_where_the_credential_is_the_operators() {
    let token = |number: u64| {
        let value = format!("bearer machine-token-{number}");
        active_with(json!({
            "upstream.generation": number, "upstream.headers": {"authorization": value},
        }))
    };
    let world = World::knowing("token", &token(1));
    let stream = rejected(&world);
    world.answer(renewal(&world), &token(2));
    let sent = replay(&world);
    assert_eq!(sent.header("authorization"), Some("bearer machine-token-2"));
    replay_answer(&world, "401", DEAD);
    assert_eq!(world.status(stream), Some(503));
    assert_eq!((replays(&world).len(), world.sent_to("/sessions/renew").len()), (1, 1));
    // Nor where the service has nothing newer.
    let world = World::knowing("token", &token(1));
    let stream = rejected(&world);
    world.answer(renewal(&world), &token(1));
    assert_eq!(world.status(stream), Some(503));
    // Nor where the newer one is over before the request could be sent again, or somebody has ended it.
    let over = json!({
        "upstream.generation": 2, "upstream.expires_in": 0,
        "upstream.headers": {"authorization": "bearer machine-token-2"},
    });
    for ends in [false, true] {
        let world = World::knowing("token", &token(1));
        let stream = send(&world, "GET", b"");
        world.learn("other", &if ends { token(2) } else { active_with(over.clone()) });
        if ends {
            world.gateway.sessions.borrow().get("s1").unwrap().end();
        }
        world.respond_whole(stream, "401", DEAD);
        assert_eq!(world.status(stream), Some(503), "{ends}");
        assert!(replays(&world).is_empty());
    }
}

#[test]
fn a_replay_without_an_answer_is_a_503_and_nothing_of_the_upstreams_first_answer_is_shown() {
    let world = world();
    let stream = rejected(&world);
    world.answer(renewal(&world), &generation(2));
    world.no_answer(replay(&world).id);
    let answer = world.client(stream).unwrap();
    assert_eq!(answer.status, 503);
    assert!(!answer.body.windows(4).any(|part| part == b"dead"));
    assert_eq!(world.count_of(Counter::ReplayFailed), 1);
}

#[test]
fn a_stream_that_went_with_an_older_session_is_sent_again_at_once() {
    let world = world();
    let stream = send(&world, "GET", b"");
    // Meanwhile the answer about another token brought a newer generation.
    world.learn("other", &generation(2));
    reject(&world, stream);
    assert!(world.sent_to("/sessions/renew").is_empty());
    assert_eq!(replay(&world).header("sid"), Some(sid_of(2).as_str()));
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(stream), Some(200));
}

#[test]
fn an_answer_with_any_other_status_reaches_the_client_byte_for_byte() {
    let bodies: [&[u8]; 2] = [br#"{"message":"forbidden"}"#, b"resource has expired"];
    for status in ["200", "204", "302", "400", "402", "403", "409", "429", "500", "503"] {
        for body in bodies {
            let world = world();
            let stream = send(&world, "GET", b"");
            world.respond_whole(stream, status, body);
            let answer = world.client(stream).unwrap();
            assert_eq!(answer.status.to_string(), status);
            assert_eq!(answer.body, body, "{status}");
            assert!(!world.is_response_rewritten(stream) && world.under_way().is_empty());
        }
    }
}

#[test]
fn a_client_that_goes_away_while_its_answer_is_held_leaves_nothing_behind() {
    // Before the renewal's answer.
    let world = world();
    let stream = rejected(&world);
    world.end(stream);
    assert_eq!(world.gauge(crate::Gauge::WaitingStreams), 0);
    world.answer(renewal(&world), &generation(2));
    assert!(replays(&world).is_empty(), "nobody would read the answer");
    // Before the replay's.
    let stream = rejected(&world);
    world.answer(renewal(&world), &generation(3));
    world.end(stream);
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.client(stream), None);
    assert_eq!(world.gauge(crate::Gauge::Callouts), 0);
    assert_eq!(world.request_values(world.get("token"), "sid"), [sid_of(3)]);
}
