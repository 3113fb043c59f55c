//! Random secrets in random bodies, in random encodings, cut at random places.

use std::rc::Rc;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{needles, reference, shown};

const ALPHABET: &[u8] = b"ABCXYZabcdefxyz0123456789_,-";

fn config() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

fn sid() -> impl Strategy<Value = Vec<u8>> {
    let ordinary = vec(select(ALPHABET), 8..20);
    // Ids that overlap themselves, and secrets of the bytes that escapes are made of.
    let repetitive = vec(select(&b"aA0"[..]), 8..12);
    let marks = vec(select(&b"%\\u0025cx/"[..]), 8..12);
    prop_oneof![4 => ordinary, 1 => repetitive, 1 => marks]
}

/// One way to write a byte, `choices` deep.
fn spelled(byte: u8, choices: &[u8]) -> Vec<u8> {
    let Some((choice, deeper)) = choices.split_first() else {
        return vec![byte];
    };
    let form = match choice % 8 {
        0 => format!("%{byte:02x}"),
        1 => format!("%{byte:02X}"),
        2 => format!("\\u00{byte:02x}"),
        3 => format!("\\x{byte:02X}"),
        4 if b"\\/\"".contains(&byte) => format!("\\{}", byte as char),
        5 if byte.is_ascii_lowercase() => return vec![byte.to_ascii_uppercase()],
        5 if byte.is_ascii_uppercase() => return vec![byte.to_ascii_lowercase()],
        _ => return vec![byte],
    };
    // Each byte of the escape is escaped again, or all but its first are not.
    let mut form = form.into_bytes();
    let rest = form.split_off(1);
    let mut written = spelled(form[0], deeper);
    for byte in rest {
        let deeper = if choice & 0x80 == 0 { &[][..] } else { deeper };
        written.extend(spelled(byte, deeper));
    }
    written
}

/// Pieces of a body: an occurrence, nearly one, or other text.
#[derive(Debug, Clone)]
enum Piece {
    Secret { previous: bool, choices: Vec<Vec<u8>>, cut: usize },
    Text(&'static str),
    Bytes(Vec<u8>),
}

fn piece() -> impl Strategy<Value = Piece> {
    let cut = prop_oneof![3 => Just(0_usize), 1 => 0..12_usize];
    let plain = vec(Just(Vec::new()), 1);
    let encoded = vec(vec(any::<u8>(), 0..4), 1..20);
    let secret = (any::<bool>(), prop_oneof![plain, encoded], cut)
        .prop_map(|(previous, choices, cut)| Piece::Secret { previous, choices, cut });
    let text = select(vec![
        "%",
        "%2",
        "%25",
        "%252",
        "\\",
        "\\u",
        "\\u00",
        "\\\\",
        "\\/",
        "\\\"",
        "\\u00e9",
        "%20",
        "\",\"url\":\"https:\\/\\/h",
        "a",
        "0",
        "sid=",
        "%5c",
        "%5Cu",
        "\\x",
        "\\x2",
    ]);
    prop_oneof![
        4 => secret,
        5 => text.prop_map(Piece::Text),
        1 => vec(any::<u8>(), 0..6).prop_map(Piece::Bytes),
    ]
}

fn body(pieces: &[Piece], current: &[u8], before: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => body.extend(text.bytes()),
            Piece::Bytes(bytes) => body.extend(bytes),
            Piece::Secret { previous, choices, cut } => {
                let secret = if *previous { before } else { current };
                let choices = choices.iter().cycle();
                let written = secret.iter().zip(choices);
                let written = written.map(|(byte, choices)| spelled(*byte, choices));
                let written = written.collect::<Vec<_>>().concat();
                body.extend(&written[..written.len().saturating_sub(*cut)]);
            }
        }
    }
    body
}

/// `bytes` with one layer of percent-encoding taken off, or one of JSON's and JavaScript's escapes.
fn decoded_once(bytes: &[u8], is_percent: bool) -> Vec<u8> {
    let hex = |digits: &[u8]| {
        let text = std::str::from_utf8(digits).ok().filter(|text| !text.contains('+'))?;
        u8::from_str_radix(text, 16).ok()
    };
    let mut decoded = Vec::new();
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let (byte, taken) = match (is_percent, rest) {
            (true, [b'%', high, low, ..]) => hex(&[*high, *low]).map(|byte| (byte, 3)),
            (false, [b'\\', b'u', b'0', b'0', high, low, ..]) => {
                hex(&[*high, *low]).map(|byte| (byte, 6))
            }
            (false, [b'\\', b'x', high, low, ..]) => hex(&[*high, *low]).map(|byte| (byte, 4)),
            (false, [b'\\', byte @ (b'\\' | b'/' | b'"'), ..]) => Some((*byte, 2)),
            _ => None,
        }
        .unwrap_or((*first, 1));
        decoded.push(byte);
        rest = if taken == 1 { after } else { &rest[taken..] };
    }
    decoded
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_secret_is_left_and_nothing_else_is_masked(
        current in sid(),
        before in sid(),
        pieces in vec(piece(), 0..10),
        cuts in vec(0..600_usize, 0..6),
    ) {
        let body = body(&pieces, &current, &before);
        let mut chunks = Vec::new();
        let mut rest = body.as_slice();
        for cut in cuts {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        chunks.push(rest);
        let secrets = [current.as_slice(), before.as_slice()];
        let needles = needles(&secrets);
        let shown = shown(&needles, &chunks);
        prop_assert_eq!(shown.len(), body.len());
        let expected = reference::masked(&secrets, &body);
        prop_assert_eq!(String::from_utf8_lossy(&shown), String::from_utf8_lossy(&expected));
        // A reader who decodes in any order, as often as is searched, meets no secret.
        for order in 0..8 {
            let mut text = shown.clone();
            for layer in 0..3 {
                for secret in secrets {
                    let is_here = |part: &[u8]| part.eq_ignore_ascii_case(secret);
                    prop_assert!(!text.windows(secret.len()).any(is_here));
                }
                text = decoded_once(&text, order >> layer & 1 == 1);
            }
        }
    }

    #[test]
    fn chunks_of_one_byte_give_what_the_whole_body_gives(
        current in sid(),
        pieces in vec(piece(), 0..6),
    ) {
        let body = body(&pieces, &current, &current);
        let needles = needles(&[&current]);
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(shown(&Rc::clone(&needles), &bytes), shown(&needles, &[&body]));
    }
}
