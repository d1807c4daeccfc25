//! From the bytes Envoy hands over to a JSON value.
//!
//! A `StringValue` arrives as its text. A `Struct` arrives as protobuf wire bytes, although Envoy's API
//! text promises JSON; its numbers are all doubles.

use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{Struct, Value as ProtoValue};
use serde_json::{Map, Number, Value};

use super::Problem;
use crate::json;

/// The largest double up to which all whole numbers have one.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Reads a document in either form.
pub fn read(bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.is_empty() {
        return Err(Problem::new(
            "",
            "there is no configuration; write it as JSON text or as a google.protobuf.Struct",
        ));
    }
    json::parse(bytes).or_else(|error| {
        // The first byte of a Struct on the wire is a line feed, which JSON takes for white space.
        let message = Struct::decode(bytes).ok().filter(|message| !message.fields.is_empty());
        message.and_then(object).ok_or_else(|| Problem::new("", format!("not JSON: {error}")))
    })
}

fn object(message: Struct) -> Option<Value> {
    let members = message.fields.into_iter().map(|(name, value)| Some((name, value_of(value)?)));
    members.collect::<Option<Map<_, _>>>().map(Value::Object)
}

fn value_of(value: ProtoValue) -> Option<Value> {
    Some(match value.kind? {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(value) => Value::Bool(value),
        Kind::StringValue(value) => Value::String(value),
        Kind::NumberValue(value) => Value::Number(number(value)?),
        Kind::StructValue(value) => object(value)?,
        Kind::ListValue(list) => Value::Array(list.values.into_iter().map(value_of).collect::<Option<_>>()?),
    })
}

/// A whole number where there is one: nobody wrote the point that a double has.
fn number(value: f64) -> Option<Number> {
    let whole = value.fract() == 0.0 && value.abs() <= MAX_WHOLE;
    if whole { Some(Number::from(value as i64)) } else { Number::from_f64(value) }
}
