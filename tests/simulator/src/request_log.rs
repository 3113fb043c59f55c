//! What the simulated hosts received, for tests to read.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// How many requests are kept, and how many bytes of their heads; the oldest go first.
const MAXIMUM_REQUESTS: usize = 10_000;
const MAXIMUM_BYTES: usize = 64 * 1024 * 1024;
/// What a request costs beyond its texts, as an estimate.
const REQUEST_OVERHEAD: usize = 256;

/// The head of a request, byte for byte where text can say it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Head {
    /// The `Host` header or `:authority`, as it was sent.
    pub(crate) host: String,
    pub(crate) method: String,
    pub(crate) raw_path: String,
    /// What stands behind the question mark; empty also where there is none.
    pub(crate) raw_query: String,
    /// Path and query together, which tells a lone question mark from none.
    pub(crate) raw_target: String,
    pub(crate) http_version: &'static str,
    /// Names in lower case; repeated ones joined by a comma and a space.
    pub(crate) headers: BTreeMap<String, String>,
}

impl Head {
    fn size(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
        [&self.host, &self.method, &self.raw_path, &self.raw_query, &self.raw_target]
            .iter()
            .map(|text| text.len())
            .sum::<usize>()
            .saturating_add(headers)
            .saturating_add(REQUEST_OVERHEAD)
    }
}

/// What is known of a request's body.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct BodyFacts {
    /// Of the whole body; none until it has ended.
    pub(crate) body_sha256: Option<String>,
    /// Bytes received so far.
    pub(crate) body_length: u64,
}

/// One request received.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    #[serde(flatten)]
    pub(crate) head: Head,
    #[serde(flatten)]
    pub(crate) body: BodyFacts,
}

/// The last requests received, numbered from 1 without gaps.
#[derive(Default)]
pub(crate) struct RequestLog {
    last: u64,
    bytes: usize,
    entries: VecDeque<Entry>,
}

/// The requests above a number, and the highest number given out.
#[derive(Serialize)]
pub(crate) struct Requests {
    last: u64,
    requests: Vec<Entry>,
}

impl RequestLog {
    /// Notes the head of a request whose body is still to come, and gives its number.
    pub(crate) fn begin(&mut self, head: Head) -> u64 {
        self.last = self.last.saturating_add(1);
        self.bytes = self.bytes.saturating_add(head.size());
        self.entries.push_back(Entry { number: self.last, head, body: BodyFacts::default() });
        while self.entries.len() > MAXIMUM_REQUESTS || self.bytes > MAXIMUM_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.head.size());
        }
        self.last
    }

    /// Notes what has arrived of the body of request `number`, if that request is still kept.
    pub(crate) fn note_body(&mut self, number: u64, body: BodyFacts) {
        let Some(first) = self.entries.front().map(|entry| entry.number) else { return };
        let Some(position) = number.checked_sub(first) else { return };
        let Ok(position) = usize::try_from(position) else { return };
        if let Some(entry) = self.entries.get_mut(position) {
            entry.body = body;
        }
    }

    /// The requests kept whose number is above `number`.
    pub(crate) fn since(&self, number: u64) -> Requests {
        let requests = self.entries.iter().filter(|entry| entry.number > number).cloned().collect();
        Requests { last: self.last, requests }
    }

    /// Forgets every request. The numbers go on.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyFacts, Head, MAXIMUM_BYTES, MAXIMUM_REQUESTS, RequestLog};

    fn head(path: &str) -> Head {
        Head {
            host: "company.intelligencebank.com".to_owned(),
            method: "GET".to_owned(),
            raw_path: path.to_owned(),
            raw_query: String::new(),
            raw_target: path.to_owned(),
            http_version: "HTTP/1.1",
            headers: std::iter::once(("sid".to_owned(), "0".to_owned())).collect(),
        }
    }

    #[test]
    fn a_long_run_keeps_the_newest_requests_and_their_numbers() {
        let mut log = RequestLog::default();
        for _ in 0..MAXIMUM_REQUESTS + 5 {
            log.begin(head("/"));
        }
        let kept = log.since(0);
        assert_eq!(kept.requests.len(), MAXIMUM_REQUESTS);
        assert_eq!(kept.requests[0].number, 6);
        assert_eq!(kept.last, u64::try_from(MAXIMUM_REQUESTS + 5).unwrap());
    }

    #[test]
    fn enormous_heads_do_not_fill_the_memory() {
        let mut log = RequestLog::default();
        let long = "/".repeat(1024 * 1024);
        for _ in 0..100 {
            log.begin(head(&long));
        }
        assert!(log.bytes <= MAXIMUM_BYTES);
        assert!(log.since(0).requests.len() < 100);
    }

    #[test]
    fn a_body_that_ends_after_the_log_was_cleared_is_noted_nowhere() {
        let mut log = RequestLog::default();
        let before = log.begin(head("/before"));
        log.clear();
        let after = log.begin(head("/after"));
        log.note_body(before, BodyFacts { body_sha256: None, body_length: 1 });
        log.note_body(after, BodyFacts { body_sha256: None, body_length: 2 });
        let requests = log.since(0).requests;
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].body.body_length, 2);
        assert_eq!(requests[0].number, before + 1);
    }
}
