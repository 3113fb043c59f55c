//! The browser login, from the first call to the session.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{COMPANY, Fixture, NOW, OTHER};

#[tokio::test]
async fn the_session_of_a_request_ends_and_the_next_reading_gives_what_was_asked_for() {
    let fixture = Fixture::start();
    let content = fixture.begin_login(COMPANY).await;
    let complete = format!("/logins/{content}/complete");
    let (_, done) = fixture.control(Method::POST, &complete, json!({"user": "ada"})).await;
    let sid = done["sid"].as_str().unwrap().to_owned();
    fixture.information(COMPANY, &content).await;
    let end = async |sid: &str, then: &str| {
        let path = format!("/simulator/session{then}");
        let request = fixture.request(Method::DELETE, COMPANY, &path).header("sid", sid);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(end(&sid, "?then=nonsense").await, 400);
    assert_eq!(end("unknown", "").await, 401);
    assert_eq!(end(&sid, "?then=extends").await, 204);
    let call = fixture.get(COMPANY, "/api/3.0.0/DemoCo1/user").header("sid", &sid);
    assert_eq!(call.send().await.unwrap().status(), 401);
    let (_, renewed) = fixture.information(COMPANY, &content).await;
    assert_ne!(renewed["content"]["session"]["sid"], sid.as_str());
}

#[tokio::test]
async fn a_person_logs_in_by_the_form_and_the_application_gets_the_session() {
    let fixture = Fixture::start();
    let begun: Value = fixture
        .request(Method::POST, COMPANY, "/v1/auth/app/token")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let content = begun["content"].as_str().unwrap();

    let (status, pending) = fixture.information(COMPANY, content).await;
    assert_eq!(status, 404);
    assert!(!pending.to_string().contains("resource has expired"));

    let page = fixture
        .get(COMPANY, &format!("/auth/?login=0&token={content}&display=iframe"))
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    assert!(html.contains(&format!(r#"name="token" value="{content}""#)));
    assert!(html.contains(r#"<option value="grace">Grace Hopper</option>"#));

    let form = [("token", content), ("user", "grace"), ("display", "iframe")];
    let posted = fixture.request(Method::POST, COMPANY, "/auth/").form(&form).send().await.unwrap();
    assert_eq!(posted.status(), 200);
    assert!(posted.text().await.unwrap().contains("You may close this window"));
    let script = fixture.get(COMPANY, "/auth/complete.js").send().await.unwrap();
    assert!(script.text().await.unwrap().contains("login_complete"));

    let (status, answer) = fixture.information(COMPANY, content).await;
    assert_eq!(status, 200);
    let session = &answer["content"]["session"];
    let information = &answer["content"]["info"];
    let sid = session["sid"].as_str().unwrap();
    assert_eq!(sid.len(), 32);
    assert_ne!(answer["SID"], session["sid"], "the outer SID is not the session");
    assert_ne!(begun["SID"], session["sid"]);
    assert_eq!(session["loginTime"], NOW);
    assert_eq!(session["originalUserUuid"], Value::Null);
    assert_eq!(session["userUuid"], information["useruuid"]);
    assert_eq!(information["sid"], session["sid"]);
    assert_eq!(information["apiV3url"], "https://apiv3.intelligencebank.com");
    assert_eq!(information["logintimeoutperiod"], 24);
    assert_eq!(information["firstname"], "Grace");
    assert_eq!(information["lastname"], "Hopper");
    for field in ["clientid", "adminemail", "clientname"] {
        assert!(information[field].is_string(), "{field} is missing");
    }
}

#[tokio::test]
async fn clients_that_begin_with_get_are_served_too() {
    let fixture = Fixture::start();
    let response = fixture.get(COMPANY, "/v1/auth/app/token").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let other = fixture.request(Method::PUT, COMPANY, "/v1/auth/app/token").send().await.unwrap();
    assert_eq!(other.status(), 405);
    assert_eq!(other.headers()["allow"], "GET, POST");
}

#[tokio::test]
async fn a_spent_unknown_or_foreign_login_token_logs_nobody_in() {
    let fixture = Fixture::start();
    let spent = fixture.begin_login(COMPANY).await;
    let complete = format!("/logins/{spent}/complete");
    assert_eq!(fixture.control(Method::POST, &complete, json!({"user": "ada"})).await.0, 200);
    let foreign = fixture.begin_login(OTHER).await;
    for token in [spent.as_str(), "unknown", "", foreign.as_str()] {
        let form = [("token", token), ("user", "ada")];
        let posted = fixture.request(Method::POST, COMPANY, "/auth/").form(&form).send().await;
        assert_eq!(posted.unwrap().status(), 404, "{token}");
        let page = fixture.get(COMPANY, &format!("/auth/?token={token}")).send().await.unwrap();
        assert_eq!(page.status(), 404, "{token}");
    }
    let (status, answer) = fixture.information(COMPANY, &foreign).await;
    assert_eq!(status, 404);
    assert!(answer["message"].as_str().unwrap().contains("resource has expired"));
    assert_eq!(fixture.information(OTHER, &foreign).await.0, 404, "it is still pending there");
}

#[tokio::test]
async fn a_user_who_is_not_there_may_try_again() {
    let fixture = Fixture::start();
    let content = fixture.begin_login(COMPANY).await;
    let form = [("token", content.as_str()), ("user", "mallory")];
    let posted = fixture.request(Method::POST, COMPANY, "/auth/").form(&form).send().await.unwrap();
    assert_eq!(posted.status(), 400);
    assert!(posted.text().await.unwrap().contains("no such user"));
    let form = [("token", content.as_str()), ("user", "ada")];
    let posted = fixture.request(Method::POST, COMPANY, "/auth/").form(&form).send().await.unwrap();
    assert_eq!(posted.status(), 200);
}

#[tokio::test]
async fn an_expired_login_token_says_so_in_its_body() {
    let fixture = Fixture::start();
    let content = fixture.begin_login(COMPANY).await;
    let expire = format!("/tokens/{content}/expire");
    assert_eq!(fixture.control(Method::POST, &expire, Value::Null).await.0, 204);
    let (status, answer) = fixture.information(COMPANY, &content).await;
    assert_eq!(status, 404);
    assert!(answer.to_string().contains("resource has expired"));
}

#[tokio::test]
async fn the_settings_shape_new_logins_and_their_renewal() {
    let fixture = Fixture::start();
    fixture
        .set(json!({"renewal": "extends", "login_timeout_hours": 3, "login_time_offset_seconds": -60}))
        .await;
    let content = fixture.begin_login(COMPANY).await;
    let complete = format!("/logins/{content}/complete");
    fixture.control(Method::POST, &complete, json!({"user": "ada"})).await;
    let (_, first) = fixture.information(COMPANY, &content).await;
    assert_eq!(first["content"]["session"]["loginTime"], NOW - 60);
    assert_eq!(first["content"]["info"]["logintimeoutperiod"], 3);
    fixture.advance(5);
    let (_, second) = fixture.information(COMPANY, &content).await;
    assert_eq!(second["content"]["session"]["loginTime"], NOW + 5);
    assert_ne!(second["content"]["session"]["sid"], first["content"]["session"]["sid"]);

    fixture.set(json!({"renewal": "gone", "login_timeout_hours": null})).await;
    assert_eq!(fixture.information(COMPANY, &content).await.0, 404);
    let next = fixture.begin_login(COMPANY).await;
    let complete = format!("/logins/{next}/complete");
    fixture.control(Method::POST, &complete, json!({"user": "ada"})).await;
    let (status, first) = fixture.information(COMPANY, &next).await;
    assert_eq!(status, 200, "first readings are not affected by the renewal");
    assert!(first["content"]["info"].get("logintimeoutperiod").is_none());
}
