//! Requests that are sent again after their session has died: what they may be, how large they and their
//! answers may be, and who leaves meanwhile.
#![cfg(test)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use ib_end_to_end::{
    Connection, Deployment, Grant, LoggedRequest, PATIENCE, Pattern, Request, Response,
    StackOptions, assert_error_body, eventually, sha256_hex, unique,
};
use serde_json::{Value, json};

/// The most of a request's body that is kept, in bytes.
const KEPT: usize = 65_536;
const LARGEST_ANSWER: usize = 100_000;

static GATEWAY: LazyLock<Option<Deployment>> = LazyLock::new(|| {
    let options = StackOptions {
        plugin_configuration: json!({ "replay": {
            "maximum_request_body_bytes": KEPT, "maximum_response_body_bytes": LARGEST_ANSWER,
        } }),
        ..StackOptions::default()
    };
    let gateway = Deployment::own(options)?;
    gateway.simulator().set(&json!({ "renewal": "extends" }));
    Some(gateway)
});

/// A client with a session of its own and one connection, and so one worker: the other one learns of a
/// renewal when it meets the dead session itself.
struct Client {
    gateway: &'static Deployment,
    grant: Grant,
    connection: RefCell<Connection>,
}

impl Client {
    fn log_in() -> Option<Self> {
        let gateway = GATEWAY.as_ref()?;
        let connection = RefCell::new(gateway.connect().within(PATIENCE * 2));
        Some(Self { gateway, grant: gateway.log_in(), connection })
    }

    #[track_caller]
    fn send(&self, request: &Request) -> Response {
        self.connection.borrow_mut().exchange(request, &self.gateway.host()).expect("an answer")
    }

    /// Ends the session at IntelligenceBank, and gives its sid.
    #[track_caller]
    fn kill_session(&self) -> String {
        let mark = unique("whose");
        self.send(&self.request("GET", &format!("/{mark}?echo"))).with_status(200);
        let sid = self.gateway.simulator().requests_marked(&mark)[0].header("sid");
        self.gateway.simulator().kill_session(&sid);
        sid
    }

    fn request(&self, method: &str, rest: &str) -> Request {
        self.gateway.proxied(method, rest).bearer(&self.grant.access_token)
    }
}

#[test]
fn every_method_is_sent_again_with_its_body_and_its_headers() {
    let Some(client) = Client::log_in() else { return };
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let old = client.kill_session();
        let mark = unique("method");
        let rest = format!("/api/3.0.0/{mark}/a.limit(0,1)/?a[]=&b&echo");
        let mut request = client.request(method, &rest).header("x-own", "stays");
        let mut body = String::new();
        if ["POST", "PUT", "PATCH"].contains(&method) {
            body = "0123456789abcdef".repeat(KEPT / 16);
            request = request.header("content-type", "text/plain").body(body.clone());
        }
        let answer = LoggedRequest::echoed(&client.send(&request));
        assert_eq!(answer.body_sha256, sha256_hex(body.as_bytes()), "{method}");
        let arrived = client.gateway.simulator().requests_marked(&mark);
        assert_eq!(arrived.len(), 2, "{method}: {arrived:?}");
        let [first, second] = [&arrived[0], &arrived[1]];
        assert_eq!(first.header("sid"), old);
        assert_ne!(second.header("sid"), old);
        assert_eq!(second.path_and_query(), rest, "{method}");
        for request in [first, second] {
            assert_eq!(request.body_sha256, sha256_hex(body.as_bytes()), "{method}");
        }
        // The second differs from the first in its sid and in nothing else that the upstream sees.
        let comparable = |request: &LoggedRequest| {
            let mut headers: BTreeMap<String, Value> = request.headers.clone();
            headers.retain(|name, _| name != "sid" && name != "transfer-encoding");
            headers
        };
        assert_eq!(comparable(first), comparable(second), "{method}");
    }
}

#[test]
fn the_answer_of_a_request_that_was_sent_again_looks_like_any_other() {
    let Some(client) = Client::log_in() else { return };
    let id = client.grant.body["clientid"].as_str().unwrap().to_owned();
    for (method, rest, range) in [
        ("GET", format!("/api/3.0.0/{id}/resource/bytes-5000?action=download"), None),
        ("GET", format!("/api/3.0.0/{id}/resource/bytes-5000?action=download"), Some("bytes=7-90")),
        ("HEAD", format!("/api/3.0.0/{id}/resource/bytes-5000?action=download"), None),
        ("GET", format!("/api/3.0.0/{id}/resource.limit(0,10)"), None),
        ("GET", format!("/api/3.0.0/{id}/resource/missing"), None),
        ("GET", format!("/api/3.0.0/{id}/resource/x/forbidden"), None),
    ] {
        let mut request = client.request(method, &rest).header("origin", "https://app.example.com");
        if let Some(range) = range {
            request = request.header("range", range);
        }
        client.kill_session();
        let replayed = client.send(&request);
        let ordinary = client.send(&request);
        assert_eq!(replayed.status, ordinary.status, "{rest}");
        // The sids are masked, so even lists are equal.
        assert_eq!(replayed.body, ordinary.body, "{rest}");
        assert_eq!(comparable(&replayed), comparable(&ordinary), "{method} {rest} {range:?}");
    }
}

#[test]
fn a_401_without_a_body_is_answered_too() {
    let Some(client) = Client::log_in() else { return };
    for method in ["GET", "HEAD", "POST"] {
        let mark = unique("bare");
        client.gateway.simulator().set(&json!({ "answers": [
            { "path_prefix": format!("/{mark}"), "count": 1, "status": 401 },
        ] }));
        let request = client.request(method, &format!("/{mark}?echo"));
        let request = if method == "POST" { request.body("x") } else { request };
        let answer = client.send(&request);
        assert_eq!(answer.status, 200, "{method}: {answer:?}");
        if method != "HEAD" {
            assert_eq!(LoggedRequest::echoed(&answer).method, method);
        }
        assert_eq!(client.gateway.simulator().requests_marked(&mark).len(), 2);
    }
}

#[test]
fn an_upload_beyond_what_is_kept_is_told_to_come_again_and_its_next_try_works() {
    let Some(client) = Client::log_in() else { return };
    client.kill_session();
    let body = "x".repeat(KEPT * 3);
    let request = client.request("POST", "/api/3.0.0/large/file?echo").body(body.clone());
    let answer = client.send(&request);
    assert_error_body(&answer, 503, "temporarily_unavailable");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let arrived = LoggedRequest::echoed(&client.send(&request));
    assert_eq!(arrived.body_sha256, sha256_hex(body.as_bytes()));
}

#[test]
fn an_answer_beyond_what_a_replay_may_hold_is_told_to_come_again_and_the_next_try_streams_it() {
    let Some(client) = Client::log_in() else { return };
    client.kill_session();
    let id = client.grant.body["clientid"].as_str().unwrap();
    let length = LARGEST_ANSWER + 65_536;
    let rest = format!("/api/3.0.0/{id}/resource/bytes-{length}?action=download");
    let answer = client.send(&client.request("GET", &rest));
    assert_error_body(&answer, 503, "temporarily_unavailable");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let answer = client.send(&client.request("GET", &rest)).with_status(200);
    assert_eq!(answer.body.len(), length);
    client.gateway.await_filter_count("replays.result.too_large", 1);
}

#[test]
fn a_client_that_leaves_while_its_request_is_sent_again_harms_nobody() {
    let Some(client) = Client::log_in() else { return };
    let gateway = client.gateway;
    let mark = unique("leaving");
    client.kill_session();
    gateway
        .simulator()
        .set_faults(&[json!({ "path_prefix": format!("/api/{mark}"), "delay_ms": 700 })]);
    let rest = format!("/api/{mark}/x?echo");
    let mut leaving = gateway.begin_all(&vec![client.request("POST", &rest).body("leaves"); 10]);
    let mut staying = gateway.begin_all(&vec![client.request("POST", &rest).body("stays"); 10]);
    eventually("the requests to be sent again", PATIENCE, || {
        (gateway.simulator().requests_marked(&mark).len() > 20).then_some(())
    });
    leaving.clear();
    for connection in &mut staying {
        let arrived = LoggedRequest::echoed(&connection.read_response("POST").unwrap());
        assert_eq!(arrived.body_sha256, sha256_hex(b"stays"));
    }
    gateway.simulator().set_faults(&[]);
    gateway.send(&client.request("GET", "/api/3.0.0/after/x?echo")).with_status(200);
    gateway.await_filter_count("waiting_streams", 0);
}

#[test]
fn a_slow_upload_to_a_dead_session_gets_its_answer_when_it_is_whole() {
    let Some(client) = Client::log_in() else { return };
    let gateway = client.gateway;
    client.kill_session();
    let mut pattern = Pattern::of_length(30_000);
    let request =
        client.request("POST", "/api/3.0.0/slow/file?echo").header("content-length", "30000");
    let mut connection = gateway.connect();
    connection.write(&request.head_bytes(&gateway.host())).unwrap();
    while let Some(piece) = pattern.next_chunk(3_000) {
        connection.write(piece).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let arrived = LoggedRequest::echoed(&connection.read_response("POST").unwrap());
    assert_eq!(arrived.body_sha256, pattern.sha256_hex());
}

/// The headers of an answer that do not differ from one to the next.
fn comparable(answer: &Response) -> BTreeMap<String, Vec<String>> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &answer.headers {
        if !["date", "x-request-id"].contains(&name.as_str()) {
            headers.entry(name.clone()).or_default().push(String::from_utf8_lossy(value).into());
        }
    }
    headers.values_mut().for_each(|values| values.sort());
    headers
}
