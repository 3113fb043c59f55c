//! A gateway under a stage prefix: every path, the issuer and the rewritten locations have it.
#![cfg(test)]

use std::sync::LazyLock;

use ib_end_to_end::{
    Challenge, Deployment, LoggedRequest, PLATFORM_HOST, Request, StackOptions, assert_error_body,
    unique,
};
use serde_json::json;

static GATEWAY: LazyLock<Option<Deployment>> = LazyLock::new(|| {
    Deployment::own(StackOptions { stage: Some("/dev".to_owned()), ..StackOptions::default() })
});

#[test]
fn a_client_of_a_stage_logs_in_and_calls_by_its_issuer_alone() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    assert!(gateway.base_url().ends_with("/dev"));
    // Discovery, the endpoints under the stage and `iss` are checked on the way.
    let grant = gateway.log_in();
    let rest = "/api/3.0.0/staged/resource.limit(0,100).fields()/?echo&a[]=";
    let request = gateway.proxied("GET", rest).bearer(&grant.access_token);
    assert!(String::from_utf8(request.to_bytes("x")).unwrap().starts_with("GET /dev/proxy/"));
    let arrived = LoggedRequest::echoed(&gateway.send(&request));
    assert_eq!(arrived.path_and_query(), rest);
    assert_eq!(arrived.host, PLATFORM_HOST);
    assert!(!arrived.mentions("/dev/"), "the stage went up: {arrived:?}");
}

#[test]
fn defect_20_row_15_rfc_8414_3_1_the_metadata_of_a_stage_stands_where_the_issuers_path_is_inserted()
{
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let answer = gateway.send(&Request::get("/.well-known/oauth-authorization-server/dev"));
    let metadata = answer.with_status(200).json();
    assert_eq!(metadata["issuer"], json!(gateway.base_url()));
    let endpoint = metadata["token_endpoint"].as_str().unwrap();
    assert_eq!(endpoint, format!("{}/token", gateway.base_url()));
}

#[test]
fn paths_without_the_stage_are_not_served() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let grant = gateway.log_in();
    let proxied = format!("/proxy/{PLATFORM_HOST}/api/3.0.0/x/user?echo");
    for path in [
        "/authorize",
        "/authorize/poll?token=x",
        "/token",
        "/introspect",
        "/.well-known/oauth-authorization-server",
        "/main/token",
        "/devtoken",
        proxied.as_str(),
        &format!("/main{proxied}"),
        &format!("/dev/dev{proxied}"),
        &format!("//dev{proxied}"),
        &format!("/DEV{proxied}"),
    ] {
        let mark = unique("unstaged");
        let request = Request::get(path).bearer(&grant.access_token).header("x-mark", &mark);
        let answer = gateway.send(&request);
        assert_error_body(&answer, 404, "not_found");
        gateway.simulator().assert_nothing_marked(&mark);
    }
}

#[test]
fn row_16_rfc_9728_3_1_the_challenge_of_a_stage_names_the_stages_own_metadata() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let answer = gateway.send(&gateway.proxied("GET", "/x"));
    assert_error_body(&answer, 401, "invalid_request");
    let expected = Challenge::bearer(&[("resource_metadata", &gateway.resource_metadata())]);
    assert_eq!(Challenge::of(&answer), expected);
    assert!(
        gateway.resource_metadata().ends_with("/.well-known/oauth-protected-resource/dev/proxy/")
    );
}
