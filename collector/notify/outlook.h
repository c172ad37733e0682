/*
 * outlook.h - when somebody will next be told of an alert that fires, and what it comes to.
 *
 *     lane    one integration of one group (an alert has several)
 *     flushes of a group:   due, due + group_interval, due + 2 * group_interval ...
 *
 *     not told, not muted     at the next flush                          FIRST
 *     told                    at the first flush after said + repeat     REPEAT
 *     muted, end known        at the first flush after that end          AFTER_MUTE
 *     muted, end unknown      not until then                             MUTED
 *     all that fires is acknowledged: not again                          ACKNOWLEDGED
 *     over, and who was told it fires is told ends   at the next flush   END
 *     people are told by an incident                 at its next step    STEP (explain_incident.c)
 *
 * It is what dedup.h would decide if nothing changed until then; news of the group comes
 * earlier. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTLOOK_OPEN INT64_MAX /* nobody knows when it ends */

enum outlook_next {
    NEXT_FIRST,
    NEXT_REPEAT,
    NEXT_AFTER_MUTE,
    NEXT_MUTED,
    NEXT_ACKNOWLEDGED,
    NEXT_END,
    NEXT_STEP,
    NEXT_NOTHING, /* it is over, and nobody is to hear of that */
};

struct outlook_lane {
    int64_t due_ms, interval_ms, repeat_ms; /* the group's */
    bool is_told;                           /* the last message told that it fires */
    bool was_told; /* told, then muted: its return is news unless it is acknowledged */
    int64_t said_ms;
    bool is_acknowledged;   /* this alert */
    bool all_acknowledged;  /* all of the group that fire and are not muted */
    int64_t muted_until_ms; /* 0: it is not; OUTLOOK_OPEN */
    bool is_over, owes_end;
};

struct outlook {
    enum outlook_next next;
    int64_t at_ms; /* 0 where nothing is to come */
};

struct outlook outlook_of(const struct outlook_lane *lane, int64_t now_ms);
/* "first", "repeat", "after_mute", "muted", "acknowledged", "end", "step", "nothing". */
const char *outlook_next_text(enum outlook_next next);

/* ---- the verdict: one word for all lanes ------------------------------------------------- */

enum verdict {
    VERDICT_PENDING,  /* its condition holds, but not yet for long enough */
    VERDICT_NEW,      /* it fires, and the notifier has not taken it up */
    VERDICT_TOLD,     /* somebody was */
    VERDICT_FAILING,  /* nobody was: no try has got through */
    VERDICT_SENDING,  /* the first message is on its way */
    VERDICT_SILENCED, /* nobody was, because ... */
    VERDICT_INHIBITED,
    VERDICT_OUT_OF_TIME,
    VERDICT_NOBODY,  /* no receiver it goes to has an integration */
    VERDICT_WAITING, /* for the first flush of its group */
    VERDICT_OVER,    /* it does not fire any more */
};

struct verdict_facts {
    bool is_over, is_pending, is_tracked;
    bool is_silenced, is_inhibited;
    size_t lane_count; /* integrations it goes to */
    size_t lanes_out_of_time;
    size_t told_count;    /* lanes that have accepted a message of this firing */
    size_t failing_count; /* messages of it that are still owed after a try */
    size_t sending_count; /* ... before one */
};

enum verdict verdict_of(const struct verdict_facts *facts);
/* "pending", "new", "told" ... */
const char *verdict_text(enum verdict verdict);
