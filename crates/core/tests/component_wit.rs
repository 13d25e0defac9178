//! The WIT that this crate carries.

use stoa_core::interface::STOA_PLUGIN_WIT;

#[test]
fn the_conventions_parse_and_hold_the_interfaces_that_the_loader_looks_for() {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("stoa-plugin.wit", STOA_PLUGIN_WIT).expect("the text is WIT");
    assert_eq!(resolve.packages[package].name.to_string(), "stoa:plugin@0.1.0");
    let interfaces: Vec<_> = resolve.packages[package].interfaces.keys().map(String::as_str).collect();
    assert_eq!(interfaces, ["types", "lifecycle", "health", "migrate", "log", "config", "state"]);
}
