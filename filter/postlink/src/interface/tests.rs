//! Modules that the linker could have made, with one function and what is given.

use std::borrow::Cow;

use wasm_encoder::{
    CodeSection, CustomSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, Instruction, MemorySection, MemoryType, Module, TypeSection,
};
use wasmparser::{Parser, Payload};

use super::{EXPORTS, IMPORTS, OURS, check, renamed};

/// What a right build exports, as linked.
fn linked_exports() -> Vec<String> {
    let is_callback = |name: &str| name.starts_with("proxy_on_");
    let named =
        |name: &str| if is_callback(name) { format!("{OURS}{name}") } else { name.to_owned() };
    EXPORTS.into_iter().map(named).collect()
}

fn module(import: (&str, &str), exported: &[String]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    imports.import(import.0, import.1, EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut memories = MemorySection::new();
    let (memory64, shared, page_size_log2) = (false, false, None);
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64, shared, page_size_log2 });
    let mut exports = ExportSection::new();
    for name in exported {
        match name.as_str() {
            "memory" => exports.export(name, ExportKind::Memory, 0),
            _ => exports.export(name, ExportKind::Func, 1),
        };
    }
    let mut body = Function::new([]);
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let name = CustomSection { name: Cow::Borrowed("producers"), data: Cow::Borrowed(b"/home/me") };
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&memories);
    module.section(&exports).section(&code).section(&name);
    module.finish()
}

#[test]
fn the_adapters_callbacks_get_the_names_that_the_proxy_calls() {
    let plugin = renamed(&module(IMPORTS[0], &linked_exports())).unwrap();
    check(&plugin).unwrap();
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(&plugin) {
        match payload.unwrap() {
            Payload::ExportSection(section) => {
                names.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
            Payload::CustomSection(section) => panic!("{} tells of the build", section.name()),
            _ => {}
        }
    }
    assert_eq!(names, EXPORTS);
}

#[test]
fn a_callback_of_the_sdk_that_is_left_is_refused_and_not_entered_on_every_request() {
    let mut exports = linked_exports();
    exports.push("proxy_on_log".to_owned());
    let error = check(&renamed(&module(IMPORTS[0], &exports)).unwrap()).unwrap_err();
    assert!(error.to_string().contains("proxy_on_log"), "{error}");
}

#[test]
fn a_plugin_without_one_of_its_callbacks_is_refused() {
    for (place, missing) in EXPORTS.into_iter().enumerate() {
        let mut exports = linked_exports();
        exports.remove(place);
        let error = check(&renamed(&module(IMPORTS[0], &exports)).unwrap()).unwrap_err();
        assert!(error.to_string().contains(missing), "{error}");
    }
}

#[test]
fn a_plugin_that_asks_the_proxy_for_more_is_refused() {
    for import in [("env", "proxy_set_shared_data"), ("wasi_snapshot_preview1", "path_open")] {
        let error = check(&renamed(&module(import, &linked_exports())).unwrap()).unwrap_err();
        assert!(error.to_string().contains(import.1), "{error}");
    }
}

#[test]
fn a_file_that_is_cut_short_is_no_plugin() {
    let whole = module(IMPORTS[0], &linked_exports());
    for length in 0..whole.len() {
        let cut = renamed(&whole[..length]).and_then(|plugin| check(&plugin));
        // The last section is one that goes, so a cut between it and the code leaves a whole plugin.
        assert!(cut.is_err() || length > whole.len() - 30, "{length}");
    }
}
