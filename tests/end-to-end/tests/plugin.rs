//! The plugin's file: small, and asking Envoy's host for nothing that it does not have.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;

use ib_end_to_end::built;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// The bound on the plugin's size, in bytes.
const MAXIMUM_BYTES: usize = 450_000;

/// What Envoy's proxy-wasm host offers under `env` to a module of ABI 0.2.1, and under
/// `wasi_snapshot_preview1`: the lists `FOR_ALL_HOST_FUNCTIONS`, its ABI-specific part for 0.2.x, and
/// `FOR_ALL_WASI_FUNCTIONS` of proxy-wasm-cpp-host's `include/proxy-wasm/exports.h`.
const HOST_FUNCTIONS: &[&str] = &[
    "proxy_log",
    "proxy_get_status",
    "proxy_set_property",
    "proxy_get_property",
    "proxy_send_local_response",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_register_shared_queue",
    "proxy_resolve_shared_queue",
    "proxy_dequeue_shared_queue",
    "proxy_enqueue_shared_queue",
    "proxy_get_header_map_value",
    "proxy_add_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_get_header_map_pairs",
    "proxy_set_header_map_pairs",
    "proxy_get_header_map_size",
    "proxy_get_buffer_status",
    "proxy_get_buffer_bytes",
    "proxy_set_buffer_bytes",
    "proxy_http_call",
    "proxy_grpc_call",
    "proxy_grpc_stream",
    "proxy_grpc_close",
    "proxy_grpc_cancel",
    "proxy_grpc_send",
    "proxy_set_tick_period_milliseconds",
    "proxy_get_current_time_nanoseconds",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
    "proxy_get_metric",
    "proxy_set_effective_context",
    "proxy_done",
    "proxy_call_foreign_function",
    "proxy_continue_stream",
    "proxy_close_stream",
    "proxy_get_log_level",
];
const SYSTEM_FUNCTIONS: &[&str] = &[
    "fd_write",
    "fd_read",
    "fd_seek",
    "fd_close",
    "fd_fdstat_get",
    "environ_get",
    "environ_sizes_get",
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "random_get",
    "proc_exit",
    "path_open",
    "fd_prestat_get",
    "fd_prestat_dir_name",
];

#[test]
fn the_plugin_is_small_enough_to_be_fetched_and_compiled_at_every_start() {
    let bytes = plugin();
    assert!(bytes.len() < MAXIMUM_BYTES, "the plugin has {} bytes", bytes.len());
}

#[test]
fn the_plugin_imports_only_what_envoys_host_offers() {
    let bytes = plugin();
    let mut seen = 0;
    for payload in Parser::new(0).parse_all(&bytes) {
        let Payload::ImportSection(imports) = payload.expect("a wasm module") else { continue };
        for import in imports.into_imports() {
            let import = import.expect("an import");
            let offered = match import.module {
                "env" => HOST_FUNCTIONS,
                "wasi_snapshot_preview1" => SYSTEM_FUNCTIONS,
                _ => &[],
            };
            assert!(matches!(import.ty, TypeRef::Func(_)), "{} is no function", import.name);
            assert!(
                offered.contains(&import.name),
                "Envoy's host has no {}.{}",
                import.module,
                import.name
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "a plugin that asks nothing of its host does nothing");
}

#[test]
fn the_plugin_speaks_the_abi_that_envoy_knows() {
    let bytes = plugin();
    let mut exports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        let Payload::ExportSection(section) = payload.expect("a wasm module") else { continue };
        for export in section {
            let export = export.expect("an export");
            if export.kind == ExternalKind::Func {
                exports.insert(export.name.to_owned());
            }
        }
    }
    let abis: Vec<_> =
        exports.iter().filter(|name| name.starts_with("proxy_abi_version")).collect();
    assert_eq!(abis, ["proxy_abi_version_0_2_1"]);
    for callback in ["proxy_on_configure", "proxy_on_context_create", "proxy_on_request_headers"] {
        assert!(exports.contains(callback), "no {callback}");
    }
}

fn plugin() -> Vec<u8> {
    let file = built("plugin.wasm");
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
