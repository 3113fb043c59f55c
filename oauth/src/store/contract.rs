//! What every engine must do. An engine's tests call [`holds`] with a fresh, empty store.

use std::{sync::Arc, time::Duration};

mod listing;
mod moving;

pub(crate) use moving::moves;

use super::{
    Applied, Change, Condition, Key, MAXIMUM_KEYS, MAXIMUM_OPERATIONS, MAXIMUM_VALUE_BYTES,
    Operation, Store, StoreError, Table,
};

const NOW: u64 = 1_000;

fn key(id: &str) -> Key {
    Key::new(Table::Code, id)
}

fn put(id: &str, condition: Condition, value: &[u8], expires_at: u64) -> Operation {
    Operation { key: key(id), condition, change: Change::Put { value: value.to_vec(), expires_at } }
}

fn delete(id: &str, condition: Condition) -> Operation {
    Operation { key: key(id), condition, change: Change::Delete }
}

fn keep(id: &str, condition: Condition) -> Operation {
    Operation { key: key(id), condition, change: Change::Keep }
}

async fn value(store: &dyn Store, id: &str, now: u64) -> Option<Vec<u8>> {
    store.get(&key(id), now).await.unwrap().map(|stored| stored.value)
}

/// How an engine gets rid of expired records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweeps {
    /// When [`Store::purge`] is called.
    WhenAsked,
    /// By its own clock: `purge` has nothing to do.
    ByItself,
}

/// Panics where `store` breaks the contract.
pub(crate) async fn holds(store: Arc<dyn Store>, sweeps: Sweeps) {
    a_record_is_inserted_once(&*store).await;
    a_change_needs_the_version_that_was_read(&*store).await;
    tables_are_separate(&*store).await;
    several_records_are_read_in_the_order_of_their_keys(&*store).await;
    a_list_happens_whole_or_not_at_all(&*store).await;
    if store.opening().is_some() {
        a_list_may_build_on_one_that_is_not_done_yet(&*store).await;
    }
    a_list_is_done_whether_or_not_anybody_waits_for_it(&*store).await;
    an_expired_record_is_absent_before_any_sweep(&*store).await;
    match sweeps {
        Sweeps::WhenAsked => {
            a_sweep_takes_expired_records_only_and_at_most_its_limit(&*store).await;
        }
        Sweeps::ByItself => a_sweep_leaves_everything_to_the_engine(&*store).await,
    }
    lists_out_of_bounds_are_refused(&*store).await;
    of_many_takers_one_wins(&store).await;
    of_many_writers_each_change_counts_once(&store).await;
    several_records_are_read_as_of_one_moment(&store).await;
    listing::holds(&*store).await;
    store.ready().await.unwrap();
}

async fn a_record_is_inserted_once(store: &dyn Store) {
    let insert = |value: &'static [u8]| vec![put("once", Condition::Absent, value, NOW + 9)];
    assert_eq!(store.apply(insert(b"first"), NOW).await.unwrap(), Applied::Yes);
    assert_eq!(store.apply(insert(b"second"), NOW).await.unwrap(), Applied::Conflict);
    let stored = store.get(&key("once"), NOW).await.unwrap().unwrap();
    assert_eq!(
        (stored.value.as_slice(), stored.version, stored.expires_at),
        (&b"first"[..], 1, NOW + 9)
    );
}

async fn a_change_needs_the_version_that_was_read(store: &dyn Store) {
    let change = |version, value: &'static [u8]| {
        vec![put("version", Condition::Version(version), value, NOW + 9)]
    };
    assert_eq!(store.apply(change(1, b"x"), NOW).await.unwrap(), Applied::Conflict);
    let insert = vec![put("version", Condition::Absent, b"a", NOW + 9)];
    assert_eq!(store.apply(insert, NOW).await.unwrap(), Applied::Yes);
    assert_eq!(store.apply(change(1, b"b"), NOW).await.unwrap(), Applied::Yes);
    assert_eq!(store.apply(change(1, b"c"), NOW).await.unwrap(), Applied::Conflict);
    assert_eq!(store.get(&key("version"), NOW).await.unwrap().unwrap().version, 2);
    assert_eq!(value(store, "version", NOW).await.unwrap(), b"b");
    let gone = vec![delete("version", Condition::Version(1))];
    assert_eq!(store.apply(gone, NOW).await.unwrap(), Applied::Conflict);
    let gone = vec![delete("version", Condition::Version(2))];
    assert_eq!(store.apply(gone, NOW).await.unwrap(), Applied::Yes);
    assert_eq!(value(store, "version", NOW).await, None);
    let gone = vec![delete("version", Condition::Any)];
    assert_eq!(store.apply(gone, NOW).await.unwrap(), Applied::Yes, "deleting nothing is fine");
}

async fn tables_are_separate(store: &dyn Store) {
    let insert = vec![put("shared", Condition::Absent, b"code", NOW + 9)];
    assert_eq!(store.apply(insert, NOW).await.unwrap(), Applied::Yes);
    assert_eq!(store.get(&Key::new(Table::Login, "shared"), NOW).await.unwrap(), None);
}

async fn several_records_are_read_in_the_order_of_their_keys(store: &dyn Store) {
    let list = vec![
        put("many1", Condition::Absent, b"1", NOW + 9),
        put("many2", Condition::Absent, b"2", NOW + 5),
    ];
    assert_eq!(store.apply(list, NOW).await.unwrap(), Applied::Yes);
    let read = async |keys: Vec<Key>, now| -> Vec<Option<Vec<u8>>> {
        let found = store.get_many(&keys, now).await.unwrap();
        found.into_iter().map(|stored| stored.map(|stored| stored.value)).collect()
    };
    let keys = || vec![key("many2"), key("nothing"), key("many1"), key("many2")];
    let (one, two) = (Some(b"1".to_vec()), Some(b"2".to_vec()));
    assert_eq!(read(keys(), NOW).await, [two.clone(), None, one.clone(), two]);
    assert_eq!(read(keys(), NOW + 5).await, [None, None, one, None], "expired is absent");
    assert_eq!(read(vec![Key::new(Table::Login, "many1")], NOW).await, [None]);
    assert!(read(Vec::new(), NOW).await.is_empty());
    let most = |count: usize| (0..count).map(|n| key(&n.to_string())).collect::<Vec<_>>();
    assert_eq!(read(most(MAXIMUM_KEYS), NOW).await.len(), MAXIMUM_KEYS);
    let refused = store.get_many(&most(MAXIMUM_KEYS + 1), NOW).await;
    assert_eq!(refused.unwrap_err(), StoreError::Unacceptable);
}

async fn several_records_are_read_as_of_one_moment(store: &Arc<dyn Store>) {
    let both = |condition: fn(u64) -> Condition, count: u64| {
        let value = count.to_be_bytes();
        let at = |id: &str| put(id, condition(count), &value, NOW + 9);
        vec![at("left"), at("right")]
    };
    assert_eq!(store.apply(both(|_| Condition::Absent, 0), NOW).await.unwrap(), Applied::Yes);
    let writer = tokio::spawn({
        let store = Arc::clone(store);
        async move {
            for count in 1..200 {
                let list = both(Condition::Version, count);
                assert_eq!(store.apply(list, NOW).await.unwrap(), Applied::Yes);
            }
        }
    });
    let keys = [key("left"), key("right")];
    while !writer.is_finished() {
        let found = store.get_many(&keys, NOW).await.unwrap();
        assert_eq!(found[0], found[1], "one of the two was read later");
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

async fn a_list_happens_whole_or_not_at_all(store: &dyn Store) {
    let insert = vec![put("taken", Condition::Absent, b"code", NOW + 9)];
    assert_eq!(store.apply(insert, NOW).await.unwrap(), Applied::Yes);
    for refused in [
        keep("taken", Condition::Absent),
        keep("taken", Condition::Version(7)),
        keep("missing", Condition::Present),
        keep("missing", Condition::Version(0)),
    ] {
        let list = vec![
            put("fresh", Condition::Absent, b"x", NOW + 9),
            delete("once", Condition::Any),
            refused,
        ];
        assert_eq!(store.apply(list, NOW).await.unwrap(), Applied::Conflict);
        assert_eq!(value(store, "fresh", NOW).await, None);
        assert!(value(store, "once", NOW).await.is_some(), "nothing of the list happened");
    }
    let list = vec![
        put("fresh", Condition::Absent, b"x", NOW + 9),
        keep("taken", Condition::Present),
        delete("missing", Condition::Absent),
    ];
    assert_eq!(store.apply(list, NOW).await.unwrap(), Applied::Yes);
    assert_eq!(value(store, "fresh", NOW).await.unwrap(), b"x");
    assert_eq!(store.get(&key("taken"), NOW).await.unwrap().unwrap().version, 1, "kept as it was");
    assert_eq!(store.apply(Vec::new(), NOW).await.unwrap(), Applied::Yes);
}

async fn a_list_may_build_on_one_that_is_not_done_yet(store: &dyn Store) {
    let mut waiting = Vec::new();
    for version in 0..100 {
        let condition = if version == 0 { Condition::Absent } else { Condition::Version(version) };
        let list = vec![put("chain", condition, &version.to_be_bytes(), NOW + 9)];
        waiting.push(store.submit(list, NOW).await.unwrap());
    }
    // Nobody waits for the one that breaks the chain, and it is done all the same.
    let broken = vec![put("chain", Condition::Version(1), b"x", NOW + 9)];
    drop(store.submit(broken, NOW).await.unwrap());
    let unwatched = vec![put("chain", Condition::Version(100), b"last", NOW + 9)];
    drop(store.submit(unwatched, NOW).await.unwrap());
    for submitted in waiting {
        assert_eq!(submitted.await.unwrap(), Applied::Yes);
    }
    let after = vec![keep("chain", Condition::Version(101))];
    assert_eq!(store.apply(after, NOW).await.unwrap(), Applied::Yes);
    assert_eq!(value(store, "chain", NOW).await.unwrap(), b"last");
}

async fn a_list_is_done_whether_or_not_anybody_waits_for_it(store: &dyn Store) {
    drop(store.submit(vec![put("alone", Condition::Absent, b"x", NOW + 9)], NOW).await.unwrap());
    let done = async {
        while value(store, "alone", NOW).await.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), done).await.unwrap();
}

async fn an_expired_record_is_absent_before_any_sweep(store: &dyn Store) {
    let insert = vec![put("old", Condition::Absent, b"old", NOW + 5)];
    assert_eq!(store.apply(insert, NOW).await.unwrap(), Applied::Yes);
    assert!(value(store, "old", NOW + 4).await.is_some());
    assert_eq!(value(store, "old", NOW + 5).await, None);
    let present = vec![keep("old", Condition::Present)];
    assert_eq!(store.apply(present, NOW + 5).await.unwrap(), Applied::Conflict);
    let again = vec![put("old", Condition::Absent, b"new", NOW + 20)];
    assert_eq!(store.apply(again, NOW + 5).await.unwrap(), Applied::Yes);
    assert_eq!(value(store, "old", NOW + 6).await.unwrap(), b"new");
}

async fn a_sweep_takes_expired_records_only_and_at_most_its_limit(store: &dyn Store) {
    let (early, late) = (NOW + 100_000, NOW + 200_000);
    let list = (0..5)
        .map(|n| put(&format!("early{n}"), Condition::Absent, b"e", early))
        .chain([put("late", Condition::Absent, b"l", late)]);
    assert_eq!(store.apply(list.collect(), NOW).await.unwrap(), Applied::Yes);
    while store.purge(early - 1, 100).await.unwrap() > 0 {}
    let moved = vec![put("early0", Condition::Version(1), b"moved", late)];
    assert_eq!(store.apply(moved, NOW).await.unwrap(), Applied::Yes);
    assert_eq!(store.purge(early, 3).await.unwrap(), 3);
    assert_eq!(store.purge(early, 3).await.unwrap(), 1);
    assert_eq!(store.purge(early, 3).await.unwrap(), 0);
    assert_eq!(value(store, "late", early).await.unwrap(), b"l");
    assert_eq!(value(store, "early0", early).await.unwrap(), b"moved", "a later expiry counts");
}

async fn a_sweep_leaves_everything_to_the_engine(store: &dyn Store) {
    let (early, late) = (NOW + 100_000, NOW + 200_000);
    let list = vec![
        put("early", Condition::Absent, b"e", early),
        put("late", Condition::Absent, b"l", late),
    ];
    assert_eq!(store.apply(list, NOW).await.unwrap(), Applied::Yes);
    assert_eq!(store.purge(early, 100).await.unwrap(), 0);
    assert_eq!(value(store, "early", early).await, None);
    assert_eq!(value(store, "late", early).await.unwrap(), b"l");
}

async fn lists_out_of_bounds_are_refused(store: &dyn Store) {
    let long: Vec<_> =
        (0..=MAXIMUM_OPERATIONS).map(|n| keep(&n.to_string(), Condition::Any)).collect();
    let large = vec![put("large", Condition::Any, &vec![0; MAXIMUM_VALUE_BYTES + 1], NOW + 9)];
    let twice = vec![keep("twice", Condition::Any), delete("twice", Condition::Any)];
    for list in [long, large, twice] {
        assert_eq!(store.apply(list, NOW).await.unwrap_err(), StoreError::Unacceptable);
    }
    let largest = vec![put("largest", Condition::Any, &vec![0; MAXIMUM_VALUE_BYTES], NOW + 9)];
    assert_eq!(store.apply(largest, NOW).await.unwrap(), Applied::Yes);
}

async fn of_many_takers_one_wins(store: &Arc<dyn Store>) {
    let insert = vec![put("prize", Condition::Absent, b"prize", NOW + 9)];
    assert_eq!(store.apply(insert, NOW).await.unwrap(), Applied::Yes);
    let takers: Vec<_> = (0..100)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                store.apply(vec![delete("prize", Condition::Version(1))], NOW).await.unwrap()
            })
        })
        .collect();
    let mut winners = 0;
    for taker in takers {
        winners += u32::from(taker.await.unwrap() == Applied::Yes);
    }
    assert_eq!(winners, 1);
}

async fn of_many_writers_each_change_counts_once(store: &Arc<dyn Store>) {
    let insert = vec![put("counter", Condition::Absent, &0_u32.to_be_bytes(), NOW + 9)];
    assert_eq!(store.apply(insert, NOW).await.unwrap(), Applied::Yes);
    let writers: Vec<_> = (0..20)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                loop {
                    let read = store.get(&key("counter"), NOW).await.unwrap().unwrap();
                    let count = u32::from_be_bytes(read.value.try_into().unwrap()) + 1;
                    let write = put(
                        "counter",
                        Condition::Version(read.version),
                        &count.to_be_bytes(),
                        NOW + 9,
                    );
                    if store.apply(vec![write], NOW).await.unwrap() == Applied::Yes {
                        return;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(value(&**store, "counter", NOW).await.unwrap(), 20_u32.to_be_bytes());
}
