//! Access tokens: what a client presents to call IntelligenceBank through the gateway. Each carries a
//! tag or a signature of one of our keys, so that an invented one is refused before anything is looked
//! up.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ib_contract::{
    AccessTokenShape, Secret, TAG_KEY_BYTES, TagKey, TagKeyText, UnusableTagKey, token_sha256,
};

use super::{CannotIssue, Claims, SigningKeys, jwt, random_bytes};

/// The keys of the tags: the first issues, all of them are accepted.
#[derive(Debug, Default)]
pub(crate) struct TagKeys {
    keys: Vec<TagKey>,
    texts: Vec<TagKeyText>,
}

impl TagKeys {
    /// A set of one key.
    #[cfg(test)]
    pub(crate) fn new(id: &str, key: &[u8; TAG_KEY_BYTES]) -> Result<Self, UnusableTagKey> {
        let mut keys = Self::default();
        keys.accept(id, key)?;
        Ok(keys)
    }

    /// Accepts one more key. The first one issues.
    pub(crate) fn accept(
        &mut self,
        id: &str,
        key: &[u8; TAG_KEY_BYTES],
    ) -> Result<(), UnusableTagKey> {
        self.keys.push(TagKey::new(id, key)?);
        self.texts.push(text(id, key));
        Ok(())
    }

    /// All keys, as the gateway gets them.
    pub(crate) fn texts(&self) -> &[TagKeyText] {
        &self.texts
    }
}

fn text(id: &str, key: &[u8; TAG_KEY_BYTES]) -> TagKeyText {
    TagKeyText::new(id, Secret::new(URL_SAFE_NO_PAD.encode(key)))
}

/// An access token.
pub(crate) struct AccessToken(String);

impl AccessToken {
    /// A new opaque token, tagged with the first key.
    pub(crate) fn generate(keys: &TagKeys) -> Result<Self, CannotIssue> {
        let key = keys.keys.first().ok_or(CannotIssue::NoKey)?;
        Ok(Self(key.issue(&random_bytes()?)))
    }

    /// A new JWT, signed with the first key.
    pub(crate) fn signed(keys: &SigningKeys, claims: &Claims<'_>) -> Result<Self, CannotIssue> {
        jwt::sign(keys, claims).map(Self)
    }

    /// Reads what somebody presented, of either kind.
    pub(crate) fn presented(tags: &TagKeys, signing: &SigningKeys, text: &str) -> Option<Self> {
        Self::parse(tags, text)
            .or_else(|| jwt::is_signed(signing, text).then(|| Self(text.to_owned())))
    }

    /// Reads an opaque token. `None`: none of the keys made its tag, so nothing needs to be looked up.
    pub(crate) fn parse(keys: &TagKeys, text: &str) -> Option<Self> {
        let shape = AccessTokenShape::of(text)?;
        let key = keys.keys.iter().find(|key| key.id() == shape.key_id())?;
        key.accepts(&shape).then(|| Self(text.to_owned()))
    }

    /// A token that this service made and sealed itself.
    pub(crate) fn restored(text: &Secret) -> Self {
        Self(text.expose().to_owned())
    }

    /// The token in the clear. Search for this name to find every place where one leaves.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The name under which the store and the revocation feed know this token: a hash, from which the
    /// token cannot be had.
    pub(crate) fn id(&self) -> String {
        token_sha256(&self.0)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ib_contract::{AccessTokenShape, TagKey};

    use super::{AccessToken, TagKeys};
    use crate::tokens::{Code, RefreshToken};

    fn keys() -> TagKeys {
        TagKeys::new("k1", &[1; 32]).unwrap()
    }

    fn token(keys: &TagKeys) -> String {
        AccessToken::generate(keys).unwrap().expose().to_owned()
    }

    #[test]
    fn a_token_of_ours_is_read_back_and_no_other_kind_is_taken_for_one() {
        let token = token(&keys());
        assert_eq!(AccessToken::parse(&keys(), &token).unwrap().expose(), token);
        assert!(RefreshToken::parse(&token).is_none());
        assert!(Code::parse(&token).is_none());
        let refresh = RefreshToken::generate().unwrap();
        assert!(AccessToken::parse(&keys(), refresh.expose()).is_none());
    }

    #[test]
    fn an_invented_token_costs_no_look_up() {
        let token = token(&keys());
        let foreign = TagKeys::new("k1", &[2; 32]).unwrap();
        let mut unknown = keys();
        unknown.accept("k2", &[2; 32]).unwrap();
        assert!(AccessToken::parse(&foreign, &token).is_none(), "another key of the same name");
        assert!(AccessToken::parse(&unknown, &token.replace("ibg_at_k1", "ibg_at_k2")).is_none());
        assert!(AccessToken::parse(&keys(), &token.replace("ibg_at_k1", "ibg_at_k9")).is_none());
        for bad in ["", "ibg_at_", "ibg_at_k1", &format!("{token}A")] {
            assert!(AccessToken::parse(&keys(), bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn during_a_rotation_old_tokens_stay_good_and_new_ones_have_the_new_key() {
        let old = token(&keys());
        let mut rotated = TagKeys::new("k2", &[2; 32]).unwrap();
        assert!(AccessToken::parse(&rotated, &old).is_none());
        rotated.accept("k1", &[1; 32]).unwrap();
        assert!(AccessToken::parse(&rotated, &old).is_some());
        let fresh = token(&rotated);
        assert_eq!(AccessTokenShape::of(&fresh).unwrap().key_id(), "k2");
        let names: Vec<_> = rotated.texts().iter().map(|text| text.id.as_str()).collect();
        assert_eq!(names, ["k2", "k1"]);
    }

    #[test]
    fn the_gateway_recognises_every_token_by_the_keys_that_it_is_handed() {
        let keys = keys();
        let handed: Vec<_> =
            keys.texts().iter().map(|text| TagKey::from_text(text).unwrap()).collect();
        let tokens: HashSet<_> = (0..1000).map(|_| token(&keys)).collect();
        assert_eq!(tokens.len(), 1000);
        for token in tokens {
            assert!(handed[0].accepts(&AccessTokenShape::of(&token).unwrap()));
        }
    }

    #[test]
    fn debug_output_shows_neither_a_token_nor_a_key() {
        assert_eq!(format!("{:?}", AccessToken::generate(&keys()).unwrap()), "[redacted]");
        let shown = format!("{:?}", keys());
        assert!(shown.contains("redacted") && !shown.contains("AQEB"), "{shown}");
    }
}
