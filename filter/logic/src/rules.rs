//! Which scopes a request needs: rules by host, method and path.
//!
//! A server behind the gateway may read a path in more than one way, and a client chooses how to write
//! it. So paths are compared as leniently as any server could read them: decoded, in any case, without
//! empty segments and `;parameters`. Where that cannot be told, because a slash or another delimiter
//! is encoded, the path is taken for every path. A request never needs less by being written otherwise.

use std::borrow::Cow;

use crate::{percent::decode_fully, policy::HostPattern};

/// The rules, ready to be asked.
pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// Paths whose requests carry their real method and path in the body.
    tunnels: Vec<PathPrefix>,
}

impl Rules {
    pub(crate) fn new(rules: Vec<Rule>, tunnels: Vec<PathPrefix>) -> Self {
        Self { rules, tunnels }
    }

    /// Whether no request needs any scope.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// All the scope that a request needs, if `granted` lacks any of it.
    #[inline(never)]
    pub(crate) fn missing_scope(
        &self,
        host: &str,
        method: &[u8],
        path: &[u8],
        granted: &str,
    ) -> Option<String> {
        let path = JudgedPath::of(path);
        let is_tunnelled = path.is_under_one_of(&self.tunnels);
        let needed = || {
            let rules = self.rules.iter().filter(|rule| rule.is_for(host));
            let rules = rules.filter(|rule| is_tunnelled || rule.applies(method, &path));
            rules.flat_map(|rule| &rule.scope)
        };
        if needed().all(|scope| granted.split(' ').any(|other| other == scope)) {
            return None;
        }
        let mut scopes: Vec<&str> = Vec::new();
        for scope in needed() {
            if !scopes.contains(&scope.as_str()) {
                scopes.push(scope);
            }
        }
        Some(scopes.join(" "))
    }
}

/// One rule: requests that it is for need all of its scope.
pub(crate) struct Rule {
    hosts: Vec<HostPattern>,
    methods: Vec<String>,
    prefixes: Vec<PathPrefix>,
    scope: Vec<String>,
}

impl Rule {
    /// A rule for every combination of the hosts, methods and paths. `scope` fits [`is_scope`].
    pub(crate) fn new(
        hosts: Vec<HostPattern>,
        methods: Vec<String>,
        prefixes: Vec<PathPrefix>,
        scope: &str,
    ) -> Self {
        Self { hosts, methods, prefixes, scope: scope.split(' ').map(str::to_owned).collect() }
    }

    fn is_for(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    fn applies(&self, method: &[u8], path: &JudgedPath<'_>) -> bool {
        // HEAD tells of a resource what GET tells of it, but for the body.
        let names = |method: &[u8]| self.methods.iter().any(|name| name.as_bytes() == method);
        (names(method) || (method == b"HEAD" && names(b"GET")))
            && path.is_under_one_of(&self.prefixes)
    }
}

/// Whether a text is a scope: one or more scope tokens with one space between two (RFC 6749 section
/// 3.3). Such a text fits the quoted strings of a challenge.
pub(crate) fn is_scope(text: &str) -> bool {
    text.split(' ').all(|token| {
        !token.is_empty()
            && token.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    })
}

/// A path with all that is under it, as its segments. None of them: every path.
#[derive(Debug)]
pub(crate) struct PathPrefix(Vec<String>);

impl PathPrefix {
    /// Reads a path that begins with a slash; one at the end makes no difference.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(path: &str) -> Result<Self, &'static str> {
        let segments = path.strip_prefix('/').ok_or("must begin with a slash")?;
        let segments = segments.strip_suffix('/').unwrap_or(segments);
        if segments.is_empty() {
            return if path == "/" { Ok(Self(Vec::new())) } else { Err("must not hold `//`") };
        }
        let is_plain = |byte: u8| {
            byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\' | b';' | b'?' | b'#')
        };
        if !segments.bytes().all(is_plain) {
            return Err("must be plain ASCII without `%`, `;`, `?`, `#`, backslashes and spaces");
        }
        if segments.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err("must not hold `//` and dot segments");
        }
        Ok(Self(segments.split('/').map(str::to_owned).collect()))
    }
}

/// A request's path as a lenient server could read it.
struct JudgedPath<'a> {
    text: Cow<'a, [u8]>,
    /// Delimiters are encoded: what a server makes of them cannot be told.
    is_any: bool,
}

impl<'a> JudgedPath<'a> {
    fn of(path: &'a [u8]) -> Self {
        if path.iter().all(|byte| byte.is_ascii() && *byte != b'%') {
            return Self { text: Cow::Borrowed(path), is_any: false };
        }
        let decoded = decode_fully(path);
        let delimiters = |path: &[u8]| path.iter().filter(|byte| is_delimiter(**byte)).count();
        let is_any = delimiters(&decoded) != delimiters(path);
        Self { text: Cow::Owned(decoded), is_any }
    }

    fn is_under_one_of(&self, prefixes: &[PathPrefix]) -> bool {
        prefixes.iter().any(|prefix| self.is_any || self.is_under(prefix))
    }

    fn is_under(&self, PathPrefix(prefix): &PathPrefix) -> bool {
        let mut segments = self.segments();
        prefix.iter().all(|expected| {
            segments.next().is_some_and(|segment| segment.eq_ignore_ascii_case(expected.as_bytes()))
        })
    }

    /// The segments that name something, without their parameters and the spaces around them.
    fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let names = self.text.split(|byte| *byte == b'/').map(|segment| {
            let name = segment.split(|byte| *byte == b';').next();
            name.unwrap_or_default().trim_ascii()
        });
        names.filter(|name| !name.is_empty())
    }
}

const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\' | b';' | b'?' | b'#') || byte.is_ascii_control()
}

#[cfg(test)]
mod tests;
