//! The binary interface: the callbacks that the proxy calls, and the calls to it that are made for
//! requests. The one file with `unsafe` code.
//!
//! The SDK's functions for these calls panic on each status that they do not expect, which a peer can
//! bring about by going away at the wrong moment. Those here hand every status on.
#![allow(
    unsafe_code,
    reason = "a proxy-wasm module exports and imports C functions, and the proxy fills memory that it \
              has asked the module for"
)]

use std::{cell::Cell, mem::ManuallyDrop, ptr::null_mut, time::Duration};

use proxy_wasm::types::{BufferType, MapType, StreamType};

use crate::plugin;

/// A status of the proxy other than success.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused;

/// The proxy's status for success.
const OK: u32 = 0;

// Each callback is exported under a name that the SDK does not use; `filter/postlink` gives it the
// name after the colon in place of the SDK's. The flags are numbers here, as they are in the interface.
//
// SAFETY of `unsafe(export_name)`: a name must not be that of a function that something else links to,
// and with a colon and the plugin's own name in front there is none.

/// The proxy wants memory to write something to that it was asked for.
#[unsafe(export_name = "ib_gateway:proxy_on_memory_allocate")]
extern "C" fn on_memory_allocate(size: usize) -> *mut u8 {
    let offered = OFFERED.take().filter(|memory| memory.capacity() >= size);
    // Some room to spare, so that it may serve again for a little more.
    let room = size.checked_next_multiple_of(256).unwrap_or(size);
    let memory = offered.unwrap_or_else(|| Vec::with_capacity(room));
    let mut memory = ManuallyDrop::new(memory);
    let given = Given { start: memory.as_mut_ptr(), capacity: memory.capacity() };
    GIVEN.set(given);
    given.start
}

#[unsafe(export_name = "ib_gateway:proxy_on_context_create")]
extern "C" fn on_context_create(context: u32, root: u32) {
    plugin::on_context_create(context, root);
}

#[unsafe(export_name = "ib_gateway:proxy_on_vm_start")]
extern "C" fn on_vm_start(_root: u32, _configuration_size: usize) -> u32 {
    u32::from(plugin::on_vm_start())
}

#[unsafe(export_name = "ib_gateway:proxy_on_configure")]
extern "C" fn on_configure(root: u32, configuration_size: usize) -> u32 {
    u32::from(plugin::on_configure(root, configuration_size))
}

#[unsafe(export_name = "ib_gateway:proxy_on_tick")]
extern "C" fn on_tick(root: u32) {
    plugin::on_tick(root);
}

#[unsafe(export_name = "ib_gateway:proxy_on_http_call_response")]
extern "C" fn on_http_call_response(
    root: u32,
    token: u32,
    headers: usize,
    body: usize,
    _trailers: usize,
) {
    plugin::on_callout_answer(root, token, headers, body);
}

#[unsafe(export_name = "ib_gateway:proxy_on_request_headers")]
extern "C" fn on_request_headers(stream: u32, _headers: usize, end_of_stream: u32) -> u32 {
    plugin::on_request_headers(stream, end_of_stream != 0)
}

#[unsafe(export_name = "ib_gateway:proxy_on_request_body")]
extern "C" fn on_request_body(stream: u32, length: usize, end_of_stream: u32) -> u32 {
    plugin::on_request_body(stream, length, end_of_stream != 0)
}

#[unsafe(export_name = "ib_gateway:proxy_on_request_trailers")]
extern "C" fn on_request_trailers(stream: u32, _trailers: usize) -> u32 {
    plugin::on_request_trailers(stream)
}

#[unsafe(export_name = "ib_gateway:proxy_on_response_headers")]
extern "C" fn on_response_headers(stream: u32, _headers: usize, end_of_stream: u32) -> u32 {
    plugin::on_response_headers(stream, end_of_stream != 0)
}

#[unsafe(export_name = "ib_gateway:proxy_on_response_body")]
extern "C" fn on_response_body(stream: u32, length: usize, end_of_stream: u32) -> u32 {
    plugin::on_response_body(stream, length, end_of_stream != 0)
}

#[unsafe(export_name = "ib_gateway:proxy_on_response_trailers")]
extern "C" fn on_response_trailers(stream: u32, _trailers: usize) -> u32 {
    plugin::on_response_trailers(stream)
}

#[unsafe(export_name = "ib_gateway:proxy_on_delete")]
extern "C" fn on_delete(context: u32) {
    plugin::on_delete(context);
}

/// The functions of the proxy, in the order of the arguments that ABI 0.2.1 gives them. Each returns a
/// status. Pointers and sizes have 32 bits, as everything in the module.
mod imported {
    use proxy_wasm::types::{BufferType, MapType, StreamType};

    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn proxy_get_header_map_pairs(
            map: MapType,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_set_header_map_pairs(map: MapType, data: *const u8, size: usize)
        -> u32;
        pub(super) fn proxy_replace_header_map_value(
            map: MapType,
            name: *const u8,
            name_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_remove_header_map_value(
            map: MapType,
            name: *const u8,
            name_size: usize,
        ) -> u32;
        pub(super) fn proxy_get_buffer_bytes(
            buffer: BufferType,
            start: usize,
            length: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_set_buffer_bytes(
            buffer: BufferType,
            start: usize,
            length: usize,
            data: *const u8,
            size: usize,
        ) -> u32;
        pub(super) fn proxy_set_property(
            path: *const u8,
            path_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_continue_stream(stream: StreamType) -> u32;
        pub(super) fn proxy_send_local_response(
            status: u32,
            details: *const u8,
            details_size: usize,
            body: *const u8,
            body_size: usize,
            headers: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
        pub(super) fn proxy_http_call(
            cluster: *const u8,
            cluster_size: usize,
            headers: *const u8,
            headers_size: usize,
            body: *const u8,
            body_size: usize,
            trailers: *const u8,
            trailers_size: usize,
            timeout_milliseconds: u32,
            token: *mut u32,
        ) -> u32;
        pub(super) fn proxy_increment_metric(metric: u32, offset: i64) -> u32;
        pub(super) fn proxy_record_metric(metric: u32, value: u64) -> u32;
        pub(super) safe fn proxy_set_effective_context(context: u32) -> u32;
    }

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u16;
    }
}

/// All pairs of a header map, as the block that the proxy has written, in `memory` if that is large enough.
/// Empty for a map that is empty or not there.
pub(crate) fn header_block(map: MapType, memory: Vec<u8>) -> Result<Vec<u8>, Refused> {
    filled(memory, |data, size| {
        // SAFETY: both pointers are those of live variables of `filled`, which the proxy sets.
        unsafe { imported::proxy_get_header_map_pairs(map, data, size) }
    })
}

/// Replaces a header map as a whole by the pairs of a block.
pub(crate) fn set_header_block(map: MapType, block: &[u8]) -> Result<(), Refused> {
    // SAFETY: pointer and size are those of a slice, which the proxy only reads.
    done(unsafe { imported::proxy_set_header_map_pairs(map, block.as_ptr(), block.len()) })
}

/// Puts one header in the place of the one of its name, in lower case, or adds it.
pub(crate) fn set_header(map: MapType, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    // SAFETY: pointers and sizes are those of slices, which the proxy only reads.
    done(unsafe {
        imported::proxy_replace_header_map_value(
            map,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removes every header of a name, in lower case.
pub(crate) fn remove_header(map: MapType, name: &[u8]) -> Result<(), Refused> {
    // SAFETY: pointer and size are those of a slice, which the proxy only reads.
    done(unsafe { imported::proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// Bytes of a buffer from its beginning, `length` at most, in `memory` if that is large enough.
pub(crate) fn buffer(
    buffer: BufferType,
    length: usize,
    memory: Vec<u8>,
) -> Result<Vec<u8>, Refused> {
    filled(memory, |data, size| {
        // SAFETY: both pointers are those of live variables of `filled`, which the proxy sets.
        unsafe { imported::proxy_get_buffer_bytes(buffer, 0, length, data, size) }
    })
}

/// Puts `bytes` in the place of the first `length` bytes of a buffer.
pub(crate) fn replace_buffer(
    buffer: BufferType,
    length: usize,
    bytes: &[u8],
) -> Result<(), Refused> {
    // SAFETY: pointer and size are those of a slice, which the proxy only reads.
    done(unsafe {
        imported::proxy_set_buffer_bytes(buffer, 0, length, bytes.as_ptr(), bytes.len())
    })
}

/// Sets a property of the current stream. The name is one part of a path: without a zero byte.
pub(crate) fn set_property(name: &str, value: &[u8]) -> Result<(), Refused> {
    // SAFETY: pointers and sizes are those of slices, which the proxy only reads.
    done(unsafe {
        imported::proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Lets one direction of the current stream go on.
pub(crate) fn resume(stream: StreamType) -> Result<(), Refused> {
    // SAFETY: no pointer is passed; the proxy acts when the callback has ended.
    done(unsafe { imported::proxy_continue_stream(stream) })
}

/// Answers the client of the current stream. `details` are the proxy's own: no client sees them.
pub(crate) fn reply(
    status: u16,
    details: &str,
    headers: &[u8],
    body: &[u8],
) -> Result<(), Refused> {
    /// The proxy's number for "not gRPC".
    const NO_GRPC_STATUS: i32 = -1;
    // SAFETY: pointers and sizes are those of slices, which the proxy copies during the call.
    done(unsafe {
        imported::proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    })
}

/// Sends a request to a cluster in the name of the current context, and gives its token.
pub(crate) fn http_call(
    cluster: &str,
    headers: &[u8],
    body: &[u8],
    timeout: Duration,
) -> Result<u32, Refused> {
    /// A header map without a pair.
    const NO_TRAILERS: [u8; 4] = [0; 4];
    let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let mut token = 0;
    // SAFETY: pointers and sizes are those of slices, which the proxy copies during the call, and of a
    // live variable, which it sets.
    let status = unsafe {
        imported::proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            NO_TRAILERS.as_ptr(),
            NO_TRAILERS.len(),
            timeout,
            &raw mut token,
        )
    };
    done(status).map(|()| token)
}

/// Adds to a counter or a gauge.
pub(crate) fn increment_metric(metric: u32, offset: i64) -> Result<(), Refused> {
    // SAFETY: no pointer is passed.
    done(unsafe { imported::proxy_increment_metric(metric, offset) })
}

/// Adds a value to a histogram.
pub(crate) fn record_metric(metric: u32, value: u64) -> Result<(), Refused> {
    // SAFETY: no pointer is passed.
    done(unsafe { imported::proxy_record_metric(metric, value) })
}

/// Makes a context the current one, for the rest of the running callback.
pub(crate) fn set_effective_context(context: u32) -> Result<(), Refused> {
    done(imported::proxy_set_effective_context(context))
}

/// The proxy's monotonic clock, in nanoseconds. (By way of the standard library and the C library it
/// would be the same call with twice the work.)
pub(crate) fn monotonic_nanoseconds() -> Result<u64, Refused> {
    /// WASI's number of the clock.
    const MONOTONIC: u32 = 1;
    let mut time = 0;
    // SAFETY: the pointer is that of a live variable, which the proxy sets.
    let status = unsafe { imported::clock_time_get(MONOTONIC, 1, &raw mut time) };
    done(u32::from(status)).map(|()| time)
}

fn done(status: u32) -> Result<(), Refused> {
    if status == OK { Ok(()) } else { Err(Refused) }
}

/// Memory that the proxy got to write to.
#[derive(Clone, Copy)]
struct Given {
    start: *mut u8,
    capacity: usize,
}

thread_local! {
    /// Memory for what the call to the proxy that is under way hands over. (What is used again and again
    /// is in the processor's caches, and needs no allocator.)
    static OFFERED: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
    /// What the proxy got last.
    static GIVEN: Cell<Given> = const { Cell::new(Given { start: null_mut(), capacity: 0 }) };
}

/// Takes over the memory that a call has filled: `offered`, or other memory where that was too small. The
/// proxy leaves both variables at zero when there is nothing to give.
fn filled(
    offered: Vec<u8>,
    call: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Vec<u8>, Refused> {
    let mut data = null_mut();
    let mut size = 0;
    OFFERED.set(Some(offered));
    let status = call(&raw mut data, &raw mut size);
    OFFERED.set(None);
    let Given { start, capacity } = GIVEN.replace(Given { start: null_mut(), capacity: 0 });
    if start.is_null() {
        // Nothing was asked for, so nothing was given.
        return done(status).map(|()| Vec::new());
    }
    // SAFETY: `start` and `capacity` are those of a vector that `on_memory_allocate` has made or got from
    // `offered`, and has given up; they are taken out of `GIVEN` once, and the proxy keeps no pointer
    // after its call.
    let mut memory = unsafe { Vec::from_raw_parts(start, 0, capacity) };
    done(status)?;
    if size == 0 || data.is_null() {
        return Ok(Vec::new());
    }
    if start != data || size > capacity {
        return Err(Refused);
    }
    // SAFETY: the vector has room for `size` bytes, and the proxy has written all of them.
    unsafe { memory.set_len(size) };
    Ok(memory)
}
