//! Listing by partition.

use super::{
    super::{Applied, Change, Condition, Key, MAXIMUM_KEYS, Operation, Store, StoreError, Table},
    NOW,
};

const TABLE: Table = Table::Grant;

fn put(id: &str, condition: Condition, expires_at: u64) -> Operation {
    let change = Change::Put { value: id.as_bytes().to_vec(), expires_at };
    Operation { key: Key::new(TABLE, id), condition, change }
}

/// The ids of all pages of this size.
async fn ids(store: &dyn Store, partition: &str, limit: usize, now: u64) -> Vec<String> {
    let (mut ids, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
    loop {
        let page = store.list(TABLE, partition, after.as_deref(), limit, now).await.unwrap();
        assert!(page.records.len() <= limit);
        for record in page.records {
            assert_eq!(record.key.table, TABLE);
            assert_eq!(record.stored.value, record.key.id.as_bytes());
            ids.push(record.key.id);
        }
        match page.next {
            Some(next) => assert!(after.replace(next.clone()) < Some(next), "it goes on"),
            None => return ids,
        }
    }
}

pub(super) async fn holds(store: &dyn Store) {
    assert!(ids(store, "ada", 7, NOW).await.is_empty());
    let apply = async |operation: Operation, now: u64| {
        assert_eq!(store.apply(vec![operation], now).await.unwrap(), Applied::Yes);
    };
    // Not in their order, and among others whose names are near.
    for id in ["ada/c", "ada/a", "ada/b-", "ada/b", "ada/b/b", "ada", "adam/x", "ad/x", "ada-/x"] {
        apply(put(id, Condition::Absent, NOW + 50), NOW).await;
    }
    let other = Operation {
        key: Key::new(Table::Session, "ada/session"),
        ..put("", Condition::Absent, NOW + 50)
    };
    apply(other, NOW).await;
    let all = ["ada/a", "ada/b", "ada/b-", "ada/b/b", "ada/c"];
    for limit in [1, 2, 5, MAXIMUM_KEYS] {
        assert_eq!(ids(store, "ada", limit, NOW).await, all);
    }
    assert_eq!(ids(store, "adam", 5, NOW).await, ["adam/x"]);
    assert!(ids(store, "nobody", 5, NOW).await.is_empty());
    // What is changed stays in its place, what is removed is gone, what has expired is not shown.
    apply(put("ada/a", Condition::Version(1), NOW + 90), NOW).await;
    apply(put("ada/b", Condition::Present, NOW + 5), NOW).await;
    let delete = |id: &str| Operation { change: Change::Delete, ..put(id, Condition::Present, 0) };
    apply(delete("ada/b-"), NOW).await;
    assert_eq!(ids(store, "ada", 2, NOW).await, ["ada/a", "ada/b", "ada/b/b", "ada/c"]);
    assert_eq!(ids(store, "ada", 2, NOW + 5).await, ["ada/a", "ada/b/b", "ada/c"]);
    assert_eq!(ids(store, "ada", 2, NOW + 50).await, ["ada/a"]);
    let conflict =
        vec![put("ada/d", Condition::Absent, NOW + 90), put("ada/a", Condition::Absent, 1)];
    assert_eq!(store.apply(conflict, NOW).await.unwrap(), Applied::Conflict);
    assert_eq!(ids(store, "ada", 2, NOW + 50).await, ["ada/a"]);
    apply(put("ada/d", Condition::Absent, u64::MAX), NOW + 50).await;
    assert_eq!(ids(store, "ada", 2, NOW + 1_000_000).await, ["ada/d"], "kept for good");
    for (partition, limit) in [("", 5), ("ada/b", 5), ("ada", 0), ("ada", MAXIMUM_KEYS + 1)] {
        let refused = store.list(TABLE, partition, None, limit, NOW).await;
        assert_eq!(refused.unwrap_err(), StoreError::Unacceptable);
    }
}
