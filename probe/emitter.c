/*
 * emitter.c - what many sources emit in a tick; emitter_seal.c makes batches of it.
 *
 * Values lie in one array by ref.  A bit says "emitted in this tick", another "ended in this
 * tick"; sealing walks the bits, 64 series a word, and so yields refs in ascending order
 * without sorting.  The order of emitting is kept too, because a source that came late must be
 * found again as a stretch of it.
 */
#include "probe/emitter_parts.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "probe/definition.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/base/random.h"

#define FIRST_CAPACITY 256u

int emitter_open(const struct notes *durable, struct emitter **ret_emitter)
{
    struct emitter *out = calloc(1, sizeof *out);
    if (out == NULL)
        return ERR_NOMEM;
    /* Without randomness the seed is only less secret. */
    if (random_fill(&out->seed, sizeof out->seed) != 0)
        out->seed = (uint64_t)(uintptr_t)out;
    out->durable = durable;
    pending_init(&out->pending);
    notes_init(&out->changed);
    *ret_emitter = out;
    return 0;
}

void emitter_close(struct emitter *out)
{
    if (out == NULL)
        return;
    free(out->hashes);
    free(out->values);
    free(out->emitted);
    free(out->ended);
    free(out->owners);
    free(out->order);
    free(out->sealed_refs);
    free(out->sealed_values);
    free(out->table);
    free(out->late_refs);
    free(out->late_values);
    free(out->ended_refs);
    buf_done(&out->fresh);
    buf_done(&out->scratch);
    pending_done(&out->pending);
    notes_done(&out->changed);
    free(out);
}

static bool resize(void **items, size_t old_count, size_t count, size_t size)
{
    uint8_t *grown = reallocarray(*items, count, size);
    if (grown == NULL)
        return false;
    memset(grown + old_count * size, 0, (count - old_count) * size);
    *items = grown;
    return true;
}

/* Doubles every array that goes by ref.  One that has grown when another fails is just larger.
 */
static bool grow_series(struct emitter *out)
{
    size_t old = out->capacity;
    size_t new = old == 0 ? FIRST_CAPACITY : old * 2;
    struct {
        void **items;
        size_t size;
        bool of_a_part;
    } columns[] = {
        {(void **)&out->hashes, sizeof *out->hashes, false},
        {(void **)&out->values, sizeof *out->values, false},
        {(void **)&out->order, sizeof *out->order, false},
        {(void **)&out->owners, sizeof *out->owners, false},
        {(void **)&out->sealed_refs, sizeof *out->sealed_refs, true},
        {(void **)&out->sealed_values, sizeof *out->sealed_values, true},
    };
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if ((!columns[i].of_a_part || new <= BATCH_SAMPLES_MAX) &&
            !resize(columns[i].items, old, new, columns[i].size))
            return false;
    if (!resize((void **)&out->emitted, old / WORD_BITS, new / WORD_BITS, sizeof(uint64_t)) ||
        !resize((void **)&out->ended, old / WORD_BITS, new / WORD_BITS, sizeof(uint64_t)))
        return false;
    out->capacity = (uint32_t) new;
    return true;
}

static void table_put(struct emitter *out, uint64_t hash, uint32_t ref)
{
    uint32_t mask = out->table_size - 1;
    uint32_t at = (uint32_t)hash & mask;
    while (out->table[at] != 0)
        at = (at + 1) & mask;
    out->table[at] = ref + 1;
}

static bool grow_table(struct emitter *out)
{
    uint32_t size = out->table_size == 0 ? FIRST_CAPACITY * 2 : out->table_size * 2;
    uint32_t *table = calloc(size, sizeof *table);
    if (table == NULL)
        return false;
    free(out->table);
    out->table = table;
    out->table_size = size;
    for (uint32_t ref = 0; ref < out->count; ref++)
        table_put(out, out->hashes[ref], ref);
    return true;
}

static series_handle table_find(const struct emitter *out, uint64_t hash)
{
    if (out->table_size == 0)
        return SERIES_NONE;
    uint32_t mask = out->table_size - 1;
    for (uint32_t at = (uint32_t)hash & mask; out->table[at] != 0; at = (at + 1) & mask)
        if (out->hashes[out->table[at] - 1] == hash)
            return out->table[at] - 1;
    return SERIES_NONE;
}

/* Gives the next ref to a hash.  ERR_NOMEM. */
static int add_series(struct emitter *out, uint64_t hash)
{
    if (out->count == out->capacity && !grow_series(out))
        return ERR_NOMEM;
    if ((out->count + 1) * 2 > out->table_size && !grow_table(out))
        return ERR_NOMEM;
    out->hashes[out->count] = hash;
    table_put(out, hash, out->count);
    out->count++;
    out->counts.series = out->count;
    return 0;
}

static uint64_t hash_of(const struct emitter *out, struct bytes coded)
{
    return XXH3_64bits_withSeed(coded.data, coded.size, out->seed);
}

int emitter_restore(struct emitter *out, struct bytes coded_definition)
{
    must(out->fresh.size == 0);
    if (out->count == EMITTER_SERIES_MAX)
        return ERR_LIMIT;
    int error = add_series(out, hash_of(out, coded_definition));
    out->fresh_first = out->count;
    return error;
}

static series_handle refuse(struct emitter *out, int error)
{
    if (error == ERR_NOMEM)
        out->counts.refused_nomem++;
    else
        out->counts.refused_limit++;
    return SERIES_NONE;
}

series_handle emitter_series(struct emitter *out, const struct metric *metric,
                             const struct label *labels, size_t count)
{
    struct definition definition = {
        .name = bytes_of(metric->name),
        .labels = labels,
        .label_count = count,
        .type = metric->type,
        .unit = metric->unit == NULL ? (struct bytes){0} : bytes_of(metric->unit),
        .help = metric->help == NULL ? (struct bytes){0} : bytes_of(metric->help),
    };
    buf_clear(&out->scratch);
    int error = definition_write(&definition, &out->scratch);
    if (error != 0)
        return refuse(out, error);
    struct bytes coded = buf_bytes(&out->scratch);
    uint64_t hash = hash_of(out, coded);
    series_handle found = table_find(out, hash);
    if (found != SERIES_NONE)
        return found;
    if (out->count == EMITTER_SERIES_MAX)
        return refuse(out, ERR_LIMIT);
    size_t before = out->fresh.size;
    buf_put(&out->fresh, coded.data, coded.size);
    if (!buf_ok(&out->fresh) || add_series(out, hash) != 0) {
        out->fresh.failed = false;
        out->fresh.size = before;
        return refuse(out, ERR_NOMEM);
    }
    return out->count - 1;
}

void emit(struct emitter *out, series_handle handle, double value)
{
    if (handle >= out->count)
        return;
    out->values[handle] = value;
    out->owners[handle] = out->owner;
    out->counts.samples++;
    if (bit_get(out->emitted, handle))
        return;
    if (bit_get(out->ended, handle)) {
        bit_clear(out->ended, handle);
        out->ended_count--;
    }
    /* A ref that was emitted, ended and emitted again in one tick is in the order twice at most
     * as often as there are refs to spare; past that its lateness is not worth a write. */
    bit_set(out->emitted, handle);
    if (out->order_count < out->capacity)
        out->order[out->order_count++] = handle;
}

void emitter_end(struct emitter *out, series_handle handle)
{
    if (handle >= out->count || bit_get(out->ended, handle))
        return;
    bit_clear(out->emitted, handle);
    bit_set(out->ended, handle);
    out->owners[handle] = 0;
    out->ended_count++;
}

void emitter_set_owner(struct emitter *out, uint16_t owner)
{
    out->owner = owner;
}

void emitter_end_owned(struct emitter *out, uint16_t owner)
{
    must(owner != 0);
    for (uint32_t ref = 0; ref < out->count; ref++)
        if (out->owners[ref] == owner)
            emitter_end(out, ref);
}

int emitter_record(struct emitter *out, uint32_t kind, struct bytes data)
{
    return emitter_record_at(out, kind, out->tick_ms, data);
}

int emitter_record_at(struct emitter *out, uint32_t kind, int64_t ts_ms, struct bytes data)
{
    int error = pending_add_record(&out->pending, kind, ts_ms, data);
    if (error != 0)
        out->counts.records_refused++;
    return error;
}

int emitter_log(struct emitter *out, const struct log_chunk *chunk)
{
    return pending_add_chunk(&out->pending, chunk);
}

int emitter_note(struct emitter *out, struct bytes key, struct bytes value)
{
    if (key.size == 0 || key.size > NOTE_KEY_BYTES_MAX || value.size > NOTE_VALUE_BYTES_MAX)
        return ERR_LIMIT;
    return notes_set(&out->changed, key, value, true);
}

bool emitter_noted(const struct emitter *out, size_t index, struct bytes *ret_key,
                   struct bytes *ret_value)
{
    return out->durable != NULL && notes_at(out->durable, index, ret_key, ret_value);
}

struct bytes emitter_new_definitions(const struct emitter *out, uint64_t *ret_first,
                                     uint64_t *ret_count)
{
    *ret_first = out->fresh_first;
    *ret_count = out->count - out->fresh_first;
    return buf_bytes(&out->fresh);
}

void emitter_definitions_kept(struct emitter *out)
{
    out->fresh_first = out->count;
    buf_done(&out->fresh); /* new series are rare once a host is known */
}

void emitter_begin(struct emitter *out, int64_t tick_ms)
{
    out->tick_ms = tick_ms;
}

size_t emitter_mark(const struct emitter *out)
{
    return out->order_count;
}

static bool make_late_room(struct emitter *out, size_t more)
{
    size_t need = out->late_used + more;
    if (need <= out->late_room)
        return true;
    if (!resize((void **)&out->late_refs, out->late_room, need, sizeof *out->late_refs) ||
        !resize((void **)&out->late_values, out->late_room, need, sizeof *out->late_values))
        return false;
    out->late_room = need;
    return true;
}

int emitter_at(struct emitter *out, int64_t ts_ms, const series_handle *handles,
               const double *values, size_t count)
{
    struct late_group group = {.ts_ms = ts_ms, .first = out->late_used};
    if (out->late_count >= BATCH_LATE_MAX / 2)
        return ERR_LIMIT;
    if (!make_late_room(out, count))
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        if (handles[i] >= out->count)
            continue;
        must(group.count == 0 || handles[i] > out->late_refs[out->late_used - 1]);
        out->late_refs[out->late_used] = handles[i];
        out->late_values[out->late_used++] = values[i];
        group.count++;
    }
    out->counts.samples += group.count;
    if (group.count > 0)
        out->late[out->late_count++] = group;
    return 0;
}

static int compare_refs(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

int emitter_stamp_late(struct emitter *out, size_t mark, int64_t ts_ms)
{
    must(mark <= out->order_count);
    size_t count = out->order_count - mark;
    uint32_t *refs = out->order + mark;
    int error = 0;

    if (count == 0)
        return 0;
    if (out->late_count == BATCH_LATE_MAX)
        error = ERR_LIMIT;
    else if (!make_late_room(out, count))
        error = ERR_NOMEM;
    qsort(refs, count, sizeof *refs, compare_refs);
    struct late_group group = {.ts_ms = ts_ms, .first = out->late_used};
    for (size_t i = 0; i < count; i++) {
        if (!bit_get(out->emitted, refs[i]))
            continue; /* ended since, or the second mention */
        bit_clear(out->emitted, refs[i]);
        if (error != 0)
            continue;
        out->late_refs[out->late_used] = refs[i];
        out->late_values[out->late_used++] = out->values[refs[i]];
        group.count++;
    }
    out->order_count = (uint32_t)mark;
    if (error == 0 && group.count > 0)
        out->late[out->late_count++] = group;
    return error;
}

struct bytes emitter_changed_notes(const struct emitter *out)
{
    return notes_bytes(&out->changed);
}

bool emitter_is_empty(const struct emitter *out)
{
    return out->order_count == 0 && out->late_count == 0 && out->ended_count == 0 &&
           pending_is_empty(&out->pending) && out->changed.run.size == 0;
}

const struct emitter_counts *emitter_counts(const struct emitter *out)
{
    return &out->counts;
}
