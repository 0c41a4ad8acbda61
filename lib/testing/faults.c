/* Which operation meets which fault, and what the fault thereby met: the matrix. */
#include "sim_private.h"

const char *mfi_fault_name(mfi_fault fault)
{
    static const char *const names[MFI_FAULTS] = {
        [MFI_FAULT_CRASH_BEFORE] = "crash before",
        [MFI_FAULT_CRASH_AFTER] = "crash after",
        [MFI_FAULT_CONFLICT] = "conflict",
        [MFI_FAULT_ERROR] = "store error",
        [MFI_FAULT_LOST_CLAIM] = "lost claim",
        [MFI_FAULT_REFUSED] = "refused publish",
        [MFI_FAULT_LOST_PUBLISH] = "lost publish",
        [MFI_FAULT_TWICE] = "twice",
        [MFI_FAULT_LATE] = "late",
        [MFI_FAULT_ORDER] = "out of order",
        [MFI_FAULT_PAUSE] = "paused",
    };
    return names[fault];
}

const char *mfi_row_name(unsigned row)
{
    static const char *const names[MFI_ROWS] = {
        [MFI_EV_START] = "start",
        [MFI_EV_FILL] = "fill",
        [MFI_EV_ITEM_DONE] = "item done",
        [MFI_EV_ITEM_FAILED] = "item failed",
        [MFI_EV_ITEM_CANCELED] = "item canceled",
        [MFI_EV_CANCEL] = "cancel",
        [MFI_EV_FAIL] = "fail",
        [MFI_EV_SUSPEND] = "suspend",
        [MFI_EV_INTERRUPT] = "interrupt",
        [MFI_EV_RESUME] = "resume",
        [MFI_EV_REMOVE] = "remove",
        [MFI_EV_ADD] = "add",
        [MFI_EV_CLOSE] = "close",
        [MFI_EV_EXPIRE] = "expire",
        [MFI_EV_WAKE] = "wake",
        [MFI_EV_LOCK] = "lock",
        [MFI_EV_UNLOCK] = "unlock",
        [MFI_EV_SETTLE] = "settle",
        [MFI_ROW_START] = "(a flow is stored)",
        [MFI_ROW_PLAIN] = "(retry, told by message)",
        [MFI_ROW_TICK] = "(published, ticked off)",
        [MFI_ROW_TAKE] = "(taken or claimed)",
        [MFI_ROW_PUBLISH] = "(published)",
        [MFI_ROW_PEER] = "(a peer's answer)",
        [MFI_ROW_DEAD] = "(a dead letter's end)",
    };
    return names[row];
}

/* Each kind of event that the commit at hand is made of. */
static unsigned kinds_at_hand(void)
{
    unsigned kinds = 0;
    for (size_t i = 0; mfi_here.box != NULL && i < mfi_here.box->batch.count; i++)
        kinds |= 1u << mfi_here.box->batch.at[i].event.kind;
    return mfi_here.box != NULL && mfi_here.fails ? kinds | 1u << MFI_EV_FAIL : kinds;
}

/* What is rare meets faults more often, or a million schedules would say little about it; what is very rare meets one even
 * where the schedule has had its share. */
#define COMMON (1u << MFI_EV_START | 1u << MFI_EV_FILL | 1u << MFI_EV_ITEM_DONE | 1u << MFI_EV_ITEM_FAILED)
#define SELDOM (1u << MFI_EV_SETTLE | 1u << MFI_EV_FAIL | 1u << MFI_EV_WAKE | 1u << MFI_EV_EXPIRE | 1u << MFI_EV_UNLOCK)

bool mfi_fault_draw(mfi_sim *sim, unsigned allowed, mfi_fault *out)
{
    unsigned kinds = kinds_at_hand(), odds = sim->config.odds;
    bool seldom = (kinds & SELDOM) != 0 && (allowed & MFI_FAULT_BIT(MFI_FAULT_CRASH_AFTER)) != 0;    /* not where it only reads */
    unsigned row = sim->current != NULL ? sim->current->row : 0;
    seldom = seldom || (row == MFI_ROW_DEAD && (allowed & MFI_FAULT_BIT(MFI_FAULT_CRASH_AFTER)) != 0);
    if ((kinds & ~COMMON) != 0 || row != 0)
        odds = odds / 4 + 1;
    allowed &= seldom ? MFI_FAULTS_ALL : sim->config.kinds;
    if (sim->calm || allowed == 0 || sim->current == NULL || !mfi_prng_one_in(&sim->chance, seldom ? 2 : odds))
        return false;
    if (sim->faults_left == 0 && (!seldom || sim->faults_met > sim->config.faults + 2))
        return false;
    unsigned pick = mfi_prng_below(&sim->chance, (uint32_t)__builtin_popcount(allowed));
    while (pick-- > 0)
        allowed &= allowed - 1;
    *out = (mfi_fault)__builtin_ctz(allowed);
    sim->faults_left -= sim->faults_left > 0;
    sim->faults_met++;
    return true;
}

static void count(mfi_sim *sim, unsigned row, mfi_fault fault)
{
    if (sim->config.cells != NULL && row < MFI_ROWS)
        (*sim->config.cells)[row][fault]++;
}

struct mfi_marked {
    struct mfi_marked *next;
    uint64_t           entry;
    unsigned           met;
};

void mfi_fault_mark(mfi_sim *sim, uint64_t entry, mfi_fault fault)
{
    struct mfi_marked *m = mfi_sim_new(sim, sizeof *m);
    *m = (struct mfi_marked){sim->marked, entry, MFI_FAULT_BIT(fault)};
    sim->marked = m;
}

unsigned mfi_fault_marks(const mfi_sim *sim, uint64_t entry)
{
    unsigned met = 0;
    for (const struct mfi_marked *m = sim->marked; m != NULL; m = m->next)
        met |= m->entry == entry ? m->met : 0;
    return met;
}

void mfi_fault_count(mfi_sim *sim, mfi_fault fault, unsigned row)
{
    unsigned kinds = kinds_at_hand();
    if (kinds == 0)
        count(sim, row, fault);
    for (; kinds != 0; kinds &= kinds - 1)
        count(sim, (unsigned)__builtin_ctz(kinds), fault);
    if (sim->current->row != 0 && mfi_here.box != NULL)
        count(sim, sim->current->row, fault);
    mfi_sim_trace(sim, "fault: %s", mfi_fault_name(fault));
}

void mfi_fault_count_met(mfi_sim *sim, unsigned row)
{
    if (sim->current == NULL)
        return;
    for (unsigned met = sim->current->met; met != 0; met &= met - 1) {
        mfi_fault fault = (mfi_fault)__builtin_ctz(met);
        unsigned kinds = row == MFI_EV_SETTLE ? 1u << MFI_EV_SETTLE : kinds_at_hand();
        if (kinds == 0)
            count(sim, row, fault);
        for (; kinds != 0; kinds &= kinds - 1)
            count(sim, (unsigned)__builtin_ctz(kinds), fault);
        if (sim->current->row != 0 && row != MFI_EV_SETTLE && mfi_here.box != NULL)
            count(sim, sim->current->row, fault);
    }
}
