//! Logins and the sessions that come of them: the simulator's own rules, with no HTTP in them.

#[cfg(test)]
mod tests;

use crate::bounded_map::BoundedMap;
use crate::random::{self, NoRandomness};
use crate::settings::{DEFAULT_LIFETIME_HOURS, Renewal, Settings};
use crate::tenants::{Tenant, User};

const MAXIMUM_LOGINS: usize = 100_000;
const MAXIMUM_SESSIONS: usize = 100_000;

/// Bytes of randomness in a session id, 32 digits on the wire.
const SESSION_ID_BYTES: usize = 16;
/// Bytes of randomness in a login token, which IntelligenceBank keeps short.
const LOGIN_TOKEN_BYTES: usize = 8;

/// Logins by their token, sessions by their id.
pub(crate) struct Accounts {
    logins: BoundedMap<Login>,
    sessions: BoundedMap<Session>,
}

struct Login {
    tenant: &'static Tenant,
    phase: Phase,
}

enum Phase {
    /// Nobody has logged in yet.
    Pending,
    /// Somebody has; `read_before` says whether the session was handed out at least once.
    Complete { sid: String, read_before: bool },
    /// The token is gone. A session that came of it lives on.
    Expired,
}

struct Session {
    tenant: &'static Tenant,
    user: &'static User,
    login_time: i64,
    login_timeout_hours: Option<u32>,
    killed: bool,
}

/// A login that has begun.
pub(crate) struct BegunLogin {
    /// An id of the browser before it has a session. It opens nothing.
    pub(crate) pre_login_id: String,
    /// The login token.
    pub(crate) content: String,
}

/// What `info?token=` tells about a session.
pub(crate) struct SessionView {
    pub(crate) sid: String,
    pub(crate) tenant: &'static Tenant,
    pub(crate) user: &'static User,
    pub(crate) login_time: i64,
    pub(crate) login_timeout_hours: Option<u32>,
}

/// Whose session a live `sid` is.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) tenant: &'static Tenant,
    pub(crate) user: &'static User,
}

/// Why a login cannot be completed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompleteError {
    #[error("no such login is pending: the token is unknown or has expired")]
    Expired,
    #[error("the login has been completed before")]
    Spent,
    #[error("there is no such user")]
    UnknownUser,
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Why `info?token=` has no session to tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The login is pending.
    Pending,
    /// The token is unknown or has expired; the two look the same from outside.
    Expired,
    /// The operating system gave no random bytes.
    NoRandomness,
}

/// What the login page may show for a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LoginPhase {
    Pending,
    /// Used, unknown or expired.
    Over,
}

impl Accounts {
    /// No logins and no sessions.
    pub(crate) fn new() -> Self {
        Self {
            logins: BoundedMap::new(MAXIMUM_LOGINS),
            sessions: BoundedMap::new(MAXIMUM_SESSIONS),
        }
    }

    /// Begins a login at `tenant`'s platform.
    pub(crate) fn begin(&mut self, tenant: &'static Tenant) -> Result<BegunLogin, NoRandomness> {
        let content = random::hexadecimal::<LOGIN_TOKEN_BYTES>()?;
        let pre_login_id = random::hexadecimal::<SESSION_ID_BYTES>()?;
        self.logins.insert(content.clone(), Login { tenant, phase: Phase::Pending });
        Ok(BegunLogin { pre_login_id, content })
    }

    /// Whether `content` can still be logged in with at `tenant`'s platform.
    pub(crate) fn phase(&self, content: &str, tenant: &Tenant) -> LoginPhase {
        match self.logins.get(content) {
            Some(Login { tenant: own, phase: Phase::Pending }) if own.host == tenant.host => {
                LoginPhase::Pending
            }
            _ => LoginPhase::Over,
        }
    }

    /// Logs the user called `name` in with the token `content` and gives the new session's id.
    /// `platform` is the platform at which this happens; none means the token's own.
    pub(crate) fn complete(
        &mut self,
        content: &str,
        name: &str,
        platform: Option<&Tenant>,
        settings: &Settings,
        now: i64,
    ) -> Result<String, CompleteError> {
        let login = self.logins.get_mut(content).ok_or(CompleteError::Expired)?;
        if platform.is_some_and(|platform| platform.host != login.tenant.host) {
            return Err(CompleteError::Expired);
        }
        match login.phase {
            Phase::Pending => {}
            Phase::Complete { .. } => return Err(CompleteError::Spent),
            Phase::Expired => return Err(CompleteError::Expired),
        }
        let session = Session {
            tenant: login.tenant,
            user: login.tenant.user(name).ok_or(CompleteError::UnknownUser)?,
            login_time: now.saturating_add(settings.login_time_offset_seconds),
            login_timeout_hours: settings.login_timeout_hours,
            killed: false,
        };
        let sid = random::hexadecimal::<SESSION_ID_BYTES>()?;
        login.phase = Phase::Complete { sid: sid.clone(), read_before: false };
        self.sessions.insert(sid.clone(), session);
        Ok(sid)
    }

    /// Makes the token `content` expire. A session that came of it lives on.
    pub(crate) fn expire(&mut self, content: &str) -> bool {
        let Some(login) = self.logins.get_mut(content) else { return false };
        login.phase = Phase::Expired;
        true
    }

    /// Reads the session of a login. The first reading gives it as it is; what a later one gives
    /// is `renewal`'s business.
    pub(crate) fn read(
        &mut self,
        content: &str,
        tenant: &Tenant,
        renewal: Renewal,
        now: i64,
    ) -> Result<SessionView, ReadError> {
        let login = self
            .logins
            .get_mut(content)
            .filter(|login| login.tenant.host == tenant.host)
            .ok_or(ReadError::Expired)?;
        let (sid, again) = match &mut login.phase {
            Phase::Pending => return Err(ReadError::Pending),
            Phase::Expired => return Err(ReadError::Expired),
            Phase::Complete { sid, read_before } => (sid, std::mem::replace(read_before, true)),
        };
        if again {
            match renewal {
                Renewal::Gone => return Err(ReadError::Expired),
                Renewal::Same => {}
                Renewal::Touches => {
                    if let Some(session) = self.sessions.get_mut(sid) {
                        session.login_time = session.later_login_time(now);
                    }
                }
                Renewal::Extends => {
                    if let Some(successor) = self.sessions.get(sid).map(|old| old.successor(now)) {
                        *sid = random::hexadecimal::<SESSION_ID_BYTES>()
                            .map_err(|NoRandomness| ReadError::NoRandomness)?;
                        self.sessions.insert(sid.clone(), successor);
                    }
                }
            }
        }
        // A session that the bound has pushed out is gone for good, and so is its login.
        let session = self.sessions.get(sid).ok_or(ReadError::Expired)?;
        Ok(session.view(sid))
    }

    /// Ends the session at once.
    pub(crate) fn kill(&mut self, sid: &str) -> bool {
        let Some(session) = self.sessions.get_mut(sid) else { return false };
        session.killed = true;
        true
    }

    /// Whose session `sid` is, if it is alive at `now`.
    pub(crate) fn identity(&self, sid: &str, now: i64) -> Option<Identity> {
        let session = self.sessions.get(sid)?;
        session.is_alive(now).then_some(Identity { tenant: session.tenant, user: session.user })
    }
}

impl Session {
    fn is_alive(&self, now: i64) -> bool {
        let hours = self.login_timeout_hours.map_or(DEFAULT_LIFETIME_HOURS, i64::from);
        !self.killed && now < self.login_time.saturating_add(hours.saturating_mul(3600))
    }

    /// Now, or one second more than the present login time where that is not later.
    fn later_login_time(&self, now: i64) -> i64 {
        now.max(self.login_time.saturating_add(1))
    }

    /// The session that follows this one, under an id of its own. The old one lives on, since
    /// requests may be under way with it.
    fn successor(&self, now: i64) -> Self {
        Self {
            tenant: self.tenant,
            user: self.user,
            login_time: self.later_login_time(now),
            login_timeout_hours: self.login_timeout_hours,
            killed: false,
        }
    }

    fn view(&self, sid: &str) -> SessionView {
        SessionView {
            sid: sid.to_owned(),
            tenant: self.tenant,
            user: self.user,
            login_time: self.login_time,
            login_timeout_hours: self.login_timeout_hours,
        }
    }
}
