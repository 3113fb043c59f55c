//! The configuration, checked and ready to be asked.

use std::time::Duration;

use crate::rules::Rules;

/// What the gateway lets through, and how it asks and remembers.
pub(crate) struct Policy {
    /// Path prefixes, the longest first; each begins and ends with `/`.
    pub(crate) prefixes: Vec<String>,
    pub(crate) allowed_hosts: Vec<HostPattern>,
    pub(crate) allowed_ports: Vec<u16>,
    pub(crate) resource_metadata: String,
    pub(crate) resource: String,
    pub(crate) token_format: TokenFormat,
    pub(crate) token_service: TokenService,
    pub(crate) cache: CacheLimits,
    /// `None`: the revocation feed is not read.
    pub(crate) revocations: Option<RevocationFeed>,
    pub(crate) bodies: BodyMode,
    pub(crate) identity: IdentityAskedBy,
    pub(crate) notes: NoteMode,
    /// Whether approved requests say whose they are.
    pub(crate) names_callers: bool,
    pub(crate) replay: Replay,
    pub(crate) rules: Rules,
}

impl Policy {
    /// Whether the plugin asks upstreams for answers that can be searched.
    pub(crate) fn asks_for_identity(&self) -> bool {
        self.bodies == BodyMode::Redact && self.identity == IdentityAskedBy::Plugin
    }

    /// Which prefix a path is under. The path is taken as it is: an encoded prefix is none of ours,
    /// and whatever is none of ours never reaches an upstream.
    pub(crate) fn locate<'a>(&self, path: &'a [u8]) -> Location<'_, 'a> {
        for prefix in &self.prefixes {
            let prefix = prefix.as_str();
            if let Some(rest) = path.strip_prefix(prefix.as_bytes()) {
                return Location::Under { prefix, rest };
            }
            let name = prefix.strip_suffix('/').unwrap_or(prefix);
            if let Some([] | [b'?' | b'#', ..]) = path.strip_prefix(name.as_bytes()) {
                return Location::Under { prefix, rest: &[] };
            }
        }
        Location::Elsewhere
    }

    /// Whether a host, in lower case, may be asked for at all.
    pub(crate) fn allows_host(&self, host: &str) -> bool {
        self.allowed_hosts.iter().any(|pattern| pattern.matches(host))
    }

    /// Whether a token for these resources is one for this gateway (RFC 8707). A trailing slash
    /// makes no difference.
    pub(crate) fn accepts_audience(&self, audience: &[String]) -> bool {
        let resource = self.resource.trim_end_matches('/');
        audience.iter().any(|audience| audience.trim_end_matches('/') == resource)
    }

    /// The scope that a request needs, if `granted` (RFC 6749 section 3.3) lacks any of it. The host is
    /// in lower case, the path raw and without its query.
    pub(crate) fn missing_scope(
        &self,
        host: &str,
        method: &[u8],
        path: &[u8],
        granted: &str,
    ) -> Option<String> {
        if self.rules.is_empty() {
            return None;
        }
        self.rules.missing_scope(host, method, path, granted)
    }
}

/// Where a path lies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location<'policy, 'path> {
    /// Under a prefix: the filter's business.
    Under { prefix: &'policy str, rest: &'path [u8] },
    /// Anywhere else: none of its business.
    Elsewhere,
}

/// One entry of the allow-list, in lower case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HostPattern {
    /// This name.
    Exactly(String),
    /// One label and a dot before this name.
    OneLabelUnder(String),
}

impl HostPattern {
    /// Whether a host, in lower case, is one of these.
    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exactly(name) => name == host,
            Self::OneLabelUnder(name) => host
                .strip_suffix(name.as_str())
                .and_then(|labels| labels.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        }
    }

    /// Whether there is a host that both stand for.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exactly(name), pattern) | (pattern, Self::Exactly(name)) => {
                pattern.matches(name)
            }
            (Self::OneLabelUnder(name), Self::OneLabelUnder(other)) => name == other,
        }
    }
}

/// How the token service is asked.
pub(crate) struct TokenService {
    pub(crate) cluster: String,
    pub(crate) authority: String,
    pub(crate) timeout: Duration,
    /// Streams of one worker that may wait at a time.
    pub(crate) maximum_waiting: u32,
    /// Callouts of one worker that may be under way at a time.
    pub(crate) maximum_callouts: u32,
}

/// Bounds of one worker's memory of decisions.
#[derive(Clone, Copy)]
pub(crate) struct CacheLimits {
    pub(crate) maximum_entries: usize,
    pub(crate) maximum_bytes: usize,
    pub(crate) maximum_seconds: u64,
    pub(crate) maximum_refused_entries: usize,
    pub(crate) maximum_refused_bytes: usize,
    pub(crate) refused_seconds: u64,
}

/// The form of the service's access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFormat {
    /// The service's own, with a tag that can be checked here.
    Opaque,
    /// A JWT, checked before by the proxy, or the service's own.
    Jwt,
}

/// How the revocation feed is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RevocationFeed {
    /// How long decisions are trusted that neither the feed nor an introspection has vouched for.
    pub(crate) maximum_stale_milliseconds: u64,
    /// How long a poll may wait for an event.
    pub(crate) wait_seconds: u64,
}

/// What becomes of session ids in the bodies of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyMode {
    /// They are masked.
    Redact,
    /// Bodies go through as they are.
    Pass,
}

/// Who asks upstreams for answers without a content coding, where bodies are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentityAskedBy {
    /// The plugin, as a part of the rewrite.
    Plugin,
    /// The proxy's route, which spares the plugin a call for each request.
    Route,
}

/// Which streams get a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoteMode {
    /// Those that are refused.
    Refused,
    /// Every one.
    All,
}

/// How requests are sent again after the upstream has rejected a session.
pub(crate) struct Replay {
    pub(crate) cluster: String,
    pub(crate) timeout: Duration,
    /// The largest request body that is kept.
    pub(crate) maximum_request_bytes: usize,
    /// The largest answer that is handed on.
    pub(crate) maximum_response_bytes: usize,
    /// The largest answer that the proxy can hold.
    pub(crate) buffer_limit_bytes: usize,
    /// Requests of one worker that are sent again at a time.
    pub(crate) maximum_in_progress: u32,
}

#[cfg(test)]
mod tests {
    use super::{HostPattern, Location};
    use crate::host::mock::policy_with;
    use serde_json::json;

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        let pattern = HostPattern::OneLabelUnder("intelligencebank.com".to_owned());
        assert!(pattern.matches("company.intelligencebank.com"));
        for host in [
            "intelligencebank.com",
            ".intelligencebank.com",
            "a.b.intelligencebank.com",
            "evilintelligencebank.com",
            "company.intelligencebank.com.evil.example",
        ] {
            assert!(!pattern.matches(host), "{host}");
        }
    }

    #[test]
    fn a_stage_prefix_is_part_of_the_prefix_and_the_innermost_wins() {
        let policy = policy_with(json!({"prefixes": ["/proxy/", "/proxy/dev/", "/main/proxy/"]}));
        let under = |prefix, rest: &'static str| Location::Under { prefix, rest: rest.as_bytes() };
        assert_eq!(policy.locate(b"/proxy/h/x"), under("/proxy/", "h/x"));
        assert_eq!(policy.locate(b"/proxy/dev/h/x"), under("/proxy/dev/", "h/x"));
        assert_eq!(policy.locate(b"/main/proxy/"), under("/main/proxy/", ""));
    }

    #[test]
    fn a_prefix_without_its_slash_is_ours_so_that_the_client_learns_what_is_missing() {
        let policy = policy_with(json!({"prefixes": ["/proxy/"]}));
        for path in ["/proxy", "/proxy?x=1", "/proxy#x"] {
            let expected = Location::Under { prefix: "/proxy/", rest: b"" };
            assert_eq!(policy.locate(path.as_bytes()), expected);
        }
    }

    #[test]
    fn whatever_is_not_literally_under_a_prefix_is_left_alone() {
        let policy = policy_with(json!({"prefixes": ["/proxy/"]}));
        for path in ["", "/", "*", "/proxyx", "/Proxy/h", "/%70roxy/h", "//proxy/h", "/./proxy/h"] {
            assert_eq!(policy.locate(path.as_bytes()), Location::Elsewhere, "{path}");
        }
    }

    #[test]
    fn a_token_for_another_resource_is_not_for_this_gateway() {
        let policy = policy_with(json!({"resource": "https://gateway.example/proxy/"}));
        let accepts = |audience: &[&str]| {
            policy
                .accepts_audience(&audience.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
        };
        assert!(accepts(&["https://gateway.example/proxy/"]));
        assert!(accepts(&["https://other.example", "https://gateway.example/proxy"]));
        assert!(!accepts(&[]));
        assert!(!accepts(&["https://gateway.example/proxy/x", "https://other.example"]));
    }
}
