//! What Envoy refuses when it is full: connections, streams of a connection, and requests near the end of
//! its memory. Whoever watches it gets in all the same.
#![cfg(test)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use ib_end_to_end::{
    Connection, Deployment, PATIENCE, Request, StackOptions, assert_refusal, eventually,
};
use serde_json::{Value, json};
use tempfile::tempdir;

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const STATS: &str = "/static_resources/listeners/1/filter_chains/0/filters";

#[test]
fn a_full_gateway_refuses_connections_until_one_ends_and_its_operator_gets_in_all_the_same() {
    let most = json!({
        "op": "replace",
        "path": "/overload_manager/resource_monitors/0/typed_config/max_active_downstream_connections",
        "value": 8,
    });
    let Some(gateway) = own(vec![most]) else { return };
    let is_served = |connection: &mut Connection| {
        let answer = connection.exchange(&Request::get(gateway.path("/healthz")), &gateway.host());
        answer.is_ok_and(|answer| answer.status == 200)
    };
    let mut open = Vec::new();
    loop {
        let mut connection = gateway.connect();
        if !is_served(&mut connection) {
            break;
        }
        open.push(connection);
        assert!(open.len() <= 8, "no connection is refused");
    }
    assert!(!open.is_empty());
    assert!(open.iter_mut().all(is_served), "those that are there go on");
    gateway.ask(gateway.reach().envoy_admin, "/ready").with_status(200);
    let stats = gateway.stack().addresses().envoy_stats;
    gateway.ask(stats, "/ready").with_status(200);
    let refused: u64 =
        gateway.envoy_stats("downstream_global_cx_overflow").iter().map(|(_, count)| count).sum();
    assert!(refused > 0);
    open.pop();
    eventually("the place is free again", PATIENCE, || {
        is_served(&mut gateway.connect()).then_some(())
    });
}

#[test]
fn near_the_end_of_its_memory_the_gateway_asks_new_requests_to_come_again_and_recovers() {
    let folder = tempdir().unwrap();
    let pressure = folder.path().join("pressure");
    set_pressure(&pressure, "0.0");
    // The actions as they are shipped, set off by a file in place of the heap.
    let mut patch = vec![json!({
        "op": "replace",
        "path": "/overload_manager/resource_monitors/1",
        "value": {
            "name": "envoy.resource_monitors.injected_resource",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig",
                "filename": pressure,
            },
        },
    })];
    patch.extend((0..6).map(|action| {
        json!({
            "op": "replace",
            "path": format!("/overload_manager/actions/{action}/triggers/0/name"),
            "value": "envoy.resource_monitors.injected_resource",
        })
    }));
    let Some(gateway) = own(patch) else { return };
    let ask = || gateway.send(&Request::get(gateway.path("/healthz")));
    ask().with_status(200);

    set_pressure(&pressure, "0.96");
    let refused = eventually("a refusal", PATIENCE, || Some(ask()).filter(|it| it.status != 200));
    let words = "The service is temporarily unavailable";
    assert_refusal(&refused, 503, "temporarily_unavailable", words);
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert_eq!(refused.header("x-content-type-options").as_deref(), Some("nosniff"));
    let active = |action: &str| {
        let name = format!("overload.envoy.overload_actions.{action}.active");
        gateway.envoy_stats(&name).iter().any(|(_, value)| *value == 1)
    };
    for action in ["shrink_heap", "disable_http_keepalive", "stop_accepting_requests"] {
        assert!(active(action), "{action}");
    }
    assert!(!active("reject_incoming_connections"), "that comes last");
    // Metrics are there to see it by.
    gateway.ask(gateway.stack().addresses().envoy_stats, "/ready").with_status(200);

    set_pressure(&pressure, "0.99");
    eventually("connections are refused", PATIENCE, || {
        gateway.try_send(&Request::get(gateway.path("/healthz"))).is_err().then_some(())
    });
    set_pressure(&pressure, "0.1");
    eventually("it serves again", PATIENCE, || {
        let answer = gateway.try_send(&Request::get(gateway.path("/healthz")));
        answer.is_ok_and(|answer| answer.status == 200).then_some(())
    });
}

#[test]
fn one_connection_has_no_more_streams_than_it_is_told() {
    let most = json!({
        "op": "replace",
        "path": format!("{MANAGER}/http2_protocol_options/max_concurrent_streams"),
        "value": 2,
    });
    let Some(gateway) = own(vec![most]) else { return };
    let mut connection = Http2::open(&gateway);
    assert_eq!(connection.most_streams(), 2, "what the server says of itself");
    // Three requests whose bodies do not come: the third is one too many.
    for stream in [1, 3, 5] {
        connection.begin_request(stream, &gateway.host());
    }
    let refused = connection.next_frame(|kind, stream| kind == RESET && stream == 5);
    assert_eq!(refused, 7_u32.to_be_bytes(), "REFUSED_STREAM (RFC 9113 section 7)");
}

#[test]
fn whoever_asks_for_metrics_without_end_is_limited_too() {
    let slow = json!({ "max_tokens": 5, "tokens_per_fill": 1, "fill_interval": "600s" });
    let Some(gateway) = own(vec![
        json!({ "op": "replace", "path": format!("{STATS}/1/typed_config/http_filters/0/typed_config/token_bucket"), "value": slow }),
        json!({ "op": "replace", "path": format!("{STATS}/0/typed_config/max_connections"), "value": 3 }),
    ]) else {
        return;
    };
    let stats = gateway.stack().addresses().envoy_stats;
    let metrics = || gateway.ask(stats, "/stats/prometheus");
    let limited = (0..30).map(|_| metrics()).find(|it| it.status == 429).expect("a limit");
    assert_eq!(limited.header("retry-after").as_deref(), Some("1"));
    // Whoever restarts what is not ready is told the truth all the while.
    for _ in 0..10 {
        gateway.ask(stats, "/ready").with_status(200);
    }
    assert_eq!(metrics().status, 429, "the metrics still are");
    // The gateway's own clients have no part in it.
    gateway.send(&Request::get(gateway.path("/healthz"))).with_status(200);

    let ask = |connection: &mut Connection| {
        connection.exchange(&Request::get("/ready"), &stats.to_string()).is_ok()
    };
    let mut open = eventually("three connections at once", PATIENCE, || {
        let mut open: Vec<_> = (0..3).map(|_| Connection::open(stats).unwrap()).collect();
        open.iter_mut().all(ask).then_some(open)
    });
    assert!(!ask(&mut Connection::open(stats).unwrap()), "a fourth connection");
    assert!(open.iter_mut().all(ask), "those that are there go on");
}

fn own(envoy_patch: Vec<Value>) -> Option<Deployment> {
    Deployment::own(StackOptions { envoy_patch, ..StackOptions::default() })
}

/// Replaces the file by renaming, which is what Envoy watches for.
fn set_pressure(file: &Path, value: &str) {
    let new = file.with_extension("new");
    fs::write(&new, value).unwrap();
    fs::rename(&new, file).unwrap();
}

/// Frame types (RFC 9113 section 6).
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;

/// As much of an HTTP/2 client as these tests need, over plain TCP with prior knowledge.
struct Http2(TcpStream);

impl Http2 {
    fn open(gateway: &Deployment) -> Self {
        let mut stream = TcpStream::connect(gateway.reach().gateway).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut connection = Self(stream);
        connection.send(SETTINGS, 0, 0, &[]);
        connection
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).unwrap();
    }

    /// The payload of the next frame of that kind and stream.
    fn next_frame(&mut self, is_meant: impl Fn(u8, u32) -> bool) -> Vec<u8> {
        for _ in 0..100 {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).expect("another frame");
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).expect("a whole frame");
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if is_meant(head[3], stream) {
                return payload;
            }
        }
        panic!("not among a hundred frames");
    }

    /// SETTINGS_MAX_CONCURRENT_STREAMS of the server.
    fn most_streams(&mut self) -> u32 {
        let settings = self.next_frame(|kind, stream| kind == SETTINGS && stream == 0);
        let found = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).expect("the setting");
        u32::from_be_bytes(found[2..].try_into().unwrap())
    }

    /// `POST /token` with a body that is still to come. The texts are literals without indexing
    /// (RFC 7541 section 6.2.2), the rest entries of the static table.
    fn begin_request(&mut self, stream: u32, authority: &str) {
        let mut block = vec![0x83, 0x86];
        // Without a type of its body the service would refuse it at once.
        let form = "application/x-www-form-urlencoded";
        let (path, authority, content_type) =
            ((&[4][..], "/token"), (&[1][..], authority), (&[0x0f, 0x10][..], form));
        for (index, text) in [path, authority, content_type] {
            block.extend(index);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.bytes());
        }
        const END_OF_HEADERS: u8 = 4;
        self.send(HEADERS, END_OF_HEADERS, stream, &block);
    }
}
