//! What happens between the reads of one introspection.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;

use super::{Answer, Kit, gateway::authorized, post, text};
use crate::{
    app::App,
    endpoints,
    records::Records,
    store::{
        Import, Key, Named, Operation, Page, Pending, Store, Stored, Submitted, Table,
        redb::RedbStore,
    },
};

type Hook = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A store that lets something happen right after its n-th reading of several records.
struct Interrupted {
    inner: RedbStore,
    reads: AtomicUsize,
    hook: Mutex<Option<(usize, Hook)>>,
}

impl Interrupted {
    async fn after_read(&self) {
        let number = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
        let due = {
            let mut hook = self.hook.lock().unwrap();
            hook.take_if(|(at, _)| *at == number)
        };
        if let Some((_, hook)) = due {
            hook.await;
        }
    }
}

impl Store for Interrupted {
    fn get<'a>(&'a self, key: &'a Key, now: u64) -> Pending<'a, Option<Stored>> {
        self.inner.get(key, now)
    }

    fn get_many<'a>(&'a self, keys: &'a [Key], now: u64) -> Pending<'a, Vec<Option<Stored>>> {
        Box::pin(async move {
            let found = self.inner.get_many(keys, now).await;
            self.after_read().await;
            found
        })
    }

    fn submit(&self, operations: Vec<Operation>, now: u64) -> Pending<'_, Submitted> {
        self.inner.submit(operations, now)
    }

    fn list<'a>(
        &'a self,
        table: Table,
        partition: &'a str,
        after: Option<&'a str>,
        limit: usize,
        now: u64,
    ) -> Pending<'a, Page> {
        self.inner.list(table, partition, after, limit, now)
    }

    fn export<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> Pending<'a, Page> {
        self.inner.export(cursor, limit)
    }

    fn import(&self, records: Vec<Named>, step: Import, now: u64) -> Pending<'_, ()> {
        self.inner.import(records, step, now)
    }

    fn purge(&self, now: u64, limit: usize) -> Pending<'_, usize> {
        self.inner.purge(now, limit)
    }

    fn ready(&self) -> Pending<'_, ()> {
        self.inner.ready()
    }

    fn opening(&self) -> Option<u64> {
        self.inner.opening()
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.inner.ended()
    }
}

/// What an introspection says when the grant is revoked right after its n-th read, and the number of
/// that event.
async fn revoked_after_read(number: usize) -> (Value, u64) {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    let head = kit.head().await;
    let (settings, clock) = (Arc::clone(&kit.app.settings), kit.clock.clone());
    let (sealer, metrics) = (Arc::clone(&settings.sealer), Arc::clone(&kit.app.metrics));
    let upstream = kit.upstream.clone();
    let path = settings.store.redb().path.clone();
    let Kit { app, public, internal, folder, .. } = kit;
    drop((app, public, internal));
    let store = Arc::new(Interrupted {
        inner: RedbStore::open(&path, 4 * 1024 * 1024).unwrap(),
        reads: AtomicUsize::new(0),
        hook: Mutex::new(None),
    });
    let records = Arc::new(Records::new(store.clone(), sealer, metrics));
    let app = Arc::new(App::new(settings, records, upstream, clock));
    let internal = endpoints::internal(&app);
    let (token, refresh_token) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    let revoke = {
        let app = Arc::clone(&app);
        Box::pin(async move {
            let client = app.settings.clients.get("mcp-public-client").unwrap();
            app.grants.revoke_token(client, &refresh_token).await.unwrap();
        })
    };
    *store.hook.lock().unwrap() = Some((number, revoke));
    let request = authorized(post("/introspect", &[("token", &token)]));
    let answer = tower::ServiceExt::oneshot(internal, request).await.unwrap();
    let answer = Answer::of(answer).await.json();
    assert!(store.hook.lock().unwrap().is_none(), "the revocation happened");
    drop(folder);
    (answer, head + 1)
}

#[tokio::test]
async fn a_revocation_while_a_token_is_looked_up_is_in_the_answer_or_newer_than_it() {
    let (answer, _) = revoked_after_read(1).await;
    assert_eq!(answer["active"], false, "the grant was read after it");
    let (answer, event) = revoked_after_read(2).await;
    assert_eq!(answer["active"], true, "everything was read before it");
    let as_of = answer["as_of"].as_u64().unwrap();
    assert!(as_of < event, "so the gateway must see that {as_of} is older than event {event}");
}
