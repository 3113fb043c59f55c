//! The proxy-wasm plugin: a thin adapter over `ib-gateway-logic`.
//!
//! `abi` has what the proxy calls and what is called of it, `plugin` starts the VM, takes
//! configurations and finds the gateway of each stream by `contexts`, and `wasm_host` is the proxy as
//! the logic sees it. No decision is made here.
//!
//! Of the SDK serve the entry point, the allocator, the log and the calls that are made at start. Its
//! contexts do not: they cost each callback two look-ups and each stream a box. Its exported callbacks
//! are removed after linking, and ours take their names (`filter/postlink`).
#![deny(unsafe_code)]

mod abi;
mod contexts;
#[cfg(feature = "crash-on-demand")]
mod crash;
mod plugin;
mod wasm_host;
