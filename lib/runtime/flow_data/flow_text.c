#include "flow_text.h"

#include <stdio.h>

#include "memory.h"

/* Room for so many more bytes and the NUL. */
static bool reserve(mfi_flow_text *text, size_t more)
{
    if (!text->no_memory && !mfi_array_reserve(text->allocator, (void **)&text->at, &text->capacity, text->len + more + 1, 1))
        text->no_memory = true;
    return !text->no_memory;
}

void mfi_flow_text_add(mfi_flow_text *text, mf_str more)
{
    if (more.len == 0 || !reserve(text, more.len))
        return;
    memcpy(text->at + text->len, more.at, more.len);
    text->len += more.len;
}

void mfi_flow_text_printf(mfi_flow_text *text, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    if (len > 0 && reserve(text, (size_t)len)) {
        vsnprintf(text->at + text->len, (size_t)len + 1, fmt, again);
        text->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

mf_status mfi_flow_text_take(mfi_flow_text *text, char **out)
{
    char *copy = text->no_memory ? NULL : mfi_copy_text(text->allocator, mf_str_of(text->at, text->len));
    mfi_flow_text_fini(text);
    if (copy == NULL)
        return MF_E_NOMEM;
    *out = copy;
    return MF_OK;
}

void mfi_flow_text_fini(mfi_flow_text *text)
{
    mfi_release(text->allocator, text->at, text->capacity);
    *text = (mfi_flow_text){.allocator = text->allocator};
}
