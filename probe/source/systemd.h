/*
 * systemd.h - what the two halves of the systemd source share: systemd_read.c asks, on a
 * worker; systemd.c emits, on the loop.  Never both at once.
 */
#pragma once

#include "probe/dbus/dbus.h"
#include "probe/emitter.h"
#include "probe/source/pattern.h"
#include "probe/source/source.h"
#include "probe/source/tracked.h"

/* ActiveState of a unit.  node_exporter has a series for each of the first five. */
enum unit_state {
    UNIT_ACTIVE,
    UNIT_ACTIVATING,
    UNIT_DEACTIVATING,
    UNIT_INACTIVE,
    UNIT_FAILED,
    UNIT_STATES_ALWAYS,
    UNIT_RELOADING = UNIT_STATES_ALWAYS,
    UNIT_MAINTENANCE,
    UNIT_REFRESHING,
    UNIT_STATES,
};

extern const char *const unit_state_names[UNIT_STATES];

/* Numbers read by D-Bus, a row of systemd_properties each. */
enum unit_property {
    UNIT_RESTARTS,
    UNIT_TASKS_CURRENT,
    UNIT_TASKS_MAX,
    UNIT_START_TIME,
    UNIT_SOCKET_ACCEPTED,
    UNIT_SOCKET_CONNECTIONS,
    UNIT_SOCKET_REFUSED,
    UNIT_TIMER_TRIGGER,
    UNIT_PROPERTIES,
};

struct unit_property_row {
    const char *suffix; /* of the units that have it; NULL: all */
    const char *interface;
    const char *name;
    bool is_time; /* microseconds, told in seconds */
    struct metric metric;
};

extern const struct unit_property_row systemd_properties[UNIT_PROPERTIES];

/* What can be asked about a unit: a property, or its type. */
#define UNIT_ASK_TYPE UNIT_PROPERTIES

#define UNIT_TYPE_BYTES     32
#define UNIT_NAME_BYTES_MAX 255 /* systemd's own limit */

struct unit {
    enum unit_state state;
    char type[UNIT_TYPE_BYTES]; /* "" has no type, or it is not known yet */
    bool is_type_due;           /* it is new, or has left its state, and was not read since */
    bool is_type_known;         /* or it is a unit without one */
    bool has_type_changed;
    unsigned was_asked;  /* bits, by unit_property: answered in this tick */
    unsigned has_values; /* bits: with a number */
    double values[UNIT_PROPERTIES];
    series_handle states[UNIT_STATES_ALWAYS];
    series_handle handles[UNIT_PROPERTIES];
};

#define SYSTEMD_TEXT_BYTES 128

struct systemd_state {
    /* fixed after configure() */
    struct pattern *include, *exclude; /* NULL include: every unit */
    char *socket;                      /* NULL: where systemd has it */
    int64_t timeout_ms;
    bool is_wanted[UNIT_PROPERTIES];
    /* gather() and collect() in turn */
    struct dbus bus; /* open between ticks, unless it is systemd's own socket */
    bool is_direct;
    struct tracked units;            /* of struct unit, by name; none that are left out */
    size_t refresh_at;               /* whose type is looked at next */
    bool is_absent[UNIT_PROPERTIES]; /* this systemd is too old for it */
    bool has_system_state;
    bool is_running;
    double version;
    char version_text[SYSTEMD_TEXT_BYTES];
    char virtualization[SYSTEMD_TEXT_BYTES];
    uint64_t counts[UNIT_STATES]; /* units, those left out included */
    bool has_list;                /* states are those of now, whatever failed after them */
    int failure;
    struct diagnosis why;
    /* owned by the loop */
    bool was_failing;
    bool has_ended; /* every series */
    series_handle summary[UNIT_STATES];
    series_handle running, version_handle, virtualization_handle;
    char version_registered[SYSTEMD_TEXT_BYTES];
};

/* Connects where needed and reads everything; waits at most timeout_ms.  Units that are gone
 * keep their entry, unmet, for collect() to end.  On error the connection is closed; `has_list`
 * tells whether the states were read before. */
int systemd_read(struct systemd_state *systemd, const struct source_env *env,
                 struct diagnosis *why);
