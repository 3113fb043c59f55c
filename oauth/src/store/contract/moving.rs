//! Exporting everything and importing it elsewhere.

use std::collections::BTreeMap;

use super::{
    super::{Applied, Change, Condition, Import, Key, Named, Operation, Store, StoreError, Table},
    NOW,
};

/// Everything that a store holds, by name.
async fn all(store: &dyn Store, limit: usize) -> BTreeMap<String, Named> {
    let (mut found, mut cursor) = (BTreeMap::new(), None::<String>);
    loop {
        let page = store.export(cursor.as_deref(), limit).await.unwrap();
        for record in page.records {
            found.insert(record.key.to_string(), record);
        }
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}

/// Panics where not everything that `from` is given arrives in `to`. Both are empty.
pub(crate) async fn moves(from: &dyn Store, to: &dyn Store) {
    assert!(all(from, 10).await.is_empty());
    let put = |table, id: &str, version: u64, expires_at| {
        let condition = if version == 0 { Condition::Absent } else { Condition::Version(version) };
        let value = vec![0, 255, b' ', b'1', u8::try_from(version).unwrap()];
        let change = Change::Put { value, expires_at };
        Operation { key: Key::new(table, id), condition, change }
    };
    for number in 0..57 {
        let table = if number % 2 == 0 { Table::Login } else { Table::Grant };
        let list = vec![put(table, &format!("{number}"), 0, NOW + 50)];
        assert_eq!(from.apply(list, NOW).await.unwrap(), Applied::Yes);
    }
    for version in 0..3 {
        let list = vec![
            put(Table::Session, "ada/x", version, NOW + 50),
            put(Table::RevocationHead, "head", version, u64::MAX),
        ];
        assert_eq!(from.apply(list, NOW).await.unwrap(), Applied::Yes);
    }
    let exported = all(from, 10).await;
    assert_eq!(exported.len(), 59);
    assert_eq!(exported["session/ada/x"].stored.version, 3);
    assert_eq!(exported["revocation_head/head"].stored.expires_at, u64::MAX);

    let records: Vec<_> = exported.values().cloned().collect();
    let (first, rest) = records.split_at(20);
    to.import(first.to_vec(), Import::Begin, NOW).await.unwrap();
    let again = to.import(first.to_vec(), Import::Begin, NOW).await;
    assert_eq!(again.unwrap_err(), StoreError::NotEmpty);
    to.import(rest.to_vec(), Import::GoOn, NOW).await.unwrap();
    // One that comes twice, once as it was before, changes nothing.
    let mut older = exported["session/ada/x"].clone();
    older.stored = super::super::Stored { value: b"older".to_vec(), version: 2, ..older.stored };
    to.import(vec![older], Import::GoOn, NOW).await.unwrap();
    to.import(rest.to_vec(), Import::GoOn, NOW).await.unwrap();
    assert_eq!(all(to, 7).await, exported);
    // What was imported is as if it had been written there.
    let page = to.list(Table::Session, "ada", None, 5, NOW).await.unwrap();
    assert_eq!(page.records, [exported["session/ada/x"].clone()]);
    let next = vec![put(Table::Session, "ada/x", 3, NOW + 60)];
    assert_eq!(to.apply(next, NOW).await.unwrap(), Applied::Yes);
}
