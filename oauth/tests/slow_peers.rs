//! Peers that are too slow, too large or too long, on real sockets: each is cut off within its bound,
//! and everybody else is served meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

mod serving;

use serving::{Serving, settings};

/// Within it a peer is cut off, on a machine that is busy with other tests. It is far below the
/// default limits.
const PATIENCE: Duration = Duration::from_secs(8);

/// A program whose every limit for slow peers is a second, but for those in `others`.
fn impatient(folder: &tempfile::TempDir, others: &[(&str, u64)]) -> Serving {
    let mut bounds = vec![
        ("header_timeout_seconds", 600),
        ("body_timeout_seconds", 600),
        ("write_timeout_seconds", 600),
        ("idle_timeout_seconds", 600),
        ("request_timeout_seconds", 600),
        ("shutdown_seconds", 1),
    ];
    for (name, value) in others {
        bounds.retain(|(own, _)| own != name);
        bounds.push((name, *value));
    }
    let bounds: Vec<_> = bounds.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    Serving::start(&settings(folder, &format!("server: {{ {} }}", bounds.join(", "))))
}

fn connect(serving: &Serving) -> TcpStream {
    let stream = TcpStream::connect(serving.public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything until the connection is closed or reset; the test fails if it stays open.
#[track_caller]
fn until_closed(stream: &mut TcpStream) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => all.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("still open: {error}; so far {}", String::from_utf8_lossy(&all)),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Sends a byte now and then until the peer has had enough.
fn drip(stream: &TcpStream) -> std::thread::JoinHandle<()> {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        while stream.write_all(b"a").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    })
}

#[test]
fn header_fields_that_come_a_byte_at_a_time_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let serving = impatient(&folder, &[("header_timeout_seconds", 1)]);
    let mut stream = connect(&serving);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").unwrap();
    let dripping = drip(&stream);
    assert_eq!(until_closed(&mut stream), "");
    dripping.join().unwrap();
    // Also those of a later request on the same connection.
    let mut stream = connect(&serving);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n").unwrap();
    let mut begin = [0; 15];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200 OK");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").unwrap();
    let dripping = drip(&stream);
    assert!(!until_closed(&mut stream).contains("HTTP/1.1"));
    dripping.join().unwrap();
    assert!(serving.get(serving.public, "/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_connection_without_a_request_is_closed_before_and_after_one() {
    let folder = tempfile::tempdir().unwrap();
    let serving = impatient(&folder, &[("idle_timeout_seconds", 1)]);
    assert_eq!(until_closed(&mut connect(&serving)), "");
    let mut stream = connect(&serving);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n").unwrap();
    assert!(until_closed(&mut stream).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_body_that_comes_a_byte_at_a_time_is_answered_408_and_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let serving = impatient(&folder, &[("body_timeout_seconds", 1)]);
    for path in ["/token", "/introspect", "/revoke", "/authorize"] {
        let mut stream = connect(&serving);
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 60000\r\n\
             accept: application/json\r\nauthorization: Basic YTpi\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n"
        )
        .unwrap();
        let dripping = drip(&stream);
        let answer = until_closed(&mut stream);
        dripping.join().unwrap();
        let status = if path == "/authorize" { "HTTP/1.1 400" } else { "HTTP/1.1 408" };
        assert!(answer.starts_with(status), "{path}: {answer}");
        assert!(answer.contains("connection: close"), "{path}: {answer}");
        assert!(answer.contains("did not come in time"), "{path}: {answer}");
    }
}

#[test]
fn a_peer_that_does_not_read_its_answers_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let serving = impatient(&folder, &[("write_timeout_seconds", 1)]);
    let mut stream = connect(&serving);
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // Answers pile up until no buffer takes more, and then nothing is read any more either.
    let request = b"GET /assets/login.js HTTP/1.1\r\nhost: t\r\n\r\n".repeat(1_000);
    let error = loop {
        if let Err(error) = stream.write_all(&request) {
            break error;
        }
    };
    let is_cut = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind());
    assert!(is_cut, "not cut off: {error}");
    assert!(serving.get(serving.public, "/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn requests_that_are_too_large_are_told_so_by_their_status() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(&settings(&folder, "server: { maximum_header_bytes: 32768 }"));
    let ask = |head: String| {
        let mut stream = connect(&serving);
        // The answer may come, and the connection end, before all is sent.
        stream.write_all(head.as_bytes()).ok();
        until_closed(&mut stream)
    };
    let long = |length: usize| "x".repeat(length);
    let close = "host: t\r\nconnection: close\r\n";
    let answer = ask(format!("GET /healthz?{} HTTP/1.1\r\n{close}\r\n", long(17_000)));
    assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
    assert!(answer.contains(r#""error":"invalid_request""#), "{answer}");
    let answer = ask(format!("GET /healthz HTTP/1.1\r\n{close}x: {}\r\n\r\n", long(40_000)));
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let answer = ask(format!("GET /healthz HTTP/1.1\r\n{close}{}\r\n", "x: y\r\n".repeat(200)));
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    // Just below, both are fine.
    let fields = "x: y\r\n".repeat(97);
    let answer = ask(format!("GET /healthz?{} HTTP/1.1\r\n{close}{fields}\r\n", long(16_000)));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let body = long(70_000);
    let answer = ask(format!(
        "POST /token HTTP/1.1\r\n{close}content-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn broken_http_is_refused_and_never_a_failure_of_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let serving = impatient(
        &folder,
        &[("header_timeout_seconds", 1), ("body_timeout_seconds", 1), ("idle_timeout_seconds", 1)],
    );
    let form = "content-type: application/x-www-form-urlencoded";
    let broken: Vec<Vec<u8>> = vec![
        b"\r\n\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/1.1\n\n".to_vec(),
        b"GET  /healthz  HTTP/1.1\r\n\r\n".to_vec(),
        b"GET /\x00healthz HTTP/1.1\r\nhost: t\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/1.1\r\nhost: t\r\nx\x00y: z\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/1.1\r\nhost: t\r\n folded: z\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/1.1\r\nhost : t\r\n\r\n".to_vec(),
        b"GET /healthz\xff\xfe HTTP/1.1\r\nhost: t\r\n\r\n".to_vec(),
        format!("POST /token HTTP/1.1\r\nhost: t\r\n{form}\r\ncontent-length: -1\r\n\r\n").into(),
        format!("POST /token HTTP/1.1\r\nhost: t\r\n{form}\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\na=bc").into(),
        format!("POST /token HTTP/1.1\r\nhost: t\r\n{form}\r\ncontent-length: 99999999999999999999\r\n\r\n").into(),
        format!("POST /token HTTP/1.1\r\nhost: t\r\n{form}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").into(),
        format!("POST /token HTTP/1.1\r\nhost: t\r\n{form}\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n").into(),
        format!("POST /token HTTP/1.1\r\nhost: t\r\n{form}\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n").into(),
        format!("POST /token HTTP/1.1\r\nhost: t\r\n{form}\r\ntransfer-encoding: gzip, identity\r\n\r\nabc").into(),
        b"CONNECT evil.example:443 HTTP/1.1\r\nhost: t\r\n\r\n".to_vec(),
        b"OPTIONS * HTTP/1.1\r\nhost: t\r\n\r\n".to_vec(),
        b"GET http://evil.example/healthz HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n".to_vec(),
    ];
    // Half of them are never finished, so all go out before the answers are read.
    let sent: Vec<_> = broken
        .iter()
        .flat_map(|bytes| [(serving.public, bytes), (serving.internal, bytes)])
        .map(|(address, bytes)| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(bytes).ok();
            (stream, bytes)
        })
        .collect();
    for (mut stream, bytes) in sent {
        let answer = until_closed(&mut stream);
        let of = String::from_utf8_lossy(bytes);
        assert!(!answer.contains("HTTP/1.1 5"), "{of}: {answer}");
        // No second answer to what is one request, whoever reads its length how.
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{of}: {answer}");
    }
    assert!(serving.get(serving.public, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(serving.get(serving.internal, "/readyz").starts_with("HTTP/1.1 200"));
}
