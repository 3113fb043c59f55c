//! The counters of the filter: a short and stable list, so that dashboards can build on the names.

/// One counter. Each has a fixed name; a part such as `.outcome.<value>` is meant to become a label
/// through Envoy's `stats_tags`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// The request went upstream with a session.
    RequestApproved,
    /// 400: the target, the authorization or the kind of request is not acceptable.
    RequestInvalid,
    /// 405.
    RequestMethodNotAllowed,
    /// 401: no Bearer token.
    RequestMissingToken,
    /// 401: the token is unknown, expired, revoked or meant for another resource.
    RequestInvalidToken,
    /// 401: the session is over.
    RequestSessionExpired,
    /// 401: the session is over and its renewals had run out.
    RequestRefreshLimitExceeded,
    /// 403: the host is not allowed, or is no host of the token's sessions.
    RequestAccessDenied,
    /// 503: the token service gave no usable answer, or too many streams were waiting for one.
    RequestTemporarilyUnavailable,
    /// A cached approval was found.
    CacheHit,
    /// A cached refusal was found.
    CacheRefused,
    /// Nothing was found: the token service was asked.
    CacheMiss,
    /// Nothing was found, and nothing was asked: the token cannot be one of the service's.
    CacheForeign,
    /// The token service said that the token is good.
    IntrospectionActive,
    /// The token service said that the token is not good.
    IntrospectionInactive,
    /// The callout could not be sent.
    IntrospectionUnsent,
    /// The callout ended in a timeout, a reset or a status other than 200.
    IntrospectionFailed,
    /// The answer is not one of the contract.
    IntrospectionMalformed,
}

impl Counter {
    /// Every counter, in the order of its discriminant.
    pub const ALL: [Self; 18] = [
        Self::RequestApproved,
        Self::RequestInvalid,
        Self::RequestMethodNotAllowed,
        Self::RequestMissingToken,
        Self::RequestInvalidToken,
        Self::RequestSessionExpired,
        Self::RequestRefreshLimitExceeded,
        Self::RequestAccessDenied,
        Self::RequestTemporarilyUnavailable,
        Self::CacheHit,
        Self::CacheRefused,
        Self::CacheMiss,
        Self::CacheForeign,
        Self::IntrospectionActive,
        Self::IntrospectionInactive,
        Self::IntrospectionUnsent,
        Self::IntrospectionFailed,
        Self::IntrospectionMalformed,
    ];

    /// The counter's name. Envoy shows it as `wasmcustom.<name>`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestApproved => "ib_gateway.requests.outcome.approved",
            Self::RequestInvalid => "ib_gateway.requests.outcome.invalid_request",
            Self::RequestMethodNotAllowed => "ib_gateway.requests.outcome.method_not_allowed",
            Self::RequestMissingToken => "ib_gateway.requests.outcome.missing_token",
            Self::RequestInvalidToken => "ib_gateway.requests.outcome.invalid_token",
            Self::RequestSessionExpired => "ib_gateway.requests.outcome.session_expired",
            Self::RequestRefreshLimitExceeded => {
                "ib_gateway.requests.outcome.refresh_limit_exceeded"
            }
            Self::RequestAccessDenied => "ib_gateway.requests.outcome.access_denied",
            Self::RequestTemporarilyUnavailable => {
                "ib_gateway.requests.outcome.temporarily_unavailable"
            }
            Self::CacheHit => "ib_gateway.cache.result.hit",
            Self::CacheRefused => "ib_gateway.cache.result.refused",
            Self::CacheMiss => "ib_gateway.cache.result.miss",
            Self::CacheForeign => "ib_gateway.cache.result.foreign",
            Self::IntrospectionActive => "ib_gateway.introspections.result.active",
            Self::IntrospectionInactive => "ib_gateway.introspections.result.inactive",
            Self::IntrospectionUnsent => "ib_gateway.introspections.result.unsent",
            Self::IntrospectionFailed => "ib_gateway.introspections.result.failed",
            Self::IntrospectionMalformed => "ib_gateway.introspections.result.malformed",
        }
    }

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
