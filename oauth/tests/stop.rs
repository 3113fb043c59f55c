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
