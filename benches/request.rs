//! What a request costs in the core alone, natively: no host, no Wasm.

#[path = "../tests/common/mod.rs"]
mod common;

use std::rc::Rc;

use common::shared::SharedMemory;
use divan::Bencher;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use session_bearer::authenticator::{Authenticator, Step};
use session_bearer::config::Config;
use session_bearer::exchange::CalloutReply;
use session_bearer::request::Field;
use session_bearer::time::UnixTime;
use session_bearer::token::signature::InModule;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

fn main() {
    divan::main();
}

/// A request whose session is remembered.
#[divan::bench]
fn cached_session(bencher: Bencher<'_, '_>) {
    let (mut authenticator, answer) = (authenticator(), answer());
    let fields = with_session(0);
    exchange(&mut authenticator, &fields, &answer);
    bencher.bench_local(|| {
        let step = authenticator.on_request(&fields, 2, || None, NOW);
        authenticator.on_end(2);
        step
    });
}

/// A request with a session never seen before, from its head to its end.
#[divan::bench]
fn new_session(bencher: Bencher<'_, '_>) {
    let (mut authenticator, answer, mut number) = (authenticator(), answer(), 0);
    bencher
        .with_inputs(|| {
            number += 1;
            with_session(number)
        })
        .bench_local_values(|fields| exchange(&mut authenticator, &fields, &answer));
}

/// A request with a bearer never seen before.
#[divan::bench]
fn new_bearer(bencher: Bencher<'_, '_>) {
    let (mut authenticator, mut number) = (authenticator(), 0);
    bencher
        .with_inputs(|| {
            number += 1;
            head("authorization", &format!("Bearer {}", token(number)))
        })
        .bench_local_values(|fields| {
            let step = authenticator.on_request(&fields, 2, || None, NOW);
            assert!(matches!(step, Step::Continue(..)));
            authenticator.on_end(2);
        });
}

fn authenticator() -> Authenticator {
    let config = json!({
        "credentials": [{"bearer": {}}, {"session_cookie": {}}],
        "exchange": {"cluster": "auth", "authority": "auth", "path": "/jwt"},
        "token": {"keys": {"secret_env": "S"}},
    });
    let secret = String::from_utf8(SECRET.to_vec()).unwrap();
    let config = Config::read(config.to_string().as_bytes(), &|_| Some(secret.clone())).ok().unwrap();
    Authenticator::new(Rc::new(config), Rc::new(InModule), Rc::new(SharedMemory::default()), 0)
}

fn exchange(authenticator: &mut Authenticator, fields: &[Field], (answer, body): &(Vec<Field>, String)) {
    assert!(matches!(authenticator.on_request(fields, 1, || None, NOW), Step::Wait));
    let (flight, _) = authenticator.next_callout(NOW).unwrap();
    let outcome = authenticator.on_answer(flight, &CalloutReply { fields: answer, body: body.as_bytes() }, NOW);
    assert!(matches!(outcome.settled[0].step, Step::Continue(..)));
    authenticator.on_end(1);
}

fn answer() -> (Vec<Field>, String) {
    let fields = [(":status", "200"), ("content-type", "application/json")];
    (fields.map(field).to_vec(), json!({"token": token(0)}).to_string())
}

fn token(number: u32) -> String {
    let claims = json!({"iss": "a", "aud": "b", "sub": "ada", "exp": 1_700_000_900, "jti": number});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

fn with_session(number: u32) -> Vec<Field> {
    let session = format!("better-auth.session_token=abcdefghijklmnopqrstuvwxyz{number:06}.sig");
    head("cookie", &format!("theme=dark; {session}; lang=en"))
}

fn head(name: &str, value: &str) -> Vec<Field> {
    [(":method", "GET"), (":path", "/api/v1/auth/me"), ("accept", "*/*"), (name, value)].map(field).to_vec()
}

fn field((name, value): (&str, &str)) -> Field {
    (name.to_owned(), value.as_bytes().to_vec())
}
