//! Requests as exact bytes, and responses.

use std::fmt;

use serde_json::Value;

/// An HTTP/1.1 request that is sent exactly as it is written here: nothing is encoded, sorted or
/// folded, so that a test decides every byte.
#[derive(Clone)]
pub struct Request {
    method: String,
    target: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request with a method and a target (path and query, or any other bytes).
    #[must_use]
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.as_ref().to_vec(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// `GET` of a target.
    #[must_use]
    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    /// `POST` of a form to a target.
    #[must_use]
    pub fn post_form(target: impl AsRef<[u8]>, fields: &[(&str, &str)]) -> Self {
        let body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields.iter()).finish();
        Self::new("POST", target)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    /// Adds a header; the value may be any bytes. Headers of one name are sent one by one.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Adds `Authorization: Bearer <token>`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sets the body; its length goes into `content-length` unless the test gave one.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The method, which decides whether the answer has a body.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The bytes on the wire. `host` is used unless the test gave a `host` header of its own.
    #[must_use]
    pub fn to_bytes(&self, host: &str) -> Vec<u8> {
        let mut bytes = self.head_bytes(host);
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    /// The bytes of the request line and the headers, the empty line included.
    #[must_use]
    pub fn head_bytes(&self, host: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        if !self.has("host") {
            bytes.extend_from_slice(format!("host: {host}\r\n").as_bytes());
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if let Some(body) = &self.body
            && !self.has("content-length")
            && !self.has("transfer-encoding")
        {
            bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// An answer, read to its end.
#[derive(Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers in the order of the wire, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, without transfer coding.
    pub body: Vec<u8>,
    /// The interim answers (1xx) that came before.
    pub interim: Vec<u16>,
}

impl Response {
    /// The values of a header, in order. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<String> {
        self.headers
            .iter()
            .filter(|(given, _)| given == name)
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    /// The value of a header that must not come twice.
    ///
    /// # Panics
    ///
    /// When it comes twice.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.headers(name);
        assert!(values.len() <= 1, "{name} came more than once: {values:?}");
        values.pop()
    }

    /// The items of a header that is a comma-separated list, trimmed and in lower case.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        self.headers(name)
            .iter()
            .flat_map(|value| value.split(','))
            .map(|item| item.trim().to_ascii_lowercase())
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is no JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body is no JSON ({error}): {self:?}"),
        }
    }

    /// The response itself, once its status has been checked.
    ///
    /// # Panics
    ///
    /// When the status is another; the text shows the answer.
    #[track_caller]
    pub fn with_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "unexpected answer: {self:?}");
        self
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "HTTP {} (after {:?})", self.status, self.interim)?;
        for (name, value) in &self.headers {
            writeln!(formatter, "{name}: {}", String::from_utf8_lossy(value))?;
        }
        let text = self.text();
        let shown: String = text.chars().take(2000).collect();
        writeln!(formatter, "\n{shown}")
    }
}
