/*
 * explain_ledger.c - what the rows of the outbox say of one alert.
 *
 * The rows are the store's, not the notifier's memory: a reader waits for nobody, and what is
 * read was committed.  A try under way is not in them; one that failed is.
 */
#include <stdlib.h>

#include "collector/notify/explain.h"
#include "collector/notify/notify_parts.h"
#include "proto/base/error.h"

struct ledger_reading {
    uint64_t fingerprint;
    struct explain_ledger *ledger;
    size_t next; /* where the next one goes, once the ring is full */
};

/* NULL: no row of a parcel, or one that does not read (it is logged where it is loaded). */
static int read_row(struct bytes key, struct bytes value, struct parcel **ret_parcel)
{
    const size_t prefix = strlen(OUTBOX_PREFIX);
    char id[MESSAGE_ID_BYTES] = "";
    int error;

    *ret_parcel = NULL;
    if (key.size != prefix + MESSAGE_ID_BYTES - 1)
        return 0;
    memcpy(id, key.data + prefix, MESSAGE_ID_BYTES - 1);
    error = parcel_read(id, value, ret_parcel);
    return error == ERR_NOMEM ? error : 0;
}

static int take_row(void *context, struct bytes key, struct bytes value)
{
    struct ledger_reading *reading = context;
    struct explain_ledger *ledger = reading->ledger;
    struct parcel *parcel;
    int error = read_row(key, value, &parcel);

    if (error != 0 || parcel == NULL)
        return error;
    if (!fingerprints_contain(&parcel->firing, reading->fingerprint) &&
        !fingerprints_contain(&parcel->ended, reading->fingerprint)) {
        parcel_free(parcel);
        return 0;
    }
    free(parcel->body);
    parcel->body = NULL;
    parcel->body_size = 0;
    if (ledger->count < EXPLAIN_MESSAGES_MAX) {
        ledger->items[ledger->count++] = parcel;
        return 0;
    }
    parcel_free(ledger->items[reading->next]);
    ledger->items[reading->next] = parcel;
    reading->next = (reading->next + 1) % EXPLAIN_MESSAGES_MAX;
    ledger->left_out++;
    return 0;
}

/* Ids sort by time. */
static int compare_parcels(const void *left, const void *right)
{
    const struct parcel *a = *(struct parcel *const *)left;
    const struct parcel *b = *(struct parcel *const *)right;
    return strcmp(a->id, b->id);
}

int explain_read_ledger(struct notify *notify, uint64_t fingerprint,
                        struct explain_ledger *ret_ledger)
{
    struct explain_ledger ledger = {0};
    struct ledger_reading reading = {fingerprint, &ledger, 0};
    int error;

    ledger.items = calloc(EXPLAIN_MESSAGES_MAX, sizeof(struct parcel *));
    if (ledger.items == NULL)
        return ERR_NOMEM;
    error = store_state_scan(notify->store, bytes_of(OUTBOX_PREFIX), take_row, &reading);
    if (error != 0) {
        explain_ledger_done(&ledger);
        return error;
    }
    if (ledger.count > 1)
        qsort(ledger.items, ledger.count, sizeof(struct parcel *), compare_parcels);
    *ret_ledger = ledger;
    return 0;
}

void explain_ledger_done(struct explain_ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++)
        parcel_free(ledger->items[i]);
    free(ledger->items);
    *ledger = (struct explain_ledger){0};
}

/* ---- what is owed to whom ---------------------------------------------------------------- */

struct owed_reading {
    struct explain_owed *items;
    size_t count;
};

static struct explain_owed *find_owed(const struct owed_reading *reading,
                                      const struct parcel *parcel)
{
    for (size_t i = 0; i < reading->count; i++)
        if (reading->items[i].index == parcel->index &&
            strcmp(reading->items[i].receiver, parcel->receiver) == 0 &&
            strcmp(reading->items[i].channel, parcel->channel) == 0)
            return &reading->items[i];
    return NULL;
}

static int add_owed(struct owed_reading *reading, struct parcel *parcel)
{
    struct explain_owed *longer =
        realloc(reading->items, (reading->count + 1) * sizeof *longer);
    if (longer == NULL)
        return ERR_NOMEM;
    reading->items = longer;
    longer[reading->count++] =
        (struct explain_owed){parcel->receiver, parcel->channel, parcel->index, 1};
    parcel->receiver = NULL; /* moved */
    parcel->channel = NULL;
    return 0;
}

static int count_row(void *context, struct bytes key, struct bytes value)
{
    struct owed_reading *reading = context;
    struct explain_owed *found;
    struct parcel *parcel;
    int error = read_row(key, value, &parcel);

    if (error != 0 || parcel == NULL)
        return error;
    if (parcel->state == PARCEL_QUEUED) {
        found = find_owed(reading, parcel);
        if (found != NULL)
            found->count++;
        else
            error = add_owed(reading, parcel);
    }
    parcel_free(parcel);
    return error;
}

int explain_read_owed(struct notify *notify, struct explain_owed **ret_owed, size_t *ret_count)
{
    struct owed_reading reading = {0};
    int error = store_state_scan(notify->store, bytes_of(OUTBOX_PREFIX), count_row, &reading);
    if (error != 0) {
        explain_owed_free(reading.items, reading.count);
        return error;
    }
    *ret_owed = reading.items;
    *ret_count = reading.count;
    return 0;
}

void explain_owed_free(struct explain_owed *owed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(owed[i].receiver);
        free(owed[i].channel);
    }
    free(owed);
}
