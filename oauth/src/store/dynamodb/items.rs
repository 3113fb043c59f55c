//! What the two tables are called, and what a record looks like in them.
//!
//! Short-lived records of a login are in `<prefix>state`, all others in `<prefix>token`. A record whose
//! id has a partition is an item of that partition (`record`: table and partition, `rest`: `/` and what
//! is behind), so that one query lists them. Any other has its own partition, with `.` for `rest`, which
//! no query of a partition meets.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use super::{
    super::{Key, Named, StoreError, Stored, Table, partition_of},
    ENGINE,
};

pub(super) const RECORD: &str = "record";
pub(super) const REST: &str = "rest";
pub(super) const VERSION: &str = "version";
/// Seconds since the Unix epoch: DynamoDB's time to live.
pub(super) const EXPIRES: &str = "expires";
pub(super) const CONTENTS: &str = "contents";
/// The `rest` of a record without a partition.
const WHOLE: &str = ".";
/// The item that readiness writes. It is no record.
pub(super) const PROBE: &str = "#ready";

pub(super) type Item = HashMap<String, AttributeValue>;

/// The names of one stage's tables.
#[derive(Debug, Clone)]
pub(crate) struct TableNames {
    state: String,
    token: String,
}

impl TableNames {
    pub(super) fn new(prefix: &str) -> Self {
        Self { state: format!("{prefix}state"), token: format!("{prefix}token") }
    }

    pub(super) fn all(&self) -> [&str; 2] {
        [&self.state, &self.token]
    }

    pub(super) fn of(&self, table: Table) -> &str {
        match table {
            Table::Login | Table::Code | Table::ClientAssertion => &self.state,
            _ => &self.token,
        }
    }
}

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn bytes(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// The `record` of a partition's items.
pub(super) fn partition(table: Table, partition: &str) -> String {
    format!("{}/{partition}", table.name())
}

/// The `rest` of an id within a partition.
pub(super) fn rest(rest: &str) -> String {
    format!("/{rest}")
}

/// The primary key of `record` and `rest`.
pub(super) fn primary(record: impl Into<String>, rest: impl Into<String>) -> Item {
    HashMap::from([(RECORD.to_owned(), text(record)), (REST.to_owned(), text(rest))])
}

/// Where a record is.
pub(super) fn place(key: &Key) -> Item {
    match partition_of(&key.id) {
        Some((own, behind)) => primary(partition(key.table, own), rest(behind)),
        None => primary(key.to_string(), WHOLE),
    }
}

/// Where the item of readiness is.
pub(super) fn probe() -> Item {
    primary(PROBE, WHOLE)
}

/// A whole record.
pub(super) fn encode(key: &Key, version: u64, expires_at: u64, value: &[u8]) -> Item {
    let mut item = place(key);
    item.insert(VERSION.to_owned(), number(version));
    item.insert(EXPIRES.to_owned(), number(expires_at));
    item.insert(CONTENTS.to_owned(), bytes(value));
    item
}

/// Whether an item is no record.
pub(super) fn is_aside(item: &Item) -> bool {
    matches!(item.get(RECORD), Some(AttributeValue::S(record)) if record == PROBE)
}

/// What the item of a record says.
pub(super) fn stored(item: &Item) -> Result<Stored, StoreError> {
    let number = |name| match item.get(name) {
        Some(AttributeValue::N(number)) => number.parse::<u64>().ok(),
        _ => None,
    };
    let value = match item.get(CONTENTS) {
        Some(AttributeValue::B(bytes)) => Some(bytes.as_ref().to_vec()),
        _ => None,
    };
    match (number(VERSION), number(EXPIRES), value) {
        (Some(version), Some(expires_at), Some(value)) => Ok(Stored { value, version, expires_at }),
        _ => Err(StoreError::Damaged { engine: ENGINE }),
    }
}

/// The record that an item is, with its name.
pub(super) fn named(item: &Item) -> Result<Named, StoreError> {
    let part = |name| match item.get(name) {
        Some(AttributeValue::S(text)) => Some(text.as_str()),
        _ => None,
    };
    let key = part(RECORD).zip(part(REST)).and_then(|(record, rest)| {
        let whole = if rest == WHOLE { record.to_owned() } else { format!("{record}{rest}") };
        Key::from_name(&whole)
    });
    let key = key.ok_or(StoreError::Damaged { engine: ENGINE })?;
    Ok(Named { key, stored: stored(item)? })
}

#[cfg(test)]
mod tests {
    use super::{encode, named};
    use crate::store::{Key, Table};

    #[test]
    fn every_name_comes_back_as_it_was_also_where_slashes_stand_in_odd_places() {
        for id in ["plain", "ada/x", "ada/x/y", "ada/", "/x", "//", "a.b", "."] {
            let key = Key::new(Table::Grant, id);
            let found = named(&encode(&key, 7, u64::MAX, b"v")).unwrap();
            assert_eq!(found.key, key);
            let stored = found.stored;
            assert_eq!((stored.version, stored.expires_at), (7, u64::MAX));
        }
    }
}
