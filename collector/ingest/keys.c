#include "collector/ingest/keys.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>
#include <zmq.h>

#include "proto/base/error.h"

#define KEY_PREFIX    "key/"
#define KEY_ROW_BYTES (4 + CURVE_KEY_BYTES)

static const char *const standing_names[] = {"pending", "approved", "revoked"};

static size_t bucket_of(const uint8_t key[CURVE_KEY_BYTES])
{
    return XXH3_64bits(key, CURVE_KEY_BYTES) % KEY_BUCKETS;
}

static void entry_free(struct key_entry *entry)
{
    if (entry == NULL)
        return;
    free(entry->job);
    free(entry->instance);
    free(entry->labels);
    free(entry);
}

static struct key_entry *entry_new(struct key_table *table, const uint8_t key[CURVE_KEY_BYTES])
{
    struct key_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    memcpy(entry->key, key, CURVE_KEY_BYTES);
    (void)zmq_z85_encode(entry->text, key, CURVE_KEY_BYTES);
    entry->source = XXH3_64bits(key, CURVE_KEY_BYTES);
    entry->interval_ms = 5000;
    size_t bucket = bucket_of(key);
    entry->next = table->buckets[bucket];
    table->buckets[bucket] = entry;
    table->count++;
    return entry;
}

struct key_entry *keys_find(const struct key_table *table, const uint8_t key[CURVE_KEY_BYTES])
{
    struct key_entry *entry = table->buckets[bucket_of(key)];
    while (entry != NULL && memcmp(entry->key, key, CURVE_KEY_BYTES) != 0)
        entry = entry->next;
    return entry;
}

void keys_each(const struct key_table *table, void (*each)(void *context, struct key_entry *),
               void *context)
{
    for (size_t i = 0; i < KEY_BUCKETS; i++)
        for (struct key_entry *entry = table->buckets[i]; entry != NULL; entry = entry->next)
            each(context, entry);
}

struct key_entry *keys_find_instance(const struct key_table *table, const char *job,
                                     const char *instance)
{
    for (size_t i = 0; i < KEY_BUCKETS; i++)
        for (struct key_entry *entry = table->buckets[i]; entry != NULL; entry = entry->next)
            if (entry->standing == KEY_APPROVED && strcmp(entry->job, job) == 0 &&
                strcmp(entry->instance, instance) == 0)
                return entry;
    return NULL;
}

struct key_entry *keys_add_pending(struct key_table *table, const uint8_t key[CURVE_KEY_BYTES],
                                   int64_t now_ms)
{
    if (table->pending_count >= PENDING_KEYS_MAX)
        return NULL;
    struct key_entry *entry = entry_new(table, key);
    if (entry == NULL)
        return NULL;
    entry->standing = KEY_PENDING;
    entry->first_seen_ms = now_ms;
    table->pending_count++;
    return entry;
}

/* One allocation: the pairs, then their bytes. */
static struct label *copy_labels(const struct label *labels, size_t count)
{
    size_t size = count * sizeof *labels;
    for (size_t i = 0; i < count; i++)
        size += labels[i].name.size + labels[i].value.size;
    struct label *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL)
        return NULL;
    uint8_t *at = (uint8_t *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i].name = (struct bytes){at, labels[i].name.size};
        memcpy(at, labels[i].name.data, labels[i].name.size);
        at += labels[i].name.size;
        copy[i].value = (struct bytes){at, labels[i].value.size};
        if (labels[i].value.size > 0)
            memcpy(at, labels[i].value.data, labels[i].value.size);
        at += labels[i].value.size;
    }
    return copy;
}

int keys_set_identity(struct key_entry *entry, struct bytes job, struct bytes instance,
                      const struct label *labels, size_t count)
{
    char *new_job = bytes_copy_text(job.size == 0 ? bytes_of("node") : job);
    char *new_instance = bytes_copy_text(instance);
    struct label *new_labels = copy_labels(labels, count);
    if (new_job == NULL || new_instance == NULL || new_labels == NULL) {
        free(new_job);
        free(new_instance);
        free(new_labels);
        return ERR_NOMEM;
    }
    free(entry->job);
    free(entry->instance);
    free(entry->labels);
    entry->job = new_job;
    entry->instance = new_instance;
    entry->labels = new_labels;
    entry->label_count = count;
    entry->log_stream_id = XXH3_64bits(new_instance, strlen(new_instance));
    return 0;
}

/* -- rows ----------------------------------------------------------------------------------- */

static json_t *labels_to_json(const struct label *labels, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++) {
        char *name = bytes_copy_text(labels[i].name);
        if (name != NULL)
            (void)json_object_set_new(
                object, name,
                json_stringn((const char *)labels[i].value.data, labels[i].value.size));
        free(name);
    }
    return object;
}

static size_t labels_from_json(const json_t *object, struct label *labels, size_t capacity)
{
    const char *name;
    json_t *value;
    size_t count = 0;
    json_object_foreach((json_t *)object, name, value)
    {
        if (count == capacity || !json_is_string(value))
            break;
        labels[count].name = bytes_of(name);
        labels[count].value = bytes_of(json_string_value(value));
        count++;
    }
    return count;
}

static char *row_of(const struct key_entry *entry)
{
    json_t *row = json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I}", "standing",
                            standing_names[entry->standing], "job", entry->job, "instance",
                            entry->instance, "labels",
                            labels_to_json(entry->labels, entry->label_count), "interval_ms",
                            (json_int_t)entry->interval_ms, "first_seen_ms",
                            (json_int_t)entry->first_seen_ms, "approved_ms",
                            (json_int_t)entry->approved_ms);
    char *text = row == NULL ? NULL : json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(row);
    return text;
}

static int load_row(void *context, struct bytes key, struct bytes value)
{
    struct key_table *table = context;
    const char *standing, *job, *instance;
    json_t *labels_json;
    json_int_t interval_ms, first_seen_ms, approved_ms;
    struct label labels[SERIES_LABELS_MAX];

    json_t *row = json_loadb((const char *)value.data, value.size, 0, NULL);
    if (key.size != KEY_ROW_BYTES || row == NULL ||
        json_unpack(row, "{s:s, s:s, s:s, s:o, s:I, s:I, s:I}", "standing", &standing, "job",
                    &job, "instance", &instance, "labels", &labels_json, "interval_ms",
                    &interval_ms, "first_seen_ms", &first_seen_ms, "approved_ms",
                    &approved_ms) != 0) {
        json_decref(row);
        return ERR_CORRUPT;
    }
    struct key_entry *entry = entry_new(table, key.data + 4);
    int error = entry == NULL ? ERR_NOMEM : 0;
    if (error == 0) {
        size_t count = labels_from_json(labels_json, labels, SERIES_LABELS_MAX);
        error = keys_set_identity(entry, bytes_of(job), bytes_of(instance), labels, count);
        entry->standing = strcmp(standing, "approved") == 0 ? KEY_APPROVED : KEY_REVOKED;
        entry->interval_ms = interval_ms;
        entry->first_seen_ms = first_seen_ms;
        entry->approved_ms = approved_ms;
    }
    json_decref(row);
    return error;
}

int keys_load(struct key_table *table, struct store *store, struct diagnosis *why)
{
    int error = store_state_scan(store, bytes_of(KEY_PREFIX), load_row, table);
    if (error != 0)
        return diagnose(why, error, "loading approved keys: %s", error_text(error));
    return 0;
}

void keys_done(struct key_table *table, struct store *store)
{
    for (size_t i = 0; i < KEY_BUCKETS; i++)
        while (table->buckets[i] != NULL) {
            struct key_entry *entry = table->buckets[i];
            table->buckets[i] = entry->next;
            if (entry->up != NULL)
                store_series_release(store, entry->up);
            entry_free(entry);
        }
}

int keys_save(struct key_table *table, struct store *store, struct key_entry *entry,
              enum key_standing standing, int64_t now_ms, const struct store_put *token)
{
    uint8_t key[KEY_ROW_BYTES];
    struct store_put puts[2];
    enum key_standing before = entry->standing;
    int64_t approved_before_ms = entry->approved_ms;

    memcpy(key, KEY_PREFIX, 4);
    memcpy(key + 4, entry->key, CURVE_KEY_BYTES);
    entry->standing = standing;
    if (standing == KEY_APPROVED)
        entry->approved_ms = now_ms;
    char *row = row_of(entry);
    int error = row == NULL ? ERR_NOMEM : 0;
    if (error == 0) {
        puts[0] = (struct store_put){{key, sizeof key}, bytes_of(row)};
        if (token != NULL)
            puts[1] = *token;
        struct store_write write = {.puts = puts, .put_count = token == NULL ? 1 : 2};
        error = store_write_wait(store, &write);
    }
    free(row);
    if (error != 0) {
        entry->standing = before;
        entry->approved_ms = approved_before_ms;
        return error;
    }
    if (before == KEY_PENDING && standing != KEY_PENDING)
        table->pending_count--;
    return 0;
}
