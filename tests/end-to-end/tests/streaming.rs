//! Long transfers: streamed, awaited, and never held in the gateway's memory.
#![cfg(test)]

use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ib_end_to_end::{
    Connection, Deployment, LoggedRequest, MemoryWatch, Part, Pattern, StackOptions, forged_token,
    resident_bytes, sha256_hex,
};

const MEGABYTE: usize = 1024 * 1024;
const LARGE: usize = 50 * MEGABYTE;
/// How much a transfer may add to a process: far less than the body, more than noise.
const GROWTH: u64 = 16 * 1024 * 1024;

static GATEWAY: LazyLock<Option<Deployment>> =
    LazyLock::new(|| Deployment::own(StackOptions::default()));
/// Memory and bytes on the wire are measured, and the service is paused: one transfer at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn fifty_megabytes_go_up_on_a_token_that_is_not_cached_yet_and_stay_out_of_memory() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Warm: buffers, VMs and pools that stay are made by another token.
    upload(gateway, &gateway.log_in().access_token, 2 * MEGABYTE);
    let watches = watch(gateway);
    let fresh = gateway.log_in().access_token;
    upload(gateway, &fresh, LARGE);
    assert_flat(watches);
}

#[test]
fn defect_26_fifty_megabytes_come_down_as_they_are_read_and_stay_out_of_memory() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let token = gateway.log_in().access_token;
    download(gateway, &token, 2 * MEGABYTE, |_| ());
    let received = || {
        let stats = gateway.envoy_stats("cluster.intelligencebank.upstream_cx_rx_bytes_total");
        stats.iter().map(|(_, value)| value).sum::<u64>()
    };
    let before = received();
    let watches = watch(gateway);
    download(gateway, &token, LARGE, |so_far| {
        if so_far == 0 {
            // The client has the head and reads no further: what the gateway has taken in meanwhile
            // is what fits in buffers. Two looks, so that a transfer that goes on is seen.
            thread::sleep(Duration::from_millis(500));
            let early = received() - before;
            assert!(
                early < LARGE as u64 / 2,
                "{early} bytes were taken in for a client that waits"
            );
        }
    });
    assert!(received() - before >= LARGE as u64, "the counter does not count this transfer");
    assert_flat(watches);
}

#[test]
fn a_large_upload_waits_for_a_slow_look_up_of_its_token_without_being_taken_in() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = gateway.log_in().access_token;
    let watches = watch(gateway);
    gateway.stack().pause(Part::Service).unwrap();
    thread::scope(|scope| {
        let upload = scope.spawn(|| upload(gateway, &fresh, LARGE));
        // Well below the callout's timeout of two seconds.
        thread::sleep(Duration::from_millis(700));
        gateway.stack().resume(Part::Service).unwrap();
        upload.join().unwrap();
    });
    assert_flat(watches);
}

#[test]
fn a_slow_upload_is_awaited() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let token = gateway.log_in().access_token;
    let body = vec![b'x'; 30];
    let request = gateway
        .proxied("POST", "/api/3.0.0/slow/file?echo")
        .bearer(&token)
        .header("content-length", body.len().to_string());
    let mut connection = gateway.connect();
    connection.write(&request.head_bytes(&gateway.host())).unwrap();
    for byte in &body {
        thread::sleep(Duration::from_millis(100));
        connection.write(&[*byte]).unwrap();
    }
    let arrived = LoggedRequest::echoed(&connection.read_response("POST").unwrap());
    assert_eq!(arrived.body_sha256, sha256_hex(&body));
}

#[test]
fn an_upload_on_a_refused_token_is_answered_before_it_is_over() {
    let Some(gateway) = GATEWAY.as_ref() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let request = gateway
        .proxied("POST", "/api/3.0.0/refused/file?echo")
        .bearer(&forged_token())
        .header("content-length", LARGE.to_string());
    let mut connection = gateway.connect();
    connection.write(&request.head_bytes(&gateway.host())).unwrap();
    let answer = connection.read_response("POST").unwrap();
    assert_eq!(answer.status, 401, "{answer:?}");
}

#[track_caller]
fn upload(gateway: &Deployment, token: &str, length: usize) {
    let request = gateway
        .proxied("POST", "/api/3.0.0/large/file?echo")
        .bearer(token)
        .header("content-type", "application/octet-stream")
        .header("content-length", length.to_string());
    let mut connection = gateway.connect().within(Duration::from_secs(60));
    connection.write(&request.head_bytes(&gateway.host())).unwrap();
    let mut pattern = Pattern::of_length(length);
    while let Some(chunk) = pattern.next_chunk(64 * 1024) {
        if connection.write(chunk).is_err() {
            break;
        }
    }
    let arrived = LoggedRequest::echoed(&connection.read_response("POST").unwrap());
    assert_eq!(arrived.body_length, length as u64);
    assert_eq!(arrived.body_sha256, pattern.sha256_hex());
}

/// Downloads and counts; `at` is called with the bytes read so far before each read.
#[track_caller]
fn download(gateway: &Deployment, token: &str, length: usize, mut at: impl FnMut(usize)) {
    let rest = format!("/api/3.0.0/demo/resource/bytes-{length}?action=download");
    let request = gateway.proxied("GET", &rest).bearer(token);
    let mut connection: Connection = gateway.connect().within(Duration::from_secs(60));
    connection.write(&request.to_bytes(&gateway.host())).unwrap();
    let head = connection.read_head().unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    assert_eq!(head.value("content-length"), Some(length.to_string()));
    let mut left = head.body_of("GET").unwrap();
    let mut bytes = vec![0; 64 * 1024];
    let mut total = 0;
    loop {
        at(total);
        let count = connection.read_body(&mut left, &mut bytes).unwrap();
        if count == 0 {
            break;
        }
        total += count;
    }
    assert_eq!(total, length);
}

fn watch(gateway: &Deployment) -> Vec<(Part, u64, MemoryWatch)> {
    [Part::Envoy, Part::Service]
        .into_iter()
        .map(|part| {
            let process = gateway.process_id(part);
            (part, resident_bytes(process), MemoryWatch::start(process))
        })
        .collect()
}

#[track_caller]
fn assert_flat(watches: Vec<(Part, u64, MemoryWatch)>) {
    for (part, before, watch) in watches {
        let growth = watch.peak().saturating_sub(before);
        assert!(growth < GROWTH, "{part:?} grew by {growth} bytes over {before}");
    }
}
