//! The proxy-wasm plugin: a thin adapter over `ib-gateway-logic`.
//!
//! `entry` is what the proxy calls first, `root` starts the VM and takes the configuration, `stream`
//! passes on what happens to one HTTP stream, and `wasm_host` makes every call to the proxy. No
//! decision is made here.

mod entry;
mod root;
mod stream;
mod wasm_host;
