//! Client id metadata documents (draft-ietf-oauth-client-id-metadata-document): a client whose id is an
//! https URL describes itself at that URL. Documents come from allowed hosts alone, and are kept for a
//! while in a bounded cache.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Mutex, Semaphore};
use url::Url;

use super::{
    Client, Source,
    metadata::{Allowed, Refused, Written},
};
use crate::{clock::Clock, error::Error, settings::DocumentSettings};

/// Longest client id that may be a URL.
const LONGEST_URL: usize = 512;
/// Most documents that are kept, refusals included. Beyond it the one that was read first goes.
pub(super) const MOST_DOCUMENTS: usize = 1_000;
/// Most documents that are read at the same time. One more waits for its turn.
const MOST_READ_AT_ONCE: usize = 16;
/// How long a document that cannot be had is not asked for again.
const REFUSAL_KEPT: Duration = Duration::from_secs(30);

/// Where documents come from.
pub(crate) trait ClientDocumentSource: Send + Sync + 'static {
    /// Reads the document at `url`, which is https on an allowed host.
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a>;
}

/// What the trait's method returns.
pub(crate) type Fetching<'a> =
    Pin<Box<dyn Future<Output = Result<Fetched, DocumentError>> + Send + 'a>>;

/// A document, of bounded length, that was served as JSON.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    pub(crate) body: Vec<u8>,
    /// `max-age` of its Cache-Control; zero where it forbids to keep it.
    pub(crate) max_age: Option<Duration>,
}

/// Why there is no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DocumentError {
    /// No connection, no answer in time, or a server error. Trying again may help.
    #[error("the host of the client id cannot be reached")]
    Unreachable,
    /// Something else than a JSON document of an acceptable length.
    #[error("there is no JSON document of an acceptable length at the client id")]
    NoDocument,
}

type Known = Result<Arc<Client>, Error>;

/// One document's place. Whoever reads the document holds the lock, so that it is read once for all.
type Place = Arc<Mutex<Option<Kept>>>;

struct Kept {
    client: Known,
    /// By the clock that never goes back.
    until: Duration,
}

/// The documents that have been read.
pub(super) struct Documents {
    source: Arc<dyn ClientDocumentSource>,
    clock: Arc<dyn Clock>,
    places: StdMutex<Places>,
    turns: Semaphore,
}

#[derive(Default)]
struct Places {
    by_url: HashMap<String, (u64, Place)>,
    /// Rises with every place that is made.
    made: u64,
}

impl Documents {
    pub(super) fn new(source: Arc<dyn ClientDocumentSource>, clock: Arc<dyn Clock>) -> Self {
        let turns = Semaphore::new(MOST_READ_AT_ONCE);
        Self { source, clock, places: StdMutex::default(), turns }
    }

    /// The client that the document at `id` describes.
    ///
    /// # Errors
    ///
    /// `invalid_client` for an id or a document that cannot be used, and
    /// [`Error::ClientUnavailable`] when nobody can tell.
    pub(super) async fn find(&self, settings: &DocumentSettings, id: &str) -> Known {
        if host_of(id).is_none_or(|host| !settings.hosts.allows(&host)) {
            return Err(Error::InvalidClient("This client id is no URL of a host that is allowed"));
        }
        let place = self.place(id);
        let mut kept = place.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| self.clock.monotonic() < kept.until) {
            return kept.client.clone();
        }
        let _turn = self.turns.acquire().await.map_err(|_| Error::Internal)?;
        let fetched = self.source.fetch(id).await;
        let (client, keep) = match fetched {
            Ok(fetched) => {
                let client = read(settings, id, &fetched.body);
                let keep = fetched.max_age.unwrap_or(settings.shortest);
                let keep = keep.clamp(settings.shortest, settings.longest);
                let keep = if client.is_ok() { keep } else { REFUSAL_KEPT };
                (client, keep)
            }
            Err(cause) => {
                tracing::warn!(%cause, "a client's document cannot be read");
                (Err(refusal(cause)), REFUSAL_KEPT)
            }
        };
        let until = self.clock.monotonic().saturating_add(keep);
        *kept = Some(Kept { client: client.clone(), until });
        client
    }

    fn place(&self, id: &str) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, place)) = places.by_url.get(id) {
            return Arc::clone(place);
        }
        if places.by_url.len() >= MOST_DOCUMENTS {
            let first = places.by_url.iter().min_by_key(|(_, (made, _))| *made);
            if let Some(first) = first.map(|(url, _)| url.clone()) {
                places.by_url.remove(&first);
            }
        }
        places.made = places.made.saturating_add(1);
        let (made, place) = (places.made, Place::default());
        places.by_url.insert(id.to_owned(), (made, Arc::clone(&place)));
        place
    }
}

fn refusal(cause: DocumentError) -> Error {
    match cause {
        DocumentError::Unreachable => {
            Error::ClientUnavailable("The host of the client id cannot be reached")
        }
        DocumentError::NoDocument => {
            Error::InvalidClient("There is no usable JSON document at the client id")
        }
    }
}

/// The host of a client id, if the id is a URL as the draft's section 3 wants it, written in the one
/// form that every parser reads alike.
pub(crate) fn host_of(id: &str) -> Option<String> {
    if id.len() > LONGEST_URL || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let url = Url::parse(id).ok()?;
    let plain = url.scheme() == "https"
        && url.as_str() == id
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path() != "/"
        // `url` has resolved dot segments, but leaves encoded ones behind.
        && !id.contains(['%', '\\', '@']);
    plain.then(|| url.host_str().map(str::to_owned)).flatten()
}

fn read(settings: &DocumentSettings, id: &str, body: &[u8]) -> Known {
    let unusable = || Error::InvalidClient("The document at the client id cannot be used");
    let written: Written = serde_json::from_slice(body).map_err(|_| unusable())?;
    // Whoever can write somewhere on the host must not speak for another client.
    if written.client_id.as_deref() != Some(id) {
        return Err(Error::InvalidClient("The document at the client id names another client_id"));
    }
    let host = host_of(id).ok_or_else(unusable)?;
    let allowed = Allowed {
        redirect_hosts: &settings.hosts,
        own_host: Some(&host),
        private_schemes: true,
        keys: true,
        scopes: &settings.scopes,
    };
    let declared = written.check(&allowed).map_err(|refused| {
        let (Refused::RedirectUri(reason) | Refused::Metadata(reason)) = refused;
        Error::InvalidClient(reason)
    })?;
    let source = Source::Document { host: host.clone() };
    declared.client(id, &host, source).map(Arc::new).ok_or_else(unusable)
}

#[cfg(test)]
mod tests;
