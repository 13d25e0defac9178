//! A call to try a plugin with, made up from its WIT.

use stoa_core::{interface::ExternName, release::Export};

use super::wit;

/// A call in WAVE of the first exported function whose parameters are simple enough to make up, such as
/// `render("hello")`; else of the first one, with `…` in place of its arguments. `None` where `text`, the
/// component's printed WIT, has no function of `exports`.
///
/// The function stands alone where its name is unique among the exports, else behind its interface's:
/// `render.parse("hello")`.
pub fn example_call(text: &str, exports: &[Export]) -> Option<String> {
    let blocks: Vec<(String, String)> = exports
        .iter()
        .filter_map(|export| {
            let name = export.name.to_string();
            Some(match &export.name {
                ExternName::Interface(interface) => (interface.interface().to_owned(), wit::interface(text, &name)?),
                // As the one function of a block without a name, like those of interfaces.
                ExternName::Plain(_) => (String::new(), format!("{{ {} }}", wit::exported_function(text, &name)?)),
            })
        })
        .collect();
    let functions = || {
        blocks.iter().flat_map(|(interface, block)| {
            wit::functions(block).into_iter().map(move |(name, types)| (interface.as_str(), name, types))
        })
    };
    let call = |(interface, name, types): (&str, &str, Vec<String>)| {
        let unique = functions().filter(|(_, other, _)| *other == name).count() == 1;
        let callee = if unique || interface.is_empty() { name.to_owned() } else { format!("{interface}.{name}") };
        let values: Option<Vec<&str>> = types.iter().map(|wit| value(wit)).collect();
        (callee, values.map(|values| values.join(", ")))
    };
    let first_simple = functions().map(call).find_map(|(callee, values)| Some(format!("{callee}({})", values?)));
    first_simple.or_else(|| functions().map(call).next().map(|(callee, _)| format!("{callee}(…)")))
}

/// A value of a WIT type, in WAVE.
fn value(wit: &str) -> Option<&'static str> {
    Some(match wit {
        "string" => "\"hello\"",
        "u8" | "u16" | "u32" | "u64" | "s8" | "s16" | "s32" | "s64" => "1",
        "f32" | "f64" => "1.5",
        "bool" => "true",
        "char" => "'a'",
        "list<string>" => "[\"hello\"]",
        _ if wit.starts_with("list<") => "[]",
        _ if wit.starts_with("option<") => "none",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(functions: &str, more: &str) -> Option<String> {
        let text = format!("package a:b@1.0.0 {{ interface x {{\n{functions}\n}}\n interface y {{\n{more}\n}} }}");
        // Printed WIT has each block on lines of its own.
        let text = text.replace("{ interface", "{\n  interface");
        let export = |name: &str| Export {
            name: name.parse().expect("a name"),
            types: "00000000000000aa".parse().expect("a hash"),
        };
        example_call(&text, &[export("a:b/x@1.0.0"), export("a:b/y@1.0.0")])
    }

    #[test]
    fn an_example_calls_the_first_function_that_can_be_called_with_simple_values() {
        let call = |functions| example(functions, "");
        assert_eq!(call("f: func(t: string, n: u8, o: option<r>);").as_deref(), Some("f(\"hello\", 1, none)"));
        assert_eq!(call("g: func(r: r);\nf: func();").as_deref(), Some("f()"));
        assert_eq!(call("g: func(r: r);").as_deref(), Some("g(…)"));
        assert_eq!(call("type t = u8;"), None);
        let world = "world root {\n  export render: func(text: string) -> string;\n}\n";
        let export =
            Export { name: "render".parse().expect("a name"), types: "00000000000000aa".parse().expect("a hash") };
        assert_eq!(example_call(world, &[export]).as_deref(), Some("render(\"hello\")"));
        assert_eq!(example("f: func(a: bool);", "f: func();").as_deref(), Some("x.f(true)"));
    }
}
