/*
 * report_policy.c - the policy as people ask for it: the rules with the hosts each means, or
 * what one host gets and why.
 */
#include <jansson.h>
#include <stdlib.h>

#include "collector/ingest/state.h"
#include "proto/base/error.h"

#define PLAN_BYTES_MAX ((size_t)8 << 20)

static struct policy_host host_of(const struct key_entry *entry)
{
    return (struct policy_host){entry->job, entry->instance, entry->labels, entry->label_count};
}

/* -- all rules ------------------------------------------------------------------------------
 */

struct tally {
    const struct policy *policy;
    uint64_t *hosts;
};

static void count_host(void *context, struct key_entry *entry)
{
    struct tally *tally = context;
    const struct policy_host host = host_of(entry);
    if (entry->standing != KEY_APPROVED)
        return;
    for (size_t i = 0; i < policy_rule_count(tally->policy); i++)
        tally->hosts[i] += policy_rule_matches(tally->policy, i, &host);
}

static int print_rules(struct ingest *ingest, int64_t at_ms, struct buf *out)
{
    if (ingest->policy == NULL) {
        buf_put_text(out, "{\"file\":null,\"periods\":[],\"rules\":[]}");
        return buf_ok(out) ? 0 : ERR_NOMEM;
    }
    struct tally tally = {ingest->policy,
                          calloc(policy_rule_count(ingest->policy) + 1, sizeof(uint64_t))};
    if (tally.hosts == NULL)
        return ERR_NOMEM;
    keys_each(&ingest->keys, count_host, &tally);
    int error = policy_print_rules_json(ingest->policy, at_ms, tally.hosts, out);
    free(tally.hosts);
    return error;
}

/* -- one host -------------------------------------------------------------------------------
 */

struct search {
    const char *job, *instance;
    const struct key_entry *found;
};

static void find_host(void *context, struct key_entry *entry)
{
    struct search *search = context;
    if (search->found == NULL && entry->standing == KEY_APPROVED &&
        strcmp(entry->instance, search->instance) == 0 &&
        (search->job == NULL || strcmp(entry->job, search->job) == 0))
        search->found = entry;
}

static json_t *labels_json(const struct key_entry *entry)
{
    json_t *labels = json_object();
    for (size_t i = 0; i < entry->label_count; i++)
        (void)json_object_setn_new(labels, (const char *)entry->labels[i].name.data,
                                   entry->labels[i].name.size,
                                   json_stringn((const char *)entry->labels[i].value.data,
                                                entry->labels[i].value.size));
    return labels;
}

/* What was printed, as a part of something larger. */
static json_t *parsed(struct buf *printed)
{
    json_t *json = json_loadb((const char *)printed->data, printed->size, 0, NULL);
    buf_done(printed);
    return json;
}

static int print_host(struct ingest *ingest, const struct key_entry *entry, int64_t at_ms,
                      struct buf *out)
{
    struct arena arena;
    struct policy_plan plan;
    struct buf items = {0}, document = {0};
    char *text = NULL;

    arena_init(&arena, PLAN_BYTES_MAX);
    int error = push_plan(ingest, entry, at_ms, &arena, &plan);
    if (error == 0)
        error = policy_print_plan_json(&plan, &items);
    if (error == 0)
        policy_print_document(&plan, &document);
    if (error == 0) {
        json_t *row = json_pack(
            "{s:s?, s:s, s:s, s:o, s:I, s:b, s:I, s:I, s:s, s:o}", "file",
            ingest->policy == NULL ? NULL : policy_name(ingest->policy), "instance",
            entry->instance, "job", entry->job, "labels", labels_json(entry), "timeMs",
            (json_int_t)at_ms, "connected", entry->session != NULL, "version",
            (json_int_t)entry->policy_version, "inForce", (json_int_t)entry->policy_in_force,
            "document", buf_text(&document), "items", parsed(&items));
        text = row == NULL ? NULL : json_dumps(row, JSON_COMPACT);
        json_decref(row);
        if (text == NULL)
            error = ERR_NOMEM;
        else
            buf_put_text(out, text);
    }
    free(text);
    buf_done(&items);
    buf_done(&document);
    arena_reset(&arena);
    return error == 0 && !buf_ok(out) ? ERR_NOMEM : error;
}

int ingest_print_policy_json(struct ingest *ingest, const char *job, const char *instance,
                             int64_t at_ms, struct buf *out)
{
    struct search search = {.job = job, .instance = instance};
    int error;
    uv_mutex_lock(&ingest->lock);
    if (instance == NULL) {
        error = print_rules(ingest, at_ms, out);
    } else {
        keys_each(&ingest->keys, find_host, &search);
        error =
            search.found == NULL ? ERR_NOTFOUND : print_host(ingest, search.found, at_ms, out);
    }
    uv_mutex_unlock(&ingest->lock);
    return error;
}
