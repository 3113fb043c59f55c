//! What of an upstream's answer reaches the client.

use std::rc::Rc;

use crate::{
    Flow, Gateway, HeaderMap, Stream,
    host::mock::{MockHost, active_answer, get_request, map, policy_with},
};

const SID: &str = "0123456789abcdef0123456789abcdef";
const PATH: &str = "/proxy/company.intelligencebank.com/d/e?q";

/// A stream that is on its way upstream.
fn approved() -> (MockHost, Stream) {
    let gateway = Rc::new(Gateway::new(policy_with(serde_json::json!({}))));
    let host = MockHost::with_request(get_request(PATH, "token"));
    let mut stream = Stream::new(gateway);
    assert_eq!(stream.on_request_headers(&host), Flow::Pause);
    host.answer(&mut stream, "200", active_answer(SID));
    (host, stream)
}

fn answered(headers: &[(&str, &[u8])]) -> MockHost {
    let (host, mut stream) = approved();
    host.response.replace(map(headers));
    assert_eq!(stream.on_response_headers(&host), Flow::Continue);
    host
}

fn one(name: &str, value: &str) -> Vec<String> {
    answered(&[(":status", b"200"), (name, value.as_bytes())]).response_values(name)
}

#[test]
fn an_ordinary_answer_is_not_touched() {
    let headers: [(&str, &[u8]); 8] = [
        (":status", b"200"),
        ("content-type", b"application/json"),
        ("content-length", b"12"),
        ("set-cookie", b"a=b"),
        ("set-cookie", b"c=d"),
        ("cache-control", b"no-cache, max-age=0"),
        ("access-control-allow-origin", b"*"),
        ("x-bytes", b"\xff"),
    ];
    let host = answered(&headers);
    assert!(!host.is_response_rewritten.get());
    assert_eq!(*host.response.borrow(), map(&headers));
}

#[test]
fn a_redirect_comes_back_under_the_prefix_and_the_rest_stays() {
    let host = answered(&[
        (":status", b"302"),
        ("location", format!("https://company.intelligencebank.com/a?sid={SID}&b").as_bytes()),
        ("content-location", b"/c"),
        ("content-length", b"0"),
    ]);
    let expected: HeaderMap = map(&[
        (":status", b"302"),
        ("location", b"/proxy/company.intelligencebank.com/a?b"),
        ("content-location", b"/proxy/company.intelligencebank.com/c"),
        ("content-length", b"0"),
    ]);
    assert_eq!(*host.response.borrow(), expected);
}

#[test]
fn a_redirect_that_two_readers_could_take_for_two_places_is_dropped() {
    for value in ["https:/x", "https:x", "http:x", "/a\tb", "https:\r\n//company.example/"] {
        assert!(one("location", value).is_empty(), "{value:?}");
        assert!(one("content-location", value).is_empty(), "{value:?}");
    }
    let host = answered(&[
        (":status", b"302"),
        ("location", b"/a"),
        ("content-location", b"/c"),
        ("location", b"/b"),
    ]);
    let expected =
        map(&[(":status", b"302"), ("content-location", b"/proxy/company.intelligencebank.com/c")]);
    assert_eq!(*host.response.borrow(), expected);
}

#[test]
fn no_header_shows_the_session_id_to_the_client() {
    let encoded = SID.replacen('0', "%30", 1);
    for name in
        ["location", "link", "refresh", "x-echo", "set-cookie", "sid", "content-disposition"]
    {
        for value in [SID.to_owned(), format!("https://x.example/a/{SID}"), format!("x={encoded};")]
        {
            assert!(one(name, &value).is_empty(), "{name}: {value}");
        }
    }
    assert!(one("location", &format!("/a#sid={SID}")).is_empty());
    assert!(one(&format!("x-{SID}"), "1").is_empty(), "a name shows as much as a value");
    assert!(one("cache-control", &format!("public, x={SID}")).is_empty());
}

#[test]
fn an_answer_for_one_user_is_not_for_shared_caches() {
    for (value, expected) in [
        ("public", "private"),
        ("Public, max-age=60", "private, max-age=60"),
        ("max-age=60, s-maxage=600,public", "private, max-age=60"),
        ("s-maxage=600", "private"),
        ("private, public", "private"),
        ("public, no-cache=\"public, x\"", "private, no-cache=\"public, x\""),
        ("no-store", "no-store"),
        ("max-age=60", "max-age=60"),
        ("x-public=1", "x-public=1"),
        ("must-revalidate", "private, must-revalidate"),
        ("max-age=60, Must-Revalidate", "private, max-age=60, Must-Revalidate"),
        ("proxy-revalidate", "private, proxy-revalidate"),
        ("private=\"x-a, x-b\", max-age=60", "private, max-age=60"),
        ("Private = \"x-a\"", "private"),
        ("private, must-revalidate", "private, must-revalidate"),
        ("private", "private"),
    ] {
        assert_eq!(one("cache-control", value), [expected], "{value}");
    }
    assert!(one("surrogate-control", "max-age=60").is_empty());
    assert!(one("cdn-cache-control", "max-age=60").is_empty());
    assert!(one("vendor-cdn-cache-control", "max-age=60").is_empty());
}

#[test]
fn an_answer_without_cache_control_gets_none() {
    let host = answered(&[(":status", b"302"), ("location", b"/x")]);
    assert!(host.response_values("cache-control").is_empty());
}

#[test]
fn answers_to_streams_that_were_not_approved_are_left_alone() {
    let gateway = Rc::new(Gateway::new(policy_with(serde_json::json!({}))));
    for path in ["/authorize", "/proxy/127.0.0.1/"] {
        let host = MockHost::with_request(get_request(path, "token"));
        let mut stream = Stream::new(Rc::clone(&gateway));
        let _flow = stream.on_request_headers(&host);
        host.response.replace(map(&[(":status", b"302"), ("location", b"/x")]));
        assert_eq!(stream.on_response_headers(&host), Flow::Continue);
        assert_eq!(host.response_values("location"), ["/x"]);
        assert_eq!(stream.on_response_trailers(&host), Flow::Continue);
        assert!(!host.are_response_trailers_dropped.get());
    }
}

#[test]
fn an_answer_that_cannot_be_cleaned_does_not_reach_the_client() {
    for call in ["response_headers", "set_response_headers"] {
        let (host, mut stream) = approved();
        host.response.replace(map(&[(":status", b"302"), ("location", b"/x")]));
        // The mock allows no reply after a resume, and a proxy does: a new host stands in.
        let answering = MockHost::default();
        answering.response.replace(host.response.take());
        answering.failing.set(call);
        assert_eq!(stream.on_response_headers(&answering), Flow::Pause);
        assert_eq!(answering.status(), Some(503));
    }
    let (host, mut stream) = approved();
    host.failing.set("drop_response_trailers");
    assert_eq!(stream.on_response_trailers(&host), Flow::Pause);
}

#[test]
fn no_trailer_shows_anything_to_the_client() {
    let (host, mut stream) = approved();
    assert_eq!(stream.on_response_trailers(&host), Flow::Continue);
    assert!(host.are_response_trailers_dropped.get());
}
