/*
 * consequences_routes.c - who would hear of the alerts there are, before and after; receivers
 * and integrations that come and go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/alerts.h"
#include "collector/ctl/consequences.h"
#include "collector/notify/dedup.h"
#include "proto/base/error.h"

#define LABELS_BYTES_MAX ((size_t)16 << 20)

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* ---- routes ------------------------------------------------------------------------------ */

/* Receivers in order, and beside each the key of its group. */
struct hearers {
    json_t *receivers, *keys; /* owned */
};

static void hearers_done(struct hearers *hearers)
{
    json_decref(hearers->receivers);
    json_decref(hearers->keys);
}

static int read_hearers(const struct alerting *alerting, const struct labels *labels,
                        struct arena *arena, struct hearers *ret_hearers)
{
    const struct route *routes[ROUTE_MATCHES_MAX];
    const size_t count = route_match(alerting_root(alerting), labels, routes);
    struct hearers hearers = {json_array(), json_array()};
    int error = 0;

    for (size_t i = 0; error == 0 && i < count; i++) {
        const struct labels *group = NULL;
        struct buf key = {0};
        error = route_group_labels(routes[i], labels, arena, &group);
        if (error == 0) {
            route_group_key(routes[i], group, &key);
            json_array_append_new(hearers.receivers, json_string(routes[i]->receiver->name));
            json_array_append_new(hearers.keys, json_string(buf_text(&key)));
        }
        buf_done(&key);
    }
    *ret_hearers = hearers;
    return error;
}

static bool has(const json_t *list, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (strcmp(json_string_value(item), text) == 0)
            return true;
    }
    return false;
}

static bool has_pair(const struct hearers *hearers, const char *receiver, const char *key)
{
    size_t i;
    json_t *item;
    json_array_foreach(hearers->receivers, i, item)
    {
        if (strcmp(json_string_value(item), receiver) == 0 &&
            strcmp(json_string_value(json_array_get(hearers->keys, i)), key) == 0)
            return true;
    }
    return false;
}

/* The receivers that hear of it before and after, but after in a group that knows nothing of
 * what was said: they are told anew. */
static json_t *regrouped(const struct hearers *before, const struct hearers *after)
{
    json_t *names = json_array(), *item;
    size_t i;
    json_array_foreach(after->receivers, i, item)
    {
        const char *name = json_string_value(item);
        const char *key = json_string_value(json_array_get(after->keys, i));
        if (has(before->receivers, name) && !has_pair(before, name, key) && !has(names, name))
            json_array_append(names, item);
    }
    return names;
}

/* Adds the alert to the row with the same change, or begins one. */
static void add_change(json_t *rows, const json_t *alert, const struct hearers *before,
                       const struct hearers *after, json_t *anew)
{
    json_t *one =
        json_pack("{s:s, s:O, s:s}", "fingerprint", member(alert, "fingerprint"), "labels",
                  json_object_get(alert, "labels"), "state", member(alert, "state"));
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (json_equal(json_object_get(row, "before"), before->receivers) != 0 &&
            json_equal(json_object_get(row, "after"), after->receivers) != 0 &&
            json_equal(json_object_get(row, "regrouped"), anew) != 0) {
            json_array_append_new(json_object_get(row, "alerts"), one);
            return;
        }
    }
    json_array_append_new(rows, json_pack("{s:O, s:O, s:O, s:[o]}", "before", before->receivers,
                                          "after", after->receivers, "regrouped", anew,
                                          "alerts", one));
}

static int compare_one(json_t *rows, const json_t *alert, const struct alerting *before,
                       const struct alerting *after)
{
    struct hearers old = {0}, fresh = {0};
    const struct labels *labels;
    struct arena arena;
    json_t *anew;
    int error;

    arena_init(&arena, LABELS_BYTES_MAX);
    error = alerts_labels(json_object_get(alert, "labels"), &arena, &labels);
    if (error == 0)
        error = read_hearers(before, labels, &arena, &old);
    if (error == 0)
        error = read_hearers(after, labels, &arena, &fresh);
    if (error == 0) {
        anew = regrouped(&old, &fresh);
        if (json_equal(old.receivers, fresh.receivers) == 0 || json_array_size(anew) > 0)
            add_change(rows, alert, &old, &fresh, anew);
        json_decref(anew);
    }
    hearers_done(&old);
    hearers_done(&fresh);
    arena_reset(&arena);
    return error;
}

/* Adds the fingerprints of a rule's alerts. */
static int add_ending(const json_t *rule, struct fingerprints *ending)
{
    const json_t *alerts = json_object_get(rule, "alerts");
    uint64_t *longer = realloc(ending->items, (ending->count + json_array_size(alerts) + 1) *
                                                  sizeof(uint64_t));
    struct arena arena;
    size_t i;
    json_t *alert;
    int error = 0;

    if (longer == NULL)
        return ERR_NOMEM;
    ending->items = longer;
    arena_init(&arena, LABELS_BYTES_MAX);
    json_array_foreach(alerts, i, alert)
    {
        const struct labels *labels;
        error = alerts_labels(json_object_get(alert, "labels"), &arena, &labels);
        if (error != 0)
            break;
        longer[ending->count++] = labels_fingerprint(labels);
        arena_reset(&arena);
    }
    arena_reset(&arena);
    return error;
}

/* The alerts of rules that go, by fingerprint: there may be ten thousand of them. */
static int read_ending(const json_t *removed, struct fingerprints *ret_ending)
{
    size_t i;
    json_t *rule;
    json_array_foreach(removed, i, rule)
    {
        int error = add_ending(rule, ret_ending);
        if (error != 0)
            return error;
    }
    fingerprints_sort(ret_ending);
    return 0;
}

json_t *consequences_of_routes(const json_t *alerts, const json_t *ending,
                               const struct alerting *before, const struct alerting *after)
{
    struct fingerprints gone = {0};
    json_t *rows = json_array(), *alert;
    int error = read_ending(ending, &gone);
    size_t i;

    json_array_foreach(alerts, i, alert)
    {
        if (error == 0 &&
            !fingerprints_contain(&gone, strtoull(member(alert, "fingerprint"), NULL, 16)))
            error = compare_one(rows, alert, before, after);
    }
    free(gone.items);
    if (error == 0)
        return rows;
    json_decref(rows);
    return NULL;
}

/* ---- receivers --------------------------------------------------------------------------- */

static json_t *way(const char *receiver, const char *channel, unsigned index)
{
    if (channel == NULL)
        return json_pack("{s:s, s:n, s:n}", "receiver", receiver, "channel", "index");
    return json_pack("{s:s, s:s, s:I}", "receiver", receiver, "channel", channel, "index",
                     (json_int_t)index);
}

static const json_t *find_receiver(const json_t *running, const char *name)
{
    size_t i;
    json_t *receiver;
    json_array_foreach(running, i, receiver)
    {
        if (strcmp(member(receiver, "name"), name) == 0)
            return receiver;
    }
    return NULL;
}

static bool runs(const json_t *receiver, const struct integration *integration)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(receiver, "integrations"), i, one)
    {
        if (strcmp(member(one, "channel"), integration->channel->name) == 0 &&
            json_integer_value(json_object_get(one, "index")) == (json_int_t)integration->index)
            return true;
    }
    return false;
}

static bool is_offered(const struct receiver *receiver, const json_t *integration)
{
    for (size_t i = 0; receiver != NULL && i < receiver->integration_count; i++)
        if (strcmp(member(integration, "channel"), receiver->integrations[i].channel->name) ==
                0 &&
            json_integer_value(json_object_get(integration, "index")) ==
                (json_int_t)receiver->integrations[i].index)
            return true;
    return false;
}

static void add_ways(json_t *rows, const json_t *running, const struct receiver *receivers,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct receiver *receiver = &receivers[i];
        const json_t *old = find_receiver(running, receiver->name);
        if (old == NULL && receiver->integration_count == 0)
            json_array_append_new(rows, way(receiver->name, NULL, 0));
        for (size_t j = 0; j < receiver->integration_count; j++)
            if (!runs(old, &receiver->integrations[j]))
                json_array_append_new(rows, way(receiver->name,
                                                receiver->integrations[j].channel->name,
                                                receiver->integrations[j].index));
    }
}

static json_t *added_ways(const json_t *running, const struct alerting *after)
{
    json_t *rows = json_array();
    size_t count;
    const struct receiver *receivers = alerting_receivers(after, &count);
    add_ways(rows, running, receivers, count);
    receivers = alerting_persons(after, &count); /* whom duty.yml adds */
    add_ways(rows, running, receivers, count);
    return rows;
}

json_t *consequences_of_receivers(const json_t *running, const struct alerting *after)
{
    json_t *removed = json_array(), *receiver, *one;
    size_t i, j;

    json_array_foreach(running, i, receiver)
    {
        const char *name = member(receiver, "name");
        const struct receiver *fresh = alerting_receiver(after, name);
        const json_t *integrations = json_object_get(receiver, "integrations");
        if (fresh == NULL && json_array_size(integrations) == 0)
            json_array_append_new(removed, way(name, NULL, 0));
        json_array_foreach(integrations, j, one)
        {
            json_t *row;
            if (is_offered(fresh, one))
                continue;
            row = way(name, member(one, "channel"),
                      (unsigned)json_integer_value(json_object_get(one, "index")));
            json_object_set(row, "owed", json_object_get(one, "owed"));
            json_array_append_new(removed, row);
        }
    }
    return json_pack("{s:o, s:o}", "added", added_ways(running, after), "removed", removed);
}
