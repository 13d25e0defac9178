//! The WIT that a component carries, as text.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wit_component::{Output, WitPrinter, decode};

use super::{InspectError, InspectLimits};

/// Prints the imports and exports of a component that the validator let through.
///
/// The decoder is made for components that toolchains write: on others, valid but strange, some of its assertions
/// fail. It shares nothing with its caller, so a panic in it is an answer like any other: no WIT. Where panics abort
/// (WebAssembly), it ends the program, so a browser should inspect only what a registry accepted.
pub(super) fn print(bytes: &[u8], limits: &InspectLimits) -> Result<String, InspectError> {
    let max = usize::try_from(limits.wit_bytes).unwrap_or(usize::MAX);
    let text = catch_unwind(AssertUnwindSafe(|| text(bytes, max)));
    let text = text.unwrap_or_else(|_| Err("the decoder of WIT gave up on it".to_owned()));
    match text.map_err(InspectError::NoWit)? {
        Bounded { overflow: true, text, .. } => {
            let (count, max) = (text.len() as u64 + 1, limits.wit_bytes);
            Err(InspectError::TooMany { what: "bytes of WIT", count, max })
        }
        Bounded { text, .. } => Ok(text),
    }
}

fn text(bytes: &[u8], max: usize) -> Result<Bounded, String> {
    let decoded = decode(bytes).map_err(|error| format!("{error:#}"))?;
    let (resolve, main) = (decoded.resolve(), decoded.package());
    let mut others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != main).collect();
    others.sort_by_key(|id| resolve.packages[*id].name.to_string());
    let mut printer = WitPrinter::new(Bounded { max, ..Bounded::default() });
    printer.print(resolve, main, &others).map_err(|error| format!("{error:#}"))?;
    Ok(printer.output)
}

/// Text that stops growing at a limit.
#[derive(Default)]
struct Bounded {
    text: String,
    max: usize,
    overflow: bool,
    indent: usize,
    at_line_start: bool,
}

impl Output for Bounded {
    fn push_str(&mut self, text: &str) {
        if self.overflow || self.text.len() + text.len() > self.max {
            self.overflow = true;
        } else {
            self.text.push_str(text);
        }
    }

    fn indent_if_needed(&mut self) -> bool {
        if self.at_line_start {
            self.at_line_start = false;
            (0..self.indent).for_each(|_| self.push_str("  "));
            return true;
        }
        false
    }

    fn indent_start(&mut self) {
        self.push_str(" {");
        self.indent += 1;
        self.newline();
    }

    fn indent_end(&mut self) {
        self.indent = self.indent.saturating_sub(1);
        self.indent_if_needed();
        self.push_str("}");
        self.newline();
    }

    fn newline(&mut self) {
        self.push_str("\n");
        self.at_line_start = true;
    }
}
