import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RecursiveTask;
import java.util.concurrent.atomic.LongAdder;

/**
 * java Peers.java list | submit|producers|blocking CONTESTANT WORKERS JOBS | fork CONTESTANT SHAPE-SIZE WORKERS
 *
 * One measured round of the JDK's ForkJoinPool or its fixed pool, after three that warm the compiler up (one, where jobs sleep);
 * prints its nanoseconds (per job, or in all for fork) and those of the processor time. bench_pool and bench_fork start it once a
 * round, by turns with the others.
 */
public final class Peers {
    private static final int WARM_ROUNDS = 3;
    private static final int QUEENS_N = 11;

    private static void submitted(ExecutorService pool, Runnable what, int producers, int jobs) throws InterruptedException {
        LongAdder done = new LongAdder();
        Runnable job = () -> {
            what.run();
            done.increment();
        };
        int each = jobs / producers;
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
    }

    private static void submit(ExecutorService pool, Runnable job, int jobs) {
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

    private static void forked(ForkJoinPool pool, String shape, int size) {
        RecursiveTask<Long> task;
        long want;
        switch (shape) {
        case "fib" -> { task = new Fib(size); want = fib(size); }
        case "skynet" -> { task = new Skynet(0, size); want = (long) size * (size - 1) / 2; }
        case "queens" -> { task = new Queens(new byte[QUEENS_N], 0); want = 2680; }
        default -> throw new IllegalArgumentException("no shape " + shape);
        }
        if (pool.invoke(task) != want)
            throw new IllegalStateException("counted " + shape + " wrong");
    }

    private static long fib(int n) {
        long a = 0;
        for (long b = 1; n > 0; n--) {
            long next = a + b;
            a = b;
            b = next;
        }
        return a;
    }

    private static void sleeps() {
        try {
            Thread.sleep(1);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static ForkJoinPool forkJoin(int workers) {
        return new ForkJoinPool(workers, ForkJoinPool.defaultForkJoinWorkerThreadFactory, null, true);
    }

    private interface Round {
        void run() throws InterruptedException;
    }

    /** The last of so many rounds, per unit. */
    private static void measure(Round round, int warm, int units) throws InterruptedException {
        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        for (int i = 0; i < warm; i++)
            round.run();
        long begin = System.nanoTime(), cpu = system.getProcessCpuTime();
        round.run();
        long ns = System.nanoTime() - begin;
        System.out.println((double) ns / units + " " + (double) (system.getProcessCpuTime() - cpu) / units);
    }

    public static void main(String[] args) throws InterruptedException {
        if (args.length == 1 && args[0].equals("list")) {
            System.out.println("submit ForkJoinPool\nproducers ForkJoinPool\nblocking ForkJoinPool\nblocking Java fixed pool\nfork ForkJoinPool");
            return;
        }
        if (args.length != 4) {
            System.err.println("usage: Peers list | submit|producers|blocking CONTESTANT WORKERS JOBS | fork ForkJoinPool SHAPE-SIZE WORKERS");
            System.exit(2);
        }
        if (args[0].equals("fork")) {
            String[] shape = args[2].split("-");
            ForkJoinPool pool = forkJoin(Integer.parseInt(args[3]));
            measure(() -> forked(pool, shape[0], Integer.parseInt(shape[1])), WARM_ROUNDS, 1);
        } else {
            int workers = Integer.parseInt(args[2]), jobs = Integer.parseInt(args[3]);
            boolean blocking = args[0].equals("blocking");
            ExecutorService pool = args[1].equals("ForkJoinPool") ? forkJoin(workers) : Executors.newFixedThreadPool(workers);
            measure(() -> submitted(pool, blocking ? Peers::sleeps : () -> { }, args[0].equals("producers") ? 4 : 1, jobs),
                    blocking ? 1 : WARM_ROUNDS, jobs);
            pool.shutdown();
        }
    }
}
