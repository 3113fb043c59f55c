//! Marks by which a test knows its own requests among those of the others.

use std::fmt::Write as _;

/// A word that no other test uses: `prefix-` and sixteen hexadecimal digits.
#[must_use]
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", unique_hex(8))
}

/// `bytes` random bytes in hexadecimal.
#[must_use]
pub fn unique_hex(bytes: usize) -> String {
    random_bytes(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A text of an access token's form that nobody issued: its tag is wrong, and the gateway sees that.
/// [`Deployment::unknown_token`](crate::Deployment::unknown_token) gives one whose tag is right.
#[must_use]
pub fn forged_token() -> String {
    // Prefix, key id, 43 random characters, 22 of the tag.
    format!("ibg_at_development{}0{}", unique_hex(21), unique_hex(11))
}

pub(crate) fn random_bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
