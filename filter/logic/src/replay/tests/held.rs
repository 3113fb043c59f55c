//! The held answer: its pieces, its end, and faults of the host.

use super::{DEAD, rejected, renewal, replay, replay_answer, replays, send, world};
use crate::{BodyFlow, HeadersFlow, TrailersFlow, host::mock::generation};

const JSON_401: [(&str, &[u8]); 2] = [(":status", b"401"), ("content-type", b"application/json")];

#[test]
fn the_new_answer_may_be_there_before_the_old_one_has_ended() {
    let world = world();
    let stream = send(&world, "GET", b"");
    assert_eq!(world.respond(stream, &JSON_401, false), HeadersFlow::Hold);
    world.answer(renewal(&world), &generation(2));
    replay_answer(&world, "200", br#"{"new":1}"#);
    assert!(world.is_waiting(stream), "there is no place for the new body yet");
    for piece in DEAD.chunks(5) {
        assert_eq!(world.respond_body(stream, piece, false), BodyFlow::Buffer);
    }
    assert_eq!(world.respond_body(stream, b"", true), BodyFlow::Continue);
    let answer = world.client(stream).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, br#"{"new":1}"#.as_slice()));
}

#[test]
fn the_old_body_may_be_of_any_length_since_none_of_it_is_kept() {
    let world = world();
    let stream = send(&world, "GET", b"");
    assert_eq!(world.respond(stream, &JSON_401, false), HeadersFlow::Hold);
    for _ in 0..100 {
        assert_eq!(world.respond_body(stream, &[b'x'; 10_000], false), BodyFlow::Buffer);
        assert!(world.held_bytes(stream) <= 1);
    }
    assert_eq!(world.respond_body(stream, b"", true), BodyFlow::Buffer);
    world.answer(renewal(&world), &generation(2));
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.client(stream).unwrap().body, b"{}");
}

#[test]
fn an_old_body_that_turns_out_to_be_empty_leaves_no_client_without_an_answer() {
    let world = world();
    let stream = send(&world, "GET", b"");
    assert_eq!(world.respond(stream, &JSON_401, false), HeadersFlow::Hold);
    assert_eq!(world.respond_body(stream, b"", true), BodyFlow::Buffer);
    world.answer(renewal(&world), &generation(2));
    replay_answer(&world, "200", b"{}");
    let answer = world.client(stream).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"{}".as_slice()));
}

#[test]
fn an_old_answer_that_ends_with_trailers_is_replaced_and_its_trailers_dropped() {
    for is_early in [true, false] {
        let world = world();
        let stream = send(&world, "GET", b"");
        assert_eq!(world.respond(stream, &JSON_401, false), HeadersFlow::Hold);
        assert_eq!(world.respond_body(stream, DEAD, false), BodyFlow::Buffer);
        let renew = |world: &crate::host::mock::World| {
            world.answer(renewal(world), &generation(2));
            replay_answer(world, "200", b"{}");
        };
        if is_early {
            renew(&world);
            assert_eq!(world.respond_trailers(stream), TrailersFlow::Continue);
        } else {
            assert_eq!(world.respond_trailers(stream), TrailersFlow::Pause);
            assert!(world.is_waiting(stream));
            renew(&world);
        }
        let answer = world.client(stream).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"{}".as_slice()));
        assert!(world.dropped_trailers(stream).1);
    }
}

#[test]
fn a_host_that_does_not_take_the_new_answer_shows_nothing_of_the_old_one() {
    for call in ["response_headers", "set_response_headers", "replace_response_body"] {
        let world = world();
        let stream = rejected(&world);
        world.answer(renewal(&world), &generation(2));
        world.failing.set(call);
        replay_answer(&world, "200", b"{}");
        assert_eq!(world.status(stream), Some(503), "{call}");
    }
}

#[test]
fn a_host_that_cannot_go_on_with_the_stream_leaves_the_old_answer_held() {
    for call in ["enter", "resume_response"] {
        let world = world();
        let stream = rejected(&world);
        world.answer(renewal(&world), &generation(2));
        world.failing.set(call);
        replay_answer(&world, "200", b"{}");
        assert!(world.is_waiting(stream), "{call}");
        world.failing.set("");
        world.end(stream);
    }
}

#[test]
fn a_replay_whose_answer_cannot_be_read_is_a_503() {
    for call in ["callout_headers", "callout_body"] {
        let world = world();
        let stream = rejected(&world);
        world.answer(renewal(&world), &generation(2));
        world.failing.set(call);
        replay_answer(&world, "200", b"{}");
        assert_eq!(world.status(stream), Some(503), "{call}");
    }
}

#[test]
fn a_replay_that_cannot_be_sent_is_a_503() {
    let world = world();
    let stream = rejected(&world);
    let callout = renewal(&world);
    world.failing.set("dispatch");
    world.answer(callout, &generation(2));
    assert_eq!(world.status(stream), Some(503));
    assert!(replays(&world).is_empty());
}

#[test]
fn a_status_that_is_none_is_a_503() {
    for status in ["", "abc", "99999"] {
        let world = world();
        let stream = rejected(&world);
        world.answer(renewal(&world), &generation(2));
        world.answer_with(replay(&world).id, &[(":status", status)], b"{}");
        assert_eq!(world.status(stream), Some(503), "{status}");
    }
}
