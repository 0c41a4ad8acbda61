/* flow/foreign.h: tasks that workers serve who know nothing of mageflow. */
#ifndef MFI_FOREIGN_H
#define MFI_FOREIGN_H

#include "plan.h"

/** What goes with the call of a foreign task (sent: its message, or NULL): the end of its time, and, where error callbacks will want
 * it, a note of the message, since whoever sees how it ends knows the call alone. */
void mfi_foreign_called(const mf_spec *spec, const mf_unit *unit, const mf_message *sent, mfi_plan *plan);
/** A call of the task has ended: what was noted for it goes. */
void mfi_foreign_ended(const mf_spec *spec, const mf_unit *unit, mfi_plan *plan);

#define MFI_FOREIGN_SENT MF_STR_LIT("foreign.sent")     /* the space of those notes */
#define MFI_FOREIGN_NAME_MAX 80
/** The name of the unit's note there. */
mf_str mfi_foreign_name(const mf_unit *unit, char out[MFI_FOREIGN_NAME_MAX]);

#endif
