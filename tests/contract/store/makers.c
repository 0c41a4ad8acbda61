#include "makers.h"

const store_maker store_makers[] = {
    {"memory", mf_memory_store_create, {.ours_to_fail = true, .lines_max = 10000}},
};
const size_t store_maker_count = sizeof store_makers / sizeof store_makers[0];
