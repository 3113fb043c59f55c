//! The request phase, hit and miss, over the mock host.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::{
    AnswerSize, Counter, Flow, Gateway, HeaderMap, Stream,
    host::mock::{MockHost, active_answer, get_request, map, policy_with, token_named},
};

const PATH: &str = "/proxy/company.intelligencebank.com/api/3.0.0/x?y";
const SID: &str = "0123456789abcdef0123456789abcdef";

fn gateway_with(fields: Value) -> Rc<Gateway> {
    Rc::new(Gateway::new(policy_with(fields)))
}

fn gateway() -> Rc<Gateway> {
    gateway_with(json!({}))
}

/// A gateway that has seen `token` answered.
fn gateway_knowing(token: &str, answer: &Value) -> Rc<Gateway> {
    let gateway = gateway();
    let (host, mut stream) = begin(&gateway, get_request(PATH, token), Flow::Pause);
    host.answer(&mut stream, "200", answer);
    gateway
}

fn begin(gateway: &Rc<Gateway>, request: HeaderMap, expected: Flow) -> (MockHost, Stream) {
    let host = MockHost::with_request(request);
    let mut stream = Stream::new(Rc::clone(gateway));
    assert_eq!(stream.on_request_headers(&host), expected);
    (host, stream)
}

fn with(path: &str, extra: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = get_request(path, "token");
    headers.extend(map(extra));
    headers
}

/// The status of the immediate refusal of a request, before any callout.
fn refused(request: HeaderMap) -> (u16, Value) {
    let (host, _stream) = begin(&gateway(), request, Flow::Pause);
    assert!(host.callouts.borrow().is_empty(), "refused without a callout");
    assert!(!host.is_approved.get());
    (host.status().unwrap(), host.reply_body())
}

#[test]
fn a_miss_asks_once_waits_and_goes_upstream_with_the_session() {
    let (host, mut stream) = begin(&gateway(), get_request(PATH, "token"), Flow::Pause);
    assert_eq!(host.callouts.borrow().len(), 1);
    assert!(!host.is_approved.get() && host.status().is_none());
    host.answer(&mut stream, "200", active_answer(SID));
    assert!(host.is_approved.get() && host.is_resumed.get());
    assert_eq!(host.request_values(":path"), ["/api/3.0.0/x?y"]);
    assert_eq!(host.request_values(":authority"), ["company.intelligencebank.com"]);
    assert_eq!(host.request_values(":scheme"), ["https"]);
    assert_eq!(host.request_values("sid"), [SID]);
    assert!(host.request_values("authorization").is_empty());
    assert_eq!(host.count_of(Counter::CacheMiss), 1);
    assert_eq!(host.count_of(Counter::IntrospectionActive), 1);
    assert_eq!(host.count_of(Counter::RequestApproved), 1);
}

#[test]
fn a_hit_goes_upstream_without_a_callout() {
    let gateway = gateway_knowing("token", &active_answer(SID));
    let (host, _stream) = begin(&gateway, get_request(PATH, "token"), Flow::Continue);
    assert!(host.is_approved.get() && !host.is_resumed.get());
    assert!(host.callouts.borrow().is_empty());
    assert_eq!(host.request_values("sid"), [SID]);
    assert_eq!(host.count_of(Counter::CacheHit), 1);
    let (other, _stream) = begin(&gateway, get_request(PATH, "Token"), Flow::Pause);
    assert_eq!(other.callouts.borrow().len(), 1, "another token is another token");
}

#[test]
fn a_cached_approval_ends_though_it_is_used_all_the_time() {
    let gateway = gateway_knowing("token", &active_answer(SID));
    for seconds in [0, 20, 40, 59, 60] {
        let host = MockHost::with_request(get_request(PATH, "token"));
        host.pass(seconds);
        let flow = Stream::new(Rc::clone(&gateway)).on_request_headers(&host);
        assert_eq!(flow, if seconds < 60 { Flow::Continue } else { Flow::Pause }, "{seconds}");
        assert_eq!(host.callouts.borrow().len(), usize::from(seconds == 60));
    }
}

#[test]
fn a_refused_token_is_refused_from_memory_for_a_short_while() {
    let inactive = json!({"active": false});
    let gateway = gateway();
    let (host, mut stream) = begin(&gateway, get_request(PATH, "bad"), Flow::Pause);
    host.answer(&mut stream, "200", &inactive);
    assert_eq!(host.status(), Some(401));
    assert_eq!(host.reply_body()["error"], "invalid_token");
    let (again, _stream) = begin(&gateway, get_request(PATH, "bad"), Flow::Pause);
    assert_eq!(again.status(), Some(401));
    assert!(again.callouts.borrow().is_empty());
    assert_eq!(again.count_of(Counter::CacheRefused), 1);
    let later = MockHost::with_request(get_request(PATH, "bad"));
    later.pass(5);
    assert_eq!(Stream::new(gateway).on_request_headers(&later), Flow::Pause);
    assert_eq!(later.callouts.borrow().len(), 1);
}

#[test]
fn a_client_whose_session_is_over_reads_the_words_that_it_matches() {
    let mut over = active_answer(SID);
    over["upstreams"][0]["expires_in"] = json!(0);
    let mut over_after_attempts = over.clone();
    over_after_attempts["upstreams"][0]["refresh_limit_exceeded"] = json!(true);
    let reason = |reason: &str| json!({"active": false, "reason": reason});
    for (answer, description) in [
        (reason("session_expired"), "Session has expired"),
        (reason("refresh_limit_exceeded"), "Session refresh limit exceeded"),
        (reason("some_newer_reason"), "Invalid or expired access token"),
        (over, "Session has expired"),
        (over_after_attempts, "Session refresh limit exceeded"),
    ] {
        let gateway = gateway();
        let (host, mut stream) = begin(&gateway, get_request(PATH, "token"), Flow::Pause);
        host.answer(&mut stream, "200", &answer);
        let (again, _stream) = begin(&gateway, get_request(PATH, "token"), Flow::Pause);
        for host in [host, again] {
            assert_eq!(host.status(), Some(401));
            let body = json!({"error": "invalid_token", "error_description": description});
            assert_eq!(host.reply_body(), body);
            assert!(!host.is_approved.get());
        }
    }
}

#[test]
fn a_session_that_runs_out_while_it_is_cached_is_not_used_any_more() {
    let mut answer = active_answer(SID);
    answer["upstreams"][0]["expires_in"] = json!(10);
    let gateway = gateway_knowing("token", &answer);
    let host = MockHost::with_request(get_request(PATH, "token"));
    host.pass(10);
    let mut stream = Stream::new(gateway);
    assert_eq!(stream.on_request_headers(&host), Flow::Pause);
    assert!(!host.is_approved.get());
    host.answer(&mut stream, "200", json!({"active": false, "reason": "session_expired"}));
    assert_eq!(host.reply_body()["error_description"], "Session has expired");
}

#[test]
fn an_outage_is_a_503_with_retry_after_and_nothing_is_remembered_of_it() {
    for (status, body) in [("500", "{}"), ("401", "{}"), ("200", "<html>"), ("504", "timeout")] {
        let gateway = gateway();
        let (host, mut stream) = begin(&gateway, get_request(PATH, "token"), Flow::Pause);
        host.answer(&mut stream, status, body);
        assert_eq!(host.status(), Some(503), "{status} {body}");
        assert_eq!(host.reply_body()["error"], "temporarily_unavailable");
        assert_eq!(host.reply_header("retry-after").as_deref(), Some("1"));
        let (again, mut stream) = begin(&gateway, get_request(PATH, "token"), Flow::Pause);
        again.answer(&mut stream, "200", active_answer(SID));
        assert!(again.is_approved.get(), "recovers with the next request");
    }
}

#[test]
fn a_callout_that_ends_without_an_answer_is_a_503_and_no_crash() {
    let (host, mut stream) = begin(&gateway(), get_request(PATH, "token"), Flow::Pause);
    stream.on_callout_answer(&host, AnswerSize { headers: 0, body: 0 });
    assert_eq!(host.status(), Some(503));
    assert_eq!(host.count_of(Counter::IntrospectionFailed), 1);
    assert_eq!(host.count_of(Counter::RequestTemporarilyUnavailable), 1);
}

#[test]
fn a_callout_that_cannot_be_sent_is_a_503_and_takes_no_waiting_place() {
    let gateway = gateway_with(json!({"token_service": {
        "cluster": "token_service", "authority": "t.example", "maximum_waiting": 1,
    }}));
    for _ in 0..3 {
        let host = MockHost::with_request(get_request(PATH, "token"));
        host.failing.set("dispatch");
        assert_eq!(Stream::new(Rc::clone(&gateway)).on_request_headers(&host), Flow::Pause);
        assert_eq!(host.status(), Some(503));
        assert_eq!(host.count_of(Counter::IntrospectionUnsent), 1);
    }
    let (host, _stream) = begin(&gateway, get_request(PATH, "token"), Flow::Pause);
    assert_eq!(host.callouts.borrow().len(), 1);
}

#[test]
fn past_the_waiting_places_a_stream_gets_503_and_streams_that_went_away_hold_no_place() {
    let gateway = gateway_with(json!({"token_service": {
        "cluster": "token_service", "authority": "t.example", "maximum_waiting": 2,
    }}));
    let (first_host, mut first) = begin(&gateway, get_request(PATH, "a"), Flow::Pause);
    let (_host, second) = begin(&gateway, get_request(PATH, "b"), Flow::Pause);
    let (third_host, _third) = begin(&gateway, get_request(PATH, "c"), Flow::Pause);
    assert_eq!(third_host.status(), Some(503));
    assert!(third_host.callouts.borrow().is_empty());
    drop(second);
    let (fourth_host, _fourth) = begin(&gateway, get_request(PATH, "d"), Flow::Pause);
    assert_eq!(fourth_host.status(), None);
    first_host.answer(&mut first, "200", active_answer(SID));
    let (fifth_host, _fifth) = begin(&gateway, get_request(PATH, "e"), Flow::Pause);
    assert_eq!(fifth_host.status(), None);
}

#[test]
fn an_answer_that_comes_after_the_proxy_has_answered_does_nothing() {
    let (host, mut stream) = begin(&gateway(), get_request(PATH, "token"), Flow::Pause);
    assert_eq!(stream.on_response_headers(&host), Flow::Continue);
    host.answer(&mut stream, "200", active_answer(SID));
    assert!(!host.is_resumed.get() && !host.is_approved.get() && host.status().is_none());
}

#[test]
fn a_second_answer_neither_resumes_nor_replies_again() {
    let (host, mut stream) = begin(&gateway(), get_request(PATH, "token"), Flow::Pause);
    host.answer(&mut stream, "200", active_answer(SID));
    host.answer(&mut stream, "200", json!({"active": false}));
    assert!(host.is_resumed.get() && host.status().is_none());
}

#[test]
fn the_session_goes_to_its_own_hosts_only() {
    let gateway = gateway_knowing("token", &active_answer(SID));
    for host_name in ["other.intelligencebank.com", "remax-cca.com"] {
        let path = format!("/proxy/{host_name}/x");
        let (host, _stream) = begin(&gateway, get_request(&path, "token"), Flow::Pause);
        assert_eq!(host.status(), Some(403));
        assert_eq!(host.reply_body()["error"], "access_denied");
        assert!(host.reply_body()["error_description"].as_str().unwrap().contains(host_name));
        assert!(!host.is_approved.get());
        assert!(host.request_values("sid").is_empty());
    }
    for path in ["/proxy/apiv3.intelligencebank.com/", "/proxy/COMPANY.intelligencebank.com./"] {
        let (host, _stream) = begin(&gateway, get_request(path, "token"), Flow::Continue);
        assert_eq!(host.request_values("sid"), [SID]);
    }
}

#[test]
fn a_host_off_the_allow_list_is_refused_before_the_callout_by_its_name() {
    let (status, body) = refused(get_request("/proxy/evil.example/x", "token"));
    assert_eq!((status, &body["error"]), (403, &json!("access_denied")));
    assert!(body["error_description"].as_str().unwrap().contains("evil.example"));
}

#[test]
fn a_request_elsewhere_is_left_alone_whatever_it_holds() {
    for path in ["/authorize", "/%70roxy/company.intelligencebank.com/", "/", "*"] {
        let request = with(path, &[("upgrade", b"websocket"), ("authorization", b"\xff")]);
        let (host, _stream) = begin(&gateway(), request, Flow::Continue);
        assert!(!host.is_approved.get() && !host.is_request_rewritten.get());
        assert!(host.counted.borrow().is_empty());
    }
    let (host, _stream) = begin(&gateway(), map(&[(":method", b"CONNECT")]), Flow::Continue);
    assert!(!host.is_approved.get());
}

#[test]
fn only_plain_methods_go_upstream_and_trace_does_not() {
    for method in ["TRACE", "CONNECT", "get", "PROPFIND", ""] {
        let mut request = get_request(PATH, "token");
        request[0].1 = method.as_bytes().to_vec();
        assert_eq!(refused(request).0, 405, "{method}");
    }
    let gateway = gateway_knowing("token", &active_answer(SID));
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let mut request = get_request(PATH, "token");
        request[0].1 = method.as_bytes().to_vec();
        let (host, _stream) = begin(&gateway, request, Flow::Continue);
        assert_eq!(host.request_values(":method"), [method]);
    }
}

#[test]
fn upgrades_and_grpc_are_refused() {
    for header in [
        ("upgrade", b"websocket".as_slice()),
        ("connection", b"keep-alive, Upgrade"),
        (":protocol", b"websocket"),
        ("content-type", b"application/grpc"),
        ("content-type", b"Application/gRPC-web+proto"),
    ] {
        let (status, body) = refused(with(PATH, &[header]));
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{}", header.0);
    }
}

#[test]
fn a_request_without_a_usable_token_is_refused_with_a_challenge() {
    for value in [b"".as_slice(), b"Bearer", b"Basic YTpi", b"Bearer \xff", b"Bearer a b"] {
        let mut request = get_request(PATH, "token");
        request[4].1 = value.to_vec();
        let (host, _stream) = begin(&gateway(), request, Flow::Pause);
        assert_eq!(host.status(), Some(401));
        let challenge = host.reply_header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer resource_metadata=\"https://gateway.example/"));
        assert!(!challenge.contains("error"), "{challenge}");
    }
}

#[test]
fn two_authorization_headers_are_a_bad_request() {
    assert_eq!(refused(with(PATH, &[("authorization", b"Bearer other")])).0, 400);
}

#[test]
fn a_token_in_the_query_is_no_token() {
    let mut request = get_request("/proxy/company.intelligencebank.com/?access_token=x", "token");
    request.truncate(4);
    assert_eq!(refused(request).0, 401);
}

#[test]
fn a_token_that_cannot_be_ours_costs_no_callout_no_waiting_place_and_no_memory() {
    let gateway = gateway_with(json!({"token_service": {
        "cluster": "token_service", "authority": "t.example", "maximum_waiting": 1,
    }}));
    let (_host, _waiting) = begin(&gateway, get_request(PATH, "token"), Flow::Pause);
    let long = "a".repeat(5000);
    let refresh_token = token_named("x").replace("_at_", "_rt_");
    for token in ["token", "a.b.c", "a+b/c==", &refresh_token, &long] {
        for _ in 0..2 {
            let mut request = get_request(PATH, "token");
            request[4].1 = format!("Bearer {token}").into_bytes();
            let (host, _stream) = begin(&gateway, request, Flow::Pause);
            assert!(host.callouts.borrow().is_empty(), "{token}");
            assert_eq!(host.status(), Some(401), "{token}");
            assert_eq!(host.reply_body()["error"], "invalid_token");
            assert_eq!(host.count_of(Counter::RequestInvalidToken), 1);
            assert_eq!(host.count_of(Counter::CacheForeign), usize::from(token != long));
            assert_eq!(host.count_of(Counter::CacheMiss), 0);
            assert_eq!(host.count_of(Counter::CacheRefused), 0);
        }
    }
}

#[test]
fn a_bad_target_is_named_before_the_token_is_looked_at() {
    for path in ["/proxy", "/proxy/", "/proxy/127.0.0.1/", "/proxy/a.example/../", PATH] {
        let mut request = get_request(path, "token");
        request.truncate(4);
        assert_eq!(refused(request).0, if path == PATH { 401 } else { 400 }, "{path}");
    }
}

#[test]
fn a_stage_prefix_works_like_the_prefix_itself() {
    let gateway = gateway_with(json!({"prefixes": ["/dev/proxy/"]}));
    let path = format!("/dev{PATH}");
    let (host, mut stream) = begin(&gateway, get_request(&path, "token"), Flow::Pause);
    host.answer(&mut stream, "200", active_answer(SID));
    assert_eq!(host.request_values(":path"), ["/api/3.0.0/x?y"]);
    let (host, _stream) = begin(&gateway, get_request(PATH, "token"), Flow::Continue);
    assert!(!host.is_approved.get(), "the bare prefix is not configured");
}

#[test]
fn an_answer_is_never_used_for_another_token_than_it_is_about() {
    let (host, mut stream) = begin(&gateway(), get_request(PATH, "token"), Flow::Pause);
    host.request.replace(get_request(PATH, "other"));
    host.answer(&mut stream, "200", active_answer(SID));
    assert!(!host.is_approved.get());
    assert_eq!(host.status(), Some(503));
}

#[test]
fn a_host_that_does_not_do_as_asked_lets_nothing_through() {
    for call in ["request_headers", "mark_approved", "set_request_headers"] {
        let gateway = gateway_knowing("token", &active_answer(SID));
        let host = MockHost::with_request(get_request(PATH, "token"));
        host.failing.set(call);
        assert_eq!(Stream::new(gateway).on_request_headers(&host), Flow::Pause, "{call}");
        assert_eq!(host.status(), Some(503), "{call}");
    }
    for call in ["request_headers", "mark_approved", "set_request_headers", "callout_answer"] {
        let (host, mut stream) = begin(&gateway(), get_request(PATH, "token"), Flow::Pause);
        host.failing.set(call);
        host.answer(&mut stream, "200", active_answer(SID));
        assert_eq!(host.status(), Some(503), "{call}");
        assert!(!host.is_resumed.get(), "{call}");
    }
    let host = MockHost::with_request(get_request("/proxy/", "token"));
    host.failing.set("reply");
    assert_eq!(Stream::new(gateway()).on_request_headers(&host), Flow::Pause);
    assert!(host.counted.borrow().is_empty(), "what was not answered is not counted");
}

#[test]
fn trailers_that_cannot_be_dropped_stop_the_request() {
    let gateway = gateway_knowing("token", &active_answer(SID));
    let (host, mut stream) = begin(&gateway, get_request(PATH, "token"), Flow::Continue);
    host.failing.set("drop_request_trailers");
    assert_eq!(stream.on_request_trailers(&host), Flow::Pause);
}

#[test]
fn no_trailer_goes_upstream() {
    let gateway = gateway_knowing("token", &active_answer(SID));
    let (host, mut stream) = begin(&gateway, get_request(PATH, "token"), Flow::Continue);
    assert_eq!(stream.on_request_trailers(&host), Flow::Continue);
    assert!(host.are_request_trailers_dropped.get());
    let (elsewhere, mut stream) = begin(&gateway, get_request("/x", "token"), Flow::Continue);
    assert_eq!(stream.on_request_trailers(&elsewhere), Flow::Continue);
    assert!(!elsewhere.are_request_trailers_dropped.get());
}
