//! The upstream's answers: JSON of a known size, with the session id where a platform's own would have it.

use crate::traffic::Body;

/// What every answer's head holds besides its length, as platforms send it.
const HEAD: &str = "HTTP/1.1 200 OK\r\n\
server: nginx\r\n\
date: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
content-type: application/json; charset=utf-8\r\n\
cache-control: private, max-age=0\r\n\
etag: \"5f3c1a7be9d04c22\"\r\n\
vary: accept-encoding\r\n\
x-frame-options: SAMEORIGIN\r\n\
strict-transport-security: max-age=31536000\r\n";

/// As long as a session id.
const SID_BYTES: usize = 32;
const NO_SID: &str = "00000000000000000000000000000000";

/// The prepared answers.
pub(super) struct Answers(Vec<(String, String, Vec<String>)>);

impl Answers {
    /// Prepares an answer for each size.
    pub(super) fn new() -> Self {
        let prepared = Body::ALL.map(|body| {
            let (bytes, sids) = body.size();
            let head = format!("{HEAD}content-length: {bytes}\r\n\r\n");
            (body.upstream_path(), head, pieces(bytes, sids))
        });
        Self(prepared.into())
    }

    /// Writes the answer to a path, rewritten or not: its end says the size.
    pub(super) fn write(&self, path: &str, sid: &str, answer: &mut Vec<u8>) {
        let sid = if sid.len() == SID_BYTES { sid } else { NO_SID };
        let Some((_, head, pieces)) = self.0.iter().find(|(end, ..)| path.ends_with(end)) else {
            answer.extend_from_slice(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
            return;
        };
        answer.extend_from_slice(head.as_bytes());
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                answer.extend_from_slice(sid.as_bytes());
            }
            answer.extend_from_slice(piece.as_bytes());
        }
    }
}

/// JSON of `bytes` bytes in pieces: between two pieces belongs a session id.
fn pieces(bytes: usize, sids: usize) -> Vec<String> {
    let mut pieces = vec!["{\"response\":{\"rows\":[".to_owned()];
    let last = |pieces: &mut Vec<String>, text: &str| {
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(text);
        }
    };
    for number in 0..sids {
        let start = format!(
            "{{\"uuid\":\"{number:08x}\",\"url\":\"https://company.intelligencebank.com/api/3.0.0/file?sid="
        );
        last(&mut pieces, &start);
        // The rows between, so that the ids are spread over the body.
        let share = bytes / (sids + 1);
        let row = "\"},{\"name\":\"A photograph of the harbour\",\"size\":184320,\"tags\":[\"sea\",\"boats\"]},";
        let rows = row.len().max(share.saturating_sub(start.len() + SID_BYTES) / 4);
        let filler = "{\"name\":\"A photograph\",\"size\":184320},";
        let mut piece = row.to_owned();
        while piece.len() + filler.len() < rows {
            piece.push_str(filler);
        }
        pieces.push(piece);
    }
    let filler = "{\"name\":\"A map of the old town\",\"size\":48000,\"folder\":\"maps\",\"tags\":[\"town\"]},";
    let end = "{}],\"comment\":\"";
    let close = "\"}}";
    let length = |pieces: &[String]| pieces.iter().map(String::len).sum::<usize>();
    let room = bytes.saturating_sub(sids * SID_BYTES + end.len() + close.len());
    while length(&pieces) + filler.len() <= room {
        last(&mut pieces, filler);
    }
    let padding = ".".repeat(room.saturating_sub(length(&pieces)));
    last(&mut pieces, end);
    last(&mut pieces, &padding);
    last(&mut pieces, close);
    pieces
}

/// Writes an answer of JSON.
pub(super) fn write_json(value: &serde_json::Value, answer: &mut Vec<u8>) {
    let body = value.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    answer.extend_from_slice(head.as_bytes());
    answer.extend_from_slice(body.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_json_of_the_size_that_its_head_says_with_its_session_ids() {
        let answers = Answers::new();
        let sid = "0123456789abcdef0123456789abcdef";
        for body in Body::ALL {
            let mut answer = Vec::new();
            answers.write(&body.gateway_path(), sid, &mut answer);
            let text = String::from_utf8(answer).unwrap();
            let (_, json) = text.split_once("\r\n\r\n").unwrap();
            let (bytes, sids) = body.size();
            assert_eq!((json.len(), json.matches(sid).count()), (bytes, sids), "{body:?}");
            serde_json::from_str::<serde_json::Value>(json).unwrap();
        }
    }
}
