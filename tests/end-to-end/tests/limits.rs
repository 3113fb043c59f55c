//! The service's limits behind the gateway: an address is the one that Envoy has seen, whatever the
//! client writes into its headers.
#![cfg(test)]

use ib_end_to_end::{Deployment, Request, StackOptions, assert_error_body};
use serde_json::json;

#[test]
fn a_client_cannot_escape_its_limit_by_headers_that_only_a_proxy_may_write() {
    let options = StackOptions {
        service_settings: json!({
            "limits": { "token": { "address": { "per_minute": 6, "burst": 3 } } }
        }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    let form = "grant_type=refresh_token&client_id=mcp-public-client&refresh_token=none";
    let ask = |forged: &str| {
        let request = Request::new("POST", gateway.path("/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-forwarded-for", forged)
            .header("x-real-ip", forged)
            .header("forwarded", format!("for={forged}"))
            .body(form);
        gateway.send(&request)
    };
    for forged in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_error_body(&ask(forged), 400, "invalid_grant");
    }
    for forged in ["192.0.2.4", "192.0.2.1, 192.0.2.5", "2001:db8::1"] {
        let answer = ask(forged);
        assert_error_body(&answer, 429, "rate_limit_exceeded");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
    let refused = gateway
        .service_metric("oauth_limited_total", &[("limit", "address"), ("endpoint", "token")]);
    assert!((refused - 3.0).abs() < f64::EPSILON, "{refused}");
}
