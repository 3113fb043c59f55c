//! What the proxy calls when it has loaded the module.

use proxy_wasm::types::LogLevel;

use crate::root::{Root, log_panic};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    // The SDK's own hook would log the panic's message, which may quote what a client sent.
    std::panic::set_hook(Box::new(log_panic));
    proxy_wasm::set_root_context(|_| Box::new(Root::new()));
}}
