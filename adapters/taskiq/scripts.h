/* taskiq/scripts.h: what Redis must do in one step, as Lua. Each acts only on what is still ours. */
#ifndef MFI_TASKIQ_SCRIPTS_H
#define MFI_TASKIQ_SCRIPTS_H

typedef enum taskiq_script {
    TASKIQ_ACK_STREAM,      /* outcomes of entries: result, XACK, XDEL */
    TASKIQ_ACK_LIST,        /* the same for payloads in an in-flight list */
    TASKIQ_MOVE_STREAM,     /* an entry goes elsewhere: again, later, or to the dead letters */
    TASKIQ_MOVE_LIST,
    TASKIQ_RENEW_STREAM,    /* entries that we hold are fresh again */
    TASKIQ_RENEW_LIST,      /* this worker lives */
    TASKIQ_CLAIM_STREAM,    /* entries of dead workers become ours */
    TASKIQ_CLAIM_LIST,      /* payloads of dead workers go back to their queue */
    TASKIQ_TAKE_LIST,       /* several payloads, moved to the in-flight list */
    TASKIQ_DEATHS,          /* how often a payload's worker died */
    TASKIQ_DUE,             /* what was put off and is due goes to its queue */
    TASKIQ_LEAVE_STREAM,    /* our consumer's name is given up where nothing is pending under it */
    TASKIQ_WATCH,           /* foreign tasks that we look for the ends of stay ours; what the dead looked for becomes ours */
    TASKIQ_REQUEUE,         /* a dead letter goes back into its queue */
    TASKIQ_COUNT_STREAM,    /* an entry of ours gets another idle time, and another count of deliveries */
    TASKIQ_COUNT_LIST,      /* a payload another count of deaths */
    TASKIQ_SCRIPTS
} taskiq_script;

extern const char *const taskiq_script_sources[TASKIQ_SCRIPTS];

#endif
