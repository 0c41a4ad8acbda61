/* mageflow/doctor.h: a look at a deployment before it hurts.
 *
 * What is looked at depends on what the client stands on: a server's version, rights, memory and persistence; what lies in
 * the queues, and who else reads there; the form of results that are there already; a file, its disk, and so on. Each thing
 * that was looked at is a finding, the good ones too, so that a person sees what was asked.
 *
 * Threads   any. The calling thread waits for servers and disks; nothing that was committed is changed.
 */
#ifndef MAGEFLOW_DOCTOR_H
#define MAGEFLOW_DOCTOR_H

#include <mageflow/base.h>
#include <mageflow/client.h>
#include <mageflow/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Tell each finding (see mageflow/store.h), on this thread, before it returns; the same one is told once. *worst (may be NULL):
 * the gravest level among them. MF_OK, whatever was found; MF_E_INVALID: no tell; MF_E_FORKED. What cannot be opened at all has
 * no client: the error of mf_open tells what is wrong then. */
MF_NODISCARD mf_status mf_doctor(mf_client *client, mf_finding_fn *tell, void *user, mf_finding_level *worst, mf_error *err);

/** "ok", "warn", "error"; never NULL. */
const char *mf_finding_level_name(mf_finding_level level);

#ifdef __cplusplus
}
#endif
#endif
