/*
 * round.h - what evaluations want to change, made true by one store write.
 *
 * A round takes the outcome of any number of rules (each rule once), writes alert rows, samples
 * and what the notifier is owed in one commit, and only then changes the live alerts.  If the
 * write fails nothing has happened, and the rules can simply be evaluated again.
 *
 * Thread: the rules thread.
 */
#pragma once

#include <pthread.h>

#include "collector/notify/notify.h"
#include "collector/rules/rule_state.h"
#include "proto/base/arena.h"

struct round_change {
    struct rule_state *state;
    struct live_alert *alert;                  /* NULL: a new one */
    const struct labels *labels, *annotations; /* in the round's arena; NULL: as they were */
    struct bytes instance;
    double value;
    struct alert_step step;
    struct flap flap; /* after the step */
    bool known;       /* its samples have arrived */
    bool holds;
    struct round_change *next;
};

struct round_put {
    struct store_put put;
    struct round_put *next;
};

struct round {
    struct store *store;
    struct notify *notify;
    pthread_mutex_t *state_lock; /* held while live alerts change */
    const char *external_url;
    const struct labels *external_labels; /* for templates; NULL: none */
    int64_t ts_ms;
    struct arena arena;
    struct round_change *first, **last;
    size_t change_count;
    size_t template_errors; /* texts that came out as an error; noted by note_outcome() */
    struct output_samples samples;
    struct round_put *puts; /* other rows */
    size_t put_count;
    struct rule_state **writers; /* rules whose outputs are in `samples` */
    size_t writer_count, writer_capacity;
};

void round_begin(struct round *round, struct store *store, struct notify *notify,
                 pthread_mutex_t *state_lock, const char *external_url, int64_t ts_ms);
/* A copy in the arena, with a NUL behind it; no data if out of memory. */
struct bytes round_keep(struct arena *arena, struct bytes bytes);

/* Zeroed and appended; NULL if out of memory. */
struct round_change *round_add(struct round *round, struct rule_state *state);
/* The same for a live alert, as it is. */
struct round_change *round_add_live(struct round *round, struct rule_state *state,
                                    struct live_alert *alert);
/* Ends an alert for another reason than its expression: its rule is gone, or past its limit. */
int round_end_alert(struct round *round, struct rule_state *state, struct live_alert *alert);
/* Is anything left of the alert after the change? */
static inline bool round_change_removes(const struct round_change *change)
{
    return change->step.life.state == ALERT_INACTIVE && change->flap.count == 0;
}
int round_add_writer(struct round *round, struct rule_state *state);
/* A row of another kind; both are copied, no data deletes.  ERR_NOMEM. */
int round_put(struct round *round, struct bytes key, struct bytes value);
/* Takes back what was added for this rule (its evaluation failed half-way); it must be the last
 * one added. */
void round_drop_last(struct round *round, const struct rule_state *state);
/* Does the rule read something that rules of this round have written, but not yet committed? */
bool round_is_read_by(const struct round *round, const struct rule *rule);
/* Would a commit write anything? */
bool round_writes(const struct round *round);
/* Writes and applies.  The round is empty afterwards and goes on, whatever is returned. */
int round_commit(struct round *round);
void round_done(struct round *round);

/* EXTERNAL/graph?g0.expr=...&g0.tab=1 */
int round_generator_url(const struct round *round, const struct rule *rule,
                        struct arena *arena, const char **ret_url);
