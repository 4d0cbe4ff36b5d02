//! The JSON Schema of the configuration file, for editors: made of the types that serde reads and of their documentation.
//!
//! Owns the schemas of values that read themselves: names, durations, patterns. A schema says which keys there are and
//! what their values look like. What needs the rest of the file, such as a name that is declared elsewhere, only
//! [`Config::load`](super::Config::load) can refuse.

use std::borrow::Cow;

use pointsman_translation::DialectFamily;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::admin::HostPort;
use super::decision_log::{RedactedKind, RedactedKinds};
use super::document::Config;
use super::edge::{KeyHash, ListenerConfig, Listeners};
use super::policy_test::UtcMoment;
use super::price::{PriceStep, PriceSteps};
use super::values::{Glob, Name, Ratio, TierModels, TimeSpan};

/// Returns the JSON Schema of the configuration file, of the draft that editors know best (7).
#[must_use]
pub fn config_schema() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Config>();
    schema.insert("title".to_owned(), "Pointsman configuration, version 1".into());
    schema.to_value()
}

/// Returns the schema of the APIs that a provider speaks.
pub(super) fn dialects(_: &mut SchemaGenerator) -> Schema {
    let names = DialectFamily::ALL.map(DialectFamily::as_str);
    json_schema!({"type": ["array", "null"], "items": {"type": "string", "enum": names}})
}

/// Gives a type that reads itself a schema of its own.
macro_rules! schemas {
    ($($type:ty: $name:literal = $schema:tt;)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

schemas! {
    Name: "Name" = {
        "description": "A name: 1 to 128 letters, digits and `._:/-`.",
        "type": "string",
        "pattern": "^[A-Za-z0-9._:/-]{1,128}$"
    };
    Ratio: "Ratio" = {
        "description": "A number between 0 and 1, both included.",
        "type": "number",
        "minimum": 0,
        "maximum": 1
    };
    TimeSpan: "TimeSpan" = {
        "description": "A length of time, as numbers with units: `20ms`, `2s`, `1h`, `1h 30m`.",
        "type": "string",
        "pattern": "^\\s*([0-9]+\\s*[A-Za-zµ]+\\s*)+$|^0$"
    };
    Glob: "Glob" = {
        "description": "A pattern over a whole text: `*` stands for any characters, `?` for one.",
        "type": "string",
        "pattern": "^[^{}\\\\!]{1,256}$"
    };
    HostPort: "HostPort" = {
        "description": "A host, with a port or without: `gateway.example`, `gateway.example:9090`.",
        "type": "string",
        "minLength": 1
    };
    KeyHash: "KeyHash" = {
        "description": "The SHA-256 of a key: the 64 hexadecimal digits that `pointsman hash-key` prints.",
        "type": "string",
        "pattern": "^[0-9A-Fa-f]{64}$"
    };
    UtcMoment: "UtcMoment" = {
        "description": "A moment in UTC, as in RFC 3339: `2026-11-23T09:30:00Z`.",
        "type": "string",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+[Zz]$"
    };
}

impl JsonSchema for TierModels {
    fn schema_name() -> Cow<'static, str> {
        "TierModels".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Name>();
        json_schema!({
            "description": "Labels and their models, the lowest tier first.",
            "type": "object",
            "additionalProperties": name
        })
    }
}

impl JsonSchema for Listeners {
    fn schema_name() -> Cow<'static, str> {
        "Listeners".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<ListenerConfig>();
        json_schema!({
            "description": "A listener, or a list of them.",
            "anyOf": [one, {"type": "array", "items": one}]
        })
    }
}

impl JsonSchema for RedactedKinds {
    fn schema_name() -> Cow<'static, str> {
        "RedactedKinds".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kind = generator.subschema_for::<RedactedKind>();
        json_schema!({
            "description": "True for every kind, false for none, or a list of kinds.",
            "anyOf": [{"type": "boolean"}, {"type": "array", "items": kind}]
        })
    }
}

impl JsonSchema for PriceSteps {
    fn schema_name() -> Cow<'static, str> {
        "PriceSteps".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let step = generator.subschema_for::<PriceStep>();
        json_schema!({
            "description": "The prices of long prompts: three steps at most.",
            "type": "array",
            "items": step,
            "maxItems": 3
        })
    }
}

#[cfg(test)]
mod tests;
