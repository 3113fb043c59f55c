//! Codes and tokens: made by the operating system's generator, told apart by type and prefix, and
//! known to the store by their hash alone.

use std::{fmt, marker::PhantomData};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

mod access;
mod jwt;
mod signing;

pub(crate) use access::{AccessToken, TagKeys};
pub(crate) use jwt::Claims;
pub(crate) use signing::{SigningKey, SigningKeys};

/// Random bytes in a token: 256 bits.
const RANDOM_BYTES: usize = 32;
/// Length of those bytes in base64url without padding.
const RANDOM_CHARACTERS: usize = 43;

/// A kind of token. Each kind has a prefix, so that one is never taken for another.
pub(crate) trait Kind {
    /// What every token of this kind begins with.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident as $token:ident = $prefix:expr;)*) => {$(
        #[doc = concat!("Marker of [`", stringify!($token), "`].")]
        pub(crate) enum $kind {}
        impl Kind for $kind { const PREFIX: &'static str = $prefix; }
        $(#[$doc])*
        pub(crate) type $token = Token<$kind>;
    )*};
}

kinds! {
    /// What a client trades for the next access token; used once.
    RefreshKind as RefreshToken = "ibg_rt_";
    /// The authorization code (RFC 6749 section 1.3.1); used once.
    CodeKind as Code = "ibg_ac_";
    /// What a client asks with whether its login is done.
    PollKind as PollToken = "ibg_pt_";
    /// The secret in a browser's cookie that ties a login to that browser.
    BrowserKind as BrowserSecret = "ibg_bs_";
}

/// A secret of one kind, such as [`RefreshToken`].
pub(crate) struct Token<K> {
    text: String,
    kind: PhantomData<fn() -> K>,
}

/// The operating system gave no random bytes. Nothing can be issued.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub(crate) struct NoRandomness;

impl From<NoRandomness> for crate::error::Error {
    fn from(cause: NoRandomness) -> Self {
        tracing::error!(%cause);
        Self::Internal
    }
}

/// Why no access token could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotIssue {
    #[error("{0}")]
    NoRandomness(#[from] NoRandomness),
    #[error("there is no key to issue access tokens with")]
    NoKey,
    #[error("the claims of an access token could not be written")]
    Claims,
}

impl From<CannotIssue> for crate::error::Error {
    fn from(cause: CannotIssue) -> Self {
        tracing::error!(%cause, "an access token cannot be issued");
        Self::Internal
    }
}

impl<K: Kind> Token<K> {
    /// A new token.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        let random = URL_SAFE_NO_PAD.encode(random_bytes::<RANDOM_BYTES>()?);
        Ok(Self { text: format!("{}{random}", K::PREFIX), kind: PhantomData })
    }

    /// Reads what somebody presented. `None`: it cannot be a token of this kind, so nothing needs to
    /// be looked up.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(K::PREFIX)?;
        let well_formed = random.len() == RANDOM_CHARACTERS
            && random.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        well_formed.then(|| Self { text: text.to_owned(), kind: PhantomData })
    }

    /// The token in the clear. Search for this name to find every place where one leaves.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    /// The name under which the store knows this token: a hash, from which the token cannot be had.
    pub(crate) fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.text.as_bytes()))
    }
}

impl<K> fmt::Debug for Token<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Random bytes from the operating system.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A new opaque id of 128 bits, for records that are no secret: it opens nothing.
pub(crate) fn random_id() -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes::<16>()?))
}

/// The SHA-256 of a secret, for comparing in constant time.
#[derive(Clone, Copy)]
pub(crate) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Whether `secret` has this hash.
    pub(crate) fn matches(&self, secret: &[u8]) -> bool {
        *self == Self::of(secret)
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Code, PollToken, RefreshToken, SecretHash};

    #[test]
    fn defect_1_a_poll_token_is_not_a_code_and_no_kind_is_another() {
        let poll = PollToken::generate().unwrap();
        assert!(PollToken::parse(poll.expose()).is_some());
        assert!(Code::parse(poll.expose()).is_none());
        assert!(RefreshToken::parse(poll.expose()).is_none());
    }

    #[test]
    fn tokens_do_not_repeat_and_hold_256_bits() {
        let tokens: HashSet<_> =
            (0..1000).map(|_| RefreshToken::generate().unwrap().expose().to_owned()).collect();
        assert_eq!(tokens.len(), 1000);
        assert!(tokens.iter().all(|token| token.len() == "ibg_rt_".len() + 43));
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_without_a_look_up() {
        let good = RefreshToken::generate().unwrap().expose().to_owned();
        for bad in [
            String::new(),
            "ibg_rt_".to_owned(),
            format!("{good}A"),
            good.replace("ibg_rt_", "IBG_RT_"),
            format!("ibg_rt_{}", "*".repeat(43)),
            format!("ibg_rt_{}\u{e9}", "A".repeat(41)),
        ] {
            assert!(RefreshToken::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn debug_output_shows_neither_a_token_nor_the_hash_of_a_secret() {
        assert_eq!(format!("{:?}", RefreshToken::generate().unwrap()), "[redacted]");
        assert_eq!(format!("{:?}", SecretHash::of(b"secret")), "[redacted]");
    }

    #[test]
    fn the_store_never_sees_the_token_itself() {
        let token = RefreshToken::generate().unwrap();
        assert!(!token.id().contains(token.expose().trim_start_matches("ibg_rt_")));
        assert_eq!(token.id(), RefreshToken::parse(token.expose()).unwrap().id());
    }
}
