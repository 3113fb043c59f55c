use std::{sync::Arc, time::Duration};

use ::redis::{Client, cmd};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{
    RedisStore,
    names::{MARGIN, decode, lifetime},
};
use crate::{
    settings::{NetworkBounds, RedisSettings},
    store::{
        Applied, Change, Condition, Import, Key, Named, Operation, Store as _, StoreError, Stored,
        Table, contract, servers::Server,
    },
};

fn put(id: &str, expires_at: u64) -> Operation {
    let change = Change::Put { value: id.as_bytes().to_vec(), expires_at };
    Operation { key: Key::new(Table::Code, id), condition: Condition::Absent, change }
}

fn open(server: &Server, prefix: &str) -> RedisStore {
    RedisStore::new(&server.redis_settings(prefix)).unwrap()
}

/// What Redis itself answers.
async fn ask<T: ::redis::FromRedisValue>(server: &Server, words: &[&str]) -> T {
    let client = Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let (first, rest) = words.split_first().unwrap();
    cmd(first).arg(rest).query_async(&mut connection).await.unwrap()
}

#[test]
fn a_record_stays_a_little_longer_than_it_lives_and_one_for_good_stays() {
    assert_eq!(lifetime(1_000, 1_000), Some(0));
    assert_eq!(lifetime(1_009, 1_000), Some(9 + MARGIN));
    assert_eq!(lifetime(u64::MAX, 1_000), None);
}

#[test]
fn what_is_no_record_is_told_as_damage() {
    let stored = Stored { value: b"a b".to_vec(), version: 7, expires_at: u64::MAX };
    assert_eq!(decode(b"7 18446744073709551615 a b").unwrap(), stored);
    for text in ["", "7", "7 9", "x 9 v", "-1 9 v", "7 18446744073709551616 v"] {
        assert_eq!(decode(text.as_bytes()), Err(StoreError::Damaged { engine: "redis" }), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error_within_the_time_that_was_set() {
    // It accepts, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bounds = NetworkBounds {
        connect_timeout: Duration::from_millis(50),
        command_timeout: Duration::from_millis(200),
        maximum_in_flight: 1,
    };
    let settings = RedisSettings {
        host: "127.0.0.1".to_owned(),
        port: silent.local_addr().unwrap().port(),
        database: 0,
        tls: false,
        ca_pem: None,
        username: None,
        password: None,
        prefix: "test".to_owned(),
        bounds,
    };
    let store = RedisStore::new(&settings).unwrap();
    let ready = tokio::time::timeout(Duration::from_secs(30), store.ready()).await.unwrap();
    assert!(matches!(ready, Err(StoreError::Engine { .. })), "{ready:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a redis-server: make test-stores"]
async fn redis_keeps_the_contract_of_every_store() {
    let server = Server::redis();
    let store = Arc::new(open(&server, "main"));
    store.check_server().await.unwrap();
    contract::holds(store, contract::Sweeps::ByItself).await;
}

#[tokio::test]
#[ignore = "needs a redis-server: make test-stores"]
async fn all_that_redis_holds_can_be_moved_into_an_empty_stage_and_back_into_a_file() {
    let server = Server::redis();
    let (from, to) = (open(&server, "from"), open(&server, "to"));
    contract::moves(&from, &to).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = folder.path().join(name);
        crate::store::redb::RedbStore::open(&path, 8 * 1024 * 1024).unwrap()
    };
    contract::moves(&open(&server, "again"), &file("to")).await;
    contract::moves(&file("from"), &open(&server, "last")).await;
}

#[tokio::test]
#[ignore = "needs a redis-server: make test-stores"]
async fn stages_on_one_server_share_nothing() {
    let server = Server::redis();
    let (main, dev) = (open(&server, "main"), open(&server, "dev"));
    assert_eq!(main.apply(vec![put("a", 2_000)], 1_000).await.unwrap(), Applied::Yes);
    assert_eq!(dev.get(&Key::new(Table::Code, "a"), 1_000).await.unwrap(), None);
    assert!(dev.export(None, 100).await.unwrap().records.is_empty());
    assert_eq!(dev.apply(vec![put("a", 2_000)], 1_000).await.unwrap(), Applied::Yes);
}

#[tokio::test]
#[ignore = "needs a redis-server: make test-stores"]
async fn redis_removes_by_itself_what_has_expired_and_the_names_of_a_partition_with_it() {
    let server = Server::redis();
    let store = open(&server, "main");
    let list = vec![put("a", 1_009), put("ada/x", 1_009), put("ada/y", 1_100), put("b", u64::MAX)];
    assert_eq!(store.apply(list, 1_000).await.unwrap(), Applied::Yes);
    let lives: i64 = ask(&server, &["TTL", "{main}:code/a"]).await;
    assert!((300..=309).contains(&lives), "{lives}");
    assert_eq!(ask::<i64>(&server, &["TTL", "{main}:code/b"]).await, -1);
    let lives: i64 = ask(&server, &["TTL", "{main}:#ids/code/ada"]).await;
    assert!((391..=400).contains(&lives), "{lives}");
    // Names of what has ended go with the next change of the partition.
    let change = vec![put("ada/z", 5_000)];
    assert_eq!(store.apply(change, 1_050).await.unwrap(), Applied::Yes);
    let rests: Vec<String> = ask(&server, &["ZRANGE", "{main}:#ids/code/ada", "0", "-1"]).await;
    assert_eq!(rests, ["y", "z"]);
    let delete =
        |id: &str| Operation { change: Change::Delete, condition: Condition::Any, ..put(id, 0) };
    store.apply(vec![delete("ada/y"), delete("ada/z")], 1_050).await.unwrap();
    assert_eq!(ask::<i64>(&server, &["EXISTS", "{main}:#ids/code/ada"]).await, 0);
    assert_eq!(ask::<i64>(&server, &["EXISTS", "{main}:#ends/code/ada"]).await, 0);
}

#[tokio::test]
#[ignore = "needs a redis-server: make test-stores"]
async fn the_names_of_a_partition_that_was_imported_end_with_its_last_record() {
    let server = Server::redis();
    let store = open(&server, "main");
    let record = |id: &str, expires_at| Named {
        key: Key::new(Table::Code, id),
        stored: Stored { value: b"a".to_vec(), version: 1, expires_at },
    };
    let records = vec![record("ada/x", 1_100), record("ada/y", 1_009), record("bob/x", u64::MAX)];
    store.import(records, Import::Begin, 1_000).await.unwrap();
    for set in ["{main}:#ids/code/ada", "{main}:#ends/code/ada"] {
        let lives: i64 = ask(&server, &["TTL", set]).await;
        assert!((391..=400).contains(&lives), "{set}: {lives}");
    }
    assert_eq!(ask::<i64>(&server, &["TTL", "{main}:#ids/code/bob"]).await, -1);
}

#[tokio::test]
#[ignore = "needs a redis-server: make test-stores"]
async fn a_server_that_evicts_is_refused_at_start() {
    let server =
        Server::redis_with(|_, _| ["--maxmemory-policy", "allkeys-lru"].map(str::to_owned).into());
    let refused = open(&server, "main").check_server().await.unwrap_err().to_string();
    assert!(refused.contains("allkeys-lru") && refused.contains("noeviction"), "{refused}");
}

#[tokio::test]
#[ignore = "needs a redis-server: make test-stores"]
async fn a_full_server_is_not_ready_and_loses_nothing() {
    let server = Server::redis();
    let store = open(&server, "main");
    assert_eq!(store.apply(vec![put("a", 2_000)], 1_000).await.unwrap(), Applied::Yes);
    let (): () = ask(&server, &["CONFIG", "SET", "maxmemory", "1"]).await;
    assert!(store.ready().await.is_err());
    let delete = Operation { change: Change::Delete, condition: Condition::Any, ..put("a", 0) };
    assert!(store.apply(vec![put("b", 2_000), delete], 1_000).await.is_err());
    assert!(store.get(&Key::new(Table::Code, "a"), 1_000).await.unwrap().is_some());
    let (): () = ask(&server, &["CONFIG", "SET", "maxmemory", "0"]).await;
    store.ready().await.unwrap();
}

#[tokio::test]
#[ignore = "needs a redis-server: make test-stores"]
async fn what_was_answered_is_there_after_the_server_was_killed_and_nobody_has_to_do_anything() {
    let mut server = Server::redis();
    let store = open(&server, "main");
    assert_eq!(store.apply(vec![put("a", 2_000)], 1_000).await.unwrap(), Applied::Yes);
    server.kill();
    assert!(store.ready().await.is_err());
    assert!(store.get(&Key::new(Table::Code, "a"), 1_000).await.is_err());
    server.restart();
    let again = async {
        while store.ready().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), again).await.unwrap();
    assert!(store.get(&Key::new(Table::Code, "a"), 1_000).await.unwrap().is_some());
    assert_eq!(store.apply(vec![put("a", 2_000)], 1_000).await.unwrap(), Applied::Conflict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a redis-server: make test-stores"]
async fn the_user_of_the_documents_may_do_all_that_a_store_does_and_no_password_is_repeated() {
    let server = Server::redis();
    let documents = include_str!("../../../../docs/stores.md");
    let line = documents.lines().find(|line| line.starts_with("ACL SETUSER gateway ")).unwrap();
    let line = line.replace("<password>", "open-sesame");
    let (): () = ask(&server, &line.split(' ').collect::<Vec<_>>()).await;
    let settings = |password: &str| RedisSettings {
        username: Some("gateway".to_owned()),
        password: Some(ib_contract::Secret::new(password)),
        ..server.redis_settings("main")
    };
    let store = Arc::new(RedisStore::new(&settings("open-sesame")).unwrap());
    store.check_server().await.unwrap();
    contract::holds(store.clone(), contract::Sweeps::ByItself).await;
    assert!(!store.export(None, 10).await.unwrap().records.is_empty());
    let refused = RedisStore::new(&settings("wrong-sesame")).unwrap().ready().await.unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("sesame"), "{refused:?}");
    // Another stage is out of its reach.
    let other = RedisSettings { prefix: "dev".to_owned(), ..settings("open-sesame") };
    assert!(RedisStore::new(&other).unwrap().ready().await.is_err());
}

#[tokio::test]
#[ignore = "needs a redis-server: make test-stores"]
async fn by_tls_only_a_server_whose_ca_is_trusted_is_spoken_to() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .unwrap();
    let server = Server::redis_with(|folder, port| {
        let file = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (port, own) = (port.to_string(), file("certificate", certificate.pem()));
        let key = file("key", key.serialize_pem());
        let more = ["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"];
        let more = more.into_iter().chain(["--tls-cert-file", &own, "--tls-key-file", &key]);
        let ca = file("ca", ca_pem.clone());
        more.chain(["--tls-ca-cert-file", &ca]).map(str::to_owned).collect()
    });
    let settings = |host: &str, ca_pem: Option<&String>| RedisSettings {
        host: host.to_owned(),
        tls: true,
        ca_pem: ca_pem.map(|pem| pem.clone().into_bytes()),
        ..server.redis_settings("main")
    };
    let ready = async |settings: &RedisSettings| RedisStore::new(settings).unwrap().ready().await;
    assert_eq!(ready(&settings("localhost", Some(&ca_pem))).await, Ok(()));
    assert!(ready(&settings("localhost", None)).await.is_err(), "nobody vouches for it");
    assert!(ready(&settings("127.0.0.1", Some(&ca_pem))).await.is_err(), "another name");
}
