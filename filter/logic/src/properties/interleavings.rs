//! Many streams, callouts and ends in any order: the mock fails the test on whatever no proxy allows, and
//! on two callouts for one token or session at once; in the end nobody waits and no place is taken.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{
    BodyFlow, Gauge, HeadersFlow, StreamId, TrailersFlow,
    host::mock::{PATH, SentCallout, World, generation, request, token_named},
    policy::RevocationFeed,
};

const CASES: u32 = 3_000;

/// Something happens. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Event {
    Open { token: u8, method: &'static str, has_body: bool },
    SendBody { stream: usize, is_last: bool },
    SendTrailers { stream: usize },
    Respond { stream: usize, status: &'static str, is_last: bool },
    RespondBody { stream: usize, piece: &'static str, is_last: bool },
    RespondTrailers { stream: usize },
    End { stream: usize },
    Answer { callout: usize, kind: u8 },
    Tick { milliseconds: u64 },
    Fail { call: &'static str },
}

fn event() -> impl Strategy<Value = Event> {
    let methods = select(vec!["GET", "HEAD", "POST", "PUT"]);
    let statuses = select(vec!["200", "401", "401", "401", "404", "404", "302"]);
    let pieces = select(vec!["", "x", "{\"message\":\"resource has ", "expired\"}", "{}"]);
    let pauses = select(vec![0_u64, 1, 250, 600, 6_000, 70_000]);
    let calls = select(vec!["", "", "dispatch", "reply", "resume_request", "set_note", "enter"]);
    prop_oneof![
        8 => (0..3_u8, methods, any::<bool>())
            .prop_map(|(token, method, has_body)| Event::Open { token, method, has_body }),
        2 => (0..20_usize, any::<bool>())
            .prop_map(|(stream, is_last)| Event::SendBody { stream, is_last }),
        1 => (0..20_usize).prop_map(|stream| Event::SendTrailers { stream }),
        8 => (0..20_usize, statuses, any::<bool>())
            .prop_map(|(stream, status, is_last)| Event::Respond { stream, status, is_last }),
        6 => (0..20_usize, pieces, any::<bool>())
            .prop_map(|(stream, piece, is_last)| Event::RespondBody { stream, piece, is_last }),
        1 => (0..20_usize).prop_map(|stream| Event::RespondTrailers { stream }),
        2 => (0..20_usize).prop_map(|stream| Event::End { stream }),
        9 => (0..6_usize, 0..6_u8).prop_map(|(callout, kind)| Event::Answer { callout, kind }),
        2 => pauses.prop_map(|milliseconds| Event::Tick { milliseconds }),
        1 => calls.prop_map(|call| Event::Fail { call }),
    ]
}

/// How far a stream is, as its client and its upstream know it.
struct Progress {
    id: StreamId,
    is_request_over: bool,
    has_response: bool,
    is_response_over: bool,
}

struct Run {
    world: World,
    streams: Vec<Progress>,
    generation: u64,
}

impl Run {
    fn new() -> Self {
        let world = World::with(|policy| {
            policy.token_service.maximum_waiting = 6;
            policy.token_service.maximum_callouts = 3;
            policy.replay.maximum_in_progress = 2;
            policy.revocations =
                Some(RevocationFeed { maximum_stale_milliseconds: 60_000, wait_seconds: 25 });
        });
        Self { world, streams: Vec::new(), generation: 1 }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Open { token, method, has_body } => {
                let headers = request(method, PATH, &token_named(&format!("t{token}")));
                let id = self.world.open(headers, !has_body);
                self.streams.push(Progress {
                    id,
                    is_request_over: !has_body,
                    has_response: false,
                    is_response_over: false,
                });
            }
            Event::SendBody { stream, is_last } => {
                if let Some(stream) = self.upstream(stream).filter(|it| !it.is_request_over) {
                    stream.is_request_over = is_last;
                    let id = stream.id;
                    self.world.send_body(id, b"a piece", is_last);
                }
            }
            Event::SendTrailers { stream } => {
                if let Some(stream) = self.upstream(stream).filter(|it| !it.is_request_over) {
                    stream.is_request_over = true;
                    let id = stream.id;
                    assert_eq!(self.world.send_trailers(id), TrailersFlow::Continue);
                }
            }
            Event::Respond { stream, status, is_last } => self.respond(stream, status, is_last),
            Event::RespondBody { stream, piece, is_last } => {
                self.respond_body(stream, piece, is_last);
            }
            Event::RespondTrailers { stream } => {
                if let Some(stream) = self.answering(stream) {
                    stream.is_response_over = true;
                    let id = stream.id;
                    let _flow = self.world.respond_trailers(id);
                }
            }
            Event::End { stream } => {
                if stream < self.streams.len() {
                    let stream = self.streams.remove(stream);
                    self.world.forget(stream.id);
                }
            }
            Event::Answer { callout, kind } => {
                let under_way = self.world.under_way();
                if let Some(callout) = under_way.get(callout) {
                    self.answer(callout, kind);
                }
            }
            Event::Tick { milliseconds } => {
                self.world.pass_milliseconds(milliseconds);
                self.world.tick();
            }
            Event::Fail { call } => self.world.failing.set(call),
        }
    }

    /// A stream whose request goes upstream and that has no answer yet.
    fn upstream(&mut self, stream: usize) -> Option<&mut Progress> {
        let world = &self.world;
        let stream = self.streams.get_mut(stream)?;
        (world.is_upstream(stream.id) && !stream.has_response).then_some(stream)
    }

    /// A stream whose upstream is in the middle of its answer.
    fn answering(&mut self, stream: usize) -> Option<&mut Progress> {
        let world = &self.world;
        let stream = self.streams.get_mut(stream)?;
        let is_on = stream.has_response && !stream.is_response_over;
        let is_replied = world.has_reply(stream.id) || world.is_cut_off(stream.id);
        (is_on && !is_replied).then_some(stream)
    }

    fn respond(&mut self, stream: usize, status: &str, is_last: bool) {
        let Some(stream) = self.upstream(stream) else { return };
        let id = stream.id;
        stream.has_response = true;
        let json = ("content-type", b"application/json".as_slice());
        let flow = self.world.respond(id, &[(":status", status.as_bytes()), json], is_last);
        let is_over = is_last || flow == HeadersFlow::Pause;
        self.progress(id).is_response_over = is_over;
    }

    fn respond_body(&mut self, stream: usize, piece: &str, is_last: bool) {
        let Some(stream) = self.answering(stream) else { return };
        let id = stream.id;
        stream.is_response_over = is_last;
        let flow = self.world.respond_body(id, piece.as_bytes(), is_last);
        assert!(flow == BodyFlow::Continue || !self.world.is_cut_off(id) || is_last);
    }

    fn progress(&mut self, id: StreamId) -> &mut Progress {
        self.streams.iter_mut().find(|stream| stream.id == id).unwrap()
    }

    fn answer(&mut self, callout: &SentCallout, kind: u8) {
        if kind == 0 {
            self.world.no_answer(callout.id);
            return;
        }
        match (callout.path.split('?').next().unwrap(), kind) {
            ("/introspect", 1) | ("/sessions/renew", 1) => {
                self.world.answer(callout.id, &json!({"active": false}));
            }
            ("/introspect", _) => self.answer_active(callout, self.generation),
            ("/sessions/renew", 2) => self.answer_active(callout, self.generation),
            ("/sessions/renew", _) => {
                self.generation += 1;
                self.answer_active(callout, self.generation);
            }
            ("/revocations", _) => self.answer_feed(callout, kind),
            (_, 1) => self.world.answer_with(callout.id, &[(":status", "401")], b"{}"),
            (_, 2) => self.world.answer_with(callout.id, &[(":status", "204")], b""),
            _ => self.world.answer_with(callout.id, &[(":status", "200")], b"{\"new\":1}"),
        }
    }

    fn answer_active(&self, callout: &SentCallout, number: u64) {
        let mut answer = generation(number);
        answer["as_of"] = json!(callout.id.0);
        answer["upstreams"][0]["refresh_in"] = json!(number % 3 * 5);
        self.world.answer(callout.id, &answer);
    }

    /// Numbers of events are those of callouts, so that some introspections are overtaken.
    fn answer_feed(&self, callout: &SentCallout, kind: u8) {
        let number = u64::from(self.world.last_callout().id.0);
        let revoked: Value = match kind {
            1 => json!({"number": number, "session": "s1"}),
            2 => json!({"number": number, "sub": "user-1"}),
            3 => json!({"number": number, "something": "newer"}),
            _ => json!({"number": number, "session": "another"}),
        };
        self.world.answer(callout.id, &json!({"as_of": number, "events": [revoked]}));
    }

    /// All callouts are answered, and all answers end.
    fn settle(&mut self, kind: u8) {
        self.world.failing.set("");
        for _ in 0..1_000 {
            for stream in 0..self.streams.len() {
                self.respond_body(stream, "end", true);
            }
            let under_way = self.world.under_way();
            let Some(callout) = under_way.first() else { return };
            // A poll that is answered is followed by the next at once.
            let is_poll = callout.path.starts_with("/revocations");
            self.answer(callout, if is_poll { 0 } else { kind });
        }
        panic!("callouts without end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nobody_waits_for_ever_whatever_the_order_of_things(
        events in vec(event(), 0..60),
        last in 0..4_u8,
    ) {
        let mut run = Run::new();
        let may_stay_closed = events.iter().any(|event| {
            matches!(event, Event::Fail { call } if !matches!(*call, "" | "dispatch"))
        });
        for event in &events {
            run.happen(event);
        }
        run.settle(last);
        prop_assert_eq!(run.world.gauge(Gauge::Callouts), 0);
        if !may_stay_closed {
            for stream in &run.streams {
                prop_assert!(!run.world.is_waiting(stream.id), "a stream was left waiting");
            }
            prop_assert_eq!(run.world.gauge(Gauge::WaitingStreams), 0);
        }
        for stream in &run.streams {
            run.world.end(stream.id);
        }
        prop_assert_eq!(run.world.gauge(Gauge::WaitingStreams), 0);
    }
}
