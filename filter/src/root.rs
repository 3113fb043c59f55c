//! One VM: its start, its configuration, and the streams that are created from it.

use std::{panic::PanicHookInfo, rc::Rc};

use ib_gateway_logic::{Gateway, Stream};
use proxy_wasm::{
    traits::{Context, HttpContext, RootContext},
    types::ContextType,
};

use crate::{
    stream::HttpStream,
    wasm_host::{Clock, Metrics, WasmHost, plugin_configuration},
};

/// The root context: one a worker and configuration.
pub(crate) struct Root {
    clock: Clock,
    configured: Option<Configured>,
}

/// What a valid configuration gives to each stream.
struct Configured {
    gateway: Rc<Gateway>,
    host: WasmHost,
}

impl Root {
    pub(crate) fn new() -> Self {
        Self { clock: Clock::start(), configured: None }
    }

    fn configure(&self) -> Result<Configured, String> {
        let json = plugin_configuration().map_err(|error| error.to_string())?;
        let gateway = Gateway::from_configuration(&json).map_err(|error| error.to_string())?;
        let metrics = Metrics::define().map_err(|error| error.to_string())?;
        Ok(Configured { gateway: Rc::new(gateway), host: WasmHost::new(self.clock, metrics) })
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _vm_configuration_size: usize) -> bool {
        log::info!("ib-gateway filter {} started", env!("CARGO_PKG_VERSION"));
        true
    }

    fn on_configure(&mut self, _plugin_configuration_size: usize) -> bool {
        match self.configure() {
            Ok(configured) => {
                self.configured = Some(configured);
                true
            }
            Err(reason) => {
                log::error!("ib-gateway filter: configuration refused: {reason}");
                false
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        // The proxy serves nothing with a configuration that was refused, so `None`, on which the
        // SDK stops the VM, does not happen.
        let Configured { gateway, host } = self.configured.as_ref()?;
        Some(Box::new(HttpStream::new(Stream::new(Rc::clone(gateway)), host.clone())))
    }
}

/// Logs where a panic happened, and nothing of what it says.
pub(crate) fn log_panic(panic: &PanicHookInfo<'_>) {
    match panic.location() {
        Some(location) => log::error!("ib-gateway filter: panic at {location}"),
        None => log::error!("ib-gateway filter: panic"),
    }
}
