/*
 * api_duty_time.c - a time as people write it who ask about duty.
 *
 *     2026-12-31 08:30             local time; 2026-12-31 is its midnight
 *     2026-12-31T08:30:00+08:00    RFC 3339
 *     1798677000                   Unix seconds
 *     2h                           that long ago
 *
 * The last three are as everywhere in the API and in fengsuictl.
 */
#include "collector/duty/book.h"
#include "collector/http/api_parts.h"
#include "proto/base/civil.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

/* The host's own zone may have another offset then than now: asked twice, it is that of the
 * time itself. */
static int64_t unix_ms_of(const struct civil_zone *zone, int64_t local_ms)
{
    int64_t about_ms = 2 * local_ms - civil_local_ms(zone, local_ms);
    return local_ms - (civil_local_ms(zone, about_ms) - about_ms);
}

bool api_duty_time(const char *text, const struct civil_zone *zone, int64_t *ret_ms,
                   struct diagnosis *why)
{
    static const struct civil_zone own = {.name = "Local", .is_local = true};
    int64_t ms, ago_ms;
    if (civil_parse_moment(text, false, &ms)) {
        ms = unix_ms_of(zone == NULL ? &own : zone, ms);
    } else if (param_time(text, &ms, NULL) != 0) {
        if (duration_parse(text, &ago_ms) != 0) {
            (void)diagnose(why, ERR_INVALID,
                           "\"%.64s\" is no time; one is written 2026-12-31 08:30, "
                           "2026-12-31T08:30:00+08:00, 1798677000 (Unix seconds), or 2h (that "
                           "long ago)",
                           text);
            return false;
        }
        ms = clock_unix_ms(&clock_system) - ago_ms;
    }
    *ret_ms = ms < 0 ? 0 : ms > DUTY_TIME_MAX_MS ? DUTY_TIME_MAX_MS : ms;
    return true;
}

bool api_duty_parameter(const struct http_request *request, struct http_response *response,
                        const char *name, const struct civil_zone *zone, int64_t fallback_ms,
                        int64_t *ret_ms)
{
    const char *text = http_parameter(request, name);
    struct diagnosis why = {0};
    *ret_ms = fallback_ms;
    if (text == NULL || *text == '\0' || api_duty_time(text, zone, ret_ms, &why))
        return true;
    reply_invalid(response, name, why.text);
    return false;
}
