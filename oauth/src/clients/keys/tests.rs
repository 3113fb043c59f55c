use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaKeyPair,
    },
};
use serde_json::{Value, json};

use super::{ClientKeys, Signed};

/// Made for these tests; it opens nothing.
const RSA_KEY: &str = include_str!("rsa_for_tests.pkcs8.base64");

/// A client's private key.
pub(crate) enum PrivateKey {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair, &'static str),
}

impl PrivateKey {
    pub(crate) fn p256() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    }

    pub(crate) fn rsa(algorithm: &'static str) -> Self {
        let bytes = STANDARD.decode(RSA_KEY.replace('\n', "")).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(&bytes).unwrap(), algorithm)
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Rsa(_, algorithm) => algorithm,
        }
    }

    /// The public key as a JWK.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..]) })
            }
            Self::Rsa(pair, _) => {
                let key: ring::signature::RsaPublicKeyComponents<Vec<u8>> =
                    pair.public_key().into();
                json!({ "kty": "RSA", "n": text(&key.n), "e": text(&key.e) })
            }
        };
        for (name, value) in [("kid", kid), ("alg", self.algorithm()), ("use", "sig")] {
            jwk[name] = json!(value);
        }
        jwk
    }

    /// A token with this header and these claims.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(header), text(claims));
        let random = SystemRandom::new();
        let signature = match self {
            Self::P256(pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Rsa(pair, algorithm) => {
                let padding: &dyn ring::signature::RsaEncoding =
                    if *algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn keys(keys: &[Value]) -> Result<ClientKeys, &'static str> {
    ClientKeys::parse(&json!({ "keys": keys }))
}

fn verifies(keys: &ClientKeys, token: &str) -> bool {
    Signed::parse(token).is_some_and(|token| keys.verify(&token))
}

#[test]
fn each_algorithm_verifies_what_its_own_key_signed_and_nothing_else() {
    let own = [PrivateKey::p256(), PrivateKey::rsa("RS256"), PrivateKey::rsa("PS256")];
    let other = PrivateKey::p256();
    for key in &own {
        let set = keys(&[key.jwk("k")]).unwrap();
        let header = json!({ "alg": key.algorithm(), "kid": "k", "typ": "JWT" });
        let token = key.sign(&header, &json!({ "a": 1 }));
        assert!(verifies(&set, &token), "{}", key.algorithm());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let forged = signed.replace('.', ".e");
        assert!(!verifies(&set, &format!("{forged}.{signature}")));
        assert!(!verifies(&set, &format!("{signed}.")));
        assert!(!verifies(&keys(&[other.jwk("k")]).unwrap(), &token));
    }
}

#[test]
fn rfc_8725_3_1_what_a_token_says_about_its_algorithm_chooses_nothing() {
    let (es, rs) = (PrivateKey::p256(), PrivateKey::rsa("RS256"));
    let set = keys(&[rs.jwk("rs")]).unwrap();
    for (key, algorithm) in [
        (&PrivateKey::rsa("PS256"), "PS256"),
        (&rs, "PS256"),
        (&rs, "HS256"),
        (&rs, "none"),
        (&rs, "rs256"),
        (&es, "ES256"),
    ] {
        let token = key.sign(&json!({ "alg": algorithm, "kid": "rs" }), &json!({}));
        assert!(!verifies(&set, &token), "{algorithm}");
    }
    let unsigned = format!("{}.e30.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    assert!(!verifies(&set, &unsigned));
}

#[test]
fn a_key_is_found_by_its_name_and_a_single_one_without() {
    let (one, two) = (PrivateKey::p256(), PrivateKey::p256());
    let both = keys(&[one.jwk("one"), two.jwk("two")]).unwrap();
    let signed = |kid: Value| two.sign(&json!({ "alg": "ES256", "kid": kid }), &json!({}));
    assert!(verifies(&both, &signed(json!("two"))));
    assert!(!verifies(&both, &signed(json!("one"))));
    assert!(!verifies(&both, &signed(json!("three"))));
    assert!(!verifies(&both, &signed(Value::Null)));
    assert!(verifies(&keys(&[two.jwk("two")]).unwrap(), &signed(Value::Null)));
    let mut nameless = two.jwk("two");
    nameless.as_object_mut().unwrap().remove("kid");
    assert!(verifies(&keys(&[nameless]).unwrap(), &signed(json!("two"))));
}

#[test]
fn a_token_that_asks_for_what_is_not_known_here_is_none() {
    let key = PrivateKey::p256();
    let set = keys(&[key.jwk("k")]).unwrap();
    for header in [
        json!({ "alg": "ES256", "crit": ["b64"], "b64": false }),
        json!({ "alg": "ES256", "typ": "at+jwt" }),
        json!({ "typ": "JWT" }),
        json!([]),
    ] {
        assert!(!verifies(&set, &key.sign(&header, &json!({}))), "{header}");
    }
    for typ in ["JWT", "jwt", "client-authentication+jwt"] {
        assert!(verifies(&set, &key.sign(&json!({ "alg": "ES256", "typ": typ }), &json!({}))));
    }
    for text in ["", "..", "a.b", "e30.e30.e30", "e30=.e30.e30", "\u{e9}.\u{e9}.\u{e9}"] {
        assert!(Signed::parse(text).is_none(), "{text}");
    }
}

#[test]
fn sets_that_hold_private_weak_or_ambiguous_keys_are_refused() {
    let (es, rsa) = (PrivateKey::p256().jwk("k"), PrivateKey::rsa("RS256").jwk("k"));
    let with = |key: &Value, name: &str, value: Value| {
        let mut key = key.clone();
        match value {
            Value::Null => drop(key.as_object_mut().unwrap().remove(name)),
            value => key[name] = value,
        }
        key
    };
    for bad in [
        with(&es, "d", json!("AAAA")),
        with(&es, "crv", json!("P-384")),
        with(&es, "x", json!("AAAA")),
        with(&es, "x", json!("*")),
        with(&es, "y", Value::Null),
        with(&es, "alg", json!("ES384")),
        with(&es, "use", json!("enc")),
        with(&es, "kid", json!("")),
        with(&es, "kty", json!("OKP")),
        with(&rsa, "alg", Value::Null),
        with(&rsa, "alg", json!("RS512")),
        with(&rsa, "n", json!(URL_SAFE_NO_PAD.encode([1; 128]))),
        with(&rsa, "e", Value::Null),
        with(&rsa, "p", json!("AAAA")),
        json!({ "kty": "oct", "k": "AAAA", "alg": "HS256" }),
        json!(7),
    ] {
        assert!(keys(std::slice::from_ref(&bad)).is_err(), "{bad}");
    }
    assert!(keys(&[]).is_err());
    assert!(keys(&[es.clone(), es.clone()]).is_err(), "the same name twice");
    assert!(keys(&[es.clone(), with(&rsa, "kid", Value::Null)]).is_err(), "a nameless one");
    assert!(keys(&vec![es.clone(); 11]).is_err());
    assert!(ClientKeys::parse(&json!([])).is_err());
    assert!(keys(&[es, with(&rsa, "kid", json!("other"))]).is_ok());
}
