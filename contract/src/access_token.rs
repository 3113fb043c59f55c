//! The shape of the service's access tokens.

/// What every access token of the service begins with.
pub const ACCESS_TOKEN_PREFIX: &str = "ibg_at_";

/// Characters after the prefix: 256 bits in base64url without padding (RFC 4648 section 5).
const RANDOM_CHARACTERS: usize = 43;

/// Whether `text` has the shape of an access token of the service.
///
/// `true` says only that looking the token up is worth it, never that it is good. Where the shape
/// changes, the gateway must know the new one before the service issues it.
#[must_use]
pub fn could_be_access_token(text: &str) -> bool {
    text.strip_prefix(ACCESS_TOKEN_PREFIX).is_some_and(|random| {
        random.len() == RANDOM_CHARACTERS
            && random.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::could_be_access_token;

    #[test]
    fn a_token_of_the_service_is_looked_up() {
        assert!(could_be_access_token(&format!("ibg_at_{}", "aZ09-_".repeat(8).split_at(43).0)));
    }

    #[test]
    fn what_cannot_be_a_token_of_the_service_costs_no_look_up() {
        let random = "A".repeat(43);
        for text in [
            String::new(),
            "ibg_at_".to_owned(),
            random.clone(),
            format!("ibg_rt_{random}"),
            format!("IBG_AT_{random}"),
            format!(" ibg_at_{random}"),
            format!("ibg_at_{random}A"),
            format!("ibg_at_{}", "A".repeat(42)),
            format!("ibg_at_{}=", "A".repeat(42)),
            format!("ibg_at_{}+", "A".repeat(42)),
            format!("ibg_at_{}\u{e9}", "A".repeat(41)),
        ] {
            assert!(!could_be_access_token(&text), "{text}");
        }
    }
}
