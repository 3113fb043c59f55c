//! What a failure of DynamoDB means, and how long to wait before trying again.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    types::CancellationReason,
};

use super::{super::StoreError, engine};

/// How often something is tried that was in another's way. The time of an operation ends it before,
/// where the pauses are long.
pub(super) const MOST_TRIES: u32 = 20;
/// The first pause, at most. Each further one may be twice as long.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What is to be done after a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A condition did not hold. Nothing was changed.
    Condition,
    /// Another transaction was in the way, or the table is asked too often. Nothing was changed.
    Again,
    Failed(StoreError),
}

/// Judges the reasons for which a transaction was cancelled, one for each of its items.
pub(super) fn cancelled(reasons: &[CancellationReason]) -> Failure {
    let codes = || reasons.iter().filter_map(CancellationReason::code);
    if codes().any(|code| code == "ConditionalCheckFailed") {
        return Failure::Condition;
    }
    match codes().find(|code| !matches!(*code, "None") && !is_passing(code)) {
        Some(code) => Failure::Failed(engine(format_args!("a transaction was cancelled: {code}"))),
        None => Failure::Again,
    }
}

/// Judges every other failure.
pub(super) fn other<E, R>(cause: &SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match cause {
        SdkError::ServiceError(_) if cause.code().is_some_and(is_passing) => Failure::Again,
        _ => Failure::Failed(failed(cause)),
    }
}

fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "TransactionConflict"
            | "TransactionConflictException"
            | "TransactionInProgressException"
            | "ThrottlingError"
            | "ThrottlingException"
            | "ProvisionedThroughputExceeded"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
    )
}

/// What has failed, without what was sent: a service's message may quote it.
pub(super) fn failed<E, R>(cause: &SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match cause {
        SdkError::ServiceError(_) => match cause.code() {
            Some("ResourceNotFoundException") => {
                engine("a table is missing: `ib-oauth admin create-tables` makes it")
            }
            code => engine(code.unwrap_or("an error without a name")),
        },
        SdkError::TimeoutError(_) => engine("no answer in time"),
        SdkError::DispatchFailure(_) => engine(DisplayErrorContext(cause)),
        SdkError::ResponseError(_) => engine("an answer that cannot be read"),
        _ => engine("a request that cannot be made"),
    }
}

/// Waits before the next try: a random time, so that those who were in each other's way are not again.
pub(super) async fn pause(tries: u32) {
    let longest = SHORTEST_PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE);
    let part = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    tokio::time::sleep(longest.mul_f64(part)).await;
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::CancellationReason;

    use super::{Failure, cancelled};

    fn judged(codes: &[&str]) -> Failure {
        let reason = |code: &&str| CancellationReason::builder().code(*code).build();
        cancelled(&codes.iter().map(reason).collect::<Vec<_>>())
    }

    #[test]
    fn a_condition_that_fails_is_no_reason_to_try_again_and_what_passes_is() {
        assert_eq!(judged(&["None", "ConditionalCheckFailed"]), Failure::Condition);
        assert_eq!(judged(&["TransactionConflict", "ConditionalCheckFailed"]), Failure::Condition);
        assert_eq!(judged(&["None", "TransactionConflict"]), Failure::Again);
        assert_eq!(judged(&["ThrottlingError"]), Failure::Again);
        assert!(matches!(judged(&["ValidationError", "TransactionConflict"]), Failure::Failed(_)));
    }
}
