//! Who sends requests, how often, and where they arrive.

use crate::mesh::Mesh;

/// Sessions that are used alike: how many of them, and how many requests a second each sends on average.
#[derive(Clone, Copy)]
pub struct Group {
    pub sessions: u32,
    pub rate: f64,
}

/// Where the requests of a session arrive.
#[derive(Clone, Copy)]
pub struct Reach {
    /// The processes of the whole mesh.
    pub mesh: usize,
    /// Over how many of them the requests of one session are spread, each with the same chance.
    pub processes: usize,
    /// How many of them are simulated. Those of a session that is spread are a sample: the requests that
    /// reach a part of the processes are themselves a Poisson process, of that part of the rate.
    pub simulated: usize,
    /// The workers of each process.
    pub workers: usize,
    /// Whether the requests of a session stay on one worker, as those of one connection do.
    pub pinned: bool,
}

/// A Poisson process of requests.
pub struct Traffic {
    groups: Vec<Group>,
    reach: Reach,
    /// Sessions come into use one after the other within this span, or those that are busy would be exchanged in
    /// step for a long time.
    ramp: f64,
    rate: f64,
    random: fastrand::Rng,
    next: f64,
}

/// A request on its way.
pub struct Arrival {
    pub at: f64,
    pub session: u32,
    pub worker: usize,
}

impl Traffic {
    /// What reaches the simulated processes, of the `groups` of the whole mesh.
    pub fn new(groups: &[Group], reach: Reach, ramp: f64, random: fastrand::Rng) -> Self {
        let cell = if reach.processes > 1 { reach.processes } else { reach.simulated };
        let part = |sessions: u32| (u64::from(sessions) * cell as u64 / reach.mesh as u64) as u32;
        let groups: Vec<_> = groups.iter().map(|group| Group { sessions: part(group.sessions), ..*group }).collect();
        let rate: f64 = groups.iter().map(Group::total).sum();
        let rate = rate * reach.simulated as f64 / cell as f64;
        let mut traffic = Self { groups, reach, ramp, rate, random, next: 0.0 };
        traffic.next = traffic.pause();
        traffic
    }

    /// The next request, if it arrives by then.
    pub fn next(&mut self, until: f64) -> Option<Arrival> {
        while self.next < until {
            let at = self.next;
            self.next += self.pause();
            let session = self.session();
            if at >= self.ramp * f64::from(session.wrapping_mul(0x9e37_79b9)) / f64::from(u32::MAX) {
                return Some(Arrival { at, session, worker: self.worker(session) });
            }
        }
        None
    }

    /// A worker at which a request of this session may arrive.
    pub fn worker(&mut self, session: u32) -> usize {
        let Reach { processes, simulated, workers, pinned, .. } = self.reach;
        let process = if processes > 1 { self.random.usize(..simulated) } else { session as usize % simulated };
        let worker = if pinned { session as usize / simulated % workers } else { self.random.usize(..workers) };
        process * workers + worker
    }

    /// Lets the mesh live through everything that happens by then.
    pub fn drive(&mut self, mesh: &mut Mesh, until: f64) {
        while let Some(Arrival { at, session, worker }) = self.next(until) {
            mesh.advance(at);
            mesh.request(worker, session, at);
        }
        mesh.advance(until);
    }

    fn pause(&mut self) -> f64 {
        -(1.0 - self.random.f64()).ln() / self.rate
    }

    fn session(&mut self) -> u32 {
        let total: f64 = self.groups.iter().map(Group::total).sum();
        let mut point = self.random.f64() * total;
        let mut first = 0;
        for group in &self.groups {
            if point < group.total() {
                return first + self.random.u32(..group.sessions);
            }
            point -= group.total();
            first += group.sessions;
        }
        0
    }
}

impl Group {
    fn total(&self) -> f64 {
        f64::from(self.sessions) * self.rate
    }
}
