//! `ib-plugin-link LINKED PLUGIN`: makes the plugin of the module that the Rust linker has made.
//!
//! The SDK has a function for every callback of the ABI, and the proxy enters the VM for each that is
//! exported, on every request. `scripts/plugin-linker.sh` leaves the SDK's out; here the adapter's own,
//! few, take their names, and the result is checked against the lists in `interface`.
#![forbid(unsafe_code)]

mod interface;

use std::{fs, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [linked, plugin] = arguments.as_slice() else {
        eprintln!("usage: ib-plugin-link LINKED PLUGIN");
        return ExitCode::FAILURE;
    };
    match link(Path::new(linked), Path::new(plugin)) {
        Ok((before, after)) => {
            eprintln!("ib-plugin-link: {before} bytes as linked, {after} bytes as the plugin");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ib-plugin-link: {}: {error}", linked.display());
            ExitCode::FAILURE
        }
    }
}

/// Reads one file and writes the other. Gives their sizes.
fn link(linked: &Path, plugin: &Path) -> Result<(usize, usize), LinkError> {
    let module = fs::read(linked)?;
    let renamed = interface::renamed(&module)?;
    interface::check(&renamed)?;
    fs::write(plugin, &renamed)?;
    Ok((module.len(), renamed.len()))
}

/// Why there is no plugin.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("it is no valid module: {0}")]
    Module(#[from] wasmparser::BinaryReaderError),
    #[error("it is cut short")]
    CutShort,
    #[error("it exports {0}, which is neither the adapter's nor on the list")]
    UnknownExport(String),
    #[error("it does not export {0}")]
    MissingExport(&'static str),
    #[error("it imports {module}.{name}, which is not on the list")]
    UnknownImport { module: String, name: String },
}
