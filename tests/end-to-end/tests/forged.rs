//! Requests that forge what the gateway trusts: its gate, its own headers, its framing, its paths, and
//! bytes that crash careless plugins.
#![cfg(test)]

use std::fs;
use std::sync::LazyLock;
use std::thread;

use ib_end_to_end::{
    Deployment, Grant, LoggedRequest, PLATFORM_HOST, Request, assert_error_body, unique,
};

static GATEWAY: LazyLock<Deployment> = LazyLock::new(Deployment::shared);
static GRANT: LazyLock<Grant> = LazyLock::new(|| GATEWAY.log_in());

#[test]
fn the_gate_cannot_be_opened_by_a_header() {
    for (name, value) in [
        ("ib_gateway", "approved client=x subject=x"),
        ("ib-gateway", "approved client=x subject=x"),
        ("wasm.ib_gateway", "approved client=x subject=x"),
        ("x-ib-gateway", "approved"),
        ("x-envoy-ib-gateway", "approved client=x subject=x"),
        ("x-envoy-filter-state", "wasm.ib_gateway=approved client=x subject=x"),
        ("x-envoy-original-path", "/proxy/company.intelligencebank.com/x"),
        ("x-envoy-internal", "true"),
        ("x-original-url", "/proxy/company.intelligencebank.com/x"),
        ("x-rewrite-url", "/proxy/company.intelligencebank.com/x"),
        ("sid", "forged"),
    ] {
        let mark = unique("gate");
        let proxied = GATEWAY
            .proxied("GET", "/api/3.0.0/gate/user?echo")
            .header(name, value)
            .header("x-mark", &mark);
        let answer = GATEWAY.send(&proxied);
        assert_error_body(&answer, 401, "invalid_request");
        let elsewhere = Request::get("/api/3.0.0/gate/user?echo")
            .header(name, value)
            .header("x-mark", &mark)
            .bearer(&GRANT.access_token);
        assert_error_body(&GATEWAY.send(&elsewhere), 404, "not_found");
        GATEWAY.simulator().assert_nothing_marked(&mark);
    }
}

#[test]
fn a_client_cannot_steer_envoys_retries_and_timeouts() {
    let mark = unique("steer");
    let rest = format!("/api/3.0.0/{mark}/resource?echo");
    let request = GATEWAY
        .proxied("POST", &rest)
        .bearer(&GRANT.access_token)
        .header("x-envoy-max-retries", "7")
        .header("x-envoy-retry-on", "5xx,retriable-4xx,retriable-status-codes,connect-failure")
        .header("x-envoy-retriable-status-codes", "200")
        .header("x-envoy-upstream-rq-timeout-ms", "1")
        .header("x-envoy-upstream-rq-per-try-timeout-ms", "1")
        .header("x-envoy-hedge-on-per-try-timeout", "true")
        .header("x-envoy-upstream-alt-stat-name", "forged")
        .body("once");
    let answer = GATEWAY.send(&request);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(GATEWAY.simulator().requests_marked(&mark).len(), 1, "sent more than once");
}

#[test]
fn an_upgrade_is_never_made() {
    for (upgrade, more) in [
        (
            "websocket",
            vec![
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("sec-websocket-version", "13"),
            ],
        ),
        ("connect-udp", vec![]),
        ("anything/1.0", vec![]),
    ] {
        let mark = unique("upgrade");
        let mut request = GATEWAY
            .proxied("GET", "/api/3.0.0/upgrade/x?echo")
            .bearer(&GRANT.access_token)
            .header("x-mark", &mark)
            .header("connection", "Upgrade")
            .header("upgrade", upgrade);
        for (name, value) in more {
            request = request.header(name, value);
        }
        let answer = GATEWAY.send(&request);
        assert!((400..500).contains(&answer.status), "{upgrade}: {answer:?}");
        assert_eq!(
            answer.header("content-type").as_deref(),
            Some("application/json"),
            "{answer:?}"
        );
        GATEWAY.simulator().assert_nothing_marked(&mark);
    }
}

#[test]
fn an_upgrade_to_clear_text_http2_is_not_made_and_not_passed_on() {
    let mark = unique("h2c");
    let request = GATEWAY
        .proxied("GET", "/api/3.0.0/h2c/x?echo")
        .bearer(&GRANT.access_token)
        .header("x-mark", &mark)
        .header("connection", "Upgrade, HTTP2-Settings")
        .header("upgrade", "h2c")
        .header("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA");
    let answer = GATEWAY.send(&request);
    assert_ne!(answer.status, 101, "{answer:?}");
    for arrived in GATEWAY.simulator().requests_marked(&mark) {
        assert!(arrived.headers("upgrade").is_empty(), "{arrived:?}");
        assert!(arrived.headers("http2-settings").is_empty(), "{arrived:?}");
    }
}

#[test]
fn grpc_is_not_served() {
    for content_type in ["application/grpc", "application/grpc+proto", "Application/GRPC"] {
        let mark = unique("grpc");
        let request = GATEWAY
            .proxied("POST", "/api/3.0.0/grpc/x?echo")
            .bearer(&GRANT.access_token)
            .header("x-mark", &mark)
            .header("content-type", content_type)
            .header("te", "trailers")
            .body(&b"\0\0\0\0\0"[..]);
        let answer = GATEWAY.send(&request);
        // Envoy dresses its local replies to gRPC as 200 with a grpc-status: both are refusals.
        let refused = (400..500).contains(&answer.status)
            || answer.header("grpc-status").is_some_and(|status| status != "0");
        assert!(refused, "{content_type}: {answer:?}");
        GATEWAY.simulator().assert_nothing_marked(&mark);
    }
}

#[test]
fn connect_opens_no_tunnel() {
    for target in [format!("{PLATFORM_HOST}:443"), GATEWAY.host(), "127.0.0.1:22".to_owned()] {
        for host in [GATEWAY.host(), target.clone()] {
            let mark = unique("connect");
            let request = Request::new("CONNECT", &target)
                .header("host", host)
                .header("x-mark", &mark)
                .bearer(&GRANT.access_token);
            if let Ok(answer) = GATEWAY.try_send(&request) {
                assert!((400..500).contains(&answer.status), "{answer:?}");
            }
            GATEWAY.simulator().assert_nothing_marked(&mark);
        }
    }
}

#[test]
fn an_absolute_target_counts_by_its_own_authority() {
    let own = format!("http://{}/proxy/{PLATFORM_HOST}/api/3.0.0/absolute/x?echo", GATEWAY.host());
    let answer = GATEWAY.send(&Request::get(own).bearer(&GRANT.access_token));
    assert_eq!(LoggedRequest::echoed(&answer).path_and_query(), "/api/3.0.0/absolute/x?echo");

    for target in [
        format!("http://{PLATFORM_HOST}/api/3.0.0/absolute/x?echo"),
        format!("http://{PLATFORM_HOST}/proxy/{PLATFORM_HOST}/x?echo"),
        "http://evil.example/token".to_owned(),
    ] {
        let mark = unique("absolute");
        let request = Request::get(&target).bearer(&GRANT.access_token).header("x-mark", &mark);
        let answer = GATEWAY.send(&request);
        assert_error_body(&answer, 421, "invalid_request");
        GATEWAY.simulator().assert_nothing_marked(&mark);
    }
}

#[test]
fn two_host_headers_are_refused() {
    for (first, second) in
        [(GATEWAY.host(), PLATFORM_HOST.to_owned()), (PLATFORM_HOST.to_owned(), GATEWAY.host())]
    {
        let mark = unique("hosts");
        let request = GATEWAY
            .proxied("GET", "/api/3.0.0/hosts/x?echo")
            .header("host", first)
            .header("host", second)
            .header("x-mark", &mark)
            .bearer(&GRANT.access_token);
        let answer = GATEWAY.send(&request);
        assert!(matches!(answer.status, 400 | 421), "{answer:?}");
        GATEWAY.simulator().assert_nothing_marked(&mark);
    }
}

#[test]
fn a_request_hidden_in_the_body_of_another_is_never_served() {
    let framings = [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding:\x0bchunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "content-length: 0\r\ncontent-length: 200\r\n",
        "content-length: +200\r\n",
        "content-length: 0x4\r\n",
        "content-length: 4 4\r\n",
    ];
    // At once, because Envoy takes a second to close such a connection.
    thread::scope(|scope| {
        for framing in framings {
            scope.spawn(move || assert_nothing_smuggled(framing));
        }
    });
}

fn assert_nothing_smuggled(framing: &str) {
    let (token, host, mark) = (&GRANT.access_token, GATEWAY.host(), unique("smuggled"));
    let hidden = format!(
        "GET /proxy/{PLATFORM_HOST}/api/3.0.0/{mark}/x?echo HTTP/1.1\r\nhost: {host}\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    let outer = format!(
        "POST /proxy/{PLATFORM_HOST}/api/3.0.0/outer/x?echo HTTP/1.1\r\nhost: {host}\r\n\
         authorization: Bearer {token}\r\n{framing}\r\n0\r\n\r\n{hidden}"
    );
    let mut connection = GATEWAY.connect();
    connection.write(outer.as_bytes()).unwrap();
    if let Ok(answer) = connection.read_response("POST") {
        // 501 is RFC 9112 section 6.1's answer to a coding that the server does not know.
        assert!(matches!(answer.status, 400 | 501), "{framing:?}: {answer:?}");
        assert!(connection.is_closed_by_server(), "{framing:?}: the connection goes on");
    }
    GATEWAY.simulator().assert_nothing_marked(&mark);
}

#[test]
fn broken_request_lines_and_headers_are_refused_and_reach_nobody() {
    let host = GATEWAY.host();
    let mark = unique("broken");
    let path = format!("/proxy/{PLATFORM_HOST}/api/3.0.0/{mark}/x?echo");
    let token = &GRANT.access_token;
    for bytes in [
        format!("GET {path} HTTP/1.1\r\nauthorization: Bearer {token}\r\n\r\n"),
        format!("GET {path} HTTP/1.0\r\nauthorization: Bearer {token}\r\n\r\n"),
        format!("GET {path}\r\n\r\n"),
        format!("G@T\x01 {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\r\n"),
        format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nx: a\0b\r\nauthorization: Bearer {token}\r\n\r\n"
        ),
        format!("GET {path} HTTP/1.1\r\nhost : {host}\r\nauthorization: Bearer {token}\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\n host: {host}\r\nauthorization: Bearer {token}\r\n\r\n"),
        format!("GET {path} HTTP/9.9\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\r\n"),
    ] {
        let mut connection = GATEWAY.connect();
        connection.write(bytes.as_bytes()).unwrap();
        if let Ok(answer) = connection.read_response("GET") {
            assert!((400..500).contains(&answer.status), "{bytes:?}: {answer:?}");
        }
        GATEWAY.simulator().assert_nothing_marked(&mark);
    }
}

#[test]
fn what_the_service_has_for_the_inside_is_not_to_be_had_from_outside() {
    for path in [
        "/metrics",
        "/readyz",
        "/sessions/renew",
        "/sessions",
        "/revocations",
        "/revocations?after=0",
        "/internal",
        "/internal/introspect",
        "/admin",
        "/stats",
        "/config_dump",
        "/ready",
        "/quitquitquit",
        "/introspect/",
        "//introspect",
        "/%69ntrospect",
        "/./introspect",
        "/token/../metrics",
        "/healthz/../readyz",
        "/healthz/..;/readyz",
        "/healthz%2f..%2freadyz",
        "/.well-known/../metrics",
        "/.well-known/%2e%2e/metrics",
    ] {
        for method in ["GET", "POST"] {
            let mut request = Request::new(method, path);
            if method == "POST" {
                request = request.body("token=x");
            }
            let answer = GATEWAY.send(&request);
            assert_error_body(&answer, 404, "not_found");
        }
    }
}

#[test]
fn row_14_rfc_7662_2_1_the_gateways_credential_opens_nothing_at_the_public_introspection() {
    let credential = fs::read_to_string(&GATEWAY.reach().gateway_credential_file).unwrap();
    let credential = credential.trim().trim_start_matches("Bearer ").to_owned();
    let sid = GATEWAY.sid_of(&GRANT.access_token);
    let ask = || Request::post_form("/introspect", &[("token", GRANT.access_token.as_str())]);
    for request in [ask(), ask().bearer(&credential), ask().bearer("wrong")] {
        let answer = GATEWAY.send(&request);
        assert_error_body(&answer, 401, "invalid_client");
        assert!(!answer.text().contains("upstreams"), "{answer:?}");
        assert!(!answer.text().contains(&sid), "{answer:?}");
    }
}

#[test]
fn bytes_that_are_no_text_kill_no_plugin() {
    let crashes = || {
        let mut stats = GATEWAY.envoy_stats("wasm");
        stats.retain(|(name, _)| {
            ["created", "crash", "reload", "fail"].iter().any(|part| name.contains(part))
        });
        stats
    };
    let serve = || {
        let request = GATEWAY.proxied("GET", "/api/3.0.0/bytes/user?echo");
        let answer = GATEWAY.send(&request.bearer(&GRANT.access_token));
        assert_eq!(answer.status, 200, "the next request is not served: {answer:?}");
    };
    serve();
    let before = crashes();
    assert!(!before.is_empty(), "Envoy counts its VMs under another name");

    for value in
        [&b"Bearer \xff"[..], b"\xff\xfe", b"Bearer \xc3\x28", b"B\xe9arer x", b"Bearer \xf0\x9f"]
    {
        let request =
            GATEWAY.proxied("GET", "/api/3.0.0/bytes/user").header("authorization", value);
        let answer = GATEWAY.send(&request);
        assert!(matches!(answer.status, 400 | 401), "{answer:?}");
        serve();
    }
    let junk = GATEWAY
        .proxied("GET", "/api/3.0.0/bytes/user?echo")
        .bearer(&GRANT.access_token)
        .header("x-junk", b"\xff\xfe\x80")
        .header("cookie", b"\xff")
        .header("sid", b"\xff")
        .header("x-forwarded-for", b"\xff\xfe")
        .header("content-type", b"\xff/\xfe")
        .header("origin", b"http://\xff");
    let answer = GATEWAY.send(&junk);
    assert!(answer.status == 200 || answer.status == 400, "{answer:?}");
    serve();
    for target in [
        &b"/proxy/company.intelligencebank.com/\xff\xfe"[..],
        b"/proxy/company.intelligencebank.com/x?\xff=\xfe",
        b"/proxy/\xff\xfe/x",
        b"/\xff\xfe",
        b"/proxy/company.intelligencebank.com/%ff%fe?%ff=%fe",
    ] {
        if let Ok(answer) = GATEWAY.try_send(&Request::get(target).bearer(&GRANT.access_token)) {
            assert!(answer.status < 500, "{answer:?}");
        }
        serve();
    }
    let host = Request::get("/healthz").header("host", b"\xff\xfe");
    if let Ok(answer) = GATEWAY.try_send(&host) {
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    serve();
    assert_eq!(crashes(), before, "a VM died and was made anew");
}

#[test]
fn headers_beyond_the_bound_are_refused_in_json() {
    let huge = "x".repeat(70_000);
    let request = GATEWAY.proxied("GET", "/api/3.0.0/huge/x").header("x-huge", &huge);
    let answer = GATEWAY.send(&request);
    assert_eq!(answer.status, 431, "{answer:?}");
    let content_type = answer.header("content-type");
    assert_eq!(content_type.as_deref(), Some("application/json"), "{answer:?}");

    let huge_token = GATEWAY.proxied("GET", "/api/3.0.0/huge/x").bearer(&"x".repeat(70_000));
    assert_eq!(GATEWAY.send(&huge_token).status, 431);

    let mut many = GATEWAY.proxied("GET", "/api/3.0.0/huge/x").bearer(&GRANT.access_token);
    for number in 0..500 {
        many = many.header(format!("x-{number}"), "1");
    }
    assert_eq!(GATEWAY.send(&many).status, 431);
}
