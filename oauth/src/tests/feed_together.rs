//! Many sessions and tokens that end at the same time.

use std::{pin::Pin, sync::Arc, time::Duration};

use ib_contract::Revoked;
use tokio::{sync::watch, task::JoinSet};

use super::{Kit, NOW, scripted::Scripted, settings_text, text};
use crate::{
    app::App,
    clock::ManualClock,
    metrics::Metrics,
    records::Records,
    settings::Settings,
    store::{
        Applied, Import, Key, Named, Operation, Page, Pending, Store, Stored, Submitted, Table,
        redb::RedbStore,
    },
};

/// A store that tells what came of a list only when it has taken as many as a test says.
struct Held {
    inner: RedbStore,
    taken: watch::Sender<usize>,
    least: watch::Sender<usize>,
}

impl Store for Held {
    fn get<'a>(&'a self, key: &'a Key, now: u64) -> Pending<'a, Option<Stored>> {
        self.inner.get(key, now)
    }

    fn get_many<'a>(&'a self, keys: &'a [Key], now: u64) -> Pending<'a, Vec<Option<Stored>>> {
        self.inner.get_many(keys, now)
    }

    fn submit(&self, operations: Vec<Operation>, now: u64) -> Pending<'_, Submitted> {
        Box::pin(async move {
            let submitted = self.inner.submit(operations, now).await?;
            self.taken.send_modify(|taken| *taken += 1);
            let (mut taken, least) = (self.taken.subscribe(), *self.least.borrow());
            let held: Submitted = Box::pin(async move {
                taken.wait_for(|taken| *taken >= least).await.unwrap();
                submitted.await
            });
            Ok(held)
        })
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

#[tokio::test]
async fn when_many_sessions_die_at_once_none_waits_for_the_disk_to_have_written_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Arc::new(Settings::parse(&settings_text(&folder, ""), &[]).unwrap());
    let store = Arc::new(Held {
        inner: RedbStore::open(&settings.store.redb().path, settings.store.redb().cache_bytes)
            .unwrap(),
        taken: watch::Sender::new(0),
        least: watch::Sender::new(0),
    });
    let (sealer, metrics) = (Arc::clone(&settings.sealer), Arc::new(Metrics::new()));
    let records = Arc::new(Records::new(store.clone(), sealer, metrics));
    let clock = Arc::new(ManualClock::at(NOW));
    let app = Arc::new(App::new(settings, records, Arc::new(Scripted::default()), clock));
    app.feed.resume(NOW).await.unwrap();
    let head = app.feed.poll(None, 0).await.unwrap().as_of;
    let before = *store.taken.borrow();
    store.least.send_replace(before + 200);
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let app = Arc::clone(&app);
        tasks.spawn(async move {
            let revoked = Revoked::Session(number.to_string());
            app.feed.publish(revoked, app.records.changes(), NOW).await
        });
    }
    let all = tokio::time::timeout(Duration::from_secs(30), tasks.join_all()).await;
    assert!(all.expect("one waits for another").iter().all(|done| *done == Ok(Applied::Yes)));
    let told = app.feed.poll(Some(head), 0).await.unwrap();
    let numbers: Vec<_> = told.events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (head + 1..=head + 200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_end_the_same_and_other_grants_each_is_answered_and_each_grant_ends_once() {
    let kit = Arc::new(Kit::new());
    let mut grants = Vec::new();
    for _ in 0..20 {
        grants.push(kit.tokens().await);
    }
    let head = kit.head().await;
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        for grant in &grants {
            let (app, token) = (Arc::clone(&kit.app), text(grant, "refresh_token"));
            tasks.spawn(async move {
                let client = app.settings.clients.get("mcp-public-client").unwrap();
                app.grants.revoke_token(client, &token).await
            });
        }
    }
    assert!(tasks.join_all().await.iter().all(|done| *done == Ok(())));
    let mut ended = kit.ended(head).await;
    assert_eq!(kit.head().await, head + 20);
    ended.sort_by_key(|revoked| format!("{revoked:?}"));
    ended.dedup();
    assert_eq!(ended.len(), 20);
    for grant in &grants {
        assert_eq!(kit.introspect(&text(grant, "access_token")).await["active"], false);
    }
}
