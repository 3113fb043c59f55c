//! Signed tokens (RFC 7519) for `jwt_authn`, and the key that checks them (RFC 7517).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::{
    error::{Result, because},
    tokens::{DISTINCT, random},
};

const KEY_ID: &str = "bench";
/// The issuer in the tokens.
pub(crate) const ISSUER: &str = "https://gateway.example.com";
/// 2036: no run outlives it.
const EXPIRES: u64 = 2_095_000_000;

/// A set of tokens and the keys that check them.
#[derive(Debug)]
pub(crate) struct Signed {
    /// The tokens, all different.
    pub(crate) tokens: Vec<String>,
    /// The key set, as JSON.
    pub(crate) keys: Value,
}

impl Signed {
    /// Makes a key (P-256) and signs tokens with it (ES256).
    pub(crate) fn new() -> Result<Self> {
        let randomness = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &randomness)
            .map_err(because("making a key"))?;
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            document.as_ref(),
            &randomness,
        )
        .map_err(because("reading a key"))?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // An uncompressed point: a four, then two numbers of 32 bytes.
        let (_, point) = pair.public_key().as_ref().split_at(1);
        let (x, y) = point.split_at(point.len() / 2);
        let keys = json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
            "x": encode(x), "y": encode(y),
        }]});
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY_ID}).to_string();
        let tokens = (0..DISTINCT).map(|number| {
            let claims = json!({
                "iss": ISSUER, "sub": format!("person-{number}"), "exp": EXPIRES,
                "aud": "https://gateway.example.com/proxy/", "client_id": "mcp-public-client",
                "scope": "profile", "jti": encode(&random::<16>()?),
            });
            let signed =
                format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
            let signature =
                pair.sign(&randomness, signed.as_bytes()).map_err(because("signing"))?;
            Ok(format!("{signed}.{}", encode(signature.as_ref())))
        });
        Ok(Self { tokens: tokens.collect::<Result<_>>()?, keys })
    }
}
