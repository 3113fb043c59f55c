//! Session ids in the bodies of answers: masked in JSON, however they are spelt and however the body
//! comes, and nothing else changed.
#![cfg(test)]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use ib_end_to_end::{
    Deployment, Grant, PLATFORM_HOST, Request, Response, Snippet, StackOptions, assert_error_body,
    sha256_hex, unique,
};
use serde_json::{Value, json};
use url::Url;

static GATEWAY: LazyLock<Option<Deployment>> = LazyLock::new(|| {
    let gateway = Deployment::own(StackOptions::default())?;
    gateway.simulator().set(&json!({ "renewal": "extends" }));
    Some(gateway)
});
/// The simulator has one list of prepared answers.
static ANSWERS: Mutex<()> = Mutex::new(());

struct Client<'a> {
    gateway: &'a Deployment,
    grant: Grant,
    sid: String,
}

impl<'a> Client<'a> {
    fn of(gateway: &'a Deployment) -> Self {
        let grant = gateway.log_in();
        let sid = gateway.sid_of(&grant.access_token);
        Self { gateway, grant, sid }
    }

    fn request(&self, method: &str, rest: &str) -> Request {
        self.gateway.proxied(method, rest).bearer(&self.grant.access_token)
    }

    /// The path of a call about this client's own library.
    fn library(&self, rest: &str) -> String {
        format!("/api/3.0.0/{}{rest}", self.grant.body["clientid"].as_str().unwrap())
    }

    /// What IntelligenceBank itself answers to a GET with this session.
    #[track_caller]
    fn of_the_upstream(&self, rest: &str) -> Response {
        let url = Url::parse(&format!("https://{PLATFORM_HOST}{rest}")).unwrap();
        self.gateway.simulator().browse(&url, &Request::get(rest).header("sid", &self.sid))
    }

    /// Has the platform answer with these headers and this body once, and gives what the client sees.
    #[track_caller]
    fn prepared(&self, request: impl Fn(String) -> Request, answer: Value) -> Response {
        let _one = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
        let path = format!("/{}", unique("prepared"));
        let mut answer = answer;
        answer["path_prefix"] = json!(path);
        self.gateway.simulator().set(&json!({ "answers": [answer] }));
        self.gateway.send(&request(path))
    }

    fn get(&self) -> impl Fn(String) -> Request {
        |path| self.request("GET", &path)
    }

    /// The text with this session's id masked.
    fn masked(&self, text: &str) -> String {
        text.replace(&self.sid, &mask(&self.sid))
    }
}

#[test]
fn the_addresses_in_a_list_lose_their_session_id_and_not_a_byte_else() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let client = Client::of(gateway);
    for rest in ["/resource.limit(0,100)", "/resource/one", "/file.limit(0,3)", "/user", "/none"] {
        let rest = client.library(rest);
        let upstream = client.of_the_upstream(&rest);
        let answer = gateway.send(&client.request("GET", &rest));
        assert_eq!(answer.status, upstream.status);
        assert_eq!(answer.text(), client.masked(&upstream.text()), "{rest}");
        for name in ["content-type", "content-length", "etag"] {
            assert_eq!(answer.headers(name), upstream.headers(name), "{rest}: {name}");
        }
        let head = gateway.send(&client.request("HEAD", &rest));
        assert_eq!(head.headers("content-length"), answer.headers("content-length"), "{rest}");
    }
    let list = client.of_the_upstream(&client.library("/resource.limit(0,100)")).text();
    assert_eq!(list.matches(&client.sid).count(), 100, "the simulator gives no ids away any more");
    gateway.await_filter_count("replays.result.impossible", 0);
}

#[test]
fn a_session_id_is_masked_however_the_body_is_cut_and_however_it_is_spelt() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let client = Client::of(gateway);
    let percent = |upper: bool, every: usize| {
        let spelt = client.sid.bytes().enumerate().map(|(position, byte)| {
            match (position % every == 0, upper) {
                (true, true) => format!("%{byte:02X}"),
                (true, false) => format!("%{byte:02x}"),
                (false, _) => char::from(byte).to_string(),
            }
        });
        spelt.collect::<String>()
    };
    let spellings = [
        client.sid.clone(),
        client.sid.to_uppercase(),
        percent(true, 1),
        percent(false, 1),
        percent(true, 3),
    ];
    let mut body = String::from("{\"none\":\"0123456789abcdef\"");
    let mut expected = body.clone();
    for (number, spelling) in spellings.iter().enumerate() {
        body.push_str(&format!(",\"{number}\":\"https://x/?sid={spelling}&a=%41%zz\""));
        expected.push_str(&format!(",\"{number}\":\"https://x/?sid={}&a=%41%zz\"", mask(spelling)));
    }
    for text in [&mut body, &mut expected] {
        // Nearly the id, up to the very end.
        text.push_str(&format!(",\"part\":\"{}\"}}", client.sid.get(1..).unwrap()));
    }
    for (piece_bytes, pause_ms) in [(1, 1), (2, 1), (7, 1), (31, 2), (33, 2), (100_000, 0)] {
        let answer = client.prepared(
            client.get(),
            json!({
                "count": 1, "headers": [["content-type", "application/json; charset=utf-8"]],
                "body": body, "piece_bytes": piece_bytes, "pause_ms": pause_ms,
            }),
        );
        assert_eq!(answer.with_status(200).text(), expected, "in pieces of {piece_bytes}");
    }
}

#[test]
fn every_json_type_is_searched_whatever_the_status_and_nothing_else_is() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let client = Client::of(gateway);
    for (kind, status, is_searched) in [
        ("application/json", 200, true),
        ("APPLICATION/JSON;charset=utf-8", 201, true),
        ("application/problem+json", 400, true),
        ("application/vnd.api+json", 500, true),
        ("text/json", 200, true),
        ("application/octet-stream", 200, false),
        ("image/png", 200, false),
        ("text/csv", 200, false),
    ] {
        let answer = client.prepared(
            client.get(),
            json!({
                "count": 1, "status": status, "body": "{\"u\":\"{sid}\"}",
                "headers": [["content-type", kind], ["etag", "\"a\""], ["x-own", "stays"]],
            }),
        );
        let shown = if is_searched { mask(&client.sid) } else { client.sid.clone() };
        assert_eq!(answer.status, status);
        assert_eq!(answer.text(), format!("{{\"u\":\"{shown}\"}}"), "{kind}");
        assert_eq!(answer.header("etag").as_deref(), Some("\"a\""));
        assert_eq!(answer.header("x-own").as_deref(), Some("stays"));
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string()));
    }
}

#[test]
fn the_id_that_a_renewal_has_replaced_is_masked_too() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let client = Client::of(gateway);
    gateway.simulator().kill_session(&client.sid);
    let rest = client.library("/user?echo");
    for connection in &mut gateway.connection_to_each_worker() {
        let request = client.request("GET", &rest);
        connection.exchange(&request, &gateway.host()).unwrap().with_status(200);
    }
    let newer = gateway.sid_of(&client.grant.access_token);
    assert_ne!(newer, client.sid);
    let answer = client.prepared(
        client.get(),
        json!({
            "count": 1, "headers": [["content-type", "application/json"]],
            "body": format!("[\"{}\",\"{{sid}}\",\"{}\"]", client.sid, client.sid),
        }),
    );
    let stars = mask(&newer);
    assert_eq!(answer.with_status(200).text(), format!("[\"{stars}\",\"{stars}\",\"{stars}\"]"));
}

#[test]
fn json_that_cannot_be_searched_is_not_handed_on() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let client = Client::of(gateway);
    for coding in ["gzip", "br", "zstd", "gzip, br", "unknown"] {
        let answer = client.prepared(
            client.get(),
            json!({
                "count": 1, "body": "{sid}",
                "headers": [["content-type", "application/json"], ["content-encoding", coding]],
            }),
        );
        let description = assert_error_body(&answer, 502, "bad_gateway");
        assert!(description.contains(PLATFORM_HOST), "{description}");
        assert!(!answer.text().contains(&client.sid));
        assert!(answer.header("content-encoding").is_none(), "{answer:?}");
    }
    let answer = client.prepared(
        |path| client.request("GET", &path).header("range", "bytes=0-9"),
        json!({
            "count": 1, "status": 206, "body": "{sid}",
            "headers": [["content-type", "application/json"], ["content-range", "bytes 0-9/100"]],
        }),
    );
    assert_eq!(answer.status, 416, "{answer:?}");
    assert!(!answer.text().contains(&client.sid));
    // The identity is no encoding, and other types may be encoded as they like.
    for (kind, coding) in [("application/json", "identity"), ("text/plain", "gzip")] {
        let answer = client.prepared(
            client.get(),
            json!({
                "count": 1, "body": "plain",
                "headers": [["content-type", kind], ["content-encoding", coding]],
            }),
        );
        assert_eq!(answer.with_status(200).text(), "plain");
    }
}

#[test]
fn upstreams_are_asked_for_plain_answers_and_envoy_compresses_for_whoever_asks() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let client = Client::of(gateway);
    let mark = unique("plain");
    let request = client.request("GET", &format!("/{mark}?echo"));
    gateway.send(&request.header("accept-encoding", "gzip, br")).with_status(200);
    let arrived = gateway.simulator().requests_marked(&mark);
    assert_eq!(arrived[0].header("accept-encoding"), "identity");

    let rest = client.library("/resource.limit(0,100)");
    let plain = gateway.send(&client.request("GET", &rest)).with_status(200);
    assert!(plain.header("content-encoding").is_none(), "{plain:?}");
    let request = client.request("GET", &rest).header("accept-encoding", "gzip");
    let packed = gateway.send(&request).with_status(200);
    assert_eq!(packed.header("content-encoding").as_deref(), Some("gzip"));
    assert!(packed.body.len() < plain.body.len() / 2, "{} bytes", packed.body.len());
    assert!(packed.list("vary").contains(&"accept-encoding".to_owned()), "{packed:?}");
    assert_eq!(unpacked(&packed.body), plain.body);
}

#[test]
fn defect_26_files_go_up_and_come_down_as_they_are() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let client = Client::of(gateway);
    // A file that happens to hold the id is the client's own.
    let mut file: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    file.splice(100_000..100_032, client.sid.bytes());
    for kind in ["application/octet-stream", "application/json"] {
        let request = client
            .request("PUT", "/api/3.0.0/x/file?echo")
            .header("content-type", kind)
            .body(file.clone());
        let echo = gateway.send(&request).with_status(200).json();
        assert_eq!(echo["body_sha256"], json!(sha256_hex(&file)), "{kind}");
    }
    let rest = client.library("/resource/bytes-300000?action=download");
    let upstream = client.of_the_upstream(&rest);
    let answer = gateway.send(&client.request("GET", &rest));
    assert_eq!(sha256_hex(&answer.body), sha256_hex(&upstream.body));
    for name in ["content-length", "content-type", "content-disposition", "etag", "accept-ranges"] {
        assert_eq!(answer.headers(name), upstream.headers(name), "{name}");
    }
    let part = gateway.send(&client.request("GET", &rest).header("range", "bytes=1000-1999"));
    assert_eq!(part.status, 206, "{part:?}");
    assert_eq!(part.body, upstream.body[1_000..2_000]);
    assert_eq!(part.header("content-range").as_deref(), Some("bytes 1000-1999/300000"));
    let etag = answer.header("etag").expect("an etag");
    let known = gateway.send(&client.request("GET", &rest).header("if-none-match", etag));
    assert_eq!(known.status, 304, "{known:?}");
}

#[test]
fn where_bodies_are_passed_on_every_byte_and_every_encoding_is_the_upstreams() {
    let options = Snippet::read("pass-bodies.yaml").options();
    let Some(gateway) = Deployment::own(options) else { return };
    let client = Client::of(&gateway);
    let rest = client.library("/resource.limit(0,100)");
    let answer = gateway.send(&client.request("GET", &rest)).with_status(200);
    assert_eq!(answer.text(), client.of_the_upstream(&rest).text());
    assert!(answer.text().contains(&client.sid));
    let mark = unique("encoding");
    let request = client.request("GET", &format!("/{mark}?echo"));
    gateway.send(&request.header("accept-encoding", "gzip, br")).with_status(200);
    let arrived = gateway.simulator().requests_marked(&mark);
    assert_eq!(arrived[0].header("accept-encoding"), "gzip, br");
    let answer = client.prepared(
        client.get(),
        json!({
            "count": 1, "body": "{sid}",
            "headers": [["content-type", "application/json"], ["content-encoding", "br"]],
        }),
    );
    assert_eq!(answer.with_status(200).text(), client.sid);
}

fn mask(text: &str) -> String {
    "*".repeat(text.len())
}

/// Unpacks gzip by the program of that name, which every Linux has.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip");
    gzip.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = gzip.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}
