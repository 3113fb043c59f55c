//! The plugin's file: small, with exactly the callbacks that it serves, and asking little of its host.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;

use ib_end_to_end::built;
use wasmparser::{Parser, Payload, TypeRef};

/// The bound on the plugin's size, in bytes.
const MAXIMUM_BYTES: usize = 550_000;

/// What the plugin may ask of Envoy's host, a part of what that offers to a module of ABI 0.2.1 (the lists
/// of proxy-wasm-cpp-host's `include/proxy-wasm/exports.h`). Neither shared memory between workers nor
/// foreign functions nor gRPC is among it.
const IMPORTS: [(&str, &str); 22] = [
    ("env", "proxy_continue_stream"),
    ("env", "proxy_define_metric"),
    ("env", "proxy_get_buffer_bytes"),
    ("env", "proxy_get_header_map_pairs"),
    ("env", "proxy_http_call"),
    ("env", "proxy_increment_metric"),
    ("env", "proxy_log"),
    ("env", "proxy_record_metric"),
    ("env", "proxy_remove_header_map_value"),
    ("env", "proxy_replace_header_map_value"),
    ("env", "proxy_send_local_response"),
    ("env", "proxy_set_buffer_bytes"),
    ("env", "proxy_set_effective_context"),
    ("env", "proxy_set_header_map_pairs"),
    ("env", "proxy_set_property"),
    ("env", "proxy_set_tick_period_milliseconds"),
    ("wasi_snapshot_preview1", "clock_time_get"),
    ("wasi_snapshot_preview1", "environ_get"),
    ("wasi_snapshot_preview1", "environ_sizes_get"),
    ("wasi_snapshot_preview1", "fd_write"),
    ("wasi_snapshot_preview1", "proc_exit"),
    ("wasi_snapshot_preview1", "random_get"),
];

/// Everything that the plugin exports. Each callback is an entry into the VM, on every request for most:
/// `proxy_on_done` and `proxy_on_log`, which the SDK has, would be two for nothing.
const EXPORTS: [&str; 16] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_body",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

#[test]
fn the_plugin_is_small_enough_to_be_fetched_and_compiled_at_every_start() {
    let bytes = plugin();
    assert!(bytes.len() < MAXIMUM_BYTES, "the plugin has {} bytes", bytes.len());
}

#[test]
fn the_plugin_asks_envoys_host_for_nothing_but_what_is_listed() {
    let bytes = plugin();
    let mut seen = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        let Payload::ImportSection(imports) = payload.expect("a wasm module") else { continue };
        for import in imports.into_imports() {
            let import = import.expect("an import");
            assert!(matches!(import.ty, TypeRef::Func(_)), "{} is no function", import.name);
            seen.insert((import.module, import.name));
        }
    }
    let unlisted: Vec<_> = seen.difference(&BTreeSet::from(IMPORTS)).copied().collect();
    assert_eq!(unlisted, [], "the plugin imports what is not listed");
    assert!(seen.contains(&("env", "proxy_replace_header_map_value")), "it rewrites nothing");
}

#[test]
fn envoy_enters_the_plugin_for_no_callback_but_those_that_it_serves() {
    let bytes = plugin();
    let mut exports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        let Payload::ExportSection(section) = payload.expect("a wasm module") else { continue };
        for export in section {
            exports.insert(export.expect("an export").name);
        }
    }
    assert_eq!(exports, BTreeSet::from(EXPORTS));
}

#[test]
fn no_request_can_crash_the_plugin_on_demand() {
    // The only panic of that file is what the feature is for, and a panic says where it is.
    let crashing = b"filter/src/crash.rs";
    assert!(!plugin().windows(crashing.len()).any(|window| window == crashing));
}

fn plugin() -> Vec<u8> {
    let file = built("plugin.wasm");
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
