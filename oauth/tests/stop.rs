//! A stop under load: what was accepted is finished and answered, and nothing is done in silence.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::{
    collections::{HashMap, HashSet},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

mod serving;

use serving::{PROGRAM, Serving, settings};

const GRANTS: usize = 3_000;
const WORKERS: usize = 8;
/// The stop comes when so many requests were answered.
const BEFORE_THE_STOP: usize = 300;

/// Every byte that comes until the end, however it ends.
fn exchange(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut answer = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request.as_bytes()).ok();
        stream.read_to_end(&mut answer).ok();
    }
    answer
}

fn post(path: &str, form: &str, more: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{more}\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    )
}

fn is_active(serving: &Serving, token: &str) -> bool {
    let credential = "authorization: Bearer gateway-credential-for-tests-0123456789\r\n";
    let request = post("/introspect", &format!("token={token}"), credential);
    let answer = String::from_utf8(exchange(serving.internal, &request)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.contains(r#""active":true"#)
}

#[test]
fn a_stop_under_load_breaks_no_answer_and_does_nothing_that_nobody_hears_of() {
    let folder = tempfile::tempdir().unwrap();
    let rate = "{ per_minute: 100000000, burst: 10000000 }";
    let config = settings(
        &folder,
        &format!(
            "development: {{}}\nlog: warn\n\
             limits: {{ revoke: {{ address: {rate}, client: {rate} }} }}\n"
        ),
    );
    let output = folder.path().join("tokens.txt");
    let seeded = Command::new(PROGRAM)
        .args(["admin", "seed", "--client", "c", "--grants", &GRANTS.to_string(), "--config"])
        .arg(&config)
        .arg("--output")
        .arg(&output)
        .output()
        .unwrap();
    assert!(seeded.status.success(), "{seeded:?}");
    let tokens = std::fs::read_to_string(&output).unwrap();
    let tokens: Vec<String> = tokens.lines().map(str::to_owned).collect();

    let config = {
        let text = std::fs::read_to_string(&config).unwrap();
        // The line that tells the start is on `info`.
        std::fs::write(&config, text.replace("log: warn", "log: info")).unwrap();
        config
    };
    let mut serving = Serving::start(&config);
    let (next, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let outcomes: Arc<Mutex<HashMap<String, Vec<u8>>>> = Arc::default();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (next, answered) = (Arc::clone(&next), Arc::clone(&answered));
            let (outcomes, tokens) = (Arc::clone(&outcomes), tokens.clone());
            let public = serving.public;
            std::thread::spawn(move || {
                while let Some(token) = tokens.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let form = format!("client_id=c&token={token}");
                    let answer = exchange(public, &post("/revoke", &form, ""));
                    let is_answered = !answer.is_empty();
                    outcomes.lock().unwrap().insert(token.clone(), answer);
                    if !is_answered {
                        // The port is closed.
                        break;
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    while answered.load(Ordering::SeqCst) < BEFORE_THE_STOP {
        std::thread::yield_now();
    }
    serving.signal("-TERM");
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(serving.child.wait().unwrap().success());
    drop(serving);

    let outcomes = outcomes.lock().unwrap();
    let mut done = HashSet::new();
    for (token, answer) in outcomes.iter().filter(|(_, answer)| !answer.is_empty()) {
        let answer = String::from_utf8_lossy(answer);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "a broken answer: {answer}");
        done.insert(token.clone());
    }
    assert!(done.len() < GRANTS, "the stop came in the midst of it");
    let serving = Serving::start(&config);
    for token in &tokens {
        let is_active = is_active(&serving, token);
        assert_eq!(is_active, !done.contains(token), "answered and done are the same");
    }
}

/// What a client reads of an answer, without its body.
fn head(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase()
}

#[test]
fn a_service_that_is_about_to_stop_answers_on_and_sends_everybody_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(&folder, "development: {}\nserver: { drain_seconds: 600 }\n");
    let mut serving = Serving::start(&config);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n");
    let leave = "\r\nx-envoy-immediate-health-check-fail: true";
    let ready = serving.get(serving.internal, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(!head(ready.as_bytes()).contains(leave), "{ready}");

    serving.signal("-TERM");
    let begun = loop {
        let answer = exchange(
            serving.internal,
            &get("/readyz").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"),
        );
        if head(&answer).starts_with("http/1.1 503") {
            break answer;
        }
        assert!(head(&answer).starts_with("http/1.1 200"), "{}", head(&answer));
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(head(&begun).contains(leave), "{}", head(&begun));
    let health = exchange(serving.public, &get("/healthz"));
    assert!(head(&health).starts_with("http/1.1 503"), "{}", head(&health));
    for (address, path) in [(serving.public, "/openapi.json"), (serving.internal, "/metrics")] {
        let answer = exchange(address, &get(path));
        let head = head(&answer);
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(head.contains(leave), "{path}: {head}");
        assert!(head.contains("\r\nconnection: close"), "{path}: {head}");
    }

    // A poll that waits is let wait, and is answered when the service stops. A second signal is a wish to
    // stop now.
    let credential = "authorization: Bearer gateway-credential-for-tests-0123456789";
    let poll = |query: &str| {
        get(&format!("/revocations{query}"))
            .replace("\r\n\r\n", &format!("\r\n{credential}\r\n\r\n"))
    };
    let newest = exchange(serving.internal, &poll(""));
    let body = String::from_utf8(newest).unwrap();
    let body: serde_json::Value =
        serde_json::from_str(body.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let poll = poll(&format!("?after={}&wait=25", body["as_of"]));
    let internal = serving.internal;
    let waiting = std::thread::spawn(move || exchange(internal, &poll));
    while !serving.get(serving.internal, "/metrics").contains("oauth_revocation_feed_waiting 1") {
        assert!(!waiting.is_finished(), "{}", head(&waiting.join().unwrap()));
        std::thread::sleep(Duration::from_millis(10));
    }
    serving.signal("-TERM");
    let answer = waiting.join().unwrap();
    assert!(head(&answer).starts_with("http/1.1 200"), "{}", head(&answer));
    assert!(answer.ends_with(b"}"), "a broken answer: {}", String::from_utf8_lossy(&answer));
    assert!(serving.child.wait().unwrap().success());
}
