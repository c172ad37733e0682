/*
 * duty.h - duty.yml: who the people are, when each is on duty, and who is told after whom.
 *
 *     persons --.                      .--> rosters (layers, rotation, calendars)
 *               +--> teams, managers --+
 *     ways -----'                      '--> escalations: steps of targets, repeated
 *
 * Persons are known by id: two may bear the same name.  What changes while the collector runs
 * (a swap, an override) is not in the file but in struct duty_override, which the caller keeps.
 *
 * A loaded struct duty never changes and is shared by reference; every function here is pure
 * and may be called from any thread.  Times are Unix milliseconds; the clock of a roster is
 * that of its time zone (default Asia/Shanghai).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/calendar/calendar.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/civil.h"
#include "proto/base/diagnosis.h"

#define DUTY_PERSONS_MAX  ((size_t)10000)
#define DUTY_RESOLVED_MAX ((size_t)256)                 /* persons one step may reach */
#define DUTY_TIME_MAX_MS  INT64_C(4102444800000)        /* 2100-01-01: no questions past it */
#define DUTY_RANGE_MAX_MS (INT64_C(800) * CIVIL_DAY_MS) /* of one question */

/* How a person can be reached: a contact channel of alerting.yml, and the address there. */
struct duty_way {
    const char *channel;
    const char *address; /* a phone number, a mail address, a user id */
};

struct duty_person {
    const char *id;              /* staff number: unique */
    const char *name;            /* may be shared */
    const char *post;            /* shown after the name; "" if none was given */
    const char *manager_id;      /* NULL: the team's, or nobody */
    const struct duty_way *ways; /* in order of preference; none: the coverage check tells */
    size_t way_count;
};

struct duty_team {
    const char *name, *title;
    const struct duty_person *const *members;
    size_t member_count;
    const struct duty_person *manager; /* NULL: none */
};

enum duty_target_kind { DUTY_PERSON, DUTY_ROSTER, DUTY_TEAM, DUTY_MANAGER };

/* Whom a step tells.  MANAGER: those of the persons told by the steps before it. */
struct duty_target {
    enum duty_target_kind kind;
    const char *name; /* person id, roster, team; NULL for MANAGER */
};

struct duty_step {
    int64_t wait_ms; /* after the step before it (the first: after the incident's beginning) */
    const struct duty_target *targets;
    size_t target_count;
    const char *const *channels; /* only by these; none named: each person's first way */
    size_t channel_count;
    bool all_ways; /* by every way the person has, at once */
};

struct duty_escalation {
    const char *name;
    const struct duty_step *steps;
    size_t step_count;
    int64_t repeat_ms;  /* after the last step, again from `repeat_from`, until acknowledged */
    size_t repeat_from; /* index of a step */
};

/* Somebody else stands in: made by `fengsuictl duty swap`, kept by the caller. */
struct duty_override {
    uint64_t number;
    const char *roster, *person_id;
    const char *instead_of; /* a person id: only that one is replaced; NULL: all on duty are */
    int64_t from_ms, to_ms; /* [from, to) */
    int64_t at_ms;          /* when it was made */
    const char *by, *reason;
};

struct duty_overrides {
    const struct duty_override *items; /* a later one counts more */
    size_t count;
};

#define DUTY_LAYER_OVERRIDE "override"

/* One person's turn of one roster; turns that follow each other in a layer are one. */
struct duty_shift {
    int64_t from_ms, to_ms;           /* [from, to), cut to what was asked for */
    const struct duty_person *person; /* NULL: nobody, a gap */
    const char *layer; /* its name; "" in a gap, DUTY_LAYER_OVERRIDE of overrides and swaps */
    const struct duty_override
        *override; /* NULL: by the rotation or the file's own overrides */
};

struct duty;

/* Reads duty.yml and the holiday files it names (relative to it).  An error names file, line
 * and key; nothing is half loaded.  The caller owns one reference. */
int duty_load(const char *path, struct duty **ret_duty, struct diagnosis *why);
/* The same from memory; `name` stands for the path. */
int duty_parse(const char *name, struct bytes text, struct duty **ret_duty,
               struct diagnosis *why);
struct duty *duty_ref(struct duty *duty);
void duty_unref(struct duty *duty); /* NULL is allowed */

/* In file order; NULL past the end. */
const struct duty_person *duty_person_at(const struct duty *duty, size_t index);
const struct duty_team *duty_team_at(const struct duty *duty, size_t index);
const struct duty_escalation *duty_escalation_at(const struct duty *duty, size_t index);
const char *duty_roster_at(const struct duty *duty, size_t index); /* its name */
/* NULL if there is none. */
const struct duty_person *duty_person(const struct duty *duty, const char *id);
const struct duty_team *duty_team(const struct duty *duty, const char *name);
const struct duty_escalation *duty_escalation(const struct duty *duty, const char *name);
bool duty_has_roster(const struct duty *duty, const char *name);
/* What people call it, and its clock; NULL: no such roster. */
const char *duty_roster_title(const struct duty *duty, const char *name);
const struct civil_zone *duty_roster_zone(const struct duty *duty, const char *name);
/* That of the file, which rosters without one have. */
const struct civil_zone *duty_zone(const struct duty *duty);
const struct calendar *duty_calendar(const struct duty *duty);
/* The folder its key `holidays` names; NULL without one. */
const char *duty_holiday_folder(const struct duty *duty);
/* Every channel that a person's way or a step names is one of these.  ERR_INVALID with file and
 * line.  Apart from duty_load(), because channels are alerting.yml's. */
int duty_check_channels(const struct duty *duty, const char *const *channels, size_t count,
                        struct diagnosis *why);

/* Who is on duty in [from, to), gaps included, ordered by time; a roster with several persons
 * at once yields shifts that overlap.  ERR_NOTFOUND: no such roster; ERR_LIMIT: before 1970,
 * past DUTY_TIME_MAX_MS or longer than DUTY_RANGE_MAX_MS; ERR_NOMEM.  Shifts live in `arena`,
 * what they point to as long as duty and overrides. */
int duty_shifts(const struct duty *duty, const char *roster,
                const struct duty_overrides *overrides, int64_t from_ms, int64_t to_ms,
                struct arena *arena, struct duty_shift **ret_shifts, size_t *ret_count);

/* The persons a target means at a time, each once, at most DUTY_RESOLVED_MAX.  `told`: whose
 * manager DUTY_MANAGER means.  Returns how many; 0 is an answer: nobody. */
size_t duty_resolve(const struct duty *duty, const struct duty_overrides *overrides,
                    const struct duty_target *target, int64_t at_ms,
                    const struct duty_person *const *told, size_t told_count,
                    const struct duty_person **ret_persons);
