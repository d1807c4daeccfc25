//! What a request costs in the core alone, natively: no host, no Wasm.

#[path = "../tests/common/mod.rs"]
mod common;

use std::rc::Rc;

use common::shared::SharedMemory;
use divan::Bencher;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use session_bearer::authenticator::Authenticator;
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

fn token() -> String {
    let claims = json!({"iss": "a", "aud": "b", "sub": "ada", "exp": 1_700_000_900});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

fn head(cookie: &str) -> Vec<Field> {
    let fields = [(":method", "GET"), (":path", "/api/v1/auth/me"), ("accept", "*/*"), ("cookie", cookie)];
    fields.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec()
}

/// A request whose session is remembered.
#[divan::bench]
fn cached_session(bencher: Bencher<'_, '_>) {
    let config = json!({
        "credentials": [{"session_cookie": {}}],
        "exchange": {"cluster": "auth", "authority": "auth", "path": "/jwt"},
        "token": {"keys": {"secret_env": "S"}},
    });
    let secret = String::from_utf8(SECRET.to_vec()).unwrap();
    let config = Config::read(config.to_string().as_bytes(), &|_| Some(secret.clone())).ok().unwrap();
    let mut authenticator = Authenticator::new(Rc::new(config), Rc::new(InModule), Rc::new(SharedMemory::default()), 0);
    let fields = head("theme=dark; better-auth.session_token=abcdefghijklmnopqrstuvwxyz012345.sig; lang=en");
    authenticator.on_request(&fields, 1, || None, NOW);
    let (flight, _) = authenticator.next_callout(NOW).unwrap();
    let answer = [(":status", "200"), ("content-type", "application/json")];
    let answer = answer.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let body = json!({"token": token()}).to_string();
    authenticator.on_answer(flight, &CalloutReply { fields: &answer, body: body.as_bytes() }, NOW);
    bencher.bench_local(|| {
        let step = authenticator.on_request(&fields, 2, || None, NOW);
        authenticator.on_end(2);
        step
    });
}
