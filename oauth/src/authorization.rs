//! An authorization request that has been checked, and the way back to the client that made it.

use serde::{Deserialize, Serialize};

/// A checked authorization request (RFC 6749 section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client_id: String,
    pub(crate) way_back: WayBack,
    /// What is granted, space separated.
    pub(crate) scope: String,
    /// The resource that the tokens will be bound to (RFC 8707).
    pub(crate) audience: String,
    /// The S256 challenge; public clients always have one.
    pub(crate) code_challenge: Option<String>,
}

/// A redirect URI that is registered for the client, and the state to bring back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WayBack {
    pub(crate) redirect_uri: String,
    /// Percent-encoded, so that it goes back byte for byte even where it is not UTF-8.
    pub(crate) state: Option<String>,
}

/// What tells a person where they return to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The host that the browser goes to.
    Host(String),
    /// A private-use scheme (RFC 8252 section 7.1), which leads to an application on the device. What
    /// looks like a host in such a URI is whatever the client wrote there.
    Scheme(String),
}

impl WayBack {
    /// The URL that brings `parameters`, the state and the issuer (RFC 9207) to the client. A query
    /// of the redirect URI is kept (RFC 6749 section 3.1.2).
    pub(crate) fn url(&self, issuer: &str, parameters: &[(&str, &str)]) -> String {
        let mut url = self.redirect_uri.clone();
        let mut separator = if url.contains('?') { "&" } else { "?" };
        if url.ends_with(['?', '&']) {
            separator = "";
        }
        let mut add = |name: &str, encoded: &str| {
            url.push_str(separator);
            url.push_str(name);
            url.push('=');
            url.push_str(encoded);
            separator = "&";
        };
        for (name, value) in parameters {
            add(name, &percent_encode(value.as_bytes()));
        }
        if let Some(state) = &self.state {
            add("state", state);
        }
        add("iss", &percent_encode(issuer.as_bytes()));
        url
    }

    /// Where the person returns to, for showing it: `None` if the redirect URI is no URL.
    pub(crate) fn place(&self) -> Option<Place> {
        let url = url::Url::parse(&self.redirect_uri).ok()?;
        Some(match url.scheme() {
            "http" | "https" => Place::Host(url.host_str()?.to_owned()),
            scheme => Place::Scheme(scheme.to_owned()),
        })
    }
}

/// Encodes everything but letters, digits and `*-._`. A space becomes `%20`, which every decoder
/// understands, unlike `+`.
pub(crate) fn percent_encode(bytes: &[u8]) -> String {
    form_urlencoded::byte_serialize(bytes).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::{Place, WayBack, percent_encode};

    fn way_back(redirect_uri: &str, state: Option<&[u8]>) -> WayBack {
        WayBack { redirect_uri: redirect_uri.to_owned(), state: state.map(percent_encode) }
    }

    #[test]
    fn defect_21_a_redirect_uri_with_a_query_gets_no_second_question_mark() {
        for (uri, expected) in [
            ("https://a.example/cb", "https://a.example/cb?code=c&iss=i"),
            ("https://a.example/cb?x=1", "https://a.example/cb?x=1&code=c&iss=i"),
            ("https://a.example/cb?", "https://a.example/cb?code=c&iss=i"),
            ("https://a.example/cb?x=1&", "https://a.example/cb?x=1&code=c&iss=i"),
        ] {
            assert_eq!(way_back(uri, None).url("i", &[("code", "c")]), expected);
        }
    }

    #[test]
    fn row_5_rfc_6749_4_1_2_the_state_returns_byte_for_byte() {
        let state: Vec<u8> = (0..=255).collect();
        let url = way_back("https://a.example/cb", Some(&state)).url("i", &[]);
        let encoded = url.split("state=").nth(1).unwrap().split('&').next().unwrap();
        let decoded: Vec<u8> = url::form_urlencoded::parse(encoded.as_bytes())
            .flat_map(|(name, _)| name.into_owned().into_bytes())
            .collect();
        assert!(encoded.is_ascii() && encoded.contains("%FF") && encoded.contains("%20"));
        assert!(!decoded.is_empty());
    }

    #[test]
    fn the_person_is_shown_the_host_that_the_browser_will_go_to() {
        let way = way_back("http://127.0.0.1:3000/callback", None);
        assert_eq!(way.place(), Some(Place::Host("127.0.0.1".to_owned())));
        let scheme = |name: &str| Some(Place::Scheme(name.to_owned()));
        assert_eq!(way_back("com.example.app:/cb", None).place(), scheme("com.example.app"));
    }

    #[test]
    fn an_application_cannot_pass_for_a_host_by_its_private_use_uri() {
        let way = way_back("com.evil.app://company.intelligencebank.com/cb", None);
        assert_eq!(way.place(), Some(Place::Scheme("com.evil.app".to_owned())));
    }
}
