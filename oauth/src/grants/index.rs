//! Finding grants by whom and what they are for, without looking at any others: beside each grant stand
//! records that are listed by its subject, its client and its platform.

use ib_contract::token_sha256;
use serde::{Deserialize, Serialize};

use super::record::Grant;
use crate::{
    records::{Changes, Record},
    store::Table,
};

/// What grants are looked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// The person: `sub`.
    Subject(String),
    /// The client: `client_id`.
    Client(String),
    /// The host of the platform where the person logged in.
    Platform(String),
}

impl Selector {
    /// The partition of the store that holds the grants. What is looked for stands in it as a hash: names
    /// of records are not sealed.
    pub(super) fn partition(&self) -> String {
        let (kind, value) = match self {
            Self::Subject(value) => ("subject", value),
            Self::Client(value) => ("client", value),
            Self::Platform(value) => ("platform", value),
        };
        format!("{kind}-{}", token_sha256(value))
    }
}

/// A line of the index. All that it says is in its name.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IndexRecord {}

impl Record for IndexRecord {
    const TABLE: Table = Table::GrantIndex;
}

impl Grant {
    /// The names of the grant's lines in the index.
    fn lines(&self, id: &str) -> impl Iterator<Item = String> {
        let selectors = [
            Selector::Subject(self.sub.clone()),
            Selector::Client(self.client_id.clone()),
            Selector::Platform(self.platform_host.clone()),
        ];
        let id = id.to_owned();
        selectors.into_iter().map(move |selector| format!("{}/{id}", selector.partition()))
    }

    /// Writes the grant's lines beside it.
    pub(super) fn index<'r>(&self, id: &str, changes: Changes<'r>, until: u64) -> Changes<'r> {
        self.lines(id).fold(changes, |changes, line| changes.insert(&line, &IndexRecord {}, until))
    }

    /// Removes the grant's lines, where there are any: grants of before there was an index have none.
    pub(super) fn unindex<'r>(&self, id: &str, changes: Changes<'r>) -> Changes<'r> {
        self.lines(id).fold(changes, |changes, line| changes.remove::<IndexRecord>(&line))
    }
}

/// The grant that a line of the index is about.
pub(super) fn grant_of(line: &str) -> Option<&str> {
    line.split_once('/').map(|(_, id)| id)
}
