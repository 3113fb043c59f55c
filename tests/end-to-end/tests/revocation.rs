//! What ends is refused at every worker within two seconds, with a cache of ten minutes and no question
//! a request; and what happens while the service is silent.
#![cfg(test)]

use std::thread;
use std::time::Duration;

use ib_end_to_end::{
    Connection, Deadline, Deployment, FEEDS, Grant, LOOPBACK_REDIRECT, PATIENCE, PUBLIC_CLIENT,
    Part, Recorder, Request, Response, StackOptions, WORKERS, assert_error_body, eventually,
};
use serde_json::json;

/// The bound on how long something that has ended may still be used.
const BOUND: Duration = Duration::from_secs(2);
/// Outside `/api/` the simulator answers whatever the sid.
const REST: &str = "/revoked/user?echo";

#[test]
fn defect_12_row_19_a_revoked_access_token_is_refused_by_every_worker_within_two_seconds_and_others_are_not_asked_about()
 {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    // The feed's first answer makes a worker forget what it has learnt before.
    gateway.await_feeds();
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let mut workers = gateway.connection_to_each_worker();
    let other = client.log_in("grace");
    for _ in 0..3 {
        let grant = client.log_in("ada");
        assert_served(&gateway, &mut workers, &[&grant.access_token, &other.access_token]);
        let before = gateway.introspections();
        let clock = Deadline::after(PATIENCE);
        client.revoke(&grant.access_token).with_status(200);
        await_refusal(&gateway, &mut workers, &grant.access_token, &clock);
        let asked = gateway.introspections() - before;
        assert!(asked <= WORKERS, "{asked} questions, although only one token had ended");
        assert_served(&gateway, &mut workers, &[&other.access_token]);
        assert_eq!(gateway.introspections() - before, asked, "a revocation forgot another's token");
        // The grant itself goes on: a refresh gives another access token.
        let refreshed = Grant::of(&client.refresh(&grant.refresh_token));
        assert_served(&gateway, &mut workers, &[&refreshed.access_token]);
    }
}

#[test]
fn row_13_rfc_7009_2_1_whoever_revokes_a_refresh_token_ends_every_token_of_its_grant() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let mut workers = gateway.connection_to_each_worker();
    let first = client.log_in("ada");
    let second = Grant::of(&client.refresh(&first.refresh_token));
    let other = client.log_in("ada");
    let tokens = [first.access_token.as_str(), &second.access_token, &other.access_token];
    assert_served(&gateway, &mut workers, &tokens);
    let clock = Deadline::after(PATIENCE);
    client.revoke(&second.refresh_token).with_status(200);
    for token in [&first.access_token, &second.access_token] {
        await_refusal(&gateway, &mut workers, token, &clock);
    }
    assert_error_body(&client.refresh(&second.refresh_token), 400, "invalid_grant");
    // Another login of the same person at the same client is another grant.
    assert_served(&gateway, &mut workers, &[&other.access_token]);
}

#[test]
fn row_25_whoever_logs_out_is_refused_by_every_worker_within_two_seconds() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    gateway.await_feeds();
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let mut workers = gateway.connection_to_each_worker();
    let first = client.log_in("ada");
    let second = Grant::of(&client.refresh(&first.refresh_token));
    let other = client.log_in("ada");
    let tokens = [first.access_token.as_str(), &second.access_token, &other.access_token];
    assert_served(&gateway, &mut workers, &tokens);
    let clock = Deadline::after(PATIENCE);
    client.log_out(&second.access_token).with_status(200);
    for token in [&first.access_token, &second.access_token] {
        await_refusal(&gateway, &mut workers, token, &clock);
    }
    assert_error_body(&client.refresh(&second.refresh_token), 400, "invalid_grant");
    assert_served(&gateway, &mut workers, &[&other.access_token]);
    // Once more changes nothing, and a link ends nothing.
    client.log_out(&second.access_token).with_status(200);
    let link = Request::get("/logout").bearer(&other.access_token);
    assert_error_body(&gateway.send(&link), 405, "invalid_request");
    assert_served(&gateway, &mut workers, &[&other.access_token]);
}

#[test]
fn defect_15_row_6_rfc_9700_4_14_2_a_stolen_refresh_token_that_is_used_again_ends_the_session_for_both_sides()
 {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let mut workers = gateway.connection_to_each_worker();
    let first = client.log_in("ada");
    let second = Grant::of(&client.refresh(&first.refresh_token));
    let third = Grant::of(&client.refresh(&second.refresh_token));
    let tokens = [first.access_token.as_str(), &second.access_token, &third.access_token];
    assert_served(&gateway, &mut workers, &tokens);
    let clock = Deadline::after(PATIENCE);
    // Two generations old: no lost reply explains it.
    assert_error_body(&client.refresh(&first.refresh_token), 400, "invalid_grant");
    for token in tokens {
        await_refusal(&gateway, &mut workers, token, &clock);
    }
}

#[test]
fn row_19_while_the_service_is_gone_warm_tokens_are_served_for_the_stale_time_and_not_longer() {
    let stale = Duration::from_secs(6);
    let options = StackOptions {
        plugin_configuration: json!({
            "revocations": { "maximum_stale_seconds": stale.as_secs() },
        }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    gateway.await_feeds();
    let token = gateway.log_in().access_token;
    let mut workers = gateway.connection_to_each_worker();
    assert_served(&gateway, &mut workers, &[&token]);
    let before = gateway.introspections();
    // Longer than the stale time: while the feed answers nothing grows stale.
    let clock = Deadline::after(PATIENCE);
    while clock.elapsed() < stale + Duration::from_secs(1) {
        assert_served(&gateway, &mut workers, &[&token]);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(gateway.introspections(), before, "a request was asked about");

    gateway.kill(Part::Service);
    let clock = Deadline::after(PATIENCE);
    // The last good answer of the feed is at most a third of the stale time old.
    let sure = stale * 2 / 3 - Duration::from_millis(300);
    while clock.elapsed() < sure {
        assert_served(&gateway, &mut workers, &[&token]);
        thread::sleep(Duration::from_millis(20));
    }
    gateway.await_filter_count("current_revocation_feeds", 0);
    for worker in &mut workers {
        let refused = eventually("the end of the stale time", PATIENCE, || {
            let answer = call(&gateway, worker, &token);
            (answer.status != 200).then_some(answer)
        });
        assert!(clock.elapsed() < stale + BOUND, "served for {:?}", clock.elapsed());
        assert_error_body(&refused, 503, "temporarily_unavailable");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert!(refused.header("www-authenticate").is_none(), "{refused:?}");
    }

    gateway.start_part(Part::Service);
    let clock = Deadline::after(Duration::from_secs(1));
    for worker in &mut workers {
        eventually("the gateway to recover by itself", Duration::from_secs(1), || {
            (call(&gateway, worker, &token).status == 200).then_some(())
        });
    }
    assert!(clock.remaining().is_ok(), "recovered after {:?}", clock.elapsed());
    gateway.await_feeds();
}

#[test]
fn a_token_that_ended_while_the_service_was_unheard_is_refused_when_it_is_heard_again() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let grant = client.log_in("ada");
    let mut workers = gateway.connection_to_each_worker();
    assert_served(&gateway, &mut workers, &[&grant.access_token]);
    // Killed right after the revocation: whether the feed still told of it or not, the next start does.
    client.revoke(&grant.access_token).with_status(200);
    gateway.kill(Part::Service);
    gateway.start_part(Part::Service);
    let clock = Deadline::after(PATIENCE);
    await_refusal(&gateway, &mut workers, &grant.access_token, &clock);
}

#[test]
fn a_token_that_ends_while_it_is_being_asked_about_is_not_good_for_ten_minutes() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let mut workers = gateway.connection_to_each_worker();
    for round in 0..8 {
        let grant = client.log_in("ada");
        let request = gateway.proxied("GET", REST).bearer(&grant.access_token);
        let fields = [("token", grant.access_token.as_str()), ("client_id", PUBLIC_CLIENT)];
        let revoke =
            ib_end_to_end::Request::post_form(client.endpoint("revocation_endpoint"), &fields);
        // Both wait at the service's door: it answers them in an order of its own.
        gateway.stack().pause(Part::Service).unwrap();
        let mut revoking =
            if round % 2 == 0 { gateway.begin_all(std::slice::from_ref(&revoke)) } else { vec![] };
        for worker in &mut workers {
            worker.write(&request.to_bytes(&gateway.host())).unwrap();
        }
        if revoking.is_empty() {
            revoking = gateway.begin_all(&[revoke]);
        }
        thread::sleep(Duration::from_millis(30));
        gateway.stack().resume(Part::Service).unwrap();
        let clock = Deadline::after(PATIENCE);
        revoking[0].read_response("POST").unwrap().with_status(200);
        for worker in &mut workers {
            let answer = worker.read_response("GET").unwrap();
            assert!(matches!(answer.status, 200 | 401), "{answer:?}");
        }
        await_refusal(&gateway, &mut workers, &grant.access_token, &clock);
    }
}

#[test]
fn an_answer_that_a_revocation_has_overtaken_is_thrown_away_and_asked_for_again() {
    let recorder = Recorder::listen();
    let options = StackOptions { envoy_patch: recorder.envoy_patch(), ..StackOptions::default() };
    let Some(gateway) = Deployment::own(options) else { return };
    recorder.forward_to(gateway.reach().service_internal);
    gateway.await_feeds();
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let grant = client.log_in("ada");

    // The service has said that the token is good, and the answer is still on its way.
    recorder.hold("/introspect");
    let request = gateway.proxied("GET", REST).bearer(&grant.access_token);
    let mut waiting = gateway.begin_all(&[request.clone(), request]);
    eventually("the answer to be held", PATIENCE, || (recorder.holding() > 0).then_some(()));
    let events = gateway.filter_count("revocations");
    client.revoke(&grant.access_token).with_status(200);
    // Each worker hears of it before the answer arrives.
    gateway.await_filter_count("revocations", events + FEEDS);
    recorder.release();
    for connection in &mut waiting {
        assert_error_body(&connection.read_response("GET").unwrap(), 401, "invalid_token");
    }
    eventually("the filter's count", PATIENCE, || {
        (gateway.filter_count("introspections.result.outdated") > 0).then_some(())
    });
}

/// Waits until each worker refuses the token, which is within the bound, and sees that they stay with it.
#[track_caller]
fn await_refusal(gateway: &Deployment, workers: &mut [Connection], token: &str, since: &Deadline) {
    for worker in &mut *workers {
        let refused = eventually("the token to be refused", BOUND * 2, || {
            let answer = call(gateway, worker, token);
            (answer.status != 200).then_some(answer)
        });
        assert!(since.elapsed() < BOUND, "it was still good after {:?}", since.elapsed());
        assert_error_body(&refused, 401, "invalid_token");
    }
    for worker in &mut *workers {
        assert_error_body(&call(gateway, worker, token), 401, "invalid_token");
    }
}

#[track_caller]
fn assert_served(gateway: &Deployment, workers: &mut [Connection], tokens: &[&str]) {
    for token in tokens {
        for worker in &mut *workers {
            call(gateway, worker, token).with_status(200);
        }
    }
}

#[track_caller]
fn call(gateway: &Deployment, worker: &mut Connection, token: &str) -> Response {
    let request = gateway.proxied("GET", REST).bearer(token);
    worker.exchange(&request, &gateway.host()).expect("an answer")
}
