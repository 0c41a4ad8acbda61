//! What a swarm of no-op items costs with tokio: a JoinSet whose tasks each hold a permit of a Semaphore(30), every task
//! returning a value, the values gathered in the order of the items.
//!
//!     tokio_joinset ITEMS THREADS [SWARMS]  ->  "running_ns cpu_ns peak_rss_kib", a line for each swarm, one after the
//!                                               other on one runtime, each after a pause; the peak is that until then
//!
//! The loop that spawns is itself a task, so that with one worker thread everything happens on that thread: what a program
//! written for tokio would do, and the fastest of the ways that were tried. Ended tasks are collected while others are
//! spawned; without that a million of them would be kept, and the run is slower. The value is a number in the task's own
//! cell; ours is a message, which is an allocation more.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const MAX_CONCURRENCY: usize = 30;

/// The item: takes its number, gives a result.
async fn item(index: u64) -> u64 {
    std::hint::black_box(index)
}

async fn swarm(items: u64) -> Vec<Option<u64>> {
    let permits = Arc::new(Semaphore::new(MAX_CONCURRENCY));
    let mut results = vec![None; items as usize];
    let mut running = JoinSet::new();
    for index in 0..items {
        let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        running.spawn(async move {
            let value = item(index).await;
            drop(permit);
            (index, value)
        });
        while let Some(ended) = running.try_join_next() {
            let (at, value) = ended.expect("no task panics");
            results[at as usize] = Some(value);
        }
    }
    while let Some(ended) = running.join_next().await {
        let (at, value) = ended.expect("no task panics");
        results[at as usize] = Some(value);
    }
    results
}

/// Processor time of this process, from the kernel: utime and stime are in ticks, too coarse, so schedstat of each thread.
fn cpu_ns() -> u64 {
    std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

fn peak_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

fn one(runtime: &tokio::runtime::Runtime, items: u64) {
    let (cpu, begin) = (cpu_ns(), Instant::now());
    let results = runtime.block_on(async move { tokio::spawn(swarm(items)).await.expect("the swarm ends") });
    let sum: u64 = results.iter().map(|value| value.expect("every item has a result")).sum();
    let running = begin.elapsed().as_nanos();
    let cpu = cpu_ns() - cpu;
    assert_eq!(sum, items * items.saturating_sub(1) / 2);
    println!("{running} {cpu} {}", peak_rss_kib());
}

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Some(Ok(items)), Some(Ok(threads)), Ok(swarms)) = (words.next(), words.next(), words.next().unwrap_or(Ok(1))) else {
        eprintln!("usage: tokio_joinset ITEMS THREADS [SWARMS]");
        std::process::exit(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads as usize)
        .build()
        .expect("a runtime");
    for swarm in 0..swarms {
        if swarm > 0 {
            std::thread::sleep(Duration::from_millis(2)); // all threads are asleep then
        }
        one(&runtime, items);
    }
}
