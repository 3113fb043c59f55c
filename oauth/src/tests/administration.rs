//! What operators may do on the internal port.

use axum::{body::Body, http::Request};
use serde_json::Value;

use super::{Answer, GATEWAY_CREDENTIAL, Kit, PLATFORM, encode, post, text};

const OPERATOR: &str = "operator-credential-for-tests-0123456789";

/// A service that knows one operator.
fn kit() -> Kit {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("operator");
    std::fs::write(&path, OPERATOR).unwrap();
    let kit = Kit::with(&format!("admin: {{ credentials: [ {{ file: '{}' }} ] }}", path.display()));
    drop(folder);
    kit
}

async fn ask(kit: &Kit, mut request: Request<Body>, credential: &str) -> Answer {
    let credential = format!("Bearer {credential}").parse().unwrap();
    request.headers_mut().insert("authorization", credential);
    kit.send_internal(request).await
}

async fn list(kit: &Kit, query: &[(&str, &str)]) -> Value {
    let request = Request::get(format!("/admin/grants?{}", encode(query))).body(Body::empty());
    let answer = ask(kit, request.unwrap(), OPERATOR).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    answer.json()
}

async fn revoke(kit: &Kit, form: &[(&str, &str)]) -> Value {
    let answer = ask(kit, post("/admin/grants/revoke", form), OPERATOR).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    answer.json()
}

fn grants(page: &Value) -> Vec<String> {
    page["grants"].as_array().unwrap().iter().map(|grant| text(grant, "grant")).collect()
}

#[tokio::test]
async fn an_operator_finds_grants_by_subject_client_and_platform_and_sees_no_secret() {
    let kit = kit();
    let tokens = kit.tokens().await;
    let sub = text(&kit.introspect(&text(&tokens, "access_token")).await, "sub");
    let by_client = list(&kit, &[("client_id", "mcp-public-client")]).await;
    assert_eq!(grants(&by_client).len(), 1);
    for query in [("subject", sub.as_str()), ("platform", PLATFORM)] {
        assert_eq!(list(&kit, &[query]).await, by_client, "{query:?}");
    }
    for query in [("subject", "nobody"), ("client_id", "backend"), ("platform", "x.example")] {
        assert!(grants(&list(&kit, &[query]).await).is_empty(), "{query:?}");
    }
    let shown = by_client.to_string();
    for secret in [&tokens["access_token"], &tokens["refresh_token"]] {
        assert!(!shown.contains(secret.as_str().unwrap()));
    }
    let sid = kit.introspect(&text(&tokens, "access_token")).await;
    let sid = sid["upstreams"][0]["headers"]["sid"].as_str().unwrap().to_owned();
    assert!(!shown.contains(&sid), "{shown}");
}

#[tokio::test]
async fn grants_that_an_operator_revokes_are_ended_at_the_service_and_told_to_every_gateway() {
    for field in ["grant", "subject", "client_id", "platform"] {
        let kit = kit();
        let tokens = kit.tokens().await;
        let access = text(&tokens, "access_token");
        let sub = text(&kit.introspect(&access).await, "sub");
        let grant = grants(&list(&kit, &[("platform", PLATFORM)]).await).remove(0);
        let value = match field {
            "grant" => grant.as_str(),
            "subject" => sub.as_str(),
            "client_id" => "mcp-public-client",
            _ => PLATFORM,
        };
        let before = kit.app.feed.poll(None, 0).await.unwrap().as_of;
        let revoked = revoke(&kit, &[(field, value)]).await;
        assert_eq!(revoked, serde_json::json!({ "revoked": 1, "next": null }), "{field}");
        assert_eq!(kit.introspect(&access).await["active"], false, "{field}");
        kit.refresh(&text(&tokens, "refresh_token")).await.expect(400, "invalid_grant");
        let told = kit.app.feed.poll(Some(before), 0).await.unwrap();
        let session = ib_contract::Revoked::Session(grant.clone());
        assert_eq!(told.events.iter().map(|event| &event.revoked).collect::<Vec<_>>(), [&session]);
        assert!(grants(&list(&kit, &[("platform", PLATFORM)]).await).is_empty(), "{field}");
        let again = revoke(&kit, &[(field, value)]).await;
        assert_eq!(again["revoked"], 0, "{field}");
    }
}

#[tokio::test]
async fn a_client_whose_id_is_a_url_can_be_ended_like_any_other() {
    let kit = kit();
    let id = "https://app.example.com/client.json";
    assert!(grants(&list(&kit, &[("client_id", id)]).await).is_empty());
    assert_eq!(revoke(&kit, &[("client_id", id)]).await["revoked"], 0);
}

#[tokio::test]
async fn many_grants_are_listed_and_revoked_page_by_page_and_none_twice() {
    let kit = kit();
    for _ in 0..5 {
        kit.tokens().await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page =
            list(&kit, &[("platform", PLATFORM), ("limit", "2"), ("after", after.as_str())]).await;
        seen.extend(grants(&page));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    assert_eq!(revoke(&kit, &[("platform", PLATFORM)]).await["revoked"], 5);
}

#[tokio::test]
async fn a_grant_that_ended_by_itself_leaves_no_line_in_the_index() {
    let kit = kit();
    let tokens = kit.tokens().await;
    let form = [("token", tokens["refresh_token"].as_str().unwrap())];
    let client = [form[0], ("client_id", "mcp-public-client")];
    assert_eq!(kit.post("/revoke", &client).await.status.as_u16(), 200);
    assert!(grants(&list(&kit, &[("platform", PLATFORM)]).await).is_empty());
    let lines = kit.app.records.store().export(None, 100).await.unwrap().records;
    assert!(!lines.iter().any(|line| line.key.table.name() == "grant_index"));
}

#[tokio::test]
async fn nobody_but_an_operator_lists_or_revokes_and_without_the_setting_nobody_does() {
    let with = kit();
    let tokens = with.tokens().await;
    let forms = || {
        [
            Request::get("/admin/grants?platform=x").body(Body::empty()).unwrap(),
            post("/admin/grants/revoke", &[("platform", PLATFORM)]),
        ]
    };
    for request in forms() {
        with.send_internal(request).await.expect(401, "invalid_client");
    }
    for credential in [GATEWAY_CREDENTIAL, "wrong", tokens["access_token"].as_str().unwrap()] {
        for request in forms() {
            ask(&with, request, credential).await.expect(401, "invalid_client");
        }
    }
    assert_eq!(with.introspect(&text(&tokens, "access_token")).await["active"], true);
    for request in forms() {
        assert_eq!(with.send(request).await.status.as_u16(), 404, "on the public port");
    }
    for request in forms() {
        let without = Kit::new();
        ask(&without, request, GATEWAY_CREDENTIAL).await.expect(404, "not_found");
    }
}

#[tokio::test]
async fn what_selects_nothing_or_too_much_is_refused_and_revokes_nothing() {
    let kit = kit();
    let tokens = kit.tokens().await;
    for form in [
        &[][..],
        &[("platform", PLATFORM), ("client_id", "mcp-public-client")],
        &[("grant", "a"), ("platform", PLATFORM)],
        &[("platform", PLATFORM), ("platform", "b")],
        &[("grant", "a/b")],
        &[("platform", PLATFORM), ("after", "a/b")],
    ] {
        ask(&kit, post("/admin/grants/revoke", form), OPERATOR)
            .await
            .expect(400, "invalid_request");
    }
    for query in ["", "platform=a&limit=0", "platform=a&limit=x", "platform=a&subject=b"] {
        let request = Request::get(format!("/admin/grants?{query}")).body(Body::empty()).unwrap();
        ask(&kit, request, OPERATOR).await.expect(400, "invalid_request");
    }
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], true);
}
