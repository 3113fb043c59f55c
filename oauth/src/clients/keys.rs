//! The public keys of clients (RFC 7517), and the signatures that are made with the private ones
//! (RFC 7515, in its compact form). Each key has one algorithm: what a token says about its own
//! algorithm is compared with that, and chooses nothing (RFC 8725 section 3.1).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

/// The algorithms of RFC 7518 that a client may sign with.
pub(crate) const ALGORITHMS: [&str; 3] = ["ES256", "PS256", "RS256"];
/// Most keys of one client.
const MOST_KEYS: usize = 10;
/// Longest id of a key.
const LONGEST_KEY_ID: usize = 256;
/// Members that hold something secret (RFC 7518 section 6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// Bytes of a coordinate on P-256.
const P256_BYTES: usize = 32;
/// Bytes of a modulus: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The keys of one client.
pub(crate) struct ClientKeys(Vec<ClientKey>);

struct ClientKey {
    id: Option<String>,
    material: Material,
}

enum Material {
    /// An uncompressed point, for ES256.
    P256(Vec<u8>),
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
        /// PS256, else RS256.
        pss: bool,
    },
}

/// The members of a key that matter here.
#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl ClientKeys {
    /// Reads a JWK Set (RFC 7517 section 5).
    ///
    /// # Errors
    ///
    /// What is wrong with it, without anything that stands in it.
    pub(crate) fn parse(set: &Value) -> Result<Self, &'static str> {
        let keys = set.get("keys").and_then(Value::as_array).ok_or("is no JWK Set")?;
        if !(1..=MOST_KEYS).contains(&keys.len()) {
            return Err("needs between 1 and 10 keys");
        }
        let keys: Vec<_> = keys.iter().map(ClientKey::parse).collect::<Result<_, _>>()?;
        for (position, key) in keys.iter().enumerate() {
            if key.id.is_none() && keys.len() > 1 {
                return Err("needs a `kid` in each of several keys");
            }
            if keys.iter().skip(position.saturating_add(1)).any(|other| other.id == key.id) {
                return Err("holds two keys of the same `kid`");
            }
        }
        Ok(Self(keys))
    }

    /// Whether one of the keys made the signature of `token`.
    pub(super) fn verify(&self, token: &Signed<'_>) -> bool {
        let named = |key: &&ClientKey| match (&token.header.kid, &key.id) {
            (Some(named), Some(id)) => named == id,
            // A single key is found without a name, and one without a name by any.
            _ => self.0.len() == 1,
        };
        self.0.iter().find(named).is_some_and(|key| key.verifies(token))
    }
}

impl ClientKey {
    fn parse(key: &Value) -> Result<Self, &'static str> {
        if PRIVATE_MEMBERS.iter().any(|member| key.get(member).is_some()) {
            return Err("holds a private or shared key, which belongs to the client alone");
        }
        let written = WrittenKey::deserialize(key).map_err(|_| "holds a malformed key")?;
        if written.usage.as_ref().is_some_and(|usage| usage != "sig") {
            return Err("holds a key that is not for signatures");
        }
        if written.kid.as_ref().is_some_and(|kid| !(1..=LONGEST_KEY_ID).contains(&kid.len())) {
            return Err("holds a `kid` that is empty or too long");
        }
        let bytes = |text: &Option<String>| {
            text.as_ref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default()
        };
        let material = match (written.kty.as_str(), written.alg.as_deref()) {
            ("EC", None | Some("ES256")) => {
                let (x, y) = (bytes(&written.x), bytes(&written.y));
                let is_p256 = written.crv.as_deref() == Some("P-256");
                if !is_p256 || x.len() != P256_BYTES || y.len() != P256_BYTES {
                    return Err("holds an EC key that is no point of P-256");
                }
                Material::P256([&[4][..], &x, &y].concat())
            }
            ("RSA", Some(algorithm @ ("RS256" | "PS256"))) => {
                let (modulus, exponent) = (bytes(&written.n), bytes(&written.e));
                if !MODULUS_BYTES.contains(&modulus.len()) || exponent.is_empty() {
                    return Err("holds an RSA key of fewer than 2048 or more than 8192 bits");
                }
                Material::Rsa { modulus, exponent, pss: algorithm == "PS256" }
            }
            ("RSA", None) => return Err("holds an RSA key without `alg`, RS256 or PS256"),
            _ => return Err("holds a key for another algorithm than ES256, RS256 and PS256"),
        };
        Ok(Self { id: written.kid, material })
    }

    fn algorithm(&self) -> &'static str {
        match self.material {
            Material::P256(_) => "ES256",
            Material::Rsa { pss: true, .. } => "PS256",
            Material::Rsa { pss: false, .. } => "RS256",
        }
    }

    fn verifies(&self, token: &Signed<'_>) -> bool {
        if token.header.alg != self.algorithm() {
            return false;
        }
        let (signed, signature) = (token.signed.as_bytes(), token.signature.as_slice());
        match &self.material {
            Material::P256(point) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(signed, signature).is_ok()
            }
            Material::Rsa { modulus, exponent, pss } => {
                let algorithm =
                    if *pss { &RSA_PSS_2048_8192_SHA256 } else { &RSA_PKCS1_2048_8192_SHA256 };
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(algorithm, signed, signature).is_ok()
            }
        }
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|key| (key.algorithm(), &key.id));
        formatter.debug_list().entries(names).finish()
    }
}

/// A signed token whose signature nobody has checked yet.
pub(super) struct Signed<'t> {
    header: Header,
    /// Header and payload, as they were signed.
    signed: &'t str,
    pub(super) payload: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl<'t> Signed<'t> {
    /// Reads the compact form (RFC 7515 section 7.1). `None`: it is none, or its header asks for what
    /// this service does not know.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        // A token for something else is none for this (RFC 8725 section 3.11).
        let expected = |typ: &String| {
            ["jwt", "client-authentication+jwt"].iter().any(|own| typ.eq_ignore_ascii_case(own))
        };
        if header.crit.is_some() || !header.typ.as_ref().is_none_or(expected) {
            return None;
        }
        Some(Self { header, signed, payload: decode(payload)?, signature: decode(signature)? })
    }
}

#[cfg(test)]
pub(crate) mod tests;
