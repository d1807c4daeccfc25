//! The one session most tests are about.

use serde_json::Value;

use super::{Fate, Reply, World};
use crate::common::{Head, claims, get, sign};

/// A request with that session.
pub fn head() -> Head {
    get("/api/x").cookie("sid=abc")
}

/// The session's token; it differs from those made at other moments.
pub fn token_at(world: &World) -> String {
    sign(&claims("ada", world.now))
}

/// What becomes of such a request now.
pub fn ask(world: &mut World) -> Fate {
    let stream = world.request(head());
    world.fate(stream)
}

/// A world that knows the session, and its token.
pub fn known(config: &Value) -> (World, String) {
    let mut world = World::with(config);
    let token = token_at(&world);
    assert_eq!(world.exchange(head(), &Reply::token(&token)), passed(&token));
    (world, token)
}

/// It reached the backend with this token and without a cookie.
pub fn passed(token: &str) -> Fate {
    Fate::Passed { authorization: vec![format!("Bearer {token}")], cookie: None }
}

/// It reached the backend with nothing that says who it is from.
pub fn anonymous() -> Fate {
    Fate::Passed { authorization: vec![], cookie: None }
}
