/*
 * coverage.c - see coverage.h.
 */
#include "collector/duty/coverage.h"

#include <stdlib.h>
#include <string.h>

#include "collector/duty/duty_parts.h"
#include "proto/base/error.h"

#define FINDINGS_MAX ((size_t)2000)

struct search {
    const struct duty *duty;
    const struct duty_overrides *overrides;
    int64_t from_ms, to_ms;
    struct arena *arena;
    struct duty_finding *findings;
    size_t count;
    struct duty_shift **shifts; /* of each roster */
    size_t *shift_counts;
};

/* Stretches that touch are one. */
static void report(struct search *search, struct duty_finding found)
{
    for (size_t i = 0; i < search->count; i++) {
        struct duty_finding *known = &search->findings[i];
        if (known->kind != found.kind || known->person != found.person ||
            known->year != found.year || strcmp(known->subject, found.subject) != 0)
            continue;
        if (known->count == 1 && known->to_ms == found.from_ms)
            known->to_ms = found.to_ms;
        else
            known->count++;
        return;
    }
    if (search->count == FINDINGS_MAX)
        return;
    found.count = 1;
    search->findings[search->count++] = found;
}

/* ---- rosters ----------------------------------------------------------------------------- */

/* The hours of a gap in which somebody would have to be there. */
static void look_at_gap(struct search *search, const struct duty_roster *roster,
                        const struct duty_shift *gap)
{
    const int64_t offset_ms = roster->zone.offset_ms;
    for (int64_t at_ms = gap->from_ms; at_ms < gap->to_ms;) {
        int64_t until_ms = gap->to_ms + offset_ms, day;
        bool is_needed = duty_when_holds(&roster->cover, search->duty->calendar, 0,
                                         at_ms + offset_ms, &until_ms, &day);
        until_ms -= offset_ms;
        if (is_needed)
            report(search, (struct duty_finding){.kind = DUTY_FOUND_GAP,
                                                 .subject = roster->name,
                                                 .from_ms = at_ms,
                                                 .to_ms = until_ms});
        at_ms = until_ms;
    }
}

static int look_at_roster(struct search *search, size_t index)
{
    const struct duty_roster *roster = &search->duty->rosters[index];
    struct duty_shift *shifts;
    size_t count;
    int error = duty_shifts(search->duty, roster->name, search->overrides, search->from_ms,
                            search->to_ms, search->arena, &shifts, &count);
    if (error != 0)
        return error;
    search->shifts[index] = shifts;
    search->shift_counts[index] = count;
    for (size_t i = 0; i < count; i++) {
        if (shifts[i].person == NULL && !roster->cover_none)
            look_at_gap(search, roster, &shifts[i]);
        else if (shifts[i].person != NULL && shifts[i].person->way_count == 0)
            report(search, (struct duty_finding){.kind = DUTY_FOUND_NO_WAY,
                                                 .subject = roster->name,
                                                 .person = shifts[i].person,
                                                 .from_ms = shifts[i].from_ms,
                                                 .to_ms = shifts[i].to_ms});
    }
    return 0;
}

/* Years a layer's turns depend on: those looked at, and those it has counted days in. */
static void look_at_years(struct search *search, const struct duty_roster *roster, int64_t from,
                          int64_t to)
{
    for (int64_t year = from; year <= to; year++)
        if (!calendar_has_year(search->duty->calendar, year)) {
            const int64_t begin_ms =
                civil_days(year, 1, 1) * CIVIL_DAY_MS - roster->zone.offset_ms;
            bool is_new = true;
            for (size_t i = 0; i < search->count; i++)
                is_new = is_new && search->findings[i].year != (int)year;
            if (is_new)
                report(search, (struct duty_finding){.kind = DUTY_FOUND_NO_HOLIDAYS,
                                                     .subject = roster->name,
                                                     .year = (int)year,
                                                     .from_ms = begin_ms > search->from_ms
                                                                    ? begin_ms
                                                                    : search->from_ms,
                                                     .to_ms = search->to_ms});
        }
}

static void look_at_calendar(struct search *search, const struct duty_roster *roster)
{
    struct civil first, last, start;
    civil_read(search->from_ms + roster->zone.offset_ms, &first);
    civil_read(search->to_ms - 1 + roster->zone.offset_ms, &last);
    if (duty_when_needs_calendar(&roster->cover))
        look_at_years(search, roster, first.year, last.year);
    for (size_t i = 0; i < roster->layer_count; i++) {
        const struct duty_layer *layer = &roster->layers[i];
        if (!duty_when_needs_calendar(&layer->when) ||
            layer->until_ms <= search->from_ms + roster->zone.offset_ms)
            continue;
        civil_read(layer->start_day * CIVIL_DAY_MS, &start);
        if (start.year > last.year)
            continue;
        look_at_years(search, roster,
                      layer->skips_days || start.year > first.year ? start.year : first.year,
                      last.year);
    }
}

/* ---- escalations ------------------------------------------------------------------------- */

static bool is_reached(const struct duty_step *step, const struct duty_person *person)
{
    for (size_t i = 0; i < step->channel_count; i++)
        for (size_t k = 0; k < person->way_count; k++)
            if (strcmp(step->channels[i], person->ways[k].channel) == 0)
                return true;
    return step->channel_count == 0 && person->way_count > 0;
}

/* Does the part that is repeated reach anybody?  Who was told before counts for managers. */
static bool ends_at_somebody(const struct search *search,
                             const struct duty_escalation *escalation, int64_t at_ms)
{
    const struct duty_person *told[DUTY_RESOLVED_MAX], *found[DUTY_RESOLVED_MAX];
    size_t told_count = 0;
    for (size_t i = 0; i < escalation->step_count; i++) {
        const struct duty_step *step = &escalation->steps[i];
        const size_t before = told_count;
        for (size_t k = 0; k < step->target_count; k++) {
            size_t count = duty_resolve(search->duty, search->overrides, &step->targets[k],
                                        at_ms, told, before, found);
            for (size_t n = 0; n < count; n++) {
                if (i >= escalation->repeat_from && is_reached(step, found[n]))
                    return true;
                if (told_count < DUTY_RESOLVED_MAX)
                    told[told_count++] = found[n];
            }
        }
    }
    return false;
}

static int by_time(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static bool uses_roster(const struct duty_escalation *escalation, const char *name)
{
    for (size_t i = 0; i < escalation->step_count; i++)
        for (size_t k = 0; k < escalation->steps[i].target_count; k++) {
            const struct duty_target *target = &escalation->steps[i].targets[k];
            if (target->kind == DUTY_ROSTER && strcmp(target->name, name) == 0)
                return true;
        }
    return false;
}

/* Whom it means changes only where a shift of its rosters begins. */
static int look_at_escalation(struct search *search, const struct duty_escalation *escalation)
{
    size_t room = 1, count = 0;
    for (size_t i = 0; i < search->duty->roster_count; i++)
        room += search->shift_counts[i];
    int64_t *times = arena_alloc(search->arena, room, sizeof *times);
    if (times == NULL)
        return ERR_NOMEM;
    times[count++] = search->from_ms;
    for (size_t i = 0; i < search->duty->roster_count; i++)
        for (size_t k = 0; uses_roster(escalation, search->duty->rosters[i].name) &&
                           k < search->shift_counts[i];
             k++) {
            times[count++] = search->shifts[i][k].from_ms;
        }
    qsort(times, count, sizeof *times, by_time);
    for (size_t i = 0; i < count; i++) {
        if ((i > 0 && times[i] == times[i - 1]) ||
            ends_at_somebody(search, escalation, times[i]))
            continue;
        size_t next = i + 1;
        while (next < count && times[next] == times[i])
            next++;
        report(search,
               (struct duty_finding){.kind = DUTY_FOUND_ENDS_AT_NOBODY,
                                     .subject = escalation->name,
                                     .from_ms = times[i],
                                     .to_ms = next < count ? times[next] : search->to_ms});
    }
    return 0;
}

int duty_coverage(const struct duty *duty, const struct duty_overrides *overrides,
                  int64_t from_ms, int64_t to_ms, struct arena *arena,
                  struct duty_finding **ret_findings, size_t *ret_count)
{
    struct search search = {duty, overrides, from_ms, to_ms, arena, NULL, 0, NULL, NULL};
    int error = 0;

    search.findings = arena_alloc(arena, FINDINGS_MAX, sizeof *search.findings);
    search.shifts = arena_alloc(arena, duty->roster_count + 1, sizeof(struct duty_shift *));
    search.shift_counts = arena_alloc(arena, duty->roster_count + 1, sizeof(size_t));
    if (search.findings == NULL || search.shifts == NULL || search.shift_counts == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < duty->roster_count; i++) {
        error = look_at_roster(&search, i);
        look_at_calendar(&search, &duty->rosters[i]);
    }
    for (size_t i = 0; error == 0 && i < duty->escalation_count; i++)
        error = look_at_escalation(&search, &duty->escalations[i]);
    if (error != 0)
        return error;
    *ret_findings = search.findings;
    *ret_count = search.count;
    return 0;
}

/* ---- in words ---------------------------------------------------------------------------- */

const char *duty_finding_name(enum duty_finding_kind kind)
{
    static const char *const names[DUTY_FOUND_KINDS] = {"gap", "no_way", "no_holidays",
                                                        "ends_at_nobody"};
    return names[kind];
}

void duty_finding_print(const struct duty *duty, const struct duty_finding *finding,
                        bool english, struct buf *out)
{
    const struct civil_zone *zone = duty_roster_zone(duty, finding->subject);
    char from[CIVIL_TEXT_BYTES], to[CIVIL_TEXT_BYTES];

    if (zone == NULL || finding->kind == DUTY_FOUND_ENDS_AT_NOBODY)
        zone = &duty->zone;
    (void)civil_print_moment(civil_local_ms(zone, finding->from_ms), from);
    (void)civil_print_moment(civil_local_ms(zone, finding->to_ms), to);
    switch (finding->kind) {
    case DUTY_FOUND_GAP:
        buf_printf(out,
                   english ? "roster %s: nobody is on duty from %s to %s"
                           : "值班表 %s：%s 至 %s 无人值班",
                   finding->subject, from, to);
        break;
    case DUTY_FOUND_NO_WAY:
        buf_printf(out,
                   english
                       ? "roster %s: %s (%s), on duty from %s to %s, can be reached in no way"
                       : "值班表 %s：%s（%s）自 %s 至 %s 值班，但没有任何联系方式",
                   finding->subject, finding->person->name, finding->person->id, from, to);
        break;
    case DUTY_FOUND_NO_HOLIDAYS:
        buf_printf(out,
                   english
                       ? "roster %s: there is no holiday file for %d; its weekdays count as "
                         "workdays"
                       : "值班表 %s：缺少 %d 年的节假日文件，只能按周一至周五推算工作日",
                   finding->subject, finding->year);
        return;
    case DUTY_FOUND_ENDS_AT_NOBODY:
        buf_printf(out,
                   english ? "escalation %s: its last steps reach nobody from %s to %s"
                           : "升级策略 %s：%s 至 %s 期间，最后的步骤通知不到任何人",
                   finding->subject, from, to);
        break;
    case DUTY_FOUND_KINDS:
        return;
    }
    if (finding->count > 1)
        buf_printf(out, english ? "; %zu more" : "，此后另有 %zu 处",
                   finding->count - 1);
}
