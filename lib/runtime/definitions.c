/* Task definitions as notes of the store, so that a process without the function can sign by name, with validation.
 *
 * A worker publishes what it declared; whoever meets an unknown name looks there, once, and keeps what it found. Only a store
 * that several processes use has anybody to tell. */
#include "schema_read.h"

#include "memory.h"
#include "runtime.h"

#define SPACE MF_STR_LIT("task")
#define PAGE  32

static mf_status definition_of(mf_client *client, const mfi_task *task, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_message *schema = NULL;
    mf_status st = task->def.in == NULL ? MF_OK : mf_fields_schema(task->def.in, client->allocator, &schema, err);
    if (st != MF_OK)
        return st;
    mf_builder_init(&b, client->allocator, NULL);
    mf_build_map(&b, 6);
    mf_build_key(&b, "retries");
    mf_build_uint(&b, task->def.retries);
    mf_build_key(&b, "backoff_ms");
    mf_build_int(&b, task->def.backoff / 1000000);
    mf_build_key(&b, "timeout_ms");
    mf_build_int(&b, task->def.timeout / 1000000);
    mf_build_key(&b, "durable");
    mf_build_bool(&b, task->durable);
    mf_build_key(&b, "return_field");
    mf_build_str(&b, task->plain->return_field);
    mf_build_key(&b, "in");
    mf_build_message(&b, schema);
    st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    mf_message_unref(schema);
    return st;
}

mf_status mfi_definitions_publish(mf_client *client, mf_error *err)
{
    mfi_task *page[PAGE];
    mf_note notes[PAGE];
    mf_status st = MF_OK;
    mf_str after = {NULL, 0};
    size_t n;
    if (!client->store->ops->shared)
        return MF_OK;
    while (st == MF_OK && (n = mfi_registry_page(&client->registry, after, PAGE, page)) > 0) {
        size_t made = 0;
        for (; made < n && st == MF_OK; made++) {
            notes[made] = (mf_note){.space = SPACE, .name = page[made]->name};
            st = definition_of(client, page[made], &notes[made].value, err);
        }
        if (st == MF_OK)
            st = mfi_commit(client, &(mf_batch){.notes = notes, .note_count = n}, NULL, err);
        for (size_t i = 0; i < made; i++)
            mf_message_unref(notes[i].value);
        after = page[n - 1]->name;
    }
    return st;
}

mf_status mfi_definition_read(mf_client *client, mf_str name, mf_message **out, mf_error *err)
{
    const mfi_task *task = mfi_registry_task(&client->registry, name);
    mf_status st = MF_E_NOT_FOUND;
    if (client->store->ops->shared && name.len > 0 && name.len <= 255)
        st = mf_store_read_note(client->store, SPACE, name, out, err);
    if (st == MF_E_NOT_FOUND && task != NULL)       /* declared here, and not told to the store yet, or one that nobody shares */
        st = definition_of(client, task, out, err);
    if (st == MF_E_NOT_FOUND)
        return mf_fail(err, MF_E_UNKNOWN_TASK, "no task \"%.*s\" was declared", (int)name.len, name.at);
    return st;
}

bool mfi_definition_is_known(mf_client *client, mf_str name)
{
    mf_message *definition = NULL;
    bool known = client->store->ops->shared &&
                 mf_store_read_note(client->store, SPACE, name, &definition, NULL) == MF_OK;
    mf_message_unref(definition);
    return known;
}

static mf_status declare_remote(mf_client *client, mf_str name, const mf_message *definition, mf_error *err)
{
    mfi_remote remote = {.name = name};
    mf_value in;
    mf_status st = mf_message_scan(definition, err, "{s:b, s:S}", "durable", &remote.durable, "return_field",
                                   &remote.return_field);
    if (st == MF_OK && mf_value_get(mf_message_value(definition), MF_STR_LIT("in"), &in) && mf_value_type(in) == MF_TYPE_MAP)
        st = mfi_fields_from_schema(in, client->allocator, &remote.in, err);
    return st != MF_OK ? st : mfi_registry_add_remote(&client->registry, &remote, err);
}

mfi_task *mfi_find_task(mf_client *client, mf_str name)
{
    mfi_task *task = mfi_registry_task(&client->registry, name);
    mf_message *definition = NULL;
    mf_error err;
    if (task != NULL || !client->store->ops->shared || name.len == 0 || name.len > 255 ||
        mf_store_read_note(client->store, SPACE, name, &definition, NULL) != MF_OK)
        return task;
    mf_status st = declare_remote(client, name, definition, &err);
    mf_message_unref(definition);
    if (st != MF_OK && st != MF_E_EXISTS)
        mfi_log_about(client, MF_LOG_WARN, &(mf_delivery){.task = name}, err.text,
                      "what the store says of it cannot be used");
    return mfi_registry_task(&client->registry, name);
}
