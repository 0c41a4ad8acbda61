/* The wire as a filter, for wire.py: a line in, a line out.
 *
 *   message HEX           what is read: {"id", "name", "labels" (decoded), "args", "kwargs"}
 *   result HEX            {"failed", "value", "labels"}
 *   put-message FORMAT JSON   {"id", "name", "labels": {name: text}, "message"} as hex
 *   put-result FORMAT JSON    {"failed", "value", "seconds"} as hex
 *
 * What is refused answers "! " and the reason. */
#include "taskiq_wire.h"

#include <stdio.h>
#include <stdlib.h>

static mf_error err;

static void refuse(mf_status st)
{
    printf("! %s %s\n", mf_status_name(st), err.text);
}

static void print_message(mf_message *message, mf_status st)
{
    char *text;
    size_t len;
    if (st == MF_OK)
        st = mf_message_to_json(message, NULL, &text, &len, &err);
    if (st != MF_OK) {
        refuse(st);
    } else {
        printf("%s\n", text);
        mf_json_free(NULL, text, len);
    }
    mf_message_unref(message);
}

static void print_hex(taskiq_bytes *bytes, mf_status st)
{
    if (st != MF_OK) {
        refuse(st);
        return;
    }
    for (size_t i = 0; i < bytes->len; i++)
        printf("%02x", (unsigned char)bytes->at[i]);
    printf("\n");
    taskiq_bytes_free(NULL, bytes);
}

static mf_str from_hex(char *hex)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        hex[i] = (char)byte;
    }
    return mf_str_of(hex, len);
}

static void show_message(mf_str bytes)
{
    taskiq_message m;
    mf_message *out = NULL;
    mf_status st = taskiq_message_read(bytes, NULL, NULL, &m, &err);
    if (st != MF_OK) {
        refuse(st);
        return;
    }
    mf_builder b;
    mf_builder_init(&b, NULL, MF_LIMITS(.bytes = SIZE_MAX));
    mf_build_map(&b, 5);
    mf_build_key(&b, "id");
    mf_build_str(&b, m.id);
    mf_build_key(&b, "name");
    mf_build_str(&b, m.name);
    mf_build_key(&b, "labels");
    taskiq_labels_decode(&m, &b);
    mf_build_key(&b, "args");
    mf_build_value(&b, m.args);
    mf_build_key(&b, "kwargs");
    mf_build_value(&b, m.kwargs);
    st = mf_builder_finish(&b, &out, &err);
    mf_builder_fini(&b);
    print_message(out, st);
    taskiq_message_release(&m);
}

static void show_result(mf_str bytes)
{
    mf_message *whole;
    taskiq_result r;
    mf_status st = taskiq_result_read(bytes, NULL, NULL, &whole, &r, &err);
    if (st != MF_OK) {
        refuse(st);
        return;
    }
    print_message(mf_msg("{s:b, s:v, s:v}", "failed", r.failed, "value", r.value, "labels", r.labels), MF_OK);
    mf_message_unref(whole);
}

static mf_status put_message(mf_value in, taskiq_format format, taskiq_bytes *out)
{
    taskiq_label labels[16];
    taskiq_call call = {.labels = labels};
    mf_value map, key, value;
    mf_message *message;
    mf_status st = mf_value_scan(in, &err, "{s:S, s:S, s:v, s:v}", "id", &call.id, "name", &call.name, "labels", &map, "message",
                                 &value);
    if (st == MF_OK)
        st = mf_message_of_value(value, NULL, &message, &err);
    if (st != MF_OK)
        return st;
    mf_iter entries = mf_value_iter(map);
    while (call.label_count < 16 && mf_iter_next(&entries, &key, &value)) {
        taskiq_label *label = &labels[call.label_count++];
        label->type = TASKIQ_LABEL_STR;
        if (mf_value_str(key, &label->name) != MF_OK || mf_value_str(value, &label->text) != MF_OK)
            return mf_fail(&err, MF_E_INVALID, "labels are texts here");
    }
    call.message = message;
    st = taskiq_message_write(&call, format, NULL, out, &err);
    mf_message_unref(message);
    return st;
}

static mf_status put_result(mf_value in, taskiq_format format, taskiq_bytes *out)
{
    taskiq_result r = {.failed = false};
    mf_status st = mf_value_scan(in, &err, "{s:b, s:v, s:f}", "failed", &r.failed, "value", &r.value, "seconds", &r.seconds);
    return st != MF_OK ? st : taskiq_result_write(&r, NULL, format, NULL, out, &err);
}

static void put(char *rest, mf_status (*write)(mf_value, taskiq_format, taskiq_bytes *))
{
    char *json = strchr(rest, ' ');
    taskiq_format format;
    taskiq_bytes out;
    mf_message *in;
    mf_status st = json == NULL ? mf_fail(&err, MF_E_INVALID, "no value")
                                : taskiq_format_parse(mf_str_of(rest, (size_t)(json - rest)), &format, &err);
    if (st == MF_OK)
        st = mf_message_from_json(mf_cstr(json + 1), NULL, NULL, &in, &err);
    if (st != MF_OK) {
        refuse(st);
        return;
    }
    st = write(mf_message_value(in), format, &out);
    print_hex(&out, st);
    mf_message_unref(in);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    while ((len = getline(&line, &room, stdin)) > 0) {
        if (line[len - 1] == '\n')
            line[len - 1] = '\0';
        char *rest = strchr(line, ' ');
        if (rest == NULL) {
            puts("! a word and a value");
        } else {
            *rest++ = '\0';
            if (strcmp(line, "message") == 0)
                show_message(from_hex(rest));
            else if (strcmp(line, "result") == 0)
                show_result(from_hex(rest));
            else if (strcmp(line, "put-message") == 0)
                put(rest, put_message);
            else if (strcmp(line, "put-result") == 0)
                put(rest, put_result);
            else
                puts("! unknown word");
        }
        fflush(stdout);
    }
    free(line);
    return 0;
}
