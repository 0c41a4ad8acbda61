/* taskiq/taskiq_wire.h: what TaskIQ puts on a wire: messages, results, labels, errors; bytes to values and back, no I/O.
 *
 * Everything that arrives becomes one verified mf_message first, whatever it was serialised with, and everything that is
 * sent is built as one and then serialised. So there is one reader of messages and one of results, and the limits of
 * lib/codec hold for all of it.
 *
 * The facts, and how each was observed: README.md. */
#ifndef MFI_TASKIQ_WIRE_H
#define MFI_TASKIQ_WIRE_H

#include <mageflow/fields.h>
#include <mageflow/message.h>
#include <mageflow/store.h>

/* ---- serialisers (wire_format.c, wire_pickle_read.c, wire_pickle_write.c) ------------------------------------------ */

typedef enum taskiq_format { TASKIQ_JSON, TASKIQ_MSGPACK, TASKIQ_PICKLE } taskiq_format;

/** "json", "msgpack", "pickle". MF_E_INVALID: another word. */
mf_status   taskiq_format_parse(mf_str name, taskiq_format *out, mf_error *err);
const char *taskiq_format_name(taskiq_format format);

/** Serialised bytes; size is what was allocated. */
typedef struct taskiq_bytes {
    char  *at;
    size_t len, size;
} taskiq_bytes;
void taskiq_bytes_free(const mf_allocator *allocator, taskiq_bytes *bytes);

/** Bytes of any serialiser, told apart by their first byte. MF_E_MALFORMED, MF_E_TOO_BIG, MF_E_NOMEM; MF_E_UNSUPPORTED:
 * CBOR, or a pickle that holds anything but data. */
MF_NODISCARD mf_status taskiq_decode(mf_str bytes, const mf_limits *limits, const mf_allocator *allocator, mf_message **out,
                                     taskiq_format *format, mf_error *err);
/** MF_E_UNSUPPORTED: a value that Python has no form for (an ext value, a key that is no text). In JSON binary becomes base64. */
MF_NODISCARD mf_status taskiq_encode(mf_value value, taskiq_format format, const mf_allocator *allocator, taskiq_bytes *out,
                                     mf_error *err);

/** The data subset of pickle protocols 2 to 5. Every opcode that names or calls code is MF_E_UNSUPPORTED. */
MF_NODISCARD mf_status taskiq_pickle_read(mf_str bytes, const mf_limits *limits, const mf_allocator *allocator,
                                          mf_message **out, mf_error *err);
/** Protocol 2 without a memo; protocol 3 where there are binary values, which 2 has no form for. */
MF_NODISCARD mf_status taskiq_pickle_write(mf_value value, const mf_allocator *allocator, taskiq_bytes *out, mf_error *err);

/* ---- messages (wire_message.c) ----------------------------------------------------------------------------------- */

/** A message as it arrived. Texts and values point into `whole`. */
typedef struct taskiq_message {
    mf_message   *whole;
    taskiq_format format;
    mf_str        id, name;
    mf_value      labels, types;    /* maps; types may be absent */
    mf_value      args, kwargs;     /* an array, a map */
} taskiq_message;

/** MF_E_MALFORMED names the field that is missing or of another type; else as taskiq_decode. Release it afterwards. */
MF_NODISCARD mf_status taskiq_message_read(mf_str bytes, const mf_limits *limits, const mf_allocator *allocator,
                                           taskiq_message *out, mf_error *err);
void taskiq_message_release(taskiq_message *message);

/** The task_id of a message that cannot be read (too deep, a number beyond 64 bits), so that somebody who waits for it
 * can be answered; true: it stands in `out`, which keeps up to `room` bytes. */
bool taskiq_message_find_id(mf_str bytes, char *out, size_t room, size_t *len);
/** The same for its task_name. */
bool taskiq_message_find_name(mf_str bytes, char *out, size_t room, size_t *len);

typedef enum taskiq_label_type {
    TASKIQ_LABEL_NONE,      /* no entry in labels_types: taken as it is */
    TASKIQ_LABEL_ANY, TASKIQ_LABEL_INT, TASKIQ_LABEL_STR, TASKIQ_LABEL_FLOAT, TASKIQ_LABEL_BOOL, TASKIQ_LABEL_BYTES
} taskiq_label_type;

/** A label to send: text as Python writes it, and its type. */
typedef struct taskiq_label {
    mf_str            name, text;
    taskiq_label_type type;
} taskiq_label;

/** A message to send. */
typedef struct taskiq_call {
    mf_str                id, name;
    const taskiq_label   *labels;       /* over the ones of `from` where a name is the same */
    size_t                label_count;
    const taskiq_message *from;         /* a message that is sent again: its labels, args and kwargs; or NULL */
    const mf_message     *message;      /* without `from`: see taskiq_arguments_write */
    bool                  exact;        /* for a reader of ours: what comes back is what was sent, also an empty map */
} taskiq_call;
MF_NODISCARD mf_status taskiq_message_write(const taskiq_call *call, taskiq_format format, const mf_allocator *allocator,
                                            taskiq_bytes *out, mf_error *err);

/* ---- arguments (wire_arguments.c) -------------------------------------------------------------------------------- */

/** args and kwargs as the message of a task with these fields (NULL: any): keyword arguments are its fields, positional
 * ones are bound to the declared fields in order, a single map is the message itself, and so is a single value of another
 * kind where no fields are declared. Nothing at all is nil. MF_E_INVALID tells what does not fit, as Python would. */
MF_NODISCARD mf_status taskiq_arguments_bind(const taskiq_message *message, const mf_fields *in,
                                             const mf_allocator *allocator, mf_message **out, mf_error *err);
/** The other way, the two values after the keys "args" and "kwargs": a map goes as keyword arguments, nil as none, anything
 * else as the one positional argument; exact: an empty map, too, so that it comes back as one. */
void taskiq_arguments_write(mf_builder *builder, const mf_message *message, bool exact);

/* ---- labels (wire_labels.c) --------------------------------------------------------------------------------------- */

/** The label as it came; absent: there is none. */
mf_value taskiq_label_value(const taskiq_message *message, mf_str name);
taskiq_label_type taskiq_label_type_of(const taskiq_message *message, mf_str name);
/** What Python's int(), float() and truth make of a label, from a text or from a real value: both occur. false: there is no
 * such label, or it is no number. */
bool taskiq_label_int(const taskiq_message *message, mf_str name, int64_t *out);
bool taskiq_label_float(const taskiq_message *message, mf_str name, double *out);
bool taskiq_label_bool(const taskiq_message *message, mf_str name, bool *out);
bool taskiq_label_text(const taskiq_message *message, mf_str name, mf_str *out);

/** The labels as a map of values of their types, as results carry them. MF_E_MALFORMED: an unknown type, or a text that is
 * none of its type. What Python could not write into a result (bytes that are no text, integers beyond 64 bits) stays text. */
void      taskiq_labels_decode(const taskiq_message *message, mf_builder *builder);
mf_status taskiq_labels_check(const taskiq_message *message, mf_error *err);

/* ---- mageflow's metadata (wire_meta.c) ---------------------------------------------------------------------------- */

#define TASKIQ_META_LABEL "mageflow"

/** What travels in the one label `mageflow`, as compact JSON. */
typedef struct taskiq_meta {
    mf_unit     unit;
    mf_key      container;      /* unset: none */
    uint32_t    attempt;
    int32_t     priority;       /* of what follows it: a stream itself is in the order of its sending */
    mf_message *error;          /* of an error callback; or NULL. Owned after a read */
} taskiq_meta;

/** Free the text with taskiq_bytes_free. */
MF_NODISCARD mf_status taskiq_meta_write(const taskiq_meta *meta, const mf_allocator *allocator, taskiq_bytes *out,
                                         mf_error *err);
/** MF_E_NOT_FOUND: the message carries none; *err is as it was. MF_E_MALFORMED: it does, but not such a text. */
MF_NODISCARD mf_status taskiq_meta_read(const taskiq_message *message, const mf_limits *limits,
                                        const mf_allocator *allocator, taskiq_meta *out, mf_error *err);

/* ---- results (wire_result.c, wire_error.c) ------------------------------------------------------------------------- */

/** A result. value is the task's result, or with `failed` mageflow's error map (mageflow/store.h), beside whose own fields
 * stand "module" (text) and "cause" (a map of type, text, module, cause) where an error from Python had them. */
typedef struct taskiq_result {
    bool       failed;
    mf_value   value;
    double     seconds;
    mf_value   labels;      /* read: a map, or absent */
} taskiq_result;

/** The result of `message` (NULL: labels stay empty). Times are rounded to milliseconds. */
MF_NODISCARD mf_status taskiq_result_write(const taskiq_result *result, const taskiq_message *message, taskiq_format format,
                                           const mf_allocator *allocator, taskiq_bytes *out, mf_error *err);
/** *whole is the caller's; the values point into it. An error comes back as mageflow's map. MF_E_MALFORMED: no result. */
MF_NODISCARD mf_status taskiq_result_read(mf_str bytes, const mf_limits *limits, const mf_allocator *allocator,
                                          mf_message **whole, taskiq_result *out, mf_error *err);

/** The value after the key "error": mageflow's error map in TaskIQ's shape. */
void taskiq_error_write(mf_builder *builder, mf_value map);
/** The other way. */
void taskiq_error_read(mf_builder *builder, mf_value error);

/** {"state": …, "meta": …}: how far a task is, as Python's progress tracker keeps it. */
MF_NODISCARD mf_status taskiq_progress_write(const char *state, const mf_message *meta, taskiq_format format,
                                             const mf_allocator *allocator, taskiq_bytes *out, mf_error *err);

#endif
