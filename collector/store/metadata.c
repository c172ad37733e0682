/*
 * metadata.c - a small hash of metric names.
 */
#include "collector/store/metadata.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define BUCKETS 4096u

enum saving { SAVED, UNSAVED, BEING_SAVED };

struct metadata_entry {
    struct metadata_entry *next;
    struct bytes name;
    struct metadata metadata;
    enum saving saving;
    uint8_t storage[]; /* name, unit, help */
};

int metadata_init(struct metadata_table *table)
{
    *table = (struct metadata_table){0};
    must(pthread_mutex_init(&table->lock, NULL) == 0);
    table->buckets = calloc(BUCKETS, sizeof(struct metadata_entry *));
    return table->buckets == NULL ? ERR_NOMEM : 0;
}

void metadata_done(struct metadata_table *table)
{
    for (size_t i = 0; table->buckets != NULL && i < BUCKETS; i++)
        for (struct metadata_entry *at = table->buckets[i], *next; at != NULL; at = next) {
            next = at->next;
            free(at);
        }
    free(table->buckets);
    (void)pthread_mutex_destroy(&table->lock);
}

static struct bytes place(uint8_t **to, struct bytes from)
{
    struct bytes placed = {*to, from.size};
    if (from.size > 0)
        memcpy(*to, from.data, from.size);
    *to += from.size;
    return placed;
}

static struct metadata_entry *entry_new(struct bytes name, const struct metadata *metadata)
{
    struct metadata_entry *entry =
        malloc(sizeof *entry + name.size + metadata->unit.size + metadata->help.size);
    if (entry == NULL)
        return NULL;
    uint8_t *to = entry->storage;
    entry->next = NULL;
    entry->saving = SAVED;
    entry->name = place(&to, name);
    entry->metadata.type = metadata->type;
    entry->metadata.unit = place(&to, metadata->unit);
    entry->metadata.help = place(&to, metadata->help);
    return entry;
}

static bool same(const struct metadata *a, const struct metadata *b)
{
    return a->type == b->type && bytes_equal(a->unit, b->unit) && bytes_equal(a->help, b->help);
}

static struct metadata_entry **find(struct metadata_table *table, struct bytes name)
{
    struct metadata_entry **link = &table->buckets[XXH3_64bits(name.data, name.size) % BUCKETS];
    while (*link != NULL && !bytes_equal((*link)->name, name))
        link = &(*link)->next;
    return link;
}

static int set(struct metadata_table *table, struct bytes name, const struct metadata *metadata,
               enum saving saving)
{
    struct metadata_entry **link = find(table, name);
    if (*link != NULL && same(&(*link)->metadata, metadata))
        return 0;
    struct metadata_entry *entry = entry_new(name, metadata);
    if (entry == NULL)
        return ERR_NOMEM;
    entry->saving = saving;
    table->unsaved += saving == UNSAVED;
    if (*link != NULL) {
        struct metadata_entry *old = *link;
        table->unsaved -= old->saving == UNSAVED;
        table->being_saved -= old->saving == BEING_SAVED;
        entry->next = old->next;
        free(old);
    } else {
        table->count++;
    }
    *link = entry;
    return 0;
}

int metadata_note(struct metadata_table *table, struct bytes name,
                  const struct metadata *metadata)
{
    if (name.size == 0 || name.size > LIVE_KEY_BYTES_MAX ||
        (metadata->type == METRIC_UNKNOWN && metadata->unit.size == 0 &&
         metadata->help.size == 0))
        return 0;
    must(pthread_mutex_lock(&table->lock) == 0);
    int error = set(table, name, metadata, UNSAVED);
    must(pthread_mutex_unlock(&table->lock) == 0);
    return error;
}

/* -- saving ------------------------------------------------------------------------------ */

static int put_entry(const struct live *live, MDB_txn *txn, const struct metadata_entry *entry)
{
    struct buf out = {0};
    buf_put_u8(&out, (uint8_t)entry->metadata.type);
    buf_put_sized(&out, entry->metadata.unit);
    buf_put_sized(&out, entry->metadata.help);
    int code = ENOMEM;
    if (buf_ok(&out)) {
        code = sealed_put(txn, live->tables[LIVE_METADATA], entry->name, buf_bytes(&out), 0);
    }
    buf_done(&out);
    return code;
}

int metadata_put(struct metadata_table *table, const struct live *live, MDB_txn *txn)
{
    int code = MDB_SUCCESS;
    must(pthread_mutex_lock(&table->lock) == 0);
    for (size_t i = 0; table->unsaved > 0 && i < BUCKETS && code == MDB_SUCCESS; i++)
        for (struct metadata_entry *at = table->buckets[i]; at != NULL; at = at->next) {
            if (at->saving != UNSAVED)
                continue;
            code = put_entry(live, txn, at);
            if (code != MDB_SUCCESS)
                break;
            at->saving = BEING_SAVED;
            table->unsaved--;
            table->being_saved++;
        }
    must(pthread_mutex_unlock(&table->lock) == 0);
    return code;
}

void metadata_settle(struct metadata_table *table, bool stored)
{
    must(pthread_mutex_lock(&table->lock) == 0);
    for (size_t i = 0; table->being_saved > 0 && i < BUCKETS; i++)
        for (struct metadata_entry *at = table->buckets[i]; at != NULL; at = at->next)
            if (at->saving == BEING_SAVED) {
                at->saving = stored ? SAVED : UNSAVED;
                table->unsaved += !stored;
                table->being_saved--;
            }
    must(pthread_mutex_unlock(&table->lock) == 0);
}

int metadata_load(struct metadata_table *table, struct live *live)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int error = 0;
    int code = mdb_txn_begin(live->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    code = mdb_cursor_open(txn, live->tables[LIVE_METADATA], &cursor);
    if (code == MDB_SUCCESS) {
        while (error == 0 &&
               (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
            struct bytes payload;
            if (sealed_open(bytes_of_val(key), bytes_of_val(value), &payload) != 0)
                continue; /* named and taken out when the store opened */
            struct reader reader = reader_of(payload);
            struct metadata metadata;
            metadata.type = (enum metric_type)reader_u8(&reader);
            metadata.unit = reader_sized(&reader);
            metadata.help = reader_sized(&reader);
            if (!reader.failed)
                error = set(table, bytes_of_val(key), &metadata, SAVED);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (error == 0 && code != MDB_NOTFOUND && code != MDB_SUCCESS)
        error = error_from_lmdb(code);
    return error;
}

int metadata_scan(struct metadata_table *table,
                  int (*each)(void *context, struct bytes name,
                              const struct metadata *metadata),
                  void *context)
{
    int stop = 0;
    for (size_t i = 0; i < BUCKETS && stop == 0; i++) { /* a name stays in its bucket */
        must(pthread_mutex_lock(&table->lock) == 0);
        for (struct metadata_entry *at = table->buckets[i]; at != NULL && stop == 0;
             at = at->next)
            stop = each(context, at->name, &at->metadata);
        must(pthread_mutex_unlock(&table->lock) == 0);
    }
    return stop;
}
