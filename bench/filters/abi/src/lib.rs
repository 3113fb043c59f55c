//! What a filter without the SDK needs: the proxy's calls, an arena for what the proxy hands over, the
//! format of whole header maps, and a table of tokens.
//!
//! A VM has one thread, and the proxy enters it for one callback at a time.
#![no_std]

pub mod arena;
pub mod calls;
pub mod map;
pub mod table;
pub mod target;

/// The callbacks that every filter has: what the proxy needs to start one.
#[macro_export]
macro_rules! start_callbacks {
    () => {
        /// Tells the proxy which version of the interface this is.
        #[unsafe(no_mangle)]
        pub extern "C" fn proxy_abi_version_0_2_1() {}

        /// The proxy calls it first.
        #[unsafe(no_mangle)]
        pub extern "C" fn _initialize() {}

        /// The proxy's memory for what it hands over.
        #[unsafe(no_mangle)]
        pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
            $crate::arena::take(size)
        }

        /// A context, of the VM or of a stream: nothing is kept for one.
        #[unsafe(no_mangle)]
        pub extern "C" fn proxy_on_context_create(_context: u32, _parent: u32) {}

        /// The VM starts.
        #[unsafe(no_mangle)]
        pub extern "C" fn proxy_on_vm_start(_context: u32, _size: usize) -> u32 {
            1
        }

        /// The configuration is the table: a line for each token, `<token> <session id>`.
        #[unsafe(no_mangle)]
        pub extern "C" fn proxy_on_configure(_context: u32, size: usize) -> u32 {
            $crate::arena::reset();
            let lines = $crate::calls::buffer($crate::calls::PLUGIN_CONFIGURATION, size);
            u32::from($crate::table::fill(lines))
        }
    };
}

// For memcpy and memcmp, as the plugin's standard library has them. Nothing else of it is used.
#[link(name = "c")]
unsafe extern "C" {}

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_information: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
