//! A claim as the value of a header field.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

/// What does not stand in a value as it is. A `%` is written out so that the value can be decoded.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// Within an array the comma is what separates its items.
const ENCODED_ITEM: &AsciiSet = &ENCODED.add(b',');

/// The value for a claim: text as it is, numbers and truth values as JSON writes them, the items of a
/// plain array with commas between them, everything else as JSON. What cannot stand in a field value, and `%`,
/// is percent-encoded as UTF-8 (RFC 3986 §2.1); a comma within an item too.
///
/// # Security
/// The auth service lets users choose parts of it. No value can end the field or begin another (threats A8).
pub fn of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            let items = items.iter().filter_map(|item| Some(encoded(&plain(item)?, ENCODED_ITEM)));
            Some(items.collect::<Vec<_>>().join(","))
        }
        other => Some(encoded(&plain(other)?, ENCODED)),
    }
}

fn plain(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.into()),
        other => Some(other.to_string().into()),
    }
}

/// White space at the ends would be lost on the way, and is encoded too.
fn encoded(text: &str, set: &'static AsciiSet) -> String {
    let inner = text.trim_matches(' ');
    let spaces = |count: usize| "%20".repeat(count);
    let before = text.len().saturating_sub(text.trim_start_matches(' ').len());
    let after = text.len().saturating_sub(before).saturating_sub(inner.len());
    format!("{}{}{}", spaces(before), utf8_percent_encode(inner, set), spaces(after))
}
