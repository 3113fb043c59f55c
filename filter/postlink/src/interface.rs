//! What the plugin exports and what it may import.

use std::{collections::BTreeSet, ops::Range};

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{Export, ExternalKind, Parser, Payload, Validator};

use crate::LinkError;

/// What stands before the ABI's name of a callback in the adapter's exports.
const OURS: &str = "ib_gateway:";

/// Every export of the plugin. The proxy calls `_initialize` once, and a callback whenever its name is
/// here, whether or not it does anything.
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

/// The functions of the proxy that the plugin calls. A new one is a decision, not an accident.
const IMPORTS: &[(&str, &str)] = &[
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

/// The module with the adapter's callbacks under the ABI's names, and without custom sections (names
/// and producers), which the proxy does not read.
pub(crate) fn renamed(linked: &[u8]) -> Result<Vec<u8>, LinkError> {
    let mut plugin = Module::new();
    for payload in Parser::new(0).parse_all(linked) {
        let payload = payload?;
        match &payload {
            Payload::CustomSection(_) => {}
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                for export in section.clone() {
                    let Export { name, kind, index } = export?;
                    let kind = match kind {
                        ExternalKind::Func => ExportKind::Func,
                        ExternalKind::Memory => ExportKind::Memory,
                        _ => return Err(LinkError::UnknownExport(name.into())),
                    };
                    exports.export(name.strip_prefix(OURS).unwrap_or(name), kind, index);
                }
                plugin.section(&exports);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    let data = bytes(linked, range).ok_or(LinkError::CutShort)?;
                    plugin.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(plugin.finish())
}

fn bytes(module: &[u8], range: Range<u64>) -> Option<&[u8]> {
    module.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// Refuses a module that is not valid, whose exports are not exactly those of the list, or that imports
/// more than is on its list.
pub(crate) fn check(plugin: &[u8]) -> Result<(), LinkError> {
    Validator::new().validate_all(plugin)?;
    let mut missing = BTreeSet::from(EXPORTS);
    for payload in Parser::new(0).parse_all(plugin) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if !IMPORTS.contains(&(import.module, import.name)) {
                        let (module, name) = (import.module.into(), import.name.into());
                        return Err(LinkError::UnknownImport { module, name });
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let name = export?.name;
                    if !missing.remove(name) {
                        return Err(LinkError::UnknownExport(name.into()));
                    }
                }
            }
            _ => {}
        }
    }
    missing.first().map_or(Ok(()), |name| Err(LinkError::MissingExport(name)))
}

#[cfg(test)]
mod tests;
