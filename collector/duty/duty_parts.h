/*
 * duty_parts.h - what the files of this folder share; nobody else includes it.
 */
#pragma once

#include <stdatomic.h>

#include "collector/calendar/calendar.h"
#include "collector/duty/duty.h"
#include "collector/duty/when.h"
#include "proto/base/civil.h"
#include "proto/base/config.h"

#define DUTY_ROSTERS_MAX     ((size_t)200)
#define DUTY_TEAMS_MAX       ((size_t)500)
#define DUTY_ESCALATIONS_MAX ((size_t)500)
#define DUTY_LAYERS_MAX      ((size_t)32)   /* of a roster */
#define DUTY_GROUPS_MAX      ((size_t)1000) /* of a rotation */
#define DUTY_GROUP_MAX       ((size_t)32)   /* persons on duty at once */
#define DUTY_OVERRIDES_MAX   ((size_t)5000) /* of a roster, in the file */
#define DUTY_STEPS_MAX       ((size_t)32)
#define DUTY_TARGETS_MAX     ((size_t)64) /* of a step */
#define DUTY_WAYS_MAX        ((size_t)16)
#define DUTY_NAME_BYTES_MAX  ((size_t)64)

/* Those who are on duty together. */
struct duty_group {
    const struct duty_person **persons;
    size_t count;
};

/* Local times are of the roster's zone, in milliseconds as Unix time would be there. */
struct duty_layer {
    const char *name;
    const struct duty_group *groups; /* in turn */
    size_t group_count;
    int64_t start_day; /* the first turn begins on it, */
    int handover;      /* at this minute */
    int64_t until_ms;  /* local; INT64_MAX: for ever */
    int64_t length_ms; /* of a turn; 0: a month, or none (one group alone) */
    bool is_monthly;
    bool skips_days; /* only days in force count as turns */
    const uint32_t
        *days_before; /* then: those in force before each month from the start's on */
    struct duty_when when;
};

/* An override of the file. */
struct duty_fixed {
    int64_t from_ms, to_ms;                        /* local */
    const struct duty_person *person, *instead_of; /* NULL: of all on duty */
};

struct duty_roster {
    const char *name, *title;
    unsigned line;
    struct civil_zone zone;
    const struct duty_layer *layers; /* a later one wins */
    size_t layer_count;
    const struct duty_fixed *fixed; /* a later one wins */
    size_t fixed_count;
    struct duty_when cover; /* when somebody has to be on duty */
    bool cover_none;        /* never */
};

/* A channel that the file names, for duty_check_channels(). */
struct duty_mention {
    const struct duty_mention *next; /* the one before it in the file */
    const struct config_node *node;
    const char *channel;
};

struct duty {
    atomic_uint references;
    struct config *config; /* texts are its own */
    const char *holidays;  /* the folder; NULL: none */
    struct calendar *calendar;
    struct civil_zone zone;
    struct duty_person *persons; /* in file order */
    size_t person_count;
    const struct duty_person **by_id; /* sorted */
    const struct duty_mention *mentions;
    struct duty_team *teams;
    size_t team_count;
    struct duty_roster *rosters;
    size_t roster_count;
    struct duty_escalation *escalations;
    size_t escalation_count;
};

/* ---- reading ----------------------------------------------------------------------------- */

struct duty_people_nodes {
    const struct config_node *persons, *teams;
};

/* read_people.c */
int duty_read_people(struct duty *duty, const struct duty_people_nodes *nodes,
                     struct diagnosis *why);
/* The person a node's text means, by id; a name is refused with the ids that bear it. */
int duty_read_person_id(struct duty *duty, const struct config_node *node, const char *where,
                        const char *text, const struct duty_person **ret_person,
                        struct diagnosis *why);
/* Up to DUTY_NAME_BYTES_MAX bytes without white space and control characters or "/". */
int duty_check_name(struct duty *duty, const struct config_node *node, const char *where,
                    const char *name, struct diagnosis *why);
/* "WHAT "wrong" is unknown (did you mean "near"?)"; ERR_INVALID. */
int duty_complain_unknown(struct duty *duty, const struct config_node *node, const char *what,
                          const char *wrong, const char *const *names, size_t count,
                          struct diagnosis *why);
/* A list of at most `max`; NULL and an empty value are an empty one.  ERR_INVALID. */
int duty_read_list(struct duty *duty, const struct config_node *node, const char *where,
                   size_t max, size_t *ret_count, struct diagnosis *why);
/* Notes that the file names a channel. */
int duty_mention(struct duty *duty, const struct config_node *node, const char *channel);
/* read_roster.c, read_escalation.c */
int duty_read_rosters(struct duty *duty, const struct config_node *node, struct diagnosis *why);
int duty_read_escalations(struct duty *duty, const struct config_node *node,
                          struct diagnosis *why);
/* read_when.c: a list of entries (or one); none: always. */
int duty_read_when(struct duty *duty, const struct config_node *node, const char *where,
                   struct duty_when *ret_when, struct diagnosis *why);
/* "Asia/Shanghai", "UTC", "+08:00"; NULL: `fallback`. */
int duty_read_zone(struct duty *duty, const struct config_node *node,
                   const struct civil_zone *fallback, struct civil_zone *ret_zone,
                   struct diagnosis *why);

/* ---- asking ------------------------------------------------------------------------------ */

const struct duty_roster *duty_roster(const struct duty *duty, const char *name);

/* turn.c: counts the days in force of a layer that skips, once it is read.  ERR_NOMEM. */
int duty_count_days(struct duty *duty, struct duty_layer *layer);
/* Whose turn it is in a layer at a local time; NULL: the layer is not in force.  Lowers
 * *until_ms to a time up to which the answer holds (which is later than `local_ms`). */
const struct duty_group *duty_layer_at(const struct duty *duty, const struct duty_layer *layer,
                                       int64_t local_ms, int64_t *until_ms);

/* Somebody who is on duty at a moment, and why. */
struct duty_present {
    const struct duty_person *person;
    const char *layer;
    const struct duty_override *override;
};

/* duty_shifts.c: everybody on duty at a time (Unix), each once; returns how many, at most
 * DUTY_GROUP_MAX.  Lowers *until_ms as above. */
size_t duty_present_at(const struct duty *duty, const struct duty_roster *roster,
                       const struct duty_overrides *overrides, int64_t at_ms,
                       struct duty_present *ret_present, int64_t *until_ms);
