//! Registered redirect URIs and what they match: strings, never parsed URLs, so that no two parsers
//! can disagree about a host.

use url::Url;

use crate::hosts::{is_host, is_label};

/// Hosts whose port a native application may choose at will (RFC 8252 section 7.3).
const LOOPBACK_HOSTS: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

const NOT_NORMAL: &str = "must be written in its normal form: lower-case host, no default port, a path, \
                          no `.` and `..` in it";

/// One registered redirect URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RegisteredRedirect {
    /// Matches this string alone (RFC 9700 section 2.1).
    Exact(String),
    /// `https://*` and the rest, where the star stands for one whole label.
    OneLabel {
        /// Everything behind the star, from the dot on.
        rest: String,
    },
    /// A loopback address with any port or none (RFC 8252 section 7.3).
    Loopback {
        /// `http://` and the host.
        origin: String,
        /// Path and query.
        rest: String,
    },
}

impl RegisteredRedirect {
    /// Reads a registration.
    ///
    /// # Errors
    ///
    /// A sentence about what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['#', '\\']) {
            return Err("must be printable ASCII without `#`, `\\` and spaces");
        }
        if let Some(rest) = text.strip_prefix("https://*") {
            return Self::parse_pattern(rest);
        }
        if text.contains('*') {
            return Err("a wildcard must be the whole first label of an https host");
        }
        let url = parse_url(text)?;
        match url.scheme() {
            "https" if url.as_str() != text => Err(NOT_NORMAL),
            "https" => Ok(Self::Exact(text.to_owned())),
            "http" => Self::parse_loopback(text),
            // A private-use scheme of a native application (RFC 8252 section 7.1).
            scheme if scheme.contains('.') => Ok(Self::Exact(text.to_owned())),
            _ => Err("must be https, http on a loopback host, or a scheme in reverse domain form"),
        }
    }

    fn parse_pattern(rest: &str) -> Result<Self, &'static str> {
        let host = rest.strip_prefix('.').and_then(|rest| rest.split(['/', ':', '?']).next());
        if !host.is_some_and(|host| is_host(host) && host.contains('.')) {
            return Err("a wildcard needs a dot and two more labels behind it");
        }
        if rest.contains('*') {
            return Err("one wildcard is enough");
        }
        // Any label will do to see where the URL leads.
        let example = format!("https://x{rest}");
        if parse_url(&example)?.as_str() != example {
            return Err(NOT_NORMAL);
        }
        Ok(Self::OneLabel { rest: rest.to_owned() })
    }

    fn parse_loopback(text: &str) -> Result<Self, &'static str> {
        let (origin, rest) = LOOPBACK_HOSTS
            .iter()
            .find_map(|host| {
                let origin = format!("http://{host}");
                let rest = without_port(text.strip_prefix(&origin)?)?;
                Some((origin, rest))
            })
            .ok_or("http is for 127.0.0.1, [::1] and localhost alone, with a path")?;
        let plain = format!("{origin}{rest}");
        if parse_url(&plain)?.as_str() != plain {
            return Err(NOT_NORMAL);
        }
        Ok(Self::Loopback { origin, rest: rest.to_owned() })
    }

    /// Whether this names one place, and not every one that fits a wildcard.
    pub(crate) fn is_plain(&self) -> bool {
        !matches!(self, Self::OneLabel { .. })
    }

    /// Whether this is a loopback address.
    pub(crate) fn is_loopback(&self) -> bool {
        matches!(self, Self::Loopback { .. })
    }

    /// The host of one https URL.
    pub(crate) fn https_host(&self) -> Option<&str> {
        let Self::Exact(exact) = self else { return None };
        exact.starts_with("https://").then(|| authority(exact).split(':').next()).flatten()
    }

    /// Whether a client may name `uri`.
    pub(crate) fn matches(&self, uri: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == uri,
            Self::OneLabel { rest } => uri
                .strip_prefix("https://")
                .and_then(|uri| uri.strip_suffix(rest.as_str()))
                .is_some_and(is_label),
            Self::Loopback { origin, rest } => {
                uri.strip_prefix(origin.as_str()).and_then(without_port) == Some(rest.as_str())
            }
        }
    }
}

/// The URL, if it leads where a reader sees it lead.
fn parse_url(text: &str) -> Result<Url, &'static str> {
    let url =
        Url::parse(text).map_err(|_| "must be an absolute URI with a host and a valid port")?;
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        return Err("must not hold a user or password");
    }
    if url.port() == Some(0) {
        return Err("must not have port 0");
    }
    if text.contains("://") && authority(text).is_empty() {
        return Err("must not have an empty host");
    }
    Ok(url)
}

/// What stands between `://` and the path, as it is written.
fn authority(text: &str) -> &str {
    let behind = text.split_once("://").map_or("", |(_, behind)| behind);
    behind.split(['/', '?']).next().unwrap_or_default()
}

/// What follows an optional port. `None` when there is something else, or no path.
fn without_port(text: &str) -> Option<&str> {
    let rest = match text.strip_prefix(':') {
        None => text,
        Some(text) => {
            let end = text.find('/')?;
            let (port, rest) = text.split_at_checked(end)?;
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            (digits && port.parse::<u16>().is_ok_and(|port| port != 0)).then_some(rest)?
        }
    };
    rest.starts_with('/').then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::RegisteredRedirect;

    fn matches(registered: &str, uri: &str) -> bool {
        RegisteredRedirect::parse(registered).unwrap().matches(uri)
    }

    #[test]
    fn row_2_rfc_9700_a_redirect_is_compared_as_a_string() {
        let registered = "https://claude.ai/api/mcp/auth_callback";
        assert!(matches(registered, registered));
        for uri in [
            "https://claude.ai/api/mcp/auth_callback/",
            "https://claude.ai/api/mcp/auth_callback?x=1",
            "https://claude.ai/api/mcp/auth_callback#x",
            "https://CLAUDE.ai/api/mcp/auth_callback",
            "https://claude.ai:443/api/mcp/auth_callback",
            "https://claude.ai/api/mcp/../mcp/auth_callback",
            "https://claude.ai@evil.example/api/mcp/auth_callback",
            "http://claude.ai/api/mcp/auth_callback",
            "",
        ] {
            assert!(!matches(registered, uri), "{uri}");
        }
    }

    #[test]
    fn defect_4_a_wildcard_stands_for_one_whole_label_of_the_host() {
        let registered = "https://*.connectingib.com/callback";
        assert!(matches(registered, "https://app.connectingib.com/callback"));
        assert!(matches(registered, "https://my-app2.connectingib.com/callback"));
        for uri in [
            "https://evil.com/x.connectingib.com/callback",
            "https://evil.com?.connectingib.com/callback",
            "https://evil.com#.connectingib.com/callback",
            "https://evil.com\\.connectingib.com/callback",
            "https://evil.com%2f.connectingib.com/callback",
            "https://user@.connectingib.com/callback",
            "https://a.b.connectingib.com/callback",
            "https://.connectingib.com/callback",
            "https://connectingib.com/callback",
            "https://*.connectingib.com/callback",
            "https://-.connectingib.com/callback",
            "http://app.connectingib.com/callback",
            "https://app.connectingib.com/callback/x",
            "https://app.connectingib.com:8443/callback",
        ] {
            assert!(!matches(registered, uri), "{uri}");
        }
    }

    #[test]
    fn row_3_rfc_8252_7_3_a_loopback_redirect_may_have_any_port_and_the_same_path() {
        let registered = "http://127.0.0.1/callback";
        for uri in [
            "http://127.0.0.1/callback",
            "http://127.0.0.1:1/callback",
            "http://127.0.0.1:65535/callback",
        ] {
            assert!(matches(registered, uri), "{uri}");
        }
        assert!(matches("http://[::1]/callback", "http://[::1]:5000/callback"));
        assert!(matches("http://127.0.0.1:3000/callback", "http://127.0.0.1:4000/callback"));
        for uri in [
            "http://localhost:3000/callback",
            "http://127.0.0.2:3000/callback",
            "http://127.0.0.1:3000/other",
            "http://127.0.0.1:3000/callback?x",
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:+80/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1@evil.example/callback",
            "https://127.0.0.1:3000/callback",
        ] {
            assert!(!matches(registered, uri), "{uri}");
        }
    }

    #[test]
    fn row_3_localhost_matches_only_where_it_is_registered() {
        assert!(matches("http://localhost/callback", "http://localhost:8123/callback"));
        assert!(!matches("http://localhost/callback", "http://localhost.evil.example/callback"));
        assert!(!matches("http://localhost/callback", "http://127.0.0.1:8123/callback"));
    }

    #[test]
    fn registrations_that_would_allow_too_much_are_refused_at_start() {
        for bad in [
            "https://*.com/callback",
            "https://*/callback",
            "https://*connectingib.com/callback",
            "https://a.*.connectingib.com/callback",
            "https://*.*.connectingib.com/callback",
            "https://*.connectingib.com/*",
            "http://app.example.com/callback",
            "http://127.0.0.1",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://app.example.com/callback#fragment",
            "/callback",
            "",
            "https://*.a.b:x@evil.com/cb",
            "https://*.a.b:99999/cb",
            "https://*.a.b:0/cb",
            "https://*.a.b:443/cb",
            "https://*.a.b/x/../cb",
            "https://*.a.b",
            "https://user@app.example.com/cb",
            "https://:secret@app.example.com/cb",
            "https://@app.example.com/cb",
            "https://app.example.com:0/cb",
            "https://app.example.com:x/cb",
            "https://app.example.com:443/cb",
            "https://APP.example.com/cb",
            "https://app.example.com",
            "https:app.example.com/cb",
            "https:///app.example.com/cb",
            "https://",
            "https://app.example.com/c\tb",
            "https://app.example.com/cb\n",
            "\u{7f}https://app.example.com/cb",
            "http://127.0.0.1/x/../cb",
            "http://user@127.0.0.1/cb",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:x/cb",
            "com.example.app:/c\u{1}b",
            "com.example.app://user@host/cb",
            "com.example.app://host:99999/cb",
            "com.example.app:///cb",
        ] {
            assert!(RegisteredRedirect::parse(bad).is_err(), "{bad}");
        }
        for good in [
            "com.example.app:/callback",
            "https://app.example.com/",
            "https://app.example.com:8443/callback?tenant=1",
            "https://*.a.b:8443/callback",
            "http://127.0.0.1:80/callback",
        ] {
            assert!(RegisteredRedirect::parse(good).is_ok(), "{good}");
        }
    }
}
