//! Upgrades while clients ask on and on: of Envoy by a hot restart, of the service one instance after the
//! other. No request is lost, no token ends.
#![cfg(test)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ib_end_to_end::{
    Deadline, Departure, Deployment, Grant, HotRestart, LOOPBACK_REDIRECT, PATIENCE, PUBLIC_CLIENT,
    Part, Request, Seen, StackOptions, envoy_program, envoys_at_hand, eventually, free_port,
    minor_version, sha256_hex,
};
use serde_json::{Value, json};

#[path = "../../../../oauth/tests/servers/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "one of its servers is needed here")]
mod servers;

mod second_instance;

use second_instance::SecondInstance;

const MEBIBYTE: usize = 1024 * 1024;
const CLIENTS: u32 = 4;

/// Short, for a test: the old Envoy drains for two seconds and goes after eight.
const DEPARTURE: Departure = Departure { drain_seconds: 2, parent_shutdown_seconds: 8 };

#[test]
fn a_hot_restart_of_envoy_loses_no_request_and_no_download_that_ends_before_the_old_one() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let (old, new) = (oldest_that_hands_over(), envoy_program());
    let mut envoys = HotRestart::begin(&gateway, &old, DEPARTURE);
    let grant = gateway.log_in();
    let whole = download(&gateway, &grant, || ());
    let (seen, ()) = gateway.under_load(CLIENTS, requests(&gateway, &grant), |load| {
        load.await_answers(200);
        let (begun, begins) = mpsc::channel();
        let (replaced, awaits) = mpsc::channel::<()>();
        thread::scope(|scope| {
            // It has begun in the old Envoy, and goes on when the new one serves.
            let (gateway, grant) = (&gateway, &grant);
            let through = scope.spawn(move || {
                download(gateway, grant, || {
                    begun.send(()).unwrap();
                    awaits.recv_timeout(PATIENCE).unwrap();
                })
            });
            begins.recv_timeout(PATIENCE).unwrap();
            envoys.replace(&new);
            load.await_answers(200);
            replaced.send(()).unwrap();
            assert_eq!(through.join().unwrap(), whole, "the download is another one");
            let status = envoys.await_departure();
            assert!(status.success(), "the old Envoy ended with {status}");
        });
        load.await_answers(500);
    });
    assert_nothing_was_lost(&seen);
    // The new Envoy asked anew, and counts by itself.
    assert!(gateway.introspections() >= 2, "{}", gateway.introspections());
}

/// What the service goes on for when it is asked to stop.
const DRAIN_SECONDS: u64 = 2;

#[test]
#[ignore = "needs a redis-server: make test-stores"]
fn replacing_one_instance_of_the_service_after_the_other_loses_no_request_and_no_token() {
    let redis = servers::Server::redis();
    let second = [free_port(), free_port()];
    let Some(gateway) = Deployment::own(two_instances(redis.port, second)) else { return };
    let mut instance = Some(SecondInstance::start(&gateway, second));
    await_healthy(&gateway, 2);
    let grant = gateway.log_in();
    let (seen, grants) = gateway.under_load(CLIENTS, requests(&gateway, &grant), |load| {
        load.await_answers(200);
        // Logins and refreshes go on meanwhile, each of them over both instances.
        let (over, mut grants) = (AtomicBool::new(false), Vec::new());
        thread::scope(|scope| {
            let logins = scope.spawn(|| {
                let mut grants = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    grants.push(log_in_and_refresh(&gateway));
                }
                grants
            });
            stop_in_peace(&gateway, || {
                let id = gateway.process_id(Part::Service);
                terminate(id);
                eventually("the first instance to end", PATIENCE, || {
                    gateway.stack().process_id(Part::Service).is_none().then_some(())
                });
            });
            load.await_answers(200);
            gateway.start_part(Part::Service);
            await_healthy(&gateway, 2);
            stop_in_peace(&gateway, || {
                let mut old = instance.take().unwrap();
                terminate(old.process_id());
                assert!(old.await_end().success(), "the second instance ended with a failure");
            });
            load.await_answers(200);
            instance = Some(SecondInstance::start(&gateway, second));
            await_healthy(&gateway, 2);
            load.await_answers(300);
            over.store(true, Ordering::SeqCst);
            grants = logins.join().expect("a login or a refresh failed");
        });
        grants
    });
    assert_nothing_was_lost(&seen);
    assert!(grants.len() > 2, "too few logins to tell: {}", grants.len());
    for grant in grants.iter().chain([&grant]) {
        let request = gateway.proxied("GET", "/api/3.0.0/upgraded/user?echo");
        gateway.send(&request.bearer(&grant.access_token)).with_status(200);
    }
}

/// A gateway with two instances of the service on one Redis: the stack's own, and one at these ports.
fn two_instances(redis: u16, second: [u16; 2]) -> StackOptions {
    let endpoint = |address: Value, port: Value| {
        let socket = json!({ "address": address, "port_value": port });
        json!({ "endpoint": { "address": { "socket_address": socket } } })
    };
    let mut patch = Vec::new();
    for (cluster, name, path, port) in
        [(1, "token_service", "/readyz", second[1]), (2, "oauth_public", "/healthz", second[0])]
    {
        let at = |rest: &str| format!("/static_resources/clusters/{cluster}/{rest}");
        patch.push(json!({ "op": "test", "path": at("name"), "value": name }));
        patch.push(json!({
            "op": "add",
            "path": at("load_assignment/endpoints/0/lb_endpoints/-"),
            "value": endpoint(json!("127.0.0.1"), json!(port)),
        }));
        patch.push(json!({
            "op": "add",
            "path": at("health_checks"),
            "value": [{
                "timeout": "1s", "interval": "2s", "no_traffic_interval": "2s",
                "unhealthy_threshold": 2, "healthy_threshold": 1,
                "http_health_check": { "host": "token-service.internal", "path": path },
            }],
        }));
    }
    StackOptions {
        service_settings: json!({
            "store": {
                "engine": "redis", "path": null, "address": format!("127.0.0.1:{redis}"), "tls": false,
                "prefix": "upgrade",
            },
            "server": { "drain_seconds": DRAIN_SECONDS },
        }),
        envoy_patch: patch,
        ..StackOptions::default()
    }
}

/// Waits until Envoy sends to so many instances, on both ports.
#[track_caller]
fn await_healthy(gateway: &Deployment, instances: u64) {
    eventually("Envoy to find the instances well", PATIENCE, || {
        let healthy = ["token_service", "oauth_public"].iter().all(|cluster| {
            let name = format!("cluster.{cluster}.membership_healthy");
            gateway.envoy_stats(&name).iter().any(|(_, count)| *count == instances)
        });
        healthy.then_some(())
    });
}

/// Stops an instance, which must not take longer than it drains and a moment: polls of the revocation feed,
/// which would wait for half a minute, are answered.
#[track_caller]
fn stop_in_peace(gateway: &Deployment, stop: impl FnOnce()) {
    let clock = Deadline::after(PATIENCE);
    stop();
    let took = clock.elapsed();
    assert!(took >= Duration::from_secs(DRAIN_SECONDS), "it did not go on: {took:?}");
    assert!(took < Duration::from_secs(DRAIN_SECONDS + 8), "something kept it: {took:?}");
    await_healthy(gateway, 1);
}

fn terminate(process_id: u32) {
    let status = Command::new("kill").args(["-TERM", &process_id.to_string()]).status();
    assert!(status.expect("kill can be started").success());
}

#[track_caller]
fn log_in_and_refresh(gateway: &Deployment) -> Grant {
    let first = gateway.log_in();
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    Grant::of(&client.refresh(&first.refresh_token))
}

/// What clients ask of a gateway: mostly for IntelligenceBank, now and then of the service.
fn requests<'a>(
    gateway: &'a Deployment,
    grant: &Grant,
) -> impl Fn(u64) -> Request + Sync + use<'a> {
    let token = grant.access_token.clone();
    move |number| match number % 8 {
        0 => Request::get(gateway.path("/.well-known/oauth-authorization-server")),
        1 => Request::get(gateway.path("/userinfo")).bearer(&token),
        _ => gateway.proxied("GET", "/api/3.0.0/upgrade/user?echo").bearer(&token),
    }
}

#[track_caller]
fn assert_nothing_was_lost(seen: &Seen) {
    let Seen { statuses, failures } = seen;
    assert!(failures.is_empty(), "{statuses:?}\n{}", failures.join("\n"));
    assert!(statuses[&200] > 900, "{statuses:?}");
}

/// Downloads 16 MiB, far more than fits in the buffers between, and gives their hash. `pause` is called after
/// the first.
#[track_caller]
fn download(gateway: &Deployment, grant: &Grant, pause: impl FnOnce()) -> String {
    let length = 16 * MEBIBYTE;
    let rest = format!("/api/3.0.0/upgrade/resource/bytes-{length}?action=download");
    let request = gateway.proxied("GET", &rest).bearer(&grant.access_token);
    let mut connection = gateway.connect().within(PATIENCE * 3);
    connection.write(&request.to_bytes(&gateway.host())).unwrap();
    let head = connection.read_head().unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    let mut left = head.body_of("GET").unwrap();
    let (mut body, mut bytes, mut pause) = (Vec::new(), vec![0; 64 * 1024], Some(pause));
    loop {
        let count = connection.read_body(&mut left, &mut bytes).unwrap();
        if count == 0 {
            break;
        }
        body.extend_from_slice(&bytes[..count]);
        if body.len() >= MEBIBYTE
            && let Some(pause) = pause.take()
        {
            pause();
        }
    }
    assert_eq!(body.len(), length);
    sha256_hex(&body)
}

/// The oldest Envoy at hand that the one under test can take over from: both say the same version of what
/// they share.
fn oldest_that_hands_over() -> PathBuf {
    let shared = |envoy: &PathBuf| {
        Command::new(envoy)
            .arg("--hot-restart-version")
            .output()
            .expect("Envoy can be started")
            .stdout
    };
    let own = shared(&envoy_program());
    let mut envoys = envoys_at_hand();
    envoys.retain(|envoy| shared(envoy) == own);
    let oldest = envoys.into_iter().min_by_key(|envoy| minor_version(envoy));
    oldest.expect("the Envoy under test at least")
}
