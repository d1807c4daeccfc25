//! The section `cache`.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Problems, numbered};
use crate::cache::Limits;
use crate::config::raw::RawCache;
use crate::config::span::Span;
use crate::path::RequestPath;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// What `refresh_ahead` is at most where it is not written.
const DEFAULT_REFRESH_AHEAD: Duration = Duration::from_secs(10);

/// The bounds of the token cache.
pub fn limits(raw: &RawCache, problems: &mut Problems) -> Option<Limits> {
    problems.span("cache.max_ttl", raw.max_ttl, SECOND..=DAY, r#""1s" to "24h""#);
    problems.range("cache.max_entries", raw.max_entries, 1..=10_000_000);
    problems.range("cache.max_bytes", raw.max_bytes, 16_384..=1024 * 1024 * 1024);
    problems.range("cache.shared_slots", raw.shared_slots, 0..=262_144);
    problems.span("cache.negative_ttl", raw.negative_ttl, Duration::ZERO..=Duration::from_secs(300), r#""0s" to "5m""#);
    problems.span("cache.stale_if_error", raw.stale_if_error, Duration::ZERO..=DAY, r#""0s" to "24h""#);
    Some(Limits {
        max_ttl: raw.max_ttl.0,
        refresh_ahead: refresh_ahead(raw, problems),
        stale_if_error: raw.stale_if_error.0,
        max_entries: NonZeroUsize::new(raw.max_entries)?,
        max_bytes: NonZeroUsize::new(raw.max_bytes)?,
    })
}

fn refresh_ahead(raw: &RawCache, problems: &mut Problems) -> Duration {
    let Some(Span(written)) = raw.refresh_ahead else {
        return DEFAULT_REFRESH_AHEAD.min(raw.max_ttl.0.checked_div(3).unwrap_or_default());
    };
    if written >= raw.max_ttl.0 {
        let text = format!("{written:?} is not less than cache.max_ttl, {:?}; a third of that is usual", raw.max_ttl.0);
        problems.add("cache.refresh_ahead", text);
    }
    written
}

/// Paths that sign out are compared with paths that can be read in one way only.
pub fn sign_out_paths(paths: &[String], problems: &mut Problems) {
    for (place, path) in numbered("sign_out_paths", paths) {
        if RequestPath::parse(path.as_bytes()).plain() != Some(path.as_str()) {
            let text = format!(
                "{path:?} can never match: write a path that starts with \"/\", decoded, without query, \"//\", \"..\" or \";\""
            );
            problems.add(format!("cache.{place}"), text);
        }
    }
}
