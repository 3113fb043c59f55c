//! The keys that sign JWT access tokens: ECDSA on P-256 with SHA-256, which RFC 7518 calls ES256.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::NoRandomness;

/// The one algorithm (RFC 8725 section 3.1): a token never says how it is to be checked.
pub(super) const ALGORITHM: &str = "ES256";
/// Length of a signature: two numbers of 32 bytes (RFC 7518 section 3.4).
const SIGNATURE_BYTES: usize = 64;
/// The first byte of a public key that is written as two whole coordinates.
const UNCOMPRESSED: u8 = 4;
const COORDINATE_BYTES: usize = 32;

/// The key is not one for ES256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no PKCS#8 private key on the curve P-256")]
pub(crate) struct UnusableSigningKey;

/// One named key.
pub(crate) struct SigningKey {
    id: String,
    pair: EcdsaKeyPair,
    /// The first part of each token that this key signs.
    header: String,
}

impl SigningKey {
    /// Reads a PKCS#8 key. `id` becomes the `kid`.
    pub(crate) fn from_pkcs8(id: &str, der: &[u8]) -> Result<Self, UnusableSigningKey> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
            .map_err(|_| UnusableSigningKey)?;
        let header = json!({ "alg": ALGORITHM, "typ": "at+jwt", "kid": id }).to_string();
        Ok(Self { id: id.to_owned(), pair, header: URL_SAFE_NO_PAD.encode(header) })
    }

    /// A new key, in PKCS#8.
    pub(crate) fn generate() -> Result<Zeroizing<Vec<u8>>, NoRandomness> {
        let random = SystemRandom::new();
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_| NoRandomness)
    }

    /// What the first part of a token must be, letter for letter.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    pub(super) fn sign(&self, text: &[u8]) -> Result<String, NoRandomness> {
        let signature = self.pair.sign(&SystemRandom::new(), text).map_err(|_| NoRandomness)?;
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }

    /// The public half.
    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub(super) fn verifies(&self, text: &[u8], signature: &str) -> bool {
        let mut bytes = [0; SIGNATURE_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut bytes);
        let public = self.public();
        length == Ok(SIGNATURE_BYTES)
            && UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(text, &bytes).is_ok()
    }

    /// The public half (RFC 7517 section 4, RFC 7518 section 6.2.1).
    fn jwk(&self) -> Option<Value> {
        let point = self.public().strip_prefix(&[UNCOMPRESSED])?;
        let (x, y) = point.split_at_checked(COORDINATE_BYTES)?;
        Some(json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": ALGORITHM, "kid": self.id,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({}, [redacted])", self.id)
    }
}

/// The keys: the first signs, all of them are published and accepted.
#[derive(Debug, Default)]
pub(crate) struct SigningKeys(pub(crate) Vec<SigningKey>);

impl SigningKeys {
    pub(super) fn first(&self) -> Option<&SigningKey> {
        self.0.first()
    }

    /// The key whose tokens begin with `header`.
    pub(super) fn of_header(&self, header: &str) -> Option<&SigningKey> {
        self.0.iter().find(|key| key.header() == header)
    }

    /// The JWK set (RFC 7517 section 5): public halves alone.
    pub(crate) fn jwks(&self) -> Value {
        json!({ "keys": self.0.iter().filter_map(SigningKey::jwk).collect::<Vec<_>>() })
    }
}
