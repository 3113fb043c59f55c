//! The calls to the proxy that the filters make.

use core::ptr::null_mut;

/// The headers of the request.
pub const REQUEST_HEADERS: u32 = 0;
/// The headers of the response.
pub const RESPONSE_HEADERS: u32 = 2;
/// A piece of the response's body.
pub const RESPONSE_BODY: u32 = 1;
/// The plugin's configuration.
pub const PLUGIN_CONFIGURATION: u32 = 7;
/// What a callback returns to go on.
pub const CONTINUE: u32 = 0;
/// What a callback returns after a reply of its own.
pub const PAUSE: u32 = 1;

/// WASI's monotonic clock.
const MONOTONIC: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        most: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

/// A whole map, in the proxy's format.
pub fn pairs(map: u32) -> &'static [u8] {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both pointers are of live variables.
    let status = unsafe { proxy_get_header_map_pairs(map, &raw mut data, &raw mut size) };
    received(status, data, size)
}

/// Puts a whole map in the place of another, in the proxy's format.
pub fn set_pairs(map: u32, pairs: &[u8]) {
    // SAFETY: the pointer and the size are of a live slice.
    unsafe { proxy_set_header_map_pairs(map, pairs.as_ptr(), pairs.len()) };
}

/// One header; empty where there is none.
pub fn header(map: u32, name: &str) -> &'static [u8] {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: all pointers are of live variables, with their sizes.
    let status = unsafe {
        proxy_get_header_map_value(map, name.as_ptr(), name.len(), &raw mut data, &raw mut size)
    };
    received(status, data, size)
}

/// Sets one header.
pub fn set_header(map: u32, name: &str, value: &[u8]) {
    // SAFETY: the pointers and the sizes are of live slices.
    unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
}

/// Removes one header.
pub fn remove_header(map: u32, name: &str) {
    // SAFETY: the pointer and the size are of a live slice.
    unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) };
}

/// Sets a property of the stream, which Envoy shows as filter state.
pub fn set_property(path: &str, value: &[u8]) {
    // SAFETY: the pointers and the sizes are of live slices.
    unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) };
}

/// At most `most` bytes of a buffer.
pub fn buffer(buffer: u32, most: usize) -> &'static [u8] {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both pointers are of live variables.
    let status = unsafe { proxy_get_buffer_bytes(buffer, 0, most, &raw mut data, &raw mut size) };
    received(status, data, size)
}

/// Answers the request with a status and nothing else.
pub fn reply(status: u32) {
    let none = core::ptr::null();
    // SAFETY: null pointers go with sizes of zero.
    unsafe { proxy_send_local_response(status, none, 0, none, 0, none, 0, -1) };
}

/// The proxy's monotonic clock, in nanoseconds.
pub fn now() -> u64 {
    let mut time = 0;
    // SAFETY: the pointer is of a live variable.
    unsafe { clock_time_get(MONOTONIC, 1, &raw mut time) };
    time
}

fn received(status: u32, data: *mut u8, size: usize) -> &'static [u8] {
    if status != 0 || data.is_null() {
        return &[];
    }
    // SAFETY: on success the proxy has written `size` bytes to memory that it took from the arena,
    // which lies in a static and is not written again within this callback.
    unsafe { core::slice::from_raw_parts(data, size) }
}
