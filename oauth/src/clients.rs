//! The registered clients: who they are, where they may be redirected to, what they may ask for.

use std::collections::HashMap;

use crate::tokens::SecretHash;

mod redirect;

pub(crate) use redirect::RegisteredRedirect;

/// How a client proves who it is.
#[derive(Debug)]
pub(crate) enum ClientKind {
    /// It cannot keep a secret: it has PKCE instead (RFC 6749 section 2.1).
    Public,
    /// It has a secret, presented by HTTP Basic (RFC 6749 section 2.3.1).
    Confidential(SecretHash),
}

/// One registered client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// Shown to the person who logs in.
    pub(crate) name: String,
    pub(crate) kind: ClientKind,
    pub(crate) redirects: Vec<RegisteredRedirect>,
    /// In the order of the settings; what the client gets when it asks for none.
    pub(crate) scopes: Vec<String>,
}

impl Client {
    /// Whether `uri` is registered, by the rules of [`RegisteredRedirect`].
    pub(crate) fn may_redirect_to(&self, uri: &str) -> bool {
        self.redirects.iter().any(|registered| registered.matches(uri))
    }

    /// Whether this is a public client, for which PKCE is required (RFC 9700 section 2.1.1).
    pub(crate) fn is_public(&self) -> bool {
        matches!(self.kind, ClientKind::Public)
    }

    /// The scope to grant: what was asked for, or all of the client's. `None` when it is malformed
    /// or more than the client may have.
    pub(crate) fn grantable_scope(&self, asked: Option<&str>) -> Option<String> {
        match asked {
            None => Some(self.scopes.join(" ")),
            Some(asked) => narrow(asked, |scope| self.scopes.iter().any(|own| own == scope)),
        }
    }

    /// What the client may still have of a scope that was granted: the settings may have changed since.
    /// `None`: nothing.
    pub(crate) fn still_granted(&self, scope: &str) -> Option<String> {
        let left: Vec<_> = scope
            .split(' ')
            .filter(|granted| self.scopes.iter().any(|own| own == granted))
            .collect();
        (!left.is_empty()).then(|| left.join(" "))
    }
}

/// `asked` without repetitions, if it is well formed (RFC 6749 section 3.3) and each of it is
/// `allowed`.
pub(crate) fn narrow(asked: &str, allowed: impl Fn(&str) -> bool) -> Option<String> {
    let mut scopes: Vec<&str> = Vec::new();
    for scope in asked.split(' ') {
        if scope.is_empty() || !allowed(scope) {
            return None;
        }
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Some(scopes.join(" "))
}

/// All clients, by id.
#[derive(Debug, Default)]
pub(crate) struct Clients(HashMap<String, Client>);

impl Clients {
    pub(crate) fn new(clients: impl IntoIterator<Item = Client>) -> Self {
        Self(clients.into_iter().map(|client| (client.id.clone(), client)).collect())
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Client> {
        self.0.get(id)
    }

    /// The client that `id` and `secret` prove, if it is a confidential one.
    pub(crate) fn authenticate(&self, id: &str, secret: &[u8]) -> Option<&Client> {
        let client = self.get(id)?;
        match &client.kind {
            ClientKind::Confidential(hash) if hash.matches(secret) => Some(client),
            ClientKind::Confidential(_) | ClientKind::Public => None,
        }
    }

    /// Every scope that some client may have, sorted, for the metadata.
    pub(crate) fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<_> =
            self.0.values().flat_map(|client| client.scopes.iter().cloned()).collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, ClientKind, Clients, SecretHash};

    fn client(kind: ClientKind) -> Client {
        Client {
            id: "one".to_owned(),
            name: "One".to_owned(),
            kind,
            redirects: Vec::new(),
            scopes: vec!["profile".to_owned(), "assets".to_owned()],
        }
    }

    #[test]
    fn a_scope_is_granted_as_asked_or_in_full_and_never_wider() {
        let client = client(ClientKind::Public);
        assert_eq!(client.grantable_scope(None).as_deref(), Some("profile assets"));
        assert_eq!(client.grantable_scope(Some("assets")).as_deref(), Some("assets"));
        assert_eq!(client.grantable_scope(Some("assets assets")).as_deref(), Some("assets"));
        for bad in ["admin", "profile admin", "profile  assets", " profile", "profile\tassets"] {
            assert_eq!(client.grantable_scope(Some(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn of_a_granted_scope_what_the_settings_have_taken_away_is_left_out() {
        let client = client(ClientKind::Public);
        assert_eq!(client.still_granted("assets profile").as_deref(), Some("assets profile"));
        assert_eq!(client.still_granted("admin assets").as_deref(), Some("assets"));
        assert_eq!(client.still_granted("admin"), None);
    }

    #[test]
    fn only_a_confidential_client_with_its_own_secret_is_authenticated() {
        let confidential = ClientKind::Confidential(SecretHash::of(b"right"));
        let clients = Clients::new([client(confidential)]);
        assert!(clients.authenticate("one", b"right").is_some());
        assert!(clients.authenticate("one", b"wrong").is_none());
        assert!(clients.authenticate("two", b"right").is_none());
        let clients = Clients::new([client(ClientKind::Public)]);
        assert!(clients.authenticate("one", b"").is_none());
    }

    #[test]
    fn defect_13_names_of_object_members_are_no_clients() {
        let clients = Clients::new([client(ClientKind::Public)]);
        for id in ["constructor", "__proto__", "toString", ""] {
            assert!(clients.get(id).is_none());
        }
    }
}
