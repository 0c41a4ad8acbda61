/* A pickle read as data, and as nothing else.
 *
 * Python's unpickler is a machine whose programs may call anything. This one knows the opcodes that make None, booleans,
 * numbers, text, bytes, lists, tuples and dicts, and those that keep and fetch them; every other opcode ends the read, so
 * that there is no path from bytes to code.
 *
 * A container is filled after it was made, and may be fetched from the memo and stand in several places, even in itself.
 * So values are nodes of a small graph first, and the message is built from it at the end: what is shared is written out
 * each time, within the limits, and a circle ends at the limit of depth. Nodes, stack, memo and links are bounded by the
 * limit of elements, and grow only as opcodes are met: a few bytes can announce much, but cost nothing.
 *
 * The opcodes: Lib/pickletools.py of CPython. */
#include "taskiq_wire.h"

#include "layout.h"
#include "memory.h"

typedef struct node {
    union {
        bool     truth;
        int64_t  integer;
        uint64_t big;           /* with is_big */
        double   real;
        mf_str   text;          /* str and bin: points into the pickle */
        struct { uint32_t count, first, last; } items;     /* links of a container; valid where count > 0 */
    } of;
    mf_type type;
    bool    is_big;
    bool    tuple;              /* an array that no opcode adds to */
} node;

typedef struct link {
    uint32_t node, next;
} link;

#define MARK UINT32_MAX         /* on the stack */
#define NOTHING UINT32_MAX      /* in the memo */

typedef struct reader {
    const unsigned char *begin, *at, *end;
    const mf_allocator  *allocator;
    mf_limits            limits;
    mf_error            *err;
    size_t               most;      /* of nodes, links, stack and memo each */
    node                *nodes;
    link                *links;
    uint32_t            *stack, *memo;
    size_t               node_count, link_count, stack_count, memo_count;
    size_t               node_room, link_room, stack_room, memo_room;
} reader;

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static size_t offset(const reader *r)
{
    return (size_t)(r->at - r->begin);
}

static mf_status malformed(const reader *r, const char *what)
{
    return mf_fail(r->err, MF_E_MALFORMED, "pickle: %s at offset %zu", what, offset(r));
}

static mf_status too_big(const reader *r, const char *what)
{
    return mf_fail(r->err, MF_E_TOO_BIG, "pickle: %s at offset %zu", what, offset(r));
}

static mf_status grow(reader *r, void **array, size_t *room, size_t count, size_t size)
{
    if (count >= r->most)
        return too_big(r, "more values than the limit of elements allows");
    if (!mfi_array_reserve(r->allocator, array, room, count + 1, size))
        return mf_fail(r->err, MF_E_NOMEM, "pickle: no memory");
    return MF_OK;
}

/* ---- stack, nodes, memo ------------------------------------------------------------------------------------------ */

static mf_status push(reader *r, uint32_t what)
{
    mf_status st = grow(r, (void **)&r->stack, &r->stack_room, r->stack_count, sizeof *r->stack);
    if (st == MF_OK)
        r->stack[r->stack_count++] = what;
    return st;
}

static mf_status push_node(reader *r, node value)
{
    mf_status st = grow(r, (void **)&r->nodes, &r->node_room, r->node_count, sizeof *r->nodes);
    if (st != MF_OK)
        return st;
    r->nodes[r->node_count++] = value;
    return push(r, (uint32_t)r->node_count - 1);
}

static mf_status push_int(reader *r, int64_t n)
{
    return push_node(r, (node){.type = MF_TYPE_INT, .of.integer = n});
}

static mf_status push_text(reader *r, mf_type type, size_t len)
{
    mf_str text = {(const char *)r->at, len};
    r->at += len;
    return push_node(r, (node){.type = type, .of.text = text});
}

/* The top of the stack, which must be a value. */
static bool top(const reader *r, uint32_t *out)
{
    if (r->stack_count == 0 || r->stack[r->stack_count - 1] == MARK)
        return false;
    *out = r->stack[r->stack_count - 1];
    return true;
}

static mf_status memo_put(reader *r, uint64_t index)
{
    uint32_t value;
    if (!top(r, &value))
        return malformed(r, "nothing to remember");
    if (index >= r->most)
        return too_big(r, "a memo beyond the limit of elements");
    if (!mfi_array_reserve(r->allocator, (void **)&r->memo, &r->memo_room, index + 1, sizeof *r->memo))
        return mf_fail(r->err, MF_E_NOMEM, "pickle: no memory");
    while (r->memo_count <= index)
        r->memo[r->memo_count++] = NOTHING;
    r->memo[index] = value;
    return MF_OK;
}

static mf_status memo_get(reader *r, uint64_t index)
{
    if (index >= r->memo_count || r->memo[index] == NOTHING)
        return malformed(r, "nothing is remembered under this number,");
    return push(r, r->memo[index]);
}

/* ---- containers -------------------------------------------------------------------------------------------------- */

static mf_status append(reader *r, uint32_t container, uint32_t item)
{
    mf_status st = grow(r, (void **)&r->links, &r->link_room, r->link_count, sizeof *r->links);
    if (st != MF_OK)
        return st;
    uint32_t at = (uint32_t)r->link_count++;
    node *c = &r->nodes[container];
    r->links[at] = (link){item, 0};
    if (c->of.items.count++ == 0)
        c->of.items.first = at;
    else
        r->links[c->of.items.last].next = at;
    c->of.items.last = at;
    return MF_OK;
}

/* Everything from `from` on goes into the container below it. */
static mf_status append_from(reader *r, size_t from, mf_type type)
{
    size_t below = from;
    if (below > 0 && below < r->stack_count && r->stack[below] == MARK)
        from++;
    if (below == 0 || r->stack[below - 1] == MARK)
        return malformed(r, "no container to add to");
    uint32_t container = r->stack[below - 1];
    if (r->nodes[container].type != type || r->nodes[container].tuple)
        return malformed(r, "another value than the container expected");
    if (type == MF_TYPE_MAP && (r->stack_count - from) % 2 != 0)
        return malformed(r, "a key without a value");
    for (size_t i = from; i < r->stack_count; i++) {
        if (type == MF_TYPE_MAP && (i - from) % 2 == 0 &&
            (r->nodes[r->stack[i]].type == MF_TYPE_ARRAY || r->nodes[r->stack[i]].type == MF_TYPE_MAP))
            return malformed(r, "a container as a key");
        mf_status st = append(r, container, r->stack[i]);
        if (st != MF_OK)
            return st;
    }
    r->stack_count = below;
    return MF_OK;
}

/* Where the last mark stands. */
static bool find_mark(const reader *r, size_t *out)
{
    for (size_t i = r->stack_count; i > 0; i--)
        if (r->stack[i - 1] == MARK) {
            *out = i - 1;
            return true;
        }
    return false;
}

static mf_status append_marked(reader *r, mf_type type)
{
    size_t mark;
    return find_mark(r, &mark) ? append_from(r, mark, type) : malformed(r, "no mark");
}

/* The last n values, none of them a mark. */
static mf_status append_last(reader *r, size_t n, mf_type type)
{
    if (r->stack_count < n + 1)
        return malformed(r, "too few values");
    for (size_t i = r->stack_count - n; i < r->stack_count; i++)
        if (r->stack[i] == MARK)
            return malformed(r, "a mark in the place of a value");
    return append_from(r, r->stack_count - n, type);
}

/* Everything from `from` on, but for a mark there. */
static mf_status push_tuple(reader *r, size_t from)
{
    size_t first = from < r->stack_count && r->stack[from] == MARK ? from + 1 : from, end = r->stack_count;
    mf_status st = push_node(r, (node){.type = MF_TYPE_ARRAY, .tuple = true});
    if (st != MF_OK)
        return st;
    uint32_t made = r->stack[end];
    for (size_t i = first; st == MF_OK && i < end; i++)
        st = append(r, made, r->stack[i]);
    r->stack[from] = made;
    r->stack_count = from + 1;
    return st;
}

static mf_status tuple_of(reader *r, size_t n)
{
    if (r->stack_count < n)
        return malformed(r, "too few values");
    for (size_t i = r->stack_count - n; i < r->stack_count; i++)
        if (r->stack[i] == MARK)
            return malformed(r, "a mark in the place of a value");
    return push_tuple(r, r->stack_count - n);
}

static mf_status tuple_marked(reader *r)
{
    size_t mark;
    return find_mark(r, &mark) ? push_tuple(r, mark) : malformed(r, "no mark");
}

/* ---- opcodes ----------------------------------------------------------------------------------------------------- */

static bool little(reader *r, unsigned bytes, uint64_t *out)
{
    *out = 0;
    if ((size_t)(r->end - r->at) < bytes)
        return false;
    for (unsigned i = 0; i < bytes; i++)
        *out |= (uint64_t)r->at[i] << 8 * i;
    r->at += bytes;
    return true;
}

static mf_status cut_off(const reader *r)
{
    return malformed(r, "cut off");
}

/* A count of so many bytes, and as many bytes as it says. */
static mf_status counted(reader *r, unsigned bytes, mf_type type)
{
    uint64_t len;
    if (!little(r, bytes, &len) || len > (uint64_t)(r->end - r->at))
        return cut_off(r);
    return push_text(r, type, (size_t)len);
}

static mf_status integer(reader *r, unsigned bytes)
{
    uint64_t n;
    if (!little(r, bytes, &n))
        return cut_off(r);
    return push_int(r, bytes == 4 ? (int64_t)(int32_t)(uint32_t)n : (int64_t)n);
}

/* Two's complement of any length, little-endian. */
static mf_status long_integer(reader *r, unsigned bytes)
{
    uint64_t len, n = 0;
    if (!little(r, bytes, &len) || len > (uint64_t)(r->end - r->at))
        return cut_off(r);
    const unsigned char *digits = r->at;
    r->at += len;
    bool negative = len > 0 && digits[len - 1] >= 0x80;
    while (len > 8 && digits[len - 1] == (negative ? 0xff : 0))     /* longer than needed is allowed */
        len--;
    if (len > 8 || (negative && len == 8 && digits[7] < 0x80))
        return too_big(r, "an integer beyond 64 bits");
    for (uint64_t i = 0; i < len; i++)
        n |= (uint64_t)digits[i] << 8 * i;
    if (negative && len < 8)
        n |= ~(uint64_t)0 << 8 * len;
    if (negative || n <= INT64_MAX)
        return push_int(r, (int64_t)n);
    return push_node(r, (node){.type = MF_TYPE_INT, .of.big = n, .is_big = true});
}

static mf_status real(reader *r)
{
    uint64_t bits = 0;
    double d;
    if (r->end - r->at < 8)
        return cut_off(r);
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | *r->at++;
    memcpy(&d, &bits, sizeof d);
    return push_node(r, (node){.type = MF_TYPE_FLOAT, .of.real = d});
}

static mf_status frame(reader *r)
{
    uint64_t len;
    if (!little(r, 8, &len) || len > (uint64_t)(r->end - r->at))
        return cut_off(r);
    return MF_OK;       /* only a hint for who reads from a file */
}

static mf_status memo_op(reader *r, unsigned bytes, mf_status (*op)(reader *, uint64_t))
{
    uint64_t index;
    return little(r, bytes, &index) ? op(r, index) : cut_off(r);
}

/* Named where somebody might expect them to work. */
static mf_status refused(reader *r, unsigned char opcode)
{
    static const struct { unsigned char opcode; const char *name; } code[] = {
        {'c', "GLOBAL"}, {0x93, "STACK_GLOBAL"}, {'R', "REDUCE"}, {'b', "BUILD"}, {'i', "INST"}, {'o', "OBJ"},
        {0x81, "NEWOBJ"}, {0x92, "NEWOBJ_EX"}, {'P', "PERSID"}, {'Q', "BINPERSID"}, {0x82, "EXT1"}, {0x83, "EXT2"},
        {0x84, "EXT4"}, {0x97, "NEXT_BUFFER"}, {0x8f, "EMPTY_SET"}, {0x91, "FROZENSET"},
    };
    r->at--;
    for (size_t i = 0; i < sizeof code / sizeof *code; i++)
        if (code[i].opcode == opcode)
            return mf_fail(r->err, MF_E_UNSUPPORTED, "pickle: %s at offset %zu: only plain data is read", code[i].name,
                           offset(r));
    return mf_fail(r->err, MF_E_UNSUPPORTED, "pickle: opcode 0x%02x at offset %zu: only plain data is read", opcode,
                   offset(r));
}

static mf_status one(reader *r, unsigned char opcode)
{
    switch (opcode) {
    case 'N':  return push_node(r, (node){.type = MF_TYPE_NIL});
    case 0x88: return push_node(r, (node){.type = MF_TYPE_BOOL, .of.truth = true});
    case 0x89: return push_node(r, (node){.type = MF_TYPE_BOOL, .of.truth = false});
    case 'K':  return integer(r, 1);
    case 'M':  return integer(r, 2);
    case 'J':  return integer(r, 4);
    case 0x8a: return long_integer(r, 1);
    case 0x8b: return long_integer(r, 4);
    case 'G':  return real(r);
    case 0x8c: return counted(r, 1, MF_TYPE_STR);
    case 'X':  return counted(r, 4, MF_TYPE_STR);
    case 0x8d: return counted(r, 8, MF_TYPE_STR);
    case 'C':  return counted(r, 1, MF_TYPE_BIN);
    case 'B':  return counted(r, 4, MF_TYPE_BIN);
    case 0x8e: return counted(r, 8, MF_TYPE_BIN);
    case 0x96: return counted(r, 8, MF_TYPE_BIN);
    case ']':  return push_node(r, (node){.type = MF_TYPE_ARRAY});
    case '}':  return push_node(r, (node){.type = MF_TYPE_MAP});
    case ')':  return push_node(r, (node){.type = MF_TYPE_ARRAY, .tuple = true});
    case 0x85: return tuple_of(r, 1);
    case 0x86: return tuple_of(r, 2);
    case 0x87: return tuple_of(r, 3);
    case 't':  return tuple_marked(r);
    case '(':  return push(r, MARK);
    case 'a':  return append_last(r, 1, MF_TYPE_ARRAY);
    case 'e':  return append_marked(r, MF_TYPE_ARRAY);
    case 's':  return append_last(r, 2, MF_TYPE_MAP);
    case 'u':  return append_marked(r, MF_TYPE_MAP);
    case 0x94: return memo_put(r, r->memo_count);
    case 'q':  return memo_op(r, 1, memo_put);
    case 'r':  return memo_op(r, 4, memo_put);
    case 'h':  return memo_op(r, 1, memo_get);
    case 'j':  return memo_op(r, 4, memo_get);
    case 0x95: return frame(r);
    default:   return refused(r, opcode);
    }
}

static mf_status run(reader *r)
{
    unsigned char opcode = 0;
    while (r->at < r->end && (opcode = *r->at++) != '.') {
        mf_status st = one(r, opcode);
        if (st != MF_OK)
            return st;
    }
    if (opcode != '.' || r->at != r->end)
        return malformed(r, r->at == r->end ? "no end" : "bytes after the end");
    uint32_t root;
    return r->stack_count == 1 && top(r, &root) ? MF_OK : malformed(r, "not exactly one value");
}

/* ---- the message ------------------------------------------------------------------------------------------------- */

/* Recursion ends with the builder's limit of depth, also in a circle. */
static void build(const reader *r, mf_builder *b, uint32_t at)
{
    const node *n = &r->nodes[at];
    switch (n->type) {
    case MF_TYPE_BOOL:  mf_build_bool(b, n->of.truth); break;
    case MF_TYPE_INT:   n->is_big ? mf_build_uint(b, n->of.big) : mf_build_int(b, n->of.integer); break;
    case MF_TYPE_FLOAT: mf_build_float(b, n->of.real); break;
    case MF_TYPE_STR:   mf_build_str(b, n->of.text); break;
    case MF_TYPE_BIN:   mf_build_bin(b, n->of.text); break;
    case MF_TYPE_MAP:
    case MF_TYPE_ARRAY:
        n->type == MF_TYPE_MAP ? mf_build_map(b, n->of.items.count / 2) : mf_build_array(b, n->of.items.count);
        for (uint32_t i = 0, l = n->of.items.first; i < n->of.items.count && mf_builder_status(b) == MF_OK;
             i++, l = r->links[l].next)
            build(r, b, r->links[l].node);
        break;
    default:
        mf_build_nil(b);
        break;
    }
}

static mf_status build_message(reader *r, mf_message **out)
{
    mf_builder b;
    mf_builder_init(&b, r->allocator, &r->limits);
    build(r, &b, r->stack[0]);
    mf_status st = mf_builder_finish(&b, out, r->err);
    mf_builder_fini(&b);
    return st;
}

static void release(reader *r)
{
    mfi_release(r->allocator, r->nodes, r->node_room * sizeof *r->nodes);
    mfi_release(r->allocator, r->links, r->link_room * sizeof *r->links);
    mfi_release(r->allocator, r->stack, r->stack_room * sizeof *r->stack);
    mfi_release(r->allocator, r->memo, r->memo_room * sizeof *r->memo);
}

mf_status taskiq_pickle_read(mf_str bytes, const mf_limits *limits, const mf_allocator *allocator, mf_message **out,
                             mf_error *err)
{
    reader r = {.allocator = allocator, .err = err};
    mf_status st = mfi_limits_resolve(limits, &r.limits, err);
    if (st != MF_OK)
        return st;
    r.begin = r.at = (const unsigned char *)bytes.at;
    r.end = r.begin + bytes.len;
    r.most = r.limits.elements < UINT32_MAX / 4 ? 2 * r.limits.elements + 64 : UINT32_MAX / 2;
    if (bytes.len > r.limits.bytes)
        return mf_fail(err, MF_E_TOO_BIG, "pickle: %zu bytes, the limit is %zu", bytes.len, r.limits.bytes);
    if (bytes.len < 3 || r.at[0] != 0x80 || r.at[1] < 2 || r.at[1] > 5)
        return malformed(&r, "no protocol from 2 to 5");
    r.at += 2;
    st = run(&r);
    if (st == MF_OK)
        st = build_message(&r, out);
    release(&r);
    return st;
}
