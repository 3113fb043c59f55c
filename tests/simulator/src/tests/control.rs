//! The control API: what it answers, and what it refuses.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::support::{COMPANY, Fixture};

#[tokio::test]
async fn the_log_gives_what_came_after_a_number() {
    let fixture = Fixture::start();
    for target in ["/a", "/b", "/c"] {
        fixture.get(COMPANY, target).send().await.unwrap();
    }
    let (status, answer) = fixture.control(Method::GET, "/requests?since=1", Value::Null).await;
    assert_eq!((status, &answer["last"]), (200, &json!(3)));
    let requests = answer["requests"].as_array().unwrap();
    let seen: Vec<_> =
        requests.iter().map(|r| (r["number"].clone(), r["raw_path"].clone())).collect();
    assert_eq!(seen, [(json!(2), json!("/b")), (json!(3), json!("/c"))]);

    assert_eq!(fixture.control(Method::DELETE, "/requests", Value::Null).await.0, 204);
    let (_, answer) = fixture.control(Method::GET, "/requests", Value::Null).await;
    assert_eq!(answer, json!({"last": 3, "requests": []}));
    assert_eq!(fixture.control(Method::GET, "/requests?since=x", Value::Null).await.0, 400);
}

#[tokio::test]
async fn the_body_of_a_request_under_way_is_counted_before_it_ends() {
    let fixture = Fixture::start();
    let (mut writer, reader) = tokio::io::duplex(4096);
    let body = reqwest::Body::wrap_stream(ReaderStream::new(reader));
    let request = fixture.request(Method::POST, COMPANY, "/x?echo").body(body);
    let upload = tokio::spawn(request.send());
    writer.write_all(&[0; 1000]).await.unwrap();
    let entry = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        loop {
            match fixture.received().await.pop() {
                Some(entry) if entry["body_length"] == 1000 => return entry,
                _ => tokio::task::yield_now().await,
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(entry["body_sha256"], Value::Null);
    drop(writer);
    assert_eq!(upload.await.unwrap().unwrap().status(), 200);
    assert!(fixture.received().await.pop().unwrap()["body_sha256"].is_string());
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_is_refused_with_a_reason() {
    let fixture = Fixture::start();
    let content = fixture.begin_login(COMPANY).await;
    let complete = format!("/logins/{content}/complete");
    let cases = [
        (Method::POST, "/logins/unknown/complete", json!({"user": "ada"}), 404, "unknown"),
        (Method::POST, complete.as_str(), json!({"user": "mallory"}), 400, "user"),
        (Method::POST, complete.as_str(), json!({"name": "ada"}), 400, "name"),
        (Method::POST, complete.as_str(), json!({"user": "ada"}), 200, ""),
        (Method::POST, complete.as_str(), json!({"user": "ada"}), 409, "before"),
        (Method::POST, "/tokens/unknown/expire", Value::Null, 404, "token"),
        (Method::POST, "/sessions/unknown/kill", Value::Null, 404, "session"),
        (Method::PUT, "/settings", json!({"renewl": "same"}), 400, "renewl"),
        (Method::PUT, "/settings", json!({"faults": [{"count": 1}]}), 400, "faults[0].status"),
        (Method::GET, "/nowhere", Value::Null, 404, "path"),
        (Method::POST, "/settings", Value::Null, 405, "method"),
        (Method::GET, "/healthz", Value::Null, 200, ""),
    ];
    for (method, target, body, expected, reason) in cases {
        let (status, answer) = fixture.control(method.clone(), target, body).await;
        assert_eq!(status, expected, "{method} {target}: {answer}");
        let description = answer["error_description"].as_str().unwrap_or_default();
        assert!(description.contains(reason), "{method} {target}: {answer}");
    }
}
