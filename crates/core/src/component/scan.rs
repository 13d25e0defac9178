//! The first pass over a component: counts, without validating or building anything.
//!
//! It reads section headers and skips their contents, so its time is bounded by the size of its input and its
//! memory by the depth limit. Only what it lets through meets the validator.

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternName, ComponentImport, ComponentType, ComponentTypeRef, CoreType,
    Parser, Payload,
};

use super::{InspectError, InspectLimits, features};

/// How much of everything a component has, its nested modules and components included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Core modules.
    pub modules: u64,
    /// Components, itself included.
    pub components: u64,
    /// Instances of modules and components that it makes.
    pub instances: u64,
    /// The deepest nesting of modules and components; a component without any has 1.
    pub depth: u32,
    /// Functions that modules define.
    pub functions: u64,
    /// Types that modules define.
    pub types: u64,
    /// Types that components define, their parts included.
    pub declarations: u64,
    /// Functions that cross between a component and its modules.
    pub crossings: u64,
    /// Bytes of code.
    pub code_bytes: u64,
    /// Bytes of data segments.
    pub data_bytes: u64,
    /// Bytes of memory that modules ask for at their start.
    pub initial_memory: u64,
    /// Elements of tables at their start. Many imported ones make instantiation slow.
    pub table_elements: u64,
    /// Bytes of sections that describe the component from outside, and of its docs.
    pub wit_bytes: u64,
    /// Imports and exports at top level.
    pub externs: u64,
}

impl Counts {
    /// Counts without validating, in time bounded by the size of `bytes`.
    ///
    /// # Errors
    /// [`InspectError`]: no component, or beyond one of `limits`.
    pub fn of(bytes: &[u8], limits: &InspectLimits) -> Result<Self, InspectError> {
        super::check_start(bytes, limits)?;
        scan(bytes, limits)
    }
}

pub(super) fn scan(bytes: &[u8], limits: &InspectLimits) -> Result<Counts, InspectError> {
    let mut scan = Scan { counts: Counts { components: 1, depth: 1, ..Counts::default() }, limits, depth: 1 };
    let mut parser = Parser::new(0);
    parser.set_features(features());
    for payload in parser.parse_all(bytes) {
        scan.payload(bytes, &payload?)?;
    }
    Ok(scan.counts)
}

struct Scan<'l> {
    counts: Counts,
    limits: &'l InspectLimits,
    depth: u32,
}

impl Scan<'_> {
    fn payload(&mut self, bytes: &[u8], payload: &Payload<'_>) -> Result<(), InspectError> {
        match payload {
            Payload::ModuleSection { .. } => {
                self.counts.modules += 1;
                self.enter()?;
            }
            Payload::ComponentSection { .. } => {
                self.counts.components += 1;
                self.enter()?;
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::InstanceSection(s) => self.counts.instances += u64::from(s.count()),
            Payload::ComponentInstanceSection(s) => self.counts.instances += u64::from(s.count()),
            Payload::ComponentCanonicalSection(s) => self.counts.crossings += u64::from(s.count()),
            Payload::CoreTypeSection(s) => {
                self.counts.types += u64::from(s.count());
                self.wit(s.range().len());
            }
            Payload::ComponentAliasSection(s) => self.wit(s.range().len()),
            Payload::ComponentTypeSection(s) => {
                self.wit(s.range().len());
                self.check()?;
                self.declarations(bytes, s.range())?;
            }
            Payload::ComponentImportSection(s) => self.externs(s.count(), s.range().len()),
            Payload::ComponentExportSection(s) => self.externs(s.count(), s.range().len()),
            Payload::CustomSection(s) if s.name() == wit_parser::PackageMetadata::SECTION_NAME => {
                self.wit(s.data().len());
            }
            payload => self.module_payload(payload)?,
        }
        self.check()
    }

    fn module_payload(&mut self, payload: &Payload<'_>) -> Result<(), InspectError> {
        match payload {
            Payload::TypeSection(s) => self.counts.types += u64::from(s.count()),
            Payload::FunctionSection(s) => self.counts.functions += u64::from(s.count()),
            Payload::CodeSectionStart { size, .. } => self.counts.code_bytes += u64::from(*size),
            Payload::DataSection(s) => self.counts.data_bytes += s.range().len() as u64,
            Payload::MemorySection(s) => {
                for memory in s.clone() {
                    // Pages of 64 KiB: other sizes are a feature that is off.
                    let asked = memory?.initial.saturating_mul(64 * 1024);
                    self.counts.initial_memory = self.counts.initial_memory.saturating_add(asked);
                }
            }
            Payload::TableSection(s) => {
                for table in s.clone() {
                    self.counts.table_elements = self.counts.table_elements.saturating_add(table?.ty.initial);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self) -> Result<(), InspectError> {
        self.depth += 1;
        self.counts.depth = self.counts.depth.max(self.depth);
        if self.depth > self.limits.depth {
            let (depth, max) = (self.depth, self.limits.depth);
            return Err(InspectError::TooDeep { what: "modules and components", depth, max });
        }
        Ok(())
    }

    fn wit(&mut self, bytes: usize) {
        self.counts.wit_bytes += bytes as u64;
    }

    fn externs(&mut self, count: u32, bytes: usize) {
        self.wit(bytes);
        if self.depth == 1 {
            self.counts.externs += u64::from(count);
        }
    }

    fn check(&self) -> Result<(), InspectError> {
        let (counts, limits) = (&self.counts, self.limits);
        let parts = counts.modules + counts.components + counts.instances;
        for (what, count, max) in [
            ("modules, components and instances", parts, limits.parts),
            ("functions", counts.functions, limits.functions),
            ("types in modules", counts.types, limits.types),
            ("types in components", counts.declarations, limits.types),
            ("functions that cross between components and modules", counts.crossings, limits.crossings),
            ("bytes of data segments", counts.data_bytes, limits.data_bytes),
            ("bytes of initial memory", counts.initial_memory, limits.initial_memory),
            ("initial table elements", counts.table_elements, limits.table_elements),
            ("bytes of WIT", counts.wit_bytes, limits.wit_bytes),
            ("imports and exports", counts.externs, limits.externs),
        ] {
            if count > max {
                return Err(InspectError::TooMany { what, count, max });
            }
        }
        Ok(())
    }

    /// Counts the declarations of a component type section without recursion.
    ///
    /// Types of instances and components hold declarations that hold types, three bytes a level, and the parser
    /// reads them by calling itself: without this walk a file of 30 KB would overflow the stack and take the
    /// process with it.
    fn declarations(&mut self, bytes: &[u8], range: std::ops::Range<usize>) -> Result<(), InspectError> {
        let start = range.start;
        let mut reader = BinaryReader::new_features(bytes.get(range).unwrap_or_default(), start, features());
        // What is left to read at each level; level 0 holds the section's own types.
        let mut left = vec![reader.read_var_u32()?];
        while let Some(top) = left.last_mut() {
            if *top == 0 {
                left.pop();
                continue;
            }
            *top -= 1;
            self.counts.declarations += 1;
            self.check()?;
            if let Some(members) = declaration(&mut reader, left.len() > 1)? {
                let depth = u32::try_from(left.len() + 1).unwrap_or(u32::MAX);
                if depth > self.limits.depth {
                    return Err(InspectError::TooDeep { what: "types", depth, max: self.limits.depth });
                }
                left.push(members);
            }
        }
        Ok(())
    }
}

/// Reads one declaration, and where it opens a type with members, how many it has.
///
/// Encoding: component-model, design/mvp/Binary.md, "Type Definitions".
fn declaration(reader: &mut BinaryReader<'_>, nested: bool) -> Result<Option<u32>, InspectError> {
    if nested {
        match reader.read_u8()? {
            0x00 => return reader.read::<CoreType<'_>>().map(|_| None).map_err(InspectError::from),
            0x01 => {}
            0x02 => return reader.read::<ComponentAlias<'_>>().map(|_| None).map_err(InspectError::from),
            0x03 => return reader.read::<ComponentImport<'_>>().map(|_| None).map_err(InspectError::from),
            0x04 => {
                reader.read::<ComponentExternName<'_>>()?;
                reader.read::<ComponentTypeRef>()?;
                return Ok(None);
            }
            other => {
                let message = format!("a declaration in a type begins with {other:#04x}");
                return Err(InspectError::Invalid { message, offset: reader.original_position() - 1 });
            }
        }
    }
    let mut ahead = reader.clone();
    if matches!(ahead.read_u8()?, 0x41 | 0x42) {
        let members = ahead.read_var_u32()?;
        *reader = ahead;
        return Ok(Some(members));
    }
    reader.read::<ComponentType<'_>>()?;
    Ok(None)
}
