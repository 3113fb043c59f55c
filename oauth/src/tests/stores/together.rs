//! Two instances over one server, asked for the same thing at the same time.

use std::{collections::HashSet, sync::Arc};

use axum::http::StatusCode;
use ib_contract::{Revoked, Secret};
use tokio::task::JoinSet;

use super::{
    super::{
        Answer, Kit, NOW,
        gateway::{authorized, renewal},
        machine::{AZURA, settings_in},
        post, scripted, text,
    },
    Shared, two, two_with,
};
use crate::{clients::PrivateKey, store::servers::Server, upstreams::UpstreamSession};

/// What `count` get that do the same at the same time, half of them at each instance.
async fn together<F>(
    instances: &[Arc<Kit>; 2],
    count: usize,
    act: impl Fn(Arc<Kit>) -> F,
) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..count {
        tasks.spawn(act(Arc::clone(&instances[number % 2])));
    }
    tasks.join_all().await
}

async fn one_code_has_one_winner(shared: Shared) {
    let instances = two(&shared).await;
    let code = instances[0].code().await;
    let answers = together(&instances, 500, |kit| {
        let code = code.clone();
        async move { kit.exchange(&code).await }
    })
    .await;
    let (won, lost): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == StatusCode::OK);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.expect(400, "invalid_grant");
    }
    // The losers were second uses, so what the winner got is revoked (RFC 6749 section 4.1.2), once.
    let tokens = won[0].json();
    for kit in &instances {
        assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], false);
        kit.refresh(&text(&tokens, "refresh_token")).await.expect(400, "invalid_grant");
    }
}

async fn one_refresh_token_leaves_one_living_family(shared: Shared) {
    let instances = two(&shared).await;
    let tokens = instances[0].tokens().await;
    let refresh_token = text(&tokens, "refresh_token");
    let answers = together(&instances, 500, |kit| {
        let refresh_token = refresh_token.clone();
        async move { kit.refresh(&refresh_token).await }
    })
    .await;
    let successors: HashSet<_> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            (text(&answer.json(), "access_token"), text(&answer.json(), "refresh_token"))
        })
        .collect();
    assert_eq!(successors.len(), 1);
    let (access_token, next) = successors.into_iter().next().unwrap();
    for kit in &instances {
        assert_eq!(kit.introspect(&access_token).await["active"], true);
    }
    assert_eq!(instances[1].refresh(&next).await.status, StatusCode::OK);
    // Once the successor has been used, the first token's return ends the family everywhere.
    instances[0].refresh(&refresh_token).await.expect(400, "invalid_grant");
    for kit in &instances {
        assert_eq!(kit.introspect(&access_token).await["active"], false);
    }
}

async fn one_renewal_at_a_time(shared: Shared) {
    let instances = two(&shared).await;
    let (_, token, session) = instances[0].session().await;
    let upstream = &instances[0].upstream;
    let asked = upstream.times_asked();
    let sid = Secret::new("0e3e50000e3e50000e3e50000e3e5000");
    upstream.log_in_with(UpstreamSession { sid, login_time: Some(NOW), ..scripted::session() });
    let ask = |kit: Arc<Kit>| {
        let request = renewal(&token, &session, 1, "rejected");
        async move { kit.send_internal(request).await }
    };
    for answer in together(&instances, 100, ask).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.json()["upstreams"][0]["generation"], 2);
    }
    assert_eq!(upstream.times_asked(), asked + 1);
}

async fn one_acquisition_at_a_time(shared: Shared) {
    let folder = tempfile::tempdir().unwrap();
    let more = settings_in(&folder, &PrivateKey::p256(), "");
    let instances = two_with(&shared, &more).await;
    let asked = || instances.iter().map(|kit| kit.tokens.times_asked()).sum::<usize>();
    let token = instances[0].machine_token(AZURA).await;
    let first = |kit: Arc<Kit>| {
        let request = authorized(post("/introspect", &[("token", token.as_str())]));
        async move { kit.send_internal(request).await }
    };
    let mut sessions = HashSet::new();
    for answer in together(&instances, 300, first).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        sessions.insert(text(&answer.json()["upstreams"][0], "session"));
    }
    assert_eq!((asked(), sessions.len()), (1, 1));
    let session = sessions.into_iter().next().unwrap();
    let rejected = |kit: Arc<Kit>| {
        let request = renewal(&token, &session, 1, "rejected");
        async move { kit.send_internal(request).await }
    };
    for answer in together(&instances, 100, rejected).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.json()["upstreams"][0]["generation"], 2);
    }
    assert_eq!(asked(), 2);
}

async fn events_come_in_one_order(shared: Shared) {
    const GRANTS: usize = 30;
    let instances = two(&shared).await;
    let mut grants = Vec::new();
    for number in 0..GRANTS {
        grants.push(instances[number % 2].session().await);
    }
    let head = instances[0].head().await;
    let mut tasks = JoinSet::new();
    for (number, (tokens, _, _)) in grants.iter().enumerate() {
        let kit = Arc::clone(&instances[number % 2]);
        let token = text(tokens, "refresh_token");
        tasks.spawn(async move {
            kit.post("/revoke", &[("token", &token), ("client_id", "mcp-public-client")]).await
        });
    }
    for answer in tasks.join_all().await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    let query = format!("?after={head}");
    let (first, second) = (instances[0].feed(&query).await, instances[1].feed(&query).await);
    assert!(!first.reset && !second.reset);
    assert_eq!(first.events, second.events);
    let numbers: Vec<_> = first.events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (head + 1..=head + GRANTS as u64).collect::<Vec<_>>());
    let ended = first.events.into_iter().map(|event| match event.revoked {
        Revoked::Session(session) => session,
        other => panic!("{other:?}"),
    });
    let ended: HashSet<_> = ended.collect();
    assert_eq!(ended, grants.into_iter().map(|(_, _, session)| session).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a redis-server: make test-stores"]
async fn of_500_exchanges_of_one_code_at_two_instances_on_redis_one_wins() {
    one_code_has_one_winner(Shared::Redis(Server::redis())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn of_500_exchanges_of_one_code_at_two_instances_on_dynamodb_one_wins() {
    one_code_has_one_winner(Shared::Dynamodb(Server::dynamodb())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a redis-server: make test-stores"]
async fn of_500_refreshes_of_one_token_at_two_instances_on_redis_one_family_lives() {
    one_refresh_token_leaves_one_living_family(Shared::Redis(Server::redis())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn of_500_refreshes_of_one_token_at_two_instances_on_dynamodb_one_family_lives() {
    one_refresh_token_leaves_one_living_family(Shared::Dynamodb(Server::dynamodb())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a redis-server: make test-stores"]
async fn a_session_is_renewed_once_at_a_time_over_two_instances_on_redis() {
    one_renewal_at_a_time(Shared::Redis(Server::redis())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn a_session_is_renewed_once_at_a_time_over_two_instances_on_dynamodb() {
    one_renewal_at_a_time(Shared::Dynamodb(Server::dynamodb())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a redis-server: make test-stores"]
async fn a_machine_credentials_token_is_acquired_once_over_two_instances_on_redis() {
    one_acquisition_at_a_time(Shared::Redis(Server::redis())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn a_machine_credentials_token_is_acquired_once_over_two_instances_on_dynamodb() {
    one_acquisition_at_a_time(Shared::Dynamodb(Server::dynamodb())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a redis-server: make test-stores"]
async fn what_two_instances_on_redis_end_comes_in_one_order_on_both() {
    events_come_in_one_order(Shared::Redis(Server::redis())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn what_two_instances_on_dynamodb_end_comes_in_one_order_on_both() {
    events_come_in_one_order(Shared::Dynamodb(Server::dynamodb())).await;
}
