//! IntelligenceBank's limit of calls a minute, counted for each user account.

use std::collections::HashMap;

const MINUTE: i64 = 60;

/// Calls counted in fixed minutes. There is one window a demo user, so the map is bounded by them.
#[derive(Default)]
pub(crate) struct RateLimit {
    windows: HashMap<&'static str, Window>,
}

struct Window {
    began_at: i64,
    calls: u32,
}

/// The limit is reached.
pub(crate) struct LimitReached {
    /// Seconds until calls are counted from zero again.
    pub(crate) retry_after: i64,
}

impl RateLimit {
    /// Counts one call of the user with `uuid`; `limit` calls a minute are allowed, 0 means any
    /// number.
    pub(crate) fn count(
        &mut self,
        uuid: &'static str,
        limit: u32,
        now: i64,
    ) -> Result<(), LimitReached> {
        if limit == 0 {
            self.windows.clear();
            return Ok(());
        }
        let window = self.windows.entry(uuid).or_insert(Window { began_at: now, calls: 0 });
        if now.saturating_sub(window.began_at) >= MINUTE || now < window.began_at {
            *window = Window { began_at: now, calls: 0 };
        }
        if window.calls >= limit {
            let retry_after = window.began_at.saturating_add(MINUTE).saturating_sub(now).max(1);
            return Err(LimitReached { retry_after });
        }
        window.calls = window.calls.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::RateLimit;

    #[test]
    fn a_user_over_the_limit_waits_for_the_minute_to_end_and_others_do_not() {
        let mut limit = RateLimit::default();
        assert!(limit.count("ada", 2, 100).is_ok());
        assert!(limit.count("ada", 2, 130).is_ok());
        let reached = limit.count("ada", 2, 140).err().map(|reached| reached.retry_after);
        assert_eq!(reached, Some(20));
        assert!(limit.count("grace", 2, 140).is_ok());
        assert!(limit.count("ada", 2, 160).is_ok());
    }

    #[test]
    fn no_limit_counts_nothing() {
        let mut limit = RateLimit::default();
        for _ in 0..1000 {
            assert!(limit.count("ada", 0, 100).is_ok());
        }
        assert!(limit.count("ada", 1, 100).is_ok());
    }
}
