//! What a client says about itself (RFC 7591 section 2), in a document of its own or when it registers:
//! read, and cut down to what this service has and the operator allows.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ActsFor, Client, ClientKeys, ClientKind, RegisteredRedirect, Source};
use crate::hosts::HostList;

/// Longest key set of a client that describes itself, in bytes of JSON.
const LONGEST_JWKS: usize = 16 * 1024;

/// Most redirect URIs of one client.
const MOST_REDIRECTS: usize = 10;
/// Longest redirect URI, in bytes.
const LONGEST_REDIRECT: usize = 512;
/// Longest name, in characters.
const LONGEST_NAME: usize = 128;

/// Why metadata is refused (RFC 7591 section 3.2.2). The words are for the client's developer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    RedirectUri(&'static str),
    Metadata(&'static str),
}

/// The members that mean something here; others are ignored, as RFC 7591 section 2 asks.
#[derive(Debug, Deserialize)]
pub(super) struct Written {
    pub(super) client_id: Option<String>,
    client_name: Option<String>,
    redirect_uris: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    scope: Option<String>,
    jwks: Option<Value>,
    jwks_uri: Option<Value>,
    client_secret: Option<Value>,
    client_secret_expires_at: Option<Value>,
}

/// What the operator allows to clients that describe themselves.
pub(super) struct Allowed<'a> {
    /// Where https redirects may lead.
    pub(super) redirect_hosts: &'a HostList,
    /// The client's own host, where it has one: redirects may lead there as well.
    pub(super) own_host: Option<&'a str>,
    /// Whether redirects may have the private scheme of an application (RFC 8252 section 7.1).
    pub(super) private_schemes: bool,
    /// Whether clients may have keys.
    pub(super) keys: bool,
    pub(super) scopes: &'a [String],
}

/// Checked metadata, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Declared {
    pub(crate) name: Option<String>,
    pub(crate) redirects: Vec<String>,
    pub(crate) scopes: Vec<String>,
    /// The JWK Set of a client that signs assertions. Without it the client is a public one.
    pub(crate) jwks: Option<Value>,
}

impl Written {
    /// Checks everything by what is allowed.
    pub(super) fn check(self, allowed: &Allowed<'_>) -> Result<Declared, Refused> {
        use Refused::Metadata;
        if self.client_secret.is_some() || self.client_secret_expires_at.is_some() {
            return Err(Metadata("A client must not describe a secret of its own"));
        }
        let jwks = self.keys(allowed)?;
        let only = |list: &Option<Vec<String>>, known: &[&str]| {
            list.as_ref().is_none_or(|list| list.iter().all(|own| known.contains(&own.as_str())))
        };
        if !only(&self.grant_types, &["authorization_code", "refresh_token"]) {
            return Err(Metadata("The grant_types may be authorization_code and refresh_token"));
        }
        if !only(&self.response_types, &["code"]) {
            return Err(Metadata("The response_types may be code alone"));
        }
        let name = self.client_name.filter(|name| !name.is_empty());
        if name.as_ref().is_some_and(|name| !is_name(name)) {
            return Err(Metadata(
                "The client_name is too long, or has characters that hide others",
            ));
        }
        let scopes = match &self.scope {
            None => allowed.scopes.to_vec(),
            Some(asked) => {
                let asked: Vec<_> = asked.split(' ').collect();
                let own = allowed.scopes.iter().filter(|own| asked.contains(&own.as_str()));
                own.cloned().collect()
            }
        };
        if scopes.is_empty() {
            return Err(Metadata("The scope holds none that such a client may have"));
        }
        let redirects = self.redirect_uris.unwrap_or_default();
        check_redirects(&redirects, allowed).map_err(Refused::RedirectUri)?;
        Ok(Declared { name, redirects, scopes, jwks })
    }

    fn keys(&self, allowed: &Allowed<'_>) -> Result<Option<Value>, Refused> {
        use Refused::Metadata;
        match self.token_endpoint_auth_method.as_deref() {
            // The default of RFC 7591 is a secret, which nobody gets here: the answer says what counts.
            None | Some("none") => Ok(None),
            Some("private_key_jwt") if allowed.keys => {
                if self.jwks_uri.is_some() {
                    return Err(Metadata("The keys belong into jwks; a jwks_uri is not read"));
                }
                let jwks = self.jwks.as_ref().ok_or(Metadata("The client has no jwks"))?;
                if jwks.to_string().len() > LONGEST_JWKS {
                    return Err(Metadata("The jwks is too long"));
                }
                ClientKeys::parse(jwks).map_err(|_| {
                    Metadata("The jwks is not one of public ES256, PS256 or RS256 keys")
                })?;
                Ok(Some(jwks.clone()))
            }
            Some(_) => Err(Metadata("The token_endpoint_auth_method is not one for such a client")),
        }
    }
}

impl Declared {
    /// The client called `id`. `None`: a rule has become stricter since this was checked.
    pub(super) fn client(&self, id: &str, fallback_name: &str, source: Source) -> Option<Client> {
        let kind = match &self.jwks {
            None => ClientKind::Public,
            Some(jwks) => ClientKind::Keys(ClientKeys::parse(jwks).ok()?),
        };
        let redirects = self.redirects.iter().map(|uri| RegisteredRedirect::parse(uri));
        Some(Client {
            id: id.to_owned(),
            name: self.name.clone().unwrap_or_else(|| fallback_name.to_owned()),
            source,
            kind,
            acts_for: ActsFor::Persons,
            redirects: redirects.collect::<Result<_, _>>().ok()?,
            scopes: self.scopes.clone(),
        })
    }
}

fn check_redirects(uris: &[String], allowed: &Allowed<'_>) -> Result<(), &'static str> {
    if !(1..=MOST_REDIRECTS).contains(&uris.len()) {
        return Err("There must be between 1 and 10 redirect_uris");
    }
    for uri in uris {
        if uri.len() > LONGEST_REDIRECT {
            return Err("A redirect URI is too long");
        }
        let redirect = RegisteredRedirect::parse(uri).map_err(
            |_| "A redirect URI must be https or http on a loopback host, in normal form",
        )?;
        if !redirect.is_plain() {
            return Err("A redirect URI must not have a wildcard");
        }
        let is_allowed = match redirect.https_host() {
            Some(host) => allowed.own_host == Some(host) || allowed.redirect_hosts.allows(host),
            None => redirect.is_loopback() || allowed.private_schemes,
        };
        if !is_allowed {
            return Err("A redirect URI leads where such a client may not send people");
        }
    }
    Ok(())
}

/// Whether a person sees what stands in the name: no controls, and nothing that turns the direction of
/// the text around it.
fn is_name(name: &str) -> bool {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    name.chars().count() <= LONGEST_NAME && !name.chars().any(hides) && !name.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Allowed, Declared, Refused, Written};
    use crate::hosts::{HostList, HostPattern};

    fn check(changes: Value) -> Result<Declared, Refused> {
        let mut written = json!({
            "client_name": "App",
            "redirect_uris": ["https://app.example.com/callback", "http://127.0.0.1/callback"],
        });
        for (name, value) in changes.as_object().unwrap() {
            written[name] = value.clone();
        }
        let hosts = HostList::new(vec![HostPattern::parse("*.allowed.example").unwrap()]);
        serde_json::from_value::<Written>(written).unwrap().check(&Allowed {
            redirect_hosts: &hosts,
            own_host: Some("app.example.com"),
            private_schemes: false,
            keys: true,
            scopes: &["profile".to_owned(), "assets".to_owned()],
        })
    }

    #[test]
    fn metadata_is_cut_down_to_what_the_operator_allows() {
        let declared = check(json!({ "scope": "assets admin", "logo_uri": "x" })).unwrap();
        assert_eq!(declared.scopes, ["assets"]);
        assert_eq!(check(json!({})).unwrap().scopes, ["profile", "assets"]);
        assert_eq!(check(json!({ "client_name": null })).unwrap().name, None);
    }

    #[test]
    fn a_redirect_that_leads_elsewhere_or_fits_many_places_is_refused() {
        for good in ["https://a.allowed.example/cb", "https://app.example.com:8443/cb?x=1"] {
            assert!(check(json!({ "redirect_uris": [good] })).is_ok(), "{good}");
        }
        for bad in [
            json!([]),
            json!(["https://evil.example/cb"]),
            json!(["https://*.allowed.example/cb"]),
            json!(["https://a.b.allowed.example/cb"]),
            json!(["https://app.example.com/cb", "http://app.example.com/cb"]),
            json!(["https://app.example.com/cb#x"]),
            json!(["https://app.example.com@evil.example/cb"]),
            json!(["com.example.app:/cb"]),
            json!(["javascript:alert(1)"]),
            json!([format!("https://app.example.com/{}", "x".repeat(512))]),
            json!(vec!["http://127.0.0.1/cb"; 11]),
        ] {
            let refused = check(json!({ "redirect_uris": bad }));
            assert!(matches!(refused, Err(Refused::RedirectUri(_))), "{bad}");
        }
    }

    #[test]
    fn what_this_service_does_not_have_is_refused_and_not_pretended() {
        for bad in [
            json!({ "token_endpoint_auth_method": "client_secret_basic" }),
            json!({ "token_endpoint_auth_method": "private_key_jwt" }),
            json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://x/y" }),
            json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [] } }),
            json!({ "client_secret": "x" }),
            json!({ "grant_types": ["client_credentials"] }),
            json!({ "response_types": ["token"] }),
            json!({ "scope": "admin" }),
            json!({ "client_name": "x".repeat(129) }),
            json!({ "client_name": "App\u{202e}moc.elpmaxe" }),
            json!({ "client_name": "App\n" }),
        ] {
            assert!(matches!(check(bad.clone()), Err(Refused::Metadata(_))), "{bad}");
        }
    }
}
