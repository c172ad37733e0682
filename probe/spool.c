#include "probe/spool_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/definition.h"
#include "probe/emitter_tick.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define SEGMENT_BYTES_LEAST ((uint64_t)64 << 10)
#define SEGMENT_BYTES_MOST  ((uint64_t)1 << 20)
#define SEGMENTS_IN_LIMIT   64
/* A frame buffer larger than this is given back. */
#define FRAME_BYTES_KEPT ((size_t)64 << 10)

static uint64_t choose_segment_bytes(const struct spool_options *options)
{
    uint64_t bytes = options->segment_bytes;
    if (bytes == 0) {
        bytes = options->limit_bytes / SEGMENTS_IN_LIMIT;
        if (bytes < SEGMENT_BYTES_LEAST)
            bytes = SEGMENT_BYTES_LEAST;
        if (bytes > SEGMENT_BYTES_MOST)
            bytes = SEGMENT_BYTES_MOST;
    }
    return bytes;
}

/* Why the newest epoch in the folder cannot go on; NULL if it can. */
static const char *reason_for_new_epoch(const struct spool *spool, bool is_wanted)
{
    if (spool->epoch_count == 0)
        return "new_spool";
    const struct spool_epoch *current = spool_current(spool);
    if (memcmp(current->boot_id, spool->boot_id, sizeof current->boot_id) != 0)
        return "reboot";
    if (current->is_damaged)
        return "definitions_damaged";
    if (is_wanted || current->definition_count > EMITTER_SERIES_MAX / 2)
        return "definitions_crowded";
    return NULL;
}

/* The current epoch goes on: opens its definitions for appending, and makes sure that numbers
 * given from now on can be told from those given before. */
static int go_on(struct spool *spool, uint64_t unconfirmed)
{
    char path[PATH_MAX];
    struct frame frame;
    struct spool_epoch *current = spool_current(spool);
    struct spool_segment *last =
        spool->segment_count == 0 ? NULL : &spool->segments[spool->segment_count - 1];

    spool_definitions_path(spool, current->epoch, path);
    int error = frame_file_open(path, &spool->definitions);
    if (error != 0) {
        spool->definitions.fd = -1;
        return error;
    }
    while (frame_read(&spool->definitions, spool->definitions.size, &spool->frame, &frame) == 0)
        spool->definitions.size = frame.next;
    spool->owes_sync = current->next_number <= 2; /* ended before it was settled */
    if (last == NULL || last->epoch != current->epoch) {
        spool->unconfirmed_from = current->next_number;
        return spool_segment_begin(spool);
    }
    spool->unconfirmed_from = unconfirmed == 0 ? current->next_number : unconfirmed;
    if (unconfirmed != 0)
        return 0;
    if (last->count > 0)
        return spool_segment_begin(spool);
    frame_begin(&spool->frame, SEGMENT_UNCONFIRMED);
    buf_put_u64(&spool->frame, current->epoch);
    buf_put_u64(&spool->frame, current->next_number);
    return frame_append(spool->io, &spool->active, &spool->frame);
}

static int open_epoch(struct spool *spool, uint64_t unconfirmed, bool is_wanted)
{
    spool->epoch_reason = reason_for_new_epoch(spool, is_wanted);
    if (spool->epoch_reason == NULL)
        return go_on(spool, unconfirmed);
    int error = spool_epoch_begin(spool, 0, 0);
    if (error == 0) {
        frame_file_close(&spool->active);
        error = spool_segment_begin(spool);
    }
    if (error == 0)
        spool_epochs_finish(spool);
    return error;
}

int spool_open(const struct spool_options *options, struct spool **ret_spool,
               struct diagnosis *why)
{
    uint64_t unconfirmed = 0;

    must(options->limit_bytes > 0 && options->age_limit_ms > 0);
    int error = file_make_directories(options->directory, why);
    if (error != 0)
        return error;
    struct spool *spool = calloc(1, sizeof *spool);
    if (spool == NULL || (spool->directory = strdup(options->directory)) == NULL) {
        free(spool);
        return diagnose(why, ERR_NOMEM, "out of memory");
    }
    spool->io = options->io;
    spool->limit_bytes = options->limit_bytes;
    spool->age_limit_ms = options->age_limit_ms;
    spool->segment_bytes = choose_segment_bytes(options);
    memcpy(spool->boot_id, options->boot_id, sizeof spool->boot_id);
    spool->active.fd = spool->definitions.fd = spool->cursor.file.fd = -1;
    notes_init(&spool->notes);
    if (strlen(spool->directory) + 64 > PATH_MAX)
        error = diagnose(why, ERR_LIMIT, "%s: path too long", spool->directory);
    if (error == 0)
        error = spool_scan(spool, &unconfirmed, why);
    if (error == 0)
        error = open_epoch(spool, unconfirmed, options->wants_epoch);
    if (error != 0) {
        (void)diagnose(why, error, "%s: %s", options->directory, error_text(error));
        spool_close(spool);
        return error;
    }
    *ret_spool = spool;
    return 0;
}

void spool_close(struct spool *spool)
{
    if (spool == NULL)
        return;
    frame_file_close(&spool->active);
    frame_file_close(&spool->definitions);
    frame_file_close(&spool->cursor.file);
    for (size_t i = 0; i < spool->epoch_count; i++)
        spool_epoch_done(&spool->epochs[i]);
    free(spool->epochs);
    free(spool->segments);
    notes_done(&spool->notes);
    buf_done(&spool->frame);
    free(spool->directory);
    free(spool);
}

const char *spool_epoch_reason(const struct spool *spool)
{
    return spool->epoch_reason;
}

uint64_t spool_epoch(const struct spool *spool)
{
    return spool_current(spool)->epoch;
}

int64_t spool_last_tick_ms(const struct spool *spool)
{
    return spool->last_tick_ms;
}

const struct notes *spool_notes(const struct spool *spool)
{
    return &spool->notes;
}

const struct spool_counts *spool_counts(const struct spool *spool)
{
    return &spool->counts;
}

bool spool_is_confirmed(const struct spool *spool)
{
    return spool->unconfirmed_from == 0;
}

static void trim_frame(struct spool *spool)
{
    if (spool->frame.capacity > FRAME_BYTES_KEPT)
        buf_done(&spool->frame);
}

/* How many items, and bytes of them, go into one frame. */
static uint64_t cut_items(struct reader *items, uint64_t count)
{
    const uint8_t *start = items->at;
    uint64_t taken = 0;
    while (taken < count && (size_t)(items->at - start) < DEFINITIONS_FRAME_BYTES) {
        must(definition_skip(items));
        taken++;
    }
    return taken;
}

int spool_add_definitions(struct spool *spool, uint64_t first_ref, uint64_t count,
                          struct bytes items)
{
    struct spool_epoch *epoch = spool_current(spool);
    struct reader reader = reader_of(items);
    uint64_t start = spool->definitions.size;
    uint64_t added = 0;
    int error = 0;

    must(first_ref == epoch->definition_count);
    while (error == 0 && added < count) {
        const uint8_t *from = reader.at;
        uint64_t taken = cut_items(&reader, count - added);
        frame_begin(&spool->frame, DEFINITIONS_ITEMS);
        buf_put_varint(&spool->frame, first_ref + added);
        buf_put_varint(&spool->frame, taken);
        buf_put(&spool->frame, from, (size_t)(reader.at - from));
        error = frame_append(spool->io, &spool->definitions, &spool->frame);
        added += taken;
    }
    if (error != 0) {
        spool->definitions.size = start; /* written again by the next try, byte for byte */
        spool->counts.write_failures++;
        return error;
    }
    epoch->definition_count += count;
    return 0;
}

static void drop_oldest(struct spool *spool)
{
    struct spool_segment segment = spool->segments[0];
    struct spool_epoch *epoch = spool_epoch_find(spool, segment.epoch);
    must(spool->segment_count > 1 && epoch != NULL);
    if (segment.count > 0) {
        uint64_t last = segment.first + segment.count - 1;
        uint64_t open = spool_epoch_count_open(epoch, segment.first, last);
        struct spool_drop drop = {.numbers = {segment.first, last},
                                  .first_tick_ms = segment.first_tick_ms,
                                  .last_tick_ms = segment.last_tick_ms,
                                  .reason = "spool_full"};
        spool->counts.batches_dropped += open;
        if (open > 0)
            spool_epoch_drop(spool, epoch, &drop);
    }
    spool_segment_remove(spool, 0);
}

static void make_room(struct spool *spool, uint64_t need, int64_t now_ms)
{
    while (spool->segment_count > 1) {
        bool is_full = spool->counts.bytes + need > spool->limit_bytes ||
                       spool->segment_count > SPOOL_SEGMENTS_MAX;
        bool is_old = spool->segments[0].last_tick_ms < now_ms - spool->age_limit_ms;
        if (!is_full && !is_old)
            return;
        drop_oldest(spool);
    }
}

int spool_append(struct spool *spool, int64_t tick_ms, struct bytes plain,
                 struct bytes changed_notes, int64_t now_ms, uint64_t *ret_number)
{
    struct spool_epoch *epoch = spool_current(spool);
    int error = epoch->next_number > 1 ? spool_epoch_settle(spool) : 0;

    if (error != 0) {
        spool->counts.write_failures++;
        return error;
    }
    make_room(spool, plain.size + changed_notes.size + FRAME_HEADER_BYTES, now_ms);
    if (spool->active.size >= spool->segment_bytes &&
        spool->segments[spool->segment_count - 1].count > 0)
        error = spool_segment_begin(spool);
    if (error != 0) {
        spool->counts.write_failures++;
        return error;
    }
    uint64_t before = spool->active.size;
    frame_begin(&spool->frame, SEGMENT_BATCH);
    buf_put_u64(&spool->frame, (uint64_t)tick_ms);
    buf_put_sized(&spool->frame, changed_notes);
    buf_put(&spool->frame, plain.data, plain.size);
    error = frame_append(spool->io, &spool->active, &spool->frame);
    trim_frame(spool);
    if (error != 0) {
        spool->counts.write_failures++;
        return error;
    }
    /* Out of memory here would only make a source look a little further back. */
    (void)notes_apply(&spool->notes, changed_notes);
    struct spool_segment *segment = &spool->segments[spool->segment_count - 1];
    if (segment->count++ == 0)
        segment->first_tick_ms = tick_ms;
    segment->last_tick_ms = tick_ms;
    segment->bytes += spool->active.size - before;
    spool->counts.bytes += spool->active.size - before;
    spool->counts.batches_appended++;
    spool->last_tick_ms = tick_ms;
    *ret_number = epoch->next_number++;
    return 0;
}

size_t spool_stream_count(const struct spool *spool)
{
    return spool->epoch_count;
}

struct spool_stream spool_stream_at(const struct spool *spool, size_t index)
{
    must(index < spool->epoch_count);
    const struct spool_epoch *epoch = &spool->epochs[index];
    struct spool_stream stream = {.epoch = epoch->epoch,
                                  .next_number = epoch->next_number,
                                  .definition_count = epoch->definition_count,
                                  .is_current = index + 1 == spool->epoch_count};
    uint64_t first = epoch->next_number;
    for (size_t i = 0; i < spool->segment_count; i++)
        if (spool->segments[i].epoch == epoch->epoch && spool->segments[i].first < first)
            first = spool->segments[i].first;
    if (epoch->drop_count > 0 && epoch->drops[0].numbers.first < first)
        first = epoch->drops[0].numbers.first;
    stream.first_number = first > epoch->low_water ? first : epoch->low_water + 1;
    return stream;
}

static uint64_t highest_known(const struct stream_state *state)
{
    uint64_t highest = state->low_water;
    if (state->range_count > 0 && state->ranges[state->range_count - 1].last > highest)
        highest = state->ranges[state->range_count - 1].last;
    return highest;
}

/* The lowest number the spool still holds of the current epoch. */
static uint64_t lowest_held(const struct spool *spool)
{
    const struct spool_epoch *current = spool_current(spool);
    for (size_t i = 0; i < spool->segment_count; i++)
        if (spool->segments[i].epoch == current->epoch)
            return spool->segments[i].first;
    return current->next_number;
}

/* A new epoch takes over everything from `from` on. */
static int renew(struct spool *spool, uint64_t from, uint64_t known)
{
    struct spool_epoch *old = spool_current(spool);
    uint64_t old_epoch = old->epoch;
    if (known >= from) {
        struct spool_drop lost = {.numbers = {from, known}, .reason = "epoch_lost"};
        spool_epoch_drop(spool, old, &lost);
    }
    int error = spool_epoch_begin(spool, old_epoch, from);
    if (error != 0)
        return error;
    old = spool_epoch_find(spool, old_epoch);
    must(old != NULL);
    old->next_number = known >= from ? known + 1 : from;
    return 0;
}

int spool_confirm(struct spool *spool, const struct stream_state *state,
                  const char **ret_reason)
{
    struct spool_epoch *current = spool_current(spool);
    uint64_t known = highest_known(state);
    const char *reason = NULL;
    uint64_t from = 0;

    must(state->epoch == current->epoch);
    if (known >= SPOOL_NUMBER_MAX)
        return ERR_INVALID;
    if (state->renew) {
        reason = "content_conflict";
        from = lowest_held(spool);
    } else if (known >= current->next_number ||
               (spool->unconfirmed_from != 0 && known >= spool->unconfirmed_from)) {
        reason = "restored_from_copy";
        from = spool->unconfirmed_from != 0 ? spool->unconfirmed_from : lowest_held(spool);
    }
    int error = 0;
    if (reason != NULL) {
        error = renew(spool, from, known);
    } else if (spool->unconfirmed_from != 0) {
        frame_begin(&spool->frame, SEGMENT_CONFIRMED);
        buf_put_u8(&spool->frame, 1);
        error = frame_append(spool->io, &spool->active, &spool->frame);
        if (error == 0)
            spool->unconfirmed_from = 0;
    }
    if (error == 0)
        *ret_reason = reason;
    return error;
}
