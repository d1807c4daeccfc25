//! Hands the core's counts to Envoy.

use std::time::Duration;

use proxy_wasm::types::MetricType;

use super::host;
use crate::stats::{CACHE_ENTRIES, Counter, HOST_ALGORITHMS, IN_FLIGHT, LATENCY, Stats};

/// What of the counts Envoy has been told already.
pub struct Metrics {
    counters: Vec<Reported>,
    in_flight: Reported,
    remembered: Reported,
    host_algorithms: Option<u32>,
    latency: Option<u32>,
}

struct Reported {
    id: Option<u32>,
    so_far: i64,
}

impl Metrics {
    /// Defines the metrics, so that they are visible before anything was counted.
    pub fn define() -> Self {
        let define = |kind, name| Reported { id: host::define_metric(kind, name), so_far: 0 };
        Self {
            counters: Counter::ALL.iter().map(|counter| define(MetricType::Counter, counter.name())).collect(),
            in_flight: define(MetricType::Gauge, IN_FLIGHT),
            remembered: define(MetricType::Gauge, CACHE_ENTRIES),
            host_algorithms: host::define_metric(MetricType::Gauge, HOST_ALGORITHMS),
            latency: host::define_metric(MetricType::Histogram, LATENCY),
        }
    }

    /// Reports what was counted since the last time. All workers share a metric, so the gauges move by
    /// differences too.
    pub fn report(&mut self, stats: &Stats, in_flight: usize, remembered: usize) {
        for (reported, counter) in self.counters.iter_mut().zip(Counter::ALL) {
            reported.move_to(i64::try_from(stats.get(*counter)).unwrap_or(i64::MAX));
        }
        self.in_flight.move_to(i64::try_from(in_flight).unwrap_or(i64::MAX));
        self.remembered.move_to(i64::try_from(remembered).unwrap_or(i64::MAX));
    }

    /// Reports how many algorithms the host verifies: the same on every worker, so each sets it.
    pub fn report_host_algorithms(&self, count: usize) {
        if let Some(id) = self.host_algorithms {
            host::record_metric(id, count as u64);
        }
    }

    /// Reports how long a callout took.
    pub fn report_latency(&self, latency: Duration) {
        if let Some(id) = self.latency {
            host::record_metric(id, u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
        }
    }
}

impl Reported {
    fn move_to(&mut self, count: i64) {
        if let Some(id) = self.id {
            host::add_to_metric(id, count.saturating_sub(self.so_far));
        }
        self.so_far = count;
    }
}
