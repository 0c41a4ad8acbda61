//! Jobs from outside: some producers, some workers, whatever the contestant has between them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::Span;

pub const NAMES: &[&str] = &["crossbeam-channel", "kanal", "flume", "rayon", "tokio"];

#[derive(Clone, Copy)]
struct Job {
    run: fn([u64; 3]),
    with: [u64; 3],
}

fn nothing(with: [u64; 3]) {
    std::hint::black_box(with);
}

fn sleeps(_: [u64; 3]) {
    thread::sleep(Duration::from_millis(1));
}

const JOB: Job = Job { run: nothing, with: [1, 2, 3] };
const SLEEPER: Job = Job { run: sleeps, with: [1, 2, 3] };

/// A count on a cache line of its own.
#[repr(align(128))]
#[derive(Default)]
struct Count(AtomicUsize);

struct Done(Vec<Count>);

impl Done {
    fn new(workers: usize) -> Arc<Done> {
        Arc::new(Done((0..workers).map(|_| Count::default()).collect()))
    }
    fn one(&self, worker: usize) {
        let count = &self.0[worker].0;
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
    fn wait(&self, all: usize) {
        while self.0.iter().map(|c| c.0.load(Ordering::Acquire)).sum::<usize>() < all {
            thread::yield_now();
        }
    }
}

/// `producers` threads hand in `jobs` together (this thread, when it is one), then all are waited for; ns per job.
fn timed(producers: usize, jobs: usize, before: usize, submit: impl Fn(usize) + Sync, done: &Done) -> (f64, f64) {
    let span = Span::begin();
    if producers == 1 {
        submit(jobs);
    } else {
        thread::scope(|s| {
            for _ in 0..producers {
                s.spawn(|| submit(jobs / producers));
            }
        });
    }
    done.wait(before + jobs / producers * producers);
    span.end(jobs)
}

fn twice(producers: usize, jobs: usize, submit: impl Fn(usize) + Sync, done: &Done) -> (f64, f64) {
    let warm = jobs.div_ceil(10) / producers * producers;
    timed(producers, warm, 0, &submit, done);
    timed(producers, jobs, warm, &submit, done)
}

macro_rules! channel {
    ($make:expr, $job:expr, $workers:expr, $producers:expr, $jobs:expr) => {{
        let (to, from) = $make;
        let done = Done::new($workers);
        let threads: Vec<_> = (0..$workers)
            .map(|worker| {
                let (from, done) = (from.clone(), done.clone());
                thread::spawn(move || {
                    while let Ok(job) = from.recv() {
                        let job: Job = job;
                        (job.run)(job.with);
                        done.one(worker);
                    }
                })
            })
            .collect();
        drop(from);
        let took = twice(
            $producers,
            $jobs,
            |n| {
                let to = to.clone();
                for _ in 0..n {
                    to.send($job).unwrap();
                }
            },
            &done,
        );
        drop(to);
        for thread in threads {
            thread.join().unwrap();
        }
        took
    }};
}

fn rayon_round(job: Job, workers: usize, producers: usize, jobs: usize) -> (f64, f64) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
    let done = Done::new(workers);
    let submit = |n: usize| {
        for _ in 0..n {
            let done = done.clone();
            pool.spawn(move || {
                (job.run)(job.with);
                done.one(rayon::current_thread_index().unwrap());
            });
        }
    };
    twice(producers, jobs, submit, &done)
}

fn tokio_round(workers: usize, producers: usize, jobs: usize) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build().unwrap();
    /* A task does not know its worker: all count on one word, which is tokio's price here. */
    let done = Done::new(1);
    let submit = |n: usize| {
        for _ in 0..n {
            let done = done.clone();
            runtime.spawn(async move {
                (JOB.run)(JOB.with);
                done.0[0].0.fetch_add(1, Ordering::Release);
            });
        }
    };
    twice(producers, jobs, submit, &done)
}

/// Where a tokio program puts what blocks: threads of their own, as many as are allowed.
fn tokio_blocking(workers: usize, jobs: usize) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(workers).build().unwrap();
    let done = Done::new(1);
    let submit = |n: usize| {
        for _ in 0..n {
            let done = done.clone();
            runtime.spawn_blocking(move || {
                (SLEEPER.run)(SLEEPER.with);
                done.0[0].0.fetch_add(1, Ordering::Release);
            });
        }
    };
    twice(1, jobs, submit, &done)
}

fn of(name: &str, job: Job, workers: usize, producers: usize, jobs: usize) -> (f64, f64) {
    match name {
        "crossbeam-channel" => channel!(crossbeam_channel::unbounded(), job, workers, producers, jobs),
        "kanal" => channel!(kanal::unbounded(), job, workers, producers, jobs),
        "flume" => channel!(flume::unbounded(), job, workers, producers, jobs),
        "rayon" => rayon_round(job, workers, producers, jobs),
        "tokio" => tokio_round(workers, producers, jobs),
        _ => {
            eprintln!("peers: no contestant {name}");
            std::process::exit(2)
        }
    }
}

pub fn round(name: &str, workers: usize, producers: usize, jobs: usize) -> (f64, f64) {
    of(name, JOB, workers, producers, jobs)
}

pub fn blocking_round(name: &str, workers: usize, jobs: usize) -> (f64, f64) {
    if name == "tokio" {
        tokio_blocking(workers, jobs)
    } else {
        of(name, SLEEPER, workers, 1, jobs)
    }
}
