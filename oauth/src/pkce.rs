//! Proof Key for Code Exchange, method S256 (RFC 7636).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Whether `challenge` can be the S256 challenge of a verifier: 32 bytes in base64url.
pub(crate) fn is_challenge(challenge: &str) -> bool {
    challenge.len() == 43 && URL_SAFE_NO_PAD.decode(challenge).is_ok()
}

/// Whether `verifier` is well formed (43 to 128 unreserved characters) and has this challenge
/// (RFC 7636 sections 4.1 and 4.6).
pub(crate) fn verifies(verifier: &str, challenge: &str) -> bool {
    let well_formed = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let computed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    well_formed && bool::from(computed.as_bytes().ct_eq(challenge.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{is_challenge, verifies};

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn row_4_rfc_7636_the_example_of_appendix_b_verifies() {
        assert!(is_challenge(CHALLENGE));
        assert!(verifies(VERIFIER, CHALLENGE));
    }

    #[test]
    fn row_4_rfc_7636_nothing_but_the_verifier_verifies() {
        for wrong in ["", CHALLENGE, VERIFIER.trim_start_matches('d'), &VERIFIER.to_lowercase()] {
            assert!(!verifies(wrong, CHALLENGE), "{wrong}");
        }
        for (malformed, length) in [("a", 42), ("a", 129), ("+", 43), ("é", 43)] {
            let verifier = malformed.repeat(length);
            use base64::Engine as _;
            use sha2::Digest as _;
            let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD
                .encode(sha2::Sha256::digest(verifier.as_bytes()));
            assert!(!verifies(&verifier, &challenge), "{verifier}");
        }
    }

    #[test]
    fn row_4_rfc_7636_what_cannot_be_a_challenge_is_noticed() {
        for bad in ["", VERIFIER.trim_end_matches('k'), &"*".repeat(43), &"A".repeat(44)] {
            assert!(!is_challenge(bad), "{bad}");
        }
    }
}
