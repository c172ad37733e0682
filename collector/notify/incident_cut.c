/*
 * incident_cut.c - incidents that ended long ago leave the store, with their time lines.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notify/incident_plan.h"
#include "proto/base/error.h"

#define CUT_MAX ((size_t)4096) /* rows one turn deletes; the next hour goes on */

struct cut {
    struct notify *notify;
    struct puts *puts;
    int64_t before_ms;
    size_t count;
};

static int cut_event(void *context, struct bytes key, struct bytes value)
{
    struct cut *cut = context;
    (void)value;
    puts_add(cut->puts, key, (struct bytes){0});
    return ++cut->count >= CUT_MAX ? ERR_AGAIN : 0;
}

/* The incident goes after its events, so that what was cut short is found again. */
static int cut_incident(void *context, struct bytes key, struct bytes value)
{
    struct cut *cut = context;
    struct incident *incident;
    char prefix[sizeof INCIDENT_EVENT_PREFIX + 17];
    bool is_old;
    int error = key.size == strlen(INCIDENT_PREFIX) + 16 ? incident_read(0, value, &incident)
                                                         : ERR_CORRUPT;
    if (error != 0)
        return error == ERR_CORRUPT ? 0 : error;
    is_old = incident->state == INCIDENT_CLOSED && incident->closed_ms < cut->before_ms;
    incident_free(incident);
    if (!is_old)
        return 0;
    (void)snprintf(prefix, sizeof prefix, INCIDENT_EVENT_PREFIX "%.*s/", 16,
                   (const char *)key.data + strlen(INCIDENT_PREFIX));
    error = store_state_scan(cut->notify->store, bytes_of(prefix), cut_event, cut);
    if (error != 0)
        return error;
    puts_add(cut->puts, key, (struct bytes){0});
    return 0;
}

void incident_cut(struct notify *notify, struct puts *puts, int64_t now_ms)
{
    struct cut cut = {notify, puts, now_ms - INCIDENT_KEPT_MS, 0};
    (void)store_state_scan(notify->store, bytes_of(INCIDENT_PREFIX), cut_incident, &cut);
}
