//! The service's face for `ext_authz`, as a team would put one in front of it: `ext_authz` asks with the
//! client's request, introspection is a POST of a form (RFC 7662), so somebody has to stand between.
//!
//! Each connection of Envoy's has one of its own to the service, which stays open.

use std::net::SocketAddr;

use ib_contract::Introspection;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    error::{BenchError, Result, because, failed},
    service::introspection,
};

/// The most headers of an answer.
const MOST_HEADERS: usize = 32;
/// The longest answer, in bytes.
const LONGEST_ANSWER: usize = 64 << 10;

/// Whom to ask what a token stands for.
pub(super) struct Introspector {
    /// The service's internal port.
    pub(super) address: SocketAddr,
    /// The gateway's credential there.
    pub(super) credential: String,
}

/// What stands between one connection and the service.
pub(super) struct Adapter<'a> {
    service: &'a Introspector,
    stream: Option<TcpStream>,
    answer: Vec<u8>,
}

impl<'a> Adapter<'a> {
    /// Connects when it is first asked.
    pub(super) fn of(service: &'a Introspector) -> Self {
        Self { service, stream: None, answer: Vec::new() }
    }

    /// Asks the service for the session id of a token. `None`: the token is not good.
    pub(super) async fn session_of(&mut self, token: &str) -> Result<Option<String>> {
        let lost = || BenchError::io("the service");
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.service.address).await.map_err(lost())?;
                stream.set_nodelay(true).map_err(lost())?;
                stream
            }
        };
        let request = introspection(&self.service.credential, token);
        stream.write_all(request.as_bytes()).await.map_err(lost())?;
        self.answer.clear();
        let body = loop {
            if let Some(start) = body_of(&self.answer)? {
                break self.answer.get(start..).unwrap_or_default();
            }
            let read = stream.read_buf(&mut self.answer).await.map_err(lost())?;
            if read == 0 || self.answer.len() > LONGEST_ANSWER {
                return failed("the service's answer has no end");
            }
        };
        let known = Introspection::from_json(body).map_err(because("the service's answer"))?;
        // A connection is used again only behind an answer that was read to its end.
        self.stream = Some(stream);
        let Introspection::Active(active) = known else { return Ok(None) };
        let sid = active.upstreams.first().and_then(|upstream| upstream.headers.get("sid"));
        Ok(sid.map(|sid| sid.expose().to_owned()))
    }
}

/// Where the body of a whole answer begins; `None` while some of it is missing.
fn body_of(answer: &[u8]) -> Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let start = match head.parse(answer).map_err(because("the service's answer"))? {
        httparse::Status::Complete(start) => start,
        httparse::Status::Partial => return Ok(None),
    };
    if head.code != Some(200) {
        return failed("the service refuses to say");
    }
    let length = head.headers.iter().find(|it| it.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|it| std::str::from_utf8(it.value).ok()?.parse::<usize>().ok());
    let Some(length) = length else { return failed("the service's answer has no length") };
    Ok((answer.len() >= start.saturating_add(length)).then_some(start))
}

#[cfg(test)]
mod tests {
    use super::body_of;

    #[test]
    fn an_answer_is_read_once_it_is_whole_and_only_if_the_service_says_something() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        for length in 0..answer.len() {
            assert!(body_of(&answer[..length]).unwrap().is_none(), "{length}");
        }
        let start = body_of(answer).unwrap().unwrap();
        assert_eq!(&answer[start..], b"{}");
        for refusal in [
            b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".as_slice(),
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"no HTTP at all\r\n\r\n",
        ] {
            assert!(body_of(refusal).is_err(), "{}", String::from_utf8_lossy(refusal));
        }
    }
}
