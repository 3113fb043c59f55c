//! A client that nobody has heard of registers itself through the gateway, and goes the whole way.
#![cfg(test)]

use ib_end_to_end::{
    Deployment, Form, Grant, LOOPBACK_REDIRECT, OAuthClient, PATIENCE, PLATFORM_HOST, Page, Part,
    Request, Response, StackOptions, Verifier, assert_error_body, eventually,
};
use serde_json::json;
use url::Url;

/// Logs somebody in for a client that must show people the login page.
fn log_in_by_page(gateway: &Deployment, client: &OAuthClient<'_>, id: &str) -> Grant {
    let verifier = Verifier::generate();
    let target = client.authorize_target_with(&[
        ("response_type", "code"),
        ("client_id", id),
        ("redirect_uri", LOOPBACK_REDIRECT),
        ("state", "st"),
        ("code_challenge", &verifier.challenge()),
        ("code_challenge_method", "S256"),
    ]);
    let page = gateway.send(&Request::get(target).header("accept", "text/html")).with_status(200);
    assert!(page.text().contains("nobody has checked it"), "{}", page.text());
    let send = |page: &Response, cookie: &str| {
        let forms = Page::new(page.text()).forms();
        let form = forms.into_iter().next().unwrap_or_else(|| panic!("no form: {page:?}"));
        let form = if cookie.is_empty() { form.with("platform_url", PLATFORM_HOST) } else { form };
        let Form { fields, .. } = &form;
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = Request::post_form("/authorize", &fields)
            .header("accept", "text/html")
            .header("origin", format!("http://{}", gateway.host()));
        gateway.send(&if cookie.is_empty() { request } else { request.header("cookie", cookie) })
    };
    let waiting = send(&page, "").with_status(200);
    let cookie = waiting.headers("set-cookie").first().cloned().unwrap_or_default();
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let links = Page::new(waiting.text()).links();
    let link =
        links.iter().find(|link| link.starts_with(&format!("https://{PLATFORM_HOST}/auth/?")));
    gateway.simulator().log_in_as_browser(link.expect("a link to the platform"), "ada");
    let done = eventually("the login to be seen", PATIENCE, || {
        let answer = send(&waiting, &cookie);
        (answer.status != 200).then_some(answer)
    });
    let redirect = Url::parse(&done.header("location").expect("a way back")).expect("a URL");
    let code = client.code_of(&redirect, "st");
    Grant::of(&client.exchange(&code, verifier.secret()))
}

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
    let grant = log_in_by_page(&gateway, &client, id);
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
