//! A reader of cookies that has nothing in common with the filter's.

/// All cookies of these `Cookie` fields, as name and value, by `;` and `=` alone.
pub fn cookies<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Vec<(&'a [u8], &'a [u8])> {
    let segments = fields.into_iter().flat_map(|field| field.split(|&byte| byte == b';'));
    let pairs = segments.filter_map(|segment| Some(segment.split_at(segment.iter().position(|&byte| byte == b'=')?)));
    pairs.map(|(name, value)| (trim(name), trim(&value[1..]))).collect()
}

fn trim(bytes: &[u8]) -> &[u8] {
    let text = |b: &u8| !matches!(b, b' ' | b'\t');
    match (bytes.iter().position(text), bytes.iter().rposition(text)) {
        (Some(start), Some(end)) => &bytes[start..=end],
        _ => &[],
    }
}
