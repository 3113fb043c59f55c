//! Checking the limits.

use std::num::NonZeroU32;

use super::Problems;
use crate::settings::{
    LimitSettings, PendingSettings, Quotas, RateSettings,
    file::limits::{CallerRates, Limits, Rate},
};

/// Most a minute that can be asked for: beyond it the interval between two has no nanoseconds left.
const MOST_PER_MINUTE: u64 = 100_000_000;
const LARGEST_BURST: u64 = 10_000_000;

pub(super) fn check(file: &Limits, found: &mut Problems) -> LimitSettings {
    let mut callers = |name: &str, rates: &CallerRates| Quotas {
        address: rate(&format!("limits.{name}.address"), rates.address, found),
        client: rate(&format!("limits.{name}.client"), rates.client, found),
        platform: None,
    };
    let (token, introspect, revoke) = (
        callers("token", &file.token),
        callers("introspect", &file.introspect),
        callers("revoke", &file.revoke),
    );
    let login = Quotas {
        address: rate("limits.login.address", file.login.address, found),
        client: rate("limits.login.client", file.login.client, found),
        platform: rate("limits.login.platform", file.login.platform, found),
    };
    let poll = Quotas {
        address: rate("limits.poll.address", file.poll.address, found),
        client: None,
        platform: None,
    };
    let register = Quotas {
        address: rate("limits.register.address", file.register.address, found),
        client: None,
        platform: None,
    };
    let failed_authentication =
        rate("limits.failed_authentication.address", file.failed_authentication.address, found);
    let mut most = |name: &str, value: u64| {
        found.bytes(&format!("limits.pending_logins.{name}"), value, 1..=1_000_000)
    };
    let pending = &file.pending_logins;
    let pending_logins = PendingSettings {
        total: most("total", pending.total),
        address: most("address", pending.address),
        platform: most("platform", pending.platform),
    };
    let maximum_keys = found.bytes("limits.maximum_keys", file.maximum_keys, 1..=10_000_000);
    LimitSettings {
        login,
        poll,
        token,
        introspect,
        revoke,
        register,
        failed_authentication,
        pending_logins,
        maximum_keys,
    }
}

/// `None` is no limit, which deserves a warning.
fn rate(field: &str, rate: Rate, found: &mut Problems) -> Option<RateSettings> {
    let mut number = |name: &str, value: u64, most: u64| {
        let value = found.range(&format!("{field}.{name}"), value, 0..=most);
        u32::try_from(value).ok().and_then(NonZeroU32::new)
    };
    let per_minute = number("per_minute", rate.per_minute, MOST_PER_MINUTE);
    let burst = number("burst", rate.burst.unwrap_or(rate.per_minute), LARGEST_BURST);
    match (per_minute, burst) {
        (Some(per_minute), Some(burst)) => Some(RateSettings { per_minute, burst }),
        (None, _) => {
            found.warn(field, "this limit is off");
            None
        }
        (Some(_), None) => {
            found.add(format!("{field}.burst"), "must be at least 1");
            None
        }
    }
}
