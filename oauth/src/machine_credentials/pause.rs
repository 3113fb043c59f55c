//! How long a token endpoint is left alone after a failure.

/// Longest pause, in seconds.
pub(super) const LONGEST_PAUSE: u64 = 300;
/// Longest pause after an outage that nobody named a time for, in seconds. The ones before are 1, 2, 4
/// and so on.
const LONGEST_AFTER_OUTAGE: u64 = 60;
/// First pause after the keys were refused, in seconds. The next are twice as long, up to the longest:
/// the same keys will hardly be accepted soon, and an endpoint may lock out who tries often.
const FIRST_AFTER_REFUSAL: u64 = 30;

/// The pause in seconds after `failures` earlier ones in a row. Half of it is certain, and `random`
/// chooses from the other half, so that instances and credentials do not come back together.
pub(super) fn after(failures: u32, is_refusal: bool, retry_after: Option<u64>, random: u64) -> u64 {
    if let Some(seconds) = retry_after {
        return seconds.clamp(1, LONGEST_PAUSE);
    }
    let (first, longest) =
        if is_refusal { (FIRST_AFTER_REFUSAL, LONGEST_PAUSE) } else { (1, LONGEST_AFTER_OUTAGE) };
    let doubled = 1_u64.checked_shl(failures).unwrap_or(u64::MAX);
    let pause = first.saturating_mul(doubled).min(longest);
    let certain = pause.div_ceil(2);
    let more = pause.saturating_sub(certain).saturating_add(1);
    certain.saturating_add(random.checked_rem(more).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn pauses_grow_to_a_bound_and_are_never_none() {
        for (failures, shortest, longest) in [
            (0, 1, 1),
            (1, 1, 2),
            (2, 2, 4),
            (3, 4, 8),
            (6, 30, 60),
            (40, 30, 60),
            (u32::MAX, 30, 60),
        ] {
            let pauses: Vec<_> =
                (0..100).map(|random| after(failures, false, None, random)).collect();
            assert_eq!(pauses.iter().min(), Some(&shortest), "{failures}");
            assert_eq!(pauses.iter().max(), Some(&longest), "{failures}");
        }
    }

    #[test]
    fn keys_that_were_refused_are_shown_again_much_later() {
        assert_eq!(after(0, true, None, 0), 15);
        assert_eq!(after(0, true, None, 15), 30);
        assert_eq!(after(9, true, None, u64::MAX), 150 + u64::MAX % 151);
    }

    #[test]
    fn an_endpoint_that_names_a_time_gets_it_within_bounds() {
        assert_eq!(after(0, false, Some(7), 3), 7);
        assert_eq!(after(0, false, Some(0), 3), 1);
        assert_eq!(after(0, false, Some(u64::MAX), 3), 300);
    }
}
