/*
 * ages.c - the ages of series: what holds for one, and which of them a file's series have.
 */
#include "collector/store/ages.h"

#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/store/deletes.h"
#include "collector/store/parts.h"
#include "collector/store/rollup_make.h"
#include "collector/store/span_parts.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"

_Static_assert(AGE_TIERS == ROLLUP_TIERS, "each tier has ages");

#define ALL_AGES UINT64_MAX

/* -- rules ------------------------------------------------------------------------------- */

/* In options 0 is for ever. */
static int64_t age_of_option(int64_t age_ms)
{
    return age_ms == 0 ? STORE_FOREVER : age_ms;
}

static void set_others(struct ages *ages, const struct store_options *options)
{
    ages->others = (struct series_ages){{age_of_option(options->retention_raw_ms),
                                         age_of_option(options->retention_5m_ms),
                                         age_of_option(options->retention_1h_ms)}};
    ages->makes_tiers = options->rolls_up;
}

static int add_rule(struct ages *ages, const struct store_retention *from)
{
    struct age_rule *rule = &ages->rules[ages->rule_count];
    const int64_t named[AGE_KINDS] = {from->raw_ms, from->rollup_5m_ms, from->rollup_1h_ms};
    int error =
        deletion_new(from->selection.matchers, from->selection.count, 0, 0, &rule->who);
    if (error != 0)
        return error;
    ages->rule_count++;
    for (int k = 0; k < AGE_KINDS; k++) {
        rule->names[k] = named[k] != 0;
        rule->ages.of[k] = named[k] == STORE_NEVER ? AGE_NEVER : named[k];
    }
    return 0;
}

static void add_to_list(struct age_list *list, int64_t age_ms)
{
    size_t at = list->count;
    while (at > 0 && list->items[at - 1] > age_ms)
        at--;
    if (at > 0 && list->items[at - 1] == age_ms)
        return;
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof *list->items);
    list->items[at] = age_ms;
    list->count++;
}

static void make_lists(struct ages *ages)
{
    for (int k = 0; k < AGE_KINDS; k++) {
        add_to_list(&ages->lists[k], ages->others.of[k]);
        for (size_t i = 0; i < ages->rule_count; i++)
            if (ages->rules[i].names[k])
                add_to_list(&ages->lists[k], ages->rules[i].ages.of[k]);
    }
}

/* May there be series whose samples expire, at the age that rule `i` (rule_count: none) names, and
 * leave records?  Perhaps by another rule's age. */
static bool may_leave_records(const struct ages *ages, size_t i)
{
    const struct age_rule *rule = i < ages->rule_count ? &ages->rules[i] : NULL;
    const int64_t raw_ms =
        rule != NULL && rule->names[0] ? rule->ages.of[0] : ages->others.of[0];
    bool yes = false;
    for (int k = AGE_OF_TIER; k < AGE_KINDS; k++) {
        const bool has_own = rule != NULL && rule->names[k];
        const int64_t own_ms = has_own ? rule->ages.of[k] : ages->others.of[k];
        yes = yes || own_ms > raw_ms;
        /* The shortest holds: another's can only take the place of none. */
        for (size_t j = 0; j < ages->rule_count && !has_own; j++)
            yes = yes || (ages->rules[j].names[k] && ages->rules[j].ages.of[k] > raw_ms);
    }
    return yes && ages->makes_tiers && raw_ms != STORE_FOREVER;
}

/* A series has a hole where no tier outlives its samples. */
static void find_holes(struct ages *ages)
{
    const struct age_list *raw = &ages->lists[AGE_OF_SAMPLES];
    bool may_have = ages->rule_count > 0;
    for (int k = AGE_OF_TIER; k < AGE_KINDS; k++)
        may_have = may_have && (!ages->makes_tiers ||
                                ages->lists[k].items[0] <= raw->items[raw->count - 1]);
    ages->hides_after_ms = may_have ? raw->items[0] : STORE_FOREVER;
}

static uint64_t hash_of(const struct ages *ages)
{
    uint64_t hash = XXH3_64bits(&ages->others, sizeof ages->others);
    for (size_t i = 0; i < ages->rule_count; i++) {
        const struct age_rule *rule = &ages->rules[i];
        hash = XXH3_64bits_withSeed(rule->names, sizeof rule->names, hash);
        hash = XXH3_64bits_withSeed(&rule->ages, sizeof rule->ages, hash);
        for (size_t m = 0; m < rule->who->count; m++) {
            const struct matcher *matcher = rule->who->matchers[m];
            const int kind = (int)matcher->kind;
            hash = XXH3_64bits_withSeed(&kind, sizeof kind, hash);
            hash = XXH3_64bits_withSeed(matcher->name.data, matcher->name.size, hash);
            hash = XXH3_64bits_withSeed(matcher->value.data, matcher->value.size, hash);
        }
    }
    return ages->rule_count == 0 ? 0 : hash | 1;
}

int ages_init(struct ages *ages, const struct store_options *options, const struct clock *clock)
{
    int error = 0;
    if (options->age_count >= AGES_MAX)
        return ERR_LIMIT;
    ages->clock = clock;
    ages->rules = calloc(options->age_count + 1, sizeof *ages->rules);
    if (ages->rules == NULL)
        return ERR_NOMEM;
    set_others(ages, options);
    for (size_t i = 0; i < options->age_count && error == 0; i++)
        error = add_rule(ages, &options->ages[i]);
    make_lists(ages);
    find_holes(ages);
    for (size_t i = 0; i <= ages->rule_count; i++)
        ages->rolls_up = ages->rolls_up || may_leave_records(ages, i);
    ages->hash = hash_of(ages);
    return error;
}

void ages_done(struct ages *ages)
{
    for (size_t i = 0; i < ages->rule_count; i++)
        deletion_release(ages->rules[i].who);
    free(ages->rules);
    *ages = (struct ages){0};
}

/* -- one series -------------------------------------------------------------------------- */

void ages_of(const struct ages *ages, const struct labels *labels, struct series_ages *ret_ages)
{
    bool is_named[AGE_KINDS] = {false};
    *ret_ages = ages->others;
    for (size_t i = 0; i < ages->rule_count; i++) {
        const struct age_rule *rule = &ages->rules[i];
        if (!deletion_matches(rule->who, labels))
            continue;
        for (int k = 0; k < AGE_KINDS; k++) {
            if (!rule->names[k] || (is_named[k] && ret_ages->of[k] <= rule->ages.of[k]))
                continue;
            ret_ages->of[k] = rule->ages.of[k];
            is_named[k] = true;
        }
    }
}

bool ages_make(const struct ages *ages, const struct series_ages *series, size_t tier)
{
    return ages->makes_tiers && series->of[AGE_OF_TIER + tier] > series->of[AGE_OF_SAMPLES];
}

bool age_is_over(int64_t age_ms, int64_t end_ms, int64_t now_ms)
{
    return age_ms != STORE_FOREVER && end_ms <= now_ms - age_ms;
}

uint64_t ages_over(const struct ages *ages, int kind, int64_t end_ms, int64_t now_ms)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < ages->lists[kind].count; i++)
        if (age_is_over(ages->lists[kind].items[i], end_ms, now_ms))
            mask |= UINT64_C(1) << i;
    return mask;
}

uint64_t ages_all(const struct ages *ages, int kind)
{
    const size_t count = ages->lists[kind].count;
    return count == AGES_MAX ? ALL_AGES : (UINT64_C(1) << count) - 1;
}

int64_t ages_longest(const struct ages *ages, int kind)
{
    return ages->lists[kind].items[ages->lists[kind].count - 1];
}

bool ages_tier_is_over(const struct ages *ages, size_t tier, const struct labels *labels,
                       int64_t end_ms, int64_t now_ms)
{
    struct series_ages series;
    if (!ages_tier_has_any(ages, tier, end_ms, now_ms))
        return false;
    ages_of(ages, labels, &series);
    return age_is_over(series.of[AGE_OF_TIER + tier], end_ms, now_ms);
}

/* Without rules a file goes as a whole, and is read until then. */
bool ages_tier_has_any(const struct ages *ages, size_t tier, int64_t end_ms, int64_t now_ms)
{
    return ages->rule_count > 0 &&
           age_is_over(ages->lists[AGE_OF_TIER + tier].items[0], end_ms, now_ms);
}

/* -- holes ------------------------------------------------------------------------------- */

void ages_view(const struct ages *ages, int64_t from_ms, struct deletes_view *view)
{
    if (ages->rule_count == 0 || ages->hides_after_ms == STORE_FOREVER)
        return;
    view->now_ms = clock_unix_ms(ages->clock);
    if (from_ms < view->now_ms - ages->hides_after_ms)
        view->ages = ages;
}

void ages_holes(const struct deletes_view *view, const struct labels *labels, struct holes *holes)
{
    struct series_ages series;
    ages_of(view->ages, labels, &series);
    if (series.of[AGE_OF_SAMPLES] == STORE_FOREVER || ages_make(view->ages, &series, 0) ||
        ages_make(view->ages, &series, 1))
        return;
    holes->items[holes->count++] =
        (struct hole){.from_ms = INT64_MIN,
                      .until_ms = view->now_ms - series.of[AGE_OF_SAMPLES] - 1,
                      .generation = UINT64_MAX,
                      .seal = UINT64_MAX,
                      .fence = UINT32_MAX,
                      .tails = true};
}

/* -- one file ---------------------------------------------------------------------------- */

/* Takes from `left` those whom the rules that name this age mean; *ret_any: there are some. */
static int take_age(const struct ages *ages, int kind, int64_t age_ms,
                    const struct postings_source *source, roaring_bitmap_t *left, bool *ret_any)
{
    int error = 0;
    *ret_any = false;
    for (size_t i = 0; i < ages->rule_count && error == 0; i++) {
        const struct age_rule *rule = &ages->rules[i];
        roaring_bitmap_t *meant = NULL;
        if (!rule->names[kind] || rule->ages.of[kind] != age_ms)
            continue;
        error = postings_select(source, rule->who->matchers, rule->who->count, NULL, &meant);
        if (error != 0)
            break;
        *ret_any = *ret_any || roaring_bitmap_intersect(left, meant);
        roaring_bitmap_andnot_inplace(left, meant);
        roaring_bitmap_free(meant);
    }
    return error;
}

static int find_ages(const struct ages *ages, int kind, const struct postings_source *source,
                     uint64_t *ret_mask)
{
    const struct age_list *list = &ages->lists[kind];
    roaring_bitmap_t *left = roaring_bitmap_create();
    uint64_t mask = 0;
    int error = left == NULL ? ERR_NOMEM : source->all(source->context, left);
    for (size_t i = 0; i < list->count && error == 0; i++) {
        bool is_any;
        error = take_age(ages, kind, list->items[i], source, left, &is_any);
        mask |= is_any ? UINT64_C(1) << i : 0;
    }
    for (size_t i = 0; i < list->count && error == 0; i++)
        if (list->items[i] == ages->others.of[kind] && !roaring_bitmap_is_empty(left))
            mask |= UINT64_C(1) << i;
    if (left != NULL)
        roaring_bitmap_free(left);
    *ret_mask = mask;
    return error;
}

static int kind_of_file(const struct span *span)
{
    int kind = AGE_OF_SAMPLES;
    for (int t = 0; t < ROLLUP_TIERS; t++)
        if (span->info.manifest.kind == (uint8_t)rollup_tiers[t].kind)
            kind = AGE_OF_TIER + t;
    return kind;
}

int ages_in_file(struct store *store, struct span *span, uint64_t *ret_mask)
{
    const struct ages *ages = &store->deletes.ages;
    const int kind = kind_of_file(span);
    struct span_reader *reader;
    uint64_t mask = ages->lists[kind].count == 1 ? 1 : atomic_load(&span->ages);
    if (mask != 0) {
        *ret_mask = mask;
        return 0;
    }
    int error = span_reader_open(span, &reader);
    if (error == 0) {
        struct postings_source source = span_postings(reader);
        error = find_ages(ages, kind, &source, &mask);
        span_reader_close(reader);
    }
    if (error == 0)
        atomic_store(&span->ages, mask);
    else if (error == ERR_CORRUPT || error == ERR_LIMIT) { /* named where it was met */
        mask = ALL_AGES;
        error = 0;
    }
    *ret_mask = mask;
    return error;
}
