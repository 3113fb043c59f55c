//! Parameters of a query or a form, read by the rules of RFC 6749 sections 3.1 and 3.2: a known name
//! may come once, an empty value counts as absent, unknown names are ignored.

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Uri, header},
};

use crate::{error::Error, settings::ServerSettings};

/// Names that may come once only. `resource` may be repeated (RFC 8707 section 2).
const ONCE: [&str; 29] = [
    "after",
    "grant",
    "limit",
    "platform",
    "subject",
    "authorization_request",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "platform_url",
    "poll_token",
    "redirect_uri",
    "refresh_token",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "token",
    "token_type_hint",
    "access_token",
    "client_assertion",
    "client_assertion_type",
    "session",
    "generation",
    "cause",
];
/// Names whose values must not be in a URL of a form endpoint.
const NEVER_IN_A_QUERY: [&str; 10] = [
    "access_token",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "grant_type",
    "refresh_token",
    "token",
];
/// Longest query that is read.
const LONGEST_QUERY: usize = 16 * 1024;

/// Decoded names and values, in their order.
#[derive(Clone, Default)]
pub(super) struct Parameters(Vec<(String, Vec<u8>)>);

impl Parameters {
    /// Decodes `application/x-www-form-urlencoded`. A name that is not UTF-8 is nobody's.
    pub(super) fn parse(encoded: &[u8]) -> Self {
        let pairs = encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .filter_map(|pair| {
                    let mut parts = pair.splitn(2, |byte| *byte == b'=');
                    let name = String::from_utf8(decode(parts.next()?)).ok()?;
                    Some((name, decode(parts.next().unwrap_or_default())))
                })
                .collect(),
        )
    }

    /// The parameters of a URL's query.
    pub(super) fn of_query(query: Option<&str>) -> Result<Self, Error> {
        let query = query.unwrap_or_default();
        if query.len() > LONGEST_QUERY {
            return Err(Error::invalid_request("The query is too long"));
        }
        Ok(Self::parse(query.as_bytes()))
    }

    /// Refuses a known name that comes twice.
    pub(super) fn refuse_repeated(&self) -> Result<(), Error> {
        match ONCE.into_iter().find(|name| self.all(name).count() > 1) {
            Some(name) => Err(Error::parameter("Repeated", name)),
            None => Ok(()),
        }
    }

    /// The bytes of a parameter; the first if there are several.
    pub(super) fn bytes(&self, name: &'static str) -> Option<&[u8]> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// The text of a parameter, once and in UTF-8.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, Error> {
        if self.all(name).count() > 1 {
            return Err(Error::parameter("Repeated", name));
        }
        self.bytes(name)
            .map(|value| {
                std::str::from_utf8(value).map_err(|_| Error::parameter("Malformed", name))
            })
            .transpose()
    }

    /// The text of a parameter that must be there.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, Error> {
        self.text(name)?.ok_or_else(|| Error::parameter("Missing", name))
    }

    /// Every text of a parameter that may be repeated.
    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<&str>, Error> {
        self.all(name)
            .filter(|value| !value.is_empty())
            .map(|value| {
                std::str::from_utf8(value)
                    .map_err(|_| Error::invalid_request("A parameter is not UTF-8"))
            })
            .collect()
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_slice())
    }
}

/// A request whose parameters are in its body.
pub(super) struct Form {
    pub(super) headers: HeaderMap,
    pub(super) parameters: Parameters,
    /// The body as it came.
    pub(super) body: Bytes,
}

/// Refuses what belongs into a body and stands in a query (RFC 6749 section 2.3.1), since URLs end up in
/// logs.
pub(super) fn refuse_credentials_in(uri: &Uri) -> Result<(), Error> {
    let query = Parameters::of_query(uri.query())?;
    let has = |name: &&'static str| query.all(name).any(|value| !value.is_empty());
    if NEVER_IN_A_QUERY.iter().any(has) {
        return Err(Error::invalid_request("Parameters belong in the request body"));
    }
    Ok(())
}

/// Reads a form within the server's bounds, in which no known name comes twice, with no credentials in the
/// query.
pub(super) async fn form(request: Request, bounds: ServerSettings) -> Result<Form, Error> {
    refuse_credentials_in(request.uri())?;
    let form = plain_form(request, bounds).await?;
    form.parameters.refuse_repeated()?;
    Ok(form)
}

/// Reads a form within the server's bounds, and leaves what is in it to the caller.
pub(super) async fn plain_form(request: Request, bounds: ServerSettings) -> Result<Form, Error> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let media_type = types.next();
    if types.next().is_some() {
        return Err(Error::invalid_request("Repeated Content-Type header"));
    }
    let is_form = media_type.and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    if !is_form {
        return Err(Error::invalid_request("The body must be application/x-www-form-urlencoded"));
    }
    let body = self::body(body, bounds).await?;
    let parameters = Parameters::parse(&body);
    Ok(Form { headers, parameters, body })
}

/// Reads a body within the server's bounds.
pub(super) async fn body(body: Body, bounds: ServerSettings) -> Result<Bytes, Error> {
    let body = axum::body::to_bytes(body, bounds.maximum_body_bytes);
    let body = tokio::time::timeout(bounds.body_timeout, body).await;
    // A body that broke off is answered likewise, if anyone is left to hear it.
    body.map_err(|_| Error::SlowBody)?.map_err(|_| Error::BodyTooLarge)
}

/// Percent-decoding with `+` for a space. What is no escape stands for itself, as browsers have it.
pub(super) fn decode(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => match after {
                [high, low, after @ ..] => match (hexadecimal(*high), hexadecimal(*low)) {
                    (Some(high), Some(low)) => {
                        decoded.push((high << 4) | low);
                        rest = after;
                    }
                    _ => decoded.push(b'%'),
                },
                _ => decoded.push(b'%'),
            },
            byte => decoded.push(*byte),
        }
    }
    decoded
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Parameters, decode};
    use crate::authorization::percent_encode;

    #[test]
    fn row_10_rfc_6749_3_1_a_repeated_parameter_is_refused_and_an_empty_one_is_absent() {
        let parameters = Parameters::parse(b"code=a&state=&code=b&unknown=1&unknown=2");
        assert!(parameters.text("code").is_err());
        assert!(parameters.refuse_repeated().is_err());
        assert_eq!(parameters.text("state"), Ok(None));
        assert!(parameters.required("state").is_err());
        assert!(Parameters::parse(b"x=1&x=2&resource=a&resource=b").refuse_repeated().is_ok());
    }

    #[test]
    fn escapes_are_decoded_as_browsers_decode_them() {
        assert_eq!(decode(b"a+b%20c%2B%zz%4"), b"a b c+%zz%4");
        assert_eq!(decode(b"%ff%00"), [0xff, 0]);
        assert!(Parameters::parse(b"code=%ff").text("code").is_err());
        assert_eq!(Parameters::parse(b"c%6fde=1").text("code"), Ok(Some("1")));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(percent_encode(&bytes).as_bytes()), bytes);
        }

        #[test]
        fn no_input_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Parameters::parse(&bytes).refuse_repeated();
        }
    }
}
