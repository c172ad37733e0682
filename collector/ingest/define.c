/*
 * define.c - definitions become series: identity stamped, limits kept, ids remembered.
 */
#include "collector/ingest/state.h"
#include "proto/base/error.h"

#define PAIRS_MAX (2 * SERIES_LABELS_MAX + 3)

static bool is_stamped(const struct key_entry *entry, struct bytes name)
{
    if (bytes_equal(name, bytes_of("job")) || bytes_equal(name, bytes_of("instance")) ||
        bytes_equal(name, bytes_of(LABEL_NAME)))
        return true;
    for (size_t i = 0; i < entry->label_count; i++)
        if (bytes_equal(name, entry->labels[i].name))
            return true;
    return false;
}

/* The probe's own labels, then what its key is bound to; a probe can ask, never assert. */
static int stamped_labels(struct ingest *ingest, const struct key_entry *entry,
                          const struct definition *definition,
                          const struct labels **ret_labels)
{
    struct label pairs[PAIRS_MAX];
    size_t count = 0;
    pairs[count++] = (struct label){bytes_of(LABEL_NAME), definition->name};
    pairs[count++] = (struct label){bytes_of("job"), bytes_of(entry->job)};
    pairs[count++] = (struct label){bytes_of("instance"), bytes_of(entry->instance)};
    for (size_t i = 0; i < entry->label_count; i++)
        pairs[count++] = entry->labels[i];
    for (size_t i = 0; i < definition->label_count; i++)
        if (!is_stamped(entry, definition->labels[i].name))
            pairs[count++] = definition->labels[i];
    if (count > ingest->options.labels_limit)
        return ERR_LIMIT;
    return labels_build(pairs, count, &ingest->scratch, ret_labels);
}

/* NULL when the definition is refused; the stream goes on without that series. */
static struct series *resolve(struct ingest *ingest, struct key_entry *entry,
                              const struct definition *definition)
{
    const struct labels *labels;
    struct series *series = NULL;
    const struct metadata metadata = {definition->type, definition->unit, definition->help};

    if (stamped_labels(ingest, entry, definition, &labels) != 0) {
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

static void write_row(struct buf *row, const struct series *series)
{
    buf_put_varint(row, series == NULL ? 0 : store_series_id(series));
    if (series != NULL)
        buf_put_u64(row, store_series_labels(series)->hash);
}

int intake_definitions(struct ingest *ingest, struct session *session,
                       const struct definitions *definitions)
{
    struct stream *stream = session_stream(ingest, session, definitions->epoch, false);
    struct buf items = {0}, row = {0};
    uint8_t key[STREAM_KEY_BYTES];

    if (stream == NULL || stream->renew || definitions->first_ref > stream->definition_count)
        return 0; /* a hole: NeedKey will ask for what is missing */
    uint64_t first = stream->definition_count;
    size_t skip = (size_t)(first - definitions->first_ref);
    int error = 0;
    for (size_t i = skip; error == 0 && i < definitions->count; i++) {
        struct series *series = resolve(ingest, session->entry, &definitions->items[i]);
        error = stream_define(stream, series);
        if (error == 0)
            write_row(&items, series);
        else if (series != NULL)
            store_series_release(ingest->store, series);
    }
    uint64_t added = stream->definition_count - first;
    struct intake_write *write = added == 0 ? NULL : intake_write_of(ingest, session, stream);
    bool kept = false;
    if (write != NULL) {
        buf_put_varint(&row, added);
        buf_put(&row, items.data, items.size);
        size_t size = stream_row_key(stream, STREAM_DEFINITIONS, first, key);
        kept = buf_ok(&items) && buf_ok(&row) &&
               intake_add_put(write, (struct bytes){key, size}, buf_bytes(&row)) == 0;
    }
    if (kept)
        intake_submit(ingest, stream);
    else /* never acknowledge what a restart would not know */
        intake_take_back(ingest, session, stream, first);
    buf_done(&items);
    buf_done(&row);
    return error == ERR_LIMIT ? ERR_MALFORMED : 0;
}
