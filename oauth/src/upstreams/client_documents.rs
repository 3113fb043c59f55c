//! Reads client id metadata documents, by the same guarded HTTPS as platforms are asked.

use std::time::Duration;

use reqwest::{Client, Response, header};

use super::https::{self, ClientError};
use crate::{
    clients::{ClientDocumentSource, DocumentError, Fetched, Fetching},
    settings::IntelligenceBankSettings,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For the whole request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest document that is read, in bytes.
const LONGEST_DOCUMENT: usize = 16 * 1024;

/// The HTTPS client for documents.
pub(crate) struct HttpsDocuments(Client);

impl HttpsDocuments {
    /// The certificates and addresses that are accepted are those of platforms.
    pub(crate) fn new(settings: &IntelligenceBankSettings) -> Result<Self, ClientError> {
        https::client(settings, CONNECT_TIMEOUT, TIMEOUT).map(Self)
    }
}

impl ClientDocumentSource for HttpsDocuments {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(async move {
            let unreachable = |_| DocumentError::Unreachable;
            let asked = self.0.get(url).header(header::ACCEPT, "application/json");
            let response = asked.send().await.map_err(unreachable)?;
            match response.status().as_u16() {
                200 => {}
                408 | 429 | 500.. => return Err(DocumentError::Unreachable),
                _ => return Err(DocumentError::NoDocument),
            }
            if !is_json(&response) {
                return Err(DocumentError::NoDocument);
            }
            let max_age = max_age(&response);
            let body =
                https::read(response, LONGEST_DOCUMENT).await.map_err(|cause| match cause {
                    https::ReadError::TooLong => DocumentError::NoDocument,
                    https::ReadError::Broken(_) => DocumentError::Unreachable,
                })?;
            Ok(Fetched { body, max_age })
        })
    }
}

/// `application/json`, or a type that ends in `+json` (RFC 6839 section 3.1).
fn is_json(response: &Response) -> bool {
    let value = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// What `Cache-Control` says about keeping the document (RFC 9111 section 5.2.2).
fn max_age(response: &Response) -> Option<Duration> {
    let values = response.headers().get_all(header::CACHE_CONTROL).iter();
    let texts: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    let directives = || texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    if directives()
        .any(|own| ["no-store", "no-cache"].iter().any(|no| own.eq_ignore_ascii_case(no)))
    {
        return Some(Duration::ZERO);
    }
    directives().find_map(|own| {
        let (name, value) = own.split_once('=')?;
        let seconds = value.trim_matches('"').parse().ok()?;
        name.eq_ignore_ascii_case("max-age").then_some(Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests;
