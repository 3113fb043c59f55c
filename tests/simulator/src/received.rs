//! A request as it was received: its head byte for byte, its body as a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use http::request::Parts;
use http::{HeaderMap, Version};
use sha2::{Digest as _, Sha256};

use crate::random::to_hexadecimal;
use crate::request_log::{BodyFacts, Head};
use crate::shared::Shared;

/// How long a client may pause within a body.
const BODY_PAUSE: Duration = Duration::from_secs(300);

/// Why a body did not end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body was broken off")]
    BrokenOff,
    #[error("nothing of the body arrived for {} seconds", BODY_PAUSE.as_secs())]
    Stalled,
}

/// A body that has ended.
pub(crate) struct WholeBody {
    pub(crate) facts: BodyFacts,
    /// Its bytes, unless there were more than the reader wanted to keep.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// A body that is still on its way.
pub(crate) struct Incoming {
    pub(crate) shared: Arc<Shared>,
    pub(crate) number: u64,
    pub(crate) body: Body,
}

impl Incoming {
    /// Reads the body to its end, hashing it, showing each piece to `see`, and keeping it only up
    /// to `keep` bytes: a longer one passes through without being held.
    pub(crate) async fn drain(
        mut self,
        keep: usize,
        mut see: impl FnMut(&[u8]),
    ) -> Result<WholeBody, BodyError> {
        let mut digest = Sha256::new();
        let mut length = 0_u64;
        let mut kept = Some(Vec::new());
        while let Some(piece) = self.next_piece().await? {
            digest.update(&piece);
            length = length.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            see(&piece);
            kept = kept.filter(|kept| kept.len().saturating_add(piece.len()) <= keep);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&piece);
            }
            self.note(BodyFacts { body_sha256: None, body_length: length });
        }
        let facts = BodyFacts {
            body_sha256: Some(to_hexadecimal(&digest.finalize())),
            body_length: length,
        };
        self.note(facts.clone());
        Ok(WholeBody { facts, bytes: kept })
    }

    fn note(&self, facts: BodyFacts) {
        self.shared.requests().note_body(self.number, facts);
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context));
            let frame = tokio::time::timeout(BODY_PAUSE, frame)
                .await
                .map_err(|_elapsed| BodyError::Stalled)?;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(BodyError::BrokenOff),
                Some(Ok(frame)) => {
                    // Trailers are frames too, and of no interest.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// Takes down the head of a request.
pub(crate) fn head_of(parts: &Parts) -> Head {
    let uri = &parts.uri;
    let host = uri.authority().map_or_else(
        || parts.headers.get(http::header::HOST).map(text).unwrap_or_default(),
        |authority| authority.as_str().to_owned(),
    );
    Head {
        host,
        method: parts.method.as_str().to_owned(),
        raw_path: uri.path().to_owned(),
        raw_query: uri.query().unwrap_or_default().to_owned(),
        raw_target: uri
            .path_and_query()
            .map_or_else(String::new, |whole| whole.as_str().to_owned()),
        http_version: version(parts.version),
        headers: parts
            .headers
            .keys()
            .map(|name| (name.to_string(), joined(&parts.headers, name)))
            .collect(),
    }
}

fn joined(headers: &HeaderMap, name: &http::HeaderName) -> String {
    headers.get_all(name).iter().map(text).collect::<Vec<_>>().join(", ")
}

/// A header value as text. Where it is not UTF-8, each byte outside ASCII becomes `\xNN`.
fn text(value: &http::HeaderValue) -> String {
    let bytes = value.as_bytes();
    std::str::from_utf8(bytes).map_or_else(|_| bytes.escape_ascii().to_string(), str::to_owned)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
