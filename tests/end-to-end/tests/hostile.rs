//! Targets, prefixes and hosts that somebody made to get past the filter. None may reach an upstream
//! unless the test says that it is a fair request in odd clothes.
#![cfg(test)]

use std::sync::LazyLock;

use ib_end_to_end::{
    Deployment, FOREIGN_HOST, Grant, LoggedRequest, PLATFORM_HOST, Request, assert_error_body,
    unique,
};

static GATEWAY: LazyLock<Deployment> = LazyLock::new(Deployment::shared);
static GRANT: LazyLock<Grant> = LazyLock::new(|| GATEWAY.log_in());

/// Sends a target with a good token, and asserts the refusal and that no upstream saw anything.
#[track_caller]
fn assert_bad_target(target: impl AsRef<[u8]>) {
    let shown = String::from_utf8_lossy(target.as_ref()).into_owned();
    let mark = unique("hostile");
    let request = Request::get(target).bearer(&GRANT.access_token).header("x-mark", &mark);
    let answer = GATEWAY.send(&request);
    assert_eq!(answer.status, 400, "{shown}: {answer:?}");
    assert_error_body(&answer, 400, "invalid_request");
    GATEWAY.simulator().assert_nothing_marked(&mark);
}

/// Sends a target with a good token; any refusal will do, and no upstream may see anything.
#[track_caller]
fn assert_never_arrives(request: &Request) {
    let mark = unique("hostile");
    let request = request.clone().bearer(&GRANT.access_token).header("x-mark", &mark);
    // A server may also cut such a client off without a word.
    if let Ok(answer) = GATEWAY.try_send(&request) {
        assert!((400..500).contains(&answer.status), "no refusal: {answer:?}");
    }
    GATEWAY.simulator().assert_nothing_marked(&mark);
}

#[test]
fn user_information_before_the_host_is_refused() {
    for host in [
        format!("user@{PLATFORM_HOST}"),
        format!("user:password@{PLATFORM_HOST}"),
        format!("{PLATFORM_HOST}@evil.example"),
        format!("{PLATFORM_HOST}:443@evil.example"),
        format!("@{PLATFORM_HOST}"),
    ] {
        assert_bad_target(format!("/proxy/{host}/x"));
    }
}

#[test]
fn an_address_in_place_of_a_name_is_refused_in_every_notation() {
    for host in [
        "127.0.0.1",
        "127.0.0.2",
        "169.254.169.254",
        "10.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0X7F000001",
        "0x7f.0.0.1",
        "0x7f.1",
        "0177.0.0.1",
        "0177.1",
        "0",
        "0.0.0.0",
        "127.0.0.1:443",
        "[::1]",
        "[::1]:443",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "[fe80::1%25lo]",
        "[fe80::1]",
        "[127.0.0.1]",
        "::1",
    ] {
        assert_bad_target(format!("/proxy/{host}/x"));
    }
}

#[test]
fn a_port_outside_the_configured_set_is_refused() {
    for port in
        ["80", "8443", "444", "4430", "0", "65536", "99999999999999999999", "x", "443x", "-1"]
    {
        assert_bad_target(format!("/proxy/{PLATFORM_HOST}:{port}/x"));
    }
}

#[test]
fn the_configured_port_may_be_written_out() {
    let rest = ":443/api/3.0.0/port/resource?echo";
    let request = GATEWAY.proxied("GET", rest).bearer(&GRANT.access_token);
    let arrived = LoggedRequest::echoed(&GATEWAY.send(&request));
    assert_eq!(arrived.host, PLATFORM_HOST);
    assert_eq!(arrived.raw_path, "/api/3.0.0/port/resource");
}

#[test]
fn percent_signs_backslashes_and_delimiters_in_the_host_are_refused() {
    for host in [
        format!("{PLATFORM_HOST}%2f"),
        format!("{PLATFORM_HOST}%2fx"),
        format!("{PLATFORM_HOST}%5c"),
        format!("{PLATFORM_HOST}%2eevil.example"),
        "company%2eintelligencebank.com".to_owned(),
        format!("evil.example%2f.{PLATFORM_HOST}"),
        format!("evil.example%00.{PLATFORM_HOST}"),
        format!("evil.example%23.{PLATFORM_HOST}"),
        format!("evil.example%3f.{PLATFORM_HOST}"),
        format!("{PLATFORM_HOST}\\"),
        format!("evil.example\\.{PLATFORM_HOST}"),
        format!("{PLATFORM_HOST}\\@evil.example"),
        "%2e".to_owned(),
        "%2e%2e".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        ".intelligencebank.com".to_owned(),
        "company..intelligencebank.com".to_owned(),
        format!("{PLATFORM_HOST}.."),
        format!("{PLATFORM_HOST};x"),
        format!("{PLATFORM_HOST},evil.example"),
        "*.intelligencebank.com".to_owned(),
    ] {
        assert_bad_target(format!("/proxy/{host}/x"));
    }
}

#[test]
fn a_query_in_place_of_a_path_does_not_choose_the_host() {
    // Filter and route must not disagree on where the host ends.
    for target in [
        format!("/proxy/{PLATFORM_HOST}?x=/v1"),
        format!("/proxy/{PLATFORM_HOST}?/v1"),
        format!("/proxy/{PLATFORM_HOST}?@evil.example/v1"),
        format!("/proxy/evil.example?.{PLATFORM_HOST}/v1"),
        format!("/proxy/?{PLATFORM_HOST}/v1"),
        "/proxy/?x=/v1".to_owned(),
    ] {
        assert_bad_target(target);
    }
}

#[test]
fn a_fragment_in_the_target_is_refused() {
    for target in [
        format!("/proxy/{PLATFORM_HOST}#/x"),
        format!("/proxy/evil.example#.{PLATFORM_HOST}/x"),
        format!("/proxy/{PLATFORM_HOST}/x#fragment"),
        format!("/proxy/{PLATFORM_HOST}/x?y#fragment"),
    ] {
        assert_never_arrives(&Request::get(target));
    }
}

#[test]
fn dot_segments_are_refused_however_they_are_written() {
    for rest in [
        "/..",
        "/../x",
        "/a/..",
        "/a/../b",
        "/a/../../b",
        "/.",
        "/./x",
        "/a/.",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a/%2E%2E/b",
        "/a/%2e/b",
        "/a/.%2e/b",
        "/a/%2e./b",
        "/a/%2E.",
        "/a/..;/b",
        "/a/..;x=y/b",
        "/a/.;/b",
        "/a/%2e%2e;x=y/b",
        "/a/..;x=y;z/b",
        "/a%2f..%2fb",
        "/a%2F..%2Fb",
        "/a%2f%2e%2e%2fb",
        "/a/..%2fb",
        "/a%2f..",
        "/a%2f.%2fb",
        "/a/..%5cb",
        "/a%5c..%5cb",
        "/a%5C%2e%2e%5Cb",
        "/a/..%5c",
        "/a/..;%2fb",
        "/a%2f..;x%2fb",
        "/a/..?echo",
        "/a/%2e%2e?echo",
    ] {
        assert_bad_target(format!("/proxy/{PLATFORM_HOST}{rest}"));
    }
}

#[test]
fn backslashes_are_refused_anywhere_in_the_path() {
    for rest in ["/a\\b", "/a\\..\\b", "/\\evil.example", "\\x", "/a/..\\b"] {
        assert_bad_target(format!("/proxy/{PLATFORM_HOST}{rest}"));
    }
}

#[test]
fn control_bytes_in_the_target_are_refused() {
    for byte in [0x00_u8, 0x01, 0x09, 0x0b, 0x0c, 0x1b, 0x7f] {
        for target in [
            format!("/proxy/{PLATFORM_HOST}/a"),
            format!("/proxy/{PLATFORM_HOST}/a?b="),
            "/proxy/a".into(),
        ] {
            let mut target = target.into_bytes();
            target.push(byte);
            target.push(b'x');
            assert_never_arrives(&Request::get(target));
        }
    }
}

#[test]
fn a_name_in_another_alphabet_is_refused() {
    for host in [
        "bücher.intelligencebank.com",
        "ｃompany.intelligencebank.com",
        "company。intelligencebank。com",
    ] {
        assert_never_arrives(&Request::get(format!("/proxy/{host}/x")));
    }
    let request = GATEWAY.proxied_to("xn--bcher-kva.intelligencebank.com", "GET", "/x");
    let answer = GATEWAY.send(&request.bearer(&GRANT.access_token));
    assert_error_body(&answer, 403, "access_denied");
}

#[test]
fn an_empty_or_endless_host_is_refused() {
    let long_label = "a".repeat(64);
    let long_name = "a.".repeat(120);
    let endless = "a".repeat(10_000);
    for target in [
        "/proxy/".to_owned(),
        "/proxy//".to_owned(),
        format!("/proxy//{PLATFORM_HOST}/x"),
        "/proxy//x".to_owned(),
        "/proxy/:443/x".to_owned(),
        format!("/proxy/{PLATFORM_HOST}:/x"),
        format!("/proxy/{long_label}.intelligencebank.com/x"),
        format!("/proxy/{long_name}intelligencebank.com/x"),
        format!("/proxy/{endless}.intelligencebank.com/x"),
    ] {
        assert_bad_target(target);
    }
}

#[test]
fn upper_case_and_a_trailing_dot_are_the_same_host() {
    for host in [
        "COMPANY.IntelligenceBank.Com",
        "company.intelligencebank.com.",
        "Company.intelligencebank.com.",
    ] {
        let rest = "/api/3.0.0/Case/Resource?echo&X=Y";
        let request = GATEWAY.proxied_to(host, "GET", rest).bearer(&GRANT.access_token);
        let arrived = LoggedRequest::echoed(&GATEWAY.send(&request));
        assert_eq!(arrived.host, PLATFORM_HOST, "{host}");
        assert_eq!(arrived.path_and_query(), rest);
    }
}

#[test]
fn a_sid_in_the_query_is_refused_in_every_spelling() {
    for query in [
        "sid=forged",
        "sid",
        "sid=",
        "a=b&sid=forged",
        "a&sid",
        "&sid=x",
        "%73id=forged",
        "s%69d=forged",
        "si%64=forged",
        "%73%69%64=forged",
        "a=b&%73%69%64",
        "sid=a&sid=b",
        "x?&sid=forged",
        "echo&sid=forged",
        // Spellings that a lenient reader of queries takes for the same key.
        "SID=forged",
        "sid[]=forged",
        "sid%5b%5d=forged",
        "%20sid=forged",
        "+sid=forged",
        "sid%00=forged",
        "a;sid=forged",
    ] {
        assert_bad_target(format!("/proxy/{PLATFORM_HOST}/x?{query}"));
    }
}

#[test]
fn the_prefix_cannot_be_disguised() {
    for target in [
        format!("/%70roxy/{PLATFORM_HOST}/x?echo"),
        format!("/proxy%2f{PLATFORM_HOST}/x?echo"),
        format!("/proxy%2F{PLATFORM_HOST}/x?echo"),
        format!("//proxy/{PLATFORM_HOST}/x?echo"),
        format!("/./proxy/{PLATFORM_HOST}/x?echo"),
        format!("/x/../proxy/{PLATFORM_HOST}/x?echo"),
        format!("/%2e/proxy/{PLATFORM_HOST}/x?echo"),
        format!("/PROXY/{PLATFORM_HOST}/x?echo"),
        format!("/Proxy/{PLATFORM_HOST}/x?echo"),
        format!("/proxy;x/{PLATFORM_HOST}/x?echo"),
        format!("/proxy\\{PLATFORM_HOST}/x?echo"),
        format!("\\proxy\\{PLATFORM_HOST}\\x?echo"),
        format!("/proxy{PLATFORM_HOST}/x?echo"),
        format!("/healthz/../proxy/{PLATFORM_HOST}/x?echo"),
        format!("/token/..;/proxy/{PLATFORM_HOST}/x?echo"),
        format!("/api/3.0.0/x?echo=/proxy/{PLATFORM_HOST}/x"),
    ] {
        assert_never_arrives(&Request::get(target));
    }
}

#[test]
fn the_session_cannot_be_sent_to_another_tenant_by_a_disguised_host() {
    let sid = GATEWAY.sid_of(&GRANT.access_token);
    for target in [
        format!("/proxy/{FOREIGN_HOST}/x?echo"),
        format!("/proxy/{FOREIGN_HOST}:443/x?echo"),
        format!("/proxy/{}/x?echo", FOREIGN_HOST.to_uppercase()),
        format!("/proxy/{FOREIGN_HOST}./x?echo"),
        format!("/proxy/{PLATFORM_HOST}@{FOREIGN_HOST}/x?echo"),
        format!("/proxy/{FOREIGN_HOST}?echo&{PLATFORM_HOST}/x"),
        format!("/proxy/{PLATFORM_HOST}.{FOREIGN_HOST}/x?echo"),
    ] {
        for request in [
            Request::get(&target),
            Request::get(&target).header("x-forwarded-host", FOREIGN_HOST),
            Request::get(&target).header("x-envoy-original-host", PLATFORM_HOST),
        ] {
            assert_never_arrives(&request);
        }
    }
    let elsewhere = GATEWAY.simulator().requests_marked(&sid);
    assert!(elsewhere.iter().all(|request| request.host != FOREIGN_HOST), "{elsewhere:?}");
}
