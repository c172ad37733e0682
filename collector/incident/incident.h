/*
 * incident.h - one trouble that people are told of, from its beginning to its end.
 *
 *     a group of alerts fires ---> OPEN ---somebody acknowledges---> ACKNOWLEDGED
 *                                   ^  |                              |   |
 *                     news, or taken back <---------------------------+   |
 *                                      |  nothing fires any more          |
 *                                      +-----------> CLOSED <-------------+
 *
 * While it is OPEN the steps of its escalation run, one after the other, and from the last one on
 * again and again: silence is no way out.  An acknowledgement stops them.  Who was told the
 * beginning is told what else happens, and the end.
 *
 *     row "incident/<number>"  u8 version (1) | u8 state | u8 muted | sized receiver, group key,
 *         escalation, title | zigzag opened, changed, closed, due | varint step, serial, events
 *         | varint n, n * (sized person | varint way | zigzag at | varint step)
 *     row "incident-event/<number>/<index>"  u8 version (1) | u8 kind | zigzag at
 *         | varint step | sized person, channel, message, text
 *
 * Numbers and indexes are 16 hex digits.  Times are Unix ms.  The rows of an incident, of its
 * events and of the messages it owes are written together, in the notifier's turn.
 *
 * Pure data: owned and changed by the notifier's loop, read by others under its view lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/duty/duty.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define INCIDENT_PREFIX       "incident/"
#define INCIDENT_EVENT_PREFIX "incident-event/"
#define INCIDENT_KEPT_MS      (INT64_C(400) * 24 * 3600 * 1000) /* after its end: a year's report */
#define INCIDENT_TOLD_MAX     ((size_t)4096)
/* How late a step may be and still count its successor from when it was due, not from now. */
#define INCIDENT_LATE_MS ((int64_t)5000)

enum incident_state { INCIDENT_OPEN = 1, INCIDENT_ACKNOWLEDGED = 2, INCIDENT_CLOSED = 3 };

/* Somebody who was told, and by which of their ways. */
struct incident_told {
    char *person; /* id; owned */
    uint32_t way; /* index among the person's ways */
    int64_t at_ms;
    uint32_t step;
};

struct incident {
    uint64_t number; /* from 1 */
    enum incident_state state;
    bool muted; /* all that fires of it is: steps wait */
    char *receiver, *group_key; /* owned: the group it speaks of */
    char *escalation;           /* owned: its name in duty.yml */
    char *title;                /* owned: what it is about, for whoever reads lists */
    int64_t opened_ms, changed_ms, closed_ms;
    int64_t due_ms; /* when the next step runs; 0: none waits */
    uint32_t step;  /* the next, counted over repetitions */
    uint32_t serial; /* of the next messages: each (serial, person, way) is one */
    uint32_t events; /* written so far */
    struct incident_told *told; /* owned; each (person, way) once */
    size_t told_count;
};

enum incident_event_kind {
    INCIDENT_OPENED = 1,
    INCIDENT_STEP = 2,     /* a step ran; text: whom it meant */
    INCIDENT_TOLD = 3,     /* a message was put into the outbox */
    INCIDENT_NOBODY = 4,   /* a step reached nobody; text: why */
    INCIDENT_ACK = 5,      /* person or text: who */
    INCIDENT_UNACK = 6,    /* taken back, or news: the steps begin again */
    INCIDENT_FALLBACK = 7, /* a way failed; text: why, and what was done */
    INCIDENT_NEWS = 8,     /* alerts came or went */
    INCIDENT_END = 9,
    INCIDENT_MUTED = 10,   /* all of it is silenced, inhibited or out of time: steps wait */
    INCIDENT_UNMUTED = 11,
};

struct incident_event {
    enum incident_event_kind kind;
    int64_t at_ms;
    uint32_t step;
    const char *person, *channel, *message, *text; /* never NULL */
};

/* Copies the texts; nobody is told yet.  ERR_NOMEM. */
int incident_new(uint64_t number, const char *receiver, const char *group_key,
                 const char *escalation, const char *title, int64_t now_ms,
                 struct incident **ret_incident);
/* An independent copy.  ERR_NOMEM. */
int incident_copy(const struct incident *incident, struct incident **ret_copy);
void incident_free(struct incident *incident); /* NULL is allowed */

/* Notes that somebody was told.  ERR_NOMEM, ERR_LIMIT. */
int incident_tell(struct incident *incident, const char *person, uint32_t way, int64_t now_ms,
                  uint32_t step);
/* The persons told, each once, in the order of their first message; NULL entries for those that
 * duty.yml no longer has are left out.  `ret_persons` has room for told_count. */
size_t incident_told_persons(const struct incident *incident, const struct duty *duty,
                             const struct duty_person **ret_persons);

/* ---- steps ------------------------------------------------------------------------------- */

/* The step of the escalation that has this number, counted over repetitions; NULL: an escalation
 * without steps. */
const struct duty_step *incident_step(const struct duty_escalation *escalation, uint32_t step);
/* How long it waits after the one before it. */
int64_t incident_wait_ms(const struct duty_escalation *escalation, uint32_t step);
/* The first step, due after its wait. */
void incident_begin_steps(struct incident *incident, const struct duty_escalation *escalation,
                          int64_t now_ms);
/* The step ran at `now_ms`: the next one is due.  `at_once`: it reached nobody, so the next does
 * not wait, unless all of a round did so. */
void incident_next_step(struct incident *incident, const struct duty_escalation *escalation,
                        int64_t now_ms, bool at_once);

/* ---- rows -------------------------------------------------------------------------------- */

void incident_write(const struct incident *incident, struct buf *out);
/* ERR_CORRUPT, ERR_NOMEM. */
int incident_read(uint64_t number, struct bytes row, struct incident **ret_incident);
void incident_event_write(const struct incident_event *event, struct buf *out);
/* Texts live in `arena`.  ERR_CORRUPT, ERR_NOMEM. */
int incident_event_read(struct bytes row, struct arena *arena, struct incident_event *ret_event);

/* "open", "acknowledged", "closed". */
const char *incident_state_text(enum incident_state state);
/* "opened", "step", "told" ... */
const char *incident_event_text(enum incident_event_kind kind);
