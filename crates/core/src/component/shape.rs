//! What interfaces, functions and types look like: canonical texts, and what plugins may do across them.
//!
//! # Canonical text
//! A primitive is its WIT keyword. Any other type is `#` and the SHA-256 of its own text, so that shared parts
//! cost nothing: `record{a:T,b:T}`, `variant{a,b(T)}`, `enum{a,b}`, `flags{a,b}`, `tuple<T,T>`, `list<T>`,
//! `option<T>`, `result<T,T>` with `_` for nothing, `own<R>`, `borrow<R>` where R is the resource's name in its
//! interface. A function is `func(a:T,b:T)->T`. An interface is the sorted lines `func NAME TEXT`, `type NAME T`
//! and `resource NAME`. Order of fields and cases counts, as it does on the wire; order of declarations,
//! versions of packages and docs do not.

use std::{collections::BTreeMap, fmt::Write as _};

use wasmparser::{
    component_types::{
        AliasableResourceId, ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType,
        ComponentFuncTypeId, ComponentInstanceTypeId, ComponentItem, ComponentValType, ResourceId,
    },
    types::TypesRef,
};

use crate::{digest::Digest, interface::TypeHash};

/// The text of `stoa:plugin/types.call-error`. A test compares it with the WIT.
pub(super) const CALL_ERROR: &str =
    "variant{unavailable,circuit-open(u64),timeout,trapped,denied,too-large(u64),reentrant}";

/// Where a function's result carries a `stoa:plugin/types.call-error`, compared by structure as engines do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// `result<T, call-error>`.
    Whole,
    /// `result<T, E>` where the variant E has a case `call(call-error)`.
    Case,
}

/// A function's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionShape {
    hash: TypeHash,
    blocker: Option<String>,
    call_error: Option<CallError>,
}

impl FunctionShape {
    /// The hash of its type, the names of its parameters included and its own name excluded.
    pub fn hash(&self) -> TypeHash {
        self.hash
    }

    /// What keeps it from being called across plugins, in WIT's words (`borrow<descriptor>`, `stream`); `None` if
    /// only values cross.
    pub fn blocker(&self) -> Option<&str> {
        self.blocker.as_deref()
    }

    /// Where its result can say that the call failed, if it can.
    pub fn call_error(&self) -> Option<CallError> {
        self.call_error
    }
}

/// An interface's types and functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceShape {
    hash: TypeHash,
    functions: BTreeMap<String, FunctionShape>,
    types: BTreeMap<String, TypeHash>,
    resources: Vec<String>,
}

impl InterfaceShape {
    /// The hash of the whole.
    ///
    /// Tools drop from an import what its component does not use, so an import's hash may differ from that of the
    /// export that satisfies it: compare those with [`InterfaceShape::missing_from`].
    pub fn hash(&self) -> TypeHash {
        self.hash
    }

    /// Its functions by name; those of a resource as `[method]blob.read`.
    pub fn functions(&self) -> &BTreeMap<String, FunctionShape> {
        &self.functions
    }

    /// Its named types but resources, each with the hash of its structure.
    pub fn types(&self) -> &BTreeMap<String, TypeHash> {
        &self.types
    }

    /// Its resources, sorted.
    pub fn resources(&self) -> &[String] {
        &self.resources
    }

    /// Whether plugins can call it on each other: no resource, and only values in every function.
    pub fn is_bridge_safe(&self) -> bool {
        self.resources.is_empty() && self.functions.values().all(|f| f.blocker.is_none())
    }

    /// The functions and resources of `self`, an import, that `export` lacks or has with another type, sorted.
    /// Empty if `export` satisfies it.
    pub fn missing_from<'s>(&'s self, export: &Self) -> Vec<&'s str> {
        let has =
            |name: &str, wanted: &FunctionShape| export.functions.get(name).is_some_and(|f| f.hash == wanted.hash);
        let functions = self.functions.iter().filter(|(name, f)| !has(name, f)).map(|(name, _)| name.as_str());
        let resources = self.resources.iter().filter(|name| !export.resources.contains(name)).map(String::as_str);
        let mut missing: Vec<_> = functions.chain(resources).collect();
        missing.sort_unstable();
        missing
    }
}

/// Writes canonical texts of types. One per interface: what resources are called depends on it.
pub(super) struct Shapes<'t> {
    types: TypesRef<'t>,
    resources: BTreeMap<ResourceId, String>,
    known: BTreeMap<ComponentDefinedTypeId, Known>,
}

/// What is known of a type: its text, and what in it can't cross between plugins.
#[derive(Clone)]
struct Known {
    text: String,
    blocker: Option<String>,
}

impl Known {
    fn primitive(text: String) -> Self {
        let blocker = (text == "error-context").then(|| text.clone());
        Self { text, blocker }
    }
}

/// A text under construction, and the first blocker among its parts.
#[derive(Default)]
struct Writer {
    text: String,
    blocker: Option<String>,
}

impl Writer {
    fn part(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn child(&mut self, child: Known) -> &mut Self {
        self.text.push_str(&child.text);
        self.blocker = self.blocker.take().or(child.blocker);
        self
    }
}

impl<'t> Shapes<'t> {
    /// Texts among `items`, which name the resources.
    pub(super) fn new<'i>(types: TypesRef<'t>, items: impl Iterator<Item = (&'i String, &'i ComponentItem)>) -> Self {
        let mut resources = BTreeMap::new();
        for (name, item) in items {
            if let ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. } = item.ty {
                // One resource may have two names; the first in order of text is the same in every encoding.
                let known = resources.entry(id.resource()).or_insert_with(|| name.clone());
                if name < known {
                    known.clone_from(name);
                }
            }
        }
        Self { types, resources, known: BTreeMap::new() }
    }

    pub(super) fn function(&mut self, name: &str, id: ComponentFuncTypeId) -> FunctionShape {
        let types = self.types;
        let function = &types[id];
        let mut out = Writer::default();
        out.part(if function.async_ { "async func(" } else { "func(" });
        for (index, (name, ty)) in function.params.iter().enumerate() {
            let ty = self.value(*ty);
            out.part(if index > 0 { "," } else { "" }).part(name.as_str()).part(":").child(ty);
        }
        out.part(")");
        if let Some(ty) = function.result {
            let ty = self.value(ty);
            out.part("->").child(ty);
        }
        // A function of a resource needs the resource even where its arguments do not show it.
        let of_resource = name.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let resource = of_resource.map(|(_, path)| path.split_once('.').map_or(path, |(resource, _)| resource));
        FunctionShape {
            hash: TypeHash::of(&out.text),
            blocker: out.blocker.or(resource.map(|name| format!("resource {name}"))),
            call_error: function.result.and_then(|ty| self.call_error(ty)),
        }
    }

    /// The shape of the instance type `id`.
    pub(super) fn interface(types: TypesRef<'t>, id: ComponentInstanceTypeId) -> InterfaceShape {
        let exports = &types[id].exports;
        let mut shapes = Shapes::new(types, exports.iter());
        let mut shape = InterfaceShape {
            hash: TypeHash::of(""),
            functions: BTreeMap::new(),
            types: BTreeMap::new(),
            resources: Vec::new(),
        };
        let mut lines = Vec::new();
        for (name, item) in exports {
            match item.ty {
                ComponentEntityType::Func(id) => {
                    let function = shapes.function(name, id);
                    lines.push(format!("func {name} {}", function.hash));
                    shape.functions.insert(name.clone(), function);
                }
                ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(_), .. } => {
                    lines.push(format!("resource {name}"));
                    shape.resources.push(name.clone());
                }
                ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(id), .. } => {
                    let text = shapes.defined(id).text;
                    lines.push(format!("type {name} {text}"));
                    shape.types.insert(name.clone(), TypeHash::of(&text));
                }
                // Nothing else passes `InspectError::Kind`.
                _ => {}
            }
        }
        lines.sort_unstable();
        shape.resources.sort_unstable();
        shape.hash = TypeHash::of(&lines.join("\n"));
        shape
    }

    pub(super) fn named_type(&mut self, id: ComponentAnyTypeId) -> TypeHash {
        match id {
            ComponentAnyTypeId::Defined(id) => TypeHash::of(&self.defined(id).text),
            _ => TypeHash::of("resource"),
        }
    }

    fn value(&mut self, ty: ComponentValType) -> Known {
        match ty {
            ComponentValType::Primitive(primitive) => Known::primitive(primitive.to_string()),
            ComponentValType::Type(id) => self.defined(id),
        }
    }

    fn maybe(&mut self, ty: Option<ComponentValType>) -> Known {
        ty.map_or_else(|| Known::primitive("_".to_owned()), |ty| self.value(ty))
    }

    fn defined(&mut self, id: ComponentDefinedTypeId) -> Known {
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        let types = self.types;
        let known = match &types[id] {
            ComponentDefinedType::Primitive(primitive) => Known::primitive(primitive.to_string()),
            ty => {
                let Writer { text, blocker } = self.text(ty);
                Known { text: format!("#{}", Digest::of(text.as_bytes())), blocker }
            }
        };
        self.known.insert(id, known.clone());
        known
    }

    fn text(&mut self, ty: &ComponentDefinedType) -> Writer {
        use ComponentDefinedType as T;
        let mut out = Writer::default();
        match ty {
            T::Primitive(primitive) => {
                out.child(Known::primitive(primitive.to_string()));
            }
            T::Record(record) => {
                let fields = record.fields.iter().map(|(name, ty)| (Some(name.as_str()), Some(*ty)));
                self.list(&mut out, "record{", fields, ":", "}");
            }
            T::Variant(variant) => self.variant(&mut out, variant),
            T::Tuple(tuple) => self.list(&mut out, "tuple<", tuple.types.iter().map(|ty| (None, Some(*ty))), "", ">"),
            T::Flags(names) => {
                self.list(&mut out, "flags{", names.iter().map(|name| (Some(name.as_str()), None)), "", "}");
            }
            T::Enum(names) => {
                self.list(&mut out, "enum{", names.iter().map(|name| (Some(name.as_str()), None)), "", "}");
            }
            T::List { element, .. } => self.list(&mut out, "list<", [(None, Some(*element))].into_iter(), "", ">"),
            T::FixedLengthList { element, length, .. } => {
                let close = format!(",{length}>");
                self.list(&mut out, "list<", [(None, Some(*element))].into_iter(), "", &close);
            }
            T::Map { key, value, .. } => {
                self.list(&mut out, "map<", [(None, Some(*key)), (None, Some(*value))].into_iter(), "", ">");
            }
            T::Option { ty, .. } => self.list(&mut out, "option<", [(None, Some(*ty))].into_iter(), "", ">"),
            T::Result { ok, err, .. } => {
                let (ok, err) = (self.maybe(*ok), self.maybe(*err));
                out.part("result<").child(ok).part(",").child(err).part(">");
            }
            T::Own(id) => self.handle(&mut out, "own", *id),
            T::Borrow(id) => self.handle(&mut out, "borrow", *id),
            T::Future { ty, .. } => self.moving(&mut out, "future", *ty),
            T::Stream { ty, .. } => self.moving(&mut out, "stream", *ty),
        }
        out
    }

    fn list<'n>(
        &mut self,
        out: &mut Writer,
        open: &str,
        parts: impl Iterator<Item = (Option<&'n str>, Option<ComponentValType>)>,
        between: &str,
        close: &str,
    ) {
        out.part(open);
        for (index, (name, ty)) in parts.enumerate() {
            out.part(if index > 0 { "," } else { "" }).part(name.unwrap_or_default()).part(between);
            if let Some(ty) = ty {
                let ty = self.value(ty);
                out.child(ty);
            }
        }
        out.part(close);
    }

    fn variant(&mut self, out: &mut Writer, variant: &wasmparser::component_types::VariantType) {
        out.part("variant{");
        for (index, (name, case)) in variant.cases.iter().enumerate() {
            out.part(if index > 0 { "," } else { "" }).part(name.as_str());
            if let Some(ty) = case.ty {
                let ty = self.value(ty);
                out.part("(").child(ty).part(")");
            }
        }
        out.part("}");
    }

    fn handle(&self, out: &mut Writer, kind: &str, id: AliasableResourceId) {
        let name = self.resources.get(&id.resource()).map_or("_", String::as_str);
        let _ = write!(out.text, "{kind}<{name}>");
        out.blocker = Some(format!("{kind}<{name}>"));
    }

    fn moving(&mut self, out: &mut Writer, kind: &str, ty: Option<ComponentValType>) {
        let ty = self.maybe(ty);
        out.part(kind).part("<").child(ty).part(">");
        out.blocker = Some(kind.to_owned());
    }

    fn call_error(&mut self, result: ComponentValType) -> Option<CallError> {
        let types = self.types;
        let ComponentValType::Type(id) = result else { return None };
        let ComponentDefinedType::Result { err: Some(ComponentValType::Type(error)), .. } = &types[id] else {
            return None;
        };
        let ComponentDefinedType::Variant(variant) = &types[*error] else { return None };
        if self.is_call_error(*error) {
            return Some(CallError::Whole);
        }
        let mut payloads = variant.cases.iter().filter(|(name, _)| name.as_str() == "call").map(|(_, case)| case.ty);
        match payloads.next() {
            Some(Some(ComponentValType::Type(id))) if self.is_call_error(id) => Some(CallError::Case),
            _ => None,
        }
    }

    fn is_call_error(&mut self, id: ComponentDefinedTypeId) -> bool {
        self.defined(id).text == format!("#{}", Digest::of(CALL_ERROR.as_bytes()))
    }
}
