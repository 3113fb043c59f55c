//! Hostile requests, thousands to each endpoint: none of them is answered as a failure of the service,
//! none comes back unescaped, and none touches what honest clients have.
//!
//! The requests come from a seeded generator, so that each run sends the same ones.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, header},
};
use tower::ServiceExt as _;

use super::{
    Answer, CLIENT_SECRET, GATEWAY_CREDENTIAL, Kit, authorize_query, authorize_url, basic, text,
};

/// Requests to each endpoint.
const ROUNDS: usize = 10_000;
/// What must never come back in HTML as it is, and must never be in a header.
const MARK: &str = "<img src=x onerror=hostile>";

/// A small generator (SplitMix64): the same numbers everywhere, for ever.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

const NAMES: [&str; 26] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "platform_url",
    "poll_token",
    "authorization_request",
    "token",
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "client_secret",
    "resource",
    "session",
    "generation",
    "cause",
    "after",
    "wait",
    "token_type_hint",
    "response_mode",
    "access_token",
    "__proto__",
];

/// Values that are right somewhere, wrong everywhere else, or wrong in every way there is.
fn value(numbers: &mut Numbers) -> Vec<u8> {
    let fixed: [&[u8]; 40] = [
        b"",
        b"code",
        b"mcp-public-client",
        b"backend",
        b"http%3A%2F%2F127.0.0.1%3A8123%2Fcallback",
        b"profile",
        b"S256",
        b"plain",
        b"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        b"authorization_code",
        b"refresh_token",
        b"company.intelligencebank.com",
        b"https%3A%2F%2Fcompany.intelligencebank.com%2F%3Fx",
        b"127.0.0.1",
        b"localhost%00.intelligencebank.com",
        b"%5B%3A%3A1%5D",
        b"xn--nxasmq6b",
        b"javascript%3Aalert(1)",
        b"%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        b"%00",
        b"\x00\x01\x02",
        b"%0d%0aset-cookie%3A+hostile%3D1",
        b"\r\nset-cookie: hostile=1",
        b"%ff%fe%fd",
        b"\xff\xfe\xfd",
        b"%c0%af%e0%80%af",
        b"%ed%a0%80",
        b"%",
        b"%4",
        b"%zz",
        b"<img src=x onerror=hostile>",
        b"%3Cimg+src%3Dx+onerror%3Dhostile%3E",
        b"%22%3E%3Cimg+src%3Dx+onerror%3Dhostile%3E",
        b"{{7*7}}${7*7}",
        b"-1",
        b"18446744073709551616",
        b"rejected",
        b"1e309",
        b"ibg_r_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ];
    match numbers.below(12) {
        0 => vec![b"aA%<\0\xff "[numbers.below(7)]; numbers.below(20_000)],
        1 => (0..numbers.below(64)).map(|_| numbers.next().to_le_bytes()[0]).collect(),
        2 => {
            // A token of ours with one byte changed.
            let mut token = numbers.pick(&fixed).to_vec();
            if let Some(byte) = token.last_mut() {
                *byte ^= 1;
            }
            token
        }
        _ => numbers.pick(&fixed).to_vec(),
    }
}

fn pairs(numbers: &mut Numbers) -> Vec<u8> {
    let mut text = Vec::new();
    let honest = authorize_query(&[]);
    if numbers.one_in(3) {
        // A good request, and something behind it.
        text.extend_from_slice(honest.as_bytes());
    }
    for _ in 0..numbers.below(8) {
        if !text.is_empty() || numbers.one_in(8) {
            text.extend_from_slice(numbers.pick::<[u8]>(&[b"&", b"&&", b";", b"&=", b"\n"]));
        }
        let name = if numbers.one_in(8) {
            value(numbers)
        } else {
            numbers.pick(&NAMES).as_bytes().to_vec()
        };
        text.extend_from_slice(&name);
        if !numbers.one_in(10) {
            text.push(b'=');
            text.extend_from_slice(&value(numbers));
        }
    }
    if numbers.one_in(200) {
        text.resize(70_000, b'&');
    }
    text
}

fn body(numbers: &mut Numbers) -> Vec<u8> {
    match numbers.below(12) {
        0 => br#"{"grant_type":"authorization_code","code":["#.to_vec(),
        1 => b"[".repeat(numbers.below(30_000)),
        2 => b"--x\r\ncontent-disposition: form-data; name=token\r\n\r\nt\r\n--x--".to_vec(),
        3 => (0..numbers.below(2_000)).map(|_| numbers.next().to_le_bytes()[0]).collect(),
        4 => Vec::new(),
        _ => pairs(numbers),
    }
}

/// Header values: each byte that HTTP lets through.
fn header_value(numbers: &mut Numbers) -> HeaderValue {
    let mut bytes = value(numbers);
    bytes.truncate(4_000);
    bytes.retain(|byte| *byte >= 0x20 && *byte != 0x7f);
    HeaderValue::from_bytes(&bytes).unwrap()
}

fn request(numbers: &mut Numbers, path: &str, usual: &str, gateway: bool) -> Request<Body> {
    let methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "HOSTILE"];
    let method = if numbers.one_in(4) { numbers.pick(&methods) } else { usual };
    let mut target = path.to_owned();
    if numbers.one_in(if usual == "GET" { 1 } else { 4 }) {
        // What a URI may hold by the HTTP library: the rest of it would not get here.
        let query: Vec<_> = pairs(numbers)
            .into_iter()
            .filter(|byte| byte.is_ascii_graphic() && !b"#<>\"`".contains(byte))
            .collect();
        target.push('?');
        target.push_str(&String::from_utf8(query).unwrap());
    }
    if numbers.one_in(50) {
        target.push_str(numbers.pick(&["/", "//", "/..", "%2f", ";x"]));
    }
    target.truncate(60_000);
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(target)
        .body(Body::from(body(numbers)))
        .unwrap();
    let headers = request.headers_mut();
    if !numbers.one_in(6) {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
    }
    let names = [
        header::CONTENT_TYPE,
        header::AUTHORIZATION,
        header::ACCEPT,
        header::COOKIE,
        header::ORIGIN,
        header::HOST,
        header::EXPECT,
        header::CONTENT_ENCODING,
        HeaderName::from_static("x-forwarded-for"),
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("x-forwarded-host"),
        HeaderName::from_static("x-http-method-override"),
    ];
    for _ in 0..numbers.below(5) {
        headers.append(&names[numbers.below(names.len())], header_value(numbers));
    }
    if numbers.one_in(3) {
        headers.append(header::ACCEPT, HeaderValue::from_static("application/json"));
    }
    // Half of them get past the door.
    if gateway && numbers.one_in(2) {
        // An operator who names the client ends its grants, which would be no loss.
        let is_operators = matches!(path, "/admin/grants" | "/admin/credentials/refresh");
        let credential = if is_operators { OPERATOR } else { GATEWAY_CREDENTIAL };
        let credential = format!("Bearer {credential}").parse().unwrap();
        headers.insert(header::AUTHORIZATION, credential);
    } else if numbers.one_in(4) {
        let credentials = match numbers.below(4) {
            0 => "Basic ".to_owned(),
            1 => "Basic AAAA".to_owned(),
            2 => basic("backend", "wrong"),
            _ => basic("backend", CLIENT_SECRET),
        };
        headers.insert(header::AUTHORIZATION, credentials.parse().unwrap());
    }
    request
}

const OPERATOR: &str = "operator-credential-for-tests-0123456789";
/// The endpoints: port, path, method.
const PUBLIC: [(&str, &str); 16] = [
    ("/authorize", "GET"),
    ("/authorize", "POST"),
    ("/authorize/poll", "GET"),
    ("/token", "POST"),
    ("/introspect", "POST"),
    ("/revoke", "POST"),
    ("/logout", "POST"),
    ("/register", "POST"),
    ("/jwks.json", "GET"),
    ("/openapi.json", "GET"),
    ("/userinfo", "GET"),
    ("/healthz", "GET"),
    ("/assets/login.js", "GET"),
    ("/.well-known/oauth-authorization-server", "GET"),
    ("/.well-known/oauth-protected-resource/proxy/", "GET"),
    ("/no/such/path", "GET"),
];
const INTERNAL: [(&str, &str); 10] = [
    ("/admin/grants", "GET"),
    ("/admin/grants/revoke", "POST"),
    ("/admin/credentials/refresh", "POST"),
    ("/openapi.json", "GET"),
    ("/introspect", "POST"),
    ("/sessions/renew", "POST"),
    ("/revocations", "GET"),
    ("/metrics", "GET"),
    ("/readyz", "GET"),
    ("/no/such/path", "GET"),
];

#[track_caller]
fn assert_decent(answer: &Answer, of: &str) {
    let status = answer.status.as_u16();
    assert!(status < 500 || status == 503, "{of}: {status} {}", answer.text);
    // The one 503 that a hostile request may cause by itself is none of a failure.
    assert_ne!(status, 503, "{of}: {}", answer.text);
    for (name, value) in &answer.headers {
        let value = value.to_str().unwrap_or_else(|_| panic!("{of}: {name}: {value:?}"));
        assert!(!value.contains("hostile=1"), "{of}: {name}: {value}");
        assert!(!value.contains(MARK), "{of}: {name}: {value}");
    }
    if answer.text.is_empty() {
        return;
    }
    let media_type = answer.header("content-type");
    if media_type.starts_with("application/json") {
        let value = answer.json();
        if status >= 400 {
            assert!(value["error"].is_string(), "{of}: {}", answer.text);
            assert!(value["error_description"].is_string(), "{of}: {}", answer.text);
        }
    } else if media_type.starts_with("text/html") {
        assert!(answer.text.starts_with("<!DOCTYPE html>"), "{of}: {}", answer.text);
        assert!(!answer.text.contains(MARK), "{of}: {}", answer.text);
        assert!(answer.headers.contains_key("content-security-policy"), "{of}");
    } else {
        let is_asset =
            media_type.starts_with("text/javascript") || media_type.starts_with("text/css");
        let is_metrics = media_type.starts_with("text/plain; version=0.0.4");
        assert!(status == 200 && (is_asset || is_metrics), "{of}: {media_type} {}", answer.text);
        assert!(!answer.text.contains(MARK), "{of}");
    }
}

async fn storm(kit: &Kit, endpoints: &[(&str, &str)], internal: bool, seed: u64) {
    for (number, (path, usual)) in (0_u64..).zip(endpoints) {
        let mut numbers = Numbers(seed.wrapping_add(number));
        let router = if internal { &kit.internal } else { &kit.public };
        for round in 0..ROUNDS {
            let request = request(&mut numbers, path, usual, internal);
            let of = || format!("{} {path}, round {round}", request.method());
            let of = of();
            let waits = *path == "/revocations";
            let response = router.clone().oneshot(request);
            let answer = if waits {
                // A poll with good parameters waits for an event, as it should.
                match tokio::time::timeout(std::time::Duration::from_millis(20), response).await {
                    Ok(response) => Answer::of(response.unwrap()).await,
                    Err(_) => continue,
                }
            } else {
                Answer::of(response.await.unwrap()).await
            };
            assert_decent(&answer, &of);
        }
    }
}

#[tokio::test]
async fn ten_thousand_malformed_requests_to_each_public_endpoint_break_and_forge_nothing() {
    let kit = Kit::with("registration: { enabled: true, redirect_hosts: [ app.example.com ] }");
    let tokens = kit.tokens().await;
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    let pending = kit.begin().await;
    kit.upstream.answers(Ok(crate::upstreams::LoginProgress::Pending));
    storm(&kit, &PUBLIC, false, 1).await;
    assert_nothing_was_lost_or_made(&kit, &access, &refresh).await;
    kit.poll(&pending).await.expect(404, "authorization_pending");
}

#[tokio::test]
async fn ten_thousand_malformed_requests_to_each_internal_endpoint_break_and_forge_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let operator = folder.path().join("operator");
    std::fs::write(&operator, OPERATOR).unwrap();
    let kit = Kit::with(&format!("admin: {{ credentials: [ {{ file: {operator:?} }} ] }}"));
    let tokens = kit.tokens().await;
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    storm(&kit, &INTERNAL, true, 1_000).await;
    assert_nothing_was_lost_or_made(&kit, &access, &refresh).await;
}

/// The grant from before is good, and the only one.
async fn assert_nothing_was_lost_or_made(kit: &Kit, access: &str, refresh: &str) {
    assert_eq!(kit.introspect(access).await["active"], true);
    assert_eq!(kit.metric(r#"oauth_tokens_issued_total{grant_type="authorization_code"}"#), "1");
    assert!(!kit.app.metrics.render().contains(r#"grant_type="refresh_token""#));
    let events = kit.feed("?after=0").await.events;
    assert!(events.is_empty(), "{events:?}");
    let refreshed = kit.refresh(refresh).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text);
    assert_eq!(kit.get(&authorize_url(&[])).await.status, 200);
}
