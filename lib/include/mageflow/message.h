/* mageflow/message.h: messages: immutable, reference-counted msgpack, and how to build, read and convert them.
 *
 * A message holds exactly one msgpack value, verified when the message was made: reading it can neither run past its end
 * nor recurse without bound, and every str in it is valid UTF-8. Bytes and text of another kind travel as bin.
 *
 * Threads   a message may be read, referenced and unreferenced by any number of threads. A builder, an iterator and a
 *           value belong to one thread at a time.
 * Lifetime  whoever receives a message through an `out` or as a return value owns one reference and gives it back with
 *           mf_message_unref. Values and texts read from a message are borrowed from it and end with its last reference.
 * Memory    one allocation a message. An allocator given here must outlive every message made with it.
 */
#ifndef MAGEFLOW_MESSAGE_H
#define MAGEFLOW_MESSAGE_H

#include <mageflow/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_message mf_message;

/* ---- limits ------------------------------------------------------------------------------------------------- */

#define MF_DEPTH_MAX 64    /* no limit may allow more nested arrays and maps than this */

/** What a message may be; checked against the bytes that are really there before anything is allocated. */
typedef struct mf_limits {
    size_t   struct_size;   /* set by the macro below */
    size_t   bytes;         /* of msgpack, and of JSON text; 0: 1 MiB; more than 4 GiB - 1 counts as that */
    unsigned depth;         /* arrays and maps within each other; 0: 32; at most MF_DEPTH_MAX */
    size_t   elements;      /* array items and map entries in the whole message; 0: 65 536 */
} mf_limits;
#define MF_LIMITS(...) (&(const mf_limits){ .struct_size = sizeof(mf_limits), __VA_ARGS__ })

/* ---- messages ----------------------------------------------------------------------------------------------- */

/** Build a message from a format, with the default allocator and limits:
 *
 *     mf_msg("{s:s, s:i, s:[f, f]}", "path", "a.png", "width", 640, "at", 0.5, 1.5)
 *
 * {key:value, ...} a map, [value, ...] an array; a key is s or S; blanks mean nothing. One argument a letter:
 *     s  const char *, NUL-terminated; as a value, NULL is nil
 *     S  mf_str, text              T  mf_str, text of unknown origin: bytes that are not UTF-8 become U+FFFD
 *     B  mf_str, as binary         b  bool (int)           f  double
 *     i  int                       I  int64_t              U  uint64_t
 *     n  nil, takes no argument    v  mf_value, copied; an absent one is nil
 *     m  const mf_message *, borrowed and copied in; NULL is nil, a failed one passes its failure on
 *
 * Never NULL: on failure a static message whose status tells why (MF_E_INVALID: the format or the text is malformed;
 * MF_E_NOMEM; MF_E_TOO_BIG), which holds no value, may be unreferenced, and may be passed on where a message is wanted:
 * the receiver reports it. */
mf_message *mf_msg(const char *fmt, ...);
mf_message *mf_msgv(const char *fmt, va_list args);

/** MF_OK for a message that holds a value; why there is none otherwise; MF_E_INVALID for NULL. */
mf_status mf_message_status(const mf_message *message);
/** One more reference; returns its argument. NULL is passed through. */
mf_message *mf_message_ref(const mf_message *message);
/** Give a reference back; the last one frees the message. NULL is allowed. */
void mf_message_unref(const mf_message *message);
/** Its msgpack bytes, borrowed; empty for NULL and for a failed message. */
mf_str mf_message_bytes(const mf_message *message);
/** The message nil: static, references cost nothing and need not be counted. */
mf_message *mf_message_nil(void);

/** Copy bytes that came from outside into a message, once they are proved to be one whole msgpack value and nothing
 * more, within limits (NULL: the defaults), each str valid UTF-8, each map key a scalar.
 *
 * MF_E_MALFORMED (truncated, trailing or invalid bytes; the text gives the offset), MF_E_TOO_BIG (names the limit),
 * MF_E_NOMEM. Nothing is allocated unless the bytes are good. *out is written on success only. */
MF_NODISCARD mf_status mf_message_from_bytes(mf_str bytes, const mf_limits *limits, const mf_allocator *allocator,
                                             mf_message **out, mf_error *err);

/* ---- JSON; the mapping in full: docs/messages.md ------------------------------------------------------------ */

/** Read one JSON value (RFC 8259, and NaN, Infinity, -Infinity as Python writes them).
 *
 * MF_E_MALFORMED tells line and column, what was expected and what came: also for half a surrogate pair and for text
 * that is not UTF-8. MF_E_TOO_BIG: above a limit, or a number that neither 64 bits nor a double hold. */
MF_NODISCARD mf_status mf_message_from_json(mf_str json, const mf_limits *limits, const mf_allocator *allocator,
                                            mf_message **out, mf_error *err);
/** Write a message as compact JSON. *text is NUL-terminated (*len does not count it) and the caller's to free with
 * mf_json_free and the same allocator. bin becomes base64 text, keys must be str; MF_E_UNSUPPORTED: an ext value or a
 * key of another type; MF_E_NOMEM. A failed message answers its own status. */
MF_NODISCARD mf_status mf_message_to_json(const mf_message *message, const mf_allocator *allocator, char **text,
                                          size_t *len, mf_error *err);
/** Frees what mf_message_to_json or mf_value_to_json gave. NULL is allowed. */
void mf_json_free(const mf_allocator *allocator, char *text, size_t len);

/* ---- reading: no allocation --------------------------------------------------------------------------------- */

/** A borrowed view of one value inside a message. {NULL, 0} is the absent value, of type MF_TYPE_NONE. */
typedef struct mf_value {
    const unsigned char *at;
    size_t               len;
} mf_value;

typedef enum mf_type {
    MF_TYPE_NONE,     /* no value at all */
    MF_TYPE_NIL,
    MF_TYPE_BOOL,
    MF_TYPE_INT,      /* from -2^63 to 2^64 - 1 */
    MF_TYPE_FLOAT,
    MF_TYPE_STR,
    MF_TYPE_BIN,
    MF_TYPE_ARRAY,
    MF_TYPE_MAP,
    MF_TYPE_EXT
} mf_type;

/** The whole message as a value; absent for NULL and for a failed message. */
mf_value mf_message_value(const mf_message *message);
mf_type  mf_value_type(mf_value value);
/** "text", "an integer", ...: for error texts; never NULL. */
const char *mf_type_name(mf_type type);

/* Each writes *out on success only and answers MF_E_TYPE for a value of another type, or for a number that *out could
 * not hold exactly; nothing is converted with loss. mf_value_float takes an integer too. Texts are borrowed. */
MF_NODISCARD mf_status mf_value_bool(mf_value value, bool *out);
MF_NODISCARD mf_status mf_value_int(mf_value value, int64_t *out);
MF_NODISCARD mf_status mf_value_uint(mf_value value, uint64_t *out);
MF_NODISCARD mf_status mf_value_float(mf_value value, double *out);
MF_NODISCARD mf_status mf_value_str(mf_value value, mf_str *out);
MF_NODISCARD mf_status mf_value_bin(mf_value value, mf_str *out);
MF_NODISCARD mf_status mf_value_ext(mf_value value, int8_t *type, mf_str *out);

/** Items of an array, entries of a map; 0 for everything else. */
size_t mf_value_count(mf_value value);
/** The entry of a map under a str key. Where a key occurs twice the last one counts. false: no map or no such key, and
 * *out is the absent value. Costs a walk over the map. */
bool mf_value_get(mf_value map, mf_str key, mf_value *out);
/** Item i of an array. false: no array or no such item, and *out is the absent value. Costs a walk to i. */
bool mf_value_at(mf_value array, size_t i, mf_value *out);

/** A walk over the items of an array or the entries of a map, in their order; over anything else it is empty. */
typedef struct mf_iter {
    const unsigned char *at, *end;
    size_t               left;
    bool                 map;
} mf_iter;
mf_iter mf_value_iter(mf_value value);
/** The next item. key may be NULL; over an array it is set to the absent value. false: there are no more. */
bool mf_iter_next(mf_iter *iter, mf_value *key, mf_value *value);

/** Read several fields at once; each key is followed by where its value goes:
 *
 *     mf_message_scan(m, &err, "{s:s, s?:i, s:{s:f}}", "path", &path, "width", &width, "box", "top", &top)
 *
 * s and S  mf_str *, text    B  mf_str *, binary    b  bool *    i  int *    I  int64_t *    U  uint64_t *
 * f  double *    v  mf_value *, anything    n  nil, no argument    {...} and [...] nest; [...] wants as many items.
 * s?: the field may be missing or nil: what it points to is then left as it was. Fields not named are ignored.
 * Texts and values are borrowed from the message. MF_E_NOT_FOUND: a field is missing; MF_E_TYPE: another type, or a
 * number out of range; err names field, what was expected and what came; MF_E_INVALID: the format is malformed. On
 * failure some of the places may have been written. */
MF_NODISCARD mf_status mf_message_scan(const mf_message *message, mf_error *err, const char *fmt, ...);
MF_NODISCARD mf_status mf_value_scan(mf_value value, mf_error *err, const char *fmt, ...);

/** Copy one value out of a message into a message of its own. An absent value gives nil. MF_E_NOMEM. */
MF_NODISCARD mf_status mf_message_of_value(mf_value value, const mf_allocator *allocator, mf_message **out,
                                           mf_error *err);
/** A value as JSON; see mf_message_to_json. An absent value is null. */
MF_NODISCARD mf_status mf_value_to_json(mf_value value, const mf_allocator *allocator, char **text, size_t *len,
                                        mf_error *err);

/* ---- building ----------------------------------------------------------------------------------------------- */

#define MF_BUILDER_SMALL 512    /* messages up to this many bytes are built on the stack: one allocation, at the end */

/** Builds one message after the other; lives on the caller's stack.
 *
 *     mf_builder b;
 *     mf_builder_init(&b, allocator, NULL);
 *     mf_build_map(&b, 2);
 *     mf_build_key(&b, "path");
 *     mf_build_str(&b, path);
 *     mf_build_key(&b, "tags");
 *     mf_build_array_begin(&b);
 *     while (next_tag(&tag))
 *         mf_build_str(&b, tag);
 *     mf_build_end(&b);
 *     st = mf_builder_finish(&b, &message, err);
 *     mf_builder_fini(&b);
 *
 * The first failure sticks: later calls do nothing, and mf_builder_finish reports it. The fields are private. */
typedef struct mf_builder {
    const mf_allocator *allocator;
    mf_limits           limits;
    mf_status           status;
    const char         *problem;
    unsigned char      *at;
    size_t              len, room;
    size_t              elements;
    unsigned            depth, deepest;
    struct mf_builder_open {
        uint32_t head;          /* where an open-ended container's head will go */
        uint32_t left;          /* values still to come; counted upwards in an open-ended one */
        bool     map, endless;
    } open[MF_DEPTH_MAX];
    unsigned char small_block[MF_BUILDER_SMALL];
} mf_builder;

/** allocator (borrowed) and limits (copied): NULL means the defaults. Allocates nothing. */
void mf_builder_init(mf_builder *builder, const mf_allocator *allocator, const mf_limits *limits);
/** Drops what is unfinished. Harmless after mf_builder_finish, and twice. */
void mf_builder_fini(mf_builder *builder);
/** The first failure so far, or MF_OK. */
mf_status mf_builder_status(const mf_builder *builder);

/** A map of exactly n entries follows: n times a key and a value. It closes itself after the last. */
void mf_build_map(mf_builder *builder, size_t n);
void mf_build_array(mf_builder *builder, size_t n);
/** A map or an array whose count is known at its mf_build_end. */
void mf_build_map_begin(mf_builder *builder);
void mf_build_array_begin(mf_builder *builder);
void mf_build_end(mf_builder *builder);

/** A key; the same as mf_build_str. Any scalar built at its place is a key too. */
void mf_build_key(mf_builder *builder, const char *key);
void mf_build_str(mf_builder *builder, mf_str text);         /* MF_E_INVALID where it is not UTF-8 */
void mf_build_str_lossy(mf_builder *builder, mf_str text);   /* bytes that are not UTF-8 become U+FFFD */
void mf_build_bin(mf_builder *builder, mf_str bytes);
void mf_build_int(mf_builder *builder, int64_t value);
void mf_build_uint(mf_builder *builder, uint64_t value);
void mf_build_float(mf_builder *builder, double value);
void mf_build_bool(mf_builder *builder, bool value);
void mf_build_nil(mf_builder *builder);
void mf_build_value(mf_builder *builder, mf_value value);                   /* copied; absent: nil */
void mf_build_message(mf_builder *builder, const mf_message *message);      /* copied; NULL: nil; failed: fails */

/** The finished message. MF_E_INVALID: a map or array is incomplete, or nothing was built; else the failure that
 * stuck. *out is written on success only. Either way the builder is empty afterwards and may build the next one. */
MF_NODISCARD mf_status mf_builder_finish(mf_builder *builder, mf_message **out, mf_error *err);

#ifdef __cplusplus
}
#endif
#endif
