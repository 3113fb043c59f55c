//! What an upstream's headers tell the client.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{is_harmless, make_private};
use crate::host::mock::{SID, World, active_answer, generation, get_request, map, sid_of, text};

const PATH: &str = "/proxy/company.intelligencebank.com/d/e?q";

/// The headers that the client gets, for an answer without a body.
fn answered_by(world: &World, headers: &[(&str, &[u8])]) -> Vec<(String, String)> {
    let stream = world.open(get_request(PATH, "token"), true);
    let _flow = world.respond(stream, headers, true);
    world.client(stream).unwrap().headers
}

fn answered(headers: &[(&str, &[u8])]) -> Vec<(String, String)> {
    answered_by(&World::knowing("token", &active_answer(SID)), headers)
}

/// The values of one header that the client gets.
fn one(name: &str, value: &str) -> Vec<String> {
    let headers = answered(&[(":status", b"200"), (name, value.as_bytes())]);
    headers.into_iter().filter(|(other, _)| other == name).map(|(_, value)| value).collect()
}

#[test]
fn a_redirect_comes_back_under_the_prefix_and_the_rest_stays() {
    let headers = answered(&[
        (":status", b"302"),
        ("location", format!("https://company.intelligencebank.com/a?sid={SID}&b").as_bytes()),
        ("content-location", b"/c"),
        ("content-length", b"0"),
    ]);
    let expected = map(&[
        (":status", b"302"),
        ("location", b"/proxy/company.intelligencebank.com/a?b"),
        ("content-location", b"/proxy/company.intelligencebank.com/c"),
        ("content-length", b"0"),
    ]);
    assert_eq!(headers, text(&expected));
}

#[test]
fn a_redirect_that_two_readers_could_take_for_two_places_is_dropped() {
    for value in ["https:/x", "https:x", "http:x", "/a\tb", "https:\r\n//company.example/"] {
        assert!(one("location", value).is_empty(), "{value:?}");
        assert!(one("content-location", value).is_empty(), "{value:?}");
    }
    let headers = answered(&[
        (":status", b"302"),
        ("location", b"/a"),
        ("content-location", b"/c"),
        ("location", b"/b"),
    ]);
    let expected =
        map(&[(":status", b"302"), ("content-location", b"/proxy/company.intelligencebank.com/c")]);
    assert_eq!(headers, text(&expected));
}

#[test]
fn no_header_shows_the_session_id_to_the_client() {
    let encoded = SID.replacen('0', "%30", 1);
    for name in
        ["location", "link", "refresh", "x-echo", "set-cookie", "sid", "content-disposition"]
    {
        for value in [SID.to_owned(), format!("https://x.example/a/{SID}"), format!("x={encoded};")]
        {
            assert!(one(name, &value).is_empty(), "{name}: {value}");
        }
    }
    assert!(one("location", &format!("/a#sid={SID}")).is_empty());
    assert!(one(&format!("x-{SID}"), "1").is_empty(), "a name shows as much as a value");
    assert!(one("cache-control", &format!("public, x={SID}")).is_empty());
}

#[test]
fn no_header_shows_the_session_id_of_the_generation_before() {
    let world = World::knowing("token", &generation(1));
    world.learn("other", &generation(2));
    for sid in [SID.to_owned(), sid_of(2)] {
        let headers =
            [(":status", b"200".as_slice()), ("x-echo", sid.as_bytes()), ("x-kept", b"1")];
        let names: Vec<String> =
            answered_by(&world, &headers).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [":status", "x-kept"]);
    }
}

#[test]
fn an_answer_for_one_user_is_not_for_shared_caches() {
    for (value, expected) in [
        ("public", "private"),
        ("Public, max-age=60", "private, max-age=60"),
        ("max-age=60, s-maxage=600,public", "private, max-age=60"),
        ("s-maxage=600", "private"),
        ("private, public", "private"),
        ("public, no-cache=\"public, x\"", "private, no-cache=\"public, x\""),
        ("no-store", "no-store"),
        ("max-age=60", "max-age=60"),
        ("x-public=1", "x-public=1"),
        ("must-revalidate", "private, must-revalidate"),
        ("max-age=60, Must-Revalidate", "private, max-age=60, Must-Revalidate"),
        ("proxy-revalidate", "private, proxy-revalidate"),
        ("private=\"x-a, x-b\", max-age=60", "private, max-age=60"),
        ("Private = \"x-a\"", "private"),
        ("private, must-revalidate", "private, must-revalidate"),
        ("private", "private"),
    ] {
        assert_eq!(one("cache-control", value), [expected], "{value}");
    }
    assert!(one("surrogate-control", "max-age=60").is_empty());
    assert!(one("cdn-cache-control", "max-age=60").is_empty());
    assert!(one("vendor-cdn-cache-control", "max-age=60").is_empty());
}

#[test]
fn an_answer_without_cache_control_gets_none() {
    let headers = answered(&[(":status", b"302"), ("location", b"/x")]);
    assert!(headers.iter().all(|(name, _)| name != "cache-control"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_cache_control_that_lets_others_keep_the_answer_is_taken_for_harmless(
        directives in vec(
            select(vec![
                "public", "PUBLIC", "private", "private=\"x\"", "Private =x", "private=x", "s-maxage=5",
                "S-MaxAge=5", "max-age=0", "must-revalidate", "proxy-Revalidate", "no-store", "no-cache",
                "no-transform", "immutable", "", "x=\"public, private=\"",
            ]),
            0..5,
        ),
        separator in select(vec![",", ", ", " ,\t"]),
    ) {
        let value = directives.join(separator).into_bytes();
        if is_harmless(&value) {
            prop_assert_eq!(make_private(&value), None);
        }
    }
}
