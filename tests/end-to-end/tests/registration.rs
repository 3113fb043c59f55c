//! A client that nobody has heard of registers itself through the gateway, and goes the whole way.
#![cfg(test)]

use ib_end_to_end::{
    Deployment, Grant, LOOPBACK_REDIRECT, Part, Request, StackOptions, assert_error_body,
};
use serde_json::json;

#[test]
fn row_23_rfc_7591_a_client_registers_logs_somebody_in_and_is_known_after_a_restart() {
    let options = StackOptions {
        service_settings: json!({ "registration": { "enabled": true } }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    let metadata = json!({ "client_name": "Stranger", "redirect_uris": [LOOPBACK_REDIRECT] });
    let endpoint = gateway.client("nobody", LOOPBACK_REDIRECT).endpoint("registration_endpoint");
    let request = Request::new("POST", endpoint).header("content-type", "application/json");
    let registered = gateway.send(&request.body(metadata.to_string())).with_status(201).json();
    let id = registered["client_id"].as_str().expect("a client id");
    let client = gateway.client(id, LOOPBACK_REDIRECT);
    let grant = client.log_in("ada");
    let call = |grant: &Grant| {
        gateway
            .send(&gateway.proxied("GET", "/api/3.0.0/stranger/user").bearer(&grant.access_token))
    };
    call(&grant).with_status(200);
    gateway.kill(Part::Service);
    gateway.start_part(Part::Service);
    let refreshed = Grant::of(&client.refresh(&grant.refresh_token).with_status(200));
    call(&refreshed).with_status(200);
}

#[test]
fn row_23_where_registration_is_off_the_gateway_says_that_there_is_no_such_path() {
    let gateway = Deployment::shared();
    let request = Request::new("POST", gateway.path("/register"));
    let request = request.header("content-type", "application/json").body("{}");
    assert_error_body(&gateway.send(&request), 404, "not_found");
}
