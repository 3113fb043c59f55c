//! Tokens: those that are good, those that nobody ever issued, and those that were issued and are not
//! known any more.

use std::{
    io::{BufWriter, Write as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ib_contract::TagKey;

use crate::error::{BenchError, Result, because};

/// The id of the tag key in the service's settings.
pub(crate) const TAG_KEY_ID: &str = "bench";

/// How many different tokens the load of a hit has.
pub(crate) const DISTINCT: usize = 100;

/// A token and the session id that it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// The access token.
    pub(crate) token: String,
    /// The session id that must reach the upstream.
    pub(crate) sid: String,
}

/// A maker of tokens that carry the right tag.
#[derive(Debug)]
pub(crate) struct Maker(TagKey);

impl Maker {
    /// Makes a key, and writes it where the service reads it.
    pub(crate) fn new(key_file: &Path) -> Result<Self> {
        let key = random::<32>()?;
        write_private(key_file, &STANDARD.encode(key))?;
        TagKey::new(TAG_KEY_ID, &key).map(Self).map_err(because("the tag key"))
    }

    /// A token that the service does not know, but whose tag is right.
    pub(crate) fn unknown(&self) -> Result<String> {
        Ok(self.0.issue(&random()?))
    }

    /// A token whose tag is wrong.
    pub(crate) fn forged(&self) -> Result<String> {
        let mut token = self.unknown()?;
        // Two characters of the tag, neither of them the last, which is not free in all its bits.
        let tag = token.split_off(token.len().saturating_sub(12));
        let other: String = tag
            .chars()
            .enumerate()
            .map(|(index, character)| match (index, character) {
                (1 | 2, 'A') => 'B',
                (1 | 2, _) => 'A',
                _ => character,
            })
            .collect();
        if other == tag {
            return self.forged();
        }
        Ok(token + &other)
    }

    /// Grants that no service knows, for where none is asked.
    pub(crate) fn invented(&self) -> Result<Vec<Grant>> {
        (0..DISTINCT)
            .map(|_| Ok(Grant { token: self.unknown()?, sid: hexadecimal(&random::<16>()?) }))
            .collect()
    }
}

/// Writes lines for the load generator or another reader.
pub(crate) fn write_lines<T: AsRef<str>>(
    file: &Path,
    lines: impl IntoIterator<Item = T>,
) -> Result<()> {
    let open = std::fs::File::create(file).map_err(BenchError::file(file))?;
    let mut output = BufWriter::new(open);
    for line in lines {
        writeln!(output, "{}", line.as_ref()).map_err(BenchError::file(file))?;
    }
    output.flush().map_err(BenchError::file(file))
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(file: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut open = options.open(file).map_err(BenchError::file(file))?;
    open.write_all(text.as_bytes()).map_err(BenchError::file(file))
}

/// Bytes from the system's generator.
pub(crate) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(because("the system's randomness"))?;
    Ok(bytes)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use ib_contract::AccessTokenShape;

    use super::*;

    #[test]
    fn a_forged_token_looks_like_one_and_has_the_wrong_tag() {
        let folder = std::env::temp_dir().join(format!("ib-bench-tokens-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let maker = Maker::new(&folder.join("key")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let accepts = |token: &str| maker.0.accepts(&AccessTokenShape::of(token).unwrap());
        for _ in 0..100 {
            assert!(accepts(&maker.unknown().unwrap()));
            assert!(!accepts(&maker.forged().unwrap()));
        }
    }
}
