//! The section `csrf`.

use super::{Problems, numbered};
use crate::config::raw::RawCsrf;
use crate::origin::{OriginRules, can_be_forged, normalised};

/// Which requests are the site's own, and what of that is probably not meant.
pub fn origin_rules(raw: RawCsrf, problems: &mut Problems, warnings: &mut Vec<String>) -> OriginRules {
    let mut trusted = Vec::new();
    for (place, written) in numbered("trusted_origins", &raw.trusted_origins) {
        match normalised(written) {
            Ok(origin) => trusted.push(origin),
            Err(mistake) => problems.add(format!("csrf.{place}"), format!("{written:?} {mistake}")),
        }
    }
    for origin in trusted.iter().filter(|origin| can_be_forged(origin)) {
        warnings.push(format!(
            "csrf.trusted_origins: {origin:?} is not https: whoever sits on the way can send requests from there"
        ));
    }
    if raw.insecure_allow_missing_origin {
        warnings.push(
            "csrf.insecure_allow_missing_origin is on: a request that does not say where it comes from has an effect"
                .to_owned(),
        );
    }
    if raw.insecure_disable {
        warnings
            .push("csrf.insecure_disable is on: any site can have a signed-in browser send requests here".to_owned());
    }
    OriginRules { trusted, allow_missing: raw.insecure_allow_missing_origin, disabled: raw.insecure_disable }
}
