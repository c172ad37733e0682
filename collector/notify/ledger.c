/*
 * ledger.c - see ledger.h.
 */
#include "collector/notify/ledger.h"

#include <inttypes.h>
#include <stdlib.h>

#include "collector/notify/json.h"
#include "collector/notify/notify_parts.h"
#include "proto/base/error.h"

/* The newest that pass; keys go up with time, so the ring forgets the oldest. */
struct ledger_scan {
    const struct ledger_filter *filter;
    struct parcel **ring;
    size_t next, count;
};

static int keep_row(void *context, struct bytes key, struct bytes value)
{
    struct ledger_scan *scan = context;
    const struct ledger_filter *filter = scan->filter;
    const size_t prefix = strlen(OUTBOX_PREFIX);
    char id[MESSAGE_ID_BYTES] = "";
    struct parcel *parcel;
    int error;

    if (key.size == prefix + MESSAGE_ID_BYTES - 1)
        memcpy(id, key.data + prefix, MESSAGE_ID_BYTES - 1);
    error = parcel_read(id, value, &parcel);
    if (error != 0)
        return error == ERR_NOMEM ? error : 0; /* logged when it was loaded */
    if ((filter->receiver != NULL && strcmp(filter->receiver, parcel->receiver) != 0) ||
        (filter->state != NULL &&
         strcmp(filter->state, parcel_state_name(parcel->state)) != 0)) {
        parcel_free(parcel);
        return 0;
    }
    parcel_free(scan->ring[scan->next]);
    scan->ring[scan->next] = parcel;
    scan->next = (scan->next + 1) % filter->limit;
    if (scan->count < filter->limit)
        scan->count++;
    return 0;
}

static void print_parcel(const struct parcel *parcel, struct buf *out)
{
    buf_printf(out, "{\"id\":\"%s\",\"receiver\":", parcel->id);
    json_put_text(out, parcel->receiver);
    buf_put_text(out, ",\"channel\":");
    json_put_text(out, parcel->channel);
    buf_printf(out, ",\"index\":%u,\"state\":\"%s\",\"groupKey\":", parcel->index,
               parcel_state_name(parcel->state));
    json_put_text(out, parcel->group_key);
    buf_printf(out,
               ",\"incident\":%" PRIu64 ",\"createdMs\":%" PRId64 ",\"settledMs\":%" PRId64
               ",\"attempts\":%u,\"awaitsReceipt\":%s,\"reason\":",
               parcel->incident, parcel->created_ms, parcel->settled_ms, parcel->attempts,
               parcel->awaits ? "true" : "false");
    json_put_text(out, parcel->reason);
    buf_put_char(out, '}');
}

int notify_ledger_print_json(struct notify *notify, const struct ledger_filter *filter,
                             struct buf *out)
{
    struct ledger_scan scan = {.filter = filter};
    int error;

    scan.ring = calloc(filter->limit, sizeof(struct parcel *));
    if (scan.ring == NULL)
        return ERR_NOMEM;
    error = store_state_scan(notify->store, bytes_of(OUTBOX_PREFIX), keep_row, &scan);
    buf_put_char(out, '[');
    for (size_t i = 0; i < scan.count; i++) {
        const struct parcel *parcel =
            scan.ring[(scan.next + 2 * filter->limit - 1 - i) % filter->limit];
        if (i > 0)
            buf_put_char(out, ',');
        print_parcel(parcel, out);
    }
    buf_put_char(out, ']');
    for (size_t i = 0; i < filter->limit; i++)
        parcel_free(scan.ring[i]);
    free(scan.ring);
    return error != 0 ? error : buf_ok(out) ? 0 : ERR_NOMEM;
}
