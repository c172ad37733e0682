/*
 * scrape_series.c - one target's series between two pages (scrape_series.h).
 *
 * Labels that both the target and the page have go as Prometheus has it: the target's stays,
 * the page's becomes exported_NAME (again exported_ while that is taken, too); honor_labels
 * turns it round: the page's stays, the target's is left out.
 */
#include "probe/source/scrape_series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/base/random.h"

#define FIRST_CAPACITY 64
#define EXPORTED       "exported_"

static const struct metric told[SCRAPE_TOLD] = {
    {"up", METRIC_GAUGE, "Whether the target was scraped.", NULL},
    {"scrape_duration_seconds", METRIC_GAUGE, "How long the scrape took.", NULL},
    {"scrape_samples_scraped", METRIC_GAUGE, "Samples the target's page had.", NULL},
    {"scrape_samples_post_metric_relabeling", METRIC_GAUGE, "Samples left after keep and drop.",
     NULL},
    {"scrape_series_added", METRIC_GAUGE, "Series that were new in this scrape.", NULL},
};

struct scrape_entry {
    uint64_t hash;
    double value;
    int64_t time_ms; /* its own; 0: the page's */
    series_handle handle;
    uint32_t round; /* when it was last met */
    bool is_dropped;
    bool is_fresh; /* its texts are in `fresh`, in the order of the entries */
};

static void table_put(struct scrape_series *series, uint64_t hash, size_t at)
{
    size_t mask = series->table_size - 1;
    size_t slot = (size_t)hash & mask;
    while (series->table[slot] != 0)
        slot = (slot + 1) & mask;
    series->table[slot] = (uint32_t)(at + 1);
}

static void fill_table(struct scrape_series *series)
{
    memset(series->table, 0, series->table_size * sizeof *series->table);
    for (size_t i = 0; i < series->count; i++)
        table_put(series, series->entries[i].hash, i);
}

static int grow(struct scrape_series *series)
{
    size_t capacity = series->capacity == 0 ? FIRST_CAPACITY : series->capacity * 2;
    struct scrape_entry *entries =
        reallocarray(series->entries, capacity, sizeof *series->entries);
    if (entries == NULL)
        return ERR_NOMEM;
    series->entries = entries;
    uint32_t *table = calloc(capacity * 2, sizeof *table);
    if (table == NULL)
        return ERR_NOMEM;
    free(series->table);
    series->table = table;
    series->table_size = capacity * 2;
    series->capacity = capacity;
    fill_table(series);
    return 0;
}

static struct scrape_entry *find(const struct scrape_series *series, uint64_t hash)
{
    if (series->table_size == 0)
        return NULL;
    size_t mask = series->table_size - 1;
    for (size_t slot = (size_t)hash & mask; series->table[slot] != 0;
         slot = (slot + 1) & mask) {
        struct scrape_entry *entry = &series->entries[series->table[slot] - 1];
        if (entry->hash == hash)
            return entry;
    }
    return NULL;
}

/* Each run with its size, so that nothing runs together. */
static uint64_t hash_of(const struct scrape_series *series,
                        const struct exposition_sample *sample)
{
    uint64_t hash = XXH3_64bits_withSeed(sample->name.data, sample->name.size, series->seed);
    for (size_t i = 0; i < sample->label_count; i++) {
        const struct label *label = &sample->labels[i];
        hash = XXH3_64bits_withSeed(label->name.data, label->name.size, hash);
        hash = XXH3_64bits_withSeed(label->value.data, label->value.size, hash + 1);
    }
    return hash;
}

void scrape_series_begin(struct scrape_series *series)
{
    if (series->seed == 0 && random_fill(&series->seed, sizeof series->seed) != 0)
        series->seed = (uint64_t)(uintptr_t)series;
    series->round++;
    series->scraped = series->kept = series->fresh_count = 0;
    series->fresh.limit = SCRAPE_FRESH_BYTES_MAX;
    buf_clear(&series->fresh);
}

static int check_limits(const struct scrape_rules *rules,
                        const struct exposition_sample *sample, struct diagnosis *why)
{
    if (rules->label_limit > 0 && sample->label_count + rules->label_count > rules->label_limit)
        return diagnose(why, ERR_LIMIT, "label_limit: %.*s has more than %zu labels",
                        (int)sample->name.size, (const char *)sample->name.data,
                        rules->label_limit);
    for (size_t i = 0; i < sample->label_count; i++) {
        const struct label *label = &sample->labels[i];
        if (rules->name_bytes_limit > 0 && label->name.size > rules->name_bytes_limit)
            return diagnose(why, ERR_LIMIT,
                            "label_name_length_limit: a label of %.*s is longer",
                            (int)sample->name.size, (const char *)sample->name.data);
        if (rules->value_bytes_limit > 0 && label->value.size > rules->value_bytes_limit)
            return diagnose(why, ERR_LIMIT,
                            "label_value_length_limit: a value of %.*s is longer",
                            (int)sample->name.size, (const char *)sample->name.data);
    }
    return 0;
}

static const struct label *label_named(const struct label *labels, size_t count,
                                       struct bytes name)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(labels[i].name, name))
            return &labels[i];
    return NULL;
}

/* The page's name of a label, or the one it gets; appended with a NUL. */
static void put_label_name(struct buf *out, const struct scrape_rules *rules,
                           const struct exposition_sample *sample, struct bytes name)
{
    char renamed[NAME_BYTES_MAX + 1];
    size_t size = name.size;
    memcpy(renamed, name.data, size);
    bool is_taken =
        !rules->honor_labels && label_named(rules->labels, rules->label_count, name) != NULL;
    while (is_taken && size + strlen(EXPORTED) <= NAME_BYTES_MAX) {
        memmove(renamed + strlen(EXPORTED), renamed, size);
        memcpy(renamed, EXPORTED, strlen(EXPORTED));
        size += strlen(EXPORTED);
        struct bytes now = {(const uint8_t *)renamed, size};
        is_taken = label_named(rules->labels, rules->label_count, now) != NULL ||
                   label_named(sample->labels, sample->label_count, now) != NULL;
    }
    buf_put_sized(out, (struct bytes){(const uint8_t *)renamed, size});
}

static void put_text(struct buf *out, struct bytes text)
{
    buf_put_sized(out, text);
    buf_put_u8(out, 0);
}

/* name NUL | type | unit NUL | help NUL | count | label name, value, ...  (each text sized) */
static int put_fresh(struct scrape_series *series, const struct exposition_sample *sample)
{
    static const struct exposition_family unknown = {.type = METRIC_UNKNOWN};
    const struct exposition_family *family = sample->family == NULL ? &unknown : sample->family;
    const struct scrape_rules *rules = series->rules;
    struct buf *out = &series->fresh;
    size_t targets = 0;

    put_text(out, sample->name);
    buf_put_varint(out, (uint64_t)family->type);
    put_text(out, family->unit);
    put_text(out, family->help);
    for (size_t i = 0; i < rules->label_count; i++)
        targets += !rules->honor_labels || label_named(sample->labels, sample->label_count,
                                                       rules->labels[i].name) == NULL;
    buf_put_varint(out, sample->label_count + targets);
    for (size_t i = 0; i < sample->label_count; i++) {
        put_label_name(out, rules, sample, sample->labels[i].name);
        buf_put_sized(out, sample->labels[i].value);
    }
    for (size_t i = 0; i < rules->label_count; i++) {
        const struct label *label = &rules->labels[i];
        if (rules->honor_labels &&
            label_named(sample->labels, sample->label_count, label->name) != NULL)
            continue;
        buf_put_sized(out, label->name);
        buf_put_sized(out, label->value);
    }
    series->fresh_count++;
    return out->failed ? ERR_LIMIT : 0;
}

static bool is_unwanted(const struct scrape_rules *rules,
                        const struct exposition_sample *sample)
{
    return (rules->keep != NULL && !pattern_matches(rules->keep, sample->name)) ||
           pattern_matches(rules->drop, sample->name);
}

static int add(struct scrape_series *series, const struct exposition_sample *sample,
               uint64_t hash, struct scrape_entry **ret_entry, struct diagnosis *why)
{
    if (series->count == series->capacity) {
        int error = grow(series);
        if (error != 0)
            return diagnose(why, error, "out of memory");
    }
    struct scrape_entry entry = {.hash = hash, .handle = SERIES_NONE};
    entry.is_dropped = is_unwanted(series->rules, sample);
    entry.is_fresh = !entry.is_dropped;
    if (entry.is_fresh && put_fresh(series, sample) != 0)
        return diagnose(why, ERR_LIMIT, "too many new series with too long texts");
    series->entries[series->count] = entry;
    table_put(series, hash, series->count);
    *ret_entry = &series->entries[series->count++];
    return 0;
}

int scrape_series_take(struct scrape_series *series, const struct exposition_sample *sample,
                       struct diagnosis *why)
{
    const struct scrape_rules *rules = series->rules;
    uint64_t hash = hash_of(series, sample);
    struct scrape_entry *entry = find(series, hash);

    series->scraped++;
    int error = check_limits(rules, sample, why);
    if (error == 0 && entry == NULL && series->count >= SCRAPE_DROPPED_MAX &&
        is_unwanted(rules, sample))
        return 0; /* asked again each time: a page must not fill the memory with what it lost */
    if (error == 0 && entry == NULL)
        error = add(series, sample, hash, &entry, why);
    if (error != 0)
        return error;
    if (entry->round == series->round && !entry->is_dropped)
        return 0; /* twice on one page: the first counts */
    entry->round = series->round;
    if (entry->is_dropped)
        return 0;
    if (series->kept == rules->sample_limit)
        return diagnose(why, ERR_LIMIT, "sample_limit: the page has more than %zu samples",
                        rules->sample_limit);
    series->kept++;
    entry->value = sample->value;
    entry->time_ms = sample->has_time && rules->honor_timestamps ? sample->time_ms : 0;
    return 0;
}

/* Registers what the page has brought; in the order of the entries. */
static void register_fresh(struct scrape_series *series, struct emitter *out)
{
    struct reader reader = reader_of(buf_bytes(&series->fresh));
    struct label labels[2 * SERIES_LABELS_MAX];

    for (size_t i = 0; i < series->count && series->fresh_count > 0; i++) {
        struct scrape_entry *entry = &series->entries[i];
        if (!entry->is_fresh)
            continue;
        entry->is_fresh = false;
        struct metric metric = {0};
        metric.name = (const char *)reader_sized(&reader).data;
        (void)reader_u8(&reader);
        metric.type = (enum metric_type)reader_varint(&reader);
        metric.unit = (const char *)reader_sized(&reader).data;
        (void)reader_u8(&reader);
        metric.help = (const char *)reader_sized(&reader).data;
        (void)reader_u8(&reader);
        size_t count = (size_t)reader_varint(&reader);
        must(!reader.failed && count <= 2 * SERIES_LABELS_MAX);
        for (size_t k = 0; k < count; k++) {
            labels[k].name = reader_sized(&reader);
            labels[k].value = reader_sized(&reader);
        }
        entry->handle = emitter_series(out, &metric, labels, count);
        series->fresh_count--;
    }
    buf_done(&series->fresh); /* rare once a target is known */
}

/* Drops the entries that this page did not have. */
static void sweep(struct scrape_series *series, struct emitter *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < series->count; i++) {
        const struct scrape_entry *entry = &series->entries[i];
        if (entry->round == series->round) {
            series->entries[kept++] = *entry;
            continue;
        }
        if (entry->handle != SERIES_NONE && entry->time_ms == 0)
            emitter_end(out, entry->handle);
    }
    if (kept == series->count)
        return;
    series->count = kept;
    fill_table(series);
}

/* By time, by series, and as they stand on the page. */
static int compare_late(const void *a, const void *b)
{
    const struct scrape_entry *left = *(const struct scrape_entry *const *)a;
    const struct scrape_entry *right = *(const struct scrape_entry *const *)b;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    if (left->handle != right->handle)
        return left->handle < right->handle ? -1 : 1;
    return left < right ? -1 : left > right;
}

static int make_late_room(struct scrape_series *series, size_t count)
{
    if (count <= series->late_capacity)
        return 0;
    const struct scrape_entry **late = reallocarray(series->late, count, sizeof *late);
    if (late != NULL)
        series->late = late;
    series_handle *handles = reallocarray(series->late_handles, count, sizeof *handles);
    if (handles != NULL)
        series->late_handles = handles;
    double *values = reallocarray(series->late_values, count, sizeof *values);
    if (values != NULL)
        series->late_values = values;
    if (late == NULL || handles == NULL || values == NULL)
        return ERR_NOMEM;
    series->late_capacity = count;
    return 0;
}

/* The samples of one time, from `first` on, as columns; returns their number, and in *ret_next
 * where the next time begins.  Two samples of a page may be one series in the end (a label that
 * is renamed, a target's label that the page has, too): then the first counts. */
static size_t fill_columns(struct scrape_series *series, size_t first, size_t count,
                           size_t *ret_next)
{
    const struct scrape_entry *const *late = series->late;
    size_t size = 0, at = first;
    for (; at < count && late[at]->time_ms == late[first]->time_ms; at++) {
        if (size > 0 && series->late_handles[size - 1] == late[at]->handle)
            continue;
        series->late_handles[size] = late[at]->handle;
        series->late_values[size++] = late[at]->value;
    }
    *ret_next = at;
    return size;
}

/* Samples with times of their own, a group for each time. */
static int emit_late(struct scrape_series *series, struct emitter *out, size_t count)
{
    size_t filled = 0, times = 0, next;

    if (make_late_room(series, count) != 0)
        return ERR_NOMEM;
    for (size_t i = 0; i < series->count; i++)
        if (series->entries[i].time_ms != 0 && series->entries[i].handle != SERIES_NONE)
            series->late[filled++] = &series->entries[i];
    qsort(series->late, filled, sizeof *series->late, compare_late);
    for (size_t first = 0; first < filled; first = next) {
        size_t size = fill_columns(series, first, filled, &next);
        if (++times > SCRAPE_TIMES_MAX ||
            emitter_at(out, series->late[first]->time_ms, series->late_handles,
                       series->late_values, size) != 0)
            for (size_t i = 0; i < size; i++)
                emit(out, series->late_handles[i], series->late_values[i]);
    }
    return 0;
}

static int emit_all(struct scrape_series *series, struct emitter *out)
{
    size_t late = 0;
    register_fresh(series, out);
    sweep(series, out);
    for (size_t i = 0; i < series->count; i++) {
        const struct scrape_entry *entry = &series->entries[i];
        if (entry->is_dropped)
            continue;
        if (entry->time_ms != 0)
            late++;
        else
            emit(out, entry->handle, entry->value);
    }
    return late == 0 ? 0 : emit_late(series, out, late);
}

static void end_all(struct scrape_series *series, struct emitter *out)
{
    for (size_t i = 0; i < series->count; i++)
        if (series->entries[i].handle != SERIES_NONE && series->entries[i].time_ms == 0)
            emitter_end(out, series->entries[i].handle);
    series->count = 0;
    if (series->table_size > 0)
        fill_table(series);
    buf_done(&series->fresh);
}

void scrape_series_start(struct scrape_series *series, struct emitter *out)
{
    for (size_t i = 0; i < SCRAPE_TOLD; i++)
        series->told[i] =
            emitter_series(out, &told[i], series->rules->labels, series->rules->label_count);
}

int scrape_series_tell(struct scrape_series *series, bool is_up, double seconds,
                       struct emitter *out)
{
    int error = 0;
    const double values[SCRAPE_TOLD] = {is_up, seconds, is_up ? (double)series->scraped : 0,
                                        is_up ? (double)series->kept : 0,
                                        is_up ? (double)series->fresh_count : 0};
    if (is_up)
        error = emit_all(series, out);
    else
        end_all(series, out);
    for (size_t i = 0; i < SCRAPE_TOLD; i++)
        emit(out, series->told[i], values[i]);
    return error;
}

void scrape_series_done(struct scrape_series *series)
{
    free(series->entries);
    free(series->table);
    free(series->late);
    free(series->late_handles);
    free(series->late_values);
    buf_done(&series->fresh);
    series->entries = NULL;
    series->table = NULL;
    series->late = NULL;
    series->late_handles = NULL;
    series->late_values = NULL;
}
