//! Targets, good and hostile.

use super::{
    Target, TargetError, holds_nothing_special, is_plain, judge_path_and_query, judged_host,
    parse_host, plain_host,
};

fn parse(rest: &str) -> Result<(String, u16, String), TargetError> {
    parse_bytes(rest.as_bytes())
}

fn parse_bytes(rest: &[u8]) -> Result<(String, u16, String), TargetError> {
    let target = Target::parse(rest, &[443, 8443])?;
    let path = String::from_utf8_lossy(target.path_and_query).into_owned();
    Ok((target.host.into_owned(), target.port, path))
}

#[test]
fn intelligencebank_paths_and_queries_arrive_byte_for_byte() {
    for path in [
        "/api/3.0.0/company/resource.limit(0,100).order(createTime:-1).fields().includeAmaTags(brands,faces)?searchParams[isSearching]=true&searchParams[keywords]=&verbose&productkey=x",
        "/api/3.0.0/company/folder/?verbose",
        "/api/json",
        "//a//b/",
        "/a%20b/%C3%A9?x=%zz&y",
        "/resource/1?action=download;x",
        "/a...b/.../.hidden/x..y",
        "/a?b=../..&c=\\",
        "/100%",
        "/?",
    ] {
        let rest = format!("company.intelligencebank.com{path}");
        assert_eq!(
            parse(&rest),
            Ok(("company.intelligencebank.com".to_owned(), 443, path.to_owned()))
        );
    }
}

#[test]
fn a_host_alone_means_the_root_of_the_host() {
    assert_eq!(parse("a.example"), Ok(("a.example".to_owned(), 443, "/".to_owned())));
}

#[test]
fn upper_case_and_a_trailing_dot_name_the_same_host() {
    for host in ["A.Example", "a.example.", "A.EXAMPLE."] {
        assert_eq!(parse(&format!("{host}/x")).unwrap().0, "a.example");
    }
}

#[test]
fn a_port_of_the_configured_set_is_kept_and_any_other_is_refused() {
    assert_eq!(parse("a.example:443/x").unwrap().1, 443);
    assert_eq!(parse("a.example:8443/x").unwrap().1, 8443);
    for port in ["", "0", "22", "0443", "+443", "443a", "65536", "99999999999", "443:443", "-1"] {
        assert_eq!(parse(&format!("a.example:{port}/x")), Err(TargetError::Port), "{port}");
    }
}

#[test]
fn the_default_port_is_left_out_of_the_authority() {
    let target = |rest: &'static str| Target::parse(rest.as_bytes(), &[443, 8443]).unwrap();
    assert_eq!(target("a.example:443/").authority(), "a.example");
    assert_eq!(target("a.example:8443/").authority(), "a.example:8443");
}

#[test]
fn a_client_without_a_target_learns_that_it_is_missing() {
    for rest in ["", "/", "//x", "?x", "#x"] {
        assert_eq!(parse(rest), Err(TargetError::Missing), "{rest}");
    }
}

#[test]
fn no_notation_of_an_ip_address_reaches_a_resolver() {
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.1",
        "0177.1",
        "10.0.0.1",
        "169.254.169.254",
        "0",
        "1.2.3.4.",
        "0x",
        "a.0x1",
        "a.1",
        "[::1]",
        "[::1]:443",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25eth0]",
    ] {
        assert_eq!(parse(&format!("{host}/x")), Err(TargetError::IpLiteral), "{host}");
    }
}

#[test]
fn a_host_that_is_not_one_plain_name_is_refused() {
    let long_label = "a".repeat(64);
    let long_name = format!("{}.example", "a.".repeat(130));
    for (host, error) in [
        ("user@a.example", TargetError::UserInformation),
        ("user:pass@a.example", TargetError::UserInformation),
        ("a.example@evil.example", TargetError::UserInformation),
        ("a%2eexample", TargetError::PercentInHost),
        ("a.example%2f", TargetError::PercentInHost),
        ("a.example%00", TargetError::PercentInHost),
        ("a\\evil.example", TargetError::Backslash),
        ("a b.example", TargetError::Control),
        ("a\t.example", TargetError::Control),
        ("a\u{7f}.example", TargetError::Control),
        ("b\u{fc}cher.example", TargetError::NotAscii),
        ("a\u{3002}example", TargetError::NotAscii),
        ("a..example", TargetError::HostName),
        (".example", TargetError::HostName),
        ("a.example..", TargetError::HostName),
        (".", TargetError::HostName),
        ("-a.example", TargetError::HostName),
        ("a-.example", TargetError::HostName),
        ("a_b.example", TargetError::HostName),
        ("a,b.example", TargetError::HostName),
        ("*.example", TargetError::HostName),
        (&long_label, TargetError::HostName),
        (&long_name, TargetError::HostName),
        (":443", TargetError::Missing),
        ("https:", TargetError::Scheme),
        ("HTTP:", TargetError::Scheme),
    ] {
        assert_eq!(parse(&format!("{host}/x")), Err(error), "{host}");
    }
    assert_eq!(parse_bytes(b"a\xff.example/x"), Err(TargetError::NotAscii));
    assert_eq!(parse_bytes(b"a\0.example/x"), Err(TargetError::Control));
}

#[test]
fn a_query_or_fragment_right_after_the_host_cannot_make_two_readers_disagree_on_the_host() {
    assert_eq!(parse("a.example?x=/v1"), Err(TargetError::HostEnd));
    assert_eq!(parse("a.example#/v1"), Err(TargetError::HostEnd));
}

#[test]
fn an_international_name_in_its_ascii_form_is_a_name() {
    assert_eq!(parse_host(b"xn--bcher-kva.example").unwrap(), "xn--bcher-kva.example");
}

#[test]
fn no_spelling_of_a_dot_segment_climbs_out_of_the_path() {
    for path in [
        "/.",
        "/..",
        "/../x",
        "/a/..",
        "/a/../b",
        "/./a",
        "/a/.",
        "/..;/a",
        "/..;x=y/a",
        "/.;/a",
        "/%2e",
        "/%2e%2e/x",
        "/%2E%2e/x",
        "/.%2e/x",
        "/%2e./x",
        "/a%2f..",
        "/a%2F..%2fb",
        "/a%2f%2e%2e%2fb",
        "/a%5c..%5cb",
        "/a%5C..",
        "/..%2f",
        "/..%5c",
        "/%2e%2e%2f",
        "/%2e%2e;/a",
        "/..%3b/a",
        "/..%3bx/a",
        "/%252e%252e/x",
        "/%25252e./x",
        "/a%252f..",
        "/..%255c",
        "/..%00/a",
        "/..%00x/a",
        "/..%20/a",
        "/%20../a",
        "/..%09",
        "/..%0a/",
        "/..%3f",
        "/..%23",
        "/%c0%ae%c0%ae/",
        "/%c0%ae./",
        "/a%c0%af..",
        "/%e0%80%ae./",
        "/%u002e%u002e/",
        "/a%c1%9c..",
        "/%25%32%65%2e/",
    ] {
        assert_eq!(parse(&format!("a.example{path}")), Err(TargetError::DotSegment), "{path}");
    }
    assert_eq!(parse_bytes(b"a.example/\xc0\xae./x"), Err(TargetError::DotSegment));
}

#[test]
fn bytes_that_could_split_a_request_are_refused() {
    for path in ["/a b", "/a\tb", "/a\rb", "/a\nb", "/a\0b", "/a\u{7f}", "/a?b c", "/a?b\r\nc"] {
        assert_eq!(parse(&format!("a.example{path}")), Err(TargetError::Control), "{path:?}");
    }
    assert_eq!(parse("a.example/a\\b"), Err(TargetError::Backslash));
    assert_eq!(parse("a.example/a#b"), Err(TargetError::Fragment));
    assert_eq!(parse("a.example/a?b#c"), Err(TargetError::Fragment));
}

#[test]
fn a_session_id_in_the_query_is_refused() {
    assert_eq!(parse("a.example/a?b=c&%53id=x"), Err(TargetError::SessionKey));
}

/// Texts of a few bytes that matter, by a generator that gives the same ones each time (SplitMix64).
fn texts(alphabet: &'static [u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 7_u64;
    let mut next = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        usize::try_from(mixed >> 40).unwrap()
    };
    (0..200_000).map(move |_| {
        let length = next() % 12;
        (0..length).map(|_| alphabet[next() % alphabet.len()]).collect()
    })
}

#[test]
fn the_short_way_for_usual_hosts_lets_nothing_through_that_a_closer_look_would_not() {
    let mut usual = 0;
    for host in texts(b"ab9Z.-_%:\xe9 ") {
        if let Some(host) = plain_host(&host) {
            usual += 1;
            assert_eq!(judged_host(host.as_bytes()).as_deref(), Ok(host));
        }
    }
    assert!(usual > 1_000, "{usual}");
    let label = "a".repeat(64);
    assert_eq!(plain_host(label.as_bytes()), None);
    let name = ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(60)].join(".");
    assert!(plain_host(name.as_bytes()).is_some());
    assert_eq!(plain_host(format!("{name}.eeeeeeeeeeee").as_bytes()), None, "over 253 bytes");
}

#[test]
fn the_short_way_for_usual_paths_lets_nothing_through_that_a_closer_look_would_not() {
    let mut usual = [0; 3];
    for rest in texts(b"/..;?&=siSDd%2e+#\\ \xc0") {
        // Vector instructions look at texts that are long enough for them.
        let long = b"aaaaaaaaaaaaaaaaaaaaaaaaa".as_slice();
        let paths = [[b"/".as_slice(), &rest, b""], [b"/", long, &rest], [b"/", &rest, long]];
        for (usual, path) in usual.iter_mut().zip(paths.map(|parts| parts.concat())) {
            if is_plain(&path) {
                *usual += 1;
                assert_eq!(judge_path_and_query(&path), Ok(()), "{path:?}");
            }
        }
    }
    assert!(usual.iter().all(|usual| *usual > 1_000), "{usual:?}");
}

#[test]
fn what_matters_in_a_path_is_seen_wherever_it_stands_in_a_long_one() {
    for special in
        ["?sid=1", "?SID=1", "&sid", ";Sid=1", "?+sid=1", "/../x", "/./", "%2e", "\\", "#"]
    {
        for before in 0..40 {
            for after in 0..40 {
                let path = ["/", &"a".repeat(before), special, &"b".repeat(after)].concat();
                assert!(!holds_nothing_special(path.as_bytes()), "{path}");
            }
        }
    }
    assert!(holds_nothing_special(b"/api/3.0.0/client/resource.limit(0,100)?verbose&asset=1"));
}
