//! Decisions as Envoy's dynamic metadata, under the namespace `pointsman`.

use pointsman_protocols::envoy::protobuf::value::Kind;
use pointsman_protocols::envoy::protobuf::{ListValue, Struct, Value as EnvoyValue};
use serde_json::{Map, Value};

/// The namespace; an Envoy drops it unless `metadata_options` lets it in.
pub(super) const NAMESPACE: &str = "pointsman";

/// Returns a decision as metadata.
pub(super) fn of(decision: Map<String, Value>) -> Struct {
    let own = EnvoyValue { kind: Some(Kind::StructValue(structure(decision))) };
    Struct { fields: std::iter::once((NAMESPACE.to_owned(), own)).collect() }
}

fn structure(object: Map<String, Value>) -> Struct {
    Struct { fields: object.into_iter().map(|(key, value)| (key, converted(value))).collect() }
}

fn converted(value: Value) -> EnvoyValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => Kind::ListValue(ListValue { values: values.into_iter().map(converted).collect() }),
        Value::Object(object) => Kind::StructValue(structure(object)),
    };
    EnvoyValue { kind: Some(kind) }
}
