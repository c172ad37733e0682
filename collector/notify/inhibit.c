/*
 * inhibit.c - see inhibit.h.
 */
#include "collector/notify/inhibit.h"

#include <stdlib.h>
#include <string.h>

#include "collector/notify/group.h"
#include "proto/base/error.h"

static void free_matchers(struct matcher **matchers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        matcher_free(matchers[i]);
    free(matchers);
}

void inhibit_rule_done(struct inhibit_rule *rule)
{
    free_matchers(rule->sources, rule->source_count);
    free_matchers(rule->targets, rule->target_count);
    *rule = (struct inhibit_rule){0};
}

void inhibition_set_rules(struct inhibition *inhibition, const struct inhibit_rule *rules,
                          size_t count)
{
    inhibition->rules = rules;
    inhibition->rule_count = count;
    inhibition->rules_version++;
    inhibition->groups_version = 0;
    inhibition->count = 0;
}

void inhibition_done(struct inhibition *inhibition)
{
    free(inhibition->sources);
    *inhibition = (struct inhibition){0};
}

void inhibited_done(struct inhibited *inhibited)
{
    free(inhibited->sources);
    *inhibited = (struct inhibited){0};
}

/* ---- one alert and one rule ----------------------------------------------------------------
 */

/* FNV-1a; a value ends with a byte no UTF-8 text has, so a missing label hashes like "". */
static uint64_t hash_values(const struct inhibit_rule *rule, const struct labels *labels)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < rule->equal_count; i++) {
        struct bytes value = labels_get(labels, bytes_of(rule->equal[i]));
        for (size_t j = 0; j < value.size; j++)
            hash = (hash ^ value.data[j]) * UINT64_C(1099511628211);
        hash = (hash ^ 0xFF) * UINT64_C(1099511628211);
    }
    return hash;
}

static bool have_same_values(const struct inhibit_rule *rule, const struct labels *a,
                             const struct labels *b)
{
    for (size_t i = 0; i < rule->equal_count; i++)
        if (!bytes_equal(labels_get(a, bytes_of(rule->equal[i])),
                         labels_get(b, bytes_of(rule->equal[i]))))
            return false;
    return true;
}

static bool is_source_of(const struct inhibit_rule *rule, const struct labels *labels)
{
    return matchers_match(rule->sources, rule->source_count, labels);
}

static bool is_target_of(const struct inhibit_rule *rule, const struct labels *labels)
{
    return matchers_match(rule->targets, rule->target_count, labels);
}

/* ---- the index -----------------------------------------------------------------------------
 */

/* Finds out once which rules the alert is a source of. */
static int learn_sources(const struct inhibition *inhibition, struct tracked *tracked)
{
    const struct labels *labels = tracked->alert->labels;
    struct inhibited *known = &tracked->inhibited;
    struct inhibit_source *sources = NULL;
    size_t count = 0;

    if (known->rules_version == inhibition->rules_version)
        return 0;
    for (size_t i = 0; i < inhibition->rule_count; i++) {
        const struct inhibit_rule *rule = &inhibition->rules[i];
        if (!is_source_of(rule, labels))
            continue;
        struct inhibit_source *longer = realloc(sources, (count + 1) * sizeof *sources);
        if (longer == NULL) {
            free(sources);
            return ERR_NOMEM;
        }
        sources = longer;
        sources[count++] = (struct inhibit_source){i, hash_values(rule, labels),
                                                   is_target_of(rule, labels), tracked};
    }
    inhibited_done(known);
    known->rules_version = inhibition->rules_version;
    known->sources = sources;
    known->source_count = count;
    return 0;
}

static int compare_places(const struct inhibit_source *a, const struct inhibit_source *b)
{
    if (a->rule != b->rule)
        return a->rule < b->rule ? -1 : 1;
    if (a->values != b->values)
        return a->values < b->values ? -1 : 1;
    return 0;
}

static int compare_sources(const void *left, const void *right)
{
    const struct inhibit_source *a = left, *b = right;
    int order = compare_places(a, b);
    if (order == 0 && a->is_target != b->is_target)
        order = a->is_target ? 1 : -1;
    if (order == 0 && a->alert != b->alert)
        order = a->alert->alert->fingerprint < b->alert->alert->fingerprint ? -1 : 1;
    return order;
}

static int make_room(struct inhibition *inhibition, size_t needed)
{
    size_t capacity = inhibition->capacity == 0 ? 16 : inhibition->capacity;
    struct inhibit_source *longer;

    while (capacity < needed)
        capacity *= 2;
    if (capacity == inhibition->capacity)
        return 0;
    longer = realloc(inhibition->sources, capacity * sizeof *longer);
    if (longer == NULL)
        return ERR_NOMEM;
    inhibition->sources = longer;
    inhibition->capacity = capacity;
    return 0;
}

int inhibition_refresh(struct inhibition *inhibition, struct groups *groups)
{
    size_t needed = 0;
    int error = 0;

    if (inhibition->rule_count == 0 || inhibition->groups_version == groups->version + 1)
        return 0;
    for (struct tracked *at = groups_next_alert(groups, NULL); error == 0 && at != NULL;
         at = groups_next_alert(groups, at)) {
        error = learn_sources(inhibition, at);
        needed += at->inhibited.source_count;
    }
    if (error == 0)
        error = make_room(inhibition, needed);
    if (error != 0)
        return error;
    inhibition->count = 0;
    for (struct tracked *at = groups_next_alert(groups, NULL); at != NULL;
         at = groups_next_alert(groups, at))
        for (size_t i = 0; at->alert->firing && i < at->inhibited.source_count; i++)
            inhibition->sources[inhibition->count++] = at->inhibited.sources[i];
    if (inhibition->count > 1)
        qsort(inhibition->sources, inhibition->count, sizeof *inhibition->sources,
              compare_sources);
    inhibition->groups_version = groups->version + 1;
    inhibition->version++;
    return 0;
}

/* The first source of a rule with these values. */
static size_t first_of(const struct inhibition *inhibition, const struct inhibit_source *wanted)
{
    size_t low = 0, high = inhibition->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_places(&inhibition->sources[middle], wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct inhibit_source *source_for(const struct inhibition *inhibition, size_t n,
                                               const struct labels *labels)
{
    const struct inhibit_rule *rule = &inhibition->rules[n];
    struct inhibit_source wanted = {.rule = n};
    bool is_source;

    if (!is_target_of(rule, labels))
        return NULL;
    wanted.values = hash_values(rule, labels);
    is_source = is_source_of(rule, labels);
    for (size_t i = first_of(inhibition, &wanted); i < inhibition->count; i++) {
        const struct inhibit_source *source = &inhibition->sources[i];
        if (compare_places(source, &wanted) != 0 || (is_source && source->is_target))
            return NULL; /* those that match both sides come last */
        if (have_same_values(rule, source->alert->alert->labels, labels))
            return source;
    }
    return NULL;
}

bool inhibition_holds(const struct inhibition *inhibition, const struct labels *labels,
                      struct inhibited *known, uint64_t *ret_by)
{
    const struct inhibit_source *source = NULL;

    if (inhibition->rule_count == 0)
        return false;
    if (known == NULL || known->version != inhibition->version) {
        for (size_t i = 0; source == NULL && i < inhibition->rule_count; i++)
            source = source_for(inhibition, i, labels);
        if (known == NULL) {
            *ret_by = source == NULL ? 0 : source->alert->alert->fingerprint;
            return source != NULL;
        }
        known->version = inhibition->version;
        known->is_inhibited = source != NULL;
        known->by = source == NULL ? 0 : source->alert->alert->fingerprint;
    }
    *ret_by = known->by;
    return known->is_inhibited;
}
