//! References in responses, from the client's point of view.

use serde_json::json;

use super::Base;
use crate::{
    host::mock::{active_with, grant_of, policy_with},
    session::SessionTable,
    target::Target,
};

/// The reference as the client gets it, for a request to
/// `/dev/proxy/company.intelligencebank.com/d/e?q`.
fn for_client(reference: &str) -> String {
    String::from_utf8(for_client_bytes(reference.as_bytes()).unwrap()).unwrap()
}

fn for_client_bytes(reference: &[u8]) -> Option<Vec<u8>> {
    let policy = policy_with(json!({"allowed_ports": [443, 8443]}));
    // A host of the session that the allow-list does not have.
    let hosts = ["company.intelligencebank.com", "apiv3.intelligencebank.com", "unlisted.example"];
    let answer = active_with(json!({"upstream.hosts": hosts}));
    let grant = grant_of("token", &answer, &mut SessionTable::default());
    let session = grant.session_for("company.intelligencebank.com").unwrap();
    let target = Target::parse(b"company.intelligencebank.com/d/e?q", &[443]).unwrap();
    let credentials = session.credentials();
    let base =
        Base { prefix: "/dev/proxy/", target: &target, credentials: &credentials, policy: &policy };
    base.for_client(reference).ok()
}

#[test]
fn a_redirect_on_the_hosts_of_the_session_stays_behind_the_gateway() {
    for (reference, expected) in [
        ("https://company.intelligencebank.com/a?b#c", "company.intelligencebank.com/a?b#c"),
        ("https://company.intelligencebank.com", "company.intelligencebank.com/"),
        ("https://company.intelligencebank.com?x", "company.intelligencebank.com/?x"),
        ("HTTPS://Company.IntelligenceBank.com./A", "company.intelligencebank.com/A"),
        ("https://company.intelligencebank.com:443/a", "company.intelligencebank.com/a"),
        ("https://company.intelligencebank.com:/a", "company.intelligencebank.com/a"),
        ("https://company.intelligencebank.com:8443/a", "company.intelligencebank.com:8443/a"),
        ("http://company.intelligencebank.com/a", "company.intelligencebank.com/a"),
        ("http://company.intelligencebank.com:80/a", "company.intelligencebank.com/a"),
        ("https://user:x@company.intelligencebank.com/a", "company.intelligencebank.com/a"),
        ("//apiv3.intelligencebank.com/a", "apiv3.intelligencebank.com/a"),
        ("\\\\apiv3.intelligencebank.com\\a", "apiv3.intelligencebank.com/a"),
        ("/login", "company.intelligencebank.com/login"),
        ("/", "company.intelligencebank.com/"),
        ("next", "company.intelligencebank.com/d/next"),
        ("./next", "company.intelligencebank.com/d/next"),
        ("../next", "company.intelligencebank.com/next"),
        ("a:b/c", "a:b/c"),
        ("x/a:b", "company.intelligencebank.com/d/x/a:b"),
        ("?x=1", "company.intelligencebank.com/d/e?x=1"),
        ("#top", "company.intelligencebank.com/d/e?q#top"),
        ("", "company.intelligencebank.com/d/e?q"),
        (" /a b ", "company.intelligencebank.com/a b"),
        ("/a%2Fb//c/", "company.intelligencebank.com/a%2Fb//c/"),
    ] {
        let expected =
            if expected == reference { expected.into() } else { format!("/dev/proxy/{expected}") };
        assert_eq!(for_client(reference), expected, "{reference}");
    }
}

#[test]
fn a_redirect_cannot_climb_from_the_prefix_to_another_path_of_the_gateway() {
    for reference in [
        "../../../../authorize",
        "/../../authorize",
        "/%2e%2e/%2E%2e/.%2e/authorize",
        "..\\..\\..\\authorize",
        "https://company.intelligencebank.com/../../authorize",
    ] {
        assert_eq!(
            for_client(reference),
            "/dev/proxy/company.intelligencebank.com/authorize",
            "{reference}"
        );
    }
    assert_eq!(for_client("/a/.."), "/dev/proxy/company.intelligencebank.com/");
}

#[test]
fn a_redirect_to_any_other_place_goes_through_as_it_is() {
    for reference in [
        "https://unlisted.example/a",
        "https://other.example/a?b=c#d",
        "https://other.intelligencebank.com/a",
        "https://company.intelligencebank.com:22/a",
        "https://company.intelligencebank.com.evil/",
        "//other.example",
        "/\\other.example",
        "mailto:a@b.example",
        "https://",
        "https://127.0.0.1/",
        "https://[::1]/",
        "///company.intelligencebank.com/",
    ] {
        assert_eq!(for_client(reference), reference);
    }
}

#[test]
fn a_redirect_that_browsers_read_differently_than_it_is_written_is_dropped() {
    for reference in [
        "https:/authorize",
        "https:authorize",
        "HTTPS:\\authorize",
        "http:x",
        "http:",
        "https:?x",
        "https:/\t/company.intelligencebank.com/",
        "ht\ntps:/authorize",
        "/a\r/b",
        "/a?b\tc",
        "/a#b\x7f",
    ] {
        assert_eq!(for_client_bytes(reference.as_bytes()), None, "{reference:?}");
    }
    assert_eq!(for_client("\t/a\n"), "/dev/proxy/company.intelligencebank.com/a");
}

#[test]
fn a_redirect_loses_its_session_id_wherever_it_goes() {
    for (reference, expected) in [
        ("https://other.example/a?sid=x&b=%2f", "https://other.example/a?b=%2f"),
        ("https://other.example/a?%53ID=x#f", "https://other.example/a#f"),
        ("mailto:a?sid=x", "mailto:a"),
        ("/a?b&sid=x", "/dev/proxy/company.intelligencebank.com/a?b"),
        ("?sid=x", "/dev/proxy/company.intelligencebank.com/d/e"),
    ] {
        assert_eq!(for_client(reference), expected, "{reference}");
    }
}

#[test]
fn bytes_that_are_not_text_are_kept_and_crash_nothing() {
    assert_eq!(
        for_client_bytes(b"/caf\xe9"),
        Some(b"/dev/proxy/company.intelligencebank.com/caf\xe9".to_vec())
    );
    assert_eq!(for_client_bytes(b"//\xff/"), Some(b"//\xff/".to_vec()));
}
