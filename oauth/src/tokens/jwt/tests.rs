use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

use super::{Claims, LONGEST, is_signed, sign};
use crate::tokens::{AccessToken, SigningKey, SigningKeys, TagKeys};

fn key(id: &str) -> SigningKey {
    SigningKey::from_pkcs8(id, &SigningKey::generate().unwrap()).unwrap()
}

fn keys() -> SigningKeys {
    SigningKeys(vec![key("k1"), key("k2")])
}

fn claims(scope: &str) -> Claims<'_> {
    Claims {
        iss: "https://gateway.example.com",
        sub: "person",
        aud: "https://gateway.example.com/proxy/",
        client_id: "client",
        scope,
        iat: 1_000,
        exp: 4_600,
        jti: "jti",
    }
}

fn token(keys: &SigningKeys) -> String {
    sign(keys, &claims("profile")).unwrap()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The token under another header, signed by the first key all the same.
fn under(keys: &SigningKeys, header: &Value) -> String {
    let payload = token(keys).split('.').nth(1).unwrap().to_owned();
    let signed = format!("{}.{payload}", encoded(header));
    let signature = keys.0[0].sign(signed.as_bytes()).unwrap();
    format!("{signed}.{signature}")
}

#[test]
fn row_18_rfc_9068_section_2_1_the_header_names_type_algorithm_and_key_and_nothing_else() {
    let token = token(&keys());
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header, json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" }));
}

#[test]
fn a_token_of_any_of_our_keys_is_ours_and_one_of_a_removed_key_is_not() {
    let keys = keys();
    let (first, SigningKeys(mut all)) = (token(&keys), keys);
    all.reverse();
    let rotated = SigningKeys(all);
    let second = token(&rotated);
    assert!(is_signed(&rotated, &first) && is_signed(&rotated, &second));
    let SigningKeys(mut all) = rotated;
    all.pop();
    assert!(!is_signed(&SigningKeys(all), &first));
    assert!(!is_signed(&SigningKeys::default(), &second));
}

#[test]
fn row_18_rfc_8725_section_3_1_no_header_but_ours_is_taken_even_with_a_good_signature() {
    let keys = keys();
    let good = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" });
    assert!(is_signed(&keys, &under(&keys, &good)));
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("application/at+jwt")),
        ("typ", Value::Null),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES384")),
        ("kid", json!("k2")),
        ("kid", json!("unknown")),
        ("kid", json!("../k1")),
        ("crit", json!(["exp"])),
        ("jku", json!("https://evil.example/jwks.json")),
        ("jwk", json!({ "kty": "EC" })),
        ("x5u", json!("https://evil.example/x5u")),
    ] {
        let mut header = good.clone();
        header[name] = value;
        assert!(!is_signed(&keys, &under(&keys, &header)), "{header}");
    }
}

#[test]
fn row_18_rfc_8725_section_2_1_neither_no_signature_nor_the_public_key_as_a_secret_makes_a_token() {
    let keys = keys();
    let payload = token(&keys).split('.').nth(1).unwrap().to_owned();
    for alg in ["none", "None", "HS256", "ES256"] {
        let header = encoded(&json!({ "typ": "at+jwt", "alg": alg, "kid": "k1" }));
        let signed = format!("{header}.{payload}");
        assert!(!is_signed(&keys, &format!("{signed}.")), "{alg}");
        let secret = hmac::Key::new(hmac::HMAC_SHA256, keys.0[0].public());
        let mac = hmac::sign(&secret, signed.as_bytes());
        assert!(!is_signed(&keys, &format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))), "{alg}");
        // The signature of all zeros, which some libraries took for good (CVE-2022-21449).
        let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
        assert!(!is_signed(&keys, &format!("{signed}.{zeros}")), "{alg}");
    }
}

#[test]
fn whoever_changes_any_character_of_a_jwt_has_no_token() {
    let keys = keys();
    let token = token(&keys);
    for position in 0..token.len() {
        for other in ["A", "B", "-", ".", "9"] {
            let mut forged = token.clone();
            forged.replace_range(position..=position, other);
            assert!(forged == token || !is_signed(&keys, &forged), "position {position}");
        }
    }
}

#[test]
fn a_text_of_another_shape_is_no_jwt_and_never_a_crash() {
    let keys = keys();
    let token = token(&keys);
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        format!("{token}."),
        format!("{token}.x"),
        format!(" {token}"),
        format!("{token}="),
        token.replace('.', ""),
        "\u{e9}.\u{e9}.\u{e9}".to_owned(),
    ] {
        assert!(!is_signed(&keys, &text), "{text}");
    }
    let long = sign(&keys, &claims(&"x".repeat(LONGEST))).unwrap();
    assert!(!is_signed(&keys, &long), "a token beyond the bound is not even hashed");
}

#[test]
fn a_jwt_is_no_opaque_token_and_an_opaque_token_no_jwt() {
    let (tags, signing) = (TagKeys::new("t1", &[1; 32]).unwrap(), keys());
    let opaque = AccessToken::generate(&tags).unwrap();
    let jwt = AccessToken::signed(&signing, &claims("profile")).unwrap();
    for token in [&opaque, &jwt] {
        let read = AccessToken::presented(&tags, &signing, token.expose()).unwrap();
        assert_eq!(read.id(), token.id());
    }
    assert!(AccessToken::parse(&tags, jwt.expose()).is_none());
    assert!(!is_signed(&signing, opaque.expose()));
}

#[test]
fn row_18_rfc_7517_the_key_set_holds_public_halves_alone() {
    let keys = keys();
    let set = keys.jwks();
    let all = set["keys"].as_array().unwrap();
    assert_eq!(all.len(), 2);
    for (key, id) in all.iter().zip(["k1", "k2"]) {
        let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!((key["kid"].as_str(), key["alg"].as_str()), (Some(id), Some("ES256")));
        for coordinate in ["x", "y"] {
            let bytes = URL_SAFE_NO_PAD.decode(key[coordinate].as_str().unwrap()).unwrap();
            assert_eq!(bytes.len(), 32);
        }
    }
    assert_eq!(SigningKeys::default().jwks(), json!({ "keys": [] }));
}

#[test]
fn without_a_key_nothing_is_signed() {
    assert!(sign(&SigningKeys::default(), &claims("profile")).is_err());
}

#[test]
fn debug_output_shows_no_signing_key() {
    assert_eq!(format!("{:?}", key("k1")), "SigningKey(k1, [redacted])");
}
