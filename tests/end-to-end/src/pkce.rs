//! Proof Key for Code Exchange (RFC 7636).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::random::random_bytes;

/// A code verifier of 43 characters.
#[derive(Debug, Clone)]
pub struct Verifier(String);

impl Verifier {
    /// A fresh verifier.
    #[must_use]
    pub fn generate() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random_bytes(32)))
    }

    /// The verifier itself.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// The challenge by method `S256` (RFC 7636 section 4.2).
    #[must_use]
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()))
    }
}
