/*
 * notify_load.c - what the store remembers of alerts, groups and owed messages.
 *
 * A row that does not parse is logged and left where it is: losing one alert is better than
 * sending none.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/notify_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

struct loading {
    struct notify *notify;
    struct alerting *nowhere;
};

static int skip_unreadable(int error, struct bytes key)
{
    if (error != ERR_CORRUPT)
        return error;
    log_error("notify", "skipping an unreadable row %.*s", (int)key.size,
              (const char *)key.data);
    return 0;
}

static int load_group(void *context, struct bytes key, struct bytes value)
{
    struct notify *notify = context;
    return skip_unreadable(groups_remember(&notify->groups, value), key);
}

/* Every stored alert is tracked; one that has ended still has to be told. */
static int load_alert(void *context, struct bytes key, struct bytes value)
{
    struct notify *notify = context;
    struct arena arena;
    struct alert alert;
    bool firing = false;
    int error;

    arena_init(&arena, (size_t)4 << 20);
    error = alert_read(value, &arena, &alert);
    if (error == 0) {
        struct tracked *tracked;
        firing = alert.firing;
        alert.firing = true; /* groups_take_alert() passes over unknown ends */
        error = groups_take_alert(&notify->groups, alerting_root(notify->alerting), &alert,
                                  clock_unix_ms(notify->clock), clock_mono(notify->clock));
        tracked = error == 0 ? groups_find_alert(&notify->groups, alert.labels) : NULL;
        if (tracked != NULL) {
            tracked->alert->firing = firing;
            notify->groups.version++;
            tracked->dirty = false;
        }
    }
    arena_reset(&arena);
    return skip_unreadable(error, key);
}

static int load_parcel(void *context, struct bytes key, struct bytes value)
{
    struct notify *notify = context;
    size_t prefix = strlen(OUTBOX_PREFIX);
    char id[MESSAGE_ID_BYTES] = "";
    struct parcel *parcel;
    int error;

    if (key.size == prefix + MESSAGE_ID_BYTES - 1)
        memcpy(id, key.data + prefix, MESSAGE_ID_BYTES - 1);
    error = parcel_read(id, value, &parcel);
    if (error != 0)
        return skip_unreadable(error, key);
    if (parcel->state == PARCEL_QUEUED || parcel->awaits)
        outbox_put(&notify->outbox, parcel);
    else
        parcel_free(parcel);
    return 0;
}

static int load_silence(void *context, struct bytes key, struct bytes value)
{
    struct notify *notify = context;
    const size_t prefix = strlen(SILENCE_PREFIX);
    char id[SILENCE_ID_BYTES] = "";
    struct silence *silence;
    int error;

    if (key.size == prefix + SILENCE_ID_BYTES - 1)
        memcpy(id, key.data + prefix, SILENCE_ID_BYTES - 1);
    error = silence_read(id, value, &silence);
    if (error != 0)
        return skip_unreadable(error, key);
    error = silences_reserve(&notify->silences);
    if (error != 0)
        silence_free(silence);
    else
        silences_put(&notify->silences, silence);
    return error;
}

/* Belongs to a firing that is still there; else it is a leftover, which the next one replaces.
 */
static int load_acknowledgement(void *context, struct bytes key, struct bytes value)
{
    struct notify *notify = context;
    const size_t prefix = strlen(ACKNOWLEDGE_PREFIX);
    char digits[17] = "";
    struct acknowledgement *acknowledgement;
    struct tracked *tracked;
    int error = acknowledgement_read(value, &acknowledgement);

    if (error != 0)
        return skip_unreadable(error, key);
    if (key.size == prefix + 16)
        memcpy(digits, key.data + prefix, 16);
    tracked = groups_find_fingerprint(&notify->groups, strtoull(digits, NULL, 16));
    if (tracked != NULL && alert_is_open(tracked->alert, clock_unix_ms(notify->clock)) &&
        tracked->alert->starts_ms <= acknowledgement->starts_ms)
        tracked->acknowledgement = acknowledgement;
    else
        acknowledgement_free(acknowledgement);
    return 0;
}

/* What is not over goes on; of the others only the number counts. */
static int load_incident(void *context, struct bytes key, struct bytes value)
{
    struct notify *notify = context;
    const size_t prefix = strlen(INCIDENT_PREFIX);
    char digits[17] = "";
    struct incident *incident;
    int error;

    if (key.size == prefix + 16)
        memcpy(digits, key.data + prefix, 16);
    error = incident_read(strtoull(digits, NULL, 16), value, &incident);
    if (error != 0)
        return skip_unreadable(error, key);
    error = incidents_put(&notify->incidents, incident, clock_unix_ms(notify->clock),
                          clock_mono(notify->clock));
    if (error != 0)
        incident_free(incident);
    return error;
}

static int load_passed(void *context, struct bytes key, struct bytes value)
{
    struct notify *notify = context;
    return skip_unreadable(passed_remember(&notify->passed, value), key);
}

/* Numbers of inbox rows go on after the highest that is still there. */
static int note_inbox(void *context, struct bytes key, struct bytes value)
{
    struct notify *notify = context;
    size_t prefix = strlen(NOTIFY_INBOX_PREFIX);
    char digits[17] = "";
    uint64_t number;
    (void)value;

    if (key.size != prefix + 16)
        return 0;
    memcpy(digits, key.data + prefix, 16);
    number = strtoull(digits, NULL, 16);
    if (number >= atomic_load(&notify->inbox_next))
        atomic_store(&notify->inbox_next, number + 1);
    return 0;
}

int notify_load(struct notify *notify, struct diagnosis *why)
{
    static const struct {
        const char *prefix;
        int (*each)(void *context, struct bytes key, struct bytes value);
    } tables[] = {{NOTIFY_GROUP_PREFIX, load_group}, /* before the alerts that meet them */
                  {NOTIFY_ALERT_PREFIX, load_alert},
                  {ACKNOWLEDGE_PREFIX, load_acknowledgement}, /* after their alerts */
                  {SILENCE_PREFIX, load_silence},
                  {INCIDENT_PREFIX, load_incident},
                  {OUTBOX_PREFIX, load_parcel},
                  {PASSED_PREFIX, load_passed},
                  {NOTIFY_INBOX_PREFIX, note_inbox}};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        int error =
            store_state_scan(notify->store, bytes_of(tables[i].prefix), tables[i].each, notify);
        if (error != 0)
            return diagnose(why, error, "cannot read %s from the store: %s", tables[i].prefix,
                            error_text(error));
    }
    outbox_sweep(&notify->outbox); /* what only awaits its receipt is not owed */
    return 0;
}
