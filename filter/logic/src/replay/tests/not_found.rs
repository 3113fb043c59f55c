//! IntelligenceBank's 404 "resource has expired", and every other 404.

use super::{renewal, replay_answer, replays, send, world};
use crate::{
    BodyFlow, Counter, HeadersFlow, StreamId, TrailersFlow,
    host::mock::{SID, World, generation, sid_of},
};

const GONE: &[u8] = br#"{"message":"The Resource has expired."}"#;
const PLAIN: &[u8] = br#"{"message":"no such file","sid":"none"}"#;
const JSON_404: [(&str, &[u8]); 2] = [(":status", b"404"), ("content-type", b"application/json")];

/// The upstream answers 404 with a body in these pieces.
fn not_found(world: &World, stream: StreamId, pieces: &[&[u8]]) -> BodyFlow {
    assert_eq!(world.respond(stream, &JSON_404, false), HeadersFlow::Hold);
    let (last, first) = pieces.split_last().unwrap();
    for piece in first {
        assert_eq!(world.respond_body(stream, piece, false), BodyFlow::Buffer);
    }
    world.respond_body(stream, last, true)
}

#[test]
fn a_404_that_says_that_the_session_is_gone_is_answered_with_a_new_session() {
    for pieces in [vec![GONE], GONE.chunks(1).collect(), vec![GONE, b""]] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
            let world = world();
            let stream = send(&world, method, b"");
            assert_eq!(not_found(&world, stream, &pieces), BodyFlow::Buffer);
            world.answer(renewal(&world), &generation(2));
            replay_answer(&world, "200", b"{}");
            assert_eq!(world.status(stream), Some(200), "{method}");
        }
    }
}

#[test]
fn where_nothing_newer_comes_the_client_logs_in_again() {
    let world = world();
    let stream = send(&world, "GET", b"");
    assert_eq!(not_found(&world, stream, &[GONE]), BodyFlow::Buffer);
    world.answer(renewal(&world), &generation(1));
    assert_eq!(world.refusal(stream), (401, "Session has expired".to_owned()));
}

#[test]
fn a_stream_that_went_with_an_older_session_is_sent_again_at_once() {
    let world = world();
    let stream = send(&world, "GET", b"");
    world.learn("other", &generation(2));
    assert_eq!(not_found(&world, stream, &[GONE]), BodyFlow::Buffer);
    assert!(world.sent_to("/sessions/renew").is_empty());
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(stream), Some(200));
}

#[test]
fn a_post_is_not_repeated_after_a_404_but_the_next_one_goes_with_a_new_session() {
    for method in ["POST", "PATCH"] {
        let world = world();
        let stream = send(&world, method, b"body");
        let another = send(&world, method, b"body");
        for stream in [stream, another] {
            assert_eq!(not_found(&world, stream, &[GONE]), BodyFlow::Continue);
            let answer = world.client(stream).unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (404, GONE));
        }
        assert!(replays(&world).is_empty());
        assert_eq!(world.count_of(Counter::ReplayImpossible), 2);
        let asked = world.sent_to("/sessions/renew");
        assert_eq!(asked.len(), 1, "one renewal for both");
        assert_eq!(asked[0].field("cause"), Some("rejected"));
        world.answer(asked[0].id, &generation(2));
        let next = send(&world, method, b"body");
        assert_eq!(world.request_values(next, "sid"), [sid_of(2)]);
    }
}

#[test]
fn where_a_new_session_cannot_be_asked_for_after_a_post_the_service_is_asked_before_the_next() {
    let world = world();
    let stream = send(&world, "POST", b"body");
    world.failing.set("dispatch");
    assert_eq!(not_found(&world, stream, &[GONE]), BodyFlow::Continue);
    world.failing.set("");
    assert!(world.is_waiting(world.get("token")));
    assert_eq!(world.last_callout().path, "/introspect");
}

#[test]
fn past_the_places_for_rejected_streams_the_404_is_the_clients() {
    let world = World::with(|policy| policy.token_service.maximum_waiting = 1);
    world.learn("token", &generation(1));
    let (held, stream) = (send(&world, "GET", b""), send(&world, "GET", b""));
    assert_eq!(not_found(&world, held, &[GONE]), BodyFlow::Buffer);
    assert!(world.is_waiting(world.get("unknown")), "who waits for a token has another place");
    assert_eq!(not_found(&world, stream, &[GONE]), BodyFlow::Continue);
    assert_eq!(world.client(stream).unwrap().body, GONE);
}

#[test]
fn a_plain_404_reaches_the_client_byte_for_byte() {
    for pieces in [vec![PLAIN], PLAIN.chunks(7).collect(), vec![PLAIN, b""], vec![b"".as_slice()]] {
        let world = world();
        let stream = send(&world, "GET", b"");
        assert_eq!(not_found(&world, stream, &pieces), BodyFlow::Continue);
        let answer = world.client(stream).unwrap();
        assert_eq!((answer.status, answer.body), (404, pieces.concat()));
        assert!(!world.is_response_rewritten(stream) && world.under_way().is_empty());
        assert!(world.is_upstream(world.get("token")));
    }
}

#[test]
fn a_404_without_a_body_or_of_another_type_is_not_even_held() {
    let world = world();
    let stream = send(&world, "GET", b"");
    assert_eq!(world.respond(stream, &JSON_404, true), HeadersFlow::Continue);
    for content_type in [b"text/html".as_slice(), b"image/png"] {
        let stream = send(&world, "GET", b"");
        let headers = [(":status", b"404".as_slice()), ("content-type", content_type)];
        assert_eq!(world.respond(stream, &headers, false), HeadersFlow::Continue);
        assert_eq!(world.respond_body(stream, GONE, true), BodyFlow::Continue);
        assert_eq!(world.client(stream).unwrap().body, GONE);
    }
    assert!(world.under_way().is_empty());
}

#[test]
fn a_404_of_a_type_that_errors_come_in_is_read() {
    for content_type in
        [b"application/json; charset=utf-8".as_slice(), b"Application/Problem+JSON", b"text/plain"]
    {
        let world = world();
        let stream = send(&world, "GET", b"");
        let headers = [(":status", b"404".as_slice()), ("content-type", content_type)];
        assert_eq!(world.respond(stream, &headers, false), HeadersFlow::Hold);
        assert_eq!(world.respond_body(stream, GONE, true), BodyFlow::Buffer);
    }
    let world = world();
    let stream = send(&world, "GET", b"");
    assert_eq!(world.respond(stream, &[(":status", b"404")], false), HeadersFlow::Hold);
}

#[test]
fn a_404_too_long_to_be_that_error_goes_on_as_soon_as_that_is_known() {
    let world = world();
    let stream = send(&world, "GET", b"");
    assert_eq!(world.respond(stream, &JSON_404, false), HeadersFlow::Hold);
    let long = [b" ".repeat(4096 - GONE.len()), GONE.to_vec()].concat();
    assert_eq!(world.respond_body(stream, &long, false), BodyFlow::Buffer);
    assert_eq!(world.respond_body(stream, b" ", false), BodyFlow::Continue);
    assert_eq!(world.respond_body(stream, b"end", true), BodyFlow::Continue);
    assert_eq!(world.client(stream).unwrap().body, [long.as_slice(), b" end"].concat());
    assert!(world.under_way().is_empty());
}

#[test]
fn a_404_that_ends_with_trailers_is_read_like_any_other() {
    let world = world();
    let stream = send(&world, "GET", b"");
    assert_eq!(world.respond(stream, &JSON_404, false), HeadersFlow::Hold);
    assert_eq!(world.respond_body(stream, GONE, false), BodyFlow::Buffer);
    assert_eq!(world.respond_trailers(stream), TrailersFlow::Pause);
    world.answer(renewal(&world), &generation(2));
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(stream), Some(200));
}

#[test]
fn a_plain_404_that_ends_with_trailers_is_cleaned_before_it_goes_on() {
    let world = world();
    let stream = send(&world, "GET", b"");
    let headers = [JSON_404[0], JSON_404[1], ("x-echo", SID.as_bytes())];
    assert_eq!(world.respond(stream, &headers, false), HeadersFlow::Hold);
    assert_eq!(world.respond_body(stream, PLAIN, false), BodyFlow::Buffer);
    assert_eq!(world.respond_trailers(stream), TrailersFlow::Continue);
    let answer = world.client(stream).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (404, PLAIN));
    assert_eq!(answer.header("x-echo"), None, "no header shows the session id");
}

#[test]
fn a_404_that_cannot_be_read_is_not_shown() {
    for call in ["response_body", "response_headers"] {
        let world = world();
        let stream = send(&world, "GET", b"");
        assert_eq!(world.respond(stream, &JSON_404, false), HeadersFlow::Hold);
        world.failing.set(call);
        assert_eq!(world.respond_body(stream, PLAIN, true), BodyFlow::Buffer);
        assert_eq!(world.status(stream), Some(503), "{call}");
    }
}
