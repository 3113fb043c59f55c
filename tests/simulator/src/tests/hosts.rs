//! What every simulated host does: byte-exact records, faults, set answers, unknown names.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{API, COMPANY, Fixture};

const REI_CCA: &str = "remax-cca.com";

fn body_of(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn odd_targets_are_told_back_byte_for_byte() {
    let fixture = Fixture::start();
    let sid = fixture.log_in(COMPANY, "ada").await;
    let targets = [
        "/api/3.0.0/x/resource.limit(0,100).order(createTime:-1).fields().includeAmaTags(a,b)\
         ?searchParams[isSearching]=true&searchParams[keywords]=&verbose&productkey=x&echo",
        "/api/3.0.0/x/resource/?echo&a=%2F%2f+&&b==c&{'x'}|\\^`",
        "/api/../x//y;p=1/%2e%2E/[a]:(b),'!$&*+=@~?echo",
        "/?echo&",
        "/p\"{}\\?echo=1?x",
        "//double?echo",
    ];
    for target in targets {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {API}\r\nsid: {sid}\r\nConnection: close\r\n\r\n"
        );
        let answer = fixture.raw(API, request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
        let echo = body_of(&answer);
        let (path, query) = target.split_once('?').unwrap();
        assert_eq!(echo["raw_path"], path);
        assert_eq!(echo["raw_query"], query);
        assert_eq!(echo["raw_target"], target);
        assert_eq!(fixture.received().await.last().unwrap()["raw_target"], target);
    }
}

#[tokio::test]
async fn a_lone_question_mark_is_told_apart_from_none() {
    let fixture = Fixture::start();
    for target in ["/nothing", "/nothing?", "/nothing/", "/nothing/?"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {API}\r\nConnection: close\r\n\r\n");
        fixture.raw(API, request).await;
        let received = fixture.received().await;
        let last = received.last().unwrap();
        assert_eq!((&last["raw_target"], &last["raw_query"]), (&json!(target), &json!("")));
    }
}

#[tokio::test]
async fn repeated_and_undecodable_headers_are_shown() {
    let fixture = Fixture::start();
    let mut request = format!("POST /x?echo HTTP/1.1\r\nHost: {REI_CCA}\r\n").into_bytes();
    request.extend_from_slice(b"A: 1\r\na: 2\r\nB: \xff\r\nSid: 0\r\nConnection: close\r\n");
    request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let answer = fixture.raw(REI_CCA, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let echo = body_of(&answer);
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["host"], REI_CCA);
    assert_eq!(echo["headers"]["a"], "1, 2");
    assert_eq!(echo["headers"]["b"], "\\xff");
    assert_eq!(echo["headers"]["sid"], "0");
    assert_eq!(echo["body_length"], 3);
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(echo["body_sha256"], abc);
}

#[tokio::test]
async fn an_echo_of_the_api_wants_a_live_session_like_every_call() {
    let fixture = Fixture::start();
    let refused = fixture.get(API, "/api/3.0.0/x/forbidden?echo").send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let sid = fixture.log_in(COMPANY, "ada").await;
    let echo = fixture.get(API, "/api/3.0.0/x/forbidden?echo").header("sid", sid).send().await;
    assert_eq!(echo.unwrap().status(), 200);
}

#[tokio::test]
async fn trace_gives_the_credentials_away_as_a_real_server_would() {
    let fixture = Fixture::start();
    let request =
        format!("TRACE /x HTTP/1.1\r\nHost: {API}\r\nsid: secret\r\nConnection: close\r\n\r\n");
    let answer = fixture.raw(API, request).await;
    assert!(answer.contains("content-type: message/http"));
    assert!(answer.contains("TRACE /x HTTP/1.1\r\n"));
    assert!(answer.contains("sid: secret\r\n"));
}

#[tokio::test]
async fn a_host_that_is_not_simulated_is_misdirected_and_noted_all_the_same() {
    let fixture = Fixture::start();
    let request = "GET /x HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n";
    let answer = fixture.raw(API, request).await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert_eq!(fixture.received().await.last().unwrap()["host"], "example.org");
    let plain = fixture.get(REI_CCA, "/elsewhere").send().await.unwrap();
    assert_eq!(plain.status(), 404);
    assert_eq!(plain.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn a_fault_hits_the_next_requests_and_is_then_over() {
    let fixture = Fixture::start();
    fixture
        .set(json!({"faults": [{"host": COMPANY, "path_prefix": "/v1/", "count": 2, "status": 503}]}))
        .await;
    for expected in [503, 503, 200] {
        let response = fixture.get(COMPANY, "/v1/auth/app/token").send().await.unwrap();
        assert_eq!(response.status(), expected);
    }
    let (_, settings) = fixture.control(Method::GET, "/settings", Value::Null).await;
    assert_eq!(settings["faults"], json!([]));
}

#[tokio::test]
async fn a_reset_breaks_the_connection_without_an_answer_over_both_protocols() {
    let fixture = Fixture::start();
    for client in [fixture.client_with(|b| b), fixture.client_with(|b| b.http1_only())] {
        fixture.set(json!({"faults": [{"path_prefix": "/r", "count": 1, "reset": true}]})).await;
        let url = fixture.url(COMPANY, "/r?echo");
        assert!(client.post(&url).body("x").send().await.is_err());
        let again = client.get(&url).send().await.unwrap();
        assert_eq!(again.status(), 200, "only the one connection was broken");
    }
}

#[tokio::test]
async fn a_delay_holds_the_answer_back() {
    let fixture = Fixture::start();
    fixture.set(json!({"faults": [{"path_prefix": "/slow", "delay_ms": 600_000}]})).await;
    let impatient = fixture.client_with(|b| b.timeout(std::time::Duration::from_millis(300)));
    let slow = impatient.get(fixture.url(COMPANY, "/slow?echo")).send().await;
    assert!(slow.unwrap_err().is_timeout());
    let quick = impatient.get(fixture.url(COMPANY, "/quick?echo")).send().await.unwrap();
    assert_eq!(quick.status(), 200);
}

#[tokio::test]
async fn a_set_answer_carries_headers_that_a_gateway_has_to_clean() {
    let fixture = Fixture::start();
    let headers = json!([
        ["Location", "https://elsewhere.example/?sid={sid}"],
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b={sid}"],
        ["Alt-Svc", "h3=\":443\""],
    ]);
    let answer = json!({"host": API, "path_prefix": "/api/", "status": 302, "headers": headers,
        "body": "<{sid}>", "count": 1});
    fixture.set(json!({"answers": [answer]})).await;
    let target = "/api/3.0.0/x/resource";
    let response = fixture.get(API, target).header("sid", "0123").send().await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], "https://elsewhere.example/?sid=0123");
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=0123"]);
    assert_eq!(response.headers()["alt-svc"], "h3=\":443\"");
    assert_eq!(response.text().await.unwrap(), "<0123>");
    let ordinary = fixture.get(API, target).send().await.unwrap();
    assert_eq!(ordinary.status(), 401);
}

#[tokio::test]
async fn a_set_answer_in_pieces_arrives_whole_and_piece_by_piece() {
    let fixture = Fixture::start();
    let answer = json!({"path_prefix": "/p", "body": "<{sid}>", "piece_bytes": 2, "pause_ms": 20});
    fixture.set(json!({"answers": [answer]})).await;
    let mut response = fixture.get(COMPANY, "/p").header("sid", "0123").send().await.unwrap();
    assert!(response.headers().get("content-length").is_none());
    let mut pieces = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        pieces.push(String::from_utf8(piece.to_vec()).unwrap());
    }
    assert_eq!(pieces.concat(), "<0123>");
    assert!(pieces.len() > 1, "the body came at once: {pieces:?}");
}
