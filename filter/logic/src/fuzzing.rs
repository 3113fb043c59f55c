//! Entrances for the fuzz targets of `fuzz/`: each takes arbitrary bytes, runs them through one reader
//! of the filter, and asserts what must hold whatever they are. No build that ships has this module.

use std::rc::Rc;

use ib_contract::{Introspection, Revocations};

use crate::{
    HeaderMap, Timestamp, config,
    grant::Grant,
    head::Request,
    percent::decode_fully,
    policy::Policy,
    redact::{Needles, Redacted, Redactor, reference},
    session::SessionTable,
    target::Target,
};

/// The configuration that requests are read with.
const CONFIGURATION: &str = r#"{
    "prefixes": ["/proxy/"],
    "allowed_hosts": ["*.intelligencebank.com"],
    "resource_metadata": "https://gateway.example/.well-known/oauth-protected-resource/proxy",
    "resource": "https://gateway.example/proxy/",
    "token_service": {"cluster": "token_service", "authority": "token-service.internal"}
}"#;
/// Secrets of the redactor's fuzzing: an id with marks in it, one that overlaps itself, and a token
/// that holds bytes of escapes.
const SECRETS: [&[u8]; 3] = [b"0f1e,2d3c_B", b"aaaaaaaa", b"bearer a%2/u00"];
/// The longest body, in bytes; the slow reference would take too long for more.
const LONGEST_BODY: usize = 400;

/// Reads the target of a proxied request.
///
/// # Panics
///
/// Where a target is let through that could reach another place than it names.
pub fn target(bytes: &[u8]) {
    let ports = [443, 8443];
    let Ok(target) = Target::parse(bytes, &ports) else { return };
    assert!(ports.contains(&target.port));
    assert!(
        target.host.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
    );
    assert!(target.path_and_query.starts_with(b"/"));
    assert!(bytes.ends_with(target.path_and_query) || target.path_and_query == b"/");
    let path = target.path_and_query.split(|byte| *byte == b'?').next().unwrap_or_default();
    let decoded = decode_fully(path);
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        assert!(!matches!(name, b"." | b".."), "a dot segment goes through");
    }
    // What goes upstream reads there as it read here.
    let sent = [target.authority().as_bytes(), target.path_and_query].concat();
    assert_eq!(Target::parse(&sent, &ports).as_ref(), Ok(&target));
}

/// Reads a request's head from the block in which the proxy hands it over.
///
/// # Panics
///
/// Where a head is let through that is not one request for an allowed host with one token.
pub fn request_head(bytes: &[u8]) {
    thread_local!(static POLICY: Option<Policy> = config::read(CONFIGURATION.as_bytes()).ok());
    let Ok(headers) = HeaderMap::from_block(bytes.to_vec()) else { return };
    let count = |wanted: &[u8]| headers.iter().filter(|(name, _)| *name == wanted).count();
    assert_eq!(headers.iter().count(), headers.len());
    POLICY.with(|policy| {
        let Some(policy) = policy else { return };
        let Ok(Some(request)) = Request::read(&headers, policy) else { return };
        assert_eq!((request.prefix, count(b"authorization")), ("/proxy/", 1));
        assert!(policy.allows_host(&request.target.host) && count(b"upgrade") == 0);
        assert!(
            !request.token.is_empty() && request.token.bytes().all(|byte| byte.is_ascii_graphic())
        );
        assert!(
            !matches!(request.method, b"TRACE" | b"CONNECT")
                && request.target.path().starts_with(b"/")
        );
    });
}

/// Reads the answer of the token service about a token, and takes it in as a worker does.
///
/// # Panics
///
/// Where an answer is taken in that would inject what no request may carry, or that is read
/// otherwise after it was written again.
pub fn introspection(bytes: &[u8]) {
    let Ok(answer) = Introspection::from_json(bytes) else { return };
    let written = serde_json::to_vec(&answer).unwrap_or_default();
    assert_eq!(Introspection::from_json(&written).as_ref(), Ok(&answer));
    let Introspection::Active(token) = answer else { return };
    let mut sessions = SessionTable::default();
    let now = Timestamp::from_milliseconds(1);
    let Ok(grant) = Grant::from_answer("token", &token, &mut sessions, now) else { return };
    for upstream in &token.upstreams {
        for host in &upstream.hosts {
            let session = grant.session_for(host);
            assert!(
                session.is_none_or(|session| session.covers(host.as_bytes())),
                "another host's session"
            );
        }
        let Some(session) = sessions.get(&upstream.session) else { continue };
        let credentials = session.credentials();
        for (name, value) in credentials.headers() {
            assert!(!name.is_empty() && !name.starts_with(b":") && !name.contains(&b'\n'));
            assert!(!value.iter().any(u8::is_ascii_control), "a header could be split");
        }
    }
}

/// Reads an answer of the revocation feed.
///
/// # Panics
///
/// Where an answer reads otherwise after it was written again.
pub fn revocations(bytes: &[u8]) {
    let Ok(answer) = Revocations::from_json(bytes) else { return };
    // What this version does not know it does not write, so only the rest is compared.
    let again = Revocations::from_json(&serde_json::to_vec(&answer).unwrap_or_default());
    assert_eq!(again.as_ref(), Ok(&answer));
}

/// Masks a body that arrives in chunks, and compares with the slow reference. The first bytes choose
/// which secrets there are and where the body is cut.
///
/// # Panics
///
/// Where a secret is left, something else is masked, or the length changes.
pub fn redact(bytes: &[u8]) {
    let [choice, first, second, body @ ..] = bytes else { return };
    let Some(body) = body.get(..body.len().min(LONGEST_BODY)) else { return };
    let chosen = SECRETS.into_iter().enumerate().filter(|(number, _)| choice >> number & 1 == 0);
    let secrets: Vec<&[u8]> = chosen.map(|(_, secret)| secret).collect();
    let needles = Rc::new(Needles::new(secrets.iter().copied()));
    let mut redactor = Redactor::new(needles);
    let mut shown = Vec::new();
    let mut push = |chunk: &[u8], is_last| match redactor.push(chunk, is_last) {
        Redacted::Unchanged => shown.extend_from_slice(chunk),
        Redacted::Replaced(new) => shown.extend(new),
    };
    let (head, rest) = body.split_at(usize::from(*first).min(body.len()));
    push(head, false);
    // The second cut repeats, down to chunks of one byte.
    for chunk in rest.chunks(usize::from(*second).max(1)) {
        push(chunk, false);
    }
    push(&[], true);
    assert_eq!(shown, reference::masked(&secrets, body));
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{CONFIGURATION, config};

    /// Runs every seed of a target, and returns how many there are.
    fn replay(name: &str, target: fn(&[u8])) -> usize {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
        let seeds =
            fs::read_dir(seeds).unwrap().map(|seed| fs::read(seed.unwrap().path()).unwrap());
        seeds.map(|seed| target(&seed)).count()
    }

    #[test]
    fn the_seeds_of_every_fuzz_target_pass_without_a_fuzzer() {
        assert!(replay("target", super::target) > 5);
        assert!(config::read(CONFIGURATION.as_bytes()).is_ok());
        assert!(replay("request_head", super::request_head) > 5);
        assert!(replay("introspection", super::introspection) > 3);
        assert!(replay("revocations", super::revocations) > 2);
        assert!(replay("redact", super::redact) > 5);
    }
}
