//! The v3 API: sessions, errors, shapes, uploads.

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::support::{API, COMPANY, Fixture, OTHER};
use crate::random::to_hexadecimal;

async fn status_and_json(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_list_in_ibs_own_path_shape_has_rows_that_carry_the_live_session_id() {
    let fixture = Fixture::start();
    let sid = fixture.log_in(COMPANY, "ada").await;
    let target = "/api/3.0.0/any/resource.limit(2,3).order(createTime:-1).fields()/?verbose&x=1";
    let (status, list) = status_and_json(fixture.get(API, target).header("sid", &sid)).await;
    assert_eq!(status, 200);
    let response = &list["response"];
    assert_eq!((&response["offset"], &response["count"]), (&json!(2), &json!(250)));
    let rows = response["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let embedded = format!("sid={sid}");
    let carrying = rows.iter().filter(|row| row.to_string().contains(&embedded)).count();
    assert_eq!(carrying, 2);
}

#[tokio::test]
async fn a_session_opens_its_own_platform_and_the_api_host_and_no_other_tenant() {
    let fixture = Fixture::start();
    let company = fixture.log_in(COMPANY, "ada").await;
    let other = fixture.log_in(OTHER, "ada").await;
    let target = "/api/3.0.0/x/resource";
    for (host, sid, expected) in [
        (COMPANY, &company, 200),
        (API, &company, 200),
        (OTHER, &company, 401),
        (OTHER, &other, 200),
        (API, &other, 200),
        (COMPANY, &other, 401),
    ] {
        let (status, _) = status_and_json(fixture.get(host, target).header("sid", sid)).await;
        assert_eq!(status, expected, "{host}");
    }
}

#[tokio::test]
async fn a_session_that_is_missing_doubled_killed_or_over_is_refused_in_ibs_words() {
    let fixture = Fixture::start();
    let sid = fixture.log_in(COMPANY, "ada").await;
    let get = |target: &str| fixture.get(API, target);
    let plain = "/api/3.0.0/x/resource";
    let (status, error) = status_and_json(get(plain)).await;
    assert_eq!((status, &error["error"]), (401, &json!("error.authentication.required")));
    let (_, error) = status_and_json(get("/api/3.0.0/x/resource?verbose")).await;
    assert_eq!(error["error"], "No valid session. Authentication is required");
    let doubled = get(plain).header("sid", &sid).header("sid", &sid);
    assert_eq!(status_and_json(doubled).await.0, 401);
    let in_query = format!("{plain}?sid={sid}");
    assert_eq!(status_and_json(get(&in_query)).await.0, 401, "lists take no sid from the query");

    let live = get(plain).header("sid", &sid);
    assert_eq!(status_and_json(live).await.0, 200);
    fixture.advance(24 * 3600);
    assert_eq!(status_and_json(get(plain).header("sid", &sid)).await.0, 401);

    let killed = fixture.log_in(COMPANY, "ada").await;
    let kill = format!("/sessions/{killed}/kill");
    assert_eq!(fixture.control(Method::POST, &kill, Value::Null).await.0, 204);
    assert_eq!(status_and_json(get(plain).header("sid", &killed)).await.0, 401);
}

#[tokio::test]
async fn records_are_read_changed_and_refused_as_ib_does() {
    let fixture = Fixture::start();
    let sid = fixture.log_in(COMPANY, "ada").await;
    let data = json!({"data": {"name": "changed"}});
    let cases = [
        (Method::GET, "resource/abc", None, 200, "/response/_id", json!("abc")),
        (Method::GET, "resource/missing", None, 404, "/error", json!("error.resource.not_found")),
        (Method::GET, "folder/missing", None, 404, "/error", json!("error.record.not_found")),
        (Method::GET, "nothing", None, 404, "/error", json!("error.not_found")),
        (Method::GET, "resource/forbidden", None, 403, "/error", json!("error.no_permission")),
        (Method::PUT, "resource/abc", Some(&data), 200, "/response/name", json!("changed")),
        (Method::PUT, "resource/abc?version=true", Some(&data), 200, "/response/version", json!(2)),
        (Method::PUT, "resource/abc", None, 400, "/error/data", json!("is missing")),
        (Method::POST, "resource/", Some(&data), 200, "/response/name", json!("changed")),
        (Method::POST, "file?target=resource", None, 400, "/error/file", json!("is missing")),
        (Method::DELETE, "resource/abc", None, 200, "/response/_id", json!("abc")),
        (Method::DELETE, "resource", None, 405, "/error", json!("error.method.not_allowed")),
        (Method::GET, "user.limit(0,1)", None, 200, "/response/rows/0/lastname", json!("Lovelace")),
    ];
    for (method, target, body, status, pointer, value) in cases {
        let target = format!("/api/3.0.0/x/{target}");
        let mut request = fixture.request(method.clone(), API, &target).header("sid", &sid);
        if let Some(body) = body {
            request = request.json(body);
        }
        let (answered, answer) = status_and_json(request).await;
        assert_eq!(answered, status, "{method} {target}: {answer}");
        assert_eq!(answer.pointer(pointer), Some(&value), "{method} {target}: {answer}");
    }
}

#[tokio::test]
async fn the_tunnel_does_what_its_body_says_whatever_the_verb_outside() {
    let fixture = Fixture::start();
    let sid = fixture.log_in(COMPANY, "ada").await;
    let tunnel = async |body: Value| {
        let request = fixture.request(Method::POST, API, "/api/json").header("sid", &sid);
        status_and_json(request.json(&body)).await
    };
    let list = json!({"method": "GET", "version": "3.0.0", "client": "x",
        "table": "resource.limit(0,100)", "query_params": {}});
    let (status, answer) = tunnel(list).await;
    assert_eq!((status, answer["response"]["rows"].as_array().unwrap().len()), (200, 100));
    let delete = json!({"method": "DELETE", "version": "3.0.0", "client": "x",
        "table": "resource/abc"});
    assert_eq!(tunnel(delete).await, (200, json!({"response": {"_id": "abc"}})));
    let refused = json!({"method": "GET", "version": "3.0.0", "client": "x",
        "table": "resource/forbidden", "query_params": {"verbose": null}});
    assert_eq!(tunnel(refused).await, (403, json!({"error": "No Permission"})));
    let invalid = json!({"error": "error.service.query_params.invalid"});
    assert_eq!(tunnel(json!({"method": "GET"})).await, (400, invalid));
}

#[tokio::test]
async fn an_upload_is_measured_and_answered() {
    let fixture = Fixture::start();
    let sid = fixture.log_in(COMPANY, "ada").await;
    let content = "an uploaded file\r\n".repeat(1000);
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n\
         {content}\r\n--b--\r\n"
    );
    let request = fixture
        .request(Method::POST, API, "/api/3.0.0/x/file?target=resource")
        .header("sid", &sid)
        .header("content-type", "multipart/form-data; boundary=b")
        .body(form.clone());
    let (status, answer) = status_and_json(request).await;
    assert_eq!(status, 200);
    let file = &answer["response"];
    assert_eq!((&file["name"], &file["size"]), (&json!("a.txt"), &json!(content.len())));
    assert_eq!(file["sha256"], to_hexadecimal(&Sha256::digest(&content)));
    let received = fixture.received().await;
    let upload = received.last().unwrap();
    assert_eq!(upload["body_sha256"], to_hexadecimal(&Sha256::digest(&form)));
    assert_eq!(upload["body_length"], form.len());
}

#[tokio::test]
async fn a_user_over_the_limit_is_told_when_to_come_again() {
    let fixture = Fixture::start();
    fixture.set(json!({"rate_limit_per_minute": 2})).await;
    let ada = fixture.log_in(COMPANY, "ada").await;
    let grace = fixture.log_in(COMPANY, "grace").await;
    let call = async |sid: &str| {
        fixture.get(API, "/api/3.0.0/x/resource").header("sid", sid).send().await.unwrap()
    };
    assert_eq!(call(&ada).await.status(), 200);
    fixture.advance(20);
    assert_eq!(call(&ada).await.status(), 200);
    let refused = call(&ada).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "40");
    assert_eq!(call(&grace).await.status(), 200);
    fixture.advance(40);
    assert_eq!(call(&ada).await.status(), 200);
}
