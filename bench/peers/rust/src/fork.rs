//! Recursive spawns: the shapes of bench/fork/shapes.h.

use crate::Span;

pub const NAMES: &[&str] = &["rayon"];

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

/// What the program must answer.
fn expected(shape: &str, n: u32) -> i64 {
    match shape {
        "fib" => (0..n).fold((0i64, 1i64), |(a, b), _| (b, a + b)).0,
        "skynet" => i64::from(n) * (i64::from(n) - 1) / 2,
        _ => 2680,
    }
}

pub fn round(name: &str, shape: &str, workers: usize) -> (f64, f64) {
    must(name == "rayon", name);
    let (shape, n) = shape.split_once('-').unwrap_or((shape, "0"));
    let n: u32 = n.parse().unwrap_or(0);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
    pool.install(|| {
        fib(20);
        let span = Span::begin();
        let got = match shape {
            "fib" => fib(n) as i64,
            "skynet" => skynet(0, n.into()),
            "queens" => queens([0; QUEENS_N], 0).into(),
            _ => -1,
        };
        let took = span.end(1);
        must(got == expected(shape, n), shape);
        took
    })
}
