#include "flow_form.h"

#define IN(form) (1u << MFI_FORM_##form)
#define SIGNATURE (IN(TASK) | IN(CHAIN) | IN(SWARM) | IN(MAP))
#define MANY      (IN(SWARM) | IN(MAP))

static const struct word {
    const char *text;
    unsigned    may, must;      /* a bit a form */
} words[MFI_WORDS] = {
    [MFI_WORD_TASK]                = {"task", IN(TASK), IN(TASK)},
    [MFI_WORD_CHAIN]               = {"chain", IN(CHAIN), IN(CHAIN)},
    [MFI_WORD_SWARM]               = {"swarm", IN(SWARM), IN(SWARM)},
    [MFI_WORD_MAP]                 = {"map", IN(MAP), IN(MAP)},
    [MFI_WORD_SOURCE]              = {"source", IN(MAP), IN(MAP)},
    [MFI_WORD_NAME]                = {"name", IN(CHAIN) | MANY, 0},
    [MFI_WORD_KWARGS]              = {"kwargs", SIGNATURE, 0},
    [MFI_WORD_MAX_CONCURRENCY]     = {"max_concurrency", MANY, 0},
    [MFI_WORD_STOP_AFTER_FAILURES] = {"stop_after_failures", MANY, 0},
    [MFI_WORD_MAX_ITEMS]           = {"max_items", IN(SWARM), 0},
    [MFI_WORD_CLOSE_ON_MAX]        = {"close_on_max", IN(SWARM), 0},
    [MFI_WORD_CLOSED]              = {"closed", IN(SWARM), 0},
    [MFI_WORD_MESSAGE_AS_RESULT]   = {"message_as_result", IN(SWARM), 0},
    [MFI_WORD_TTL]                 = {"ttl", SIGNATURE, 0},
    [MFI_WORD_KEEP]                = {"keep", SIGNATURE, 0},
    [MFI_WORD_STAGGER]             = {"stagger", SIGNATURE, 0},
    [MFI_WORD_ON_SUCCESS]          = {"on_success", SIGNATURE, 0},
    [MFI_WORD_ON_ERROR]            = {"on_error", SIGNATURE, 0},
    [MFI_WORD_FLOW]                = {"flow", IN(DOCUMENT), IN(DOCUMENT)},
    [MFI_WORD_MESSAGE]             = {"message", IN(DOCUMENT), 0},
    [MFI_WORD_DELAY]               = {"delay", IN(DOCUMENT), 0},
    [MFI_WORD_PRIORITY]            = {"priority", IN(DOCUMENT), 0},
    [MFI_WORD_UNIQUE]              = {"unique", IN(DOCUMENT), 0},
    [MFI_WORD_UNIQUE_WINDOW]       = {"unique_window", IN(DOCUMENT), 0},
    [MFI_WORD_JOIN]                = {"join", IN(DOCUMENT), 0},
};

static const char *const form_names[MFI_FORMS] = {
    [MFI_FORM_TASK] = "a task",
    [MFI_FORM_CHAIN] = "a chain",
    [MFI_FORM_SWARM] = "a swarm",
    [MFI_FORM_MAP] = "a map over a source",
    [MFI_FORM_DOCUMENT] = "a document",
};

const char *mfi_word_text(mfi_word word)
{
    return words[word].text;
}

mfi_word mfi_word_find(mf_str text)
{
    unsigned i = 0;
    while (i < MFI_WORDS && !mf_str_eq(text, mf_cstr(words[i].text)))
        i++;
    return (mfi_word)i;
}

bool mfi_word_may(mfi_word word, mfi_form form)
{
    return (words[word].may & 1u << form) != 0;
}

bool mfi_word_must(mfi_word word, mfi_form form)
{
    return (words[word].must & 1u << form) != 0;
}

const char *mfi_form_name(mfi_form form)
{
    return form_names[form];
}
