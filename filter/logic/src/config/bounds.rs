//! The bounds of the settings, each stated once: the checks enforce them, and the published schema and
//! the table in docs/configuration.md are made from them.

/// The least and the most that a setting may be, both included.
#[derive(Clone, Copy)]
pub(super) struct Bound<T> {
    pub(super) least: T,
    pub(super) most: T,
}

const fn bound<T>(least: T, most: T) -> Bound<T> {
    Bound { least, most }
}

// Lengths: characters of a text (which are ASCII), entries of a list.
pub(super) const PREFIXES: Bound<usize> = bound(1, 64);
pub(super) const PREFIX: Bound<usize> = bound(3, 2_048);
pub(super) const ALLOWED_HOSTS: Bound<usize> = bound(1, 10_000);
/// `*.`, the longest name, and a dot at its end.
pub(super) const HOST: Bound<usize> = bound(1, 256);
pub(super) const PORTS: Bound<usize> = bound(1, 64);
/// The shortest is `http://a`.
pub(super) const URL: Bound<usize> = bound(8, 2_048);
pub(super) const CLUSTER: Bound<usize> = bound(1, 255);
/// The longest name, a dot at its end, and a port.
pub(super) const AUTHORITY: Bound<usize> = bound(1, 260);
pub(super) const RULES: Bound<usize> = bound(0, 256);
pub(super) const RULE_LIST: Bound<usize> = bound(1, 64);
pub(super) const METHODS: Bound<usize> = bound(1, 7);
pub(super) const PATH: Bound<usize> = bound(1, 2_048);
pub(super) const SCOPE: Bound<usize> = bound(1, 1_024);
pub(super) const TUNNEL_PATHS: Bound<usize> = bound(0, 64);

// Numbers, in the unit that the setting's name ends in.
pub(super) const PORT: Bound<u16> = bound(1, u16::MAX);
pub(super) const CALLOUT_TIMEOUT: Bound<u64> = bound(1, 60_000);
pub(super) const WAITING: Bound<u32> = bound(1, 65_536);
pub(super) const CALLOUTS: Bound<u32> = bound(1, 65_536);
pub(super) const CACHE_ENTRIES: Bound<usize> = bound(1, 1_000_000);
pub(super) const CACHE_BYTES: Bound<usize> = bound(1 << 16, 1 << 30);
pub(super) const CACHE_SECONDS: Bound<u64> = bound(1, 3_600);
/// The most that `cache.maximum_seconds` may be where no feed tells of revocations.
pub(super) const CACHE_SECONDS_WITHOUT_FEED: u64 = 60;
pub(super) const STALE_SECONDS: Bound<u64> = bound(1, 86_400);
pub(super) const WAIT_SECONDS: Bound<u64> = bound(1, 30);
pub(super) const REPLAY_TIMEOUT: Bound<u64> = bound(1, 300_000);
pub(super) const REPLAY_REQUEST_BYTES: Bound<usize> = bound(0, 1 << 20);
pub(super) const REPLAY_RESPONSE_BYTES: Bound<usize> = bound(0, 16 << 20);
pub(super) const REPLAY_BUFFER_BYTES: Bound<usize> = bound(1_024, 16 << 20);
pub(super) const REPLAYS: Bound<u32> = bound(0, 1_024);
