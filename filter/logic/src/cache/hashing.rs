//! Hashing of tokens that the service has chosen.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Hashes a token by its last bytes: those are random in every token that the service issues (a tag, or a
/// signature), so no other byte could spread the tokens better. Under random keys of each cache.
///
/// Only for tables that strangers put nothing in: whoever can choose tokens can choose them alike.
#[derive(Clone)]
pub(super) struct ByRandomEnd {
    keys: [u64; 2],
}

impl Default for ByRandomEnd {
    fn default() -> Self {
        let random = RandomState::new();
        Self { keys: [0_u8, 1].map(|number| random.hash_one(number)) }
    }
}

impl BuildHasher for ByRandomEnd {
    type Hasher = EndHasher;

    fn build_hasher(&self) -> EndHasher {
        EndHasher { keys: self.keys, hash: 0 }
    }
}

/// Of one token.
pub(super) struct EndHasher {
    keys: [u64; 2],
    hash: u64,
}

/// Brings each bit of a number to all of them (the last step of MurmurHash3).
const fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    number = (number ^ (number >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    number ^ (number >> 33)
}

impl Hasher for EndHasher {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        let [first_key, second_key] = self.keys;
        if let Some(end) = bytes.last_chunk::<16>()
            && let (Some(first), Some(second)) = (end.first_chunk::<8>(), end.last_chunk::<8>())
        {
            let first = mix(u64::from_le_bytes(*first) ^ first_key);
            self.hash = mix(first ^ u64::from_le_bytes(*second) ^ second_key);
        } else {
            for byte in bytes {
                self.hash = mix(self.hash ^ u64::from(*byte) ^ first_key);
            }
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::BuildHasher as _};

    use super::ByRandomEnd;

    fn hash_of(hashing: &ByRandomEnd, token: &[u8]) -> u64 {
        hashing.hash_one(token)
    }

    #[test]
    fn tokens_with_different_ends_are_spread_and_no_two_caches_spread_them_alike() {
        let (one, other) = (ByRandomEnd::default(), ByRandomEnd::default());
        let tokens: Vec<String> =
            (0..4096).map(|number| format!("ibg_at_k1{number:064x}")).collect();
        for hashing in [&one, &other] {
            let low: HashSet<u64> =
                tokens.iter().map(|token| hash_of(hashing, token.as_bytes()) & 0xFFF).collect();
            let high: HashSet<u64> =
                tokens.iter().map(|token| hash_of(hashing, token.as_bytes()) >> 52).collect();
            // Of as many places as tokens, chance fills 63 %.
            assert!(low.len() > 2_400 && high.len() > 2_400, "{} {}", low.len(), high.len());
        }
        let token = b"ibg_at_k1".as_slice();
        assert_ne!(hash_of(&one, token), hash_of(&other, token));
        assert_ne!(hash_of(&one, b"short"), hash_of(&one, b"other"));
    }
}
