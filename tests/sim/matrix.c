#include "matrix.h"

#include <stdio.h>

#define BIT MFI_FAULT_BIT
#define MESSAGES (BIT(MFI_FAULT_REFUSED) | BIT(MFI_FAULT_LOST_PUBLISH) | BIT(MFI_FAULT_TWICE) | BIT(MFI_FAULT_LATE) | BIT(MFI_FAULT_ORDER))

#define VERB (BIT(MFI_FAULT_LOST_CLAIM) | MESSAGES)

/* Cells that cannot be, each with its reason; what is not listed must be hit. */
static const struct impossible {
    unsigned    row;
    unsigned    faults;     /* MFI_FAULT_BIT, or-ed */
    const char *why;
} impossible[] = {
    {MFI_EV_CANCEL, BIT(MFI_FAULT_LOST_CLAIM), "is no message and holds no claim; only a batch that it shares with others does"},
    {MFI_EV_SUSPEND, VERB, "is no message and holds no claim"},
    {MFI_EV_INTERRUPT, VERB, "is no message and holds no claim"},
    {MFI_EV_RESUME, VERB, "is no message and holds no claim"},
    {MFI_EV_REMOVE, VERB, "is no message and holds no claim"},
    {MFI_EV_ADD, VERB, "is no message and holds no claim"},
    {MFI_EV_CLOSE, VERB, "is no message and holds no claim"},
    {MFI_EV_EXPIRE, VERB, "is no message and holds no claim"},
    {MFI_EV_WAKE, VERB, "is no message and holds no claim"},
    {MFI_EV_LOCK, VERB, "is no message and holds no claim"},
    {MFI_EV_UNLOCK, VERB, "is no message and holds no claim"},
    {MFI_EV_SETTLE, BIT(MFI_FAULT_CONFLICT), "writes no record, so no other writer is met; only a batch that it shares with others does"},
    {MFI_ROW_START, BIT(MFI_FAULT_CONFLICT) | BIT(MFI_FAULT_LOST_CLAIM) | MESSAGES, "writes new records, which nobody else knows, and no message brought them"},
    {MFI_ROW_PLAIN, BIT(MFI_FAULT_CONFLICT), "writes no record"},
    {MFI_ROW_TICK, BIT(MFI_FAULT_CONFLICT) | BIT(MFI_FAULT_LOST_CLAIM) | MESSAGES, "writes no record, settles no claim, is no message"},
    {MFI_ROW_TAKE, BIT(MFI_FAULT_CONFLICT) | BIT(MFI_FAULT_LOST_CLAIM), "writes no record, and the claim is only now given"},
    {MFI_ROW_TAKE, MESSAGES, "is counted where it leads: in the row of the transition"},
    {MFI_ROW_PUBLISH, BIT(MFI_FAULT_CONFLICT) | BIT(MFI_FAULT_LOST_CLAIM), "writes no record, settles no claim"},
    {MFI_ROW_PEER, BIT(MFI_FAULT_LOST_CLAIM), "holds no claim"},
    {MFI_ROW_DEAD, BIT(MFI_FAULT_LOST_CLAIM), "holds no claim"},
    {MFI_ROW_PUBLISH, BIT(MFI_FAULT_TWICE) | BIT(MFI_FAULT_LATE) | BIT(MFI_FAULT_ORDER), "is counted where it leads: in the row of the transition"},
};

static const char *why_not(unsigned row, mfi_fault fault)
{
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++)
        if (impossible[i].row == row && (impossible[i].faults & MFI_FAULT_BIT(fault)) != 0)
            return impossible[i].why;
    return NULL;
}

void report_add(report *to, const report *from)
{
    for (unsigned row = 0; row < MFI_ROWS; row++)
        for (unsigned fault = 0; fault < MFI_FAULTS; fault++)
            to->cells[row][fault] += from->cells[row][fault];
    to->schedules += from->schedules;
    to->faults += from->faults;
    to->crashes += from->crashes;
    to->restarts += from->restarts;
    to->lapsed += from->lapsed;
    to->answers += from->answers;
    to->dead_letters += from->dead_letters;
    to->overtaken += from->overtaken;
    to->steps += from->steps;
    to->items += from->items;
    to->without_fault += from->without_fault;
    to->broken += from->broken;
    if (from->broken > 0 && from->first_broken < to->first_broken)
        to->first_broken = from->first_broken;
}

bool report_print(const report *r, uint64_t require, double seconds)
{
    bool covered = true;
    printf("%llu schedules in %.1f s (%.0f a second): %llu items, %llu faults, %llu crashes, %llu closed, %llu claims lapsed, "
           "%llu answers of peers, %llu dead letters, %llu messages of attempts after a later one was sent, %llu steps; "
           "%llu without a fault\n\n",
           (unsigned long long)r->schedules, seconds, (double)r->schedules / seconds, (unsigned long long)r->items,
           (unsigned long long)r->faults, (unsigned long long)r->crashes, (unsigned long long)r->restarts,
           (unsigned long long)r->lapsed, (unsigned long long)r->answers,
           (unsigned long long)r->dead_letters, (unsigned long long)r->overtaken, (unsigned long long)r->steps,
           (unsigned long long)r->without_fault);
    printf("%-24s", "");
    for (unsigned fault = 0; fault < MFI_FAULTS; fault++)
        printf(" %15s", mfi_fault_name((mfi_fault)fault));
    printf("\n");
    for (unsigned row = 0; row < MFI_ROWS; row++) {
        if (mfi_row_name(row) == NULL)
            continue;
        printf("%-24s", mfi_row_name(row));
        for (unsigned fault = 0; fault < MFI_FAULTS; fault++) {
            uint64_t n = r->cells[row][fault];
            const char *why = why_not(row, (mfi_fault)fault);
            bool low = why == NULL && n < require;
            covered = covered && !low;
            if (why != NULL && n == 0)
                printf(" %15s", "-");
            else
                printf(" %14llu%c", (unsigned long long)n, low ? '!' : ' ');
        }
        printf("\n");
    }
    printf("\nnot asked for:\n");
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        printf("  %s ×", mfi_row_name(impossible[i].row));
        for (unsigned fault = 0; fault < MFI_FAULTS; fault++)
            if ((impossible[i].faults & MFI_FAULT_BIT(fault)) != 0)
                printf(" %s,", mfi_fault_name((mfi_fault)fault));
        printf(" since it %s\n", impossible[i].why);
    }
    if (r->overtaken < require) {
        printf("\nmessages of attempts after a later one was sent: fewer than %llu\n", (unsigned long long)require);
        return false;
    }
    if (!covered)
        printf("\nmarked with !: hit less often than %llu times\n", (unsigned long long)require);
    return covered;
}
