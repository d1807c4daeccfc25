//! What a request whose session is known costs in memory. The counts are exact, so that nothing creeps in.

mod common;
mod world;

use allocation_counter::{AllocationInfo, measure};
use common::{minimal, minimal_with};
use serde_json::{Value, json};
use session_bearer::authenticator::Step;
use session_bearer::request::Field;
use world::session::{ask, head, known};

/// A request and its response, each part measured: the head with its edits, the response, the end.
fn parts_of_a_hit(config: &Value) -> [AllocationInfo; 3] {
    let (mut world, _) = known(config);
    // What is made once, such as room in a table, is made by now.
    ask(&mut world);
    let (fields, now, stream) = (head().with("user-agent", "x").cookie("theme=dark"), world.now, 99);
    let response: Vec<Field> = vec![(":status".to_owned(), b"200".to_vec())];
    let core = &mut world.authenticator;
    let mut edits = 0;
    let request = measure(|| {
        let Step::Continue(made, state) = core.on_request(&fields.0, stream, || None, now) else { panic!("no hit") };
        edits = made.iter().count() + state.entries().count();
    });
    assert!(edits > 3, "something is set");
    let response = measure(|| drop(core.on_response(stream, || response, || panic!("the clock is not read"))));
    let end = measure(|| core.on_end(stream));
    [request, response, end]
}

#[test]
fn hit_allocates_four_times_and_its_response_never() {
    let [request, response, end] = parts_of_a_hit(&minimal());
    assert_eq!((request.count_total, response.count_total, end.count_total), (4, 0, 0));
    assert!(request.bytes_total <= 512, "{} bytes", request.bytes_total);
}

#[test]
fn claim_fields_cost_a_hit_no_allocation() {
    let config = minimal_with("/upstream/claim_headers", json!({"x-user-id": "/sub", "x-issuer": "/iss"}));
    let [request, ..] = parts_of_a_hit(&config);
    assert_eq!(request.count_total, 4);
}

#[test]
fn memory_of_a_hit_is_given_back() {
    let parts = parts_of_a_hit(&minimal());
    // The response was made by the test and is given back by the core.
    let [request, _, end] = &parts;
    assert_eq!((request.count_current, end.count_current), (0, 0));
}
