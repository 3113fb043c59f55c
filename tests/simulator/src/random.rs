//! Random identifiers, from the operating system's generator.

use std::fmt::Write as _;

/// The operating system gave no random bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub(crate) struct NoRandomness;

/// `N` random bytes as `2 * N` lower-case hexadecimal digits.
pub(crate) fn hexadecimal<const N: usize>() -> Result<String, NoRandomness> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(to_hexadecimal(&bytes))
}

/// `bytes` as lower-case hexadecimal digits.
pub(crate) fn to_hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
