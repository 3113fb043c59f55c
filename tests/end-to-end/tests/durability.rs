//! What a client has been given stays good when the service is killed the moment after.
#![cfg(test)]

use ib_end_to_end::{
    Deployment, Grant, LOOPBACK_REDIRECT, PUBLIC_CLIENT, Part, StackOptions, assert_error_body,
};

#[test]
fn tokens_survive_a_kill_right_after_the_reply_and_codes_stay_spent() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    for round in 0..3 {
        let authorization = client.begin();
        let code = client.finish(&authorization, "ada");
        let reply = client.exchange(&code, authorization.verifier.secret());
        gateway.kill(Part::Service);
        let first = Grant::of(&reply);
        gateway.start_part(Part::Service);
        assert_served(&gateway, &first, "the access token");

        let reply = client.refresh(&first.refresh_token);
        gateway.kill(Part::Service);
        let second = Grant::of(&reply);
        gateway.start_part(Part::Service);
        assert_served(&gateway, &second, "the refreshed access token");
        let third = Grant::of(&client.refresh(&second.refresh_token));
        assert_served(&gateway, &third, "the token of the second refresh");

        let again = client.exchange(&code, authorization.verifier.secret());
        assert_eq!(again.status, 400, "round {round}: the code was good twice");
        assert_error_body(&again, 400, "invalid_grant");
    }
}

#[test]
fn a_login_goes_on_after_the_service_was_killed_in_the_middle_of_it() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let authorization = client.begin();
    gateway.kill(Part::Service);
    gateway.simulator().log_in_as_browser(&authorization.login_url, "grace");
    gateway.start_part(Part::Service);
    let redirect = client.await_redirect(&authorization);
    let code = client.code_of(&redirect, &authorization.state);
    gateway.kill(Part::Service);
    gateway.start_part(Part::Service);
    let grant = Grant::of(&client.exchange(&code, authorization.verifier.secret()));
    assert_served(&gateway, &grant, "the token");
}

#[track_caller]
fn assert_served(gateway: &Deployment, grant: &Grant, what: &str) {
    let request = gateway.proxied("GET", "/api/3.0.0/durable/user?echo");
    let answer = gateway.send(&request.bearer(&grant.access_token));
    assert_eq!(answer.status, 200, "{what} is lost: {answer:?}");
}
