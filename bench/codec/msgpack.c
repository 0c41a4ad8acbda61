/* bench_msgpack [--quick]: messages beside msgpack-c alone: a task's message is built, is read, and bytes from outside are
 * validated. CPU time of one thread; rounds interleaved.
 *
 * bench_msgpack --one [ROW N]: N times one row of the tables and nothing else, for bench/codec/counts; without them, the rows.
 *
 *     build      nine fields, a map and a list among them, to one block of memory
 *     read       five of the fields by name, one of them in the inner map
 *     validate   bytes to a message: proved whole and within limits, each text UTF-8, and copied. msgpack-c can only unpack into
 *                objects, and looks at no text: less is promised, and the unpacked form is what it reads from
 *
 * Both give the same bytes, and read the same values, or the program ends. */
#include "report.h"

#include <mageflow/message.h>

#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- build -------------------------------------------------------------------------------------------------------- */

static mf_message *build_ours(void)
{
    mf_builder b;
    mf_message *message = NULL;
    mf_builder_init(&b, NULL, NULL);
    mf_build_map(&b, 9);
    mf_build_key(&b, "path");
    mf_build_str(&b, MF_STR_LIT("/srv/pictures/2024/été 03.png"));
    mf_build_key(&b, "width");
    mf_build_int(&b, 640);
    mf_build_key(&b, "height");
    mf_build_int(&b, 480);
    mf_build_key(&b, "quality");
    mf_build_float(&b, 0.85);
    mf_build_key(&b, "fast");
    mf_build_bool(&b, true);
    mf_build_key(&b, "tags");
    mf_build_array(&b, 2);
    mf_build_str(&b, MF_STR_LIT("thumb"));
    mf_build_str(&b, MF_STR_LIT("small"));
    mf_build_key(&b, "box");
    mf_build_map(&b, 2);
    mf_build_key(&b, "top");
    mf_build_float(&b, -12.5);
    mf_build_key(&b, "left");
    mf_build_float(&b, 3.25);
    mf_build_key(&b, "bytes");
    mf_build_uint(&b, 5000000000);
    mf_build_key(&b, "owner");
    mf_build_str(&b, MF_STR_LIT("alice"));
    if (mf_builder_finish(&b, &message, NULL) != MF_OK)
        abort();
    mf_builder_fini(&b);
    return message;
}

static mf_message *format_ours(void)
{
    return mf_msg("{s:s, s:i, s:i, s:f, s:b, s:[s, s], s:{s:f, s:f}, s:U, s:s}", "path", "/srv/pictures/2024/été 03.png", "width", 640,
                  "height", 480, "quality", 0.85, "fast", 1, "tags", "thumb", "small", "box", "top", -12.5, "left", 3.25, "bytes",
                  (uint64_t)5000000000, "owner", "alice");
}

static void pack_str(msgpack_packer *p, const char *text)
{
    msgpack_pack_str(p, strlen(text));
    msgpack_pack_str_body(p, text, strlen(text));
}

/* The buffer's own memory is the block. */
static void build_theirs(msgpack_sbuffer *out)
{
    msgpack_packer p;
    msgpack_sbuffer_init(out);
    msgpack_packer_init(&p, out, msgpack_sbuffer_write);
    msgpack_pack_map(&p, 9);
    pack_str(&p, "path");
    pack_str(&p, "/srv/pictures/2024/été 03.png");
    pack_str(&p, "width");
    msgpack_pack_int(&p, 640);
    pack_str(&p, "height");
    msgpack_pack_int(&p, 480);
    pack_str(&p, "quality");
    msgpack_pack_double(&p, 0.85);
    pack_str(&p, "fast");
    msgpack_pack_true(&p);
    pack_str(&p, "tags");
    msgpack_pack_array(&p, 2);
    pack_str(&p, "thumb");
    pack_str(&p, "small");
    pack_str(&p, "box");
    msgpack_pack_map(&p, 2);
    pack_str(&p, "top");
    msgpack_pack_double(&p, -12.5);
    pack_str(&p, "left");
    msgpack_pack_double(&p, 3.25);
    pack_str(&p, "bytes");
    msgpack_pack_uint64(&p, 5000000000);
    pack_str(&p, "owner");
    pack_str(&p, "alice");
}

/* ---- read --------------------------------------------------------------------------------------------------------- */

typedef struct fields {
    mf_str   path, owner;
    int64_t  width;
    uint64_t bytes;
    double   top;
} fields;

static bool read_ours(const mf_message *message, fields *out)
{
    mf_value top = mf_message_value(message), box, value;
    return mf_value_get(top, MF_STR_LIT("path"), &value) && mf_value_str(value, &out->path) == MF_OK
        && mf_value_get(top, MF_STR_LIT("width"), &value) && mf_value_int(value, &out->width) == MF_OK
        && mf_value_get(top, MF_STR_LIT("bytes"), &value) && mf_value_uint(value, &out->bytes) == MF_OK
        && mf_value_get(top, MF_STR_LIT("owner"), &value) && mf_value_str(value, &out->owner) == MF_OK
        && mf_value_get(top, MF_STR_LIT("box"), &box) && mf_value_get(box, MF_STR_LIT("top"), &value)
        && mf_value_float(value, &out->top) == MF_OK;
}

static bool scan_ours(const mf_message *message, fields *out)
{
    return mf_message_scan(message, NULL, "{s:S, s:I, s:U, s:S, s:{s:f}}", "path", &out->path, "width", &out->width, "bytes",
                           &out->bytes, "owner", &out->owner, "box", "top", &out->top) == MF_OK;
}

static const msgpack_object *get(const msgpack_object *map, const char *key)
{
    size_t len = strlen(key);
    for (uint32_t i = 0; map->type == MSGPACK_OBJECT_MAP && i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        if (kv->key.type == MSGPACK_OBJECT_STR && kv->key.via.str.size == len && memcmp(kv->key.via.str.ptr, key, len) == 0)
            return &kv->val;
    }
    return NULL;
}

static bool get_str(const msgpack_object *map, const char *key, mf_str *out)
{
    const msgpack_object *value = get(map, key);
    if (value == NULL || value->type != MSGPACK_OBJECT_STR)
        return false;
    *out = mf_str_of(value->via.str.ptr, value->via.str.size);
    return true;
}

/* msgpack-c keeps what is not negative as u64. */
static bool get_u64(const msgpack_object *map, const char *key, uint64_t *out)
{
    const msgpack_object *value = get(map, key);
    if (value == NULL || value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return false;
    *out = value->via.u64;
    return true;
}

static bool read_theirs(const msgpack_object *top, fields *out)
{
    uint64_t width = 0;
    const msgpack_object *box = get(top, "box"), *value = box != NULL ? get(box, "top") : NULL;
    if (!get_str(top, "path", &out->path) || !get_str(top, "owner", &out->owner) || !get_u64(top, "width", &width)
        || !get_u64(top, "bytes", &out->bytes) || value == NULL || value->type != MSGPACK_OBJECT_FLOAT64)
        return false;
    out->width = (int64_t)width;
    out->top = value->via.f64;
    return true;
}

static bool right(const fields *f)
{
    return mf_str_eq(f->path, MF_STR_LIT("/srv/pictures/2024/été 03.png")) && mf_str_eq(f->owner, MF_STR_LIT("alice"))
        && f->width == 640 && f->bytes == 5000000000 && f->top == -12.5;
}

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench_msgpack: %s\n", what);
    exit(1);
}

/* ---- rounds: ns of one ---------------------------------------------------------------------------------------------- */

static mf_message *message;         /* what is read, and whose bytes are validated */
static volatile uint64_t sink;      /* what nobody looks at is not computed */

static double build_by_builder(int batch)
{
    double begin = report_thread_cpu_ns();
    for (int i = 0; i < batch; i++)
        mf_message_unref(build_ours());
    return (report_thread_cpu_ns() - begin) / batch;
}

static double build_by_format(int batch)
{
    double begin = report_thread_cpu_ns();
    for (int i = 0; i < batch; i++)
        mf_message_unref(format_ours());
    return (report_thread_cpu_ns() - begin) / batch;
}

static double build_by_msgpack(int batch)
{
    double begin = report_thread_cpu_ns();
    for (int i = 0; i < batch; i++) {
        msgpack_sbuffer buffer;
        build_theirs(&buffer);
        sink += buffer.size;
        msgpack_sbuffer_destroy(&buffer);
    }
    return (report_thread_cpu_ns() - begin) / batch;
}

static double read_by_value(int batch)
{
    fields f = {.width = 0};
    double begin = report_thread_cpu_ns();
    for (int i = 0; i < batch; i++)
        sink += read_ours(message, &f) ? f.bytes : 0;
    return (report_thread_cpu_ns() - begin) / batch;
}

static double read_by_scan(int batch)
{
    fields f = {.width = 0};
    double begin = report_thread_cpu_ns();
    for (int i = 0; i < batch; i++)
        sink += scan_ours(message, &f) ? f.bytes : 0;
    return (report_thread_cpu_ns() - begin) / batch;
}

/* From bytes, as ours reads from bytes: their form to read from is what the unpacking makes. */
static double read_by_msgpack(int batch)
{
    mf_str bytes = mf_message_bytes(message);
    fields f = {.width = 0};
    double begin = report_thread_cpu_ns();
    for (int i = 0; i < batch; i++) {
        msgpack_unpacked u;
        msgpack_unpacked_init(&u);
        if (msgpack_unpack_next(&u, bytes.at, bytes.len, NULL) == MSGPACK_UNPACK_SUCCESS)
            sink += read_theirs(&u.data, &f) ? f.bytes : 0;
        msgpack_unpacked_destroy(&u);
    }
    return (report_thread_cpu_ns() - begin) / batch;
}

static double validate_by_message(int batch)
{
    mf_str bytes = mf_message_bytes(message);
    double begin = report_thread_cpu_ns();
    for (int i = 0; i < batch; i++) {
        mf_message *copy = NULL;
        if (mf_message_from_bytes(bytes, NULL, NULL, &copy, NULL) != MF_OK)
            abort();
        mf_message_unref(copy);
    }
    return (report_thread_cpu_ns() - begin) / batch;
}

static double validate_by_msgpack(int batch)
{
    mf_str bytes = mf_message_bytes(message);
    double begin = report_thread_cpu_ns();
    for (int i = 0; i < batch; i++) {
        msgpack_unpacked u;
        msgpack_unpacked_init(&u);
        sink += msgpack_unpack_next(&u, bytes.at, bytes.len, NULL) == MSGPACK_UNPACK_SUCCESS;
        msgpack_unpacked_destroy(&u);
    }
    return (report_thread_cpu_ns() - begin) / batch;
}

typedef struct contest {
    const char *title;
    struct {
        const char *name;
        double (*round)(int batch);
    } rows[3];
    int count;
} contest;

static const contest contests[] = {
    {"msgpack: build a message of nine fields", {{"mageflow, builder", build_by_builder}, {"mageflow, format", build_by_format},
                                                 {"msgpack-c", build_by_msgpack}}, 3},
    {"msgpack: read five fields by name", {{"mageflow, values", read_by_value}, {"mageflow, scan", read_by_scan},
                                           {"msgpack-c, unpacked first", read_by_msgpack}}, 3},
    {"msgpack: bytes from outside to a message", {{"mageflow, validated", validate_by_message},
                                                  {"msgpack-c, unpacked", validate_by_msgpack}}, 2},
};
enum { CONTESTS = sizeof contests / sizeof contests[0] };

static void check(void)
{
    fields f = {.width = 0};
    mf_message *formatted = format_ours();
    msgpack_sbuffer buffer;
    msgpack_unpacked u;
    build_theirs(&buffer);
    must(mf_str_eq(mf_message_bytes(message), mf_message_bytes(formatted)), "builder and format give different bytes");
    must(mf_str_eq(mf_message_bytes(message), mf_str_of(buffer.data, buffer.size)), "msgpack-c gives other bytes");
    must(read_ours(message, &f) && right(&f), "values read wrongly");
    f = (fields){.width = 0};
    must(scan_ours(message, &f) && right(&f), "scan reads wrongly");
    f = (fields){.width = 0};
    msgpack_unpacked_init(&u);
    must(msgpack_unpack_next(&u, buffer.data, buffer.size, NULL) == MSGPACK_UNPACK_SUCCESS && read_theirs(&u.data, &f) && right(&f),
         "msgpack-c reads wrongly");
    msgpack_unpacked_destroy(&u);
    msgpack_sbuffer_destroy(&buffer);
    mf_message_unref(formatted);
}

/* The rows of all contests, one after the other; without a number, their names. */
static int run_one(int argc, char **argv)
{
    int row = 0;
    for (size_t c = 0; c < CONTESTS; c++)
        for (int i = 0; i < contests[c].count; i++, row++)
            if (argc < 4)
                printf("%d %s | %s\n", row, contests[c].title, contests[c].rows[i].name);
            else if (row == atoi(argv[2]))
                contests[c].rows[i].round(atoi(argv[3]));
    return 0;
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    int rounds = quick ? 7 : 15, batch = quick ? 20000 : 200000;
    message = build_ours();
    check();
    if (argc > 1 && strcmp(argv[1], "--one") == 0) {
        int rc = run_one(argc, argv);
        mf_message_unref(message);
        return rc;
    }
    printf("## Messages beside msgpack-c\n\n");
    report_machine(quick ? "script/bench --quick msgpack" : "script/bench msgpack");
    printf("- msgpack-c %s; a message of %zu bytes; %d interleaved rounds of %d; CPU time\n", msgpack_version(),
           mf_message_bytes(message).len, rounds, batch);
    for (size_t c = 0; c < CONTESTS; c++) {
        report_row rows[REPORT_ROWS_MAX] = {{0}};
        for (int r = -1; r < rounds; r++)
            for (int i = 0; i < contests[c].count; i++)
                report_put(&rows[i], contests[c].rows[i].name, r, contests[c].rows[i].round(batch));
        report_table(contests[c].title, "ns", rows, contests[c].count, rounds, REPORT_VALUES);
    }
    mf_message_unref(message);
    return 0;
}
