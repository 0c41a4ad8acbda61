/* Whether the engine is there and takes our token: one question that changes nothing, for a run that nobody has. */
#include "hatchet.h"

#include "finding.h"

#define NO_RUN "00000000-0000-0000-0000-000000000000"

void hatchet_doctor(mf_adapter *base, mf_finding_fn *tell, void *user)
{
    static const char expected[] = "the engine answers, and takes the token";
    hatchet *h = hatchet_of(base);
    mfi_teller t = {.tell = tell, .user = user, .where = h->what};
    mf_error err = {.text = ""};
    if (mfi_rpc_wait_up(h->rpc, mf_seconds(5), &err) != MF_OK) {
        size_t where = strlen(h->what);     /* which the finding has in front */
        bool named = strncmp(err.text, h->what, where) == 0 && strncmp(err.text + where, ": ", 2) == 0;
        mfi_tell(&t, MF_FINDING_ERROR, "engine", expected, "start it, or mend the address or TLS as the text says", "%s",
                 err.text + (named ? where + 2 : 0));
        return;
    }
    mfi_rpc_code code = MFI_RPC_OK;
    HatchetPb__RunRef ref = HATCHET_PB__RUN_REF__INIT;
    ref.id = (char *)(uintptr_t)NO_RUN;
    mf_status st = hatchet_call(h, "/v1.AdminService/GetRunDetails", &ref.base, mf_seconds(5), NULL, NULL, &code, &err);
    if (code == MFI_RPC_UNAUTHENTICATED || code == MFI_RPC_PERMISSION_DENIED)
        mfi_tell(&t, MF_FINDING_ERROR, "engine", expected, "make a new token, in the dashboard or with hatchet-admin, for this engine's tenant",
                 "the token is refused: %s", err.text);
    else if (st == MF_E_TIMEOUT || code == MFI_RPC_UNAVAILABLE)
        mfi_tell(&t, MF_FINDING_ERROR, "engine", expected, "look at the engine and what stands before it", "%s", err.text);
    else if (code == MFI_RPC_UNIMPLEMENTED)
        mfi_tell(&t, MF_FINDING_WARN, "engine", expected, "use an engine of version 0.88 or later", "it answers, but knows no question of the "
                 "v1 API");
    else
        mfi_tell(&t, MF_FINDING_OK, "engine", expected, "", "it answers, and takes the token");
}
