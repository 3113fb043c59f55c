//! Between the service and the platforms: whoever fails again and again is left alone for a while,
//! and neither one platform nor all of them together can take more than their share of requests.
//!
//! A circuit is closed, open (nobody asks, and who would is told at once that the platform cannot be
//! reached), or half open (one asks, and what comes of it decides).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ib_contract::Secret;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Answer, BegunLogin, Ended, LoginProgress, LoginUpstream, UpstreamError};
use crate::{clock::Clock, metrics::Metrics, settings::UpstreamBounds};

/// Most platforms that are remembered: those with requests under way, and those that have failed.
const MOST_PLATFORMS: usize = 16_384;
/// Longest pause that a platform may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// An upstream behind its circuits.
pub(crate) struct Guarded {
    upstream: Arc<dyn LoginUpstream>,
    bounds: UpstreamBounds,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    places: Semaphore,
    platforms: Mutex<HashMap<String, Platform>>,
}

/// What is known of one platform. Times are monotonic readings.
#[derive(Default)]
struct Platform {
    under_way: usize,
    /// In a row.
    failures: u64,
    /// Since there is one, the circuit is not closed.
    open_until: Option<Duration>,
    is_probed: bool,
}

impl Platform {
    fn is_worth_remembering(&self) -> bool {
        self.under_way > 0 || self.failures > 0 || self.open_until.is_some()
    }
}

/// A request that may be made.
struct Ticket<'g> {
    guarded: &'g Guarded,
    host: &'g str,
    is_probe: bool,
    _place: SemaphorePermit<'g>,
}

impl Guarded {
    pub(crate) fn new(
        upstream: Arc<dyn LoginUpstream>,
        bounds: UpstreamBounds,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (places, platforms) = (Semaphore::new(bounds.concurrent), Mutex::default());
        Self { upstream, bounds, clock, metrics, places, platforms }
    }

    /// Makes a request of the platform at `host`, if it may be made.
    async fn ask<T>(
        &self,
        host: &str,
        request: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let ticket = self.ticket(host)?;
        let answer = request.await;
        ticket.note(answer.as_ref().err());
        answer
    }

    fn ticket<'g>(&'g self, host: &'g str) -> Result<Ticket<'g>, UpstreamError> {
        let refuse = |reason: &'static str, told: &'static str| {
            self.metrics.platform_refused(reason);
            Err(UpstreamError::Unreachable(told))
        };
        let now = self.clock.monotonic();
        let mut platforms = self.platforms();
        if !platforms.contains_key(host) && platforms.len() >= MOST_PLATFORMS {
            forget_one(&mut platforms);
        }
        let platform = platforms.entry(host.to_owned()).or_default();
        let is_probe = platform.open_until.is_some();
        if platform.open_until.is_some_and(|until| now < until) || platform.is_probed {
            return refuse("circuit_open", "it has failed too often, and is not asked for a while");
        }
        let place = self.places.try_acquire();
        let (Ok(place), true) = (place, platform.under_way < self.bounds.concurrent_per_platform)
        else {
            if !platform.is_worth_remembering() {
                platforms.remove(host);
            }
            return refuse("busy", "too many requests of it are under way");
        };
        platform.under_way = platform.under_way.saturating_add(1);
        platform.is_probed = is_probe;
        Ok(Ticket { guarded: self, host, is_probe, _place: place })
    }

    fn platforms(&self) -> MutexGuard<'_, HashMap<String, Platform>> {
        self.platforms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes place for another platform: by one without requests, and rather by one that has only begun
/// to fail than by one whose circuit is open.
fn forget_one(platforms: &mut HashMap<String, Platform>) {
    let idle = platforms.iter().filter(|(_, platform)| platform.under_way == 0);
    let least = idle.min_by_key(|(_, platform)| platform.open_until).map(|(host, _)| host.clone());
    if let Some(host) = least {
        platforms.remove(&host);
    }
}

impl Ticket<'_> {
    /// Notes what came of the request.
    fn note(&self, error: Option<&UpstreamError>) {
        let guarded = self.guarded;
        let pause = match error {
            Some(UpstreamError::Limited { retry_after }) => {
                Some(retry_after.map_or(guarded.bounds.open, |seconds| {
                    Duration::from_secs(seconds.max(1)).min(LONGEST_PAUSE)
                }))
            }
            Some(UpstreamError::Unreachable(_) | UpstreamError::NotAPlatform { status: 500.. }) => {
                None
            }
            // Somebody answers there.
            _ => return self.note_answer(),
        };
        let now = guarded.clock.monotonic();
        let mut platforms = guarded.platforms();
        let Some(platform) = platforms.get_mut(self.host) else { return };
        platform.failures = platform.failures.saturating_add(1);
        let is_closed = platform.open_until.is_none();
        let pause = match pause {
            Some(pause) => pause,
            None if self.is_probe || platform.failures >= guarded.bounds.failures => {
                guarded.bounds.open
            }
            None => return,
        };
        // What was asked before the circuit opened does not keep it open for longer.
        if self.is_probe || is_closed {
            platform.open_until = Some(now.saturating_add(pause));
            guarded.metrics.circuit_opened();
            tracing::warn!(host = self.host, seconds = pause.as_secs(), "a platform is left alone");
        }
    }

    fn note_answer(&self) {
        let mut platforms = self.guarded.platforms();
        if let Some(platform) = platforms.get_mut(self.host)
            && (self.is_probe || platform.open_until.is_none())
        {
            platform.failures = 0;
            platform.open_until = None;
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut platforms = self.guarded.platforms();
        let Some(platform) = platforms.get_mut(self.host) else { return };
        platform.under_way = platform.under_way.saturating_sub(1);
        // Also where whoever asked has gone away: the next one tries.
        platform.is_probed &= !self.is_probe;
        if !platform.is_worth_remembering() {
            platforms.remove(self.host);
        }
    }
}

impl LoginUpstream for Guarded {
    fn begin<'a>(&'a self, host: &'a str) -> Answer<'a, BegunLogin> {
        Box::pin(self.ask(host, self.upstream.begin(host)))
    }

    fn progress<'a>(&'a self, host: &'a str, login: &'a Secret) -> Answer<'a, LoginProgress> {
        Box::pin(self.ask(host, self.upstream.progress(host, login)))
    }

    fn end<'a>(&'a self, host: &'a str, sid: &'a Secret) -> Answer<'a, Ended> {
        Box::pin(async move {
            let ticket = self.ticket(host)?;
            let ended = self.upstream.end(host, sid).await;
            // Where there is no way nobody was asked, which says nothing about the platform.
            if !matches!(ended, Ok(Ended::NoWay)) {
                ticket.note(ended.as_ref().err());
            }
            ended
        })
    }
}

#[cfg(test)]
mod tests;
