/* mageflow/fork_join.h: functions that call themselves twice, at the price of a call. For recursive work inside a pool.
 *
 *     MF_SPAWNABLE(uint64_t, fib, int, n)
 *     {
 *         if (n < 2)
 *             return (uint64_t)n;
 *         MF_SPAWN(fib, n - 1);                      another worker may take this one …
 *         uint64_t b = MF_CALL(fib, n - 2);
 *         return MF_SYNC(fib) + b;                   … if none did, it is called here, as a C function
 *     }
 *     ...
 *     uint64_t result;
 *     mf_status st = fib_run(pool, &result, 40);     from any thread
 *
 * MF_SPAWNABLE(type, NAME, type1, arg1, …) is the head of a function with up to six arguments; MF_VOID_SPAWNABLE(NAME, …) of
 * one that returns nothing. It also defines NAME_run, which is how the outside starts one. Inside of spawnable functions:
 *
 *     MF_SPAWN(NAME, …)   let it run now or later, here or on another worker; arguments are copied
 *     MF_SYNC(NAME)       the value of the last spawn that was not synced. As parentheses: what a function spawned it syncs
 *                         before it returns, the last one first, by the name it was spawned with
 *     MF_CALL(NAME, …)    an ordinary call of a spawnable function
 *
 * MF_SPAWNABLE_DECLARE(type, NAME, …) announces one that is written further down, as MF_SPAWNABLE_BODY(type, NAME, …): for two
 * that spawn each other; MF_VOID_SPAWNABLE_DECLARE and MF_VOID_SPAWNABLE_BODY likewise.
 *
 * Cost      a spawn writes its arguments and a function pointer to the worker's own stack of spawns, without an atomic
 *           read-modify-write, a lock or an allocation, and a sync of what nobody took is a direct call, which the
 *           compiler may inline. Others take from the end that is the oldest, the largest pieces first, and only
 *           after they have asked for some.
 * Threads   NAME_run may be called from any thread, inside of jobs and of spawns too. What a spawn wrote is visible to
 *           whoever synced it.
 * Waiting   a worker whose spawn was taken runs pieces of its taker meanwhile, then sleeps. It runs no other job of the pool.
 * Limits    the arguments together, and the value, take at most 48 bytes (checked by the compiler): pass a pointer to
 *           more, it stays valid until the sync. 1,048,575 spawns not yet synced in one worker: one more ends the
 *           program with SIGSEGV, as any stack that is too deep. No longjmp and no C++ exception may leave a spawnable function.
 * Memory    64 MiB of address space per worker that has run some, used page by page as spawns become deeper, kept
 *           until the pool is destroyed. It comes from mmap, not from the pool's allocator.
 * Source    the direct task stack of Wool and the split deque of Lace: van Dijk and van de Pol, "Lace: non-blocking
 *           split deque for work-stealing", MuCoCoS 2014.
 */
#ifndef MAGEFLOW_FORK_JOIN_H
#define MAGEFLOW_FORK_JOIN_H

#include <mageflow/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what the macros stand on; private ------------------------------------------------------------------------- */

typedef struct mf_fork mf_fork;
typedef struct mf_spawn mf_spawn;

#define MF_FORK_DATA 48

struct mf_spawn {     /* a call that was put off: a cache line */
    void    (*steal)(mf_fork *self, mf_spawn *top, mf_spawn *spawn);   /* call it with the arguments in data */
    uintptr_t state;                                                          /* atomic; pool/fork_join.c */
    union {
        unsigned char bytes[MF_FORK_DATA];                                    /* the arguments, afterwards the value */
        uint64_t      aligned;
    } data;
};

/* The part of a worker's stack of spawns that the inline half reads. */
struct mf_fork {
    uintptr_t limit;      /* atomic. Spawns from this one on are the worker's alone; behind all of them: somebody looks for work */
};

#ifdef __cplusplus
#define MF_FORK_ASSERT(cond, text) static_assert(cond, text)
#else
#define MF_FORK_ASSERT(cond, text) _Static_assert(cond, text)
#endif
#define MF_FORK_RARE(cond) __builtin_expect(!!(cond), 0)
#define MF_FORK_UNUSED __attribute__((unused))

/** Let others have half of what is the worker's alone; `end` is behind the last spawn. */
void mf_fork_publish(mf_fork *self, mf_spawn *end);
/** The sync of a spawn that others may have taken, or while somebody asks. True: it is the worker's; it has to call it.
 * False: another has run it, and its value is in data. */
bool mf_fork_take_back(mf_fork *self, mf_spawn *spawn);
/** Run one on some worker of the pool and wait for it. */
mf_status mf_fork_run(mf_pool *pool, mf_spawn *spawn);

static inline void mf_fork_spawned(mf_fork *self, mf_spawn *end)
{
    if (MF_FORK_RARE(__atomic_load_n(&self->limit, __ATOMIC_RELAXED) > (uintptr_t)end))
        mf_fork_publish(self, end);
}

static inline bool mf_fork_mine(mf_fork *self, mf_spawn *spawn)
{
    if (MF_FORK_RARE(__atomic_load_n(&self->limit, __ATOMIC_RELAXED) > (uintptr_t)spawn))
        return mf_fork_take_back(self, spawn);
    return true;
}

/* ---- macros: counting arguments -------------------------------------------------------------------------------- */

#define MF_FORK_PICK(a, b, c, d, e, f, g, h, i, j, k, l, m, n, ...) n
/* Of NAME, type1, arg1, …: how many arguments. */
#define MF_FORK_PAIRS(...) MF_FORK_PICK(__VA_ARGS__, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0)
#define MF_FORK_JOIN2(a, b) a##b
#define MF_FORK_JOIN(a, b) MF_FORK_JOIN2(a, b)

/* For each argument: its parameter ", T a"; its member "T a;"; its name ", a"; its member of s ", s.a"; its copy to the spawn `at`.
 * One by one, and no struct of all before: a compiler copies that twice more, and each copy waits for the one before. */
#define MF_FORK_PUT(at, name, a) memcpy((at)->data.bytes + offsetof(struct name##_fork_args, a), &a, sizeof a);
#define MF_FORK_PARAMS_0(name)
#define MF_FORK_PARAMS_1(name, A, a) , A a
#define MF_FORK_PARAMS_2(name, A, a, B, b) , A a, B b
#define MF_FORK_PARAMS_3(name, A, a, B, b, C, c) , A a, B b, C c
#define MF_FORK_PARAMS_4(name, A, a, B, b, C, c, D, d) , A a, B b, C c, D d
#define MF_FORK_PARAMS_5(name, A, a, B, b, C, c, D, d, E, e) , A a, B b, C c, D d, E e
#define MF_FORK_PARAMS_6(name, A, a, B, b, C, c, D, d, E, e, F, f) , A a, B b, C c, D d, E e, F f
#define MF_FORK_MEMBERS_0(name) char none;
#define MF_FORK_MEMBERS_1(name, A, a) A a;
#define MF_FORK_MEMBERS_2(name, A, a, B, b) A a; B b;
#define MF_FORK_MEMBERS_3(name, A, a, B, b, C, c) A a; B b; C c;
#define MF_FORK_MEMBERS_4(name, A, a, B, b, C, c, D, d) A a; B b; C c; D d;
#define MF_FORK_MEMBERS_5(name, A, a, B, b, C, c, D, d, E, e) A a; B b; C c; D d; E e;
#define MF_FORK_MEMBERS_6(name, A, a, B, b, C, c, D, d, E, e, F, f) A a; B b; C c; D d; E e; F f;
#define MF_FORK_NAMES_0(name)
#define MF_FORK_NAMES_1(name, A, a) , a
#define MF_FORK_NAMES_2(name, A, a, B, b) , a, b
#define MF_FORK_NAMES_3(name, A, a, B, b, C, c) , a, b, c
#define MF_FORK_NAMES_4(name, A, a, B, b, C, c, D, d) , a, b, c, d
#define MF_FORK_NAMES_5(name, A, a, B, b, C, c, D, d, E, e) , a, b, c, d, e
#define MF_FORK_NAMES_6(name, A, a, B, b, C, c, D, d, E, e, F, f) , a, b, c, d, e, f
#define MF_FORK_OF_0(s, name)
#define MF_FORK_OF_1(s, name, A, a) , s.a
#define MF_FORK_OF_2(s, name, A, a, B, b) , s.a, s.b
#define MF_FORK_OF_3(s, name, A, a, B, b, C, c) , s.a, s.b, s.c
#define MF_FORK_OF_4(s, name, A, a, B, b, C, c, D, d) , s.a, s.b, s.c, s.d
#define MF_FORK_OF_5(s, name, A, a, B, b, C, c, D, d, E, e) , s.a, s.b, s.c, s.d, s.e
#define MF_FORK_OF_6(s, name, A, a, B, b, C, c, D, d, E, e, F, f) , s.a, s.b, s.c, s.d, s.e, s.f
#define MF_FORK_PUT_0(at, name)
#define MF_FORK_PUT_1(at, name, A, a) MF_FORK_PUT_0(at, name) MF_FORK_PUT(at, name, a)
#define MF_FORK_PUT_2(at, name, A, a, B, b) MF_FORK_PUT_1(at, name, A, a) MF_FORK_PUT(at, name, b)
#define MF_FORK_PUT_3(at, name, A, a, B, b, C, c) MF_FORK_PUT_2(at, name, A, a, B, b) MF_FORK_PUT(at, name, c)
#define MF_FORK_PUT_4(at, name, A, a, B, b, C, c, D, d) MF_FORK_PUT_3(at, name, A, a, B, b, C, c) MF_FORK_PUT(at, name, d)
#define MF_FORK_PUT_5(at, name, A, a, B, b, C, c, D, d, E, e) MF_FORK_PUT_4(at, name, A, a, B, b, C, c, D, d) MF_FORK_PUT(at, name, e)
#define MF_FORK_PUT_6(at, name, A, a, B, b, C, c, D, d, E, e, F, f)                                                    \
    MF_FORK_PUT_5(at, name, A, a, B, b, C, c, D, d, E, e) MF_FORK_PUT(at, name, f)
#define MF_FORK_PARAMS(n, ...) MF_FORK_JOIN(MF_FORK_PARAMS_, n)(__VA_ARGS__)
#define MF_FORK_MEMBERS(n, ...) MF_FORK_JOIN(MF_FORK_MEMBERS_, n)(__VA_ARGS__)
#define MF_FORK_NAMES(n, ...) MF_FORK_JOIN(MF_FORK_NAMES_, n)(__VA_ARGS__)
#define MF_FORK_OF(n, ...) MF_FORK_JOIN(MF_FORK_OF_, n)(__VA_ARGS__)
#define MF_FORK_PUTS(n, ...) MF_FORK_JOIN(MF_FORK_PUT_, n)(__VA_ARGS__)

#define MF_FORK_FIRST(...) MF_FORK_FIRST_(__VA_ARGS__, )
#define MF_FORK_FIRST_(name, ...) name
#define MF_FORK_ANY(...) MF_FORK_PICK(__VA_ARGS__, N, N, N, N, N, N, N, N, N, N, N, N, 0, 0)

/* ---- macros: a function ------------------------------------------------------------------------------------------- */

/* What there is of one. mf_fork_self is the worker's stack, mf_fork_top its first free slot: parameters, so that they
 * live in registers, and nothing of the stack is in memory that others look at. */
#define MF_FORK_HEAD(type, name, n, ...)                                                                               \
    static type name(MF_FORK_UNUSED mf_fork *mf_fork_self, MF_FORK_UNUSED mf_spawn *mf_fork_top                     \
                     MF_FORK_PARAMS(n, __VA_ARGS__))

#define MF_FORK_COMMON(type, name, n, ...)                                                                             \
    struct name##_fork_args {                                                                                          \
        MF_FORK_MEMBERS(n, __VA_ARGS__)                                                                                \
    };                                                                                                                 \
    MF_FORK_ASSERT(sizeof(struct name##_fork_args) <= MF_FORK_DATA, #name ": more than 48 bytes of arguments");        \
    MF_FORK_HEAD(type, name, n, __VA_ARGS__);                                                                          \
    static void name##_steal(mf_fork *, mf_spawn *, mf_spawn *);                                               \
    MF_FORK_UNUSED static inline void name##_spawn(mf_fork *mf_fork_self, mf_spawn *mf_fork_top                    \
                                                   MF_FORK_PARAMS(n, __VA_ARGS__))                                     \
    {                                                                                                                  \
        mf_fork_top->steal = name##_steal;                                                                             \
        MF_FORK_PUTS(n, mf_fork_top, __VA_ARGS__)                                                                      \
        mf_fork_spawned(mf_fork_self, mf_fork_top + 1);                                                                \
    }

#define MF_FORK_DECLARE(type, name, n, ...)                                                                            \
    MF_FORK_ASSERT(sizeof(type) <= MF_FORK_DATA, #name ": a value of more than 48 bytes");                             \
    MF_FORK_COMMON(type, name, n, __VA_ARGS__)                                                                         \
    MF_FORK_UNUSED static void name##_steal(mf_fork *self, mf_spawn *top, mf_spawn *spawn)                      \
    {                                                                                                                  \
        struct name##_fork_args args;                                                                                  \
        memcpy(&args, spawn->data.bytes, sizeof args);                                                                  \
        type value = name(self, top MF_FORK_OF(n, args, __VA_ARGS__));                                                 \
        memcpy(spawn->data.bytes, &value, sizeof value);                                                                \
    }                                                                                                                  \
    MF_FORK_UNUSED static inline type name##_sync(mf_fork *self, mf_spawn *spawn)                                   \
    {                                                                                                                  \
        if (mf_fork_mine(self, spawn)) {                                                                                \
            struct name##_fork_args args;                                                                              \
            memcpy(&args, spawn->data.bytes, sizeof args);                                                              \
            return name(self, spawn MF_FORK_OF(n, args, __VA_ARGS__));                                                  \
        }                                                                                                              \
        type value;                                                                                                    \
        memcpy(&value, spawn->data.bytes, sizeof value);                                                                \
        return value;                                                                                                  \
    }                                                                                                                  \
    MF_FORK_UNUSED MF_NODISCARD static inline mf_status name##_run(mf_pool *mf_fork_pool, type *mf_fork_value          \
                                                                   MF_FORK_PARAMS(n, __VA_ARGS__))                     \
    {                                                                                                                  \
        mf_spawn mf_fork_root;                                                                                     \
        mf_fork_root.steal = name##_steal;                                                                             \
        MF_FORK_PUTS(n, &mf_fork_root, __VA_ARGS__)                                                                    \
        mf_status mf_fork_status = mf_fork_run(mf_fork_pool, &mf_fork_root);                                           \
        if (mf_fork_status == MF_OK)                                                                                   \
            memcpy(mf_fork_value, mf_fork_root.data.bytes, sizeof *mf_fork_value);                                     \
        return mf_fork_status;                                                                                         \
    }

#define MF_FORK_VOID_DECLARE(name, n, ...)                                                                             \
    MF_FORK_COMMON(void, name, n, __VA_ARGS__)                                                                         \
    MF_FORK_UNUSED static void name##_steal(mf_fork *self, mf_spawn *top, mf_spawn *spawn)                      \
    {                                                                                                                  \
        struct name##_fork_args args;                                                                                  \
        memcpy(&args, spawn->data.bytes, sizeof args);                                                                  \
        name(self, top MF_FORK_OF(n, args, __VA_ARGS__));                                                              \
    }                                                                                                                  \
    MF_FORK_UNUSED static inline void name##_sync(mf_fork *self, mf_spawn *spawn)                                   \
    {                                                                                                                  \
        if (!mf_fork_mine(self, spawn))                                                                                 \
            return;                                                                                                    \
        struct name##_fork_args args;                                                                                  \
        memcpy(&args, spawn->data.bytes, sizeof args);                                                                  \
        name(self, spawn MF_FORK_OF(n, args, __VA_ARGS__));                                                             \
    }                                                                                                                  \
    MF_FORK_UNUSED MF_NODISCARD static inline mf_status name##_run(mf_pool *mf_fork_pool MF_FORK_PARAMS(n, __VA_ARGS__)) \
    {                                                                                                                  \
        mf_spawn mf_fork_root;                                                                                     \
        mf_fork_root.steal = name##_steal;                                                                             \
        MF_FORK_PUTS(n, &mf_fork_root, __VA_ARGS__)                                                                    \
        return mf_fork_run(mf_fork_pool, &mf_fork_root);                                                               \
    }

#define MF_FORK_DECLARE_N(type, name, n, ...) MF_FORK_DECLARE(type, name, n, __VA_ARGS__)
#define MF_FORK_VOID_DECLARE_N(name, n, ...) MF_FORK_VOID_DECLARE(name, n, __VA_ARGS__)
#define MF_FORK_HEAD_N(type, name, n, ...) MF_FORK_HEAD(type, name, n, __VA_ARGS__)

/* Call op of the function in front: with its arguments if there are any. */
#define MF_FORK_OP(op, top, ...) MF_FORK_JOIN(MF_FORK_OP_, MF_FORK_ANY(__VA_ARGS__))(op, top, __VA_ARGS__)
#define MF_FORK_OP_0(op, top, name) name##op(mf_fork_self, top)
#define MF_FORK_OP_N(op, top, name, ...) name##op(mf_fork_self, top, __VA_ARGS__)

/* ---- the words --------------------------------------------------------------------------------------------------- */

/** A spawnable function that is written further down. To be used outside of functions, as all five that follow. */
#define MF_SPAWNABLE_DECLARE(type, ...)                                                                                     \
    MF_FORK_DECLARE_N(type, MF_FORK_FIRST(__VA_ARGS__), MF_FORK_PAIRS(__VA_ARGS__), __VA_ARGS__)
#define MF_VOID_SPAWNABLE_DECLARE(...)                                                                                      \
    MF_FORK_VOID_DECLARE_N(MF_FORK_FIRST(__VA_ARGS__), MF_FORK_PAIRS(__VA_ARGS__), __VA_ARGS__)
/** The head of a declared one. */
#define MF_SPAWNABLE_BODY(type, ...)                                                                                        \
    MF_FORK_HEAD_N(type, MF_FORK_FIRST(__VA_ARGS__), MF_FORK_PAIRS(__VA_ARGS__), __VA_ARGS__)
#define MF_VOID_SPAWNABLE_BODY(...) MF_SPAWNABLE_BODY(void, __VA_ARGS__)
/** The head of a spawnable function, MF_SPAWNABLE(type, NAME, type1, arg1, …); of one without a value, MF_VOID_SPAWNABLE(NAME,
 * type1, arg1, …). Defines also
 *     mf_status NAME_run(mf_pool *pool, type *value, type1 arg1, …)     (without `value` for MF_VOID_SPAWNABLE)
 * which runs it on a worker of the pool and waits. On a worker of the pool it runs right there; another thread queues a
 * job and sleeps. *value is written with MF_OK only; pool, value and what arguments point to are borrowed for the call.
 * MF_OK; MF_E_NOMEM: no memory for the stack of spawns, nothing ran; and, where it has to be queued, all that
 * mf_group_submit answers. */
#define MF_SPAWNABLE(type, ...)                                                                                             \
    MF_SPAWNABLE_DECLARE(type, __VA_ARGS__)                                                                                 \
    MF_SPAWNABLE_BODY(type, __VA_ARGS__)
#define MF_VOID_SPAWNABLE(...)                                                                                              \
    MF_VOID_SPAWNABLE_DECLARE(__VA_ARGS__)                                                                                  \
    MF_VOID_SPAWNABLE_BODY(__VA_ARGS__)

/** Spawn, sync the last spawn, call: in the body of spawnable functions only, on the thread that runs it. */
#define MF_SPAWN(...) (MF_FORK_OP(_spawn, mf_fork_top, __VA_ARGS__), (void)mf_fork_top++)
#define MF_SYNC(name) (mf_fork_top--, name##_sync(mf_fork_self, mf_fork_top))
#define MF_CALL(...) MF_FORK_OP(, mf_fork_top, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
