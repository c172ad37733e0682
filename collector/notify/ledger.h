/*
 * ledger.h - the messages of the last days and what became of each, for whoever shows them.
 *
 * What the store has committed (outbox.h): owed, accepted, delivered, failed, told another way.
 *
 * Any thread.
 */
#pragma once

#include "collector/notify/notify.h"
#include "proto/base/buf.h"

#define LEDGER_SHOWN_MAX 1000

struct ledger_filter {
    const char *receiver; /* NULL: all */
    const char *state;    /* parcel_state_name() of one; NULL: all */
    size_t limit;         /* 1..LEDGER_SHOWN_MAX */
};

/* Appends a JSON array, the newest first:
 *     [{"id","receiver","channel","index","state","groupKey","incident","createdMs","settledMs",
 *       "attempts","awaitsReceipt","reason"}]
 * settledMs is 0 while it is queued, incident 0 for what is told of none.  ERR_NOMEM, or what
 * the store says. */
int notify_ledger_print_json(struct notify *notify, const struct ledger_filter *filter,
                             struct buf *out);
