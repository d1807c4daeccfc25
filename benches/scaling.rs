//! What a worker, a process and a mesh cost the auth service, simulated with the real core in virtual time.
//!
//! `cargo bench --bench scaling` prints one JSON object for each row of `docs/scaling.md`, which
//! `benches/scaling_plots.py` writes from them. `-- PART…` runs some parts only.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "scaling/mesh.rs"]
mod mesh;
#[path = "scaling/service.rs"]
mod service;
#[path = "scaling/traffic.rs"]
mod traffic;

use mesh::{Cache, Mesh, Tally};
use serde_json::{Value, json};
use traffic::{Arrival, Group, Reach, Traffic};

/// The longest lives that are looked at, in seconds.
const TTLS: [u64; 5] = [15, 30, 60, 120, 300];

/// A million sessions: a tenth sends a request every five seconds, the others one every five minutes.
const MILLION: [Group; 2] = [Group { sessions: 100_000, rate: 0.2 }, Group { sessions: 900_000, rate: 1.0 / 300.0 }];

/// The tenth part of them.
const HUNDRED_THOUSAND: [Group; 2] =
    [Group { sessions: 10_000, rate: 0.2 }, Group { sessions: 90_000, rate: 1.0 / 300.0 }];

const DEFAULT: Cache = Cache { max_ttl: 60, max_entries: 10_000, shared_slots: 4096, max_in_flight: 256 };

/// With room for every session that reaches a process.
const ROOMY: Cache = Cache { max_entries: 100_000, shared_slots: 262_144, ..DEFAULT };

type Part = (&'static str, fn());

const PARTS: [Part; 10] = [
    ("worker", worker),
    ("process", process),
    ("mesh", mesh_by_ttl),
    ("reach", mesh_by_reach),
    ("sample", sample),
    ("whole", whole),
    ("bounds", bounds),
    ("page", page),
    ("logout", logout),
    ("storm", storm),
];

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|other| other == name);
    for (nth, (name, run)) in PARTS.iter().enumerate().filter(|(_, (name, _))| is_chosen(name)) {
        eprintln!("scaling: {} of {}, {name}", nth + 1, PARTS.len());
        run();
    }
}

fn print(part: &str, row: &Value) {
    let mut row = row.clone();
    row["part"] = json!(part);
    println!("{row}");
}

/// A mesh in its usual state: its sessions come into use within one `max_ttl`, it is left alone for another one, and
/// is looked at for as long as `measured`. The rates are those of the whole mesh.
fn steady(part: &str, groups: &[Group], reach: Reach, cache: Cache, measured: f64) {
    let mut random = fastrand::Rng::with_seed(7);
    let ttl = cache.max_ttl as f64;
    let mut mesh = Mesh::new(reach.simulated, reach.workers, cache, &mut random);
    let mut traffic = Traffic::new(groups, reach, ttl, random);
    traffic.drive(&mut mesh, 2.0 * ttl);
    let before = mesh.tally();
    traffic.drive(&mut mesh, 2.0 * ttl + measured);
    let whole = reach.mesh as f64 / reach.simulated as f64;
    let mut row = parameters(groups, reach, cache);
    add_rates(&mut row, mesh.tally() - before, whole / measured);
    row["measured_callouts"] = json!((mesh.tally() - before).callouts);
    row["seconds"] = json!(measured);
    print(part, &row);
}

fn parameters(groups: &[Group], reach: Reach, cache: Cache) -> Value {
    let groups: Vec<_> = groups.iter().map(|group| json!([group.sessions, group.rate])).collect();
    json!({
        "groups": groups, "mesh": reach.mesh, "reach": reach.processes, "simulated": reach.simulated,
        "workers": reach.workers, "pinned": reach.pinned, "max_ttl": cache.max_ttl, "max_entries": cache.max_entries,
        "shared_slots": cache.shared_slots, "max_in_flight": cache.max_in_flight,
    })
}

fn add_rates(row: &mut Value, tally: Tally, scale: f64) {
    let Tally { requests, callouts, hits, shared, misses, stale, unavailable, refused, evicted } = tally;
    let counts = [
        ("requests", requests),
        ("callouts", callouts),
        ("hits", hits),
        ("shared", shared),
        ("misses", misses),
        ("stale", stale),
        ("unavailable", unavailable),
        ("refused", refused),
        ("evicted", evicted),
    ];
    for (name, count) in counts {
        row[name] = json!(count as f64 * scale);
    }
}

/// One worker, and sessions of one rate. Many workers are simulated, since each has a window of its own.
fn worker() {
    let reach = Reach { mesh: 128, processes: 1, simulated: 128, workers: 1, pinned: true };
    for max_ttl in [10, 60, 300] {
        for rate in [0.01, 0.1, 1.0, 10.0] {
            by_rate("worker", rate, reach, Cache { max_ttl, ..ROOMY });
        }
    }
}

/// One process of four workers, with the shared level and without it.
fn process() {
    let reach = Reach { mesh: 32, processes: 1, simulated: 32, workers: 4, pinned: false };
    for shared_slots in [ROOMY.shared_slots, 0] {
        for rate in [0.01, 0.1, 1.0, 10.0] {
            by_rate("process", rate, reach, Cache { shared_slots, ..ROOMY });
        }
    }
}

/// Enough sessions and time for a figure that is good for a percent.
fn by_rate(part: &str, rate: f64, reach: Reach, cache: Cache) {
    let measured = 4.0 * cache.max_ttl as f64;
    let sessions = (400_000.0 / (rate * measured)).clamp(256.0, 40_000.0) as u32;
    steady(part, &[Group { sessions, rate }], reach, cache, measured);
}

/// A million sessions in a mesh of a thousand processes, by the longest life.
fn mesh_by_ttl() {
    for max_ttl in TTLS {
        let cache = Cache { max_ttl, ..ROOMY };
        let measured = 4.0 * max_ttl as f64;
        steady("mesh", &MILLION, across(1, true), cache, measured);
        for (processes, shared_slots) in [(20, ROOMY.shared_slots), (20, 0), (1000, ROOMY.shared_slots), (1000, 0)] {
            steady("mesh", &MILLION, across(processes, false), Cache { shared_slots, ..cache }, measured);
        }
    }
}

/// The same by how many processes the requests of a session are spread over.
fn mesh_by_reach() {
    for processes in [1, 2, 5, 10, 50, 100, 200, 500] {
        for shared_slots in [ROOMY.shared_slots, 0] {
            let reach = across(processes, false);
            // The fewer are simulated, the longer it takes to see enough.
            let measured = 240.0 * 20.0 / reach.simulated as f64;
            steady("reach", &MILLION, reach, Cache { shared_slots, ..ROOMY }, measured);
        }
    }
}

/// A thousand processes of four workers, of which twenty at most are simulated.
fn across(processes: usize, pinned: bool) -> Reach {
    let simulated = if processes > 1 { processes.min(20) } else { 20 };
    Reach { mesh: 1000, processes, simulated, workers: 4, pinned }
}

/// Whether a sample tells what the whole does.
fn sample() {
    for simulated in [20, 10, 5] {
        let reach = Reach { mesh: 20, processes: 20, simulated, workers: 4, pinned: false };
        steady("sample", &HUNDRED_THOUSAND, reach, ROOMY, 240.0);
    }
}

/// A million sessions and twenty processes: more sessions than the bounds leave room for.
fn bounds() {
    let reach = Reach { mesh: 20, processes: 20, simulated: 1, workers: 4, pinned: false };
    for (max_entries, shared_slots) in
        [(10_000, 0), (10_000, 4096), (10_000, 16_384), (10_000, 65_536), (10_000, 262_144), (100_000, 262_144)]
    {
        steady("bounds", &MILLION, reach, Cache { max_entries, shared_slots, ..DEFAULT }, 120.0);
    }
}

/// A page that sends six requests at once, of a session nothing is known of.
fn page() {
    const PAGES: u32 = 4000;
    for (processes, workers, pinned) in [(1, 4, true), (1, 4, false), (20, 4, false)] {
        let mut random = fastrand::Rng::with_seed(7);
        let reach = Reach { mesh: processes, processes, simulated: processes, workers, pinned };
        let mut mesh = Mesh::new(processes, workers, ROOMY, &mut random);
        let mut traffic = Traffic::new(&[Group { sessions: PAGES, rate: 1.0 }], reach, 0.0, random);
        for session in 0..PAGES {
            let now = f64::from(session) / 100.0;
            mesh.advance(now);
            for _ in 0..6 {
                let worker = traffic.worker(session);
                mesh.request(worker, session, now);
            }
        }
        mesh.advance(f64::from(PAGES));
        let mut row = parameters(&[], reach, ROOMY);
        add_rates(&mut row, mesh.tally(), f64::from(PAGES).recip());
        print("page", &row);
    }
}

/// Sessions sign out through one process, and clients that kept the cookie go on with it at all processes.
fn logout() {
    // Few sessions and many requests show best what the workers of one process do between two looks at the log.
    for rings in [true, false] {
        sign_out_of(1, 60, rings, Group { sessions: 60, rate: 40.0 });
    }
    for (processes, max_ttl) in [(2, 60), (5, 60), (20, 60), (100, 60), (20, 15), (20, 30), (20, 120), (20, 300)] {
        sign_out_of(processes, max_ttl, true, Group { sessions: 1000, rate: 1.0 });
    }
}

fn sign_out_of(processes: usize, max_ttl: u64, rings: bool, group: Group) {
    let cache = Cache { max_ttl, ..ROOMY };
    let reach = Reach { mesh: processes, processes, simulated: processes, workers: 4, pinned: false };
    let (mesh, requests) = sign_all_out(group, reach, cache, rings);
    let late = || mesh.served_late.values();
    let mut last: Vec<f64> = late().map(|late| late.iter().copied().fold(0.0, f64::max)).collect();
    last.sort_by(f64::total_cmp);
    let quantiles: Vec<f64> = (0..=100).map(|percent| last[(last.len() - 1) * percent / 100]).collect();
    let mut row = parameters(&[group], reach, cache);
    row["rings"] = json!(rings);
    row["served"] = json!(late().map(Vec::len).sum::<usize>() as f64 / requests as f64);
    row["last"] = json!(quantiles);
    print("logout", &row);
}

/// Signs each session out once, within one `max_ttl`; answers how many requests came in the `max_ttl` after each.
fn sign_all_out(group: Group, reach: Reach, cache: Cache, rings: bool) -> (Mesh, u64) {
    let ttl = cache.max_ttl as f64;
    let mut random = fastrand::Rng::with_seed(7);
    let mut mesh = Mesh::new(reach.simulated, reach.workers, cache, &mut random);
    mesh.rings = rings;
    let mut traffic = Traffic::new(&[group], reach, ttl, random);
    let mut signed_out: Vec<f64> = Vec::new();
    let mut requests = 0;
    while let Some(Arrival { at, session, worker }) = traffic.next(4.0 * ttl + 10.0) {
        let next = 2.0 * ttl + signed_out.len() as f64 * ttl / f64::from(group.sessions);
        if at >= next && signed_out.len() < group.sessions as usize {
            let session = signed_out.len() as u32;
            let worker = traffic.worker(session);
            mesh.advance(next);
            mesh.sign_out(worker, session, next);
            signed_out.push(next);
        }
        mesh.advance(at);
        mesh.request(worker, session, at);
        requests += u64::from(signed_out.get(session as usize).is_some_and(|ended| at - ended < ttl));
    }
    (mesh, requests)
}

/// Second by second: all processes start with empty caches, or the auth service cannot be reached for two minutes.
fn storm() {
    for (capacity, max_in_flight) in [(None, 256), (Some(1000.0), 256), (Some(1000.0), 16)] {
        timeline("cold", capacity, max_in_flight, 0, 180);
    }
    timeline("outage", None, 256, 570, 300);
}

/// A hundred thousand sessions at twenty processes, shown after `warm` seconds. What is called an outage begins half
/// a minute later.
fn timeline(part: &str, capacity: Option<f64>, max_in_flight: usize, warm: u32, shown: u32) {
    let reach = Reach { mesh: 20, processes: 1, simulated: 20, workers: 4, pinned: true };
    let cache = Cache { max_in_flight, ..ROOMY };
    let mut random = fastrand::Rng::with_seed(7);
    let mut mesh = Mesh::new(reach.simulated, reach.workers, cache, &mut random);
    mesh.service.capacity = capacity;
    if part == "outage" {
        mesh.service.down = f64::from(warm + 30)..f64::from(warm + 150);
    }
    let mut traffic = Traffic::new(&HUNDRED_THOUSAND, reach, f64::from(warm.min(60)), random);
    traffic.drive(&mut mesh, f64::from(warm));
    let mut row = parameters(&HUNDRED_THOUSAND, reach, cache);
    let mut seconds = Vec::new();
    for second in warm..warm + shown {
        let before = mesh.tally();
        traffic.drive(&mut mesh, f64::from(second + 1));
        let Tally { requests, callouts, stale, unavailable, .. } = mesh.tally() - before;
        seconds.push(json!({"requests": requests, "callouts": callouts, "stale": stale, "unavailable": unavailable}));
    }
    row["capacity"] = json!(capacity);
    row["timeline"] = json!(seconds);
    row["most_in_flight"] = json!(mesh.most_in_flight);
    print(part, &row);
}

/// A thousand processes of four workers and a million sessions, all of them simulated.
fn whole() {
    for (processes, pinned) in [(1, true), (1000, false)] {
        let reach = Reach { mesh: 1000, processes, simulated: 1000, workers: 4, pinned };
        steady("whole", &MILLION, reach, DEFAULT, 60.0);
    }
}
