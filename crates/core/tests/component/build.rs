//! Components out of WIT: a module whose functions trap, wrapped by the component encoder.

use stoa_core::{
    component::{InspectError, InspectLimits, Inspection},
    interface::STOA_PLUGIN_WIT,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{
    Function, LiftLowerAbi, ManglingAndAbi, Resolve, WasmExport, WasmExportKind, WasmImport, WorldId, WorldItem,
    WorldKey,
    abi::{AbiVariant, WasmType},
};

const MANGLING: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);

/// Inspects with the default limits.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Inspection, InspectError> {
    Inspection::of(bytes, &InspectLimits::default())
}

/// Inspects the component with the world `w` of `wit`.
pub(crate) fn inspect_wit(wit: &str) -> Inspection {
    inspect(&component(wit)).expect("the component is sound")
}

/// Inspects WebAssembly text.
pub(crate) fn inspect_wat(text: &str) -> Result<Inspection, InspectError> {
    inspect(&wat::parse_str(text).expect("the text is well-formed"))
}

/// The component with the world `w` of `wit`, which may use `stoa:plugin@0.1.0`.
pub(crate) fn component(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_str("stoa-plugin.wit", STOA_PLUGIN_WIT).expect("the conventions are WIT");
    let package = resolve.push_str("test.wit", wit).expect("the test's text is WIT");
    let world = resolve.select_world(&[package], Some("w")).expect("the test has a world `w`");
    let mut module = wat::parse_str(module(&resolve, world)).expect("the module is well-formed");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the world can be encoded");
    let mut encoder = ComponentEncoder::default().validate(true).module(&module).expect("the module has a world");
    encoder.encode().expect("the module fits the world")
}

/// The WIT package in `wit` in binary form.
pub(crate) fn package(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).expect("the test's text is WIT");
    wit_component::encode(&resolve, package).expect("the package can be encoded")
}

fn module(resolve: &Resolve, world: WorldId) -> String {
    let world = &resolve.worlds[world];
    let mut text = String::from("(module\n");
    for (interface, func) in functions(resolve, &world.imports) {
        let (module, name) = resolve.wasm_import_name(MANGLING, WasmImport::Func { interface, func });
        let signature = signature(resolve, AbiVariant::GuestImport, func);
        text += &format!("(import {module:?} {name:?} (func{signature}))\n");
    }
    for (interface, func) in functions(resolve, &world.exports) {
        let kind = WasmExportKind::Normal;
        let name = resolve.wasm_export_name(MANGLING, WasmExport::Func { interface, func, kind });
        let signature = signature(resolve, AbiVariant::GuestExport, func);
        text += &format!("(func (export {name:?}){signature} unreachable)\n");
    }
    let memory = resolve.wasm_export_name(MANGLING, WasmExport::Memory);
    let realloc = resolve.wasm_export_name(MANGLING, WasmExport::Realloc);
    text += &format!("(memory (export {memory:?}) 1)\n");
    text += &format!("(func (export {realloc:?}) (param i32 i32 i32 i32) (result i32) unreachable))");
    text
}

fn functions<'r>(
    resolve: &'r Resolve,
    items: impl IntoIterator<Item = (&'r WorldKey, &'r WorldItem)>,
) -> Vec<(Option<&'r WorldKey>, &'r Function)> {
    let mut found = Vec::new();
    for (key, item) in items {
        match item {
            WorldItem::Function(func) => found.push((None, func)),
            WorldItem::Interface { id, .. } => {
                found.extend(resolve.interfaces[*id].functions.values().map(|func| (Some(key), func)));
            }
            WorldItem::Type { .. } => {}
        }
    }
    found
}

fn signature(resolve: &Resolve, variant: AbiVariant, func: &Function) -> String {
    let signature = resolve.wasm_signature(variant, func);
    let list = |word: &str, types: &[WasmType]| -> String {
        types.iter().map(|ty| format!(" ({word} {})", core_type(*ty))).collect()
    };
    list("param", &signature.params) + &list("result", &signature.results)
}

fn core_type(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}
