//! Clients: who they are, where they may be redirected to, what they may ask for, and how they are
//! found: in the settings, in the store (RFC 7591), or in a document of their own.

use crate::tokens::SecretHash;

mod assertion;
mod documents;
mod keys;
mod metadata;
mod redirect;
mod registered;
mod registry;

pub(crate) use assertion::ASSERTION_TYPE;
pub(crate) use documents::{ClientDocumentSource, DocumentError, Fetched, Fetching, host_of};
#[cfg(test)]
pub(crate) use keys::tests::PrivateKey;
pub(crate) use keys::{ALGORITHMS, ClientKeys};
pub(crate) use redirect::RegisteredRedirect;
pub(crate) use registered::{ID_PREFIX, Registered};
pub(crate) use registry::{Clients, ConfiguredClients, still_granted};

/// The id of the console's client.
pub(crate) const CONSOLE_CLIENT: &str = "gateway-console";
/// The grant type of clients that act for themselves (RFC 6749 section 4.4).
pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";

/// How a client proves who it is.
#[derive(Debug)]
pub(crate) enum ClientKind {
    /// It cannot keep a secret: it has PKCE instead (RFC 6749 section 2.1).
    Public,
    /// It has a secret, presented by HTTP Basic (RFC 6749 section 2.3.1).
    Secret(SecretHash),
    /// It signs assertions with a private key (`private_key_jwt`, RFC 7523 section 2.2).
    Keys(ClientKeys),
}

/// For whom a client acts, which decides by which grants it gets tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActsFor {
    /// Persons who log in: `authorization_code` and `refresh_token`.
    Persons,
    /// Itself: `client_credentials` alone (RFC 6749 section 4.4).
    Itself,
}

/// Where what is known of a client comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// An operator wrote it.
    Settings,
    /// It registered itself (RFC 7591): nobody vouches for its name.
    Registration,
    /// Its client id is the URL of a document on this host.
    Document {
        /// In lower case.
        host: String,
    },
}

/// One client. Without redirect URIs it can have no code.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// Shown to the person who logs in.
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) kind: ClientKind,
    pub(crate) acts_for: ActsFor,
    pub(crate) redirects: Vec<RegisteredRedirect>,
    /// In the order of the settings; what the client gets when it asks for none.
    pub(crate) scopes: Vec<String>,
}

impl Client {
    /// Whether `uri` is registered, by the rules of [`RegisteredRedirect`].
    pub(crate) fn may_redirect_to(&self, uri: &str) -> bool {
        self.redirects.iter().any(|registered| registered.matches(uri))
    }

    /// Whether the client may get tokens by this `grant_type`, which the service knows.
    pub(crate) fn may_use(&self, grant_type: &str) -> bool {
        (grant_type == CLIENT_CREDENTIALS) == (self.acts_for == ActsFor::Itself)
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
        left_of(scope, &self.scopes)
    }
}

/// What of `scope` is among `allowed`. `None`: nothing.
fn left_of(scope: &str, allowed: &[String]) -> Option<String> {
    let left: Vec<_> =
        scope.split(' ').filter(|granted| allowed.iter().any(|own| own == granted)).collect();
    (!left.is_empty()).then(|| left.join(" "))
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

#[cfg(test)]
mod tests {
    use super::{ActsFor, Client, ClientKind, ConfiguredClients, SecretHash, Source};

    fn client(kind: ClientKind) -> Client {
        Client {
            id: "one".to_owned(),
            name: "One".to_owned(),
            source: Source::Settings,
            kind,
            acts_for: ActsFor::Persons,
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
        let confidential = ClientKind::Secret(SecretHash::of(b"right"));
        let clients = ConfiguredClients::new([client(confidential)]);
        assert!(clients.authenticate("one", b"right").is_some());
        assert!(clients.authenticate("one", b"wrong").is_none());
        assert!(clients.authenticate("two", b"right").is_none());
        let clients = ConfiguredClients::new([client(ClientKind::Public)]);
        assert!(clients.authenticate("one", b"").is_none());
    }

    #[test]
    fn defect_13_names_of_object_members_are_no_clients() {
        let clients = ConfiguredClients::new([client(ClientKind::Public)]);
        for id in ["constructor", "__proto__", "toString", ""] {
            assert!(clients.get(id).is_none());
        }
    }
}
