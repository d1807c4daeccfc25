//! Durations as the operator writes them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// A length of time, written as a whole number and a unit: `ms`, `s`, `m` or `h`.
#[derive(Clone, Copy)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;
        impl Visitor<'_> for SpanVisitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a duration such as "500ms", "30s" or "10m""#)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                span(text).map(Span).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(SpanVisitor)
    }
}

fn span(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let count: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => count,
        "s" => count.checked_mul(1000)?,
        "m" => count.checked_mul(60_000)?,
        "h" => count.checked_mul(3_600_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(millis))
}
