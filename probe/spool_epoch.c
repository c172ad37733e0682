#include "probe/spool_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/definition.h"
#include "proto/base/error.h"
#include "proto/base/random.h"

struct spool_epoch *spool_epoch_find(const struct spool *spool, uint64_t epoch)
{
    for (size_t i = 0; i < spool->epoch_count; i++)
        if (spool->epochs[i].epoch == epoch)
            return &spool->epochs[i];
    return NULL;
}

void spool_epoch_done(struct spool_epoch *epoch)
{
    free(epoch->ranges);
    free(epoch->drops);
    epoch->ranges = NULL;
    epoch->drops = NULL;
}

bool spool_epoch_has_stored(const struct spool_epoch *epoch, uint64_t number)
{
    if (number <= epoch->low_water)
        return true;
    for (size_t i = 0; i < epoch->range_count && epoch->ranges[i].first <= number; i++)
        if (number <= epoch->ranges[i].last)
            return true;
    return false;
}

uint64_t spool_epoch_count_open(const struct spool_epoch *epoch, uint64_t first, uint64_t last)
{
    if (first <= epoch->low_water)
        first = epoch->low_water + 1;
    if (first > last)
        return 0;
    uint64_t open = last - first + 1;
    for (size_t i = 0; i < epoch->range_count; i++) {
        uint64_t from = epoch->ranges[i].first > first ? epoch->ranges[i].first : first;
        uint64_t to = epoch->ranges[i].last < last ? epoch->ranges[i].last : last;
        if (from <= to)
            open -= to - from + 1;
    }
    return open;
}

int spool_epoch_add_drop(struct spool_epoch *epoch, const struct spool_drop *drop)
{
    struct spool_drop *last =
        epoch->drop_count == 0 ? NULL : &epoch->drops[epoch->drop_count - 1];
    if (last != NULL && last->numbers.last + 1 == drop->numbers.first &&
        strcmp(last->reason, drop->reason) == 0) {
        last->numbers.last = drop->numbers.last;
        last->last_tick_ms = drop->last_tick_ms;
        return 0;
    }
    struct spool_drop *grown =
        reallocarray(epoch->drops, epoch->drop_count + 1, sizeof *epoch->drops);
    if (grown == NULL)
        return ERR_NOMEM;
    epoch->drops = grown;
    size_t at = epoch->drop_count++;
    for (; at > 0 && grown[at - 1].numbers.first > drop->numbers.first; at--)
        grown[at] = grown[at - 1];
    grown[at] = *drop;
    return 0;
}

/* Finds the end of a definitions file: behind its last good frame. */
static int open_definitions(struct spool *spool, uint64_t epoch, struct frame_file *ret_file)
{
    char path[PATH_MAX];
    struct frame_file file;
    struct frame frame;

    spool_definitions_path(spool, epoch, path);
    int error = frame_file_open(path, &file);
    if (error != 0)
        return error;
    while ((error = frame_read(&file, file.size, &spool->frame, &frame)) == 0)
        file.size = frame.next;
    if (error != ERR_NOTFOUND && error != ERR_CORRUPT) {
        frame_file_close(&file);
        return error;
    }
    *ret_file = file;
    return 0;
}

static int append_drop(struct spool *spool, struct frame_file *file,
                       const struct spool_drop *drop)
{
    frame_begin(&spool->frame, DEFINITIONS_DROP);
    buf_put_u64(&spool->frame, drop->numbers.first);
    buf_put_u64(&spool->frame, drop->numbers.last);
    buf_put_u64(&spool->frame, (uint64_t)drop->first_tick_ms);
    buf_put_u64(&spool->frame, (uint64_t)drop->last_tick_ms);
    buf_put_sized(&spool->frame, bytes_of(drop->reason));
    return frame_append(spool->io, file, &spool->frame);
}

void spool_epoch_drop(struct spool *spool, struct spool_epoch *epoch,
                      const struct spool_drop *drop)
{
    int error;
    /* Without the entry the numbers are still missing, and told as "spool_lost". */
    (void)spool_epoch_add_drop(epoch, drop);
    if (epoch == spool_current(spool)) {
        error = append_drop(spool, &spool->definitions, drop);
    } else {
        struct frame_file file;
        error = open_definitions(spool, epoch->epoch, &file);
        if (error == 0) {
            error = append_drop(spool, &file, drop);
            frame_file_close(&file);
        }
    }
    if (error != 0)
        spool->counts.write_failures++;
}

/* Writes the frame that says who the epoch is, and the definitions it takes over. */
static int write_epoch(struct spool *spool, const struct spool_epoch *epoch,
                       struct frame_file *file)
{
    frame_begin(&spool->frame, DEFINITIONS_EPOCH);
    buf_put_u64(&spool->frame, epoch->epoch);
    buf_put_u64(&spool->frame, epoch->sequence);
    buf_put(&spool->frame, epoch->boot_id, sizeof epoch->boot_id);
    buf_put_u64(&spool->frame, epoch->taken_epoch);
    buf_put_u64(&spool->frame, epoch->taken_from);
    int error = frame_append(spool->io, file, &spool->frame);
    struct buf items = {0};
    struct frame frame;
    uint64_t offset = FRAME_FILE_HEADER_BYTES;
    while (error == 0 && epoch->taken_epoch != 0 && offset < spool->definitions.size) {
        error = frame_read(&spool->definitions, offset, &items, &frame);
        if (error != 0)
            break;
        offset = frame.next;
        if (frame.kind != DEFINITIONS_ITEMS)
            continue;
        frame_begin(&spool->frame, DEFINITIONS_ITEMS);
        buf_put(&spool->frame, frame.payload.data, frame.payload.size);
        error = frame_append(spool->io, file, &spool->frame);
    }
    buf_done(&items);
    return error;
}

static void sync_folder(struct spool *spool)
{
    int fd = open(spool->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)spool->io->sync(spool->io->context, fd);
    (void)close(fd);
}

int spool_epoch_settle(struct spool *spool)
{
    if (!spool->owes_sync)
        return 0;
    if (spool->io->sync(spool->io->context, spool->definitions.fd) != 0)
        return ERR_IO;
    sync_folder(spool);
    spool->owes_sync = false;
    return 0;
}

/* The file appears complete or not at all.  It is the one file that is synced: without it a
 * segment is nothing.  Where other segments are to be handed to it, that is at once; one that
 * begins with nothing owes it until there is more than one batch, because a power cut that
 * takes the file takes the first batch as well, and a probe's first word should not wait for a
 * disk. */
static int create_definitions(struct spool *spool, const struct spool_epoch *epoch,
                              struct frame_file *ret_file)
{
    char path[PATH_MAX];
    char temporary[PATH_MAX + 8];
    struct frame_file file;

    spool_definitions_path(spool, epoch->epoch, path);
    (void)snprintf(temporary, sizeof temporary, "%s.new", path);
    int error = frame_file_create(spool->io, temporary, &file);
    if (error != 0)
        return error;
    error = write_epoch(spool, epoch, &file);
    bool at_once = epoch->taken_epoch != 0;
    if (error == 0 && at_once && spool->io->sync(spool->io->context, file.fd) != 0)
        error = ERR_IO;
    if (error == 0 && spool->io->rename(spool->io->context, temporary, path) != 0)
        error = ERR_IO;
    if (error != 0) {
        frame_file_close(&file);
        (void)spool->io->unlink(spool->io->context, temporary);
        return error;
    }
    if (at_once)
        sync_folder(spool);
    spool->owes_sync = !at_once;
    *ret_file = file;
    return 0;
}

int spool_epoch_begin(struct spool *spool, uint64_t taken, uint64_t taken_from)
{
    struct spool_epoch epoch = {
        .taken_epoch = taken, .taken_from = taken_from, .next_number = 1};
    struct frame_file file;

    while (epoch.epoch == 0 || spool_epoch_find(spool, epoch.epoch) != NULL)
        if (random_fill(&epoch.epoch, sizeof epoch.epoch) != 0)
            return ERR_IO;
    struct spool_epoch *grown =
        reallocarray(spool->epochs, spool->epoch_count + 1, sizeof *spool->epochs);
    if (grown == NULL)
        return ERR_NOMEM;
    spool->epochs = grown;
    epoch.sequence = spool->epoch_count == 0 ? 1 : spool_current(spool)->sequence + 1;
    memcpy(epoch.boot_id, spool->boot_id, sizeof epoch.boot_id);
    if (taken != 0) {
        struct spool_epoch *before = spool_current(spool);
        epoch.definition_count = before->definition_count;
        epoch.next_number =
            before->next_number > taken_from ? before->next_number - taken_from + 1 : 1;
    }
    int error = create_definitions(spool, &epoch, &file);
    if (error != 0)
        return error;
    frame_file_close(&spool->definitions);
    spool->definitions = file;
    spool->definitions_cursor = (struct spool_definitions_cursor){0};
    spool->epochs[spool->epoch_count++] = epoch;
    spool->unconfirmed_from = 0;
    if (taken != 0)
        spool_segments_take(spool, taken, taken_from);
    return 0;
}

static bool has_something_to_tell(struct spool *spool, const struct spool_epoch *epoch)
{
    for (size_t i = 0; i < spool->segment_count; i++)
        if (spool->segments[i].epoch == epoch->epoch)
            return true;
    for (size_t i = 0; i < epoch->drop_count; i++)
        if (spool_epoch_count_open(epoch, epoch->drops[i].numbers.first,
                                   epoch->drops[i].numbers.last) > 0)
            return true;
    return false;
}

void spool_epochs_finish(struct spool *spool)
{
    for (size_t i = spool->epoch_count - 1; i-- > 0;) {
        char path[PATH_MAX];
        struct spool_epoch *epoch = &spool->epochs[i];
        if (has_something_to_tell(spool, epoch))
            continue;
        spool_definitions_path(spool, epoch->epoch, path);
        (void)spool->io->unlink(spool->io->context, path);
        spool_epoch_done(epoch);
        spool->epoch_count--;
        memmove(epoch, epoch + 1, (spool->epoch_count - i) * sizeof *epoch);
    }
}

/* The ranges of `state` as ours: NULL and 0 if there are none.  False if out of memory. */
static bool copy_ranges(const struct stream_state *state, struct number_range **ret_ranges)
{
    struct number_range *ranges = NULL;
    if (state->range_count > 0) {
        ranges = reallocarray(NULL, state->range_count, sizeof *ranges);
        if (ranges == NULL)
            return false;
        memcpy(ranges, state->ranges, state->range_count * sizeof *ranges);
    }
    *ret_ranges = ranges;
    return true;
}

void spool_acknowledge(struct spool *spool, const struct stream_state *state)
{
    struct number_range *ranges;
    struct spool_epoch *epoch = spool_epoch_find(spool, state->epoch);

    /* Out of memory: the same is told again by the next Ack. */
    if (epoch == NULL || !copy_ranges(state, &ranges))
        return;
    free(epoch->ranges);
    epoch->ranges = ranges;
    epoch->range_count = state->range_count;
    epoch->low_water = state->low_water;
    if (epoch->low_water >= epoch->next_number)
        epoch->low_water = epoch->next_number - 1;
    for (size_t i = spool->segment_count; i-- > 0;) {
        const struct spool_segment *segment = &spool->segments[i];
        bool is_active = i + 1 == spool->segment_count;
        if (segment->epoch == epoch->epoch && !is_active &&
            (segment->count == 0 ||
             spool_epoch_count_open(epoch, segment->first,
                                    segment->first + segment->count - 1) == 0))
            spool_segment_remove(spool, i);
    }
    spool_epochs_finish(spool);
}
