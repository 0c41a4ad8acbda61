/* mageflow/fields.h: a struct declared once as a table of its fields, for decoding, encoding, validation and schema.
 *
 *     struct resize_in { mf_str path; int width; bool fast; };
 *     MF_FIELDS(resize_in, struct resize_in,
 *               MF_STR(path, MF_REQUIRED), MF_INT(width, .min = 1, .max = 65535, .fallback = 640), MF_BOOL(fast));
 *
 * makes the table `static const mf_fields resize_in`, which stands beside `struct resize_in` and is passed as &resize_in.
 * Tables are made in C; up to 32 rows.
 *
 * Threads   a table is read-only; every function may be called from any thread.
 * Memory    texts, binaries and values in a decoded struct are borrowed from the message.
 */
#ifndef MAGEFLOW_FIELDS_H
#define MAGEFLOW_FIELDS_H

#include <mageflow/message.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_fields mf_fields;

/** What a field is in the struct, and on the wire. */
typedef enum mf_field_kind {
    MF_FIELD_STR,       /* mf_str member, text */
    MF_FIELD_BIN,       /* mf_str member, binary */
    MF_FIELD_INT,       /* any integer member, signed or unsigned, of 1 to 8 bytes; checked against its range */
    MF_FIELD_FLOAT,     /* double member; takes an integer too, where a double holds it exactly */
    MF_FIELD_BOOL,      /* bool member */
    MF_FIELD_VALUE,     /* mf_value member: anything; nil too */
    MF_FIELD_ARRAY,     /* mf_value member: an array */
    MF_FIELD_MAP,       /* mf_value member: a map */
    MF_FIELD_NESTED     /* a struct member with a table of its own */
} mf_field_kind;

/** One row. The options a row macro takes are the fields of this struct:
 *
 *     MF_REQUIRED        missing or nil is an error; without it the field takes its fallback
 *     MF_RETURN          where the next task of a chain and a callback receive the result; at most one row
 *     .name              the name on the wire, where it differs from the member's
 *     .min, .max         bounds of a number, inclusive; of an array or map: of its count
 *     .max_len           the most bytes of a text or binary; 0: no bound of its own
 *     .fallback          of a number or boolean (0), when the field is missing
 *     .text_fallback     of a text (empty), when the field is missing
 *
 * long double holds every int64_t, uint64_t and double exactly. */
typedef struct mf_field {
    const char      *name;
    mf_field_kind    kind;
    bool             required;
    bool             returns;
    bool             is_signed;       /* of an integer member */
    size_t           offset, size;    /* of the member */
    const mf_fields *nested;
    long double      min, max, fallback;
    const char      *text_fallback;
    size_t           max_len;
    int              last;            /* unused: gives the macros below a row end */
} mf_field;

/** A table. */
struct mf_fields {
    const char     *name;
    const mf_field *fields;
    size_t          size;      /* of the struct */
    unsigned        count;
    bool            strict;    /* unknown fields are refused; they are ignored otherwise */
};

#define MF_FIELDS_MAX 64       /* rows a table may have when it is written by hand */

/** Fill *out (of table->size bytes) from a map. Missing and nil fields take their fallback: 0, false, empty, absent,
 * or, for a nested struct that is not required, its own fallbacks. Where a field occurs twice the last one counts.
 * NULL and nil as message are the empty map.
 *
 * MF_E_INVALID: the message breaks the table's rules; err tells which field, what was expected and what came:
 *     field "width": expected an integer from 1 to 65535, got the string "wide"
 *     field "path": required, but missing
 * A failed message answers its own status. On failure *out is all zeroes. */
MF_NODISCARD mf_status mf_fields_decode(const mf_fields *table, const mf_message *in, void *out, mf_error *err);
/** The same from a value. */
MF_NODISCARD mf_status mf_fields_decode_value(const mf_fields *table, mf_value in, void *out, mf_error *err);

/** A struct as a message. A text, binary or value without a pointer (at == NULL) is left out, and is an empty text when
 * the field is required. What the table would refuse when decoding is MF_E_INVALID here too. MF_E_NOMEM, MF_E_TOO_BIG.
 * *out is the caller's, written on success only. */
MF_NODISCARD mf_status mf_fields_encode(const mf_fields *table, const void *in, const mf_allocator *allocator,
                                        mf_message **out, mf_error *err);

/** mf_fields_decode without a struct to fill. */
MF_NODISCARD mf_status mf_fields_validate(const mf_fields *table, const mf_message *message, mf_error *err);
/** Check only the fields that are there, each by itself: for a map that others will be merged into. */
MF_NODISCARD mf_status mf_fields_validate_present(const mf_fields *table, const mf_message *message, mf_error *err);

/** The table as a JSON Schema: {"type": "object", "title": ..., "properties": {...}, "required": [...]}, with
 * "additionalProperties": false for a strict one. *out is the caller's, written on success only. */
MF_NODISCARD mf_status mf_fields_schema(const mf_fields *table, const mf_allocator *allocator, mf_message **out,
                                        mf_error *err);

/** The row marked MF_RETURN, or -1. NULL as table: -1. */
int mf_fields_return_index(const mf_fields *table);
/** Its name on the wire; "mageflow_results" where no row is marked, or table is NULL. */
mf_str mf_fields_return_name(const mf_fields *table);

/* ---- the macros (C only) ------------------------------------------------------------------------------------ */

#define MF_REQUIRED .required = 1
#define MF_RETURN   .returns = 1

#define MF_STR(...)    (MFI_TEXT, MF_FIELD_STR, __VA_ARGS__, .last = 0)
#define MF_BIN(...)    (MFI_TEXT, MF_FIELD_BIN, __VA_ARGS__, .last = 0)
#define MF_INT(...)    (MFI_INT, MF_FIELD_INT, __VA_ARGS__, .last = 0)
#define MF_FLOAT(...)  (MFI_FLOAT, MF_FIELD_FLOAT, __VA_ARGS__, .last = 0)
#define MF_BOOL(...)   (MFI_BOOL, MF_FIELD_BOOL, __VA_ARGS__, .last = 0)
#define MF_VALUE(...)  (MFI_VALUE, MF_FIELD_VALUE, __VA_ARGS__, .last = 0)
#define MF_ARRAY(...)  (MFI_VALUE, MF_FIELD_ARRAY, __VA_ARGS__, .last = 0)
#define MF_MAP(...)    (MFI_VALUE, MF_FIELD_MAP, __VA_ARGS__, .last = 0)
/** MF_NESTED(member, table, options...): the table by its bare name. */
#define MF_NESTED(member, ...) (MFI_NESTED, MF_FIELD_NESTED, member, .nested = &__VA_ARGS__, .last = 0)

/** MF_FIELDS(name, struct type, rows...): a table at file scope. MF_FIELDS_STRICT: one that refuses unknown fields. */
#define MF_FIELDS(table, type, ...)        MFI_TABLE(table, type, 0, __VA_ARGS__)
#define MF_FIELDS_STRICT(table, type, ...) MFI_TABLE(table, type, 1, __VA_ARGS__)

#if defined(__GNUC__)
#define MFI_UNUSED __attribute__((unused))
#define MFI_ROWS_BEGIN _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Woverride-init\"")
#define MFI_ROWS_END   _Pragma("GCC diagnostic pop")
#else
#define MFI_UNUSED
#define MFI_ROWS_BEGIN
#define MFI_ROWS_END
#endif

/* The defaults of a row come first and its options override them, which -Woverride-init would call a mistake. */
#define MFI_TABLE(table, type, is_strict, ...)                                                                         \
    MFI_ROWS_BEGIN                                                                                                     \
    static const mf_field mfi_rows_of_##table[] = {MFI_EACH(type, __VA_ARGS__)};                                       \
    MFI_ROWS_END                                                                                                       \
    static const mf_fields table MFI_UNUSED = {                                                                        \
        #table, mfi_rows_of_##table, sizeof(type), sizeof mfi_rows_of_##table / sizeof(mf_field), is_strict}

#define MFI_ROW(type, row)               MFI_ROW_(type, MFI_UNPACK row)
#define MFI_UNPACK(...)                  __VA_ARGS__
#define MFI_ROW_(type, ...)              MFI_ROW__(type, __VA_ARGS__)
#define MFI_ROW__(type, check, kind_, member, ...)                                                                     \
    {.name = #member, .kind = kind_, .offset = offsetof(type, member), check(type, member), .min = MFI_MIN,            \
     .max = MFI_MAX, __VA_ARGS__},
#define MFI_MIN (-(long double)__builtin_infl())
#define MFI_MAX ((long double)__builtin_infl())

/* A member of another type than its row says does not compile. */
#define MFI_MEMBER(type, member)     (((type *)0)->member)
#define MFI_SIZE(type, member, c)    .size = _Generic(MFI_MEMBER(type, member), c: sizeof(MFI_MEMBER(type, member)))
#define MFI_TEXT(type, member)       MFI_SIZE(type, member, mf_str)
#define MFI_FLOAT(type, member)      MFI_SIZE(type, member, double)
#define MFI_BOOL(type, member)       MFI_SIZE(type, member, _Bool)
#define MFI_VALUE(type, member)      MFI_SIZE(type, member, mf_value)
#define MFI_NESTED(type, member)     .size = sizeof(MFI_MEMBER(type, member))
#define MFI_INT(type, member)                                                                                          \
    .size = sizeof(MFI_MEMBER(type, member)),                                                                          \
    .is_signed = _Generic(MFI_MEMBER(type, member),                                                                    \
        signed char: 1, short: 1, int: 1, long: 1, long long: 1, unsigned char: 0, unsigned short: 0, unsigned: 0,     \
        unsigned long: 0, unsigned long long: 0)

#define MFI_EACH(type, ...)                                                                                            \
    MFI_PICK(__VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10,  \
             9, 8, 7, 6, 5, 4, 3, 2, 1, 0)(type, __VA_ARGS__)
#define MFI_PICK(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, a22,  \
                 a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, n, ...) MFI_EACH_##n
#define MFI_EACH_1(t, r)       MFI_ROW(t, r)
#define MFI_EACH_2(t, r, ...) MFI_ROW(t, r) MFI_EACH_1(t, __VA_ARGS__)
#define MFI_EACH_3(t, r, ...) MFI_ROW(t, r) MFI_EACH_2(t, __VA_ARGS__)
#define MFI_EACH_4(t, r, ...) MFI_ROW(t, r) MFI_EACH_3(t, __VA_ARGS__)
#define MFI_EACH_5(t, r, ...) MFI_ROW(t, r) MFI_EACH_4(t, __VA_ARGS__)
#define MFI_EACH_6(t, r, ...) MFI_ROW(t, r) MFI_EACH_5(t, __VA_ARGS__)
#define MFI_EACH_7(t, r, ...) MFI_ROW(t, r) MFI_EACH_6(t, __VA_ARGS__)
#define MFI_EACH_8(t, r, ...) MFI_ROW(t, r) MFI_EACH_7(t, __VA_ARGS__)
#define MFI_EACH_9(t, r, ...) MFI_ROW(t, r) MFI_EACH_8(t, __VA_ARGS__)
#define MFI_EACH_10(t, r, ...) MFI_ROW(t, r) MFI_EACH_9(t, __VA_ARGS__)
#define MFI_EACH_11(t, r, ...) MFI_ROW(t, r) MFI_EACH_10(t, __VA_ARGS__)
#define MFI_EACH_12(t, r, ...) MFI_ROW(t, r) MFI_EACH_11(t, __VA_ARGS__)
#define MFI_EACH_13(t, r, ...) MFI_ROW(t, r) MFI_EACH_12(t, __VA_ARGS__)
#define MFI_EACH_14(t, r, ...) MFI_ROW(t, r) MFI_EACH_13(t, __VA_ARGS__)
#define MFI_EACH_15(t, r, ...) MFI_ROW(t, r) MFI_EACH_14(t, __VA_ARGS__)
#define MFI_EACH_16(t, r, ...) MFI_ROW(t, r) MFI_EACH_15(t, __VA_ARGS__)
#define MFI_EACH_17(t, r, ...) MFI_ROW(t, r) MFI_EACH_16(t, __VA_ARGS__)
#define MFI_EACH_18(t, r, ...) MFI_ROW(t, r) MFI_EACH_17(t, __VA_ARGS__)
#define MFI_EACH_19(t, r, ...) MFI_ROW(t, r) MFI_EACH_18(t, __VA_ARGS__)
#define MFI_EACH_20(t, r, ...) MFI_ROW(t, r) MFI_EACH_19(t, __VA_ARGS__)
#define MFI_EACH_21(t, r, ...) MFI_ROW(t, r) MFI_EACH_20(t, __VA_ARGS__)
#define MFI_EACH_22(t, r, ...) MFI_ROW(t, r) MFI_EACH_21(t, __VA_ARGS__)
#define MFI_EACH_23(t, r, ...) MFI_ROW(t, r) MFI_EACH_22(t, __VA_ARGS__)
#define MFI_EACH_24(t, r, ...) MFI_ROW(t, r) MFI_EACH_23(t, __VA_ARGS__)
#define MFI_EACH_25(t, r, ...) MFI_ROW(t, r) MFI_EACH_24(t, __VA_ARGS__)
#define MFI_EACH_26(t, r, ...) MFI_ROW(t, r) MFI_EACH_25(t, __VA_ARGS__)
#define MFI_EACH_27(t, r, ...) MFI_ROW(t, r) MFI_EACH_26(t, __VA_ARGS__)
#define MFI_EACH_28(t, r, ...) MFI_ROW(t, r) MFI_EACH_27(t, __VA_ARGS__)
#define MFI_EACH_29(t, r, ...) MFI_ROW(t, r) MFI_EACH_28(t, __VA_ARGS__)
#define MFI_EACH_30(t, r, ...) MFI_ROW(t, r) MFI_EACH_29(t, __VA_ARGS__)
#define MFI_EACH_31(t, r, ...) MFI_ROW(t, r) MFI_EACH_30(t, __VA_ARGS__)
#define MFI_EACH_32(t, r, ...) MFI_ROW(t, r) MFI_EACH_31(t, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
