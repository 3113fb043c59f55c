//! Whether a Redis server is set up to keep what a service promises. Redis would tell nobody.

use std::collections::HashMap;

use ::redis::cmd;

use super::{super::StoreError, Inner, engine};

/// The only policy under which Redis removes nothing that has not expired.
const NO_EVICTION: &str = "noeviction";

/// Refuses a server that would drop live records, and warns of what may be lost in a crash.
pub(super) async fn check(inner: &Inner) -> Result<(), StoreError> {
    let information: Option<String> = inner
        .run(|mut connection| async move {
            // A server may forbid it; who may not ask is told so.
            cmd("INFO")
                .query_async(&mut connection)
                .await
                .map(Some)
                .or_else(|cause| if cause.is_io_error() { Err(cause) } else { Ok(None) })
        })
        .await?;
    let Some(information) = information else {
        tracing::warn!(
            "this user may not ask Redis with INFO, so its eviction policy is not checked: it must \
             be noeviction"
        );
        return Ok(());
    };
    judge(&read(&information))
}

fn read(information: &str) -> HashMap<&str, &str> {
    information.lines().filter_map(|line| line.trim_end().split_once(':')).collect()
}

fn judge(information: &HashMap<&str, &str>) -> Result<(), StoreError> {
    match information.get("maxmemory_policy") {
        Some(&NO_EVICTION) => {}
        None => tracing::warn!("Redis does not tell its eviction policy: it must be noeviction"),
        Some(other) => {
            return Err(engine(format_args!(
                "maxmemory-policy is {other}: it must be noeviction, or live grants and spent codes are \
                 dropped when memory is short"
            )));
        }
    }
    if information.get("role").is_some_and(|role| *role != "master") {
        return Err(engine("this server is a replica: it cannot be written"));
    }
    if information.get("aof_enabled") == Some(&"0") {
        tracing::warn!(
            "Redis keeps no append-only file: a crash of it loses everything since its last \
             snapshot, revocations too"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{judge, read};

    fn outcome(policy: &str, role: &str) -> Result<(), String> {
        let text = format!(
            "# Memory\r\nused_memory:1\r\nmaxmemory_policy:{policy}\r\n# Replication\r\nrole:{role}\r\n"
        );
        judge(&read(&text)).map_err(|cause| cause.to_string())
    }

    #[test]
    fn a_server_that_would_drop_live_records_or_cannot_be_written_is_refused() {
        assert_eq!(outcome("noeviction", "master"), Ok(()));
        for policy in ["allkeys-lru", "volatile-ttl"] {
            assert!(outcome(policy, "master").unwrap_err().contains(policy));
        }
        assert!(outcome("noeviction", "slave").unwrap_err().contains("replica"));
    }
}
