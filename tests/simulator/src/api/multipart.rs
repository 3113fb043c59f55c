//! The field `file` of an uploaded form (RFC 7578), measured as it passes and not kept.

#[cfg(test)]
mod tests;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use sha2::{Digest as _, Sha256};

use crate::random::to_hexadecimal;

/// RFC 2046, section 5.1.1.
const MAXIMUM_BOUNDARY_BYTES: usize = 70;
const MAXIMUM_PART_HEAD_BYTES: usize = 16 * 1024;
/// The empty line behind a part's headers.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// The name of the form's field.
const FIELD: &str = "file";

/// What is known of an uploaded file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FilePart {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// Reads a form piece by piece. It holds no more than a delimiter's length, or one part's head.
pub(super) struct FileScanner {
    /// Line break, two hyphens and the boundary.
    delimiter: Vec<u8>,
    pending: Vec<u8>,
    state: State,
    file: Option<FileDigest>,
}

enum State {
    /// Before the first delimiter.
    Preamble,
    /// Right behind a delimiter.
    Delimiter,
    Head,
    Content {
        is_file: bool,
    },
    /// Behind the last delimiter.
    Finished,
    /// The form is malformed.
    Broken,
}

struct FileDigest {
    name: String,
    size: u64,
    digest: Sha256,
}

impl FileScanner {
    /// A scanner for the form that `headers` announce, if they do.
    pub(super) fn for_headers(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let (media_type, parameters) = content_type.split_once(';')?;
        if !media_type.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(parameters, "boundary")?;
        if boundary.is_empty() || boundary.len() > MAXIMUM_BOUNDARY_BYTES {
            return None;
        }
        Some(Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // The first delimiter stands at the very beginning, with no line break before it.
            pending: b"\r\n".to_vec(),
            state: State::Preamble,
            file: None,
        })
    }

    /// Reads the next piece of the form.
    pub(super) fn push(&mut self, piece: &[u8]) {
        if matches!(self.state, State::Finished | State::Broken) {
            return;
        }
        self.pending.extend_from_slice(piece);
        while self.step() {}
    }

    /// The file, if the form was whole and had one.
    pub(super) fn finish(self) -> Option<FilePart> {
        if !matches!(self.state, State::Finished) {
            return None;
        }
        self.file.map(|file| FilePart {
            name: file.name,
            size: file.size,
            sha256: to_hexadecimal(&file.digest.finalize()),
        })
    }

    /// Goes as far as the pending bytes allow; false asks for more of them.
    fn step(&mut self) -> bool {
        match self.state {
            State::Preamble => self.pass_content(false),
            State::Content { is_file } => self.pass_content(is_file),
            State::Delimiter => self.after_delimiter(),
            State::Head => self.read_head(),
            State::Finished | State::Broken => {
                self.pending.clear();
                false
            }
        }
    }

    /// Lets content pass up to the next delimiter, or up to what may be the beginning of one.
    fn pass_content(&mut self, is_file: bool) -> bool {
        let found = find(&self.pending, &self.delimiter);
        let certain =
            found.unwrap_or_else(|| (self.pending.len() + 1).saturating_sub(self.delimiter.len()));
        if let Some(file) = self.file.as_mut().filter(|_| is_file) {
            let content = self.pending.get(..certain).unwrap_or_default();
            file.digest.update(content);
            file.size = file.size.saturating_add(u64::try_from(content.len()).unwrap_or(u64::MAX));
        }
        match found {
            Some(_) => {
                self.pending.drain(..certain.saturating_add(self.delimiter.len()));
                self.state = State::Delimiter;
                true
            }
            None => {
                self.pending.drain(..certain);
                false
            }
        }
    }

    fn after_delimiter(&mut self) -> bool {
        if self.pending.starts_with(b"--") {
            self.state = State::Finished;
            return true;
        }
        // The line break stays: with it, a head without any header ends like every other.
        if self.pending.starts_with(b"\r\n") {
            self.state = State::Head;
            return true;
        }
        if self.pending.len() >= 2 {
            self.state = State::Broken;
            return true;
        }
        false
    }

    fn read_head(&mut self) -> bool {
        let Some(end) = find(&self.pending, HEAD_END) else {
            if self.pending.len() > MAXIMUM_PART_HEAD_BYTES {
                self.state = State::Broken;
                return true;
            }
            return false;
        };
        let head = self.pending.get(..end).unwrap_or_default();
        let name = file_name(&String::from_utf8_lossy(head));
        // Of several fields called `file`, the first counts.
        let is_file = name.is_some() && self.file.is_none();
        if let Some(name) = name.filter(|_| is_file) {
            self.file = Some(FileDigest { name, size: 0, digest: Sha256::new() });
        }
        self.pending.drain(..end.saturating_add(HEAD_END.len()));
        self.state = State::Content { is_file };
        true
    }
}

/// The file's name, if the part with this head is the form's field.
fn file_name(head: &str) -> Option<String> {
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let (_, parameters) = disposition.split_once(';')?;
    (parameter(parameters, "name")? == FIELD)
        .then(|| parameter(parameters, "filename").unwrap_or_default())
}

/// The parameter `wanted` of `name=value; name="value"`.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_once(';').unwrap_or((value, "")),
        };
        if name.trim_matches([';', ' ', '\t']).eq_ignore_ascii_case(wanted) {
            return Some(value.trim_end().to_owned());
        }
        rest = behind;
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0_usize;
    loop {
        let offset = haystack.get(from..)?.iter().position(|byte| byte == first)?;
        let start = from.saturating_add(offset);
        if haystack.get(start..)?.starts_with(needle) {
            return Some(start);
        }
        from = start.saturating_add(1);
    }
}
