//! The revocation feed over the kills: a gateway that follows it hears of everything, in one order.

use std::collections::BTreeSet;

use crate::lines::Lines;

#[derive(Debug, Default)]
pub(crate) struct Feed {
    position: Option<u64>,
    /// Hashes of the access tokens that it said were revoked.
    revoked: BTreeSet<String>,
    pub(crate) events: u64,
}

impl Feed {
    /// Reads on to the head. Numbers only grow, and nothing is left out.
    pub(crate) fn follow(&mut self, lines: &mut Lines<'_>) {
        loop {
            let answer = lines.feed(self.position).expect("an answer");
            let as_of = answer["as_of"].as_u64().expect("a number");
            let before = self.position.unwrap_or_default();
            assert!(as_of >= before, "the feed went back from {before} to {as_of}");
            assert_ne!(answer["reset"], true, "the feed lost what came after {before}");
            let mut last = before;
            for event in answer["events"].as_array().into_iter().flatten() {
                let number = event["number"].as_u64().expect("a number");
                assert!(number > last && number <= as_of, "event {number} after {last}: {answer}");
                last = number;
                self.events += 1;
                self.revoked.extend(event["token_sha256"].as_str().map(str::to_owned));
            }
            if self.position.replace(as_of) == Some(as_of) {
                return;
            }
        }
    }

    /// Every revocation that was answered is in the feed.
    pub(crate) fn assert_has(&self, token: &str) {
        let hash = ib_contract::token_sha256(token);
        assert!(self.revoked.contains(&hash), "a gateway never hears of a revoked token");
    }
}
