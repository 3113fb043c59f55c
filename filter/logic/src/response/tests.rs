//! What of an upstream's answer reaches the client: bodies, trailers, and faults of the host.

use serde_json::json;

use crate::{
    BodyFlow, Counter, HeadersFlow, StreamId, TrailersFlow,
    host::mock::{SID, World, active_answer, generation, get_request, map, sid_of, text},
    policy::BodyMode,
};

const JSON: (&str, &[u8]) = ("content-type", b"application/json");
const OK: (&str, &[u8]) = (":status", b"200");

/// A stream that is on its way upstream.
fn approved() -> (World, StreamId) {
    let world = World::knowing("token", &active_answer(SID));
    let stream = world.get("token");
    (world, stream)
}

/// The same, where bodies are not searched.
fn passing() -> (World, StreamId) {
    let world = World::with(|policy| policy.bodies = BodyMode::Pass);
    world.learn("token", &active_answer(SID));
    let stream = world.get("token");
    (world, stream)
}

fn body_of(world: &World, stream: StreamId) -> String {
    String::from_utf8(world.client(stream).unwrap().body).unwrap()
}

/// A document that shows a session id.
fn showing(sid: &str) -> String {
    json!({"url": format!("https://company.intelligencebank.com/a?sid={sid}&b")}).to_string()
}

#[test]
fn an_ordinary_answer_is_not_touched() {
    let headers: [(&str, &[u8]); 8] = [
        OK,
        JSON,
        ("content-length", b"12"),
        ("set-cookie", b"a=b"),
        ("set-cookie", b"c=d"),
        ("cache-control", b"no-cache, max-age=0"),
        ("access-control-allow-origin", b"*"),
        ("x-bytes", b"\xff"),
    ];
    let (world, stream) = approved();
    assert_eq!(world.respond(stream, &headers, false), HeadersFlow::Continue);
    assert_eq!(world.respond_body(stream, b"{\"name\":\"x\"}", true), BodyFlow::Continue);
    assert!(!world.is_response_rewritten(stream));
    let answer = world.client(stream).unwrap();
    assert_eq!(answer.headers, text(&map(&headers)));
    assert_eq!(answer.body, b"{\"name\":\"x\"}");
}

#[test]
fn no_body_shows_the_session_id_wherever_its_pieces_are_cut() {
    let document = showing(SID);
    let masked = document.replace(SID, &"*".repeat(SID.len()));
    for length in [1, 7, 31, 32, 33, 1000] {
        let (world, stream) = approved();
        assert_eq!(world.respond(stream, &[OK, JSON], false), HeadersFlow::Continue);
        let pieces: Vec<&[u8]> = document.as_bytes().chunks(length).collect();
        let (last, first) = pieces.split_last().unwrap();
        for piece in first {
            assert_eq!(world.respond_body(stream, piece, false), BodyFlow::Continue);
        }
        assert_eq!(world.respond_body(stream, last, true), BodyFlow::Continue);
        assert_eq!(body_of(&world, stream), masked, "{length}");
        assert_eq!(world.count_of(Counter::BodySearched), 1);
    }
}

#[test]
fn a_body_after_a_renewal_shows_neither_the_new_session_id_nor_the_one_before() {
    let world = World::knowing("token", &generation(1));
    world.learn("other", &generation(2));
    let stream = world.get("token");
    let document = format!("[{},{}]", showing(SID), showing(&sid_of(2)));
    world.respond_whole(stream, "200", document.as_bytes());
    let body = body_of(&world, stream);
    assert!(!body.contains(SID) && !body.contains(&sid_of(2)));
    assert_eq!(body.len(), document.len());
}

#[test]
fn an_answer_that_was_under_way_during_a_renewal_does_not_show_the_new_session_id() {
    for header in ["x-harmless", "x-echo"] {
        let world = World::knowing("token", &generation(1));
        let stream = world.get("token");
        world.learn("other", &generation(2));
        let value = if header == "x-echo" { sid_of(2) } else { "1".to_owned() };
        let headers: [(&str, &[u8]); 3] = [
            (":status", b"200"),
            ("content-type", b"application/json"),
            (header, value.as_bytes()),
        ];
        let _flow = world.respond(stream, &headers, false);
        let _flow = world.respond_body(stream, showing(&sid_of(2)).as_bytes(), true);
        let client = world.client(stream).unwrap();
        assert!(!body_of(&world, stream).contains(&sid_of(2)), "{header}");
        assert!(client.headers.iter().all(|(_, value)| !value.contains(&sid_of(2))), "{header}");
    }
}

#[test]
fn a_404_shows_no_session_id_either() {
    let (world, stream) = approved();
    world.respond_whole(stream, "404", showing(SID).as_bytes());
    assert_eq!(world.status(stream), Some(404));
    assert!(!body_of(&world, stream).contains(SID));
}

#[test]
fn a_file_is_not_searched() {
    let (world, stream) = approved();
    let headers = [OK, ("content-type", b"image/png".as_slice())];
    assert_eq!(world.respond(stream, &headers, false), HeadersFlow::Continue);
    assert_eq!(world.respond_body(stream, SID.as_bytes(), true), BodyFlow::Continue);
    assert_eq!(body_of(&world, stream), SID);
    assert_eq!(world.count_of(Counter::BodySearched), 0);
}

#[test]
fn where_bodies_are_not_searched_they_reach_the_client_byte_for_byte() {
    let (world, stream) = passing();
    let headers = [OK, JSON, ("content-encoding", b"gzip".as_slice())];
    assert_eq!(world.respond(stream, &headers, false), HeadersFlow::Continue);
    assert_eq!(world.respond_body(stream, showing(SID).as_bytes(), true), BodyFlow::Continue);
    assert_eq!(body_of(&world, stream), showing(SID));
}

#[test]
fn encodings_are_asked_for_only_where_bodies_are_not_searched() {
    for (bodies, expected) in [(BodyMode::Redact, "identity"), (BodyMode::Pass, "gzip, br")] {
        let world = World::with(|policy| policy.bodies = bodies);
        world.learn("token", &active_answer(SID));
        let path = crate::host::mock::PATH;
        let headers = crate::host::mock::extended(
            &get_request(path, "token"),
            &[("accept-encoding", b"gzip, br")],
        );
        let stream = world.open(headers, true);
        assert_eq!(world.request_values(stream, "accept-encoding"), [expected]);
    }
}

#[test]
fn an_answer_that_cannot_be_searched_is_not_shown() {
    for (status, extra, expected) in [
        ("200", ("content-encoding", b"gzip".as_slice()), 502),
        ("206", ("content-range", b"bytes 0-9/100"), 416),
    ] {
        let (world, stream) = approved();
        let headers = [(":status", status.as_bytes()), JSON, extra];
        assert_eq!(world.respond(stream, &headers, false), HeadersFlow::Pause);
        assert_eq!(world.status(stream), Some(expected));
    }
}

#[test]
fn answers_to_streams_that_were_not_approved_are_left_alone() {
    let world = World::new();
    for path in ["/authorize", "/x"] {
        let stream = world.open(get_request(path, "token"), true);
        let headers = [(":status", b"302".as_slice()), ("location", b"/x"), JSON];
        assert_eq!(world.respond(stream, &headers, false), HeadersFlow::Continue);
        assert_eq!(world.response_values(stream, "location"), ["/x"]);
        assert_eq!(world.respond_body(stream, SID.as_bytes(), false), BodyFlow::Continue);
        assert_eq!(world.respond_trailers(stream), TrailersFlow::Continue);
        assert_eq!(world.dropped_trailers(stream), (false, false));
    }
}

#[test]
fn an_answer_that_cannot_be_cleaned_does_not_reach_the_client() {
    for call in ["response_headers", "set_response_headers"] {
        let (world, stream) = approved();
        world.failing.set(call);
        let headers = [(":status", b"302".as_slice()), ("location", b"/x")];
        assert_eq!(world.respond(stream, &headers, true), HeadersFlow::Pause);
        assert_eq!(world.status(stream), Some(503), "{call}");
    }
    let (world, stream) = approved();
    assert_eq!(world.respond(stream, &[OK], false), HeadersFlow::Continue);
    world.failing.set("drop_response_trailers");
    assert_eq!(world.respond_trailers(stream), TrailersFlow::Pause);
}

#[test]
fn a_body_that_the_host_does_not_hand_over_or_take_back_is_cut_off() {
    for call in ["response_body", "replace_response_body"] {
        let (world, stream) = approved();
        assert_eq!(world.respond(stream, &[OK, JSON], false), HeadersFlow::Continue);
        world.failing.set(call);
        assert_eq!(
            world.respond_body(stream, showing(SID).as_bytes(), true),
            BodyFlow::Buffer,
            "{call}"
        );
        assert!(world.is_cut_off(stream), "{call}");
        assert!(!body_of(&world, stream).contains(SID));
    }
}

#[test]
fn no_trailer_shows_anything_to_the_client() {
    let (world, stream) = approved();
    assert_eq!(world.respond(stream, &[OK, JSON], false), HeadersFlow::Continue);
    assert_eq!(world.respond_body(stream, b"{}", false), BodyFlow::Continue);
    assert_eq!(world.respond_trailers(stream), TrailersFlow::Continue);
    assert!(world.dropped_trailers(stream).1);
    assert_eq!(body_of(&world, stream), "{}");
}

#[test]
fn a_body_whose_last_bytes_are_held_back_when_trailers_come_is_cut_off_and_not_cut_short() {
    let (world, stream) = approved();
    assert_eq!(world.respond(stream, &[OK, JSON], false), HeadersFlow::Continue);
    // It could be the beginning of the session id.
    let beginning: String = SID.chars().take(20).collect();
    let body = format!("\"{beginning}");
    assert_eq!(world.respond_body(stream, body.as_bytes(), false), BodyFlow::Continue);
    assert_eq!(world.respond_trailers(stream), TrailersFlow::Pause);
    assert!(world.is_cut_off(stream));
}
