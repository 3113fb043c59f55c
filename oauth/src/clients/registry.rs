//! Finding clients: the one way to them for every endpoint.

use std::{collections::HashMap, sync::Arc};

use super::{
    ActsFor, Client, ClientDocumentSource, ClientKind, ID_PREFIX, documents::Documents, left_of,
};
use crate::{clock::Clock, error::Error, records::Records, settings::Settings};

/// The clients of the settings, by id.
#[derive(Debug, Default)]
pub(crate) struct ConfiguredClients(HashMap<String, Arc<Client>>);

impl ConfiguredClients {
    pub(crate) fn new(clients: impl IntoIterator<Item = Client>) -> Self {
        let named = |client: Client| (client.id.clone(), Arc::new(client));
        Self(clients.into_iter().map(named).collect())
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Client>> {
        self.0.get(id)
    }

    /// The client that `id` and `secret` prove, if it is one with a secret.
    pub(crate) fn authenticate(&self, id: &str, secret: &[u8]) -> Option<&Arc<Client>> {
        let client = self.get(id)?;
        match &client.kind {
            ClientKind::Secret(hash) if hash.matches(secret) => Some(client),
            ClientKind::Secret(_) | ClientKind::Keys(_) | ClientKind::Public => None,
        }
    }

    /// Whether any client acts for itself.
    pub(crate) fn have_machines(&self) -> bool {
        self.0.values().any(|client| client.acts_for == ActsFor::Itself)
    }

    fn scopes(&self) -> impl Iterator<Item = &String> {
        self.0.values().flat_map(|client| &client.scopes)
    }
}

/// Every client that there is.
pub(crate) struct Clients {
    pub(super) settings: Arc<Settings>,
    pub(super) records: Arc<Records>,
    pub(super) clock: Arc<dyn Clock>,
    documents: Documents,
}

impl Clients {
    pub(crate) fn new(
        settings: Arc<Settings>,
        records: Arc<Records>,
        documents: Arc<dyn ClientDocumentSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let documents = Documents::new(documents, Arc::clone(&clock));
        Self { settings, records, clock, documents }
    }

    /// The client called `id`. The kinds of ids have nothing in common: those of the settings hold no
    /// colon, those of documents are https URLs, and those of registered clients have a prefix of their
    /// own.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Arc<Client>>, Error> {
        if let Some(client) = self.settings.clients.get(id) {
            return Ok(Some(Arc::clone(client)));
        }
        if id.starts_with("https://") {
            return match &self.settings.client_documents {
                Some(settings) => self.documents.find(settings, id).await.map(Some),
                None => Ok(None),
            };
        }
        match &self.settings.registration {
            Some(settings) => self.registered(settings, id).await,
            None => Ok(None),
        }
    }

    /// Every scope that some client may have, sorted, for the metadata.
    pub(crate) fn scopes(&self) -> Vec<String> {
        let settings = &self.settings;
        let registered = settings.registration.iter().flat_map(|settings| &settings.scopes);
        let documents = settings.client_documents.iter().flat_map(|settings| &settings.scopes);
        let mut scopes: Vec<_> =
            settings.clients.scopes().chain(registered).chain(documents).cloned().collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }
}

/// What the client called `id` may still have of a scope that was granted: the settings may have changed
/// since. `None`: nothing.
///
/// This is asked with every introspection, so that it reads the settings alone: of a client that is not
/// in them they say which scopes its kind may have, and its grant says which of those it got. A
/// registration or a document that has gone since ends no token that was issued before.
pub(crate) fn still_granted(settings: &Settings, id: &str, scope: &str) -> Option<String> {
    if let Some(client) = settings.clients.get(id) {
        return client.still_granted(scope);
    }
    if id.starts_with("https://") {
        let documents = settings.client_documents.as_ref()?;
        return documents.allows(id).then(|| left_of(scope, &documents.scopes))?;
    }
    let registration = settings.registration.as_ref().filter(|_| id.starts_with(ID_PREFIX))?;
    left_of(scope, &registration.scopes)
}
