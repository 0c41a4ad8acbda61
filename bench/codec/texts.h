/* bench/codec/texts.h: the message that is timed, and the texts that tell how strict a reader is. */
#ifndef BENCH_TEXTS_H
#define BENCH_TEXTS_H

#include <mageflow/base.h>

/** A task as TaskIQ sends it. */
extern const mf_str texts_task;

typedef struct text_case {
    const char *name;
    mf_str      text;       /* a NUL follows */
} text_case;

/** What Python's json writes, and what no reader may pass. */
extern const text_case texts_good[], texts_bad[];
extern const size_t texts_good_count, texts_bad_count;

#endif
