//! The bounds of replays: how many at a time, and how long their bodies may be.

use super::{DEAD, reject, rejected, renewal, replay, replay_answer, replays, send};
use crate::{
    Counter, Gauge, StreamId,
    host::mock::{PATH, SID, World, active_answer, generation, request, token_named},
};

/// A world that sends so many requests again at a time, and knows `token`.
fn world_with(maximum_in_progress: u32) -> World {
    let world = World::with(|policy| policy.replay.maximum_in_progress = maximum_in_progress);
    world.learn("token", &active_answer(SID));
    world
}

#[test]
fn a_hundred_rejected_streams_cost_one_renewal_and_are_all_sent_again() {
    let world = world_with(100);
    let streams: Vec<StreamId> = (0..100).map(|_| rejected(&world)).collect();
    assert_eq!(world.sent_to("/sessions/renew").len(), 1);
    world.answer(renewal(&world), &generation(2));
    let replays = replays(&world);
    assert_eq!(replays.len(), 100);
    for again in replays {
        world.answer_with(again.id, &[(":status", "200")], b"{}");
    }
    assert!(streams.iter().all(|stream| world.status(*stream) == Some(200)));
    assert_eq!(world.gauge(Gauge::WaitingStreams), 0);
}

#[test]
fn past_the_bound_requests_wait_for_their_turn_in_their_order() {
    let world = world_with(2);
    let streams: Vec<StreamId> = (0..7).map(|_| rejected(&world)).collect();
    world.answer(renewal(&world), &generation(2));
    for (answered, stream) in streams.into_iter().enumerate() {
        let under_way = world.under_way();
        assert_eq!(under_way.len(), 2.min(7 - answered));
        world.answer_with(under_way[0].id, &[(":status", "200")], b"{}");
        assert_eq!(world.status(stream), Some(200));
    }
    assert_eq!(world.gauge(Gauge::WaitingStreams), 0);
}

#[test]
fn a_stream_that_goes_away_in_the_queue_holds_nobody_up() {
    let world = world_with(1);
    let streams: Vec<StreamId> = (0..4).map(|_| rejected(&world)).collect();
    world.answer(renewal(&world), &generation(2));
    world.end(streams[1]);
    world.end(streams[2]);
    replay_answer(&world, "200", b"{}");
    assert_eq!(replays(&world).len(), 2);
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(streams[3]), Some(200));
}

#[test]
fn a_stream_that_goes_away_while_it_is_sent_again_holds_nobody_up() {
    let world = world_with(1);
    let (first, second) = (rejected(&world), rejected(&world));
    world.answer(renewal(&world), &generation(2));
    world.end(first);
    world.no_answer(replay(&world).id);
    assert_eq!(replays(&world).len(), 2);
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(second), Some(200));
}

#[test]
fn a_request_that_cannot_be_sent_again_takes_no_place_from_those_that_can() {
    let world = world_with(1);
    // Its body was not kept, and the upstream's answer has not ended.
    let large = send(&world, "POST", &[b'x'; 65]);
    let headers = [(":status", b"401".as_slice()), ("content-type", b"application/json")];
    let _held = world.respond(large, &headers, false);
    let small = rejected(&world);
    world.answer(renewal(&world), &generation(2));
    assert_eq!(replays(&world).len(), 1);
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(small), Some(200));
    let _ended = world.respond_body(large, DEAD, true);
    assert_eq!(world.status(large), Some(503));
}

#[test]
fn where_nothing_may_be_sent_again_the_client_tries_again_with_the_new_session() {
    let world = world_with(0);
    let stream = rejected(&world);
    world.answer(renewal(&world), &generation(2));
    assert_eq!(world.status(stream), Some(503));
    assert!(replays(&world).is_empty());
    assert_eq!(world.count_of(Counter::ReplayImpossible), 1);
}

#[test]
fn a_post_that_is_too_large_to_be_kept_is_a_503_and_the_next_one_works() {
    let world = world_with(16);
    let stream = send(&world, "POST", &[b'x'; 65]);
    reject(&world, stream);
    world.answer(renewal(&world), &generation(2));
    let answer = world.client(stream).unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(replays(&world).is_empty());
    assert_eq!(world.count_of(Counter::ReplayImpossible), 1);
    let stream = send(&world, "POST", &[b'x'; 64]);
    reject(&world, stream);
    world.answer(renewal(&world), &generation(3));
    assert_eq!(replay(&world).body.len(), 64);
}

#[test]
fn a_post_that_is_still_being_sent_is_not_sent_again_by_half() {
    let world = world_with(16);
    let stream = world.open(request("POST", PATH, &token_named("token")), false);
    world.send_body(stream, b"half", false);
    reject(&world, stream);
    world.answer(renewal(&world), &generation(2));
    assert!(replays(&world).is_empty());
    assert_eq!(world.status(stream), Some(503));
}

#[test]
fn a_body_that_the_host_does_not_hand_over_is_not_sent_again_by_half() {
    let world = world_with(16);
    let stream = world.open(request("POST", PATH, &token_named("token")), false);
    world.send_body(stream, b"first", false);
    world.failing.set("request_body");
    world.send_body(stream, b"second", false);
    world.failing.set("");
    world.send_body(stream, b"third", true);
    reject(&world, stream);
    world.answer(renewal(&world), &generation(2));
    assert!(replays(&world).is_empty());
    assert_eq!(world.status(stream), Some(503));
}

#[test]
fn an_answer_that_is_too_large_to_be_handed_on_is_a_503() {
    let world = world_with(16);
    for (length, status) in [((1 << 16) + 1, 503), (1 << 16, 200)] {
        let stream = rejected(&world);
        if world.under_way().iter().any(|sent| sent.path == "/sessions/renew") {
            let next = world.sent_to("/sessions/renew").len() + 1;
            world.answer(renewal(&world), &generation(u64::try_from(next).unwrap()));
        }
        replay_answer(&world, "200", &vec![b' '; length]);
        assert_eq!(world.status(stream), Some(status), "{length}");
    }
    assert_eq!(world.count_of(Counter::ReplayTooLarge), 1);
}

#[test]
fn past_the_waiting_places_a_rejected_request_is_a_503() {
    let world = World::with(|policy| policy.token_service.maximum_waiting = 1);
    world.learn("token", &active_answer(SID));
    let (first, second) = (send(&world, "GET", b""), send(&world, "GET", b""));
    reject(&world, first);
    world.respond_whole(second, "401", DEAD);
    assert_eq!(world.status(second), Some(503));
    world.answer(renewal(&world), &generation(2));
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(first), Some(200));
    assert_eq!(world.gauge(Gauge::WaitingStreams), 0);
}

#[test]
fn who_waits_too_long_for_a_turn_is_asked_to_come_again() {
    let world = world_with(1);
    let streams: Vec<StreamId> = (0..3).map(|_| rejected(&world)).collect();
    world.answer(renewal(&world), &generation(2));
    world.pass_milliseconds(4_999);
    world.tick();
    assert_eq!(world.status(streams[1]), None);
    world.pass_milliseconds(1);
    world.tick();
    for stream in &streams[1..] {
        let answer = world.client(*stream).unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    }
    replay_answer(&world, "200", b"{}");
    assert_eq!(world.status(streams[0]), Some(200));
    assert_eq!(world.gauge(Gauge::WaitingStreams), 0);
}
