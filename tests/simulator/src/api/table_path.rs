//! IB's own path shapes, such as `resource.limit(0,100).order(createTime:-1).fields()`.

/// What stands behind the client id in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TablePath<'a> {
    raw: &'a str,
    /// The table: `resource`, `folder`, `user`, `file`.
    pub(super) table: &'a str,
    /// The record, if the path names one.
    pub(super) id: Option<&'a str>,
    /// Whether more segments follow than a table and a record.
    pub(super) goes_deeper: bool,
    /// First row and number of rows, if the path names them.
    pub(super) limit: Option<(u64, u64)>,
}

impl<'a> TablePath<'a> {
    /// Reads `raw`, which begins with the table's name.
    pub(super) fn parse(raw: &'a str) -> Self {
        let mut segments = raw.split('/').filter(|segment| !segment.is_empty());
        let first = segments.next().unwrap_or_default();
        let id = segments.next().map(without_modifiers);
        Self {
            raw,
            table: without_modifiers(first),
            id,
            goes_deeper: segments.next().is_some(),
            limit: modifier(first, "limit").and_then(pair),
        }
    }

    /// Whether this is a path that demonstrates a refusal.
    pub(super) fn is_forbidden(&self) -> bool {
        self.raw == "forbidden" || self.raw.ends_with("/forbidden")
    }
}

fn without_modifiers(segment: &str) -> &str {
    segment.split('.').next().unwrap_or_default()
}

/// What stands between the parentheses of `.name(..)`.
fn modifier<'a>(segment: &'a str, name: &str) -> Option<&'a str> {
    segment
        .split('.')
        .skip(1)
        .find_map(|modifier| modifier.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')'))
}

fn pair(arguments: &str) -> Option<(u64, u64)> {
    let (first, second) = arguments.split_once(',')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::TablePath;

    #[test]
    fn the_shapes_that_clients_send_are_understood() {
        let list = "resource.limit(20,100).order(createTime:-1).fields().includeAmaTags(a,b)";
        let path = TablePath::parse(list);
        assert_eq!((path.table, path.id, path.limit), ("resource", None, Some((20, 100))));
        let record = TablePath::parse("resource/abc.fields(x)");
        assert_eq!((record.table, record.id, record.limit), ("resource", Some("abc"), None));
        let slash = TablePath::parse("resource/");
        assert_eq!((slash.table, slash.id, slash.goes_deeper), ("resource", None, false));
        assert!(TablePath::parse("resource/a/b").goes_deeper);
        assert_eq!(TablePath::parse("resource.limit(0)").limit, None);
    }

    #[test]
    fn a_forbidden_path_is_recognised_by_its_end() {
        assert!(TablePath::parse("resource/forbidden").is_forbidden());
        assert!(TablePath::parse("forbidden").is_forbidden());
        assert!(!TablePath::parse("resource/forbidden/x").is_forbidden());
        assert!(!TablePath::parse("resource/unforbidden").is_forbidden());
    }
}
