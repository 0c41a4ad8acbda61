/* Modules: shared objects that declare tasks. */
#include "runtime.h"

#include <dlfcn.h>

#include "memory.h"

typedef mf_status module_init_fn(mf_client *client, mf_error *err);

static mf_status run_entry(mf_client *client, void *handle, const char *file, mf_error *err)
{
    const unsigned *abi = dlsym(handle, "mf_module_abi");
    module_init_fn *init = NULL;
    *(void **)&init = dlsym(handle, "mf_module_init");      /* POSIX's way from object to function pointer */
    if (abi == NULL || init == NULL)
        return mf_fail(err, MF_E_INVALID, "%s is no mageflow module: it has no %s; a module has MF_MODULE { … } once", file,
                       init == NULL ? "mf_module_init" : "mf_module_abi");
    if (*abi != MF_MODULE_ABI)
        return mf_fail(err, MF_E_INVALID, "%s was built for module ABI %u, this mageflow has %u; build it again", file, *abi,
                       (unsigned)MF_MODULE_ABI);
    return init(client, err);
}

mf_status mf_load(mf_client *client, const char *file, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK)
        return st;
    if (file == NULL)
        return mf_fail(err, MF_E_INVALID, "module: expected a file, got NULL");
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return mf_fail(err, MF_E_IO, "cannot load module: %s", dlerror());
    /* Kept also when its entry fails: tasks it declared before that point into it. */
    pthread_mutex_lock(&client->serve_lock);
    bool kept = mfi_array_reserve(client->allocator, (void **)&client->modules, &client->module_capacity,
                                  client->module_count + 1, sizeof *client->modules);
    if (kept)
        client->modules[client->module_count++] = handle;
    pthread_mutex_unlock(&client->serve_lock);
    if (!kept) {
        dlclose(handle);
        return mf_fail(err, MF_E_NOMEM, "module %s: no memory", file);
    }
    return run_entry(client, handle, file, err);
}
