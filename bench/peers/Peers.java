import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RecursiveTask;
import java.util.concurrent.atomic.LongAdder;

/**
 * java Peers.java list | submit|producers CONTESTANT WORKERS JOBS | fork CONTESTANT SHAPE WORKERS
 *
 * One measured round of the JDK's ForkJoinPool, after three that warm the compiler up; prints its nanoseconds (per job, or
 * in all for fork). bench_pool and bench_fork start it once a round, by turns with the others.
 */
public final class Peers {
    private static final int WARM_ROUNDS = 3;
    private static final int QUEENS_N = 11;

    private static double submitted(ForkJoinPool pool, int producers, int jobs) throws InterruptedException {
        LongAdder done = new LongAdder();
        Runnable job = done::increment;
        int each = jobs / producers;
        long begin = System.nanoTime();
        Thread[] threads = new Thread[producers - 1];
        for (int k = 0; k < threads.length; k++) {
            threads[k] = new Thread(() -> submit(pool, job, each));
            threads[k].start();
        }
        submit(pool, job, each);
        for (Thread thread : threads)
            thread.join();
        while (done.sum() < (long) each * producers)
            Thread.yield();
        return (double) (System.nanoTime() - begin) / jobs;
    }

    private static void submit(ForkJoinPool pool, Runnable job, int jobs) {
        for (int i = 0; i < jobs; i++)
            pool.execute(job);
    }

    private static final class Fib extends RecursiveTask<Long> {
        private final int n;

        Fib(int n) {
            this.n = n;
        }

        @Override
        protected Long compute() {
            if (n < 2)
                return (long) n;
            Fib a = new Fib(n - 1);
            a.fork();
            long b = new Fib(n - 2).compute();
            return a.join() + b;
        }
    }

    private static final class Skynet extends RecursiveTask<Long> {
        private final long first;
        private final long leaves;

        Skynet(long first, long leaves) {
            this.first = first;
            this.leaves = leaves;
        }

        @Override
        protected Long compute() {
            if (leaves == 1)
                return first;
            Skynet[] below = new Skynet[10];
            for (int i = 0; i < 10; i++)
                (below[i] = new Skynet(first + i * (leaves / 10), leaves / 10)).fork();
            long sum = 0;
            for (int i = 9; i >= 0; i--)
                sum += below[i].join();
            return sum;
        }
    }

    private static final class Queens extends RecursiveTask<Long> {
        private final byte[] board;
        private final int row;

        Queens(byte[] board, int row) {
            this.board = board;
            this.row = row;
        }

        private boolean allows(int column) {
            for (int i = 0; i < row; i++)
                if (board[i] == column || Math.abs(board[i] - column) == row - i)
                    return false;
            return true;
        }

        @Override
        protected Long compute() {
            if (row == QUEENS_N)
                return 1L;
            Queens[] below = new Queens[QUEENS_N];
            int spawned = 0;
            for (int column = 0; column < QUEENS_N; column++)
                if (allows(column)) {
                    byte[] next = board.clone();
                    next[row] = (byte) column;
                    (below[spawned++] = new Queens(next, row + 1)).fork();
                }
            long ways = 0;
            while (spawned > 0)
                ways += below[--spawned].join();
            return ways;
        }
    }

    private static double forked(ForkJoinPool pool, String shape) {
        RecursiveTask<Long> task;
        long want;
        switch (shape) {
        case "fib" -> { task = new Fib(32); want = 2178309; }
        case "skynet" -> { task = new Skynet(0, 1_000_000); want = 1_000_000L * 999_999 / 2; }
        case "queens" -> { task = new Queens(new byte[QUEENS_N], 0); want = 2680; }
        default -> throw new IllegalArgumentException("no shape " + shape);
        }
        long begin = System.nanoTime();
        if (pool.invoke(task) != want)
            throw new IllegalStateException("counted " + shape + " wrong");
        return System.nanoTime() - begin;
    }

    private static ForkJoinPool pool(int workers) {
        return new ForkJoinPool(workers, ForkJoinPool.defaultForkJoinWorkerThreadFactory, null, true);
    }

    public static void main(String[] args) throws InterruptedException {
        if (args.length == 1 && args[0].equals("list")) {
            System.out.println("submit ForkJoinPool\nfork ForkJoinPool");
            return;
        }
        if (args.length != 4) {
            System.err.println("usage: Peers list | submit|producers ForkJoinPool WORKERS JOBS | fork ForkJoinPool SHAPE WORKERS");
            System.exit(2);
        }
        double ns = 0;
        if (args[0].equals("fork")) {
            ForkJoinPool pool = pool(Integer.parseInt(args[3]));
            for (int i = 0; i <= WARM_ROUNDS; i++)
                ns = forked(pool, args[2]);
        } else {
            ForkJoinPool pool = pool(Integer.parseInt(args[2]));
            for (int i = 0; i <= WARM_ROUNDS; i++)
                ns = submitted(pool, args[0].equals("producers") ? 4 : 1, Integer.parseInt(args[3]));
        }
        System.out.println(ns);
    }
}
