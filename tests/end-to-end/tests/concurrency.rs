//! Many clients at once, and how much of it the service has to answer.
#![cfg(test)]

use std::thread;

use ib_end_to_end::{
    Deployment, LoggedRequest, StackOptions, WORKERS, assert_error_body, forged_token, unique,
    unique_hex,
};

#[test]
fn fifty_clients_with_fresh_tokens_are_served_at_once_and_then_from_the_cache() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    gateway.await_feeds();
    let tokens: Vec<String> = (0..50).map(|_| gateway.log_in().access_token).collect();
    let introspections = || gateway.introspections();

    let before = introspections();
    all_at_once(&gateway, &tokens);
    let first = introspections() - before;
    assert!(first >= 50, "a token was served without a look: {first}");
    assert!(first <= 50 * WORKERS, "{first} introspections for 50 tokens");

    for _ in 0..4 {
        all_at_once(&gateway, &tokens);
    }
    let all = introspections() - before;
    assert!(all <= 50 * WORKERS, "{all} introspections for 50 tokens within the cache time");
}

#[test]
fn a_refused_token_and_a_refused_host_are_not_asked_about_again_and_again() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    gateway.await_feeds();
    let introspections = || gateway.introspections();
    let before = introspections();
    let token = gateway.unknown_token();
    for _ in 0..30 {
        let request = gateway.proxied("GET", "/api/3.0.0/x/user").bearer(&token);
        assert_error_body(&gateway.send(&request), 401, "invalid_token");
    }
    assert!(introspections() - before <= WORKERS, "each request cost a callout");

    let before = introspections();
    for host in ["example.com", "remax-cca.com", "a.b.intelligencebank.com"] {
        let request = gateway.proxied_to(host, "GET", "/x").bearer(&gateway.unknown_token());
        assert_error_body(&gateway.send(&request), 403, "access_denied");
    }
    for target in ["/proxy/127.0.0.1/x", "/proxy/company.intelligencebank.com/../x", "/proxy/"] {
        let request = ib_end_to_end::Request::get(target).bearer(&gateway.unknown_token());
        assert_error_body(&gateway.send(&request), 400, "invalid_request");
    }
    assert_eq!(introspections(), before, "a target that is never served cost a callout");
}

#[test]
fn defect_8_a_token_that_the_service_cannot_have_issued_costs_no_introspection() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    // From the feed's first answer on the filter knows the keys of the tags.
    gateway.await_feeds();
    let introspections = || gateway.introspections();
    let before = introspections();
    let longer = format!("{}0", gateway.unknown_token());
    let another_kind = gateway.unknown_token().replace("_at_", "_rt_");
    let another_key = gateway.unknown_token().replace("development", "another");
    let invented = forged_token();
    for token in ["x", "a.b.c", &unique_hex(32), &longer, &another_kind, &another_key, &invented] {
        let request = gateway.proxied("GET", "/api/3.0.0/x/user").bearer(token);
        assert_error_body(&gateway.send(&request), 401, "invalid_token");
    }
    assert_eq!(introspections(), before);
}

fn all_at_once(gateway: &Deployment, tokens: &[String]) {
    thread::scope(|scope| {
        for token in tokens {
            scope.spawn(move || {
                let rest = format!("/api/3.0.0/{}/user?echo", unique("parallel"));
                let answer = gateway.send(&gateway.proxied("GET", &rest).bearer(token));
                assert_eq!(LoggedRequest::echoed(&answer).path_and_query(), rest);
            });
        }
    });
}
