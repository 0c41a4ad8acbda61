//! peers submit|producers CONTESTANT WORKERS JOBS
//! peers fork CONTESTANT fib|skynet|queens WORKERS
//!
//! One measured round of one contestant, after a smaller one that warms up; prints its nanoseconds (per job, or in all for
//! `fork`). bench_pool and bench_fork start it once a round, by turns with the others. `peers list` names what there is.
//!
//! A job is a function and 24 bytes, as a C caller's would be; each worker counts its own, so that waiting for the last costs
//! the contestant nothing.

mod fork;
mod submit;

use std::process::exit;

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| {
        eprintln!("peers: {text} is not a number");
        exit(2)
    })
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => {
            for name in submit::NAMES {
                println!("submit {name}");
            }
            for name in fork::NAMES {
                println!("fork {name}");
            }
        }
        ["submit", name, workers, jobs] => println!("{}", submit::round(name, number(workers), 1, number(jobs))),
        ["producers", name, workers, jobs] => println!("{}", submit::round(name, number(workers), 4, number(jobs))),
        ["fork", name, shape, workers] => println!("{}", fork::round(name, shape, number(workers))),
        _ => {
            eprintln!("usage: peers list | submit|producers CONTESTANT WORKERS JOBS | fork CONTESTANT SHAPE WORKERS");
            exit(2)
        }
    }
}
