//! Uploaded forms, whole and in pieces.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use sha2::{Digest as _, Sha256};

use super::{FilePart, FileScanner};
use crate::random::to_hexadecimal;

const CONTENT: &[u8] = b"first line\r\n--not the boundary\r\n--boun\r\n\0\xff";

fn form() -> Vec<u8> {
    let mut form = b"preamble\r\n--boundary\r\n\
        Content-Disposition: form-data; name=\"note\"\r\n\r\nfile=\"no\"\r\n--boundary\r\n\
        content-disposition: form-data; name=\"file\"; filename=\"a b.png\"\r\n\
        Content-Type: image/png\r\n\r\n"
        .to_vec();
    form.extend_from_slice(CONTENT);
    form.extend_from_slice(b"\r\n--boundary--\r\nepilogue");
    form
}

fn scanner(content_type: &str) -> Option<FileScanner> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
    FileScanner::for_headers(&headers)
}

fn scan<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<FilePart> {
    let mut scanner = scanner("multipart/form-data; boundary=\"boundary\"").unwrap();
    for piece in pieces {
        scanner.push(piece);
    }
    scanner.finish()
}

#[test]
fn a_file_is_measured_alike_however_the_network_cuts_the_form() {
    let form = form();
    let expected = FilePart {
        name: "a b.png".to_owned(),
        size: CONTENT.len() as u64,
        sha256: to_hexadecimal(&Sha256::digest(CONTENT)),
    };
    for length in [1, 2, 3, 7, 64, form.len()] {
        assert_eq!(scan(form.chunks(length)).as_ref(), Some(&expected), "pieces of {length}");
    }
}

#[test]
fn a_form_that_breaks_off_has_no_file() {
    let form = form();
    assert_eq!(scan(std::iter::once(&form[..form.len() - 20])), None);
}

#[test]
fn an_empty_file_is_a_file() {
    let form = b"--boundary\r\nContent-Disposition: form-data; name=file; filename=x\r\n\r\n\r\n\
        --boundary--";
    let part = scan(std::iter::once(form.as_slice())).unwrap();
    assert_eq!((part.name.as_str(), part.size), ("x", 0));
}

#[test]
fn a_part_whose_head_never_ends_is_given_up() {
    let mut form = b"--boundary\r\nX: ".to_vec();
    form.resize(1024 * 1024, b'x');
    let mut scanner = scanner("multipart/form-data; boundary=boundary").unwrap();
    for piece in form.chunks(1000) {
        scanner.push(piece);
    }
    assert!(scanner.pending.len() < 32 * 1024);
    assert_eq!(scanner.finish(), None);
}

#[test]
fn other_bodies_are_no_forms() {
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    for content_type in
        ["application/json", "multipart/form-data", "multipart/mixed; boundary=b", &long]
    {
        assert!(scanner(content_type).is_none(), "{content_type}");
    }
}
