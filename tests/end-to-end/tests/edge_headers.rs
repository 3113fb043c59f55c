//! What every answer says to a browser about itself, whoever gave it: IntelligenceBank, the OAuth service, the
//! filter, or Envoy itself.
#![cfg(test)]

use std::sync::LazyLock;

use ib_end_to_end::{
    Connection, Deployment, Part, Request, Response, StackOptions, tls_connection,
};
use serde_json::json;

static GATEWAY: LazyLock<Deployment> = LazyLock::new(Deployment::shared);

#[test]
fn every_kind_of_answer_says_how_a_browser_must_treat_it_and_none_says_what_serves_it() {
    let grant = GATEWAY.log_in();
    let proxied = |rest: &str| GATEWAY.proxied("GET", rest).bearer(&grant.access_token);
    let path = |path: &str| Request::get(GATEWAY.path(path));
    let long = "x".repeat(40_000);
    for (what, request, status) in [
        ("IntelligenceBank's", proxied("/api/3.0.0/c/resource"), 200),
        ("IntelligenceBank's refusal", proxied("/api/3.0.0/c/forbidden"), 403),
        ("the filter's", GATEWAY.proxied("GET", "/api/3.0.0/c/resource"), 401),
        ("the filter's about a host", GATEWAY.proxied_to("a.example", "GET", "/").bearer("x"), 403),
        ("the filter's about a method", GATEWAY.proxied("TRACE", "/x"), 405),
        ("a page", path("/authorize"), 400),
        ("a page's file", path("/assets/login.css"), 200),
        ("the service's document", path("/.well-known/oauth-authorization-server"), 200),
        ("the service's refusal", Request::post_form(GATEWAY.path("/token"), &[]), 400),
        ("the service's health", path("/healthz"), 200),
        ("Envoy's: no such path", path("/nothing-here"), 404),
        ("Envoy's: another authority", path("/token").header("host", "a.example"), 421),
        ("Envoy's: too large", path("/healthz").header("x-long", long), 431),
        ("Envoy's: no route yet", path("/healthz").header("content-length", "x"), 400),
    ] {
        let answer = GATEWAY.send(&request);
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_has_them(what, &answer);
        let hsts = answer.header("strict-transport-security");
        assert_eq!(hsts, None, "{what}, without TLS (RFC 6797 section 7.2)");
    }
}

#[test]
fn an_answer_of_an_outage_has_them_too() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let grant = gateway.log_in();
    gateway.kill(Part::Service);
    let answer = gateway.send(&Request::get(gateway.path("/token"))).with_status(503);
    assert_has_them("the service is down", &answer);
    gateway.kill(Part::Simulator);
    let request = gateway.proxied("GET", "/api/3.0.0/c/resource").bearer(&grant.access_token);
    let answer = gateway.send(&request);
    assert!(matches!(answer.status, 502 | 503), "{answer:?}");
    assert_has_them("the upstream is down", &answer);
}

#[test]
fn over_tls_every_answer_tells_browsers_to_stay_with_it() {
    let limit = json!({
        "op": "replace",
        "path": "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/1\
                 /typed_config/descriptors/0/token_bucket",
        "value": { "max_tokens": 8, "tokens_per_fill": 1, "fill_interval": "600s" },
    });
    let options =
        StackOptions { gateway_tls: true, envoy_patch: vec![limit], ..StackOptions::default() };
    let Some(gateway) = Deployment::own(options) else { return };
    let ca = gateway.stack().addresses().run_directory.join("tls/ca.crt");
    let address = gateway.reach().gateway;
    let open = || -> Connection { tls_connection(address, "localhost", &ca) };
    let mut seen = Vec::new();
    for request in [
        gateway.proxied("GET", "/api/3.0.0/c/resource"),
        Request::get(gateway.path("/healthz")).header("content-length", "x"),
        Request::get(gateway.path("/nothing-here")),
    ]
    .into_iter()
    .chain((0..20).map(|_| Request::get(gateway.path("/jwks.json"))))
    {
        let answer = open().exchange(&request, "localhost").expect("an answer");
        let hsts = answer.headers("strict-transport-security");
        assert_eq!(hsts, ["max-age=31536000"], "{answer:?}");
        seen.push(answer.status);
    }
    for status in [400, 401, 404, 429] {
        assert!(seen.contains(&status), "{seen:?}");
    }
}

#[test]
fn documents_are_compressed_and_the_answer_to_head_stays_the_one_of_the_document() {
    let ask = |method: &str| {
        let request = Request::new(method, GATEWAY.path("/openapi.json"));
        GATEWAY.send(&request.header("accept-encoding", "gzip")).with_status(200)
    };
    let whole = ask("GET");
    assert_eq!(whole.header("content-encoding").as_deref(), Some("gzip"));
    assert!(whole.list("vary").contains(&"accept-encoding".to_owned()), "{whole:?}");
    assert!(ask("HEAD").body.is_empty());
}

#[track_caller]
fn assert_has_them(what: &str, answer: &Response) {
    let only = |name: &str| {
        let values = answer.headers(name);
        assert_eq!(values.len(), 1, "{what}: {name} in {answer:?}");
        values[0].clone()
    };
    assert_eq!(only("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(only("referrer-policy"), "no-referrer", "{what}");
    assert_eq!(only("cross-origin-resource-policy"), "same-origin", "{what}");
    // A sandboxed answer is of no origin and runs nothing; the others may not be framed.
    let policy = only("content-security-policy");
    let is_safe = policy == "sandbox"
        || (policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"));
    assert!(is_safe, "{what}: {policy}");
    assert_eq!(only("server"), "ib-gateway", "{what}");
    for name in ["x-powered-by", "via", "x-envoy-upstream-service-time"] {
        assert!(answer.headers(name).is_empty(), "{what}: {name} in {answer:?}");
    }
}
