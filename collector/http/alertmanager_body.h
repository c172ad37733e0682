/*
 * alertmanager_body.h - the two bodies that Alertmanager's API v2 takes: alerts and a silence.
 *
 *     POST /alerts    [{"labels": {..}, "annotations": {..}, "startsAt": T, "endsAt": T,
 *                       "generatorURL": ".."}, ..]
 *     POST /silences  {"id": "..", "matchers": [{"name", "value", "isRegex", "isEqual": true}],
 *                      "startsAt": T, "endsAt": T, "createdBy": "..", "comment": ".."}
 *
 * T is RFC 3339; the year 1 is Go's zero time and means "not given" (amtool sends it).
 * Source: Alertmanager api/v2/openapi.yaml and api.go; texts of refusals are its own where
 * clients see them.
 *
 * Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collector/notify/notify.h"
#include "collector/notify/silence.h"
#include "proto/base/arena.h"
#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

/* Why a body is refused. */
struct body_refusal {
    int status; /* HTTP; 0: it is not */
    int code;   /* of {"code", "message"}; 0: the answer is the bare text */
    struct diagnosis why;
};

struct posted_alerts {
    struct alert *items; /* in the arena: those that are good */
    size_t count;
    struct body_refusal refusal; /* of others among them; they are stored all the same */
};

/* Alerts as of now: external, fingerprinted, starts and ends filled in (but ends_ms 0 with
 * ends_by_timeout, which the notifier fills).  Memory from the arena.  0, or ERR_MALFORMED,
 * ERR_INVALID, ERR_NOMEM with the refusal. */
int alertmanager_read_alerts(struct bytes body, int64_t now_ms, struct arena *arena,
                             struct posted_alerts *ret_alerts, struct body_refusal *refusal);

/* A silence that is the caller's; its id is "" if the body has none.  The same errors. */
int alertmanager_read_silence(struct bytes body, int64_t now_ms, struct silence **ret_silence,
                              struct body_refusal *refusal);
