//! Clients that registered themselves (RFC 7591). A registration lives in the store for some days after
//! its last use.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Client, Clients, Source,
    metadata::{Allowed, Declared, Refused, Written},
};
use crate::{
    error::Error,
    records::{Record, Versioned},
    settings::RegistrationSettings,
    store::{Applied, Table},
    tokens::random_id,
};

/// What the id of every such client begins with. No client of the settings has such an id.
pub(crate) const ID_PREFIX: &str = "dyn_";
/// Length of what follows: 128 random bits.
const RANDOM_CHARACTERS: usize = 22;
/// Seconds of the day by which registrations are counted, and of the use that prolongs one.
const DAY: u64 = 24 * 3_600;
/// How often a registration is tried while others register.
const MOST_TRIES: usize = 20;
/// What a person is shown of a client without a name.
const NAMELESS: &str = "An application without a name";

/// A registration, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Registered {
    pub(crate) declared: Declared,
    /// Seconds since the Unix epoch.
    pub(crate) issued_at: u64,
    /// Seconds since the Unix epoch, exact to a day.
    last_used: u64,
}

impl Record for Registered {
    const TABLE: Table = Table::Client;
}

/// How many have registered on one day.
#[derive(Debug, Serialize, Deserialize)]
struct Count {
    registrations: u64,
}

impl Record for Count {
    const TABLE: Table = Table::RegistrationCount;
}

impl Clients {
    /// Registers what a client says about itself, and gives it its id.
    ///
    /// # Errors
    ///
    /// `invalid_redirect_uri` or `invalid_client_metadata`; [`Error::RegistrationsExhausted`].
    pub(crate) async fn register(
        &self,
        settings: &RegistrationSettings,
        metadata: Value,
    ) -> Result<(String, Registered), Error> {
        let written: Written = serde_json::from_value(metadata).map_err(|_| {
            Error::InvalidClientMetadata("The metadata has members of another type")
        })?;
        let allowed = Allowed {
            redirect_hosts: &settings.redirect_hosts,
            own_host: None,
            private_schemes: false,
            keys: settings.confidential,
            scopes: &settings.scopes,
        };
        let declared = written.check(&allowed).map_err(|refused| match refused {
            Refused::RedirectUri(reason) => Error::InvalidRedirectUri(reason),
            Refused::Metadata(reason) => Error::InvalidClientMetadata(reason),
        })?;
        for _ in 0..MOST_TRIES {
            let now = self.clock.unix_seconds();
            let today = (now / DAY).to_string();
            let count = self.records.get::<Count>(&today, now).await?;
            let so_far = count.as_ref().map_or(0, |count| count.record.registrations);
            if so_far >= settings.maximum_per_day {
                tracing::warn!("no client can register any more today");
                return Err(Error::RegistrationsExhausted { seconds: DAY - now % DAY });
            }
            let next = Count { registrations: so_far.saturating_add(1) };
            let id = format!("{ID_PREFIX}{}", random_id()?);
            let registered =
                Registered { declared: declared.clone(), issued_at: now, last_used: now };
            let changes = self.records.changes();
            let count_until = now.saturating_add(2 * DAY);
            let changes = match &count {
                None => changes.insert(&today, &next, count_until),
                Some(count) => changes.replace(&today, count.version, &next, count_until),
            };
            let until = now.saturating_add(settings.unused_seconds);
            if changes.insert(&id, &registered, until).apply(now).await? == Applied::Yes {
                return Ok((id, registered));
            }
        }
        Err(Error::Busy)
    }

    /// The registered client called `id`, whose life begins anew with this use.
    pub(super) async fn registered(
        &self,
        settings: &RegistrationSettings,
        id: &str,
    ) -> Result<Option<Arc<Client>>, Error> {
        if !is_id(id) {
            return Ok(None);
        }
        let now = self.clock.unix_seconds();
        let Some(found) = self.records.get::<Registered>(id, now).await? else { return Ok(None) };
        let Versioned { mut record, version } = found;
        let Some(mut client) = record.declared.client(id, NAMELESS, Source::Registration) else {
            return Ok(None);
        };
        // What the settings no longer allow is gone with them.
        client.scopes.retain(|scope| settings.scopes.contains(scope));
        client.redirects.retain(|redirect| {
            redirect.https_host().is_none_or(|host| settings.redirect_hosts.allows(host))
        });
        if now >= record.last_used.saturating_add(DAY) {
            record.last_used = now;
            let until = now.saturating_add(settings.unused_seconds);
            // On a conflict somebody else has prolonged it.
            self.records.changes().replace(id, version, &record, until).apply(now).await?;
        }
        Ok(Some(Arc::new(client)))
    }
}

/// Whether this can be the id of a client that registered itself.
fn is_id(id: &str) -> bool {
    id.strip_prefix(ID_PREFIX).is_some_and(|random| {
        random.len() == RANDOM_CHARACTERS
            && random.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
}
