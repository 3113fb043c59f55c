//! What the engine itself gives: records read from the same file by the same kind of key, without the
//! service around it.

use std::{path::Path, time::Duration};

use ib_contract::token_sha256;
use redb::{Builder, ReadableDatabase as _, TableDefinition};

use crate::{
    clock::now,
    error::{Result, because, failed},
};

/// As the service defines it: `table/id` to (version, expires_at, value).
const RECORDS: TableDefinition<'_, &str, (u64, u64, &[u8])> = TableDefinition::new("records");

/// What one thread can read.
#[derive(Debug)]
pub(super) struct Rates {
    /// Records a second, each in a transaction of its own.
    pub(super) one: f64,
    /// How many different records were read: those of access tokens.
    pub(super) distinct: usize,
}

/// Reads for `seconds`, in an order in which neighbours lie far apart.
pub(super) fn measure(
    store: &Path,
    cache_megabytes: u32,
    tokens: &[String],
    seconds: u32,
) -> Result<Rates> {
    // Hashing is the service's part, not the engine's.
    let keys: Vec<_> = tokens
        .iter()
        .step_by(tokens.len().div_ceil(100_000).max(1))
        .map(|token| format!("access_token/{}", token_sha256(token)))
        .collect();
    let cache = usize::try_from(cache_megabytes).unwrap_or(usize::MAX).saturating_mul(1024 * 1024);
    let database =
        Builder::new().set_cache_size(cache).open(store).map_err(because("the store"))?;
    let time = Duration::from_secs(u64::from(seconds));
    let begun = now();
    let mut reads = 0_u64;
    'measured: loop {
        for key in &keys {
            let transaction = database.begin_read().map_err(because("a read"))?;
            let records = transaction.open_table(RECORDS).map_err(because("the records"))?;
            let Some(found) = records.get(key.as_str()).map_err(because("a record"))? else {
                return failed("a seeded token is not in the store");
            };
            std::hint::black_box(found.value().2.to_vec());
            reads += 1;
            if reads.is_multiple_of(64) && begun.elapsed() >= time {
                break 'measured;
            }
        }
    }
    Ok(Rates { one: reads as f64 / begun.elapsed().as_secs_f64(), distinct: keys.len() })
}
