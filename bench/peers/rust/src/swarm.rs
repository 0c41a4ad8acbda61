//! The shape of a swarm: very many items, 30 in flight, every result kept where its item was (bench/pool/lanes.c).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Span;

/// A task for each item.
pub const NAMES: &[&str] = &["rayon", "tokio"];
/// 30 tasks that take items by turns.
pub const LANES: &[&str] = &["rayon lanes", "tokio lanes"];
const FLIGHT: usize = 30;

#[inline(never)]
fn item(index: usize) -> u64 {
    (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (index as u64) >> 7
}

struct Swarm {
    next: AtomicUsize,
    results: Vec<AtomicU64>,
}

impl Swarm {
    fn new(items: usize) -> Arc<Swarm> {
        Arc::new(Swarm { next: AtomicUsize::new(0), results: (0..items).map(|_| AtomicU64::new(0)).collect() })
    }
    /// One item; false: there is none left.
    fn step(&self) -> bool {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        match self.results.get(at) {
            Some(result) => {
                result.store(item(at), Ordering::Relaxed);
                true
            }
            None => false,
        }
    }
    fn check(&self) {
        for (i, result) in self.results.iter().enumerate() {
            assert_eq!(result.load(Ordering::Relaxed), item(i), "item {i}");
        }
    }
}

fn rayon_lane<'s>(scope: &rayon::Scope<'s>, swarm: &'s Swarm) {
    if swarm.step() {
        scope.spawn(move |scope| rayon_lane(scope, swarm));
    }
}

fn rayon_once(pool: &rayon::ThreadPool, items: usize, looping: bool) -> (f64, f64) {
    let swarm = Swarm::new(items);
    let at: &Swarm = &swarm;
    let span = Span::begin();
    pool.scope(|scope| {
        for _ in 0..FLIGHT {
            if looping {
                scope.spawn(move |_| while at.step() {});
            } else {
                scope.spawn(move |scope| rayon_lane(scope, at));
            }
        }
    });
    let took = span.end(items);
    swarm.check();
    took
}

/// What a tokio program does, and the fastest of the ways that were tried: the loop that spawns is a task itself, and ended tasks
/// are collected while others are spawned.
async fn join_set(items: usize) -> Vec<u64> {
    let permits = Arc::new(Semaphore::new(FLIGHT));
    let mut results = vec![0; items];
    let mut running = JoinSet::new();
    for index in 0..items {
        let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        running.spawn(async move {
            let value = item(index);
            drop(permit);
            (index, value)
        });
        while let Some(ended) = running.try_join_next() {
            let (at, value) = ended.expect("no task panics");
            results[at] = value;
        }
    }
    while let Some(ended) = running.join_next().await {
        let (at, value) = ended.expect("no task panics");
        results[at] = value;
    }
    results
}

fn tokio_once(runtime: &tokio::runtime::Runtime, items: usize, looping: bool) -> (f64, f64) {
    if !looping {
        let span = Span::begin();
        let results = runtime.block_on(async move { tokio::spawn(join_set(items)).await.expect("the swarm ends") });
        let took = span.end(items);
        assert!(results.iter().enumerate().all(|(i, result)| *result == item(i)));
        return took;
    }
    let swarm = Swarm::new(items);
    let span = Span::begin();
    runtime.block_on(async {
        let mut lanes = JoinSet::new();
        for _ in 0..FLIGHT {
            let swarm = swarm.clone();
            lanes.spawn(async move { while swarm.step() {} });
        }
        while lanes.join_next().await.is_some() {}
    });
    let took = span.end(items);
    swarm.check();
    took
}

fn of(name: &str, workers: usize, items: usize, looping: bool) -> (f64, f64) {
    if name.starts_with("rayon") {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
        rayon_once(&pool, items.div_ceil(10), looping);
        rayon_once(&pool, items, looping)
    } else {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build().unwrap();
        tokio_once(&runtime, items.div_ceil(10), looping);
        tokio_once(&runtime, items, looping)
    }
}

pub fn round(name: &str, workers: usize, items: usize) -> (f64, f64) {
    of(name, workers, items, false)
}

pub fn lanes_round(name: &str, workers: usize, items: usize) -> (f64, f64) {
    of(name, workers, items, true)
}
