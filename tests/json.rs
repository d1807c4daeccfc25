//! Strict JSON.

use serde_json::json;
use session_bearer::json::parse;

#[test]
fn valid_documents_keep_their_meaning() {
    for text in [
        "null",
        "true",
        "-1",
        "1.5",
        "18446744073709551615",
        r#""\u00e9\n""#,
        "[]",
        "[1,[2]]",
        "{}",
        r#"{"a":{"b":[null]}}"#,
        " {\"a\" : 1}\n",
    ] {
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text.as_bytes()).unwrap(), expected, "{text}");
    }
}

#[test]
fn ambiguous_or_broken_documents_are_refused() {
    let bad: &[&[u8]] = &[
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"{\"a\":1,}",
        b"{} {}",
        b"{\"a\":1,\"a\":1}",
        b"[{\"a\":1,\"\\u0061\":2}]",
        b"1e400",
        b"NaN",
        b"'a'",
        b"\"\xff\"",
        b"\"\\ud800\"",
        b"\xef\xbb\xbf{}",
        b"{a:1}",
        b"01",
        b"\"\n\"",
        b"nul",
    ];
    for text in bad {
        assert!(parse(text).is_err(), "{:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(parse(&nested(16)).is_ok());
    assert!(parse(&nested(17)).is_err());
    assert!(parse(&nested(100_000)).is_err());
    assert_eq!(parse(b"[[1]]").unwrap(), json!([[1]]));
}
