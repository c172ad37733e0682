/*
 * consequences_mutes.c - which alerts of now and of the last days other inhibition rules and time
 * intervals would keep from their receivers, or no longer.
 *
 * An alert is a set of moments at which it fired, one bit each.  What inhibits it takes bits away,
 * what a route's intervals mute as well; what is left on both sides is compared.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/ctl/alerts.h"
#include "collector/ctl/consequences.h"
#include "collector/notify/interval.h"
#include "collector/notify/mute.h"
#include "proto/base/error.h"

#define ARENA_BYTES_MAX ((size_t)1 << 30)

enum side { BEFORE, AFTER, SIDES };

struct bits {
    uint64_t *words;
};

struct fired {
    const json_t *episode;
    const struct labels *labels;
    struct bits at;               /* moments at which it fired */
    struct bits inhibited[SIDES]; /* of those */
};

struct mutes_of {
    int64_t *moments; /* ascending */
    size_t moment_count, word_count;
    struct fired *fired;
    size_t fired_count;
    const struct alerting *alerting[SIDES];
    struct arena arena;
    json_t *rows;
};

static struct bits make_bits(struct mutes_of *all)
{
    return (struct bits){arena_alloc(&all->arena, all->word_count, sizeof(uint64_t))};
}

static bool has_bit(struct bits bits, size_t i)
{
    return (bits.words[i / 64] >> i % 64 & 1) != 0;
}

static void set_bit(struct bits bits, size_t i)
{
    bits.words[i / 64] |= UINT64_C(1) << i % 64;
}

static void add_bits(const struct mutes_of *all, struct bits to, struct bits from)
{
    for (size_t i = 0; i < all->word_count; i++)
        to.words[i] |= from.words[i];
}

/* ---- reading ----------------------------------------------------------------------------- */

static int compare_moments(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return *a == *b ? 0 : *a < *b ? -1 : 1;
}

static int read_moments(struct mutes_of *all, const json_t *episodes)
{
    size_t i, j, most = 0, kept = 0;
    json_t *episode, *time;
    json_array_foreach(episodes, i, episode) most +=
        json_array_size(json_object_get(episode, "times"));
    all->moments = arena_alloc(&all->arena, most + 1, sizeof *all->moments);
    if (all->moments == NULL)
        return ERR_NOMEM;
    json_array_foreach(episodes, i, episode)
    {
        json_array_foreach(json_object_get(episode, "times"), j, time)
        {
            all->moments[all->moment_count++] = json_integer_value(time);
        }
    }
    qsort(all->moments, all->moment_count, sizeof *all->moments, compare_moments);
    for (i = 0; i < all->moment_count; i++)
        if (kept == 0 || all->moments[kept - 1] != all->moments[i])
            all->moments[kept++] = all->moments[i];
    all->moment_count = kept;
    all->word_count = kept / 64 + 1;
    return 0;
}

static int read_episode(struct mutes_of *all, const json_t *episode, struct fired *fired)
{
    size_t i;
    json_t *time;
    int error = alerts_labels(json_object_get(episode, "labels"), &all->arena, &fired->labels);

    if (error != 0)
        return error;
    fired->episode = episode;
    fired->at = make_bits(all);
    fired->inhibited[BEFORE] = make_bits(all);
    fired->inhibited[AFTER] = make_bits(all);
    if (fired->at.words == NULL || fired->inhibited[BEFORE].words == NULL ||
        fired->inhibited[AFTER].words == NULL)
        return ERR_NOMEM;
    json_array_foreach(json_object_get(episode, "times"), i, time)
    {
        const int64_t ms = json_integer_value(time);
        const int64_t *found = bsearch(&ms, all->moments, all->moment_count,
                                       sizeof *all->moments, compare_moments);
        if (found != NULL)
            set_bit(fired->at, (size_t)(found - all->moments));
    }
    return 0;
}

/* ---- inhibition -------------------------------------------------------------------------- */

/* The sources of a rule that have the same values of its `equal`. */
struct pool {
    uint64_t values;
    struct bits one_sided, any; /* when one of them fired; that is no target, too */
};

static uint64_t hash_values(const struct inhibit_rule *rule, const struct labels *labels)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < rule->equal_count; i++) {
        const struct bytes value = labels_get_text(labels, rule->equal[i]);
        hash = XXH3_64bits_withSeed(value.data, value.size, hash + value.size + 1);
    }
    return hash;
}

static int compare_pools(const void *left, const void *right)
{
    const struct pool *a = left, *b = right;
    return a->values == b->values ? 0 : a->values < b->values ? -1 : 1;
}

/* Ascending by values, each once. */
static int make_pools(struct mutes_of *all, const struct inhibit_rule *rule,
                      struct pool **ret_pools, size_t *ret_count)
{
    struct pool *pools = arena_alloc(&all->arena, all->fired_count + 1, sizeof *pools);
    size_t count = 0, kept = 0;

    if (pools == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < all->fired_count; i++) {
        const struct fired *fired = &all->fired[i];
        struct pool *pool = &pools[count];
        if (!matchers_match(rule->sources, rule->source_count, fired->labels))
            continue;
        *pool = (struct pool){hash_values(rule, fired->labels), make_bits(all), make_bits(all)};
        if (pool->any.words == NULL || pool->one_sided.words == NULL)
            return ERR_NOMEM;
        add_bits(all, pool->any, fired->at);
        if (!matchers_match(rule->targets, rule->target_count, fired->labels))
            add_bits(all, pool->one_sided, fired->at);
        count++;
    }
    qsort(pools, count, sizeof *pools, compare_pools);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && pools[kept - 1].values == pools[i].values) {
            add_bits(all, pools[kept - 1].any, pools[i].any);
            add_bits(all, pools[kept - 1].one_sided, pools[i].one_sided);
        } else {
            pools[kept++] = pools[i];
        }
    }
    *ret_pools = pools;
    *ret_count = kept;
    return 0;
}

static int inhibit(struct mutes_of *all, enum side side, const struct inhibit_rule *rule)
{
    struct pool *pools;
    size_t count;
    int error = make_pools(all, rule, &pools, &count);

    for (size_t i = 0; error == 0 && i < all->fired_count; i++) {
        struct fired *fired = &all->fired[i];
        const struct pool *pool;
        struct pool wanted;
        if (!matchers_match(rule->targets, rule->target_count, fired->labels))
            continue;
        wanted.values = hash_values(rule, fired->labels);
        pool = bsearch(&wanted, pools, count, sizeof *pools, compare_pools);
        if (pool != NULL)
            add_bits(all, fired->inhibited[side],
                     matchers_match(rule->sources, rule->source_count, fired->labels)
                         ? pool->one_sided
                         : pool->any);
    }
    return error;
}

/* ---- what is left ------------------------------------------------------------------------ */

/* Is the receiver told of it at this moment, by its routes' intervals alone? */
static bool is_in_time(const struct route *const *routes, size_t count, const char *receiver,
                       int64_t at_ms)
{
    const char *names[ROUTE_INTERVALS_MAX];
    for (size_t i = 0; i < count; i++)
        if (strcmp(routes[i]->receiver->name, receiver) == 0 &&
            mute_by_time(routes[i], at_ms, names) == 0)
            return true;
    return false;
}

static json_t *row_of(json_t *rows, const char *receiver, bool is_told, bool by_inhibition)
{
    json_t *wanted = json_pack("{s:s, s:s, s:s}", "receiver", receiver, "becomes",
                               is_told ? "told" : "muted", "by",
                               by_inhibition ? "inhibition" : "time");
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (json_equal(json_object_get(row, "receiver"), json_object_get(wanted, "receiver")) &&
            json_equal(json_object_get(row, "becomes"), json_object_get(wanted, "becomes")) &&
            json_equal(json_object_get(row, "by"), json_object_get(wanted, "by"))) {
            json_decref(wanted);
            return row;
        }
    }
    json_object_set_new(wanted, "alerts", json_array());
    json_array_append_new(rows, wanted);
    return wanted;
}

/* One kind of change of one alert and receiver, as its moments go by. */
struct change {
    size_t moments;
    int64_t first_ms, last_ms;
};

static void add_change(struct mutes_of *all, const struct fired *fired, const char *receiver,
                       bool is_told, bool by_inhibition, const struct change *change)
{
    if (change->moments == 0)
        return;
    json_array_append_new(
        json_object_get(row_of(all->rows, receiver, is_told, by_inhibition), "alerts"),
        json_pack("{s:O, s:O, s:I, s:I, s:I}", "labels",
                  json_object_get(fired->episode, "labels"), "state",
                  json_object_get(fired->episode, "state"), "moments",
                  (json_int_t)change->moments, "firstMs", (json_int_t)change->first_ms, "lastMs",
                  (json_int_t)change->last_ms));
}

struct ways {
    const struct route *routes[SIDES][ROUTE_MATCHES_MAX];
    size_t count[SIDES];
};

static void compare_receiver(struct mutes_of *all, const struct fired *fired,
                             const struct ways *ways, const char *receiver)
{
    struct change changes[2][2] = {0}; /* is told, by inhibition */
    for (size_t i = 0; i < all->moment_count; i++) {
        bool in_time[SIDES], told[SIDES];
        struct change *change;
        if (!has_bit(fired->at, i))
            continue;
        for (int side = 0; side < SIDES; side++) {
            in_time[side] = is_in_time(ways->routes[side], ways->count[side], receiver,
                                       all->moments[i]);
            told[side] = in_time[side] && !has_bit(fired->inhibited[side], i);
        }
        if (told[BEFORE] == told[AFTER])
            continue;
        change = &changes[told[AFTER]][in_time[BEFORE] && in_time[AFTER]];
        if (change->moments++ == 0)
            change->first_ms = all->moments[i];
        change->last_ms = all->moments[i];
    }
    for (int told = 0; told < 2; told++)
        for (int by = 0; by < 2; by++)
            add_change(all, fired, receiver, told, by, &changes[told][by]);
}

static bool is_among(const struct route *const *routes, size_t count, const char *receiver)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(routes[i]->receiver->name, receiver) == 0)
            return true;
    return false;
}

/* Each receiver that it goes to on both sides; another receiver is the routes' matter. */
static void compare_fired(struct mutes_of *all, const struct fired *fired)
{
    struct ways ways;
    for (int side = 0; side < SIDES; side++)
        ways.count[side] = route_match(alerting_root(all->alerting[side]), fired->labels,
                                       ways.routes[side]);
    for (size_t i = 0; i < ways.count[AFTER]; i++) {
        const char *receiver = ways.routes[AFTER][i]->receiver->name;
        if (is_among(ways.routes[BEFORE], ways.count[BEFORE], receiver) &&
            !is_among(ways.routes[AFTER], i, receiver))
            compare_receiver(all, fired, &ways, receiver);
    }
}

json_t *consequences_of_mutes(const json_t *episodes, const struct alerting *before,
                              const struct alerting *after)
{
    struct mutes_of all = {.alerting = {before, after}, .rows = json_array()};
    size_t i;
    json_t *episode;
    int error;

    arena_init(&all.arena, ARENA_BYTES_MAX);
    error = read_moments(&all, episodes);
    all.fired = arena_alloc(&all.arena, json_array_size(episodes) + 1, sizeof *all.fired);
    if (all.fired == NULL)
        error = ERR_NOMEM;
    json_array_foreach(episodes, i, episode)
    {
        if (error == 0)
            error = read_episode(&all, episode, &all.fired[all.fired_count++]);
    }
    for (int side = 0; side < SIDES; side++) {
        size_t count;
        const struct inhibit_rule *rules = alerting_inhibit_rules(all.alerting[side], &count);
        for (i = 0; error == 0 && i < count; i++)
            error = inhibit(&all, (enum side)side, &rules[i]);
    }
    for (i = 0; error == 0 && i < all.fired_count; i++)
        compare_fired(&all, &all.fired[i]);
    arena_reset(&all.arena);
    if (error == 0)
        return all.rows;
    json_decref(all.rows);
    return NULL;
}
