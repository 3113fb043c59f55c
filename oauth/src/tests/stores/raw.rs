//! A copied database is worthless: what each engine keeps, byte for byte, after a whole life of a grant.

use std::{path::Path, sync::Arc};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};

use super::{
    super::{Kit, NOW, scripted::Scripted, secrets::whole_life},
    Shared, instance,
};
use crate::{
    clock::ManualClock,
    store::{
        dynamodb::{DynamodbStore, tests::credentials},
        servers::Server,
    },
};

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a secret may look: as it is, in hexadecimal, in base64 wherever it may begin.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), hexadecimal(secret.as_bytes())];
    forms.push(hexadecimal(secret.as_bytes()).to_uppercase());
    for lead in 0..3 {
        let bytes = [&vec![0; lead][..], secret.as_bytes()].concat();
        // Characters at the ends also depend on the bytes around.
        let (from, whole) = ((lead * 8).div_ceil(6), bytes.len() * 8 / 6);
        for text in [STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)] {
            forms.push(text.get(from..whole).unwrap().to_owned());
        }
    }
    // A token's first characters name its kind; what follows is the secret.
    if let Some(tail) = secret.get("ibg_xx_".len()..).filter(|_| secret.starts_with("ibg_")) {
        forms.extend(self::forms(tail));
    }
    forms
}

fn contains(raw: &[u8], needle: &str) -> bool {
    raw.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn found(raw: &[u8], secret: &str) -> bool {
    forms(secret).iter().any(|form| contains(raw, form))
}

/// Everything that must not be in the store, after it has been through the service.
async fn life(kit: &Kit) -> Vec<String> {
    let mut secrets = whole_life(kit).await;
    kit.tokens().await;
    secrets.push(kit.begin().await);
    secrets.push("intelligencebank.com".to_owned());
    secrets
}

#[track_caller]
fn is_worthless(raw: &[u8], secrets: &[String]) {
    for name in ["access_token/", "refresh_token/", "grant/", "session/", "code/", "login/"] {
        assert!(contains(raw, name), "{name} was not read");
    }
    for secret in secrets {
        assert!(!found(raw, secret), "{secret} is in the store");
    }
}

/// All files of a folder, one behind the other.
fn files(folder: &Path) -> Vec<u8> {
    let mut raw = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            raw.extend(files(&path));
        } else {
            raw.extend(std::fs::read(path).unwrap());
        }
    }
    raw
}

#[test]
fn the_search_finds_a_secret_in_every_form() {
    let secret = "ibg_at_0123456789abcdefABCDEF?~>";
    let around = |text: &[u8]| [b"{\"a\":1".as_slice(), text, b"\0 end"].concat();
    assert!(found(&around(secret.as_bytes()), secret));
    assert!(found(&around(hexadecimal(secret.as_bytes()).as_bytes()), secret));
    for lead in ["", "x", "xy", "xyz"] {
        let plain = format!("{lead}{secret}yz");
        for text in [STANDARD.encode(&plain), URL_SAFE.encode(&plain)] {
            assert!(found(&around(text.as_bytes()), secret), "{text}");
        }
    }
    assert!(!found(&around(b"ibg_at_0123456789abcdefABCDEF"), secret));
}

#[tokio::test]
async fn defect_11_a_copied_file_of_redb_holds_no_secret_and_no_personal_data() {
    let kit = Kit::new();
    let secrets = life(&kit).await;
    let raw = std::fs::read(kit.folder.path().join("store.redb")).unwrap();
    is_worthless(&raw, &secrets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a redis-server: make test-stores"]
async fn defect_11_copied_keys_and_files_of_redis_hold_no_secret_and_no_personal_data() {
    let server = Server::redis();
    let address = format!("redis://127.0.0.1:{}", server.port);
    let shared = Shared::Redis(server);
    let (clock, upstream) = (Arc::new(ManualClock::at(NOW)), Arc::new(Scripted::default()));
    let kit = instance(shared.store().await, &clock, &upstream).await;
    let secrets = life(&kit).await;
    let client = ::redis::Client::open(address).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> =
        ::redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let mut raw = Vec::new();
    for key in keys {
        raw.extend_from_slice(key.as_bytes());
        let mut ask = ::redis::cmd("TYPE");
        let kind: String = ask.arg(&key).query_async(&mut connection).await.unwrap();
        if kind == "string" {
            let mut ask = ::redis::cmd("GET");
            let value: Vec<u8> = ask.arg(&key).query_async(&mut connection).await.unwrap();
            raw.extend(value);
        }
        let mut ask = ::redis::cmd("DUMP");
        let dump: Vec<u8> = ask.arg(&key).query_async(&mut connection).await.unwrap();
        raw.extend(dump);
    }
    is_worthless(&raw, &secrets);
    // The append-only file has every command as it came, those of before included.
    let Shared::Redis(server) = &shared else { panic!("not Redis") };
    is_worthless(&files(server.folder.path()), &secrets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn defect_11_scanned_tables_of_dynamodb_hold_no_secret_and_no_personal_data() {
    let server = Server::dynamodb();
    let store = DynamodbStore::new(&server.dynamodb_settings("main-"), credentials()).await;
    let shared = Shared::Dynamodb(server);
    let (clock, upstream) = (Arc::new(ManualClock::at(NOW)), Arc::new(Scripted::default()));
    let kit = instance(shared.store().await, &clock, &upstream).await;
    let secrets = life(&kit).await;
    is_worthless(&store.raw().await, &secrets);
}
