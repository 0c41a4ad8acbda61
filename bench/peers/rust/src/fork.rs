//! Recursive spawns: the shapes of bench/fork/shapes.h.

use std::time::Instant;

pub const NAMES: [&str; 1] = ["rayon"];

const FIB_N: u32 = 32;
const SKYNET_LEAVES: i64 = 1_000_000;
const QUEENS_N: usize = 11;

fn fib(n: u32) -> u64 {
    if n < 2 {
        return n as u64;
    }
    let (a, b) = rayon::join(|| fib(n - 1), || fib(n - 2));
    a + b
}

/// Ten below each node, as a tree of joins: rayon's own way to spawn more than two.
fn skynet(first: i64, leaves: i64) -> i64 {
    if leaves == 1 {
        return first;
    }
    children(first, leaves / 10, 10)
}

fn children(first: i64, each: i64, count: i64) -> i64 {
    if count == 1 {
        return skynet(first, each);
    }
    let left = count / 2;
    let (a, b) = rayon::join(|| children(first, each, left), || children(first + left * each, each, count - left));
    a + b
}

type Board = [i8; QUEENS_N];

fn allows(board: &Board, row: usize, column: usize) -> bool {
    (0..row).all(|i| {
        let there = board[i] as isize - column as isize;
        there != 0 && there.unsigned_abs() != row - i
    })
}

fn queens(board: Board, row: usize) -> i32 {
    if row == QUEENS_N {
        return 1;
    }
    let next: Vec<Board> = (0..QUEENS_N)
        .filter(|&column| allows(&board, row, column))
        .map(|column| {
            let mut b = board;
            b[row] = column as i8;
            b
        })
        .collect();
    ways(&next, row + 1)
}

fn ways(boards: &[Board], row: usize) -> i32 {
    match boards {
        [] => 0,
        [board] => queens(*board, row),
        _ => {
            let (left, right) = boards.split_at(boards.len() / 2);
            let (a, b) = rayon::join(|| ways(left, row), || ways(right, row));
            a + b
        }
    }
}

fn must(right: bool, what: &str) {
    if !right {
        eprintln!("peers: counted {what} wrong");
        std::process::exit(1);
    }
}

pub fn round(name: &str, shape: &str, workers: usize) -> f64 {
    must(name == "rayon", name);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
    pool.install(|| {
        fib(20);
        let begin = Instant::now();
        match shape {
            "fib" => must(fib(FIB_N) == 2178309, shape),
            "skynet" => must(skynet(0, SKYNET_LEAVES) == SKYNET_LEAVES * (SKYNET_LEAVES - 1) / 2, shape),
            "queens" => must(queens([0; QUEENS_N], 0) == 2680, shape),
            _ => must(false, shape),
        }
        begin.elapsed().as_nanos() as f64
    })
}
