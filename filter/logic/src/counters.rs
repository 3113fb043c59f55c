//! The counters of the filter: a short and stable list, so that dashboards can build on the names.
//!
//! A name is `ib_gateway.<what>.<label>.<value>`; Envoy shows it as `wasmcustom.<name>`, and its
//! `stats_tags` turn each `<label>.<value>` into a label (docs/observability.md).

macro_rules! counters {
    ($($(#[$doc:meta])* $counter:ident = $name:literal,)*) => {
        /// One counter, with a fixed name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Counter { $($(#[$doc])* $counter,)* }

        impl Counter {
            /// Every counter, in the order of its discriminant.
            pub const ALL: [Self; [$(Self::$counter),*].len()] = [$(Self::$counter),*];

            /// The counter's name. Envoy shows it as `wasmcustom.<name>`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$counter => concat!("ib_gateway.", $name),)* }
            }
        }
    };
}

counters! {
    /// The request went upstream with a session.
    RequestApproved = "requests.outcome.approved",
    /// 400: the target, the authorization or the kind of request is not acceptable.
    RequestInvalid = "requests.outcome.invalid_request",
    /// 405.
    RequestMethodNotAllowed = "requests.outcome.method_not_allowed",
    /// 401: no Bearer token.
    RequestMissingToken = "requests.outcome.missing_token",
    /// 401: the token is unknown, expired, revoked or meant for another resource.
    RequestInvalidToken = "requests.outcome.invalid_token",
    /// 401: the session is over.
    RequestSessionExpired = "requests.outcome.session_expired",
    /// 401: the session is over and its renewals had run out.
    RequestRefreshLimitExceeded = "requests.outcome.refresh_limit_exceeded",
    /// 403: the host is not allowed, or is no host of the token's sessions.
    RequestAccessDenied = "requests.outcome.access_denied",
    /// 403: the token's scope is too small.
    RequestInsufficientScope = "requests.outcome.insufficient_scope",
    /// 502: the upstream's answer is encoded and cannot be checked for session ids.
    RequestUnreadableAnswer = "requests.outcome.unreadable_answer",
    /// 416: a part of a JSON document cannot be checked for session ids.
    RequestRangeNotServed = "requests.outcome.range_not_served",
    /// 503: the token service gave no usable answer, or a bound was reached.
    RequestTemporarilyUnavailable = "requests.outcome.temporarily_unavailable",
    /// A cached approval was found and used.
    CacheHit = "cache.result.hit",
    /// A cached refusal was found and used.
    CacheRefused = "cache.result.refused",
    /// Nothing was found: the token service was asked.
    CacheMiss = "cache.result.miss",
    /// Nothing was found, and another request was asking already: this one waits for its answer.
    CacheJoined = "cache.result.joined",
    /// A cached approval was found, but nothing has vouched for it for too long.
    CacheStale = "cache.result.stale",
    /// Nothing was found, and nothing was asked: the token cannot be one of the service's.
    CacheForeign = "cache.result.foreign",
    /// A cached decision made way for another at a bound of the cache.
    CacheEvicted = "cache_evictions",
    /// The token service said that the token is good.
    IntrospectionActive = "introspections.result.active",
    /// The token service said that the token is not good.
    IntrospectionInactive = "introspections.result.inactive",
    /// The callout could not be sent.
    IntrospectionUnsent = "introspections.result.unsent",
    /// The callout ended in a timeout, a reset or a status other than 200.
    IntrospectionFailed = "introspections.result.failed",
    /// The answer is not one of the contract.
    IntrospectionMalformed = "introspections.result.malformed",
    /// The answer is older than a revocation that concerns it: asked again.
    IntrospectionOutdated = "introspections.result.outdated",
    /// A renewal near the session's end gave a newer session.
    RenewalNearExpiryRenewed = "renewals.cause.near_expiry.result.renewed",
    /// A renewal near the session's end gave nothing newer.
    RenewalNearExpiryUnchanged = "renewals.cause.near_expiry.result.unchanged",
    /// A renewal near the session's end had no answer.
    RenewalNearExpiryFailed = "renewals.cause.near_expiry.result.failed",
    /// A renewal after the upstream's rejection gave a newer session.
    RenewalRejectedRenewed = "renewals.cause.rejected.result.renewed",
    /// A renewal after the upstream's rejection gave nothing newer: the session is over.
    RenewalRejectedUnchanged = "renewals.cause.rejected.result.unchanged",
    /// A renewal after the upstream's rejection had no answer.
    RenewalRejectedFailed = "renewals.cause.rejected.result.failed",
    /// A rejected request was sent again with a newer session, and answered.
    ReplayAnswered = "replays.result.answered",
    /// A rejected request was sent again and got no answer.
    ReplayFailed = "replays.result.failed",
    /// A rejected request was sent again, and the answer was too large to be handed on.
    ReplayTooLarge = "replays.result.too_large",
    /// A rejected request could not be sent again: its body was not kept, or a bound was reached.
    ReplayImpossible = "replays.result.impossible",
    /// A poll of the revocation feed was answered.
    FeedAnswered = "revocation_polls.result.answered",
    /// A poll of the revocation feed had no usable answer.
    FeedFailed = "revocation_polls.result.failed",
    /// Events of the revocation feed.
    FeedEvents = "revocations",
    /// Everything was forgotten, because the feed cannot say what was missed.
    FeedReset = "revocation_resets",
    /// Response bodies that were searched for session ids.
    BodySearched = "bodies.result.searched",
    /// Response bodies in which session ids were masked.
    BodyMasked = "bodies.result.masked",
}

impl Counter {
    /// The counter's place in [`Counter::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn a_counter_sits_at_its_index_so_that_no_outcome_is_counted_as_another() {
        for (index, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter.index(), index, "{}", counter.name());
        }
    }

    #[test]
    fn names_are_distinct_so_that_a_dashboard_does_not_add_two_counters_up() {
        let names: std::collections::BTreeSet<_> =
            Counter::ALL.into_iter().map(Counter::name).collect();
        assert_eq!(names.len(), Counter::ALL.len());
    }
}
