/*
 * consequences_timers.c - alerts that would be told sooner, later or more often; inhibition rules
 * and time intervals that come, go and change; which alerts the last days have seen.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/alerts.h"
#include "collector/ctl/consequences.h"
#include "collector/notify/interval.h"
#include "proto/base/error.h"

#define LABELS_BYTES_MAX ((size_t)16 << 20)

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* ---- timers ------------------------------------------------------------------------------ */

/* Those of the routes by which the receiver hears of it, in order. */
static json_t *timers_of(const struct route *const *routes, size_t count, const char *receiver)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (strcmp(routes[i]->receiver->name, receiver) == 0)
            json_array_append_new(
                list, json_pack("{s:I, s:I, s:I}", "groupWaitMs",
                                (json_int_t)routes[i]->group_wait_ms, "groupIntervalMs",
                                (json_int_t)routes[i]->group_interval_ms, "repeatIntervalMs",
                                (json_int_t)routes[i]->repeat_interval_ms));
    return list;
}

/* The row of the change, begun where there is none. */
static json_t *row_of(json_t *rows, const char *receiver, json_t *before, json_t *after)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (strcmp(member(row, "receiver"), receiver) == 0 &&
            json_equal(json_object_get(row, "before"), before) &&
            json_equal(json_object_get(row, "after"), after))
            return row;
    }
    row = json_pack("{s:s, s:O, s:O, s:[]}", "receiver", receiver, "before", before, "after",
                    after, "alerts");
    json_array_append_new(rows, row);
    return row;
}

static void compare_timers(json_t *rows, const struct route *const *before, size_t before_count,
                           const struct route *const *after, size_t after_count,
                           const char *receiver, const json_t *episode)
{
    json_t *old = timers_of(before, before_count, receiver);
    json_t *fresh = timers_of(after, after_count, receiver);
    if (json_array_size(old) > 0 && json_array_size(fresh) > 0 && !json_equal(old, fresh)) {
        json_t *row = row_of(rows, receiver, old, fresh);
        if (episode != NULL)
            json_array_append_new(json_object_get(row, "alerts"),
                                  json_pack("{s:O, s:O}", "labels",
                                            json_object_get(episode, "labels"), "state",
                                            json_object_get(episode, "state")));
    }
    json_decref(old);
    json_decref(fresh);
}

static int compare_episode(json_t *rows, const json_t *episode, const struct alerting *before,
                           const struct alerting *after)
{
    const struct route *old[ROUTE_MATCHES_MAX], *fresh[ROUTE_MATCHES_MAX];
    const struct labels *labels;
    struct arena arena;
    int error;

    arena_init(&arena, LABELS_BYTES_MAX);
    error = alerts_labels(json_object_get(episode, "labels"), &arena, &labels);
    if (error == 0) {
        size_t old_count = route_match(alerting_root(before), labels, old);
        size_t fresh_count = route_match(alerting_root(after), labels, fresh);
        for (size_t i = 0; i < fresh_count; i++) {
            size_t j = 0;
            while (j < i && fresh[j]->receiver != fresh[i]->receiver)
                j++;
            if (j == i)
                compare_timers(rows, old, old_count, fresh, fresh_count,
                               fresh[i]->receiver->name, episode);
        }
    }
    arena_reset(&arena);
    return error;
}

static const struct route *find_route(const struct route *route, const struct route *wanted)
{
    if (strcmp(route->key, wanted->key) == 0 &&
        strcmp(route->receiver->name, wanted->receiver->name) == 0)
        return route;
    for (size_t i = 0; i < route->child_count; i++) {
        const struct route *found = find_route(route->children[i], wanted);
        if (found != NULL)
            return found;
    }
    return NULL;
}

/* Also routes that no alert has taken of late. */
static void compare_tree(json_t *rows, const struct route *after, const struct route *root)
{
    const struct route *before = find_route(root, after);
    if (before != NULL)
        compare_timers(rows, &before, 1, &after, 1, after->receiver->name, NULL);
    for (size_t i = 0; i < after->child_count; i++)
        compare_tree(rows, after->children[i], root);
}

json_t *consequences_of_timers(const json_t *episodes, const struct alerting *before,
                               const struct alerting *after)
{
    json_t *rows = json_array(), *episode;
    size_t i;
    int error = 0;

    json_array_foreach(episodes, i, episode)
    {
        if (error == 0)
            error = compare_episode(rows, episode, before, after);
    }
    if (error != 0) {
        json_decref(rows);
        return NULL;
    }
    compare_tree(rows, alerting_root(after), alerting_root(before));
    return rows;
}

/* ---- rules and intervals as such --------------------------------------------------------- */

static void put_side(const struct inhibit_rule *rule, bool is_target, struct buf *out)
{
    struct matcher *const *matchers = is_target ? rule->targets : rule->sources;
    const size_t count = is_target ? rule->target_count : rule->source_count;
    buf_put_char(out, '{');
    for (size_t i = 0; i < count; i++) {
        buf_put_text(out, i > 0 ? ", " : "");
        route_put_matcher(out, matchers[i]);
    }
    buf_put_char(out, '}');
}

/* "{alertname="A"} -> {severity="warning"} equal [instance]" */
static json_t *texts_of_rules(const struct alerting *alerting)
{
    json_t *texts = json_array();
    size_t count;
    const struct inhibit_rule *rules = alerting_inhibit_rules(alerting, &count);
    for (size_t i = 0; i < count; i++) {
        struct buf text = {0};
        put_side(&rules[i], false, &text);
        buf_put_text(&text, " -> ");
        put_side(&rules[i], true, &text);
        for (size_t j = 0; j < rules[i].equal_count; j++)
            buf_printf(&text, "%s%s", j == 0 ? " equal [" : ", ", rules[i].equal[j]);
        if (rules[i].equal_count > 0)
            buf_put_char(&text, ']');
        json_array_append_new(texts, json_string(buf_text(&text)));
        buf_done(&text);
    }
    return texts;
}

static bool has_text(const json_t *texts, const json_t *wanted)
{
    size_t i;
    json_t *text;
    json_array_foreach(texts, i, text)
    {
        if (json_equal(text, wanted))
            return true;
    }
    return false;
}

/* Those of `some` that are not among `others`; a new reference. */
static json_t *only_in(const json_t *some, const json_t *others)
{
    json_t *only = json_array(), *text;
    size_t i;
    json_array_foreach(some, i, text)
    {
        if (!has_text(others, text))
            json_array_append(only, text);
    }
    return only;
}

json_t *consequences_of_inhibit_rules(const struct alerting *before,
                                      const struct alerting *after)
{
    json_t *old = texts_of_rules(before), *fresh = texts_of_rules(after);
    json_t *told = json_pack("{s:o, s:o}", "added", only_in(fresh, old), "removed",
                             only_in(old, fresh));
    json_decref(old);
    json_decref(fresh);
    return told;
}

/* By name, what each says. */
static json_t *texts_of_intervals(const struct alerting *alerting)
{
    json_t *texts = json_object();
    size_t count;
    const struct interval *intervals = alerting_intervals(alerting, &count);
    for (size_t i = 0; i < count; i++) {
        struct buf text = {0};
        interval_print(&intervals[i], &text);
        json_object_set_new(texts, intervals[i].name, json_string(buf_text(&text)));
        buf_done(&text);
    }
    return texts;
}

json_t *consequences_of_intervals(const struct alerting *before, const struct alerting *after)
{
    json_t *old = texts_of_intervals(before), *fresh = texts_of_intervals(after);
    json_t *added = json_array(), *removed = json_array(), *changed = json_array(), *text;
    const char *name;

    json_object_foreach(fresh, name, text)
    {
        const json_t *was = json_object_get(old, name);
        if (was == NULL)
            json_array_append_new(added, json_string(name));
        else if (!json_equal(was, text))
            json_array_append_new(changed, json_string(name));
    }
    json_object_foreach(old, name, text)
    {
        if (json_object_get(fresh, name) == NULL)
            json_array_append_new(removed, json_string(name));
    }
    json_decref(old);
    json_decref(fresh);
    return json_pack("{s:o, s:o, s:o}", "added", added, "removed", removed, "changed", changed);
}

/* ---- what has fired ---------------------------------------------------------------------- */

static json_t *labels_of_series(const json_t *metric)
{
    json_t *labels = json_copy((json_t *)(uintptr_t)metric);
    json_object_del(labels, "__name__");
    json_object_del(labels, "alertstate");
    return labels;
}

/* By their labels as text, so that a series finds its alert. */
static char *key_of(const json_t *labels)
{
    return json_dumps(labels, JSON_SORT_KEYS | JSON_COMPACT);
}

static int add_episode(json_t *by_labels, json_t *episodes, json_t *labels, const char *state,
                       json_t **ret_times)
{
    char *key = key_of(labels);
    json_t *episode = key == NULL ? NULL : json_object_get(by_labels, key);
    if (key != NULL && episode == NULL) {
        episode = json_pack("{s:O, s:s, s:[]}", "labels", labels, "state", state, "times");
        json_object_set(by_labels, key, episode);
        json_array_append_new(episodes, episode);
    }
    free(key);
    if (episode == NULL)
        return ERR_NOMEM;
    *ret_times = json_object_get(episode, "times");
    return 0;
}

static int add_series(json_t *by_labels, json_t *episodes, const json_t *series, int64_t back_ms)
{
    json_t *labels = labels_of_series(json_object_get(series, "metric")), *times, *sample;
    size_t i;
    int error = add_episode(by_labels, episodes, labels, "past", &times);

    json_array_foreach(json_object_get(series, "values"), i, sample)
    {
        const double seconds = json_number_value(json_array_get(sample, 0));
        if (error == 0)
            json_array_append_new(times,
                                  json_integer((json_int_t)(seconds * 1000.0) - back_ms));
    }
    json_decref(labels);
    return error;
}

json_t *consequences_episodes(const json_t *alerts, const json_t *matrix, int64_t now_ms,
                              int64_t back_ms)
{
    json_t *by_labels = json_object(), *episodes = json_array(), *one, *times;
    size_t i;
    int error = 0;

    json_array_foreach(alerts, i, one)
    {
        if (error != 0 || strcmp(member(one, "state"), "firing") != 0)
            continue;
        error = add_episode(by_labels, episodes, json_object_get(one, "labels"), "firing",
                            &times);
        if (error == 0)
            json_array_append_new(times, json_integer(now_ms));
    }
    json_array_foreach(json_object_get(matrix, "result"), i, one)
    {
        if (error == 0)
            error = add_series(by_labels, episodes, one, back_ms);
    }
    json_decref(by_labels);
    if (error == 0)
        return episodes;
    json_decref(episodes);
    return NULL;
}
