//! Reads typed values out of the [`tree`](super::tree), by serde, with errors that know their path.
//!
//! The types lead: the text `4.1` is a string where a string is wanted. An enum called [`KIND_TAGGED`] is read from a
//! mapping whose `kind` names the variant; serde's own `tag` would buffer the mapping and lose every place in it.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::nearest;
use super::problem::KeyStep;
use super::tree::{MapEntry, NodeContent, YamlNode, live};

/// The serde name of enums whose variant stands in `kind`.
pub(super) const KIND_TAGGED: &str = "kind";

/// The first thing that is wrong with the tree.
#[derive(Debug)]
pub(super) struct ReadFault {
    pub(super) message: String,
    pub(super) aim: FaultAim,
    /// Innermost step first.
    pub(super) steps: Vec<KeyStep>,
}

/// The object that a [`ReadFault`]'s path points at.
#[derive(Debug)]
pub(super) enum FaultAim {
    /// A value that is wrong.
    Value,
    /// A key that is wrong, and the one that was probably meant.
    Key { meant: Option<String> },
    /// A mapping that lacks a key.
    Missing(String),
}

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct NodeReader<'t> {
    node: &'t YamlNode,
    /// A key of the mapping that has been read already.
    skip: Option<&'static str>,
}

impl<'t> NodeReader<'t> {
    pub(super) const fn new(node: &'t YamlNode) -> Self {
        Self { node, skip: None }
    }

    fn text(self) -> Option<&'t str> {
        match &self.node.kind {
            NodeContent::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    fn is_null(self) -> bool {
        matches!(&self.node.kind, NodeContent::Scalar { text, plain: true } if ["", "~", "null"].contains(&text.as_str()))
    }

    fn wanted(self, what: &str) -> ReadFault {
        let got = match &self.node.kind {
            _ if self.is_null() => "nothing".to_owned(),
            NodeContent::Scalar { text, .. } if text.chars().count() > 60 => "a long text".to_owned(),
            NodeContent::Scalar { text, .. } => format!("`{text}`"),
            NodeContent::Map(_) => "a mapping".to_owned(),
            NodeContent::List(_) => "a list".to_owned(),
            NodeContent::Hole => "a bad value".to_owned(),
        };
        ReadFault::value(format!("must be {what}, got {got}"))
    }

    fn number<T: std::str::FromStr>(self, what: &str) -> Result<T, ReadFault> {
        let plain = matches!(self.node.kind, NodeContent::Scalar { plain: true, .. });
        self.text().filter(|_| plain).and_then(|text| text.parse().ok()).ok_or_else(|| self.wanted(what))
    }

    fn map(self) -> Option<MapReader<'t>> {
        match &self.node.kind {
            NodeContent::Map(entries) => Some(MapReader { entries: entries.iter(), skip: self.skip, current: None }),
            _ => None,
        }
    }

    fn variant_by_kind<V: Visitor<'t>>(self, variants: &[&str], visitor: V) -> Result<V::Value, ReadFault> {
        let NodeContent::Map(entries) = &self.node.kind else { return Err(self.wanted("a mapping with a `kind`")) };
        let kind = entries.iter().find(|entry| entry.key == "kind" && !entry.value.is_hole());
        let Some(kind) = kind else {
            return Err(ReadFault { aim: FaultAim::Missing("kind".into()), ..ReadFault::value("") });
        };
        let within = |fault: ReadFault| fault.under(KeyStep::Key("kind".into()));
        let reader = NodeReader::new(&kind.value);
        let name = reader.text().ok_or_else(|| within(reader.wanted(&list("one of ", variants))))?;
        if !variants.contains(&name) {
            return Err(within(ReadFault::value(unknown("unknown kind", name, variants))));
        }
        visitor.visit_enum(VariantReader { name, content: Some(Self { skip: Some("kind"), ..self }), keyed: false })
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $what:literal;)*) => {$(
        fn $method<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadFault> {
            visitor.$visit(self.number($what)?)
        }
    )*};
}

impl<'t> Deserializer<'t> for NodeReader<'t> {
    type Error = ReadFault;

    numbers! {
        deserialize_u8 visit_u8 "a whole number from 0 to 255";
        deserialize_u16 visit_u16 "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 "a whole number, 0 or more";
        deserialize_i8 visit_i8 "a whole number from -128 to 127";
        deserialize_i16 visit_i16 "a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 "a whole number from -2147483648 to 2147483647";
        deserialize_i64 visit_i64 "a whole number";
        deserialize_f32 visit_f32 "a number";
        deserialize_f64 visit_f64 "a number";
        deserialize_bool visit_bool "true or false";
    }

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        match &self.node.kind {
            NodeContent::Map(_) => self.deserialize_map(visitor),
            NodeContent::List(_) => self.deserialize_seq(visitor),
            NodeContent::Scalar { .. } if self.is_null() => visitor.visit_unit(),
            NodeContent::Scalar { text, plain: true } => plain_scalar(text, visitor),
            NodeContent::Scalar { text, .. } => visitor.visit_borrowed_str(text),
            NodeContent::Hole => Err(self.wanted("a value")),
        }
    }

    fn deserialize_str<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        let text = self.text().filter(|_| !self.is_null()).ok_or_else(|| self.wanted("text"))?;
        visitor.visit_borrowed_str(text)
    }

    fn deserialize_string<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        let NodeContent::List(nodes) = &self.node.kind else { return Err(self.wanted("a list")) };
        visitor.visit_seq(ListReader { nodes: live(nodes).map(|(_, node)| node).enumerate() })
    }

    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_map(self.map().ok_or_else(|| self.wanted("a mapping"))?)
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadFault> {
        visitor.visit_map(self.map().ok_or_else(|| self.wanted(&list("a mapping with the keys ", fields)))?)
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadFault> {
        if name == KIND_TAGGED {
            return self.variant_by_kind(variants, visitor);
        }
        match &self.node.kind {
            NodeContent::Scalar { text, .. } => {
                visitor.visit_enum(VariantReader { name: text, content: None, keyed: false })
            }
            NodeContent::Map(entries) if entries.len() == 1 && !entries[0].value.is_hole() => {
                let content = Some(NodeReader::new(&entries[0].value));
                visitor.visit_enum(VariantReader { name: &entries[0].key, content, keyed: true })
            }
            NodeContent::Map(_) => Err(ReadFault::value(list("must have exactly one key, one of ", variants))),
            NodeContent::List(_) | NodeContent::Hole => Err(self.wanted(&list("one of ", variants))),
        }
    }

    serde::forward_to_deserialize_any! {
        <W: Visitor<'t>>
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct MapReader<'t> {
    entries: std::slice::Iter<'t, MapEntry>,
    skip: Option<&'static str>,
    current: Option<&'t MapEntry>,
}

impl<'t> de::MapAccess<'t> for MapReader<'t> {
    type Error = ReadFault;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadFault> {
        let skip = self.skip;
        self.current = self.entries.find(|entry| !entry.value.is_hole() && Some(entry.key.as_str()) != skip);
        let Some(entry) = self.current else { return Ok(None) };
        let reader: StrDeserializer<'_, ReadFault> = entry.key.as_str().into_deserializer();
        seed.deserialize(reader).map(Some).map_err(|fault| fault.of_key(&entry.key))
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, ReadFault> {
        let entry = self.current.ok_or_else(|| ReadFault::value("a key comes before its value"))?;
        seed.deserialize(NodeReader::new(&entry.value)).map_err(|fault| fault.under(KeyStep::Key(entry.key.clone())))
    }
}

struct ListReader<I> {
    nodes: I,
}

impl<'t, I: Iterator<Item = (usize, &'t YamlNode)>> de::SeqAccess<'t> for ListReader<I> {
    type Error = ReadFault;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadFault> {
        let Some((index, node)) = self.nodes.next() else { return Ok(None) };
        seed.deserialize(NodeReader::new(node)).map(Some).map_err(|fault| fault.under(KeyStep::Index(index)))
    }
}

struct VariantReader<'t> {
    name: &'t str,
    content: Option<NodeReader<'t>>,
    /// True where the variant's name is the key of its content.
    keyed: bool,
}

impl VariantReader<'_> {
    fn locate(&self, fault: ReadFault) -> ReadFault {
        if self.keyed { fault.under(KeyStep::Key(self.name.to_owned())) } else { fault }
    }
}

impl<'t> de::EnumAccess<'t> for VariantReader<'t> {
    type Error = ReadFault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'t>>(self, seed: V) -> Result<(V::Value, Self), ReadFault> {
        let reader: StrDeserializer<'_, ReadFault> = self.name.into_deserializer();
        match seed.deserialize(reader) {
            Ok(value) => Ok((value, self)),
            Err(fault) if self.keyed => Err(fault.of_key(self.name)),
            Err(fault) => Err(ReadFault { aim: FaultAim::Value, ..fault }),
        }
    }
}

impl<'t> de::VariantAccess<'t> for VariantReader<'t> {
    type Error = ReadFault;

    fn unit_variant(self) -> Result<(), ReadFault> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(self.locate(ReadFault::value(format!("`{}` takes no value", self.name)))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'t>>(self, seed: T) -> Result<T::Value, ReadFault> {
        let Some(content) = self.content else {
            return Err(ReadFault::value(format!("`{0}` needs a value: {{{0}: ...}}", self.name)));
        };
        seed.deserialize(content).map_err(|fault| self.locate(fault))
    }

    fn tuple_variant<V: Visitor<'t>>(self, _: usize, _: V) -> Result<V::Value, ReadFault> {
        Err(ReadFault::value("lists as variants do not exist"))
    }

    fn struct_variant<V: Visitor<'t>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadFault> {
        let Some(content) = self.content else {
            return Err(ReadFault::value(list("must be a mapping with the keys ", fields)));
        };
        content.deserialize_struct("", fields, visitor).map_err(|fault| self.locate(fault))
    }
}

impl ReadFault {
    fn value(message: impl Into<String>) -> Self {
        Self { message: message.into(), aim: FaultAim::Value, steps: Vec::new() }
    }

    fn under(mut self, step: KeyStep) -> Self {
        self.steps.push(step);
        self
    }

    /// Says that the fault is `key` itself.
    fn of_key(mut self, key: &str) -> Self {
        if matches!(self.aim, FaultAim::Value) {
            self.aim = FaultAim::Key { meant: None };
        }
        self.under(KeyStep::Key(key.to_owned()))
    }
}

impl de::Error for ReadFault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::value(message.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::value(format!("must be {wanted}"))
    }

    fn unknown_variant(variant: &str, variants: &'static [&'static str]) -> Self {
        let meant = nearest(variant, variants.iter().copied()).map(str::to_owned);
        // The value itself is not repeated: under `credential` it may be a key.
        Self { aim: FaultAim::Key { meant }, ..Self::value(unknown("unknown value", variant, variants)) }
    }

    fn unknown_field(field: &str, fields: &'static [&'static str]) -> Self {
        let meant = nearest(field, fields.iter().copied()).map(str::to_owned);
        Self { aim: FaultAim::Key { meant }, ..Self::value(unknown("unknown key", field, fields)) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { aim: FaultAim::Missing(field.to_owned()), ..Self::value("is required") }
    }
}

impl std::error::Error for ReadFault {}

impl fmt::Display for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Reads a scalar without quotes as what it looks like, where any type will do.
fn plain_scalar<'t, V: Visitor<'t>>(text: &'t str, visitor: V) -> Result<V::Value, ReadFault> {
    if let Ok(value) = text.parse() {
        return visitor.visit_bool(value);
    }
    // Rust also reads `inf` and `nan`, which in YAML begin with a dot and in JSON do not exist.
    if text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        if let Ok(value) = text.parse() {
            return visitor.visit_u64(value);
        }
        if let Ok(value) = text.parse() {
            return visitor.visit_i64(value);
        }
        if let Some(value) = text.parse().ok().filter(|value: &f64| value.is_finite()) {
            return visitor.visit_f64(value);
        }
    }
    visitor.visit_borrowed_str(text)
}

fn unknown(what: &str, name: &str, allowed: &[&str]) -> String {
    let hint =
        nearest(name, allowed.iter().copied()).map_or(String::new(), |meant| format!(", did you mean `{meant}`?"));
    format!("{what}{hint} (allowed: {})", allowed.join(", "))
}

fn list(before: &str, names: &[&str]) -> String {
    format!("{before}{}", names.join(", "))
}
