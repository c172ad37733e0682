/*
 * define.c - definitions become series: identity stamped, limits kept, ids remembered.
 */
#include <string.h>

#include "collector/ingest/state.h"
#include "proto/base/error.h"

#define PAIRS_MAX (2 * SERIES_LABELS_MAX + 3)
#define EXPORTED  "exported_"
/* Times a label may be renamed: exported_exported_x is seen, more is not. */
#define RENAMES_MAX 4

/* What definitions of one message were last granted: those of a target come in a row. */
struct grant {
    struct bytes asked_job, asked_instance;
    struct bytes job, instance;
    bool is_known;
};

static struct bytes label_value(const struct definition *definition, const char *name)
{
    for (size_t i = 0; i < definition->label_count; i++)
        if (bytes_equal(definition->labels[i].name, bytes_of(name)))
            return definition->labels[i].value;
    return (struct bytes){0};
}

/* The host's own name, or that and a colon before whatever tells its targets apart. */
static bool is_below(const struct key_entry *entry, struct bytes instance)
{
    size_t size = strlen(entry->instance);
    return instance.size >= size && memcmp(instance.data, entry->instance, size) == 0 &&
           (instance.size == size || instance.data[size] == ':');
}

struct nearer {
    const struct key_entry *entry;
    struct bytes instance;
    bool is_found;
};

/* "db" asks for "db:2", and there is a key of that name: what is below it is the nearer's. */
static void look_nearer(void *context, struct key_entry *other)
{
    struct nearer *nearer = context;
    if (other != nearer->entry && other->standing == KEY_APPROVED &&
        strlen(other->instance) > strlen(nearer->entry->instance) &&
        is_below(other, nearer->instance))
        nearer->is_found = true;
}

/* Is this identity bound to another key, or one of its targets'? */
static bool is_taken(struct ingest *ingest, const struct key_entry *entry, struct bytes job,
                     struct bytes instance)
{
    struct nearer nearer = {entry, instance, false};
    char job_text[LABEL_VALUE_BYTES_MAX + 1], instance_text[LABEL_VALUE_BYTES_MAX + 1];
    if (job.size > LABEL_VALUE_BYTES_MAX || instance.size > LABEL_VALUE_BYTES_MAX)
        return true;
    memcpy(job_text, job.data, job.size);
    memcpy(instance_text, instance.data, instance.size);
    job_text[job.size] = instance_text[instance.size] = '\0';
    const struct key_entry *holder = keys_find_instance(&ingest->keys, job_text, instance_text);
    if (holder != NULL && holder != entry)
        return true;
    keys_each(&ingest->keys, look_nearer, &nearer);
    return nearer.is_found;
}

static bool is_job_allowed(const struct ingest *ingest, struct bytes job)
{
    const struct ingest_options *options = &ingest->options;
    for (size_t i = 0; i < options->scrape_job_count; i++)
        if (bytes_equal(job, bytes_of(options->scrape_jobs[i])))
            return true;
    return options->scrape_jobs == NULL;
}

/* A probe can ask, never assert: a job for what it scrapes, and an instance below its own name.
 * What would be the identity of another key is not granted. */
static void decide(struct ingest *ingest, const struct key_entry *entry,
                   const struct definition *definition, struct grant *grant)
{
    struct bytes job = label_value(definition, "job");
    struct bytes instance = label_value(definition, "instance");

    if (grant->is_known && bytes_equal(job, grant->asked_job) &&
        bytes_equal(instance, grant->asked_instance))
        return;
    *grant = (struct grant){.asked_job = job, .asked_instance = instance, .is_known = true};
    grant->job = bytes_of(entry->job);
    grant->instance = bytes_of(entry->instance);
    if (job.size == 0 && instance.size == 0)
        return;
    struct bytes asked_job = job.size > 0 ? job : grant->job;
    struct bytes asked_instance = is_below(entry, instance) ? instance : grant->instance;
    if ((job.size > 0 && !is_job_allowed(ingest, job)) ||
        is_taken(ingest, entry, asked_job, asked_instance))
        return;
    grant->job = asked_job;
    grant->instance = asked_instance;
}

static struct bytes value_among(const struct label *pairs, size_t count, struct bytes name)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(pairs[i].name, name))
            return pairs[i].value;
    return (struct bytes){0};
}

static bool is_among(const struct label *pairs, size_t count, struct bytes name)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(pairs[i].name, name))
            return true;
    return false;
}

/* A label of the probe's that is stamped otherwise is kept as exported_NAME, as Prometheus does
 * it: two series that differ in nothing else must not become one.  ERR_NOMEM, ERR_LIMIT. */
static int add_label(struct ingest *ingest, const struct definition *definition,
                     struct label pairs[PAIRS_MAX], size_t *count, struct label label)
{
    for (unsigned i = 0;
         is_among(pairs, *count, label.name) ||
         (i > 0 && is_among(definition->labels, definition->label_count, label.name));
         i++) {
        if (i == RENAMES_MAX || label.name.size > NAME_BYTES_MAX)
            return ERR_LIMIT;
        uint8_t *renamed = arena_alloc(&ingest->scratch, strlen(EXPORTED) + label.name.size, 1);
        if (renamed == NULL)
            return ERR_NOMEM;
        memcpy(renamed, EXPORTED, strlen(EXPORTED));
        memcpy(renamed + strlen(EXPORTED), label.name.data, label.name.size);
        label.name = (struct bytes){renamed, strlen(EXPORTED) + label.name.size};
    }
    pairs[(*count)++] = label;
    return 0;
}

/* What the key is bound to, what was granted, then the probe's own labels. */
static int stamped_labels(struct ingest *ingest, const struct key_entry *entry,
                          const struct definition *definition, const struct grant *grant,
                          const struct labels **ret_labels)
{
    struct label pairs[PAIRS_MAX];
    size_t count = 0;
    int error = 0;

    pairs[count++] = (struct label){bytes_of(LABEL_NAME), definition->name};
    pairs[count++] = (struct label){bytes_of("job"), grant->job};
    pairs[count++] = (struct label){bytes_of("instance"), grant->instance};
    for (size_t i = 0; i < entry->label_count; i++)
        pairs[count++] = entry->labels[i];
    size_t stamped = count;
    for (size_t i = 0; error == 0 && i < definition->label_count; i++) {
        const struct label *label = &definition->labels[i];
        if (bytes_equal(label->name, bytes_of(LABEL_NAME)) ||
            (is_among(pairs, stamped, label->name) &&
             bytes_equal(label->value, value_among(pairs, stamped, label->name))))
            continue; /* granted as asked, or said twice */
        error = add_label(ingest, definition, pairs, &count, *label);
    }
    if (error == 0 && count > ingest->options.labels_limit)
        error = ERR_LIMIT;
    return error == 0 ? labels_build(pairs, count, &ingest->scratch, ret_labels) : error;
}

/* `up` under the key's own identity is the collector's word on the probe. */
static bool is_collectors_own(const struct key_entry *entry,
                              const struct definition *definition, const struct grant *grant)
{
    return bytes_equal(definition->name, bytes_of("up")) &&
           bytes_equal(grant->job, bytes_of(entry->job)) &&
           bytes_equal(grant->instance, bytes_of(entry->instance));
}

/* NULL when the definition is refused; the stream goes on without that series. */
static struct series *resolve(struct ingest *ingest, struct key_entry *entry,
                              const struct definition *definition, struct grant *grant)
{
    const struct labels *labels;
    struct series *series = NULL;
    const struct metadata metadata = {definition->type, definition->unit, definition->help};

    decide(ingest, entry, definition, grant);
    if (is_collectors_own(entry, definition, grant) ||
        stamped_labels(ingest, entry, definition, grant, &labels) != 0) {
        ingest->counters.series_refused_labels++;
        return NULL;
    }
    if (entry->series_count >= ingest->options.series_limit_per_probe ||
        store_series_resolve(ingest->store, labels, &metadata, &series) != 0) {
        ingest->counters.series_refused_limit++;
        return NULL;
    }
    entry->series_count++;
    store_series_set_source(series, entry->source);
    return series;
}

int intake_definitions(struct ingest *ingest, struct session *session,
                       const struct definitions *definitions)
{
    struct stream *stream = session_stream(ingest, session, definitions->epoch, false);
    struct buf row = {0};
    struct grant grant = {0};
    uint8_t key[STREAM_KEY_BYTES];

    if (stream == NULL || stream->renew || definitions->first_ref > stream->definition_count)
        return 0; /* a hole: NeedKey will ask for what is missing */
    uint64_t first = stream->definition_count;
    size_t skip = (size_t)(first - definitions->first_ref);
    int error = 0;
    if (skip < definitions->count)
        (void)stream_expect(stream, definitions->count - skip);
    for (size_t i = skip; error == 0 && i < definitions->count; i++) {
        struct series *series = resolve(ingest, session->entry, &definitions->items[i], &grant);
        error = stream_define(stream, series);
        if (error != 0 && series != NULL)
            store_series_release(ingest->store, series);
    }
    uint64_t added = stream->definition_count - first;
    struct intake_write *write = added == 0 ? NULL : intake_write_of(ingest, session, stream);
    bool kept = false;
    if (write != NULL) {
        stream_write_definitions(stream, first, &row);
        size_t size = stream_row_key(stream, STREAM_DEFINITIONS, first, key);
        kept = buf_ok(&row) &&
               intake_add_put(write, (struct bytes){key, size}, buf_bytes(&row)) == 0;
    }
    if (kept)
        intake_submit(ingest, stream);
    else /* never acknowledge what a restart would not know */
        intake_take_back(ingest, session, stream, first);
    buf_done(&row);
    return error == ERR_LIMIT ? ERR_MALFORMED : 0;
}
