//! What an access token stands for.

use ib_contract::InactiveReason;

use super::{AccessRecord, Grants, record::Grant};
use crate::{
    clients::still_granted,
    error::Error,
    feed::{Feed, head_key},
    records::Record as _,
    sessions::Session,
    store::Key,
};

/// What an access token stands for.
#[derive(Debug)]
pub(crate) enum Looked {
    Good(Box<GoodToken>),
    Refused(InactiveReason),
}

/// An access token that may be used now.
#[derive(Debug)]
pub(crate) struct GoodToken {
    pub(crate) token: AccessRecord,
    pub(crate) holder: Holder,
    /// The number of the last event of the revocation feed before the token was looked up. Whatever
    /// ends it from then on has a higher one.
    pub(crate) as_of: u64,
}

/// Whom an access token speaks for.
#[derive(Debug)]
pub(crate) enum Holder {
    /// A person, by the session of their login.
    Person(Box<Session>),
    /// A client that acts for itself. What it may reach, its scope says.
    Machine,
}

impl Grants {
    /// What an access token stands for now. Of a client that the settings no longer allow it stands for
    /// nothing, and for no scope that the client may no longer have.
    pub(crate) async fn look_up(&self, token: &str) -> Result<Looked, Error> {
        let invalid = Looked::Refused(InactiveReason::InvalidToken);
        let Some(token) = self.presented(token) else {
            return Ok(invalid);
        };
        let now = self.clock.unix_seconds();
        let Some((mut token, as_of)) = self.access(&token.id(), now).await? else {
            return Ok(invalid);
        };
        let scope = still_granted(&self.settings, &token.client_id, &token.scope);
        let Some(scope) = scope else { return Ok(invalid) };
        token.scope = scope;
        let (grant, session) = self.records.get_both::<Grant, Session>(&token.grant, now).await?;
        let Some(grant) = grant else { return Ok(invalid) };
        if grant.machine_token.is_some() {
            let holder = Holder::Machine;
            return Ok(Looked::Good(Box::new(GoodToken { token, holder, as_of })));
        }
        // A session outlives its end in the store by an access token's lifetime: where it is gone,
        // it is over.
        Ok(match session {
            Some(session) if !session.is_over(now) => {
                let holder = Holder::Person(Box::new(session));
                Looked::Good(Box::new(GoodToken { token, holder, as_of }))
            }
            Some(session) => Looked::Refused(session.reason_when_over(self.settings.sessions)),
            None => Looked::Refused(InactiveReason::SessionExpired),
        })
    }

    /// The record of an access token and the head of the revocation feed, as they were at one moment:
    /// the head must not be younger than what is read about the token.
    async fn access(&self, id: &str, now: u64) -> Result<Option<(AccessRecord, u64)>, Error> {
        let keys = [head_key(), Key::new(AccessRecord::TABLE, id)];
        // The second round finds the head that the first has begun.
        for _ in 0..2 {
            let mut found = self.records.store().get_many(&keys, now).await?.into_iter();
            let [_, key] = &keys;
            let head = Feed::read_head(found.next().flatten().as_ref())?;
            let Some(access) = self.records.open::<AccessRecord>(key, found.next().flatten())?
            else {
                return Ok(None);
            };
            // The store keeps to it, and whoever can write to the store could say otherwise there.
            if access.record.expires_at <= now {
                return Ok(None);
            }
            match head {
                Some(head) => return Ok(Some((access.record, head.number))),
                None => self.feed.begin(now).await?,
            }
        }
        Err(Error::Internal)
    }
}
