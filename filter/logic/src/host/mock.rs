//! A host in memory, for tests: it holds the headers, records what is asked of it, and fails the test
//! where a call comes outside its phase or twice.

use std::cell::{Cell, RefCell};

use ib_contract::ACCESS_TOKEN_PREFIX;
use serde_json::{Value, json};

use crate::{
    Answer, AnswerSize, Callout, Counter, HeaderMap, HeaderReferences, Host, HostError, Reply,
    Stream, Timestamp, policy::Policy,
};

/// The configuration that tests start from.
pub(crate) fn configuration() -> Value {
    json!({
        "prefixes": ["/proxy/"],
        "allowed_hosts": ["*.intelligencebank.com", "remax-cca.com"],
        "resource_metadata": "https://gateway.example/.well-known/oauth-protected-resource/proxy",
        "resource": "https://gateway.example/proxy/",
        "token_service": {"cluster": "token_service", "authority": "token-service.internal"},
    })
}

/// The policy of [`configuration`] with some of its fields replaced.
pub(crate) fn policy_with(fields: Value) -> Policy {
    let mut configuration = configuration();
    for (name, value) in fields.as_object().unwrap() {
        configuration[name] = value.clone();
    }
    crate::config::read(configuration.to_string().as_bytes()).unwrap()
}

/// An active answer for `company.intelligencebank.com` whose session id is `sid`.
pub(crate) fn active_answer(sid: &str) -> Value {
    json!({
        "active": true, "version": 1, "as_of": 1, "client_id": "test-client", "scope": "profile",
        "sub": "user-1", "aud": "https://gateway.example/proxy/", "iss": "https://gateway.example",
        "exp": 1, "iat": 1, "expires_in": 3600,
        "upstreams": [{
            "session": "s1", "hosts": ["company.intelligencebank.com", "apiv3.intelligencebank.com"],
            "headers": {"sid": sid}, "generation": 1, "refresh_in": 3000, "expires_in": 3300,
        }],
    })
}

/// A header map from pairs.
pub(crate) fn map(pairs: &[(&str, &[u8])]) -> HeaderMap {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect()
}

/// An access token that could be one of the service's, told from others by `name`.
pub(crate) fn token_named(name: &str) -> String {
    format!("{ACCESS_TOKEN_PREFIX}{name:-<43}")
}

/// A GET request for a path with the token of a name.
pub(crate) fn get_request(path: &str, name: &str) -> HeaderMap {
    map(&[
        (":method", b"GET"),
        (":scheme", b"http"),
        (":authority", b"gateway.example"),
        (":path", path.as_bytes()),
        ("authorization", format!("Bearer {}", token_named(name)).as_bytes()),
    ])
}

/// A callout as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct SentCallout {
    pub(crate) cluster: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) timeout_milliseconds: u128,
}

/// The host.
#[derive(Default)]
pub(crate) struct MockHost {
    pub(crate) milliseconds: Cell<u64>,
    pub(crate) request: RefCell<HeaderMap>,
    pub(crate) response: RefCell<HeaderMap>,
    pub(crate) is_request_rewritten: Cell<bool>,
    pub(crate) is_response_rewritten: Cell<bool>,
    pub(crate) is_approved: Cell<bool>,
    pub(crate) is_resumed: Cell<bool>,
    pub(crate) are_request_trailers_dropped: Cell<bool>,
    pub(crate) are_response_trailers_dropped: Cell<bool>,
    pub(crate) reply: RefCell<Option<Reply>>,
    pub(crate) callouts: RefCell<Vec<SentCallout>>,
    /// The answer to the callout; taken when it is read.
    pub(crate) answer: RefCell<Option<(String, Vec<u8>)>>,
    /// The name of a call that fails.
    pub(crate) failing: Cell<&'static str>,
    pub(crate) counted: RefCell<Vec<Counter>>,
}

impl MockHost {
    /// A host with this request, at a clock that stands a while after its beginning.
    pub(crate) fn with_request(request: HeaderMap) -> Self {
        let host = Self::default();
        host.milliseconds.set(1_000_000);
        host.request.replace(request);
        host
    }

    /// Lets `seconds` pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.milliseconds.set(self.milliseconds.get() + seconds * 1000);
    }

    /// Gives the waiting stream an answer of the token service.
    pub(crate) fn answer(&self, stream: &mut Stream, status: &str, body: impl ToString) {
        let body = body.to_string().into_bytes();
        let size = AnswerSize { headers: 1, body: body.len() };
        self.answer.replace(Some((status.to_owned(), body)));
        stream.on_callout_answer(self, size);
    }

    fn fail_if_told(&self, call: &'static str) -> Result<(), HostError> {
        if self.failing.get() == call { Err(HostError { call }) } else { Ok(()) }
    }

    /// The status of the reply, if there was one.
    pub(crate) fn status(&self) -> Option<u16> {
        self.reply.borrow().as_ref().map(|reply| reply.status)
    }

    /// The body of the reply.
    pub(crate) fn reply_body(&self) -> Value {
        serde_json::from_str(&self.reply.borrow().as_ref().unwrap().body).unwrap()
    }

    /// A header of the reply.
    pub(crate) fn reply_header(&self, name: &str) -> Option<String> {
        let reply = self.reply.borrow();
        let mut headers = reply.as_ref().unwrap().headers.iter();
        headers.find(|(other, _)| *other == name).map(|(_, value)| value.clone())
    }

    /// The values of a header of the request as it is now.
    pub(crate) fn request_values(&self, name: &str) -> Vec<String> {
        values(&self.request.borrow(), name)
    }

    /// The values of a header of the response as it is now.
    pub(crate) fn response_values(&self, name: &str) -> Vec<String> {
        values(&self.response.borrow(), name)
    }

    /// How often a counter was raised.
    pub(crate) fn count_of(&self, counter: Counter) -> usize {
        self.counted.borrow().iter().filter(|counted| **counted == counter).count()
    }
}

fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let named = headers.iter().filter(|(other, _)| other == name);
    named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
}

fn owned(headers: HeaderReferences<'_>) -> HeaderMap {
    headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

impl Host for MockHost {
    fn now(&self) -> Timestamp {
        Timestamp::from_milliseconds(self.milliseconds.get())
    }

    fn request_headers(&self) -> Result<HeaderMap, HostError> {
        self.fail_if_told("request_headers")?;
        Ok(self.request.borrow().clone())
    }

    fn set_request_headers(&self, headers: HeaderReferences<'_>) -> Result<(), HostError> {
        self.fail_if_told("set_request_headers")?;
        assert!(self.is_approved.get(), "the mark comes first: the route is chosen by it");
        assert!(!self.is_request_rewritten.replace(true), "rewritten twice");
        self.request.replace(owned(headers));
        Ok(())
    }

    fn mark_approved(&self) -> Result<(), HostError> {
        self.fail_if_told("mark_approved")?;
        assert!(self.reply.borrow().is_none(), "approved after a reply");
        assert!(!self.is_approved.replace(true), "approved twice");
        Ok(())
    }

    fn resume_request(&self) -> Result<(), HostError> {
        self.fail_if_told("resume_request")?;
        assert!(self.reply.borrow().is_none(), "resumed after a reply");
        assert!(self.is_request_rewritten.get(), "resumed without a rewrite");
        assert!(!self.is_resumed.replace(true), "resumed twice");
        Ok(())
    }

    fn reply(&self, reply: &Reply) -> Result<(), HostError> {
        self.fail_if_told("reply")?;
        assert!(!self.is_resumed.get(), "replied after a resume");
        assert!(self.reply.replace(Some(reply.clone())).is_none(), "replied twice");
        Ok(())
    }

    fn dispatch(&self, callout: &Callout<'_>) -> Result<(), HostError> {
        self.fail_if_told("dispatch")?;
        let headers = callout.headers.iter();
        self.callouts.borrow_mut().push(SentCallout {
            cluster: callout.cluster.to_owned(),
            headers: headers.map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: String::from_utf8(callout.body.to_vec()).unwrap(),
            timeout_milliseconds: callout.timeout.as_millis(),
        });
        Ok(())
    }

    fn callout_answer(&self, size: AnswerSize) -> Result<Answer, HostError> {
        self.fail_if_told("callout_answer")?;
        assert_ne!(size.headers, 0, "the SDK panics where an answer has no headers");
        let (status, body) = self.answer.take().expect("an answer to read");
        assert_eq!(size.body, body.len());
        Ok(Answer { status: status.into_bytes(), body })
    }

    fn response_headers(&self) -> Result<HeaderMap, HostError> {
        self.fail_if_told("response_headers")?;
        Ok(self.response.borrow().clone())
    }

    fn set_response_headers(&self, headers: HeaderReferences<'_>) -> Result<(), HostError> {
        self.fail_if_told("set_response_headers")?;
        assert!(!self.is_response_rewritten.replace(true), "rewritten twice");
        self.response.replace(owned(headers));
        Ok(())
    }

    fn drop_request_trailers(&self) -> Result<(), HostError> {
        self.fail_if_told("drop_request_trailers")?;
        self.are_request_trailers_dropped.set(true);
        Ok(())
    }

    fn drop_response_trailers(&self) -> Result<(), HostError> {
        self.fail_if_told("drop_response_trailers")?;
        self.are_response_trailers_dropped.set(true);
        Ok(())
    }

    fn count(&self, counter: Counter) {
        self.counted.borrow_mut().push(counter);
    }
}
