//! Many requests, few questions: what the service is asked when crowds come with one token, with many,
//! and with none that is good.
#![cfg(test)]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ib_end_to_end::{
    Deployment, Grant, LOOPBACK_REDIRECT, PATIENCE, PUBLIC_CLIENT, Part, Request, StackOptions,
    WORKERS, assert_error_body, eventually, forged_token, unique,
};

/// Outside `/api/` the simulator answers without a session.
const REST: &str = "/merged?echo";
/// Each of these tests fills the machine: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_thousand_requests_at_once_with_one_fresh_token_are_one_question_a_worker() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    gateway.await_feeds();
    let token = gateway.log_in().access_token;
    let before = gateway.introspections();
    let requests = vec![gateway.proxied("GET", REST).bearer(&token); 1_000];

    // While the service stands still nobody can be served from a cache that the first has filled.
    gateway.stack().pause(Part::Service).unwrap();
    let mut connections = gateway.begin_all(&requests);
    await_active_requests(&gateway, 1_000);
    gateway.stack().resume(Part::Service).unwrap();
    for connection in &mut connections {
        connection.read_response("GET").unwrap().with_status(200);
    }

    gateway.await_filter_count("requests.outcome.approved", 1_000);
    let asked = gateway.introspections() - before;
    assert!((1..=WORKERS).contains(&asked), "the service was asked {asked} times");
    assert_eq!(gateway.filter_count("introspections.result.active"), asked);
    assert_eq!(gateway.filter_count("cache.result.miss"), asked);
    let joined = gateway.filter_count("cache.result.joined");
    let hit = gateway.filter_count("cache.result.hit");
    assert_eq!(joined + hit, 1_000 - asked, "{joined} waited with another, {hit} came later");
    assert!(joined >= 900, "only {joined} waited with another: this was no crowd");
}

#[test]
fn whoever_asked_first_may_leave_and_the_others_are_served_all_the_same() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    gateway.await_feeds();
    for round in 0..3 {
        let token = gateway.log_in().access_token;
        let before = gateway.introspections();
        let request = gateway.proxied("GET", REST).bearer(&token);
        let mut connections = gateway.connection_to_each_worker();
        gateway.stack().pause(Part::Service).unwrap();
        // The first on each worker: these ask.
        for connection in &mut connections {
            connection.write(&request.to_bytes(&gateway.host())).unwrap();
        }
        await_active_requests(&gateway, WORKERS);
        let mut followers = gateway.begin_all(&vec![request; 20]);
        await_active_requests(&gateway, 20 + WORKERS);
        drop(connections);
        await_active_requests(&gateway, 20);
        gateway.stack().resume(Part::Service).unwrap();
        for follower in &mut followers {
            follower.read_response("GET").unwrap().with_status(200);
        }
        let asked = gateway.introspections() - before;
        assert!(asked <= WORKERS, "round {round}: the service was asked {asked} times");
    }
    gateway.await_filter_count("waiting_streams", 0);
}

#[test]
fn ten_thousand_requests_over_a_hundred_tokens_are_at_most_two_hundred_questions() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    gateway.await_feeds();
    gateway.set_plugin_log("info");
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let mut tokens = Vec::new();
    for _ in 0..10 {
        let mut grant = client.log_in("ada");
        for _ in 0..10 {
            tokens.push(grant.access_token);
            grant = Grant::of(&client.refresh(&grant.refresh_token));
        }
    }
    let before = gateway.introspections();
    let request = |number: u32| {
        let token = &tokens[number as usize % tokens.len()];
        gateway.proxied("GET", REST).bearer(token)
    };
    let statuses = gateway.send_many(40, 10_000, request);
    assert_eq!(statuses, [(200, 10_000)]);

    let asked = gateway.introspections() - before;
    assert!((100..=100 * WORKERS).contains(&asked), "the service was asked {asked} times");
    gateway.await_filter_count("requests.outcome.approved", 10_000);
    assert_eq!(gateway.filter_count("introspections.result.active"), asked);
    let looked_up = ["hit", "miss", "joined"]
        .map(|result| gateway.filter_count(&format!("cache.result.{result}")));
    assert_eq!(looked_up.iter().sum::<u64>(), 10_000, "{looked_up:?}");
    assert_eq!(gateway.filter_count("cache_evictions"), 0);
}

#[test]
fn a_hundred_thousand_forged_tokens_are_refused_without_a_single_question() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // From the feed's first answer on the filter knows the keys of the tags.
    gateway.await_feeds();
    gateway.set_plugin_log("info");
    let good = gateway.log_in().access_token;
    gateway.send(&gateway.proxied("GET", REST).bearer(&good)).with_status(200);
    let before = gateway.introspections();

    let answer = gateway.send(&gateway.proxied("GET", REST).bearer(&forged_token()));
    assert_error_body(&answer, 401, "invalid_token");
    let forged = |_| gateway.proxied("GET", REST).bearer(&forged_token());
    let statuses = gateway.send_many(64, 100_000, forged);
    assert_eq!(statuses, [(401, 100_000)]);

    gateway.await_filter_count("cache.result.foreign", 100_001);
    assert_eq!(gateway.introspections(), before, "a forged token was asked about");
    gateway.send(&gateway.proxied("GET", REST).bearer(&good)).with_status(200);
}

#[test]
fn past_the_bound_of_waiting_streams_the_next_is_told_to_come_again_and_no_other_suffers() {
    let options = StackOptions {
        plugin_configuration: serde_json::json!({ "token_service": { "maximum_waiting": 5 } }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    gateway.await_feeds();
    let known = gateway.log_in().access_token;
    for connection in &mut gateway.connection_to_each_worker() {
        let request = gateway.proxied("GET", REST).bearer(&known);
        connection.exchange(&request, &gateway.host()).unwrap().with_status(200);
    }
    let fresh = gateway.log_in().access_token;
    gateway.stack().pause(Part::Service).unwrap();
    let requests: Vec<Request> =
        (0..60).map(|_| gateway.proxied("GET", REST).bearer(&fresh)).collect();
    let mut connections = gateway.begin_all(&requests);
    await_active_requests(&gateway, 5 * WORKERS);
    gateway.send(&gateway.proxied("GET", REST).bearer(&known)).with_status(200);
    gateway.stack().resume(Part::Service).unwrap();
    let (mut served, mut told_to_wait) = (0, 0);
    for connection in &mut connections {
        let answer = connection.read_response("GET").unwrap();
        match answer.status {
            200 => served += 1,
            _ => {
                assert_error_body(&answer, 503, "temporarily_unavailable");
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                told_to_wait += 1;
            }
        }
    }
    assert_eq!((served, told_to_wait), (5 * WORKERS, 60 - 5 * WORKERS));
}

#[test]
fn a_busy_token_is_asked_about_again_when_its_time_in_the_cache_is_over() {
    let options = StackOptions {
        plugin_configuration: serde_json::json!({
            "cache": { "maximum_seconds": 2, "refused_seconds": 1 },
        }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    gateway.await_feeds();
    let token = gateway.log_in().access_token;
    let mut connections = gateway.connection_to_each_worker();
    let request = gateway.proxied("GET", &format!("/{}?echo", unique("busy"))).bearer(&token);
    let mut use_it = || {
        for connection in &mut connections {
            connection.exchange(&request, &gateway.host()).unwrap().with_status(200);
        }
    };
    let before = gateway.introspections();
    use_it();
    // Use does not prolong it: in use all the time, it is asked about a second time on both workers.
    eventually("the token to be asked about again", Duration::from_secs(8), || {
        use_it();
        (gateway.introspections() - before >= 2 * WORKERS).then_some(())
    });
}

/// Waits until Envoy has this many requests of clients under way.
#[track_caller]
fn await_active_requests(gateway: &Deployment, count: u64) {
    let what = format!("{count} requests under way");
    eventually(&what, PATIENCE, || {
        let stats = gateway.envoy_stats("http.gateway.downstream_rq_active");
        (stats.iter().map(|(_, value)| value).sum::<u64>() == count).then_some(())
    });
}
