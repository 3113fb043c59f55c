//! Logouts: a grant ends with all that it issued, and then, where there is a way for it, the session at
//! IntelligenceBank.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::{
    clock::Clock,
    error::Error,
    grants::{Grants, LogOut},
    metrics::{AtTheUpstream, Metrics},
    sessions::Session,
    upstreams::{Ended, LoginUpstream},
};

/// Most sessions that are being ended at IntelligenceBank at the same time. One more is left to its end.
const MOST_AT_ONCE: usize = 64;

/// Ends grants and sessions.
pub(crate) struct Logouts {
    upstream: Arc<dyn LoginUpstream>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    places: Arc<Semaphore>,
}

impl Logouts {
    pub(crate) fn new(
        upstream: Arc<dyn LoginUpstream>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { upstream, clock, metrics, places: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }

    /// Ends what `by` names. When this returns no token of the grant is good any more; IntelligenceBank is
    /// told afterwards, and what it answers changes nothing.
    pub(crate) async fn log_out(&self, grants: &Grants, by: &LogOut) -> Result<(), Error> {
        let Some(session) = grants.log_out(by).await? else { return Ok(()) };
        if !session.is_over(self.clock.unix_seconds()) {
            self.end(session);
        }
        Ok(())
    }

    fn end(&self, session: Session) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.metrics.logout(AtTheUpstream::NotAsked);
            return;
        };
        let (upstream, metrics) = (Arc::clone(&self.upstream), Arc::clone(&self.metrics));
        let work = async move {
            let ended = upstream.end(&session.platform_host, &session.sid).await;
            metrics.logout(match ended {
                Ok(Ended::NoWay) => AtTheUpstream::NoWay,
                Ok(Ended::Yes) => AtTheUpstream::Ended,
                Ok(Ended::Refused { status }) => {
                    tracing::warn!(status, "the platform did not end a session");
                    AtTheUpstream::Refused
                }
                Err(cause) => {
                    tracing::warn!(%cause, "the platform was not asked to end a session");
                    AtTheUpstream::Unreachable
                }
            });
            drop(place);
        };
        tokio::spawn(work.in_current_span());
    }
}

#[cfg(test)]
impl Logouts {
    /// Leaves no place for anybody until what this returns is dropped.
    pub(crate) fn take_all_places(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = u32::try_from(MOST_AT_ONCE).unwrap();
        Arc::clone(&self.places).try_acquire_many_owned(all).unwrap()
    }
}
