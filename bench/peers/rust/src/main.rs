//! peers submit|producers|blocking CONTESTANT WORKERS JOBS
//! peers swarm|lanes CONTESTANT WORKERS ITEMS
//! peers fork CONTESTANT fib-N|skynet-LEAVES|queens-11 WORKERS
//!
//! One measured round of one contestant, after a smaller one that warms up; prints its nanoseconds (per job or item, in all for
//! `fork`) and those of the processor time. bench_pool and bench_fork start it once a round, by turns with the others. `peers
//! list` names what there is.
//!
//! A job is a function and 24 bytes, as a C caller's would be; each worker counts its own, so that waiting for the last costs
//! the contestant nothing.

mod fork;
mod submit;
mod swarm;

use std::process::exit;
use std::time::Instant;

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| {
        eprintln!("peers: {text} is not a number");
        exit(2)
    })
}

/// What a span of time took, ns of the clock and of the processor.
pub struct Span {
    begin: Instant,
    cpu: f64,
}

fn cpu_ns() -> f64 {
    #[repr(C)]
    struct Timespec {
        sec: i64,
        nsec: i64,
    }
    extern "C" {
        fn clock_gettime(clock: i32, out: *mut Timespec) -> i32;
    }
    let mut t = Timespec { sec: 0, nsec: 0 };
    // SAFETY: 2 is CLOCK_PROCESS_CPUTIME_ID of Linux; the struct is its timespec on 64 bits.
    unsafe { clock_gettime(2, &mut t) };
    t.sec as f64 * 1e9 + t.nsec as f64
}

impl Span {
    pub fn begin() -> Span {
        Span { cpu: cpu_ns(), begin: Instant::now() }
    }
    pub fn end(&self, units: usize) -> (f64, f64) {
        let wall = self.begin.elapsed().as_nanos() as f64;
        (wall / units as f64, (cpu_ns() - self.cpu) / units as f64)
    }
}

fn list() {
    let all = [
        ("submit", submit::NAMES),
        ("producers", submit::NAMES),
        ("blocking", submit::NAMES),
        ("swarm", swarm::NAMES),
        ("lanes", swarm::LANES),
        ("fork", fork::NAMES),
    ];
    for (workload, names) in all {
        for name in names {
            println!("{workload} {name}");
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (ns, cpu) = match words[..] {
        ["list"] => return list(),
        ["submit", name, workers, jobs] => submit::round(name, number(workers), 1, number(jobs)),
        ["producers", name, workers, jobs] => submit::round(name, number(workers), 4, number(jobs)),
        ["blocking", name, workers, jobs] => submit::blocking_round(name, number(workers), number(jobs)),
        ["swarm", name, workers, items] => swarm::round(name, number(workers), number(items)),
        ["lanes", name, workers, items] => swarm::lanes_round(name, number(workers), number(items)),
        ["fork", name, shape, workers] => fork::round(name, shape, number(workers)),
        _ => {
            eprintln!("usage: peers list | submit|producers|blocking|swarm|lanes CONTESTANT WORKERS COUNT | fork CONTESTANT SHAPE-N WORKERS");
            exit(2)
        }
    };
    println!("{ns} {cpu}");
}
