//! Sealing of records: what the store holds is unreadable without a key that is not in the store.
//!
//! XChaCha20-Poly1305, whose 192-bit nonces may be drawn at random for ever. The name of the record
//! is authenticated with it, so that a sealed value moved to another record does not open.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    live::Live,
    tokens::{Kind, NoRandomness, Token, random_bytes},
};

/// Length of a sealing key in bytes.
pub(crate) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// One named key.
pub(crate) struct SealingKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl SealingKey {
    /// `id` is stored beside what the key seals; the settings keep it short.
    pub(crate) fn new(id: &str, key: &Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self { id: id.to_owned(), cipher: XChaCha20Poly1305::new((&**key).into()) }
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SealingKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealingError {
    #[error("the operating system's random generator failed")]
    NoRandomness,
    #[error("the value could not be sealed")]
    Seal,
    #[error("the sealed value is malformed")]
    Malformed,
    #[error("the value was sealed under a key that is not in sealing.keys")]
    UnknownKey,
    #[error("the sealed value was changed, moved, or sealed under another key of the same id")]
    Forged,
}

impl From<NoRandomness> for SealingError {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

/// The keys of one moment.
#[derive(Debug)]
struct SealingKeys {
    first: SealingKey,
    others: Vec<SealingKey>,
}

impl SealingKeys {
    /// The key of this id.
    fn find(&self, id: &[u8]) -> Option<&SealingKey> {
        std::iter::once(&self.first).chain(&self.others).find(|key| key.id.as_bytes() == id)
    }
}

/// The keys: the first seals, all of them open.
#[derive(Debug)]
pub(crate) struct Sealer(Live<SealingKeys>);

impl Sealer {
    pub(crate) fn new(first: SealingKey, others: Vec<SealingKey>) -> Self {
        Self(Live::new(SealingKeys { first, others }))
    }

    /// Goes on with the keys of another sealer.
    pub(crate) fn take_over(&self, other: &Self) {
        self.0.set(other.keys());
    }

    fn keys(&self) -> Arc<SealingKeys> {
        self.0.get()
    }

    /// Seals `plain` for the record called `name`.
    ///
    /// The result is: length of the key's id, the id, the nonce, the ciphertext with its tag.
    pub(crate) fn seal(&self, name: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealingError> {
        let nonce = random_bytes::<NONCE_BYTES>()?;
        let payload = Payload { msg: plain, aad: name };
        let keys = self.keys();
        let sealed = keys
            .first
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealingError::Seal)?;
        let id = keys.first.id.as_bytes();
        let length = u8::try_from(id.len()).map_err(|_| SealingError::Seal)?;
        Ok([&[length][..], id, &nonce, &sealed].concat())
    }

    /// Whether `sealed` names the first key, the one that seals.
    pub(crate) fn is_under_first(&self, sealed: &[u8]) -> bool {
        split(sealed).is_ok_and(|(id, _)| id == self.keys().first.id.as_bytes())
    }

    /// Whether `sealed` names one of the keys. It may be forged all the same.
    pub(crate) fn knows(&self, sealed: &[u8]) -> bool {
        let keys = self.keys();
        split(sealed).is_ok_and(|(id, _)| keys.find(id).is_some())
    }

    /// Opens what [`Sealer::seal`] sealed for the record called `name`.
    pub(crate) fn open(
        &self,
        name: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let (id, rest) = split(sealed)?;
        let (nonce, ciphertext) =
            rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealingError::Malformed)?;
        let keys = self.keys();
        let key = keys.find(id).ok_or(SealingError::UnknownKey)?;
        let payload = Payload { msg: ciphertext, aad: name };
        let plain =
            key.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| SealingError::Forged)?;
        Ok(Zeroizing::new(plain))
    }
}

/// The id of the key, and what follows it.
fn split(sealed: &[u8]) -> Result<(&[u8], &[u8]), SealingError> {
    let (length, rest) = sealed.split_first().ok_or(SealingError::Malformed)?;
    rest.split_at_checked(usize::from(*length)).ok_or(SealingError::Malformed)
}

/// Seals `plain` under a key made of `token`, so that only who presents the token again can have it
/// back: not whoever holds the database, nor whoever holds the sealing keys as well.
pub(crate) fn seal_under<K: Kind>(token: &Token<K>, plain: &[u8]) -> Result<String, SealingError> {
    let sealed = sealer_of(token).seal(K::PREFIX.as_bytes(), plain)?;
    Ok(STANDARD.encode(sealed))
}

/// Opens what [`seal_under`] sealed.
pub(crate) fn open_under<K: Kind>(
    token: &Token<K>,
    sealed: &str,
) -> Result<Zeroizing<Vec<u8>>, SealingError> {
    let sealed = STANDARD.decode(sealed).map_err(|_| SealingError::Malformed)?;
    sealer_of(token).open(K::PREFIX.as_bytes(), &sealed)
}

/// The token has 256 random bits, so one hash makes a key of it. The words in front keep the key
/// apart from the hash under which the store knows the token.
fn sealer_of<K: Kind>(token: &Token<K>) -> Sealer {
    let digest = Sha256::new_with_prefix(b"ib-gateway sealing key of a token\0")
        .chain_update(token.expose().as_bytes())
        .finalize();
    Sealer::new(SealingKey::new("token", &Zeroizing::new(digest.into())), Vec::new())
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::{Sealer, SealingError, SealingKey, open_under, seal_under};
    use crate::tokens::PollToken;

    fn key(id: &str, byte: u8) -> SealingKey {
        SealingKey::new(id, &Zeroizing::new([byte; 32]))
    }

    #[test]
    fn what_is_sealed_opens_and_does_not_show_the_plain_text() {
        let sealer = Sealer::new(key("k1", 1), Vec::new());
        let sealed = sealer.seal(b"session/a", b"plain text").unwrap();
        assert!(!sealed.windows(5).any(|window| window == b"plain"));
        assert_eq!(&**sealer.open(b"session/a", &sealed).unwrap(), b"plain text");
        assert_ne!(sealed, sealer.seal(b"session/a", b"plain text").unwrap());
    }

    #[test]
    fn a_key_is_wiped_from_memory_when_it_is_no_longer_used() {
        fn is_wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        is_wiped(&key("k1", 1).cipher);
    }

    #[test]
    fn a_sealed_value_moved_to_another_record_does_not_open() {
        let sealer = Sealer::new(key("k1", 1), Vec::new());
        let sealed = sealer.seal(b"session/a", b"plain").unwrap();
        assert_eq!(sealer.open(b"session/b", &sealed).unwrap_err(), SealingError::Forged);
    }

    #[test]
    fn during_a_rotation_the_old_key_still_opens_and_the_new_one_seals() {
        let sealed = Sealer::new(key("old", 1), Vec::new()).seal(b"r", b"plain").unwrap();
        let rotated = Sealer::new(key("new", 2), vec![key("old", 1)]);
        assert_eq!(&**rotated.open(b"r", &sealed).unwrap(), b"plain");
        let fresh = rotated.seal(b"r", b"plain").unwrap();
        let without_old = Sealer::new(key("new", 2), Vec::new());
        assert_eq!(&**without_old.open(b"r", &fresh).unwrap(), b"plain");
        assert_eq!(without_old.open(b"r", &sealed).unwrap_err(), SealingError::UnknownKey);
    }

    #[test]
    fn what_is_sealed_under_a_token_opens_with_that_token_alone() {
        let (token, other) = (PollToken::generate().unwrap(), PollToken::generate().unwrap());
        let sealed = seal_under(&token, b"plain").unwrap();
        assert_eq!(&**open_under(&token, &sealed).unwrap(), b"plain");
        assert_eq!(open_under(&other, &sealed).unwrap_err(), SealingError::Forged);
    }

    #[test]
    fn every_damaged_byte_is_noticed_and_nothing_panics() {
        let sealer = Sealer::new(key("k1", 1), Vec::new());
        let sealed = sealer.seal(b"r", b"plain").unwrap();
        for position in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[position] ^= 1;
            assert!(sealer.open(b"r", &damaged).is_err(), "byte {position}");
            assert!(sealer.open(b"r", &sealed[..position]).is_err(), "length {position}");
        }
    }
}
