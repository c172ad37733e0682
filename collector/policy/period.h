/*
 * period.h - stretches of time that come and go by themselves: business days, declaration
 * peaks, key-protection windows.
 *
 *     peak:      {days: [1-15], weekdays: [mon-fri], hours: ["08:30-17:30"]}
 *     congress:  {from: 2026-10-10, to: 2026-10-24}
 *
 * Every condition that is written must hold.  `from` and `to` are dates, or dates with a time
 * ("2026-10-10 08:00"); a date alone means its whole day, so `to: 2026-10-24` is in force until
 * midnight.  `hours` may cross midnight ("22:00-06:00"); weekdays and days then are those of
 * the moment itself.  Days are of the month.
 *
 * Times are local in a zone of fixed offset (proto/base/civil.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/civil.h"
#include "proto/base/config.h"
#include "proto/base/diagnosis.h"

#define POLICY_SPANS_MAX 16

struct policy_period {
    const char *name;
    unsigned line;
    int64_t from_ms, to_ms; /* Unix time, to_ms exclusive; INT64_MIN, INT64_MAX: no bound */
    unsigned weekdays;      /* bit 0: Monday; 0: any */
    uint32_t days;          /* bit 1: the first of a month; 0: any */
    struct civil_hours hours[POLICY_SPANS_MAX];
    size_t hour_count; /* 0: any */
};

/* "Asia/Shanghai" (also for NULL), "UTC", "+08:00".  ERR_INVALID. */
int policy_zone_read(struct config *config, const struct config_node *node,
                     struct civil_zone *ret_zone, struct diagnosis *why);

/* One entry of the map `periods`; its key is the name.  ERR_INVALID. */
int policy_period_read(struct config *config, const struct config_node *node,
                       const struct civil_zone *zone, struct policy_period *ret_period,
                       struct diagnosis *why);

bool policy_period_holds(const struct policy_period *period, const struct civil_zone *zone,
                         int64_t at_ms);

/* The first time after `after_ms` at which it may begin or end; INT64_MAX: never. */
int64_t policy_period_next(const struct policy_period *period, const struct civil_zone *zone,
                           int64_t after_ms);
