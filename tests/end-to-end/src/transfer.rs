//! Large bodies that are made while they are sent, so that the test holds none of them in memory.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes, in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A body of a given length whose bytes repeat only after a megabyte, and its SHA-256 as it goes.
pub struct Pattern {
    block: Vec<u8>,
    left: usize,
    digest: Sha256,
}

impl Pattern {
    /// A body of `length` bytes.
    #[must_use]
    pub fn of_length(length: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let block = (0..1024 * 1024)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect();
        Self { block, left: length, digest: Sha256::new() }
    }

    /// The next bytes of the body, at most `most` of them; `None` at its end.
    pub fn next_chunk(&mut self, most: usize) -> Option<&[u8]> {
        let count = self.left.min(most).min(self.block.len());
        if count == 0 {
            return None;
        }
        self.left -= count;
        let chunk = &self.block[..count];
        self.digest.update(chunk);
        Some(chunk)
    }

    /// The SHA-256 of everything given out so far, in hexadecimal.
    #[must_use]
    pub fn sha256_hex(self) -> String {
        hex(&self.digest.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
