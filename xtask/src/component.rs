//! What a WebAssembly component imports and exports, read from its bytes.
//!
//! Only the outer sections are walked; the product has the real inspection, in core, which this crate may
//! not use. Layout: component-model/design/mvp/Binary.md, sections 10 (imports) and 11 (exports).

/// `\0asm`, version 13, layer 1: what a component begins with, and a core module does not.
const PREAMBLE: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

/// Names that a component imports and exports, in the order of the file.
#[derive(Debug, PartialEq)]
pub(crate) struct Outside {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Reads a component's outer names. The error says what the bytes are not.
pub(crate) fn outside(bytes: &[u8]) -> Result<Outside, &'static str> {
    if bytes.get(..8) != Some(&PREAMBLE) {
        return Err("does not begin as a component does");
    }
    let mut outside = Outside { imports: Vec::new(), exports: Vec::new() };
    let mut rest = Reader(&bytes[8..]);
    while !rest.0.is_empty() {
        let section = rest.byte()?;
        let length = rest.number()?;
        let mut content = Reader(rest.bytes(length)?);
        match section {
            10 => outside.imports.extend(content.names(Reader::import)?),
            11 => outside.exports.extend(content.names(Reader::export)?),
            _ => {}
        }
    }
    Ok(outside)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, &'static str> {
        Ok(self.bytes(1)?[0])
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// An unsigned number of at most 32 bits in LEB128.
    fn number(&mut self) -> Result<usize, &'static str> {
        let mut number: u64 = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(number)
                    .map(|number| number as usize)
                    .map_err(|_| "has a number that is too large");
            }
        }
        Err("has a number that is too long")
    }

    fn names(&mut self, one: fn(&mut Self) -> Result<String, &'static str>) -> Result<Vec<String>, &'static str> {
        (0..self.number()?).map(|_| one(self)).collect()
    }

    /// A name behind the byte that says how it is written: 0 and 1 mean the same, 2 brings options.
    fn name(&mut self) -> Result<String, &'static str> {
        let kind = self.byte()?;
        let length = self.number()?;
        let name = String::from_utf8(self.bytes(length)?.to_vec()).map_err(|_| "has a name that is not UTF-8")?;
        match kind {
            0 | 1 => Ok(name),
            _ => Err("has a name of an unknown kind"),
        }
    }

    fn import(&mut self) -> Result<String, &'static str> {
        let name = self.name()?;
        self.description()?;
        Ok(name)
    }

    /// Name, what is exported, and perhaps its type.
    fn export(&mut self) -> Result<String, &'static str> {
        let name = self.name()?;
        if self.byte()? == 0 {
            self.byte()?;
        }
        self.number()?;
        if self.byte()? == 1 {
            self.description()?;
        }
        Ok(name)
    }

    /// The type of an import: core modules, values and types have a byte more than functions and instances.
    fn description(&mut self) -> Result<(), &'static str> {
        match self.byte()? {
            0 => self.byte().and_then(|_| self.number()).map(drop),
            1 | 4 | 5 => self.number().map(drop),
            // `eq i` or `sub resource`, which has no index.
            3 => match self.byte()? {
                0 => self.number().map(drop),
                _ => Ok(()),
            },
            _ => Err("imports or exports what no plugin does"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = PREAMBLE.to_vec();
        for (id, content) in sections {
            bytes.extend([*id, u8::try_from(content.len()).expect("short")]);
            bytes.extend(*content);
        }
        bytes
    }

    #[test]
    fn imports_and_exports_of_every_section_are_named() {
        let imports = [&[2, 0, 3][..], b"a:b", &[5, 0, 0, 1], b"t", &[3, 1]].concat();
        let exports = [&[1, 0, 3][..], b"c:d", &[5, 0, 0]].concat();
        let bytes = component(&[(0, b"\x04name"), (10, &imports), (10, &[0]), (11, &exports)]);
        assert_eq!(
            outside(&bytes),
            Ok(Outside { imports: vec!["a:b".into(), "t".into()], exports: vec!["c:d".into()] })
        );
    }

    #[test]
    fn what_is_no_component_is_told_apart() {
        assert_eq!(outside(b"\0asm\x01\0\0\0"), Err("does not begin as a component does"));
        assert_eq!(outside(b""), Err("does not begin as a component does"));
        assert_eq!(outside(&component(&[(10, &[1, 0, 9, b'a'])])), Err("ends too early"));
        assert_eq!(outside(&component(&[(10, &[1, 2, 0])])), Err("has a name of an unknown kind"));
    }
}
