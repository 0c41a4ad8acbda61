/* flow_file.h: the flow that a command line gives, and where in its text an error is. */
#ifndef CLI_FLOW_FILE_H
#define CLI_FLOW_FILE_H

#include <mageflow/message.h>

/* Zero before it is read. */
struct flow_file {
    const char *from;           /* what people call it: the file's name, or "the flow on standard input" */
    char       *text;           /* as it was read */
    size_t      len;
    mf_message *document;
};

/** The flow in a file; "-" for standard input. Its error names the file and the position of what is wrong. name is borrowed until
 * flow_file_fini. MF_E_MALFORMED, MF_E_TOO_BIG, MF_E_IO, MF_E_NOMEM. */
MF_NODISCARD mf_status flow_file_read(struct flow_file *file, const char *name, mf_error *err);
/** Whatever became of it. */
void flow_file_fini(struct flow_file *file);

/** An error that begins with a place in the flow ("flow.chain[1].task: ...", as mf_flow_start tells) is given the file's name, the
 * line and the column before it. Any other stays as it is. */
void flow_file_locate(const struct flow_file *file, mf_error *err);

#endif
