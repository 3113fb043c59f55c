//! What a client sees of bodies that hold secrets, and of bodies that do not.

mod random;

use std::rc::Rc;

use super::{MASK, Needles, Redacted, Redactor, needles::STEPS, reference};

const SID: &str = "0f1e2d3c,b5a4-9687_AbCdEf0123456";
const PREVIOUS: &str = "9a8b7c6d5e4f30211203f4e5d6";

fn needles(secrets: &[&[u8]]) -> Rc<Needles> {
    Rc::new(Needles::new(secrets.iter().copied()))
}

/// What the client gets of a body that arrives in these chunks.
fn shown(needles: &Rc<Needles>, chunks: &[&[u8]]) -> Vec<u8> {
    let mut redactor = Redactor::new(Rc::clone(needles));
    let mut shown = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        match redactor.push(chunk, number + 1 == chunks.len()) {
            Redacted::Unchanged => shown.extend_from_slice(chunk),
            Redacted::Replaced(new) => shown.extend(new),
        }
    }
    assert_eq!(redactor.held(), 0);
    shown
}

/// Checks that of `before spelled after` only `spelled` is masked, whole and cut anywhere.
fn check_masked(before: &str, spelled: &str, after: &str) {
    let needles = needles(&[SID.as_bytes(), PREVIOUS.as_bytes()]);
    let body = [before, spelled, after].concat().into_bytes();
    let expected = [before, &"*".repeat(spelled.len()), after].concat();
    for cut in 0..=body.len() {
        let shown = shown(&needles, &[&body[..cut], &body[cut..]]);
        assert_eq!(String::from_utf8_lossy(&shown), expected, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(shown(&needles, &bytes), expected.as_bytes());
}

fn check_passes(body: &str) {
    let needles = needles(&[SID.as_bytes(), PREVIOUS.as_bytes()]);
    let mut redactor = Redactor::new(needles);
    assert_eq!(redactor.push(body.as_bytes(), true), Redacted::Unchanged, "{body}");
}

/// `text` with each of its bytes written by `escape`.
fn escaped(text: &str, escape: impl Fn(u8) -> String) -> String {
    text.bytes().map(escape).collect()
}

fn percent(text: &str) -> String {
    escaped(text, |byte| format!("%{byte:02x}"))
}

#[test]
fn the_plain_session_id_is_masked_in_any_case() {
    for sid in [SID, PREVIOUS] {
        for spelled in [sid.to_owned(), sid.to_uppercase(), sid.to_lowercase()] {
            check_masked(r#"{"url":"https:\/\/h\/x?sid="#, &spelled, r#"&a=%20b"}"#);
            check_masked("", &spelled, "");
        }
    }
}

/// Whatever its bytes are and wherever it stands: the glance looks at some places of a body alone.
#[test]
fn every_id_is_seen_at_every_place_of_a_plain_body() {
    let mut number = 1_u64;
    for _ in 0..32 {
        let id: String = (0..32)
            .map(|_| {
                number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b"0123456789abcdef"[usize::try_from(number >> 60).unwrap()])
            })
            .collect();
        let needles = needles(&[id.as_bytes()]);
        for before in 0..70 {
            for spelled in [id.clone(), id.to_uppercase()] {
                let body = format!("{}{spelled}{}", ".".repeat(before), ".".repeat(70 - before));
                let masked = shown(&needles, &[body.as_bytes()]);
                let expected = body.replace(&spelled, &"*".repeat(32));
                assert_eq!(String::from_utf8(masked).unwrap(), expected, "{id} at {before}");
            }
        }
    }
}

#[test]
fn an_id_whose_comma_is_percent_encoded_is_masked() {
    for comma in ["%2c", "%2C", "%252c", "%252C", "%25252c"] {
        check_masked("a?sid=", &SID.replace(',', comma), "&b");
    }
}

#[test]
fn an_id_of_which_every_byte_is_encoded_is_masked() {
    check_masked("=", &percent(SID), "&");
    check_masked("=", &percent(&percent(SID)), "%");
    check_masked("=", &percent(&percent(&percent(PREVIOUS))), "25");
    check_masked("\"", &escaped(SID, |byte| format!("\\u00{byte:02X}")), "\"");
    check_masked("'", &escaped(SID, |byte| format!("\\x{byte:02x}")), "'");
}

#[test]
fn an_id_in_json_within_json_or_within_a_url_is_masked() {
    for comma in ["\\u002c", "\\u002C", "\\\\u002c", "\\\\\\\\u002c", "%5cu002c", "\\u00252c"] {
        check_masked("sid=", &SID.replace(',', comma), "\\u0026");
    }
}

#[test]
fn what_stands_before_an_id_does_not_hide_it() {
    // With the id's first byte, each of these reads as an escape.
    for before in ["%", "%2", "%%", "%25", "\\", "\\\\", "\\u002", "\\x2", "%5c", "\\u003d", "%3D"]
    {
        check_masked(before, SID, "");
        check_masked(before, &SID.replacen('0', "%30", 1), "");
    }
}

#[test]
fn ids_side_by_side_and_over_each_other_are_all_masked() {
    let needles = needles(&[b"abcabcabcabc", b"bearer abcabcabcabc", b"cabcabca%2"]);
    let cases = [
        ("abcabcabcabcabcab", "***************ab"),
        ("bearer abcabcabcabc.", "*******************."),
        ("bearer abcabcabcab.", "bearer abcabcabcab."),
        ("abcabcabcabcABCabcABCabcd", "************************d"),
        ("bearer ABCabcABCabca%2", "**********************"),
    ];
    for (body, expected) in cases {
        for cut in 0..=body.len() {
            let (first, second) = body.as_bytes().split_at(cut);
            let shown = shown(&needles, &[first, second]);
            assert_eq!(String::from_utf8_lossy(&shown), expected, "{body} cut at {cut}");
        }
    }
}

#[test]
fn a_secret_that_holds_percent_signs_or_slashes_is_masked_as_it_is_and_escaped() {
    let secret = b"ab/%2F\\u0041+=";
    let needles = needles(&[secret]);
    for spelled in
        [r"ab/%2F\u0041+=", r"AB\/%2f\u0041+=", r"ab%2F%252F%5Cu0041%2B%3D", r"ab\/%2F\\u0041+="]
    {
        let body = format!("[{spelled}]");
        let expected = format!("[{}]", "*".repeat(spelled.len()));
        assert_eq!(shown(&needles, &[body.as_bytes()]), expected.as_bytes(), "{spelled}");
    }
}

#[test]
fn text_that_only_resembles_an_id_goes_on_as_it_came() {
    check_passes("");
    check_passes(SID.trim_start_matches('0'));
    check_passes(SID.trim_end_matches('6'));
    check_passes(&SID.replace(',', "."));
    check_passes(&SID.replace(',', "%2d"));
    check_passes(&SID.replace(',', "\\u012c"));
    check_passes(&SID.replace(',', "%"));
    // Four layers are one too many, and harmless text meets this sooner than an id.
    check_passes(&SID.replace(',', "%2525252c"));
    check_passes(
        r#"{"a":"caf\u00e9 \\ \/ \"","b":"100%","c":"%zz%2","d":"\u4e2d","e":"%E4%B8%AD"}"#,
    );
}

#[test]
fn a_value_too_short_to_be_an_id_is_not_searched() {
    let needles = needles(&[b"1234567", b""]);
    assert!(needles.is_empty());
    let mut redactor = Redactor::new(needles);
    assert_eq!(redactor.push(b"1234567", false), Redacted::Unchanged);
    assert_eq!(redactor.push(b"1234567", true), Redacted::Unchanged);
}

#[test]
fn only_what_may_be_the_beginning_of_an_id_waits_for_the_next_chunk() {
    let needles = needles(&[SID.as_bytes()]);
    for (chunk, held) in [
        ("{\"a\":[1,2", 0),
        ("sid=", 0),
        ("sid=0", 1),
        ("sid=00F1e", 4),
        ("sid=0f1e2d3c%", 9),
        ("sid=0f1e2d3d%", 1),
        ("a\\", 1),
        ("a\\u4e2d", 0),
        ("a%21", 0),
        ("a%2", 2),
        ("a%25", 3),
        ("x0f%31", 5),
        ("x0f%32", 0),
    ] {
        let mut redactor = Redactor::new(Rc::clone(&needles));
        let redacted = redactor.push(chunk.as_bytes(), false);
        assert_eq!(redactor.held(), held, "{chunk}");
        let sent = chunk.as_bytes()[..chunk.len() - held].to_vec();
        let expected = if held == 0 { Redacted::Unchanged } else { Redacted::Replaced(sent) };
        assert_eq!(redacted, expected, "{chunk}");
        // The body ends here after all: what waited goes on as it came.
        let end = chunk.as_bytes()[chunk.len() - held..].to_vec();
        let expected = if held == 0 { Redacted::Unchanged } else { Redacted::Replaced(end) };
        assert_eq!(redactor.push(b"", true), expected, "{chunk}");
    }
}

#[test]
fn what_waits_is_bounded_by_the_longest_spelling_whatever_comes() {
    let needles = needles(&[SID.as_bytes()]);
    let most = SID.len() * 6_usize.pow(3);
    for piece in ["%25", "\\", "%", "\\u005c", "%5c", "0", "0f1e2d3c%25"] {
        let mut redactor = Redactor::new(Rc::clone(&needles));
        for _ in 0..4_000 {
            redactor.push(piece.as_bytes(), false);
            assert!(redactor.held() < most, "{piece}: {}", redactor.held());
        }
    }
}

#[test]
fn the_work_grows_with_the_body_alone_whatever_an_upstream_sends() {
    let repetitive = [b'a'; 64];
    let long: String = (0..128).map(|number| format!("{number:08x}")).collect();
    let needles = [
        needles(&[SID.as_bytes(), PREVIOUS.as_bytes()]),
        needles(&[&repetitive]),
        needles(&[b"0f1e2d3c", long.as_bytes()]),
    ];
    let pieces = [
        "d3c",
        "f1e2d3c",
        "%25",
        "%",
        "\\",
        "\\u005c",
        "%5c",
        "\\u0061",
        "%61",
        "%2561",
        "a",
        "aaaaaaaaaaaaaaa%61",
        "0",
        "0f1e2d3c%2c",
        "0f1e2d3c",
        "%30",
        "%2",
        "\\u0",
        "\\\\\"",
        "%%32%35",
        SID,
    ];
    let combinations = needles.iter().flat_map(|needles| pieces.map(|piece| (needles, piece)));
    for ((needles, piece), is_last) in combinations.flat_map(|it| [(it, false), (it, true)]) {
        let steps = |length: usize| {
            let body = piece.as_bytes().iter().copied().cycle().take(length);
            // The end decides whether a glance is enough.
            let body: Vec<u8> = body.chain(*b"}").collect();
            STEPS.set(0);
            Redactor::new(Rc::clone(needles)).push(&body, is_last);
            STEPS.get()
        };
        let (once, twice) = (steps(15_000), steps(30_000));
        assert!(twice <= once * 2 + once / 10 + 2_000, "{piece}: {once}, then {twice}");
        assert!(twice <= 30_000 * 400, "{piece}: {twice}");
    }
}

#[test]
fn masks_are_of_the_occurrence_s_own_length() {
    let body = format!("a{SID}b{}c", SID.replace(',', "%2c"));
    let shown = shown(&needles(&[SID.as_bytes()]), &[body.as_bytes()]);
    assert_eq!(shown.len(), body.len());
    assert_eq!(shown.iter().filter(|byte| **byte == MASK).count(), body.len() - 3);
    assert_eq!(shown, reference::masked(&[SID.as_bytes()], body.as_bytes()));
}
