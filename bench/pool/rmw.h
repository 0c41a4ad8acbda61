/* bench/pool/rmw.h: put before every source of the pool by the compiler (-include), for bench_rmw alone: each operation on a word that
 * others may write, and that waits for it, is counted: read-modify-writes, failed ones too, stores in the one order of all (an exchange
 * on x86), and the locks of a mutex; and, apart from these, fences, which wait for no word of others. The library itself is built
 * without this. */
#ifndef BENCH_RMW_H
#define BENCH_RMW_H

#include <pthread.h>
#include <stdatomic.h>

/** One more, of the calling thread. */
void bench_rmw_count(void);
void bench_rmw_fence(void);

#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and_explicit
#undef atomic_store_explicit
#undef atomic_thread_fence

#ifdef __clang__
#define BENCH_RMW_EXCHANGE __c11_atomic_exchange
#define BENCH_RMW_CAS(at, seen, to, weak, yes, no) __c11_atomic_compare_exchange_strong(at, seen, to, yes, no)
#define BENCH_RMW_FETCH(what) __c11_atomic_fetch_##what
#define BENCH_RMW_STORE __c11_atomic_store
#define BENCH_RMW_FENCE __c11_atomic_thread_fence
#else
#define BENCH_RMW_EXCHANGE __atomic_exchange_n
#define BENCH_RMW_CAS __atomic_compare_exchange_n
#define BENCH_RMW_FETCH(what) __atomic_fetch_##what
#define BENCH_RMW_STORE __atomic_store_n
#define BENCH_RMW_FENCE __atomic_thread_fence
#endif

#define atomic_exchange_explicit(at, to, order) (bench_rmw_count(), BENCH_RMW_EXCHANGE(at, to, order))
#define atomic_compare_exchange_strong_explicit(at, seen, to, yes, no) (bench_rmw_count(), BENCH_RMW_CAS(at, seen, to, 0, yes, no))
#define atomic_compare_exchange_weak_explicit(at, seen, to, yes, no)   (bench_rmw_count(), BENCH_RMW_CAS(at, seen, to, 1, yes, no))
#define atomic_fetch_add_explicit(at, by, order)   (bench_rmw_count(), BENCH_RMW_FETCH(add)(at, by, order))
#define atomic_fetch_sub_explicit(at, by, order)   (bench_rmw_count(), BENCH_RMW_FETCH(sub)(at, by, order))
#define atomic_fetch_or_explicit(at, bits, order)  (bench_rmw_count(), BENCH_RMW_FETCH(or)(at, bits, order))
#define atomic_fetch_and_explicit(at, bits, order) (bench_rmw_count(), BENCH_RMW_FETCH(and)(at, bits, order))
#define atomic_store_explicit(at, to, order) \
    ((order) == memory_order_seq_cst ? bench_rmw_count() : (void)0, BENCH_RMW_STORE(at, to, order))
#define atomic_thread_fence(order) (bench_rmw_fence(), BENCH_RMW_FENCE(order))
#define pthread_mutex_lock(mutex)  (bench_rmw_count(), pthread_mutex_lock(mutex))

#endif
