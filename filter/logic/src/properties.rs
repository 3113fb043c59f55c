//! 100,000 generated requests and as many generated responses through the whole of the phases: no
//! panic, and nothing leaves that must not. (`interleavings` has many streams at once.)

mod interleavings;

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::json;

use crate::{
    HeaderMap, HeadersFlow,
    host::mock::{SID, World, active_with, get_request, map, token_named},
    percent::decode_fully,
};

const CASES: u32 = 100_000;

fn config() -> ProptestConfig {
    ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() }
}

/// Pieces that hostile and ordinary targets are made of.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let ordinary = select(vec![
        "/", "//", "/a", "api", "x.y", "?", "&", "=", "%20", ":", "(", ")", ",", ";a=b", "[", "]",
        "+", "@", "%", "...", "%5B", "side",
    ]);
    let hostile = select(vec![
        ".", "..", "%2e", "%2E%2e", "%252e", "%2f", "%5c", "\\", ";", "#", "%00", "%c0%ae", "sid",
        "SID", "%73id", " ", "\t", "%u002e", "..;", "/..", "&sid=",
    ]);
    prop_oneof![
        8 => ordinary.prop_map(|text| text.as_bytes().to_vec()),
        3 => hostile.prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ]
}

fn host() -> impl Strategy<Value = Vec<u8>> {
    let ordinary = select(vec![
        "company.intelligencebank.com",
        "apiv3.intelligencebank.com",
        "COMPANY.IntelligenceBank.com.",
        "company.intelligencebank.com:443",
    ]);
    let hostile = select(vec![
        "",
        "other.intelligencebank.com",
        "evil.example",
        "127.0.0.1",
        "2130706433",
        "[::1]",
        "0x7f.1",
        "company.intelligencebank.com@evil.example",
        "company.intelligencebank.com.evil.example",
        "a.company.intelligencebank.com",
        "company.intelligencebank.com%2f",
    ]);
    prop_oneof![
        9 => ordinary.prop_map(|text| text.as_bytes().to_vec()),
        3 => hostile.prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..30),
    ]
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    let prefix = prop_oneof![
        9 => select(vec!["/proxy/", "/dev/proxy/"]),
        1 => select(vec!["/proxy", "/", "/%70roxy/", "//proxy/", ""]),
    ];
    let slash = prop_oneof![9 => Just("/"), 1 => select(vec!["", "?", "#", "\\"])];
    (prefix, host(), slash, vec(piece(), 0..6)).prop_map(|(prefix, host, slash, rest)| {
        [prefix.as_bytes(), &host, slash.as_bytes(), &rest.concat()].concat()
    })
}

fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = select(vec![
        "authorization",
        "cookie",
        "sid",
        "x-forwarded-for",
        "x_forwarded_for",
        "x-envoy-retry-on",
        "x-forwarded-host",
        "forwarded",
        "proxy-authorization",
        "connection",
        "upgrade",
        "te",
        "content-type",
        "x-custom",
        "x-request-id",
        "referer",
        "x-api-key",
        "x_api-key",
        "host",
    ]);
    let value = prop_oneof![
        select(vec!["Bearer token", "forged", "upgrade", "application/grpc", "a, b", ""])
            .prop_map(|text| text.as_bytes().to_vec()),
        vec(any::<u8>(), 0..12),
    ];
    (name.prop_map(str::to_owned), value)
}

/// A header map has no `Debug`, since it holds tokens: pairs are generated.
fn request() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let method = prop_oneof![
        9 => select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        1 => select(vec!["TRACE", "CONNECT", "get", ""]),
    ];
    let authorization = prop_oneof![
        18 => Just(format!("Bearer {}", token_named("token")).into_bytes()),
        1 => Just(format!("bearer {}", token_named("unknown")).into_bytes()),
        1 => Just(b"Bearer foreign".to_vec()),
        1 => vec(any::<u8>(), 0..20),
    ];
    (method, path(), authorization, vec(header(), 0..3)).prop_map(
        |(method, path, authorization, extra)| {
            let mut headers = vec![
                (":method".to_owned(), method.as_bytes().to_vec()),
                (":scheme".to_owned(), b"http".to_vec()),
                (":authority".to_owned(), b"gateway.example".to_vec()),
                (":path".to_owned(), path),
                ("authorization".to_owned(), authorization),
            ];
            headers.extend(extra);
            headers
        },
    )
}

/// A world that knows `token` as good for the two hosts of `company`.
fn world() -> World {
    let world = World::with(|policy| {
        policy.prefixes = vec!["/dev/proxy/".to_owned(), "/proxy/".to_owned()];
    });
    let headers = json!({"sid": SID, "x-api-key": "a-key-of-the-session"});
    let stream = world.open(get_request("/proxy/company.intelligencebank.com/", "token"), true);
    world.answer(world.last_callout().id, &active_with(json!({"upstream.headers": headers})));
    assert!(world.is_upstream(stream));
    world.end(stream);
    world
}

fn check_upstream_request(sent: &HeaderMap, received: &[u8]) {
    let values = |wanted: &str| -> Vec<&[u8]> {
        let wanted = sent.iter().filter(|(name, _)| *name == wanted.as_bytes());
        wanted.map(|(_, value)| value).collect()
    };
    let hosts: [&[u8]; 2] = [b"company.intelligencebank.com", b"apiv3.intelligencebank.com"];
    assert!(matches!(values(":authority").as_slice(), [host] if hosts.contains(host)));
    assert_eq!(values("sid"), [SID.as_bytes()]);
    assert_eq!(values("x-api-key"), [b"a-key-of-the-session"]);
    for (name, value) in sent.iter() {
        let name = String::from_utf8_lossy(name).replace('_', "-");
        let is_secret_or_claim = matches!(
            name.as_str(),
            "authorization" | "cookie" | "forwarded" | "proxy-authorization" | "referer" | "host"
        );
        assert!(!is_secret_or_claim, "{name}");
        assert!(!name.starts_with("x-forwarded") && !name.starts_with("x-envoy"), "{name}");
        assert!(name == "sid" || name == "x-api-key" || value != SID.as_bytes());
    }
    // The path that leaves is the end of the path that came, byte for byte.
    let [path] = values(":path")[..] else { panic!("one path") };
    assert!(path.starts_with(b"/"));
    assert!(received.ends_with(path) || path == b"/", "{path:?}");
    assert!(path.iter().all(|byte| *byte > b' ' && *byte != 0x7F && *byte != b'#'));
    // However it is decoded, it climbs nowhere and names no session.
    let (path, query) = match path.iter().position(|byte| *byte == b'?') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, &b""[..]),
    };
    let decoded = decode_fully(path);
    for segment in decoded.split(|byte| b"/\\".contains(byte)) {
        let name = segment.split(|byte| *byte == b';' || *byte == 0).next().unwrap();
        assert!(name != b"." && name != b"..", "{path:?}");
    }
    for pair in decode_fully(query).split(|byte| b"&;?".contains(byte)) {
        let key = pair.split(|byte| b"=[".contains(byte)).next().unwrap();
        // A decoded separator may make a key of what was a value: only raw keys are judged.
        if !query.contains(&b'%') {
            assert!(!key.eq_ignore_ascii_case(b"sid"), "{query:?}");
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_leaves_that_must_not_whatever_a_client_sends(request in request()) {
        thread_local!(static WORLD: World = world());
        WORLD.with(|world| {
            let callouts = world.sent_count();
            let pairs: Vec<(&str, &[u8])> =
                request.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            let stream = world.open(map(&pairs), true);
            let is_waiting = world.sent_count() > callouts;
            let is_refused = world.client(stream).is_some();
            if world.is_upstream(stream) {
                assert!(!is_refused && !is_waiting);
                check_upstream_request(&world.request(stream), &request[3].1);
            } else {
                // Refused, waiting, or not ours: in no case rewritten.
                assert!(world.is_untouched(stream));
                assert_eq!(world.is_waiting(stream), is_waiting);
                assert!(!(is_waiting && is_refused));
            }
            if is_waiting {
                world.no_answer(world.last_callout().id);
            }
            world.forget(stream);
        });
    }

    #[test]
    fn no_answer_shows_the_session_id_whatever_an_upstream_sends(
        name in select(vec!["location", "content-location", "cache-control", "link", "x-any"]),
        parts in vec(prop_oneof![
            4 => piece(),
            1 => Just(SID.as_bytes().to_vec()),
            1 => Just(format!("sid={SID}&").into_bytes()),
            1 => Just(b"%30123456789abcdef0123456789abcdef".to_vec()),
            2 => select(vec![
                "https://", "http:", "company.intelligencebank.com", "public", ",", "\"", "s-maxage=1",
            ]).prop_map(|text| text.as_bytes().to_vec()),
        ], 0..8),
    ) {
        thread_local!(static WORLD: World = world());
        WORLD.with(|world| {
            let path = "/proxy/company.intelligencebank.com/a/b?c";
            let stream = world.open(get_request(path, "token"), true);
            assert!(world.is_upstream(stream));
            let value = parts.concat();
            let flow = world.respond(stream, &[(":status", b"302"), (name, &value)], true);
            assert_eq!(flow, HeadersFlow::Continue);
            for (_, value) in world.response(stream).iter() {
                for text in [value.to_vec(), decode_fully(value)] {
                    assert!(!text.windows(SID.len()).any(|part| part == SID.as_bytes()));
                }
            }
            assert_eq!(world.response_values(stream, ":status"), ["302"]);
            world.forget(stream);
        });
    }
}
