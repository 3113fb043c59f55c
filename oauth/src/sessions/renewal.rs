//! When a session is read again from IntelligenceBank, and what comes of it. No store and no network:
//! `renewals` has those.

use ib_contract::{RenewalCause, Secret};
use serde::{Deserialize, Serialize};

use super::Session;
use crate::{
    hosts::HostList,
    settings::SessionSettings,
    upstreams::{LoginProgress, UpstreamError},
};

/// Longest pause after an outage, in seconds. The pauses before are 1, 2, 4 and so on.
const LONGEST_PAUSE: u64 = 30;

/// How far the clocks of two instances may differ, in seconds, before they ask about one session at the
/// same time.
const CLOCK_TOLERANCE: u64 = 30;

/// How far the renewal of the current generation is. Times are in seconds since the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Renewal {
    /// Readings that gave nothing newer.
    attempts: u64,
    /// Outages in a row.
    outages: u32,
    /// IntelligenceBank is not asked before.
    not_before: u64,
    /// Somebody is asking until then at the latest. 0: nobody is.
    leased_until: u64,
    /// The opening of the store that they ask in.
    leased_in: Option<u64>,
    /// When IntelligenceBank, asked after a rejection, gave the rejected session id again.
    given_again_at: Option<u64>,
    /// IntelligenceBank has rejected the session and has nothing newer. This is final.
    rejected: bool,
}

impl Renewal {
    /// The renewal of a generation that begins at `now`, which a reading after `cause` has given.
    fn of_newer(
        cause: RenewalCause,
        has_same_sid: bool,
        settings: SessionSettings,
        now: u64,
    ) -> Self {
        let was_given_again = cause == RenewalCause::Rejected && has_same_sid;
        Self {
            not_before: now.saturating_add(settings.renewal_spacing_seconds),
            given_again_at: was_given_again.then_some(now),
            ..Self::default()
        }
    }

    pub(super) fn was_rejected(&self) -> bool {
        self.rejected
    }

    /// Whether somebody is asking at `now`.
    fn is_leased(&self, leases: Leases, now: u64) -> bool {
        leases.hold(self.leased_until, self.leased_in, now)
    }

    /// Whether a rejection at `now` is one of a session id that IntelligenceBank has only just said to
    /// be good after an earlier rejection: asking once more would give the same.
    fn is_rejected_again(&self, settings: SessionSettings, now: u64) -> bool {
        // A time in the future was written by a clock that has been set back.
        self.given_again_at.is_some_and(|at| {
            at <= now && now < at.saturating_add(settings.renewal_spacing_seconds)
        })
    }
}

/// What is known of those who ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leases {
    /// How long one may ask at most, in seconds.
    pub(crate) longest: u64,
    /// [`Store::opening`](crate::store::Store::opening).
    pub(crate) opening: Option<u64>,
}

impl Leases {
    /// Whether a lease until `until` (Unix seconds), taken in this opening of the store, lasts at `now`.
    pub(crate) fn hold(self, until: u64, taken_in: Option<u64>, now: u64) -> bool {
        // Whoever asked in an opening of the store that is over has gone, with their process.
        let may_live = self.opening.is_none() || self.opening == taken_in;
        // A lease that reaches further than leases do was written by a clock that has been set back.
        // Where others write leases, their clocks may be a little ahead.
        let ahead = if self.opening.is_some() { 0 } else { CLOCK_TOLERANCE };
        let longest = now.saturating_add(self.longest).saturating_add(ahead);
        may_live && now < until && until <= longest
    }
}

/// What is to be done for somebody who asks for a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Nothing: what the store holds is the answer.
    Known,
    /// IntelligenceBank is to be asked.
    Ask,
    /// Somebody is asking it now.
    Leased,
    /// It was out of reach just now, and is not asked again yet.
    Paused,
    /// The session is over: it was rejected, and nothing may be asked any more, or the answer would be
    /// the same as just before.
    Over,
}

/// What reading a session again has given.
#[derive(Debug)]
pub(crate) enum Reading {
    /// A newer session, in the next generation.
    Newer(Box<Session>),
    NothingNewer,
    /// IntelligenceBank gave no answer, or none of its own.
    Unreachable,
}

impl Session {
    /// Whether so many readings gave nothing newer that there will be no further one.
    pub(crate) fn attempts_have_run_out(&self, settings: SessionSettings) -> bool {
        self.renewal.attempts >= settings.maximum_refresh_attempts
    }

    /// Whether IntelligenceBank may still be asked about this session.
    fn can_be_read(&self, settings: SessionSettings) -> bool {
        self.login.is_some() && !self.attempts_have_run_out(settings)
    }

    /// From when on a renewal is due (Unix seconds): its end, where none ever is.
    pub(super) fn due_at(&self, settings: SessionSettings) -> u64 {
        if !self.can_be_read(settings) {
            return self.expires_at;
        }
        // A window as long as the period would be open from the first second on.
        let period = self.period_hours.saturating_mul(3_600);
        let window = settings.refresh_window_seconds.min(period.saturating_sub(1));
        self.expires_at.saturating_sub(window).max(self.renewal.not_before).min(self.expires_at)
    }

    /// What to do for somebody who knows `generation`, at `now` (Unix seconds).
    pub(crate) fn question(
        &self,
        generation: u64,
        cause: RenewalCause,
        settings: SessionSettings,
        leases: Leases,
        now: u64,
    ) -> Question {
        if generation < self.generation || self.is_over(now) {
            return Question::Known;
        }
        match cause {
            RenewalCause::NearExpiry if now < self.due_at(settings) => return Question::Known,
            RenewalCause::NearExpiry => {}
            RenewalCause::Rejected
                if !self.can_be_read(settings) || self.renewal.is_rejected_again(settings, now) =>
            {
                return Question::Over;
            }
            // A failed attempt is no reason to wait: what was true then need not be true after a
            // rejection.
            RenewalCause::Rejected if self.renewal.outages > 0 && now < self.renewal.not_before => {
                return Question::Paused;
            }
            RenewalCause::Rejected => {}
        }
        if self.renewal.is_leased(leases, now) { Question::Leased } else { Question::Ask }
    }

    /// What the session is read again with.
    pub(crate) fn login(&self) -> Option<&Secret> {
        self.login.as_ref()
    }

    /// The session while somebody asks about it, from `now` (Unix seconds) on.
    pub(crate) fn leased(&self, leases: Leases, now: u64) -> Self {
        self.with(Renewal {
            leased_until: now.saturating_add(leases.longest),
            leased_in: leases.opening,
            ..self.renewal.clone()
        })
    }

    /// Judges IntelligenceBank's answer to a question for `cause`, at `now` (Unix seconds). Only one that is its own may end a
    /// session: where something in between has answered, it was out of reach.
    pub(crate) fn read_again(
        &self,
        cause: RenewalCause,
        answer: Result<LoginProgress, UpstreamError>,
        api_hosts: &HostList,
        settings: SessionSettings,
        now: u64,
    ) -> Reading {
        let found = match answer {
            Ok(LoginProgress::Complete(found)) => *found,
            Ok(LoginProgress::Pending | LoginProgress::Expired) => return Reading::NothingNewer,
            Ok(LoginProgress::Unclear { status }) => {
                tracing::warn!(
                    status,
                    "a session cannot be read again now: not a platform's answer"
                );
                return Reading::Unreachable;
            }
            Err(error @ UpstreamError::Unusable(_)) => {
                tracing::warn!(cause = %error, "a session is not renewed");
                return Reading::NothingNewer;
            }
            Err(error) => {
                tracing::warn!(cause = %error, "a session cannot be read again now");
                return Reading::Unreachable;
            }
        };
        // Times as IntelligenceBank gave them: ours are cut where its clock is ahead of this one.
        let later = self.login_time.zip(found.login_time).is_some_and(|(old, new)| new > old);
        if found.sid == self.sid && !later {
            return Reading::NothingNewer;
        }
        if found.person.uuid != self.person.uuid {
            tracing::warn!("a session is not renewed: the platform's answer is about another user");
            return Reading::NothingNewer;
        }
        let begun =
            Self::begin(&self.platform_host, self.login.clone(), found, api_hosts, settings, now);
        match begun {
            Ok(newer) => {
                let generation = self.generation.saturating_add(1);
                let has_same_sid = newer.sid == self.sid;
                let previous_sid =
                    if has_same_sid { self.previous_sid.clone() } else { Some(self.sid.clone()) };
                let renewal = Renewal::of_newer(cause, has_same_sid, settings, now);
                Reading::Newer(Box::new(Self { generation, previous_sid, renewal, ..newer }))
            }
            Err(error) => {
                tracing::warn!(cause = %error, "a session is not renewed");
                Reading::NothingNewer
            }
        }
    }

    /// The session after a reading that gave nothing newer. After a rejection it is over.
    pub(crate) fn after_nothing_newer(
        &self,
        cause: RenewalCause,
        settings: SessionSettings,
        now: u64,
    ) -> Self {
        match cause {
            RenewalCause::NearExpiry => self.with(Renewal {
                attempts: self.renewal.attempts.saturating_add(1),
                not_before: now.saturating_add(settings.renewal_spacing_seconds),
                ..Renewal::default()
            }),
            RenewalCause::Rejected => self.after_rejection(),
        }
    }

    /// The session after IntelligenceBank has rejected it and gave nothing newer.
    pub(crate) fn after_rejection(&self) -> Self {
        self.with(Renewal { rejected: true, leased_until: 0, ..self.renewal.clone() })
    }

    /// The session after an outage: it is no attempt, and a pause follows.
    pub(crate) fn after_outage(&self, now: u64) -> Self {
        let pause = 1_u64.checked_shl(self.renewal.outages).unwrap_or(u64::MAX).min(LONGEST_PAUSE);
        self.with(Renewal {
            outages: self.renewal.outages.saturating_add(1),
            not_before: now.saturating_add(pause),
            leased_until: 0,
            ..self.renewal.clone()
        })
    }

    fn with(&self, renewal: Renewal) -> Self {
        Self { renewal, ..self.clone() }
    }
}
