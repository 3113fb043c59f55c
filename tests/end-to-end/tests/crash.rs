//! A plugin that crashes: the request fails closed, the next one is served, and who waited in the dead
//! VM is let go by a timeout. By a plugin that crashes on demand, which is never shipped.
#![cfg(test)]

use std::time::Duration;

use ib_end_to_end::{
    Connection, Deadline, Deployment, PATIENCE, Part, Response, StackOptions, assert_error_body,
    built, eventually, unique,
};
use serde_json::json;

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
/// What `scripts/build-plugin.sh --crash-on-demand` makes.
const CRASHING: &str = "plugin-crash-on-demand.wasm";
const ON_DEMAND: &str = "x-ib-gateway-crash";
const REST: &str = "/crashed?echo";
/// How long a stream may be silent in these tests.
const SILENCE: Duration = Duration::from_secs(4);
const SLACK: Duration = Duration::from_millis(500);

fn crashing() -> StackOptions {
    let plugin = built(CRASHING);
    assert!(plugin.is_file(), "{CRASHING} is missing: scripts/build-plugin.sh --crash-on-demand");
    StackOptions {
        envoy_patch: vec![
            json!({
                "op": "replace",
                "path": format!("{MANAGER}/http_filters/3/typed_config/config/vm_config/code/local/filename"),
                "value": plugin,
            }),
            json!({
                "op": "replace", "path": format!("{MANAGER}/stream_idle_timeout"),
                "value": format!("{}s", SILENCE.as_secs()),
            }),
        ],
        ..StackOptions::default()
    }
}

#[test]
fn a_request_that_crashes_the_plugin_gets_503_and_the_next_one_is_served() {
    let Some(gateway) = Deployment::own(crashing()) else { return };
    let token = gateway.log_in().access_token;
    for round in 0..2 {
        let mut workers = gateway.connection_to_each_worker();
        for worker in &mut workers {
            call(&gateway, worker, &token, None).unwrap().with_status(200);
        }
        let mark = unique("crash");
        let request = gateway.proxied("GET", &format!("/{mark}?echo")).bearer(&token);
        let request = request.header(ON_DEMAND, "headers");
        let crashed = workers[0].exchange(&request, &gateway.host()).unwrap();
        assert_eq!(crashed.status, 503, "{crashed:?}");
        assert_eq!(crashed.json()["error"], json!("temporarily_unavailable"), "{crashed:?}");
        gateway.simulator().assert_nothing_marked(&mark);
        // The other worker has a VM of its own.
        call(&gateway, &mut workers[1], &token, None).unwrap().with_status(200);
        // The same worker: within the backoff of a second it may still say 503, and nothing else.
        for worker in &mut gateway.connection_to_each_worker() {
            eventually("the worker's next VM", Duration::from_secs(5), || {
                let answer = call(&gateway, worker, &token, None).ok()?;
                assert!(matches!(answer.status, 200 | 503), "round {round}: {answer:?}");
                (answer.status == 200).then_some(())
            });
        }
    }
}

#[test]
fn who_waits_in_a_vm_that_crashes_is_let_go_by_a_timeout_and_nothing_goes_upstream() {
    let Some(gateway) = Deployment::own(crashing()) else { return };
    let token = gateway.log_in().access_token;
    let mark = unique("waiting");
    let request = gateway.proxied("GET", &format!("/{mark}?echo")).bearer(&token);
    let mut waiting = gateway.connection_to_each_worker();
    let mut crashing = gateway.connection_to_each_worker();
    gateway.stack().pause(Part::Service).unwrap();
    let clock = Deadline::after(PATIENCE);
    for connection in &mut waiting {
        connection.write(&request.to_bytes(&gateway.host())).unwrap();
    }
    let crash = request.clone().header(ON_DEMAND, "waiting");
    crashing[0].write(&crash.to_bytes(&gateway.host())).unwrap();

    // The other worker's VM lives, and gives up on the service in its own time.
    let answer = waiting[1].read_response("GET").unwrap();
    assert_error_body(&answer, 503, "temporarily_unavailable");
    assert!(clock.elapsed() < SILENCE, "it waited {:?}", clock.elapsed());
    // In the VM that is gone nobody is left to answer: Envoy does, when they have been silent too long.
    for connection in [&mut waiting[0], &mut crashing[0]] {
        let answer = connection.read_response("GET").unwrap();
        assert!(matches!(answer.status, 408 | 503 | 504), "{answer:?}");
        assert!(answer.json()["error"].is_string(), "{answer:?}");
        let waited = clock.elapsed();
        assert!(waited >= SILENCE - SLACK && waited < SILENCE * 3, "it waited {waited:?}");
    }
    gateway.stack().resume(Part::Service).unwrap();
    gateway.simulator().assert_nothing_marked(&mark);
    for connection in &mut gateway.connection_to_each_worker() {
        eventually("the next request to be served", Duration::from_secs(5), || {
            let answer = call(&gateway, connection, &token, None).ok()?;
            (answer.status == 200).then_some(())
        });
    }
}

#[test]
fn the_plugin_that_is_shipped_does_not_know_how_to_crash_on_demand() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let token = gateway.log_in().access_token;
    for how in ["headers", "waiting"] {
        let answer = call(&gateway, &mut gateway.connect(), &token, Some(how)).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

fn call(
    gateway: &Deployment,
    connection: &mut Connection,
    token: &str,
    crash: Option<&str>,
) -> std::io::Result<Response> {
    let mut request = gateway.proxied("GET", REST).bearer(token);
    if let Some(crash) = crash {
        request = request.header(ON_DEMAND, crash);
    }
    connection.exchange(&request, &gateway.host())
}
