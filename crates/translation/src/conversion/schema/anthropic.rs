//! The form of JSON schema that Anthropic takes for answers and for strict tools, and refuses every other one.
//!
//! As its own SDK does it: every object is closed, and a keyword that the API does not take is said in the description,
//! where the model may follow it. What that would make another schema of has no such form.

mod definitions;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use serde_json::value::RawValue;

use self::definitions::Definitions;
use super::DEEPEST;
use crate::json::writer::{ListWriter, ObjectWriter};
use crate::json::{self, Fields};

/// The formats of texts that the API takes.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// The types of JSON schema.
const TYPES: [&str; 7] = ["object", "array", "string", "integer", "number", "boolean", "null"];

/// Keywords that say nothing to a model, and those that are written in their own places.
const SILENT: [&str; 10] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "propertyOrdering",
    "description",
    "title",
    "strict",
];

/// A schema in the form that Anthropic takes.
#[derive(Debug)]
pub struct AnthropicSchema {
    /// The schema.
    pub json: String,
    /// The differences to the client's in what it says, in words; `None` where it says the same.
    pub changes: Option<String>,
}

impl AnthropicSchema {
    /// Puts a schema into the form; `None` where it has none: it is recursive, or leaves an object or a value open.
    #[must_use]
    pub fn of(schema: &RawValue) -> Option<Self> {
        Self::written(schema, false)
    }

    /// Puts the schema of a tool's input into the form, as [`Self::of`]; an object without properties is that of a tool that
    /// takes nothing.
    #[must_use]
    pub fn of_input(schema: &RawValue) -> Option<Self> {
        Self::written(schema, true)
    }

    fn written(schema: &RawValue, may_be_empty: bool) -> Option<Self> {
        let root = Fields::of(schema)?;
        let definitions = Definitions::of(&root)?;
        let mut writer = SchemaWriter { definitions: &definitions, may_be_empty, changes: SchemaChanges::default() };
        let mut out = Vec::with_capacity(schema.get().len() + 64);
        let mut object = ObjectWriter::open(&mut out);
        if !definitions.is_empty() {
            let mut named = object.object("$defs");
            for (name, raw) in definitions.iter() {
                writer.write(raw, DEEPEST - 1, named.key(name))?;
            }
            named.close();
        }
        writer.write_members(&root, DEEPEST, &mut object)?;
        object.close();
        let json = String::from_utf8(out).ok()?;
        Some(Self { json, changes: writer.changes.in_words() })
    }
}

/// The differences between a schema and the form that the API takes.
#[derive(Default)]
struct SchemaChanges {
    /// True where an object was closed.
    closes: bool,
    /// True where exactly one of several became any of them.
    widens: bool,
    /// The keywords that the description says now.
    described: BTreeSet<String>,
}

impl SchemaChanges {
    fn in_words(&self) -> Option<String> {
        let described: Vec<_> = self.described.iter().map(String::as_str).collect();
        let described = format!("in the description: {}", described.join(", "));
        let said = [
            (self.closes, "closed objects"),
            (self.widens, "oneOf: anyOf"),
            (!self.described.is_empty(), described.as_str()),
        ];
        let said: Vec<_> = said.into_iter().filter(|(is_said, _)| *is_said).map(|(_, words)| words).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// The schemas that one of several is enough for, and the keyword that says so.
struct Union<'s> {
    keyword: &'static str,
    variants: Vec<&'s RawValue>,
}

/// A writer of the form.
struct SchemaWriter<'d> {
    definitions: &'d Definitions<'d>,
    /// True where the root may be an object that holds nothing.
    may_be_empty: bool,
    changes: SchemaChanges,
}

impl SchemaWriter<'_> {
    fn write(&mut self, schema: &RawValue, depth: usize, out: &mut Vec<u8>) -> Option<()> {
        let fields = Fields::of(schema).filter(|_| depth > 0)?;
        let mut object = ObjectWriter::open(out);
        self.write_members(&fields, depth, &mut object)?;
        object.close();
        Some(())
    }

    fn write_members(&mut self, fields: &Fields<'_>, depth: usize, object: &mut ObjectWriter<'_>) -> Option<()> {
        let mut said = Vec::from(SILENT);
        if fields.get("$ref").is_some() {
            self.write_reference(fields, object)?;
            said.push("$ref");
        } else if has_literals(fields) {
            // They say the type too.
            said.push("type");
            for keyword in ["enum", "const"] {
                if let Some(raw) = fields.get(keyword).filter(|raw| is_literal(keyword, raw)) {
                    object.raw(keyword, raw.get());
                    said.push(keyword);
                }
            }
        } else if let Some(union) = union(fields) {
            said.extend(["type", union.keyword]);
            self.write_union(&union, fields, depth, object)?;
        } else {
            said.push("type");
            self.write_typed(fields, depth, object, &mut said)?;
        }
        self.write_notes(fields, &said, object);
        Some(())
    }

    /// Writes a reference to a definition. It stands alone: in a union of one where something is beside it.
    fn write_reference(&mut self, fields: &Fields<'_>, object: &mut ObjectWriter<'_>) -> Option<()> {
        let reference = self.definitions.written(&fields.text("$ref")?)?;
        if ["properties", "items", "anyOf", "oneOf", "allOf"].iter().any(|keyword| fields.get(keyword).is_some()) {
            return None;
        }
        let says_nothing = |keyword: &str| SILENT.contains(&keyword) && !matches!(keyword, "description" | "title");
        if fields.iter().all(|(keyword, _)| keyword == "$ref" || says_nothing(keyword)) {
            object.text("$ref", &reference);
            return Some(());
        }
        let mut variants = ListWriter::open(object.key("anyOf"));
        let mut variant = ObjectWriter::open(variants.next());
        variant.text("$ref", &reference);
        variant.close();
        variants.close();
        Some(())
    }

    fn write_union(
        &mut self,
        union: &Union<'_>,
        fields: &Fields<'_>,
        depth: usize,
        object: &mut ObjectWriter<'_>,
    ) -> Option<()> {
        // Closed, an object's own properties and those of its variants would shut each other out.
        let others = ["properties", "items", "anyOf", "oneOf", "allOf"];
        let is_joined = others.iter().any(|keyword| *keyword != union.keyword && fields.get(keyword).is_some());
        if is_joined || (union.keyword == "allOf" && union.variants.len() != 1) {
            return None;
        }
        self.changes.widens |= union.keyword == "oneOf";
        let mut variants = ListWriter::open(object.key("anyOf"));
        for variant in &union.variants {
            self.write(variant, depth - 1, variants.next())?;
        }
        variants.close();
        Some(())
    }

    /// Writes a schema that has a type, or one for each of several types.
    fn write_typed(
        &mut self,
        fields: &Fields<'_>,
        depth: usize,
        object: &mut ObjectWriter<'_>,
        said: &mut Vec<&'static str>,
    ) -> Option<()> {
        let kinds = kinds(fields)?;
        if let [kind] = kinds[..] {
            object.word("type", kind);
            return self.write_of_type(kind, fields, depth, &mut TypedWriting { object, said });
        }
        let mut variants = ListWriter::open(object.key("anyOf"));
        for kind in kinds {
            let mut variant = ObjectWriter::of_type(kind, variants.next());
            self.write_of_type(kind, fields, depth, &mut TypedWriting { object: &mut variant, said: &mut *said })?;
            variant.close();
        }
        variants.close();
        Some(())
    }

    /// Writes the keywords of one type.
    fn write_of_type(
        &mut self,
        kind: &str,
        fields: &Fields<'_>,
        depth: usize,
        writing: &mut TypedWriting<'_, '_>,
    ) -> Option<()> {
        let TypedWriting { object, said } = writing;
        match kind {
            "object" => {
                said.extend(["properties", "required", "additionalProperties"]);
                self.write_properties(fields, depth, object)?;
            }
            "string" => {
                let format = fields.text("format").filter(|format| FORMATS.contains(&&**format));
                if let Some(format) = format {
                    object.text("format", &format);
                    said.push("format");
                }
            }
            "array" => {
                if let Some(items) = fields.get("items") {
                    self.write(items, depth - 1, object.key("items"))?;
                    said.push("items");
                }
                if let Some(least) = fields.value::<u64>("minItems").filter(|least| *least <= 1) {
                    object.value("minItems", &least);
                    said.push("minItems");
                }
            }
            _ => {}
        }
        Some(())
    }

    fn write_properties(&mut self, fields: &Fields<'_>, depth: usize, object: &mut ObjectWriter<'_>) -> Option<()> {
        let properties = fields.object("properties");
        let is_empty = properties.as_ref().is_none_or(Fields::is_empty);
        let is_closed = fields.value::<bool>("additionalProperties") == Some(false);
        let says_more = ["additionalProperties", "patternProperties"].iter().any(|name| fields.get(name).is_some());
        let takes_nothing = self.may_be_empty && depth == DEEPEST && properties.is_some() && !says_more;
        if is_empty && !is_closed && !takes_nothing {
            // Closed, it would be an object that holds nothing.
            return None;
        }
        let properties = properties.unwrap_or_default();
        let required = fields.list("required");
        let names: HashSet<_> = properties.iter().map(|(name, _)| name).collect();
        let is_known = |name: &&RawValue| json::text(name).is_some_and(|name| names.contains(&*name));
        if !required.iter().all(is_known) {
            return None;
        }
        let mut named = object.object("properties");
        for (name, schema) in properties.iter() {
            self.write(schema, depth - 1, named.key(name))?;
        }
        named.close();
        if let Some(required) = fields.get("required") {
            object.raw("required", required.get());
        }
        object.raw("additionalProperties", "false");
        self.changes.closes |= !is_closed;
        Some(())
    }

    /// Writes the title and the description, which says the keywords that the API does not take.
    fn write_notes(&mut self, fields: &Fields<'_>, said: &[&str], object: &mut ObjectWriter<'_>) {
        object.optional_text("title", fields.text("title").as_deref());
        let others: Vec<_> = fields.iter().filter(|(keyword, _)| !said.contains(keyword)).collect();
        let description = fields.text("description");
        if others.is_empty() {
            return object.optional_text("description", description.as_deref());
        }
        let in_words = |(keyword, raw): &(&str, &RawValue)| {
            format!("{keyword}: {}", json::text(raw).unwrap_or(Cow::Borrowed(raw.get())))
        };
        let rules = others.iter().map(in_words).collect::<Vec<_>>().join(", ");
        let rules = format!("{{{rules}}}");
        let text = description.map_or_else(|| rules.clone(), |description| format!("{description}\n\n{rules}"));
        object.text("description", &text);
        self.changes.described.extend(others.into_iter().map(|(keyword, _)| keyword.to_owned()));
    }
}

/// The results of writing the keywords of a type.
struct TypedWriting<'w, 'o> {
    object: &'w mut ObjectWriter<'o>,
    /// The keywords that are said, or need not be.
    said: &'w mut Vec<&'static str>,
}

/// Returns the types of a schema, which its keywords tell where it names none.
fn kinds(fields: &Fields<'_>) -> Option<Vec<&'static str>> {
    let known = |kind: Cow<'_, str>| TYPES.into_iter().find(|known| *known == kind);
    match fields.get("type") {
        Some(raw) if json::is_text(raw) => Some(vec![json::text(raw).and_then(known)?]),
        Some(raw) => {
            let kinds: Option<Vec<_>> =
                json::list(raw)?.into_iter().map(|kind| json::text(kind).and_then(known)).collect();
            kinds.filter(|kinds| !kinds.is_empty())
        }
        None if fields.get("properties").is_some() => Some(vec!["object"]),
        None if fields.get("items").is_some() => Some(vec!["array"]),
        None => None,
    }
}

fn union<'s>(fields: &Fields<'s>) -> Option<Union<'s>> {
    ["anyOf", "oneOf", "allOf"].into_iter().find_map(|keyword| {
        let variants = fields.get(keyword).and_then(json::list).filter(|variants| !variants.is_empty())?;
        Some(Union { keyword, variants })
    })
}

fn has_literals(fields: &Fields<'_>) -> bool {
    ["enum", "const"].iter().any(|keyword| fields.get(keyword).is_some_and(|raw| is_literal(keyword, raw)))
}

/// Tells whether a keyword names values, none of which is an object or a list.
fn is_literal(keyword: &str, raw: &RawValue) -> bool {
    let is_plain = |raw: &RawValue| !raw.get().starts_with(['{', '[']);
    match keyword {
        "const" => is_plain(raw),
        _ => json::list(raw).is_some_and(|values| !values.is_empty() && values.iter().all(|raw| is_plain(raw))),
    }
}

#[cfg(test)]
mod tests;
