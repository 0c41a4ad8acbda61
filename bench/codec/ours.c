#include "peer.h"

static mf_message *read_text(mf_str text)
{
    mf_message *message = NULL;
    return mf_message_from_json(text, NULL, NULL, &message, NULL) == MF_OK ? message : NULL;
}

static char *write_text(const mf_message *message, size_t *len)
{
    char *text = NULL;      /* of the default allocator, which is malloc */
    return mf_message_to_json(message, NULL, &text, len, NULL) == MF_OK ? text : NULL;
}

const peer peer_ours = {.name = "**ours**", .read = read_text, .write = write_text};
