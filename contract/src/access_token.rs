//! The shape of the service's opaque access tokens, and the tag that tells them from guesses.
//!
//! A token is the prefix, the id of a key, 256 random bits, and a tag: HMAC-SHA256 (RFC 2104) over all
//! that stands before it, cut to 128 bits. The gateway checks the tag before it asks anybody, so that
//! invented tokens cost no callout. The tag proves only that the service once issued the token; whether
//! the token is good the service alone knows.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Secret;

/// What every access token of the service begins with.
pub const ACCESS_TOKEN_PREFIX: &str = "ibg_at_";
/// The longest id of a tag key, in characters.
pub const LONGEST_TAG_KEY_ID: usize = 16;
/// Bytes of a tag key.
pub const TAG_KEY_BYTES: usize = 32;

/// Characters of 256 random bits in base64url without padding (RFC 4648 section 5).
const RANDOM_CHARACTERS: usize = 43;
/// Bytes of a tag: 128 bits of the HMAC, which RFC 2104 section 5 allows.
const TAG_BYTES: usize = 16;
/// Characters of the tag in base64url without padding.
const TAG_CHARACTERS: usize = 22;

/// A key for tags, as the service hands it to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagKeyText {
    /// The key's name, which tokens carry in the clear: letters and digits.
    pub id: String,
    /// The key: 32 bytes in base64url without padding.
    pub key: Secret,
}

/// A key that makes and checks tags.
#[derive(Clone)]
pub struct TagKey {
    id: String,
    mac: Hmac<Sha256>,
}

impl TagKey {
    /// A key called `id`.
    ///
    /// # Errors
    ///
    /// [`UnusableTagKey`] where `id` is not 1 to 16 letters and digits.
    pub fn new(id: &str, key: &[u8; TAG_KEY_BYTES]) -> Result<Self, UnusableTagKey> {
        if !is_key_id(id.as_bytes()) {
            return Err(UnusableTagKey::Id);
        }
        let mac = Hmac::new_from_slice(key).map_err(|_| UnusableTagKey::Key)?;
        Ok(Self { id: id.to_owned(), mac })
    }

    /// Reads a key as the service has handed it over.
    ///
    /// # Errors
    ///
    /// [`UnusableTagKey`] where the id or the key is not of the right form.
    pub fn from_text(text: &TagKeyText) -> Result<Self, UnusableTagKey> {
        let bytes = URL_SAFE_NO_PAD.decode(text.key.expose()).map_err(|_| UnusableTagKey::Key)?;
        let key = <[u8; TAG_KEY_BYTES]>::try_from(bytes).map_err(|_| UnusableTagKey::Key)?;
        Self::new(&text.id, &key)
    }

    /// The key's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Makes an access token of `random`.
    #[must_use]
    pub fn issue(&self, random: &[u8; 32]) -> String {
        let mut token =
            format!("{ACCESS_TOKEN_PREFIX}{}{}", self.id, URL_SAFE_NO_PAD.encode(random));
        let tag = self.tag(token.as_bytes());
        token.push_str(&tag);
        token
    }

    /// Whether `token` has the tag that this key gives it, found out in constant time.
    #[must_use]
    pub fn accepts(&self, token: &AccessTokenShape<'_>) -> bool {
        let mut tag = [0; TAG_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice_unchecked(token.tag, &mut tag);
        let mac = self.mac.clone().chain_update(token.signed);
        length == Ok(TAG_BYTES)
            // Each tag has one spelling: the last character's spare bits are zero.
            && URL_SAFE_NO_PAD.encode(tag) == token.tag
            && mac.verify_truncated_left(&tag).is_ok()
    }

    fn tag(&self, signed: &[u8]) -> String {
        let bytes = self.mac.clone().chain_update(signed).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(bytes.get(..TAG_BYTES).unwrap_or_default())
    }
}

impl std::fmt::Debug for TagKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TagKey({}, [redacted])", self.id)
    }
}

/// Why a tag key cannot be used. The text quotes nothing of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableTagKey {
    /// The name is not 1 to 16 letters and digits.
    #[error("the id of a tag key must be 1 to 16 letters and digits")]
    Id,
    /// The key is not 32 bytes.
    #[error("a tag key must be 32 bytes in base64url")]
    Key,
}

/// The parts of a text that has the shape of an access token. Nothing about it has been checked.
#[derive(Clone, Copy)]
pub struct AccessTokenShape<'a> {
    key_id: &'a str,
    signed: &'a str,
    tag: &'a str,
}

impl<'a> AccessTokenShape<'a> {
    /// Takes a text apart. `None`: it cannot be an access token of the service.
    #[must_use]
    pub fn of(text: &'a str) -> Option<Self> {
        let body = text.strip_prefix(ACCESS_TOKEN_PREFIX)?;
        if !body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return None;
        }
        let (signed, tag) = text.split_at_checked(text.len().checked_sub(TAG_CHARACTERS)?)?;
        let (start, _random) =
            signed.split_at_checked(signed.len().checked_sub(RANDOM_CHARACTERS)?)?;
        let key_id = start.strip_prefix(ACCESS_TOKEN_PREFIX)?;
        is_key_id(key_id.as_bytes()).then_some(Self { key_id, signed, tag })
    }

    /// The name of the key that the tag is said to be made with.
    #[must_use]
    pub fn key_id(&self) -> &'a str {
        self.key_id
    }
}

/// The name by which the revocation feed calls an access token: its SHA-256 in base64url without
/// padding. The token cannot be had from it.
#[must_use]
pub fn token_sha256(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes()))
}

fn is_key_id(id: &[u8]) -> bool {
    (1..=LONGEST_TAG_KEY_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::{AccessTokenShape, TagKey, TagKeyText, UnusableTagKey, token_sha256};
    use crate::Secret;

    fn key(id: &str, byte: u8) -> TagKey {
        TagKey::new(id, &[byte; 32]).unwrap()
    }

    fn accepts(key: &TagKey, token: &str) -> bool {
        AccessTokenShape::of(token).is_some_and(|shape| key.accepts(&shape))
    }

    #[test]
    fn a_token_of_the_service_is_recognised_by_its_own_key_and_by_no_other() {
        for id in ["a", "2026k11", "0123456789abcdef"] {
            let token = key(id, 1).issue(&[7; 32]);
            assert_eq!(AccessTokenShape::of(&token).unwrap().key_id(), id);
            assert!(accepts(&key(id, 1), &token));
            assert!(!accepts(&key(id, 2), &token));
        }
    }

    #[test]
    fn whoever_changes_any_character_of_a_token_has_no_token() {
        let key = key("k1", 1);
        let token = key.issue(&[0xa5; 32]);
        for position in 0..token.len() {
            for other in ["A", "B", "-", "_", "9"] {
                let mut forged = token.clone();
                forged.replace_range(position..=position, other);
                assert!(forged == token || !accepts(&key, &forged), "position {position}");
            }
        }
    }

    #[test]
    fn a_text_of_another_shape_is_no_token_and_never_a_crash() {
        let token = key("k1", 1).issue(&[7; 32]);
        let random = token.replace("ibg_at_", "");
        for text in [
            String::new(),
            "ibg_at_".to_owned(),
            random.clone(),
            format!("ibg_rt_{random}"),
            token.to_uppercase(),
            format!(" {token}"),
            format!("{token}="),
            format!("ibg_at_{}", "A".repeat(65)),
            format!("ibg_at_{}", "A".repeat(64)),
            format!("ibg_at_{}", "A".repeat(82)),
            format!("ibg_at_-{}", "A".repeat(65)),
            format!("ibg_at_k{}\u{e9}", "A".repeat(63)),
            "\u{e9}".repeat(40),
        ] {
            let shape = AccessTokenShape::of(&text);
            assert!(shape.is_none() || !accepts(&key("k1", 1), &text), "{text}");
        }
        assert!(AccessTokenShape::of(&format!("ibg_at_k{}", "A".repeat(65))).is_some());
        assert!(AccessTokenShape::of(&format!("ibg_at_{}", "A".repeat(65))).is_none());
    }

    #[test]
    fn a_key_that_is_handed_over_is_the_same_key() {
        let text =
            TagKeyText { id: "k1".to_owned(), key: Secret::new(URL_SAFE_NO_PAD.encode([1; 32])) };
        assert!(accepts(&TagKey::from_text(&text).unwrap(), &key("k1", 1).issue(&[9; 32])));
        let short = TagKeyText { key: Secret::new("AAAA"), ..text.clone() };
        assert_eq!(TagKey::from_text(&short).unwrap_err(), UnusableTagKey::Key);
        let nameless = TagKeyText { id: String::new(), ..text };
        assert_eq!(TagKey::from_text(&nameless).unwrap_err(), UnusableTagKey::Id);
    }

    #[test]
    fn debug_output_shows_no_key() {
        assert_eq!(format!("{:?}", key("k1", 1)), "TagKey(k1, [redacted])");
    }

    #[test]
    fn the_feeds_name_of_a_token_is_its_sha256_so_that_both_sides_agree() {
        // `printf 'ibg_at_x' | sha256sum`
        assert_eq!(token_sha256("ibg_at_x").len(), 43);
        assert_ne!(token_sha256("ibg_at_x"), token_sha256("ibg_at_y"));
    }
}
