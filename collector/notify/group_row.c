/*
 * group_row.c - see group_row.h.
 */
#include "collector/notify/group_row.h"

#include <stdlib.h>

#include "proto/base/error.h"

#define GROUP_ROW_VERSION 4
#define GROUP_ROW_THREAD  3 /* knew no flapping alerts */
#define GROUP_ROW_MUTED   2 /* knew no threads */
#define GROUP_ROW_OLDEST  1 /* knew no muted alerts */
#define SET_MAX           1000000u

static void write_set(const struct fingerprints *set, struct buf *out)
{
    buf_put_varint(out, set->count);
    for (size_t i = 0; i < set->count; i++)
        buf_put_u64(out, set->items[i]);
}

static int read_set(struct reader *reader, struct fingerprints *ret_set)
{
    uint64_t count = reader_varint(reader);
    if (reader->failed || count > SET_MAX || count * 8 > reader_left(reader))
        return ERR_CORRUPT;
    ret_set->items = calloc(count + 1, sizeof(uint64_t));
    if (ret_set->items == NULL)
        return ERR_NOMEM;
    ret_set->count = count;
    for (size_t i = 0; i < count; i++)
        ret_set->items[i] = reader_u64(reader);
    return 0;
}

void group_write(const struct group *group, int64_t now_ms, mono_ns now, struct buf *out)
{
    int64_t left_ms = group->due > now ? (int64_t)((group->due - now) / NS_PER_MS) : 0;
    buf_put_u8(out, GROUP_ROW_VERSION);
    buf_put_sized(out, bytes_of(group->key));
    buf_put_sized(out, bytes_of(group->receiver->name));
    buf_put_u8(out, group->flushed);
    buf_put_zigzag(out, now_ms + left_ms);
    buf_put_varint(out, group->receiver->integration_count);
    for (size_t i = 0; i < group->receiver->integration_count; i++) {
        const struct dedup_record *record = &group->records[i];
        buf_put_sized(out, bytes_of(group->receiver->integrations[i].channel->name));
        buf_put_varint(out, group->receiver->integrations[i].index);
        buf_put_u8(out, record->said);
        buf_put_zigzag(out, record->said_ms);
        write_set(&record->firing, out);
        write_set(&record->resolved, out);
        write_set(&record->muted, out);
        buf_put_sized(out, bytes_of(record->thread));
        write_set(&record->flapping, out);
    }
}

static int read_thread(struct reader *reader, char thread[DEDUP_THREAD_BYTES])
{
    struct bytes id = reader_sized(reader);
    if (reader->failed || id.size >= DEDUP_THREAD_BYTES)
        return ERR_CORRUPT;
    if (id.size > 0)
        memcpy(thread, id.data, id.size);
    return 0;
}

/* One integration's record, into the group's integration of the same channel and index; dropped
 * if there is none any more or `group` is NULL. */
static int read_record(struct reader *reader, uint8_t version, struct group *group)
{
    struct dedup_record record = {0};
    struct bytes channel = reader_sized(reader);
    uint64_t index = reader_varint(reader);
    size_t i = 0, count = group == NULL ? 0 : group->receiver->integration_count;
    int error;

    record.said = reader_u8(reader) != 0;
    record.said_ms = reader_zigzag(reader);
    error = read_set(reader, &record.firing);
    if (error == 0)
        error = read_set(reader, &record.resolved);
    if (error == 0 && version > GROUP_ROW_OLDEST)
        error = read_set(reader, &record.muted);
    if (error == 0 && version > GROUP_ROW_MUTED)
        error = read_thread(reader, record.thread);
    if (error == 0 && version > GROUP_ROW_THREAD)
        error = read_set(reader, &record.flapping);
    for (; error == 0 && i < count; i++) {
        const struct integration *integration = &group->receiver->integrations[i];
        if (integration->index == index &&
            bytes_equal(bytes_of(integration->channel->name), channel))
            break;
    }
    if (error != 0 || i == count) {
        dedup_record_done(&record);
        return error;
    }
    dedup_record_done(&group->records[i]);
    group->records[i] = record;
    return 0;
}

/* Reads a row; `group` NULL only checks it. */
static int read_row(struct bytes row, struct group *group, uint64_t *ret_hash,
                    bool *ret_flushed, int64_t *ret_due_ms)
{
    struct reader reader = reader_of(row);
    struct bytes key, receiver;
    uint64_t hash = UINT64_C(14695981039346656037), count;
    const uint8_t version = reader_u8(&reader);
    int error = 0;

    if (version < GROUP_ROW_OLDEST || version > GROUP_ROW_VERSION)
        return ERR_CORRUPT;
    key = reader_sized(&reader);
    receiver = reader_sized(&reader);
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ key.data[i]) * UINT64_C(1099511628211);
    hash = (hash ^ 0xFF) * UINT64_C(1099511628211);
    for (size_t i = 0; i < receiver.size; i++)
        hash = (hash ^ receiver.data[i]) * UINT64_C(1099511628211);
    *ret_hash = hash;
    *ret_flushed = reader_u8(&reader) != 0;
    *ret_due_ms = reader_zigzag(&reader);
    count = reader_varint(&reader);
    for (uint64_t i = 0; error == 0 && i < count && !reader.failed; i++)
        error = read_record(&reader, version, group);
    if (error == 0 && (reader.failed || reader_left(&reader) != 0))
        error = ERR_CORRUPT;
    return error;
}

int groups_remember(struct groups *groups, struct bytes row)
{
    struct group_memory *memory = calloc(1, sizeof *memory);
    uint8_t *copy = malloc(row.size + 1);
    int error = memory == NULL || copy == NULL ? ERR_NOMEM : 0;

    if (error == 0)
        error = read_row(row, NULL, &memory->hash, &memory->flushed, &memory->due_ms);
    if (error != 0) {
        free(memory);
        free(copy);
        return error;
    }
    memcpy(copy, row.data, row.size);
    memory->row = (struct bytes){copy, row.size};
    memory->next = groups->memories[memory->hash % GROUP_BUCKETS];
    groups->memories[memory->hash % GROUP_BUCKETS] = memory;
    return 0;
}

struct group_memory *group_row_recall(const struct groups *groups, uint64_t hash)
{
    for (struct group_memory *at = groups->memories[hash % GROUP_BUCKETS]; at != NULL; at = at->next)
        if (at->hash == hash)
            return at;
    return NULL;
}

int group_row_restore(const struct group_memory *memory, struct group *group)
{
    uint64_t hash;
    bool flushed;
    int64_t due_ms;
    int error = read_row(memory->row, group, &hash, &flushed, &due_ms);
    if (error == 0)
        group->flushed = flushed;
    return error;
}

void group_row_forget(struct groups *groups, struct group_memory *memory)
{
    struct group_memory **at = &groups->memories[memory->hash % GROUP_BUCKETS];
    while (*at != memory)
        at = &(*at)->next;
    *at = memory->next;
    free((void *)(uintptr_t)memory->row.data);
    free(memory);
}
