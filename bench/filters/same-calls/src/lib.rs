//! What the gateway's plugin does on a hit, call by call and callback by callback, with the least logic
//! between the calls: the difference between the two is the plugin's own work. Where the plugin's calls
//! change, the functions below change with them.
#![no_std]

use bench_abi::{arena, calls, map::Entries, table, target};

bench_abi::start_callbacks!();

/// The whole map is read, and what must change is changed, header by header. (The clock is asked for one in
/// some thirty requests, which is left out here.)
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(_context: u32, _headers: u32, _end: u32) -> u32 {
    arena::reset();
    let entries = Entries::of(calls::pairs(calls::REQUEST_HEADERS));
    let find =
        |wanted: &[u8]| entries.clone().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let sid = find(b"authorization").and_then(target::bearer).and_then(table::sid_of);
    let (Some(sid), Some((host, path))) = (sid, find(b":path").and_then(target::split)) else {
        calls::reply(401);
        return calls::PAUSE;
    };
    calls::remove_header(calls::REQUEST_HEADERS, "authorization");
    calls::set_header(calls::REQUEST_HEADERS, ":authority", host);
    calls::set_header(calls::REQUEST_HEADERS, ":path", path);
    calls::set_header(calls::REQUEST_HEADERS, "sid", sid);
    calls::CONTINUE
}

/// The whole map is read, and nothing changed.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(_context: u32, _headers: u32, _end: u32) -> u32 {
    arena::reset();
    calls::pairs(calls::RESPONSE_HEADERS);
    calls::CONTINUE
}

/// Each piece is read, and nothing changed.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_body(_context: u32, size: usize, _end: u32) -> u32 {
    arena::reset();
    if size > 0 {
        calls::buffer(calls::RESPONSE_BODY, size);
    }
    calls::CONTINUE
}

/// Entered, as in the plugin, and nothing done.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_body(_context: u32, _size: usize, _end: u32) -> u32 {
    calls::CONTINUE
}

/// Entered, as in the plugin, and nothing done.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_trailers(_context: u32, _trailers: u32) -> u32 {
    calls::CONTINUE
}

/// Entered, as in the plugin, and nothing done.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_trailers(_context: u32, _trailers: u32) -> u32 {
    calls::CONTINUE
}

/// Entered, as in the plugin, and nothing done.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_delete(_context: u32) {}

/// Entered, as in the plugin, and nothing done.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_tick(_context: u32) {}

/// Entered, as in the plugin, and nothing done.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_http_call_response(
    _context: u32,
    _token: u32,
    _headers: u32,
    _body: usize,
    _trailers: u32,
) {
}
