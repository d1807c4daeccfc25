//! Cookies: what counts as ours, byte for byte.

mod common;

use session_bearer::cookie::{Conflict, CookieNames, Rest};

fn ours() -> CookieNames {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    CookieNames { sessions: names(&["__Host-s", "s"]), companions: names(&["c"]), tokens: names(&["t", "u"]) }
}

/// The session as `name=value`, or the conflict.
fn session(fields: &[&[u8]]) -> Result<Option<String>, Conflict> {
    let cookies = ours();
    let (jar, _) = cookies.read(fields.iter().copied())?;
    let show = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok(jar.session().map(|pair| format!("{}={}", show(pair.name), show(pair.value))))
}

#[track_caller]
fn check(field: impl AsRef<[u8]>, expected: Option<&str>) {
    assert_eq!(
        session(&[field.as_ref()]),
        Ok(expected.map(str::to_owned)),
        "{:?}",
        String::from_utf8_lossy(field.as_ref())
    );
}

#[test]
fn pair_is_found_wherever_it_stands() {
    for field in ["s=1", "a=2; s=1", "s=1; a=2", "a=2;s=1;b=3", " s=1 ", ";;s=1;;", "a; s=1; =b", "a=\"; s=1; \""] {
        check(field, Some("s=1"));
    }
}

#[test]
fn first_listed_name_wins_over_the_first_sent() {
    check("s=1; __Host-s=2", Some("__Host-s=2"));
}

#[test]
fn lists_do_not_get_in_each_others_way() {
    let cookies = ours();
    let (jar, rest) = cookies.read([b"u=4; c=2; a=0; t=3; s=1".as_slice()].into_iter()).unwrap();
    assert_eq!(jar.session().map(|pair| pair.value), Some(b"1".as_slice()));
    assert_eq!(jar.token().map(|pair| pair.value), Some(b"3".as_slice()));
    assert_eq!(jar.companions().len(), 1);
    assert_eq!(rest, Rest::Pairs(b"a=0".to_vec()));
}

#[test]
fn value_keeps_every_byte_between_the_semicolons() {
    for (field, expected) in [("s=a=b=c", "s=a=b=c"), ("s=%20%3B", "s=%20%3B"), ("s=\"q\"", "s=\"q\""), ("s=", "s=")] {
        check(field, Some(expected));
    }
}

#[test]
fn name_matches_byte_for_byte() {
    let not_ours: &[&[u8]] = &[
        b"S=1",
        b"ss=1",
        b"xs=1",
        b"s",
        b"$s=1",
        b"=s=1",
        b"=__Host-s=1",
        b"__host-s=1",
        b"\"s\"=1",
        b"%73=1",
        b"\xa0s=1",
        b"\x85s=1",
        b"\xe2\x80\x80s=1",
        b"s\x00=1",
        b"\x0bs=1",
        b"a=1,s=2",
    ];
    for field in not_ours {
        check(field, None);
    }
}

#[test]
fn fields_count_in_the_order_they_arrive() {
    assert_eq!(session(&[b"a=1", b"s=2"]), Ok(Some("s=2".to_owned())));
    assert_eq!(session(&[b"s=1", b"s=2"]), Err(Conflict));
    assert_eq!(session(&[b"s=1", b"s=1"]), Ok(Some("s=1".to_owned())));
    assert_eq!(session(&[b"s=1; s="]), Err(Conflict));
    assert_eq!(session(&[]), Ok(None));
}

#[test]
fn fields_without_ours_are_left_untouched() {
    for field in ["a=1", "", ";;", "a=1;  b = 2 ;"] {
        let cookies = ours();
        let (_, rest) = cookies.read([field.as_bytes()].into_iter()).unwrap();
        assert_eq!(rest, Rest::Untouched, "{field:?}");
    }
}

#[test]
fn ours_can_be_anywhere_and_nothing_else_moves() {
    for (fields, rest) in [
        (vec!["s=1"], Rest::Empty),
        (vec!["s=1", "c=2"], Rest::Empty),
        (vec!["a=1;  b = 2 ;s=3;\tx"], Rest::Pairs(b"a=1;  b = 2 ;\tx".to_vec())),
        (vec!["a=1 ; s=2 ;  b=3\t"], Rest::Pairs(b"a=1 ;  b=3\t".to_vec())),
        (vec![";s=1;; a=1;"], Rest::Pairs(b"a=1;".to_vec())),
        (vec!["s=1;", " ;\ts=1; ;"], Rest::Empty),
        (vec!["c=1; a", "s=2; b=é"], Rest::Pairs("a; b=é".as_bytes().to_vec())),
    ] {
        let cookies = ours();
        let (_, actual) = cookies.read(fields.iter().map(|field| field.as_bytes())).unwrap();
        assert_eq!(actual, rest, "{fields:?}");
    }
}

#[test]
fn ten_thousand_pairs_are_read_in_one_pass() {
    let mut field = "a=1; ".repeat(10_000);
    field.push_str("s=1");
    check(&field, Some("s=1"));
}

#[test]
fn any_bytes_at_all_are_read_without_a_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let alphabet = b"s=; c\"\t\x00\xffa__Host-";
        let field: Vec<u8> = (0..random.usize(..24)).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
        let _ = session(&[&field, b"s=1"]);
    }
}
