//! A filter that does nothing, as the SDK builds it: every callback of the SDK is exported, and so
//! each is an entry into the VM on every request.
#![allow(missing_docs, reason = "the SDK's macro exports an undocumented function")]

use proxy_wasm::{
    traits::{Context, HttpContext, RootContext},
    types::ContextType,
};

struct Root;
struct Stream;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }
}

impl Context for Stream {}
impl HttpContext for Stream {}
