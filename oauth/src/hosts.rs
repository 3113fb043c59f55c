//! Host names: which are well formed, and which an operator allows.

/// A host of an allow-list: exact, or `*.` and a suffix, where the star stands for one whole label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostPattern {
    Exact(String),
    /// The suffix, without `*` and with its leading dot.
    OneLabelThen(String),
}

impl HostPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// A sentence about what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        match text.strip_prefix("*.") {
            None if is_host(text) => Ok(Self::Exact(text.to_owned())),
            Some(suffix) if is_host(suffix) && suffix.contains('.') => {
                Ok(Self::OneLabelThen(format!(".{suffix}")))
            }
            Some(suffix) if is_host(suffix) => Err("a wildcard needs two labels behind it"),
            _ => Err("must be a lower-case host name, or `*.` and one; no address, port or path"),
        }
    }

    fn allows(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::OneLabelThen(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        }
    }
}

/// The hosts that an operator allows.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostList(Vec<HostPattern>);

impl HostList {
    pub(crate) fn new(patterns: Vec<HostPattern>) -> Self {
        Self(patterns)
    }

    /// Whether `host` (lower case, without a trailing dot) is on the list.
    pub(crate) fn allows(&self, host: &str) -> bool {
        is_host(host) && self.0.iter().any(|pattern| pattern.allows(host))
    }

    /// The suffix of the first wildcard, with its leading dot: what completes a bare company name.
    fn completion(&self) -> Option<&str> {
        self.0.iter().find_map(|pattern| match pattern {
            HostPattern::OneLabelThen(suffix) => Some(suffix.as_str()),
            HostPattern::Exact(_) => None,
        })
    }
}

/// Why what a person entered names no platform of the allow-list. The words are for that person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlatformError {
    #[error("Enter the address of your IntelligenceBank platform")]
    Missing,
    #[error("The platform address must begin with https")]
    NotHttps,
    #[error("The platform address must not contain a user name or a port")]
    UserOrPort,
    #[error("This is not the address of a platform, such as company.intelligencebank.com")]
    Malformed,
    #[error("This platform is not one that this service may log in to")]
    NotAllowed,
}

/// Reads what a person or a client gave as `platform_url`: `company`, a host, or a URL, whose path
/// and query are ignored. The answer is a host of `allowed`, in lower case.
///
/// # Errors
///
/// [`PlatformError`], in words for the person.
pub(crate) fn platform_host(text: &str, allowed: &HostList) -> Result<String, PlatformError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(PlatformError::Missing);
    }
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
        Some(_) => return Err(PlatformError::NotHttps),
        None => text,
    };
    // A backslash ends the host for a browser, so it does here.
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(PlatformError::UserOrPort);
    }
    let host = match authority.split_once(':') {
        None | Some((_, "443")) => authority.split(':').next().unwrap_or_default(),
        Some(_) => return Err(PlatformError::UserOrPort),
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let host = match allowed.completion() {
        Some(suffix) if !host.contains('.') => format!("{host}{suffix}"),
        _ => host,
    };
    if !is_host(&host) {
        return Err(PlatformError::Malformed);
    }
    if !allowed.allows(&host) {
        return Err(PlatformError::NotAllowed);
    }
    Ok(host)
}

/// Reads an upstream's own URL of an API host: https, the default port, and nothing but a host.
/// The answer is the host, in lower case.
pub(crate) fn api_host(url: &str, allowed: &HostList) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let host = rest.strip_suffix(":443").unwrap_or(rest).to_ascii_lowercase();
    allowed.allows(&host).then_some(host)
}

/// Whether `text` is a lower-case DNS name and no IP address in any notation.
pub(crate) fn is_host(text: &str) -> bool {
    let labels = || text.split('.');
    text.len() <= 253
        && labels().all(is_label)
        // The last label of a name is never all digits, nor hexadecimal digits behind `0x`, as those
        // of addresses are (WHATWG URL, "ends in a number").
        && labels().next_back().is_some_and(|last| {
            !last.bytes().all(|byte| byte.is_ascii_digit())
                && !last.strip_prefix("0x").is_some_and(|digits| {
                    digits.bytes().all(|byte| byte.is_ascii_hexdigit())
                })
        })
}

/// Whether `text` is one lower-case label of a DNS name.
pub(crate) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HostList, HostPattern, PlatformError, api_host, platform_host};

    fn allowed() -> HostList {
        HostList::new(
            ["*.intelligencebank.com", "assets.example.org"]
                .iter()
                .map(|text| HostPattern::parse(text).unwrap())
                .collect(),
        )
    }

    #[test]
    fn what_people_type_for_their_platform_is_understood() {
        for text in [
            "company",
            " Company ",
            "company.intelligencebank.com",
            "COMPANY.IntelligenceBank.com.",
            "https://company.intelligencebank.com",
            "HTTPS://company.intelligencebank.com:443/auth/?x=1#y",
            "company.intelligencebank.com/some/path",
        ] {
            let host = platform_host(text, &allowed());
            assert_eq!(host.as_deref(), Ok("company.intelligencebank.com"), "{text}");
        }
        let own = platform_host("https://assets.example.org/", &allowed());
        assert_eq!(own.as_deref(), Ok("assets.example.org"));
    }

    #[test]
    fn defect_3_no_other_address_is_ever_contacted() {
        use PlatformError::{Malformed, Missing, NotAllowed, NotHttps, UserOrPort};
        for (text, expected) in [
            ("", Missing),
            ("  ", Missing),
            ("http://company.intelligencebank.com", NotHttps),
            ("file:///etc/passwd", NotHttps),
            ("gopher://company.intelligencebank.com", NotHttps),
            ("https://company.intelligencebank.com@evil.example", UserOrPort),
            ("https://evil.example@company.intelligencebank.com", UserOrPort),
            ("company.intelligencebank.com:8443", UserOrPort),
            ("company.intelligencebank.com:443:443", UserOrPort),
            ("https://[::1]/", UserOrPort),
            ("evil.example", NotAllowed),
            ("evil.example/.intelligencebank.com", NotAllowed),
            ("evil.example\\.intelligencebank.com", NotAllowed),
            ("evil.example#.intelligencebank.com", NotAllowed),
            ("a.b.intelligencebank.com", NotAllowed),
            ("intelligencebank.com", NotAllowed),
            ("xintelligencebank.com", NotAllowed),
            ("company.intelligencebank.com.evil.example", NotAllowed),
            ("169.254.169.254", Malformed),
            ("127.1", Malformed),
            ("127.0.0.0x1", Malformed),
            (".intelligencebank.com", Malformed),
            ("-.intelligencebank.com", Malformed),
            ("comp%61ny.intelligencebank.com", Malformed),
            ("compány.intelligencebank.com", Malformed),
            ("com pany.intelligencebank.com", Malformed),
            ("company\u{0}.intelligencebank.com", Malformed),
            ("company..intelligencebank.com", Malformed),
            ("company.intelligencebank.com..", Malformed),
        ] {
            assert_eq!(platform_host(text, &allowed()), Err(expected), "{text}");
        }
    }

    #[test]
    fn an_api_address_with_anything_but_a_host_is_refused() {
        let good =
            ["https://apiv3.intelligencebank.com", "https://APIV3.intelligencebank.com:443/"];
        for url in good {
            let host = api_host(url, &allowed());
            assert_eq!(host.as_deref(), Some("apiv3.intelligencebank.com"), "{url}");
        }
        for url in [
            "http://apiv3.intelligencebank.com",
            "apiv3.intelligencebank.com",
            "https://apiv3.intelligencebank.com/v3",
            "https://apiv3.intelligencebank.com?x",
            "https://apiv3.intelligencebank.com:8443",
            "https://user@apiv3.intelligencebank.com",
            "https://evil.example",
            "https://10.0.0.1",
            "https://",
            "",
        ] {
            assert_eq!(api_host(url, &allowed()), None, "{url}");
        }
    }

    #[test]
    fn an_allow_list_that_would_allow_too_much_is_refused() {
        for pattern in
            ["*", "*.com", "*.", "", "a.*.com", "**.example.com", "*x.example.com", "127.0.0.1"]
        {
            assert!(HostPattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_only_an_allowed_host_comes_out(text in "\\PC{0,60}") {
            if let Ok(host) = platform_host(&text, &allowed()) {
                prop_assert!(host == "assets.example.org"
                    || host.strip_suffix(".intelligencebank.com").is_some_and(super::is_label));
            }
        }
    }
}
