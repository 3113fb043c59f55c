use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use axum::{Router, body::Body, http::Response, routing::post};

use super::DynamodbStore;
use crate::{
    settings::{DynamodbSettings, NetworkBounds},
    store::{
        Applied, Change, Condition, Import, Key, Named, Operation, Store as _, StoreError, Stored,
        Table, contract, servers::Server,
    },
};

/// Credentials that no account has.
pub(crate) fn credentials() -> Option<SharedCredentialsProvider> {
    let credentials = Credentials::new("test", "test", None, None, "tests");
    Some(SharedCredentialsProvider::new(credentials))
}

/// A store whose tables have been made.
async fn open(server: &Server, prefix: &str) -> DynamodbStore {
    let store = DynamodbStore::new(&server.dynamodb_settings(prefix), credentials()).await;
    store.create_tables(|_| ()).await.unwrap();
    store
}

fn put(id: &str, condition: Condition, expires_at: u64) -> Operation {
    let change = Change::Put { value: id.as_bytes().to_vec(), expires_at };
    Operation { key: Key::new(Table::Code, id), condition, change }
}

/// The bodies of all requests.
type Asked = Arc<Mutex<Vec<String>>>;

/// A DynamoDB that answers everything with this status and body, and remembers what it was asked.
async fn scripted(
    answers: impl Fn(usize) -> (u16, &'static str) + Clone + Send + Sync + 'static,
) -> (DynamodbSettings, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let handler = post(move |body: String| {
        let mut seen = seen.lock().unwrap();
        let (status, answer) = answers(seen.len());
        seen.push(body);
        let body = answer;
        let answer = Response::builder().status(status);
        let answer = answer.header("content-type", "application/x-amz-json-1.0");
        std::future::ready(answer.body(Body::from(body)).unwrap())
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Some(format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    let bounds = NetworkBounds {
        connect_timeout: Duration::from_secs(1),
        command_timeout: Duration::from_secs(20),
        maximum_in_flight: 4,
    };
    let (region, prefix) = ("eu-central-1".to_owned(), "test-".to_owned());
    (DynamodbSettings { region, endpoint, prefix, bounds }, asked)
}

const IN_THE_WAY: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict"}],"Message":"secret"}"#;

#[tokio::test]
async fn a_transaction_that_was_in_anothers_way_is_tried_again_until_it_is_done() {
    let (settings, asked) =
        scripted(|number| if number < 3 { (400, IN_THE_WAY) } else { (200, "{}") }).await;
    let store = DynamodbStore::new(&settings, credentials()).await;
    let list = || vec![put("a", Condition::Absent, 9), put("b", Condition::Absent, 9)];
    assert_eq!(store.apply(list(), 1).await.unwrap(), Applied::Yes);
    assert_eq!(asked.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn all_tries_of_one_transaction_are_known_for_the_same_so_that_no_lost_answer_is_a_conflict()
{
    const BUSY: &str =
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionInProgressException"}"#;
    let (settings, asked) =
        scripted(|number| if number < 4 { (400, BUSY) } else { (200, "{}") }).await;
    let store = DynamodbStore::new(&settings, credentials()).await;
    for id in ["a", "b"] {
        let applied = store.apply(vec![put(id, Condition::Absent, 9)], 1).await.unwrap();
        assert_eq!(applied, Applied::Yes);
    }
    let asked = asked.lock().unwrap();
    let token = |body: &String| {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        body["ClientRequestToken"].as_str().unwrap().to_owned()
    };
    let tokens: Vec<_> = asked.iter().map(token).collect();
    let (last, tries) = tokens.split_last().unwrap();
    assert!(tries.len() >= 5 && tries.iter().all(|token| token == &tries[0]), "{tokens:?}");
    assert_ne!(last, &tries[0], "another transaction");
}

#[tokio::test]
async fn an_import_that_is_throttled_goes_on_and_a_refusal_ends_it() {
    const THROTTLED: &str =
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}"#;
    let record = || Named {
        key: Key::new(Table::Grant, "a"),
        stored: Stored { value: b"a".to_vec(), version: 1, expires_at: 9 },
    };
    // More than the SDK tries by itself.
    let (settings, asked) =
        scripted(|number| if number < 7 { (400, THROTTLED) } else { (200, "{}") }).await;
    let store = DynamodbStore::new(&settings, credentials()).await;
    store.import(vec![record()], Import::GoOn, 1).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 8);
    let refused = r#"{"__type":"com.amazon.coral.validate#ValidationException"}"#;
    let (settings, asked) = scripted(move |_| (400, refused)).await;
    let store = DynamodbStore::new(&settings, credentials()).await;
    assert!(store.import(vec![record()], Import::GoOn, 1).await.is_err());
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn tries_have_an_end_and_an_error_quotes_nothing_that_the_service_said() {
    let (settings, asked) = scripted(|_| (400, IN_THE_WAY)).await;
    let store = DynamodbStore::new(&settings, credentials()).await;
    let keys = [Key::new(Table::Grant, "a"), Key::new(Table::Session, "a")];
    let failed = store.get_many(&keys, 1).await.unwrap_err();
    assert!(
        matches!(failed, StoreError::Engine { .. }) && !format!("{failed:?}").contains("secret")
    );
    assert_eq!(asked.lock().unwrap().len(), 20);
    let refused =
        r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"secret"}"#;
    let (settings, _) = scripted(move |_| (400, refused)).await;
    let store = DynamodbStore::new(&settings, credentials()).await;
    let failed = store.apply(vec![put("a", Condition::Any, 9)], 1).await.unwrap_err();
    assert!(!format!("{failed} {failed:?}").contains("secret"), "{failed:?}");
}

#[tokio::test]
async fn a_missing_table_is_told_with_what_to_do_about_it() {
    let missing = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}"#;
    let (settings, _) = scripted(move |_| (400, missing)).await;
    let store = DynamodbStore::new(&settings, credentials()).await;
    let told = store.get(&Key::new(Table::Grant, "a"), 1).await.unwrap_err().to_string();
    assert!(told.contains("admin create-tables"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn dynamodb_keeps_the_contract_of_every_store() {
    let server = Server::dynamodb();
    let store = open(&server, "main-").await;
    contract::holds(Arc::new(store), contract::Sweeps::ByItself).await;
}

#[tokio::test]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn all_that_dynamodb_holds_can_be_moved_into_an_empty_stage_and_back_into_a_file() {
    let server = Server::dynamodb();
    let (from, to) = (open(&server, "from-").await, open(&server, "to-").await);
    // What readiness writes is no record.
    from.ready().await.unwrap();
    to.ready().await.unwrap();
    contract::moves(&from, &to).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = folder.path().join(name);
        crate::store::redb::RedbStore::open(&path, 8 * 1024 * 1024).unwrap()
    };
    contract::moves(&open(&server, "again-").await, &file("to")).await;
    contract::moves(&file("from"), &open(&server, "last-").await).await;
}

#[tokio::test]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn tables_are_made_once_with_their_time_to_live_and_a_second_time_nothing_is_changed() {
    let server = Server::dynamodb();
    let settings = server.dynamodb_settings("main-");
    let store = DynamodbStore::new(&settings, credentials()).await;
    assert!(store.ready().await.unwrap_err().to_string().contains("create-tables"));
    let steps = async || {
        let mut told = Vec::new();
        store.create_tables(|step| told.push(step.to_owned())).await.unwrap();
        told.join("\n")
    };
    let first = steps().await;
    for said in
        ["main-state: being made", "main-token: can be used", "go by the attribute `expires`"]
    {
        assert!(first.contains(said), "{first}");
    }
    store.ready().await.unwrap();
    assert_eq!(store.apply(vec![put("a", Condition::Absent, 9)], 1).await.unwrap(), Applied::Yes);
    let second = steps().await;
    assert!(second.contains("main-state: is there"), "{second}");
    assert!(!second.contains("being made") && !second.contains("go by"), "{second}");
    assert!(store.get(&Key::new(Table::Code, "a"), 1).await.unwrap().is_some());
}

#[tokio::test]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn stages_in_one_account_share_nothing() {
    let server = Server::dynamodb();
    let (main, dev) = (open(&server, "main-").await, open(&server, "dev-").await);
    assert_eq!(main.apply(vec![put("a", Condition::Absent, 9)], 1).await.unwrap(), Applied::Yes);
    assert_eq!(dev.get(&Key::new(Table::Code, "a"), 1).await.unwrap(), None);
    let mut page = dev.export(None, 100).await.unwrap();
    while let Some(next) = page.next.take() {
        assert!(page.records.is_empty());
        page = dev.export(Some(&next), 100).await.unwrap();
    }
}
