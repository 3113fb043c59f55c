//! Which request an event belongs to. The request's task knows, and what it spawns when that is
//! [`carried`].

use std::sync::{Arc, Mutex, PoisonError};

use super::{Audit, Entry};

tokio::task_local! {
    static ORIGIN: Origin;
}

/// The id of the request that is being answered, if its log line has one: what a person may quote.
pub(crate) fn request_id() -> Option<String> {
    ORIGIN.try_with(|origin| origin.request_id().map(str::to_owned)).ok().flatten()
}

/// A request, as far as the log names it.
#[derive(Clone)]
pub(crate) struct Origin(Arc<Request>);

struct Request {
    audit: Arc<Audit>,
    request_id: Option<String>,
    trace_id: Option<String>,
    claimed_client: Mutex<Option<String>>,
}

impl Origin {
    /// `request_id` and `trace_id` have been checked: they are no secrets and can stand in a log.
    pub(crate) fn new(
        audit: &Arc<Audit>,
        request_id: Option<&str>,
        trace_id: Option<&str>,
    ) -> Self {
        Self(Arc::new(Request {
            audit: Arc::clone(audit),
            request_id: request_id.map(str::to_owned),
            trace_id: trace_id.map(str::to_owned),
            claimed_client: Mutex::default(),
        }))
    }

    /// Runs the request.
    pub(crate) async fn around<T>(&self, request: impl Future<Output = T>) -> T {
        ORIGIN.scope(self.clone(), request).await
    }

    /// Records an event of this request.
    pub(crate) fn record(&self, entry: &Entry<'_>) {
        self.0.audit.write(entry, self);
    }

    /// The registered client that the request named, if it did.
    pub(crate) fn claimed_client(&self) -> Option<String> {
        self.0.claimed_client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    pub(super) fn trace_id(&self) -> Option<&str> {
        self.0.trace_id.as_deref()
    }
}

/// Records an event of the request that this task serves. Outside of any, such as on the command line,
/// there is no log.
pub(crate) fn record(entry: &Entry<'_>) {
    ORIGIN.try_with(|origin| origin.record(entry)).ok();
}

/// Remembers which registered client this request says to be from, for the case that it is refused.
pub(crate) fn claimed_client(id: &str) {
    let remember = |origin: &Origin| {
        let mut claimed = origin.0.claimed_client.lock().unwrap_or_else(PoisonError::into_inner);
        *claimed = Some(id.to_owned());
    };
    ORIGIN.try_with(remember).ok();
}

/// Work that is about to be spawned, as work of the same request.
pub(crate) fn carried<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let origin = ORIGIN.try_with(Clone::clone).ok();
    async move {
        match origin {
            Some(origin) => ORIGIN.scope(origin, work).await,
            None => work.await,
        }
    }
}
