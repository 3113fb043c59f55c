//! Whether a variant did its work: the status of every answer, how every request looked to the upstream,
//! how often somebody was asked, and what the filter itself counted.

use std::time::Duration;

use crate::{
    clock::poll,
    envoy::Envoy,
    error::{BenchError, Result, because, failed},
    http::{Connection, get},
    load::Report,
    stage::Stage,
    traffic::request,
    upstream::Tally,
    variants::{Asks, Outcome, SERVICE, Variant},
};

/// How long after a load the last counts may come: the plugin tells Envoy four times a second.
const SETTLING: Duration = Duration::from_secs(3);
/// The share of the requests that must have been what the variant says: 99 %.
const NEARLY_ALL: (u64, u64) = (99, 100);
/// Callouts that are none of the requests': the revocation feed's, and those for the first use of a token.
const MOST_CALLOUTS: u64 = 500;

/// The counts before a load.
#[derive(Debug)]
pub(crate) struct Before {
    callouts: u64,
    counted: u64,
}

impl Before {
    /// Takes the counts, and empties the upstream's tally.
    pub(crate) fn take(stage: &Stage, variant: &Variant, envoy: &Envoy<'_>) -> Result<Self> {
        // The load generator leaves requests under way: their count comes a moment after its end.
        std::thread::sleep(Duration::from_millis(300));
        take_tally(stage)?;
        Ok(Self { callouts: callouts(variant, envoy)?, counted: counted(variant, envoy)? })
    }
}

/// Sends one request, whose session id is known, and looks at what the upstream saw of it.
pub(crate) fn sample(stage: &Stage, variant: &Variant, envoy: &Envoy<'_>) -> Result<()> {
    take_tally(stage)?;
    let token = match stage.tokens(variant.load) {
        Some(file) => {
            let text = std::fs::read_to_string(&file).map_err(BenchError::file(&file))?;
            text.lines().next().map(str::to_owned)
        }
        None => None,
    };
    let bytes = request(variant.body, token.as_deref());
    let answer = Connection::open(stage.addresses.gateway)?.exchange(bytes.as_bytes())?;
    let tally = take_tally(stage)?;
    let wanted = match variant.outcome {
        Outcome::Passed(_) => 200,
        Outcome::Refused => 401,
    };
    if answer.status != wanted {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let log = envoy.log();
        return failed(format!(
            "a request got {} in place of {wanted}: {body}; {log}",
            answer.status
        ));
    }
    let Outcome::Passed(class) = variant.outcome else {
        return match tally.last {
            Some(seen) => failed(format!("a refused request reached the upstream: {}", seen.class)),
            None => Ok(()),
        };
    };
    let Some(seen) = tally.last else { return failed("a request did not reach the upstream") };
    if seen.class != class.name() {
        return failed(format!("the upstream saw: {}; and must see: {}", seen.class, class.name()));
    }
    // Native header_mutation and the like know no sessions.
    let sid = stage.grants.iter().find(|grant| Some(&grant.token) == token.as_ref());
    match (class.path && class.sid, sid, seen.sid) {
        (true, Some(grant), Some(sid)) if grant.sid != sid => {
            failed("the upstream got another session's id")
        }
        (true, None, _) => failed("the sample's token is not one of the good ones"),
        _ => Ok(()),
    }
}

/// Checks a load.
pub(crate) fn all(
    stage: &Stage,
    variant: &Variant,
    envoy: &Envoy<'_>,
    before: &Before,
    report: &Report,
    connections: u32,
) -> Result<()> {
    statuses(variant, report)?;
    std::thread::sleep(Duration::from_millis(100));
    upstream(variant, report, &take_tally(stage)?, u64::from(connections))?;
    asked(variant, report, callouts(variant, envoy)?.saturating_sub(before.callouts))?;
    let Some(counter) = variant.counter else { return Ok(()) };
    let mut last = 0;
    let is_enough = poll(SETTLING, || {
        last = counted(variant, envoy).ok()?.saturating_sub(before.counted);
        is_nearly(last, report.requests).then_some(())
    });
    match is_enough {
        Some(()) => Ok(()),
        None => failed(format!("{counter} counted {last} of {} requests", report.requests)),
    }
}

fn statuses(variant: &Variant, report: &Report) -> Result<()> {
    let Report { requests, bad_statuses, broken, unauthorized, others, .. } = *report;
    if requests == 0 || broken > 0 {
        return failed(format!("{requests} requests were answered, {broken} failed"));
    }
    let is_right = match variant.outcome {
        Outcome::Passed(_) => bad_statuses == 0,
        Outcome::Refused => bad_statuses == requests && unauthorized >= requests && others == 0,
    };
    if is_right {
        return Ok(());
    }
    failed(format!(
        "of {requests} answers {bad_statuses} had a status of 400 or more ({unauthorized} were 401)"
    ))
}

fn upstream(variant: &Variant, report: &Report, tally: &Tally, connections: u64) -> Result<()> {
    let sum: u64 = tally.classes.values().sum();
    let right = match variant.outcome {
        Outcome::Passed(class) => {
            let count = tally.classes.get(&class.name()).copied().unwrap_or_default();
            // Those that were under way at the end were sent and not answered.
            count == sum && count >= report.requests && count <= report.requests + connections
        }
        Outcome::Refused => sum == 0,
    };
    if right {
        return Ok(());
    }
    failed(format!("{} answers; the upstream saw {:?}", report.requests, tally.classes))
}

fn asked(variant: &Variant, report: &Report, callouts: u64) -> Result<()> {
    let is_right = match variant.asks {
        Asks::Never => callouts <= MOST_CALLOUTS.min(report.requests / 10),
        Asks::Always(_) => is_nearly(callouts, report.requests),
    };
    if is_right {
        return Ok(());
    }
    failed(format!("{} requests made {callouts} callouts", report.requests))
}

fn is_nearly(count: u64, of: u64) -> bool {
    count.saturating_mul(NEARLY_ALL.1) >= of.saturating_mul(NEARLY_ALL.0)
}

/// Requests to the cluster that the variant asks, or to all that it should not.
fn callouts(variant: &Variant, envoy: &Envoy<'_>) -> Result<u64> {
    let all = ["authorization", "adapter", SERVICE];
    let clusters = match &variant.asks {
        Asks::Always(cluster) => std::slice::from_ref(cluster),
        Asks::Never => all.as_slice(),
    };
    clusters.iter().try_fold(0, |sum, cluster| {
        let count = envoy.statistic(&format!("{cluster}.upstream_rq_total"))?;
        Ok(sum + count.unwrap_or_default())
    })
}

fn counted(variant: &Variant, envoy: &Envoy<'_>) -> Result<u64> {
    match variant.counter {
        Some(counter) => Ok(envoy.statistic(counter)?.unwrap_or_default()),
        None => Ok(0),
    }
}

fn take_tally(stage: &Stage) -> Result<Tally> {
    let tally = get(stage.addresses.tally, "/")?.json()?;
    serde_json::from_value(tally).map_err(because("the upstream's tally"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_of_another_kind_among_many_fails_the_variant() {
        use std::collections::BTreeMap;

        use crate::upstream::Class;

        let variants = crate::variants::all();
        let variant = variants.iter().find(|variant| variant.name == "hit").unwrap();
        let report = |requests| Report {
            requests,
            microseconds: 1,
            p50: 1,
            p99: 1,
            p999: 1,
            bad_statuses: 0,
            broken: 0,
            unauthorized: 0,
            others: 0,
        };
        let tally = |other| Tally {
            classes: BTreeMap::from([
                (Class::REWRITTEN.name(), 1000),
                (Class::UNTOUCHED.name(), other),
            ]),
            last: None,
        };
        assert!(upstream(variant, &report(1000), &tally(0), 32).is_ok());
        assert!(upstream(variant, &report(1000), &tally(1), 32).is_err());
        assert!(upstream(variant, &report(1001), &tally(0), 32).is_err());
        assert!(upstream(variant, &report(900), &tally(0), 32).is_err());
        assert!(statuses(variant, &report(0)).is_err());
        assert!(statuses(variant, &Report { bad_statuses: 1, ..report(1000) }).is_err());
        assert!(asked(variant, &report(1000), 900).is_err());
    }
}
