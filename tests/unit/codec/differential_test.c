/* The same bytes, read by us and by the libraries that everybody else reads them with. */
#include "codec_support.h"

#include <math.h>
#include <msgpack.h>
#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

static uint64_t state;

static uint32_t dice(uint32_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % sides;
}

/* A random value, packed by msgpack-c; json: only what JSON has. */
static void pack_random(msgpack_packer *pk, int depth, bool json)
{
    static const char texts[][12] = {"", "a", "key", "\xc3\xa9", "\xf0\x9f\x98\x80", "\n\"\\/", "longer text"};
    uint64_t bits = state << dice(60);
    uint32_t n = dice(5), kind = dice(depth > 0 ? 10 : 7);
    double real;
    switch (kind) {
    case 0: msgpack_pack_nil(pk); break;
    case 1: dice(2) ? msgpack_pack_true(pk) : msgpack_pack_false(pk); break;
    case 2: msgpack_pack_int64(pk, (int64_t)bits >> dice(63)); break;
    case 3: json ? msgpack_pack_int64(pk, (int64_t)(bits >> 2)) : msgpack_pack_uint64(pk, bits); break;
    case 4:
        memcpy(&real, &state, sizeof real);
        msgpack_pack_double(pk, json && !isfinite(real) ? 0.25 : real);
        break;
    case 5:
    case 6: {
        const char *text = texts[dice(7)];
        if (json || dice(2)) {
            msgpack_pack_str(pk, strlen(text));
            msgpack_pack_str_body(pk, text, strlen(text));
        } else if (dice(2)) {
            msgpack_pack_bin(pk, strlen(text));
            msgpack_pack_bin_body(pk, text, strlen(text));
        } else {
            msgpack_pack_ext(pk, strlen(text), (int8_t)dice(100));
            msgpack_pack_ext_body(pk, text, strlen(text));
        }
        break;
    }
    case 7:
    case 8:
        msgpack_pack_map(pk, n);
        for (uint32_t i = 0; i < n; i++) {
            char key[8];
            int len = snprintf(key, sizeof key, "k%u", i);
            msgpack_pack_str(pk, (size_t)len);
            msgpack_pack_str_body(pk, key, (size_t)len);
            pack_random(pk, depth - 1, json);
        }
        break;
    default:
        n *= dice(8);
        msgpack_pack_array(pk, n);
        for (uint32_t i = 0; i < n; i++)
            pack_random(pk, depth - 1, json);
        break;
    }
}

static void same(mf_value ours, const msgpack_object *theirs)
{
    mf_str text = {NULL, 0};
    int64_t n;
    uint64_t u;
    double f;
    bool yes;
    int8_t type;
    mf_value key, item;
    mf_iter items = mf_value_iter(ours);
    switch (theirs->type) {
    case MSGPACK_OBJECT_NIL:
        cr_assert(eq(int, mf_value_type(ours), MF_TYPE_NIL));
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        cr_assert(mf_value_bool(ours, &yes) == MF_OK && yes == theirs->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        cr_assert(mf_value_uint(ours, &u) == MF_OK && u == theirs->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        cr_assert(mf_value_int(ours, &n) == MF_OK && n == theirs->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        cr_assert(mf_value_float(ours, &f) == MF_OK && (f == theirs->via.f64 || (isnan(f) && isnan(theirs->via.f64))));
        break;
    case MSGPACK_OBJECT_STR:
        cr_assert(eq(int, mf_value_str(ours, &text), MF_OK));
        cr_assert(mf_str_eq(text, mf_str_of(theirs->via.str.ptr, theirs->via.str.size)));
        break;
    case MSGPACK_OBJECT_BIN:
        cr_assert(eq(int, mf_value_bin(ours, &text), MF_OK));
        cr_assert(mf_str_eq(text, mf_str_of(theirs->via.bin.ptr, theirs->via.bin.size)));
        break;
    case MSGPACK_OBJECT_EXT:
        cr_assert(mf_value_ext(ours, &type, &text) == MF_OK && type == theirs->via.ext.type);
        cr_assert(mf_str_eq(text, mf_str_of(theirs->via.ext.ptr, theirs->via.ext.size)));
        break;
    case MSGPACK_OBJECT_ARRAY:
        cr_assert(eq(sz, mf_value_count(ours), theirs->via.array.size));
        for (uint32_t i = 0; mf_iter_next(&items, NULL, &item); i++)
            same(item, &theirs->via.array.ptr[i]);
        break;
    case MSGPACK_OBJECT_MAP:
        cr_assert(eq(sz, mf_value_count(ours), theirs->via.map.size));
        for (uint32_t i = 0; mf_iter_next(&items, &key, &item); i++) {
            same(key, &theirs->via.map.ptr[i].key);
            same(item, &theirs->via.map.ptr[i].val);
        }
        break;
    }
}

Test(codec_differential, we_read_what_msgpack_c_reads)
{
    for (unsigned seed = 1; seed <= 3000; seed++) {
        msgpack_sbuffer buffer;
        msgpack_packer pk;
        msgpack_unpacked theirs;
        mf_message *ours;
        mf_error err = {0};
        state = seed * 0x9e3779b97f4a7c15u;
        msgpack_sbuffer_init(&buffer);
        msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
        pack_random(&pk, 6, false);
        mf_str bytes = mf_str_of(buffer.data, buffer.size);
        mf_status st = mf_message_from_bytes(bytes, NULL, NULL, &ours, &err);
        cr_assert(eq(int, st, MF_OK), "seed %u: %s", seed, err.text);
        msgpack_unpacked_init(&theirs);
        cr_assert(eq(int, msgpack_unpack_next(&theirs, buffer.data, buffer.size, NULL), MSGPACK_UNPACK_SUCCESS));
        same(mf_message_value(ours), &theirs.data);
        msgpack_unpacked_destroy(&theirs);
        mf_message_unref(ours);
        msgpack_sbuffer_destroy(&buffer);
    }
}

#ifdef HAVE_JANSSON
/* jansson is the strictest of the JSON libraries: what it reads, we read the same, and it reads what we write. */
Test(codec_differential, jansson_reads_what_we_write_and_the_other_way_round)
{
    for (unsigned seed = 1; seed <= 2000; seed++) {
        msgpack_sbuffer buffer;
        msgpack_packer pk;
        mf_message *first, *second, *third;
        mf_error err = {0};
        char *text;
        size_t len;
        state = seed * 0x9e3779b97f4a7c15u;
        msgpack_sbuffer_init(&buffer);
        msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
        pack_random(&pk, 5, true);
        mf_str bytes = mf_str_of(buffer.data, buffer.size);
        cr_assert(eq(int, mf_message_from_bytes(bytes, NULL, NULL, &first, &err), MF_OK), "seed %u: %s", seed, err.text);
        cr_assert(eq(int, mf_message_to_json(first, NULL, &text, &len, &err), MF_OK), "seed %u: %s", seed, err.text);
        cr_assert(eq(int, mf_message_from_json(mf_str_of(text, len), NULL, NULL, &second, &err), MF_OK), "%s", text);
        cr_assert(mf_str_eq(mf_message_bytes(second), bytes), "seed %u: %s", seed, text);

        json_error_t theirs;
        json_t *tree = json_loadb(text, len, JSON_DECODE_ANY, &theirs);
        cr_assert(tree != NULL, "seed %u: %s in %s", seed, theirs.text, text);
        char *rewritten = json_dumps(tree, JSON_ENCODE_ANY | JSON_COMPACT | (dice(2) ? JSON_ENSURE_ASCII : 0));
        cr_assert(eq(int, mf_message_from_json(mf_cstr(rewritten), NULL, NULL, &third, &err), MF_OK), "%s", rewritten);
        cr_assert(mf_str_eq(mf_message_bytes(third), bytes), "seed %u: %s, %s", seed, text, rewritten);
        free(rewritten);
        json_decref(tree);
        mf_json_free(NULL, text, len);
        mf_message_unref(first);
        mf_message_unref(second);
        mf_message_unref(third);
        msgpack_sbuffer_destroy(&buffer);
    }
}
#endif
