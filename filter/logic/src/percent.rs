//! Percent-decoding for *judging* text. What goes upstream is never decoded.

/// Decodes `bytes` as often as they can be decoded: `%252e`, `%2e` and `.` all come out as `.`.
///
/// The forms that lenient servers also take for ASCII are folded in: `%u002e`, and over-long UTF-8
/// of two or three bytes. The result says what any server behind the gateway could read, so it may
/// only be used to refuse. One pass, and never longer than the input.
pub(crate) fn decode_fully(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        decoded.push(byte);
        while let Some((length, byte)) = decodable_end(&decoded) {
            decoded.truncate(decoded.len().saturating_sub(length));
            decoded.push(byte);
        }
    }
    decoded
}

/// How many bytes at the end stand for one byte, and for which.
fn decodable_end(bytes: &[u8]) -> Option<(usize, u8)> {
    match *bytes {
        [.., b'%', high, low] if is_hex(high) && is_hex(low) => Some((3, hex_byte(high, low))),
        [.., b'%', b'u' | b'U', b'0', b'0', high, low] if is_hex(high) && is_hex(low) => {
            Some((6, hex_byte(high, low)))
        }
        [.., 0xE0, 0x80, last @ 0x80..=0xBF] => Some((3, last & 0x3F)),
        [.., 0xE0, 0x81, last @ 0x80..=0xBF] => Some((3, 0x40 | (last & 0x3F))),
        [.., 0xC0, last @ 0x80..=0xBF] => Some((2, last & 0x3F)),
        [.., 0xC1, last @ 0x80..=0xBF] => Some((2, 0x40 | (last & 0x3F))),
        _ => None,
    }
}

const fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// The byte that two hexadecimal digits name.
const fn hex_byte(high: u8, low: u8) -> u8 {
    (hex_value(high) << 4) | hex_value(low)
}

const fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit.wrapping_sub(b'0'),
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::decode_fully;

    #[test]
    fn every_spelling_of_a_dot_that_a_server_may_read_comes_out_as_a_dot() {
        for spelling in [
            ".",
            "%2e",
            "%2E",
            "%252e",
            "%25252e",
            "%25%32%65",
            "%%32e",
            "%u002e",
            "%U002E",
            "%c0%ae",
            "%C0%AE",
            "%e0%80%ae",
            "%25c0%25ae",
        ] {
            assert_eq!(decode_fully(spelling.as_bytes()), b".", "{spelling}");
        }
    }

    #[test]
    fn text_that_is_not_an_escape_stays_for_the_reader_as_it_is() {
        for text in ["", "%", "%2", "%zz", "100%", "a%g0b", "%u12", "%u1234"] {
            assert_eq!(decode_fully(text.as_bytes()), text.as_bytes());
        }
        assert_eq!(decode_fully(b"caf%C3%A9"), "café".as_bytes());
    }
}
