//! ES256 as whoever holds a key makes it (RFC 7515, RFC 7518 section 3.4): for tokens that the service did
//! not make.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

/// What stands before the private number in PKCS#8: its version, and the length of 32 (RFC 5915).
const BEFORE_PRIVATE: [u8; 5] = [0x02, 0x01, 0x01, 0x04, 0x20];

/// A key of P-256.
pub struct Es256Key(KeyPair);

impl Es256Key {
    /// A new key.
    ///
    /// # Panics
    ///
    /// When the system gives no randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key for ES256"))
    }

    /// PKCS#8 in PEM, as `openssl genpkey` writes it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// The public half, as an uncompressed point.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.0.der_bytes()
    }

    /// The public half as a JWK.
    #[must_use]
    pub fn jwk(&self, kid: &str) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
            "x": URL_SAFE_NO_PAD.encode(&self.public()[1..33]),
            "y": URL_SAFE_NO_PAD.encode(&self.public()[33..65]),
        })
    }

    /// A token with this header and these claims.
    ///
    /// # Panics
    ///
    /// When the system gives no randomness.
    #[must_use]
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.0.sign(text.as_bytes()).expect("a signature");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(fixed_length(&signature)))
    }

    /// The number that must stay private, in the ways in which it may be written by mistake.
    ///
    /// # Panics
    ///
    /// When the key is of another form than that of RFC 5915.
    #[must_use]
    pub fn private_parts(&self) -> Vec<String> {
        let der = self.0.serialize_der();
        let before = der.windows(BEFORE_PRIVATE.len()).position(|part| part == BEFORE_PRIVATE);
        let start = before.expect("a key of RFC 5915") + BEFORE_PRIVATE.len();
        let number = &der[start..start + 32];
        let hexadecimal = number.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![URL_SAFE_NO_PAD.encode(number), hexadecimal, format!("{number:?}")]
    }
}

/// The two numbers of an ECDSA signature in 32 bytes each (RFC 7518 section 3.4), from their DER:
/// SEQUENCE { INTEGER r, INTEGER s }, short lengths.
fn fixed_length(der: &[u8]) -> Vec<u8> {
    let first = 4 + usize::from(der[3]);
    let numbers = [&der[4..first], &der[first + 2..]];
    let padded = numbers.iter().flat_map(|number| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let number = &number[zeros..];
        let mut bytes = vec![0; 32 - number.len()];
        bytes.extend_from_slice(number);
        bytes
    });
    padded.collect()
}
