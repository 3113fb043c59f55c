//! The `Range` header (RFC 9110, section 14): one range of bytes, which is what clients send.

/// What to send of a content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: there is no range, or none that is understood (section 14.2 has it ignored).
    Whole,
    /// The bytes from the first up to and including the second.
    Part(u64, u64),
    /// The range has no byte of the content.
    Unsatisfiable,
}

/// Reads the value of `Range` for a content of `size` bytes.
pub(super) fn select(value: Option<&str>, size: u64) -> Selection {
    value.and_then(|value| parse(value, size)).unwrap_or(Selection::Whole)
}

fn parse(value: &str, size: u64) -> Option<Selection> {
    let (unit, range) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let end = size.checked_sub(1);
    if first.is_empty() {
        let length = number(last)?;
        return Some(match end {
            Some(end) if length > 0 => Selection::Part(size.saturating_sub(length), end),
            _ => Selection::Unsatisfiable,
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(match end {
        Some(end) if first <= end => Selection::Part(first, last.min(end)),
        _ => Selection::Unsatisfiable,
    })
}

/// Digits only: `parse` alone would take a sign as well.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than fit name a byte beyond any end.
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Selection::{Part, Unsatisfiable, Whole};
    use super::select;

    #[test]
    fn a_resumed_download_gets_the_bytes_it_asks_for() {
        let cases = [
            ("bytes=0-99", Part(0, 99)),
            ("bytes=500-", Part(500, 999)),
            ("bytes=-100", Part(900, 999)),
            ("bytes=-5000", Part(0, 999)),
            ("bytes=990-5000", Part(990, 999)),
            ("bytes=0-99999999999999999999999", Part(0, 999)),
            ("bytes=1000-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=9-3", Whole),
            ("bytes=+1-3", Whole),
            ("bytes=0-1,4-5", Whole),
            ("lines=0-1", Whole),
            ("bytes", Whole),
            ("bytes=-", Whole),
        ];
        for (value, selection) in cases {
            assert_eq!(select(Some(value), 1000), selection, "{value}");
        }
        assert_eq!(select(None, 1000), Whole);
        assert_eq!(select(Some("bytes=0-"), 0), Unsatisfiable);
    }
}
