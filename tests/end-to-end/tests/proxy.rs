//! What a client with a token gets from the gateway, and what reaches IntelligenceBank.
#![cfg(test)]

use std::sync::LazyLock;

use ib_end_to_end::{
    API_HOST, Deployment, FOREIGN_HOST, LoggedRequest, PLATFORM_HOST, assert_error_body,
    sha256_hex, unique,
};
use serde_json::{Value, json};

static GATEWAY: LazyLock<Deployment> = LazyLock::new(Deployment::shared);

#[test]
fn defect_26_every_method_that_a_client_of_intelligencebank_uses_arrives_as_it_was_sent() {
    let grant = GATEWAY.log_in();
    for (method, body) in [
        ("GET", None),
        ("POST", Some(r#"{"data":{"name":"a picture"}}"#)),
        ("PUT", Some(r#"{"data":{"name":"another"}}"#)),
        ("PATCH", Some(r#"{"data":{}}"#)),
        ("DELETE", None),
        ("OPTIONS", None),
    ] {
        let rest = format!("/api/3.0.0/{}/resource?echo", unique("methods"));
        let mut request = GATEWAY.proxied(method, &rest).bearer(&grant.access_token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let arrived = LoggedRequest::echoed(&GATEWAY.send(&request));
        assert_eq!(arrived.method, method);
        assert_eq!(arrived.host, PLATFORM_HOST);
        assert_eq!(arrived.path_and_query(), rest);
        let body = body.unwrap_or_default();
        assert_eq!(arrived.body_sha256, sha256_hex(body.as_bytes()), "{method}: another body");
        assert_eq!(arrived.body_length, body.len() as u64);
    }
}

#[test]
fn defect_26_head_gives_the_headers_of_the_answer_and_no_body() {
    let grant = GATEWAY.log_in();
    let mark = unique("head");
    let rest = format!("/api/3.0.0/{mark}/resource?echo");
    let answer = GATEWAY.send(&GATEWAY.proxied("HEAD", &rest).bearer(&grant.access_token));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.is_empty());
    let arrived = GATEWAY.simulator().requests_marked(&mark);
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    assert_eq!(arrived[0].method, "HEAD");
}

#[test]
fn a_client_that_asks_for_a_range_gets_that_part_of_the_file() {
    let grant = GATEWAY.log_in();
    let rest = "/api/3.0.0/demo/resource/bytes-1000?action=download";
    let request = GATEWAY.proxied("GET", rest).bearer(&grant.access_token);
    let whole = GATEWAY.send(&request).with_status(200);
    assert_eq!(whole.body.len(), 1000);
    assert_eq!(whole.header("accept-ranges").as_deref(), Some("bytes"));
    assert!(whole.header("content-disposition").is_some(), "{whole:?}");
    for (range, from, to) in
        [("bytes=10-15", 10, 15), ("bytes=990-", 990, 999), ("bytes=-5", 995, 999)]
    {
        let part = GATEWAY.send(&request.clone().header("range", range));
        assert_eq!(part.status, 206, "{part:?}");
        assert_eq!(part.body, whole.body[from..=to]);
        let expected = format!("bytes {from}-{to}/1000");
        assert_eq!(part.header("content-range"), Some(expected));
        assert_eq!(part.header("etag"), whole.header("etag"));
    }
    let beyond = GATEWAY.send(&request.clone().header("range", "bytes=1000-"));
    assert_eq!(beyond.status, 416, "{beyond:?}");
}

#[test]
fn a_file_that_is_uploaded_as_a_form_arrives_whole() {
    let grant = GATEWAY.log_in();
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let boundary = unique("boundary");
    let mut body = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\
         content-type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(&content);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let request = GATEWAY
        .proxied("POST", "/api/3.0.0/demo/file?target=resource")
        .bearer(&grant.access_token)
        .header("content-type", format!("multipart/form-data; boundary={boundary}"))
        .body(body);
    let answer = GATEWAY.send(&request).with_status(200);
    assert_eq!(answer.json()["response"]["sha256"], json!(sha256_hex(&content)));
}

#[test]
fn a_client_that_expects_100_continue_is_told_to_go_on() {
    let grant = GATEWAY.log_in();
    let body = b"only after the interim answer";
    let request = GATEWAY
        .proxied("POST", "/api/3.0.0/expect/file?echo")
        .bearer(&grant.access_token)
        .header("expect", "100-continue")
        .header("content-length", body.len().to_string());
    let mut connection = GATEWAY.connect();
    connection.write(&request.head_bytes(&GATEWAY.host())).unwrap();
    let interim = connection.read_head().unwrap();
    assert_eq!(interim.status, 100, "the body is not sent yet: {interim:?}");
    connection.write(body).unwrap();
    let arrived = LoggedRequest::echoed(&connection.read_response("POST").unwrap());
    assert_eq!(arrived.body_sha256, sha256_hex(body));
}

#[test]
fn a_client_that_expects_100_continue_without_a_token_is_refused_before_it_sends_its_body() {
    let request = GATEWAY
        .proxied("POST", "/api/3.0.0/expect/file?echo")
        .header("expect", "100-continue")
        .header("content-length", "50000000");
    let mut connection = GATEWAY.connect();
    connection.write(&request.head_bytes(&GATEWAY.host())).unwrap();
    let answer = connection.read_response("POST").unwrap();
    assert_error_body(&answer, 401, "invalid_request");
}

#[test]
fn defect_26_the_paths_and_queries_of_intelligencebank_arrive_byte_for_byte() {
    let grant = GATEWAY.log_in();
    let mark = unique("shape");
    for shape in [
        "/resource.limit(0,100).order(createTime:-1).fields().includeAmaTags(brands,faces)?\
         searchParams[isSearching]=true&searchParams[keywords]=&verbose&productkey=x&echo",
        "/resource.limit(0,100)/?verbose&echo",
        "/resource/?echo",
        "/folder.fields()?echo",
        "/resource.order(createTime:-1)/?a&b=&c=1&a&echo",
        "/resource/one?version=true&echo",
        "/resource/one?action=preview&echo",
        "/file?target=resource&echo",
        "/a%3ab%3Ac%c3%A9%7e~?q=%3a%3A%5b%5D&q=[]&echo",
        "/a%20b+c?q=a+b%20c%2B&echo",
        "/a%2fb%2Fc?q=%2f%2F/&echo",
        "/a%252e%252e/b?q=%252f&echo",
        "//doubled///slashes//?q=//x//&echo",
        "/semi;colon;a=b/c?x;y&echo",
        "/-._~!$&'()*+,;=:@?-._~!$'()*+,;=:@/?&echo",
        "/...?..&../..&echo",
        "/..a/.b/c../d.?q=..&echo",
        "/x?z=1&y=2&x=3&a=https://example.com/?u=v&sidx=1&xsid=2&echo",
        "/x?&&=&==&echo&",
    ] {
        let rest = format!("/api/3.0.0/{mark}{shape}");
        let answer = GATEWAY.send(&GATEWAY.proxied("GET", &rest).bearer(&grant.access_token));
        assert_eq!(answer.status, 200, "{rest}: {answer:?}");
        let arrived = LoggedRequest::echoed(&answer);
        assert_eq!(arrived.path_and_query(), rest);
        assert_eq!(arrived.host, PLATFORM_HOST);
    }
}

#[test]
fn the_tunnelled_form_of_the_api_arrives_with_its_body() {
    let grant = GATEWAY.log_in();
    let body = json!({
        "method": "GET", "version": "3.0.0", "client": client_id(&grant.body),
        "table": "resource.limit(0,100)", "query_params": {},
    })
    .to_string();
    let request = GATEWAY
        .proxied_to(API_HOST, "POST", "/api/json?echo")
        .bearer(&grant.access_token)
        .header("content-type", "application/json")
        .body(body.as_str());
    let arrived = LoggedRequest::echoed(&GATEWAY.send(&request));
    assert_eq!(arrived.host, API_HOST);
    assert_eq!(arrived.raw_path, "/api/json");
    assert_eq!(arrived.body_sha256, sha256_hex(body.as_bytes()));
}

#[test]
fn a_body_of_unknown_length_arrives_whole() {
    let grant = GATEWAY.log_in();
    let request = GATEWAY
        .proxied("POST", "/api/3.0.0/chunked/file?echo")
        .bearer(&grant.access_token)
        .header("transfer-encoding", "chunked")
        .body(&b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n"[..]);
    let arrived = LoggedRequest::echoed(&GATEWAY.send(&request));
    assert_eq!(arrived.body_sha256, sha256_hex(b"hello, world"));
}

#[test]
fn one_token_serves_the_platform_and_the_host_of_its_api_with_the_same_session() {
    let grant = GATEWAY.log_in();
    let sids = [PLATFORM_HOST, API_HOST].map(|host| {
        let mark = unique("hosts");
        let rest = format!("/api/3.0.0/{mark}/user?echo");
        let request = GATEWAY.proxied_to(host, "GET", &rest).bearer(&grant.access_token);
        GATEWAY.send(&request).with_status(200);
        let arrived = GATEWAY.simulator().requests_marked(&mark);
        assert_eq!(arrived[0].host, host);
        arrived[0].header("sid")
    });
    assert_eq!(sids[0], sids[1]);
}

#[test]
fn defect_2_row_21_another_tenants_host_is_refused_and_the_session_never_goes_there() {
    let grant = GATEWAY.log_in();
    let sid = GATEWAY.sid_of(&grant.access_token);
    let mark = unique("foreign");
    let rest = format!("/api/3.0.0/{mark}/user?echo");
    for host in [FOREIGN_HOST, "nobody.intelligencebank.com", "example.com", "remax-cca.com"] {
        let request = GATEWAY
            .proxied_to(host, "GET", &rest)
            .bearer(&grant.access_token)
            .header("x-mark", &mark);
        let answer = GATEWAY.send(&request);
        let description = assert_error_body(&answer, 403, "access_denied");
        assert!(description.contains(host), "it does not name the host: {description}");
        assert!(!answer.text().contains(&sid));
    }
    GATEWAY.simulator().assert_nothing_marked(&mark);
    let foreign = GATEWAY.simulator().requests_marked(&sid);
    assert!(
        foreign.iter().all(|request| [PLATFORM_HOST, API_HOST].contains(&request.host.as_str())),
        "the session was seen elsewhere: {foreign:?}"
    );
}

#[test]
fn row_21_what_identifies_the_client_stays_at_the_gateway_and_the_session_goes_up() {
    let grant = GATEWAY.log_in();
    let mark = unique("hygiene");
    let rest = format!("/api/3.0.0/{mark}/resource?echo");
    let plain = GATEWAY.proxied("GET", &rest).bearer(&grant.access_token);
    let laden = GATEWAY
        .proxied("POST", &rest)
        .bearer(&grant.access_token)
        .header("sid", "forged")
        .header("SID", "forged-again")
        .header("cookie", "a=b; sid=forged")
        .header("cookie", "second=1")
        .header("x-forwarded-for", "192.0.2.7")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "http")
        .header("x-forwarded-port", "1")
        .header("x-forwarded-prefix", "/x")
        .header("x-forwarded-client-cert", "Subject=\"x\"")
        .header("x-forwarded-something-new", "1")
        .header("x_forwarded_for", "192.0.2.8")
        .header("x-envoy-retry-on", "5xx")
        .header("x-envoy-max-retries", "7")
        .header("x-envoy-upstream-rq-timeout-ms", "60000")
        .header("x-envoy-original-path", "/x")
        .header("x-envoy-attempt-count", "3")
        .header("x-envoy-expected-rq-timeout-ms", "5")
        .header("x-envoy-external-address", "192.0.2.9")
        .header("x-envoy-internal", "true")
        .header("x-envoy-something-new", "1")
        .header("x-custom", "stays")
        .header("content-type", "text/plain")
        .body("x");
    for request in [plain, laden] {
        GATEWAY.send(&request).with_status(200);
    }
    let arrived = GATEWAY.simulator().requests_marked(&mark);
    assert_eq!(arrived.len(), 2, "{arrived:?}");
    assert_eq!(arrived[0].header("sid"), arrived[1].header("sid"), "a forged session went up");
    for request in &arrived {
        assert!(!request.header("sid").contains("forged"), "{request:?}");
        for name in request.headers.keys() {
            let name = name.to_ascii_lowercase().replace('_', "-");
            let banned = ["authorization", "cookie", "proxy-authorization"]
                .contains(&name.as_str())
                || name.starts_with("x-forwarded")
                || name.starts_with("x-envoy");
            assert!(!banned, "{name} reached the upstream: {request:?}");
        }
        assert!(!request.mentions(&grant.access_token), "the token went up: {request:?}");
    }
    assert_eq!(arrived[1].header("x-custom"), "stays");
}

#[test]
fn errors_of_intelligencebank_pass_as_they_are() {
    let grant = GATEWAY.log_in();
    let client = client_id(&grant.body);
    for (rest, status, code) in [
        (format!("/api/3.0.0/{client}/resource/x/forbidden"), 403, "error.no_permission"),
        (format!("/api/3.0.0/{client}/resource/missing"), 404, "error.resource.not_found"),
    ] {
        let answer = GATEWAY.send(&GATEWAY.proxied("GET", &rest).bearer(&grant.access_token));
        assert_eq!(answer.status, status, "{rest}: {answer:?}");
        assert_eq!(answer.json(), json!({ "error": code }), "{rest}: {answer:?}");
        assert!(answer.header("www-authenticate").is_none(), "{answer:?}");
    }
}

#[test]
fn two_requests_on_one_connection_are_both_served() {
    let grant = GATEWAY.log_in();
    let mut connection = GATEWAY.connect();
    for round in 0..2 {
        let rest = format!("/api/3.0.0/keepalive/{round}?echo");
        let request = GATEWAY.proxied("GET", &rest).bearer(&grant.access_token);
        let answer = connection.exchange(&request, &GATEWAY.host()).unwrap();
        assert_eq!(LoggedRequest::echoed(&answer).path_and_query(), rest);
    }
}

#[test]
fn row_12_rfc_9110_11_1_the_name_of_the_scheme_may_be_written_in_any_case() {
    let grant = GATEWAY.log_in();
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        let request = GATEWAY
            .proxied("GET", "/api/3.0.0/scheme/user?echo")
            .header("authorization", format!("{scheme} {}", grant.access_token));
        assert_eq!(GATEWAY.send(&request).status, 200, "{scheme}");
    }
}

fn client_id(token_reply: &Value) -> String {
    token_reply["clientid"].as_str().expect("the reply names IntelligenceBank's client").to_owned()
}
