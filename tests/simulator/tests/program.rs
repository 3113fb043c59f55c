//! The program itself: ready when it says so, silent about secrets, quick to stop.
#![cfg(test)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

#[tokio::test]
async fn the_program_serves_logs_no_secret_even_at_trace_and_stops_on_sigterm() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let ca_out = directory.path().join("ca.pem");
    let mut program = Command::new(env!("CARGO_BIN_EXE_ib-simulator"))
        .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--log", "trace"])
        .arg("--ca-out")
        .arg(&ca_out)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(program.stderr.take().unwrap());
    let mut first_line = String::new();
    log.read_line(&mut first_line).unwrap();
    let ready: Value = serde_json::from_str(&first_line).unwrap();
    let listen: std::net::SocketAddr = ready["listen"].as_str().unwrap().parse().unwrap();
    let control = format!("http://{}", ready["control"].as_str().unwrap());
    // Reads along, so that the program never waits for room in the pipe.
    let log = std::thread::spawn(move || {
        let mut rest = String::new();
        log.read_to_string(&mut rest).map(|_| rest)
    });

    let authority = reqwest::Certificate::from_pem(&std::fs::read(&ca_out).unwrap()).unwrap();
    let host = "company.intelligencebank.com";
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([authority])
        .resolve(host, listen)
        .build()
        .unwrap();
    let platform = format!("https://{host}:{}", listen.port());
    assert_eq!(client.get(format!("{control}/healthz")).send().await.unwrap().status(), 200);
    let begin = client.post(format!("{platform}/v1/auth/app/token")).send().await.unwrap();
    let begun: Value = begin.json().await.unwrap();
    let content = begun["content"].as_str().unwrap();
    let complete = format!("{control}/logins/{content}/complete");
    let done = client.post(complete).json(&json!({"user": "ada"})).send().await.unwrap();
    let sid = done.json::<Value>().await.unwrap()["sid"].as_str().unwrap().to_owned();
    for url in [
        format!("{platform}/v1/auth/app/info?token={content}"),
        format!("{platform}/auth/?login=0&token={content}"),
        format!("{platform}/api/3.0.0/x/resource/a?action=download&sid={sid}"),
        format!("{platform}/{sid}?echo&canary-in-a-query"),
        format!("{control}/requests?since=0&canary-in-a-query"),
    ] {
        client.get(url).header("sid", &sid).send().await.unwrap();
    }
    client.post(format!("{control}/sessions/{sid}/kill")).send().await.unwrap();

    let id = program.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(program.wait().unwrap().code(), Some(0));
    let log = log.join().unwrap().unwrap();
    assert!(log.contains("answered"), "the log says what was done: {log}");
    for secret in [sid.as_str(), content, begun["SID"].as_str().unwrap(), "canary-in-a-query"] {
        assert!(!log.contains(secret), "a secret was logged");
    }
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (level, target) = (line["level"].as_str().unwrap(), line["target"].as_str().unwrap());
        let is_verbose = matches!(level, "DEBUG" | "TRACE");
        assert!(!is_verbose || target.starts_with("ib_simulator"), "{target} speaks at {level}");
    }
}

#[test]
fn a_filter_or_an_address_that_is_none_is_refused_by_its_name() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let ca_out = directory.path().join("ca.pem");
    for (option, value) in [("--log", "ib_simulator=loud"), ("--listen", taken.as_str())] {
        let output = Command::new(env!("CARGO_BIN_EXE_ib-simulator"))
            .args(["--control", "127.0.0.1:0", option, value])
            .arg("--ca-out")
            .arg(&ca_out)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{option}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(option), "{message}");
        assert!(!ca_out.exists(), "a certificate was left behind");
    }
}
