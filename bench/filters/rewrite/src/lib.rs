//! The least that a rewrite costs: the token is looked up in a table, path, authority and session id
//! are set and the authorization removed, header by header, with one callback a request. It checks
//! nothing and marks nothing.
#![no_std]

use bench_abi::{arena, calls, table, target};

bench_abi::start_callbacks!();

/// A request's headers.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(_context: u32, _headers: u32, _end: u32) -> u32 {
    arena::reset();
    let authorization = calls::header(calls::REQUEST_HEADERS, "authorization");
    let path = calls::header(calls::REQUEST_HEADERS, ":path");
    let sid = target::bearer(authorization).and_then(table::sid_of);
    let (Some(sid), Some((host, path))) = (sid, target::split(path)) else {
        calls::reply(401);
        return calls::PAUSE;
    };
    calls::set_header(calls::REQUEST_HEADERS, ":path", path);
    calls::set_header(calls::REQUEST_HEADERS, ":authority", host);
    calls::set_header(calls::REQUEST_HEADERS, "sid", sid);
    calls::remove_header(calls::REQUEST_HEADERS, "authorization");
    calls::CONTINUE
}
