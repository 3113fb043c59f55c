//! Clients and scopes that an operator has taken out of the settings, with tokens that are older.

use axum::http::{Request, StatusCode, header};
use serde_json::Value;

use super::{Kit, PLATFORM, authorize_url, changed, exchange_form, parameter, refresh_form, text};

const CLIENT: &str = "other-public-client";

/// Tokens of a client that may have the scopes `profile` and `assets`.
async fn tokens(kit: &Kit) -> Value {
    let url = authorize_url(&[
        ("client_id", CLIENT),
        ("scope", "profile assets"),
        ("platform_url", PLATFORM),
    ]);
    let begun = kit.get_json(&url).await;
    kit.upstream.log_in();
    let poll = kit.poll(&text(&begun.json(), "token")).await;
    let code = parameter(&text(&poll.json(), "redirect_url"), "code");
    let form = changed(exchange_form(&code), "client_id", CLIENT);
    kit.post("/token", &form).await.json()
}

/// The service after its operator has given that client other scopes; `None` takes the client out.
fn restarted(kit: Kit, scopes: Option<&str>) -> Kit {
    let (before, client) = kit.settings.split_once("  - id: other-public-client").unwrap();
    let (client, after) = client.split_once("  - id: backend").unwrap();
    let client = scopes.map_or(String::new(), |scopes| {
        let client = client.replace("[profile, assets]", scopes);
        format!("  - id: other-public-client{client}")
    });
    let settings = format!("{before}{client}  - id: backend{after}");
    kit.restarted_with(settings)
}

#[tokio::test]
async fn the_tokens_of_a_client_that_was_taken_out_open_nothing_after_the_restart() {
    let kit = Kit::new();
    let tokens = tokens(&kit).await;
    let token = text(&tokens, "access_token");
    let session = text(&kit.introspect(&token).await["upstreams"][0], "session");
    let kit = restarted(kit, None);
    assert_eq!(kit.introspect(&token).await["reason"], "invalid_token");
    let asked = kit.upstream.times_asked();
    assert_eq!(kit.renew(&token, &session, 1, "rejected").await.json()["active"], false);
    assert_eq!(kit.upstream.times_asked(), asked);
    let request = Request::get("/userinfo")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(axum::body::Body::empty());
    kit.send(request.unwrap()).await.expect(401, "invalid_token");
    let refresh_token = text(&tokens, "refresh_token");
    let form = changed(refresh_form(&refresh_token), "client_id", CLIENT);
    kit.post("/token", &form).await.expect(401, "invalid_client");
}

#[tokio::test]
async fn a_scope_that_was_taken_from_a_client_is_in_none_of_its_tokens_after_the_restart() {
    let kit = Kit::new();
    let tokens = tokens(&kit).await;
    let (token, refresh_token) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    assert_eq!(kit.introspect(&token).await["scope"], "profile assets");
    let kit = restarted(kit, Some("[assets]"));
    assert_eq!(kit.introspect(&token).await["scope"], "assets");
    let form = changed(refresh_form(&refresh_token), "client_id", CLIENT);
    let wider = changed(form.clone(), "scope", "profile");
    kit.post("/token", &wider).await.expect(400, "invalid_scope");
    let answer = kit.post("/token", &form).await;
    assert_eq!((answer.status, &answer.json()["scope"]), (StatusCode::OK, &"assets".into()));
    let token = text(&answer.json(), "access_token");
    assert_eq!(kit.introspect(&token).await["scope"], "assets");
}

#[tokio::test]
async fn tokens_of_a_client_with_none_of_their_scopes_left_open_nothing() {
    let kit = Kit::new();
    let tokens = tokens(&kit).await;
    let kit = restarted(kit, Some("[other]"));
    let token = text(&tokens, "access_token");
    assert_eq!(kit.introspect(&token).await["reason"], "invalid_token");
    let refresh_token = text(&tokens, "refresh_token");
    let form = changed(refresh_form(&refresh_token), "client_id", CLIENT);
    kit.post("/token", &form).await.expect(400, "invalid_grant");
    // The operator may change their mind.
    let settings = kit.settings.replace("[other]", "[profile, assets]");
    let kit = kit.restarted_with(settings);
    assert_eq!(kit.introspect(&token).await["scope"], "profile assets");
    assert_eq!(kit.post("/token", &form).await.status, StatusCode::OK);
}
