//! What reached the upstream: every request is put into a class, and the last one is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::traffic::{Body, GATEWAY_HOST, UPSTREAM_HOST};

/// How a request looked: which of the changes of a gateway had been made to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    /// The path is the upstream's.
    pub(crate) path: bool,
    /// The host is the upstream's.
    pub(crate) host: bool,
    /// There is a session id.
    pub(crate) sid: bool,
    /// The client's authorization is still there.
    pub(crate) authorization: bool,
}

impl Class {
    /// A request that nobody has touched.
    pub(crate) const UNTOUCHED: Self =
        Self { path: false, host: false, sid: false, authorization: true };
    /// A request that was taken off the gateway's hands as it must be.
    pub(crate) const REWRITTEN: Self =
        Self { path: true, host: true, sid: true, authorization: false };

    /// The class in words, as it is counted.
    pub(crate) fn name(self) -> String {
        let changed = |is: bool| if is { "rewritten" } else { "unchanged" };
        let there = |is: bool| if is { "present" } else { "absent" };
        format!(
            "path {}, host {}, sid {}, authorization {}",
            changed(self.path),
            changed(self.host),
            there(self.sid),
            there(self.authorization)
        )
    }
}

/// What is kept of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The class, or that it is none of ours.
    pub(crate) class: String,
    /// The session id that came along; the benchmark's own, which opens nothing.
    pub(crate) sid: Option<String>,
    /// The path.
    pub(crate) path: String,
}

impl Seen {
    /// Looks at a request.
    pub(crate) fn of<'a>(path: &str, field: &impl Fn(&str) -> Option<&'a str>) -> Self {
        let is = |path_of: fn(Body) -> String| Body::ALL.iter().any(|&body| path_of(body) == path);
        let is_rewritten = is(Body::upstream_path);
        let host = field("host");
        let sid = field("sid").map(str::to_owned);
        let is_ours = is_rewritten || is(Body::gateway_path);
        let is_known = is_ours && [Some(UPSTREAM_HOST), Some(GATEWAY_HOST)].contains(&host);
        let class = Class {
            path: is_rewritten,
            host: host == Some(UPSTREAM_HOST),
            sid: sid.is_some(),
            authorization: field("authorization").is_some(),
        };
        let class = if is_known { class.name() } else { "another path or host".to_owned() };
        Self { class, sid, path: path.to_owned() }
    }
}

/// The requests since the tally was last taken.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// How many of each class.
    pub(crate) classes: BTreeMap<String, u64>,
    /// The last one.
    pub(crate) last: Option<Seen>,
}

impl Tally {
    /// Counts a request.
    pub(crate) fn count(&mut self, seen: Seen) {
        match self.classes.get_mut(&seen.class) {
            Some(count) => *count += 1,
            None => drop(self.classes.insert(seen.class.clone(), 1)),
        }
        self.last = Some(seen);
    }
}
