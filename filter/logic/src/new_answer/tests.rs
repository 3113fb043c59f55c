//! The answer that takes a held one's place: as clean as any, and with what the proxy has put on.

use crate::{
    HeadersFlow, StreamId,
    host::mock::{ClientAnswer, SID, World, active_answer, generation, sid_of},
    policy::BodyMode,
};

/// What the client gets where the upstream rejects the session with these headers, and answers with
/// these when the request is sent again.
fn answered_by(
    world: &World,
    held: &[(&str, &[u8])],
    headers: &[(&str, &str)],
    body: &[u8],
) -> ClientAnswer {
    let stream = begin(world, held);
    let replay = world.last_callout();
    assert_eq!(replay.header("sid"), Some(sid_of(2).as_str()));
    world.answer_with(replay.id, headers, body);
    world.client(stream).unwrap()
}

/// A stream whose request is being sent again.
fn begin(world: &World, held: &[(&str, &[u8])]) -> StreamId {
    world.learn("token", &active_answer(SID));
    let stream = world.get("token");
    let headers = [&[(":status", b"401".as_slice())], held].concat();
    assert_eq!(world.respond(stream, &headers, false), HeadersFlow::Hold);
    let _held = world.respond_body(stream, b"rejected", true);
    world.answer(world.last_callout().id, &generation(2));
    stream
}

fn answered(headers: &[(&str, &str)], body: &[u8]) -> ClientAnswer {
    answered_by(&World::new(), &[], headers, body)
}

const OK: (&str, &str) = (":status", "200");
const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn what_the_proxy_put_on_the_held_answer_stays_and_the_rest_of_it_goes() {
    let held: [(&str, &[u8]); 8] = [
        ("vary", b"authorization"),
        ("strict-transport-security", b"max-age=31536000"),
        ("x-ratelimit-remaining", b"7"),
        ("x-content-type-options", b"nosniff"),
        ("content-security-policy", b"sandbox"),
        ("content-type", b"text/html"),
        ("www-authenticate", b"Basic"),
        ("x-upstream", b"old"),
    ];
    let new = [OK, JSON, ("vary", "cookie"), ("content-security-policy", "default-src *")];
    let answer = answered_by(&World::new(), &held, &new, b"{}");
    let expected = [
        (":status", "200"),
        ("vary", "authorization"),
        ("strict-transport-security", "max-age=31536000"),
        ("x-ratelimit-remaining", "7"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox"),
        ("content-type", "application/json"),
        ("vary", "cookie"),
        ("content-length", "2"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(answer.headers, expected);
}

#[test]
fn what_the_route_takes_off_an_ordinary_answer_is_taken_off_this_one() {
    for name in [
        "set-cookie",
        "set-cookie2",
        "alt-svc",
        "clear-site-data",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "strict-transport-security",
        "transfer-encoding",
        "connection",
        "refresh",
        "www-authenticate",
        "x-accel-redirect",
        "x-envoy-upstream-service-time",
        "nel",
        "report-to",
        "x-powered-by",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ] {
        // Once where nothing else is to be changed, and once where something is.
        for other in [("etag", "x"), ("x-echo", sid_of(2).as_str())] {
            let answer = answered(&[OK, JSON, (name, "x"), other], b"{}");
            assert_eq!(answer.header(name), None, "{name}");
        }
    }
}

#[test]
fn neither_headers_nor_body_show_a_session_id_of_either_generation() {
    for sid in [SID.to_owned(), sid_of(2)] {
        let body = format!("{{\"url\":\"https://x.example/?sid={sid}\"}}");
        let location = format!("https://company.intelligencebank.com/a?sid={sid}");
        let headers = [OK, JSON, ("x-echo", sid.as_str()), ("location", location.as_str())];
        let answer = answered(&headers, body.as_bytes());
        assert_eq!(answer.header("x-echo"), None);
        assert_eq!(answer.header("location"), Some("/proxy/company.intelligencebank.com/a"));
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert!(!text.contains(&sid), "{text}");
        assert_eq!(text.len(), body.len());
    }
}

#[test]
fn a_new_answer_that_cannot_be_searched_is_not_shown() {
    for (status, extra, expected) in
        [("200", ("content-encoding", "gzip"), 502), ("206", ("content-range", "bytes 0-1/9"), 416)]
    {
        let answer = answered(&[(":status", status), JSON, extra], SID.as_bytes());
        assert_eq!(answer.status, expected);
        assert!(!String::from_utf8_lossy(&answer.body).contains(SID));
    }
}

#[test]
fn where_bodies_are_not_searched_the_new_one_is_handed_on_as_it_is() {
    let world = World::with(|policy| policy.bodies = BodyMode::Pass);
    let headers = [OK, JSON, ("content-encoding", "gzip")];
    let answer = answered_by(&world, &[], &headers, b"\x1f\x8b\xff");
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"\x1f\x8b\xff".as_slice()));
}

#[test]
fn the_length_is_that_of_the_new_body_whatever_either_upstream_said() {
    let held = [("content-length", b"8".as_slice())];
    let headers = [OK, ("content-length", "999"), ("content-type", "image/png")];
    let answer = answered_by(&World::new(), &held, &headers, b"12345");
    let lengths: Vec<_> =
        answer.headers.iter().filter(|(name, _)| name == "content-length").collect();
    assert_eq!(lengths, [&("content-length".to_owned(), "5".to_owned())]);
}

#[test]
fn an_upstreams_error_is_handed_on_as_it_is() {
    let answer = answered(&[(":status", "403"), JSON], br#"{"message":"forbidden"}"#);
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (403, br#"{"message":"forbidden"}"#.as_slice())
    );
    // A 404 too, whatever it says: there has been a renewal already.
    let answer = answered(&[(":status", "404"), JSON], b"resource has expired");
    assert_eq!((answer.status, answer.body.as_slice()), (404, b"resource has expired".as_slice()));
}

#[test]
fn an_answer_that_never_has_a_body_says_no_length_of_its_own() {
    let lengths = |status: &str, headers: &[(&str, &str)]| {
        let headers = [&[(":status", status)], headers].concat();
        answered(&headers, b"").header("content-length").map(str::to_owned)
    };
    assert_eq!(lengths("204", &[]), None);
    assert_eq!(lengths("304", &[]), None);
    // The length that a 200 would have, by which caches freshen what they keep.
    assert_eq!(lengths("304", &[("content-length", "1234")]), Some("1234".to_owned()));
    assert_eq!(lengths("200", &[]), Some("0".to_owned()));
}
