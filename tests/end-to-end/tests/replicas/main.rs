//! Two instances of the service that share Redis, as docker-compose.yml starts them with the profile
//! `redis`: one is restarted after the other, or lost at once, and no client notices.
//!
//! `make test-compose` runs these; they need its containers (`IB_COMPOSE`, `IB_STACK_ADDRESSES`).
#![cfg(test)]

mod instances;
mod load;

use std::sync::{Mutex, PoisonError};

use ib_end_to_end::{Deployment, Grant, LOOPBACK_REDIRECT, PATIENCE, PUBLIC_CLIENT, eventually};

use crate::instances::Instance;
use crate::load::{Load, Tokens};

/// Each of these tests takes instances away: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Tokens that every worker knows before anything happens.
const WARM: usize = 8;
/// Tokens that nobody has shown before: each is asked for while something happens.
const FRESH: usize = 150;

#[test]
#[ignore = "needs the containers of docker-compose.yml: make test-compose"]
fn a_rolling_restart_of_the_service_costs_no_client_a_request_or_a_token() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (gateway, instances) = (Deployment::shared(), Instance::both());
    await_well(&gateway, 2);
    let tokens = Tokens { warm: log_in(&gateway, WARM), fresh: log_in(&gateway, FRESH) };

    let load = Load::new(&gateway, &tokens);
    load.while_it_runs(|| {
        load.begin_logins();
        for instance in &instances {
            instance.restart();
            instance.await_health();
            await_well(&gateway, 2);
        }
    });

    load.assert_nobody_noticed();
    assert!(load.logins() > 0, "nobody logged in meanwhile");
    assert_all_good(&gateway, tokens);
}

#[test]
#[ignore = "needs the containers of docker-compose.yml: make test-compose"]
fn the_sudden_loss_of_one_of_two_instances_costs_no_client_a_request_or_a_token() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (gateway, instances) = (Deployment::shared(), Instance::both());
    for lost in &instances {
        await_well(&gateway, 2);
        let tokens = Tokens { warm: log_in(&gateway, WARM), fresh: log_in(&gateway, FRESH) };

        let load = Load::new(&gateway, &tokens);
        load.while_it_runs(|| {
            load.await_requests(200);
            lost.kill();
            // A login that was half-way through an instance that died is its client's to begin again: a
            // code may be spent. One that begins now meets the other instance.
            load.begin_logins();
            await_well(&gateway, 1);
            load.await_more_requests(200);
            load.await_logins(3);
        });
        load.assert_nobody_noticed();
        assert_all_good(&gateway, tokens);

        lost.start();
        lost.await_health();
    }
    await_well(&gateway, 2);
}

/// Waits until Envoy counts this many instances as well, on both ports of the service.
#[track_caller]
fn await_well(gateway: &Deployment, wanted: u64) {
    for cluster in ["token_service", "oauth_public"] {
        let name = format!("cluster.{cluster}.membership_healthy");
        eventually(&format!("{name} to be {wanted}"), PATIENCE * 2, || {
            let stats = gateway.envoy_stats(&name);
            stats.into_iter().find(|(given, _)| *given == name).filter(|(_, seen)| *seen == wanted)
        });
    }
}

fn log_in(gateway: &Deployment, count: usize) -> Vec<Grant> {
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    (0..count).map(|_| client.log_in("ada")).collect()
}

/// Every grant is where it was: its refresh token gives a new access token, and that one is served.
#[track_caller]
fn assert_all_good(gateway: &Deployment, tokens: Tokens) {
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    for grant in tokens.warm.into_iter().chain(tokens.fresh) {
        let renewed = Grant::of(&client.refresh(&grant.refresh_token));
        let request = gateway.proxied("GET", "/still-good?echo").bearer(&renewed.access_token);
        gateway.send(&request).with_status(200);
    }
}
