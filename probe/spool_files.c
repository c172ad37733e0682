#include "probe/spool_parts.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/definition.h"
#include "proto/base/error.h"

#define SEGMENT_NAME     "%016" PRIx64 "-%020" PRIu64 ".segment"
#define DEFINITIONS_NAME "%016" PRIx64 ".definitions"

void spool_segment_path(const struct spool *spool, uint64_t epoch, uint64_t first,
                        char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/" SEGMENT_NAME, spool->directory, epoch, first);
}

void spool_definitions_path(const struct spool *spool, uint64_t epoch, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/" DEFINITIONS_NAME, spool->directory, epoch);
}

/* The name written again must be the name read: so "+1" or a short number is no segment. */
static bool is_segment_name(const char *name, uint64_t *ret_epoch, uint64_t *ret_first)
{
    char again[64];
    if (strlen(name) != 45 ||
        sscanf(name, "%16" SCNx64 "-%20" SCNu64 ".segment", ret_epoch, ret_first) != 2)
        return false;
    (void)snprintf(again, sizeof again, SEGMENT_NAME, *ret_epoch, *ret_first);
    return strcmp(name, again) == 0 && *ret_epoch != 0 && *ret_first > 0 &&
           *ret_first < SPOOL_NUMBER_MAX;
}

static bool is_definitions_name(const char *name, uint64_t *ret_epoch)
{
    char again[64];
    if (strlen(name) != 28 || sscanf(name, "%16" SCNx64 ".definitions", ret_epoch) != 1)
        return false;
    (void)snprintf(again, sizeof again, DEFINITIONS_NAME, *ret_epoch);
    return strcmp(name, again) == 0 && *ret_epoch != 0;
}

static int add_segment(struct spool *spool, struct spool_segment segment)
{
    if (spool->segment_count == spool->segment_room) {
        size_t room = spool->segment_room == 0 ? 16 : spool->segment_room * 2;
        void *grown = reallocarray(spool->segments, room, sizeof *spool->segments);
        if (grown == NULL)
            return ERR_NOMEM;
        spool->segments = grown;
        spool->segment_room = room;
    }
    spool->segments[spool->segment_count++] = segment;
    return 0;
}

static int read_epoch_frame(const struct frame *frame, struct spool_epoch *epoch)
{
    struct reader reader = reader_of(frame->payload);
    uint64_t named = reader_u64(&reader);
    epoch->sequence = reader_u64(&reader);
    struct bytes boot_id = reader_bytes(&reader, SPOOL_BOOT_ID_BYTES);
    epoch->taken_epoch = reader_u64(&reader);
    epoch->taken_from = reader_u64(&reader);
    if (frame->kind != DEFINITIONS_EPOCH || reader.failed || named != epoch->epoch)
        return ERR_CORRUPT;
    memcpy(epoch->boot_id, boot_id.data, SPOOL_BOOT_ID_BYTES);
    return 0;
}

static int read_drop_frame(const struct frame *frame, struct spool_epoch *epoch)
{
    struct spool_drop drop = {0};
    struct reader reader = reader_of(frame->payload);
    drop.numbers.first = reader_u64(&reader);
    drop.numbers.last = reader_u64(&reader);
    drop.first_tick_ms = (int64_t)reader_u64(&reader);
    drop.last_tick_ms = (int64_t)reader_u64(&reader);
    struct bytes reason = reader_sized(&reader);
    if (reader.failed || reason.size >= sizeof drop.reason || drop.numbers.first == 0 ||
        drop.numbers.last < drop.numbers.first || drop.numbers.last >= SPOOL_NUMBER_MAX)
        return ERR_CORRUPT;
    if (reason.size > 0)
        memcpy(drop.reason, reason.data, reason.size);
    return spool_epoch_add_drop(epoch, &drop);
}

static int read_items_frame(const struct frame *frame, struct spool_epoch *epoch)
{
    struct reader reader = reader_of(frame->payload);
    uint64_t first = reader_varint(&reader);
    uint64_t count = reader_varint(&reader);
    if (reader.failed || first != epoch->definition_count || count > REFS_MAX)
        return ERR_CORRUPT;
    for (uint64_t i = 0; i < count; i++)
        if (!definition_skip(&reader))
            return ERR_CORRUPT;
    epoch->definition_count += count;
    return 0;
}

/* Reads a definitions file.  ERR_CORRUPT if not even its first frame is good; damage further on
 * only sets is_damaged. */
static int load_epoch(struct spool *spool, struct spool_epoch *epoch)
{
    char path[PATH_MAX];
    struct frame_file file = {.fd = -1};
    struct frame frame;

    spool_definitions_path(spool, epoch->epoch, path);
    int error = frame_file_open(path, &file);
    if (error == 0)
        error = frame_read(&file, file.size, &spool->frame, &frame);
    if (error == 0)
        error = read_epoch_frame(&frame, epoch);
    if (error != 0) {
        frame_file_close(&file);
        return error == ERR_NOTFOUND ? ERR_CORRUPT : error;
    }
    file.size = frame.next;
    while ((error = frame_read(&file, file.size, &spool->frame, &frame)) == 0) {
        if (frame.kind == DEFINITIONS_ITEMS)
            error = read_items_frame(&frame, epoch);
        else if (frame.kind == DEFINITIONS_DROP)
            error = read_drop_frame(&frame, epoch);
        if (error != 0)
            break;
        file.size = frame.next;
    }
    frame_file_close(&file);
    epoch->is_damaged = error != ERR_NOTFOUND;
    return error == ERR_NOMEM ? error : 0;
}

static int add_epoch(struct spool *spool, uint64_t id)
{
    struct spool_epoch epoch = {.epoch = id, .next_number = 1};
    struct spool_epoch *grown =
        reallocarray(spool->epochs, spool->epoch_count + 2, sizeof *spool->epochs);
    if (grown == NULL)
        return ERR_NOMEM;
    spool->epochs = grown;
    int error = load_epoch(spool, &epoch);
    if (error == ERR_CORRUPT || error == ERR_NOTFOUND) {
        /* Without its first frame nobody can read what belongs to it: a power cut came before
         * spool_epoch_settle(). */
        char path[PATH_MAX];
        spool_definitions_path(spool, id, path);
        (void)spool->io->unlink(spool->io->context, path);
        spool_epoch_done(&epoch);
        return 0;
    }
    if (error != 0)
        return error;
    size_t at = spool->epoch_count++;
    for (; at > 0 && spool->epochs[at - 1].sequence > epoch.sequence; at--)
        spool->epochs[at] = spool->epochs[at - 1];
    spool->epochs[at] = epoch;
    return 0;
}

static int list_folder(struct spool *spool, struct diagnosis *why)
{
    DIR *folder = opendir(spool->directory);
    if (folder == NULL)
        return diagnose(why, ERR_IO, "%s: cannot be read", spool->directory);
    int error = 0;
    for (struct dirent *entry; error == 0 && (entry = readdir(folder)) != NULL;) {
        struct spool_segment segment = {0};
        uint64_t epoch;
        if (is_definitions_name(entry->d_name, &epoch))
            error = add_epoch(spool, epoch);
        else if (is_segment_name(entry->d_name, &segment.epoch, &segment.first))
            error = add_segment(spool, segment);
    }
    (void)closedir(folder);
    return error == 0 ? 0 : diagnose(why, error, "%s: %s", spool->directory, error_text(error));
}

static void rename_segment(struct spool *spool, struct spool_segment *segment, uint64_t epoch,
                           uint64_t first)
{
    char from[PATH_MAX], to[PATH_MAX];
    spool_segment_path(spool, segment->epoch, segment->first, from);
    spool_segment_path(spool, epoch, first, to);
    /* A segment that cannot be renamed is missing from the epoch and is told as a gap. */
    if (spool->io->rename(spool->io->context, from, to) != 0)
        segment->count = 0;
    segment->epoch = epoch;
    segment->first = first;
}

void spool_segments_take(struct spool *spool, uint64_t from, uint64_t from_number)
{
    uint64_t epoch = spool_current(spool)->epoch;
    frame_file_close(&spool->cursor.file);
    for (size_t i = 0; i < spool->segment_count; i++) {
        struct spool_segment *segment = &spool->segments[i];
        if (segment->epoch == from && segment->first >= from_number)
            rename_segment(spool, segment, epoch, segment->first - from_number + 1);
    }
}

/* Finishes what a crash between writing a new epoch's definitions and the last rename left. */
static void finish_takeovers(struct spool *spool)
{
    for (size_t i = 0; i < spool->epoch_count; i++) {
        const struct spool_epoch *epoch = &spool->epochs[i];
        if (epoch->taken_epoch == 0)
            continue;
        for (size_t k = 0; k < spool->segment_count; k++) {
            struct spool_segment *segment = &spool->segments[k];
            if (segment->epoch == epoch->taken_epoch && segment->first >= epoch->taken_from)
                rename_segment(spool, segment, epoch->epoch,
                               segment->first - epoch->taken_from + 1);
        }
    }
}

static size_t order_of(const struct spool *spool, uint64_t epoch)
{
    for (size_t i = 0; i < spool->epoch_count; i++)
        if (spool->epochs[i].epoch == epoch)
            return i;
    return SIZE_MAX;
}

static bool comes_before(const struct spool *spool, const struct spool_segment *a,
                         const struct spool_segment *b)
{
    size_t left = order_of(spool, a->epoch), right = order_of(spool, b->epoch);
    return left != right ? left < right : a->first < b->first;
}

/* Folders list in any order, mostly not far from sorted; a spool has some hundred segments. */
static void sort_segments(struct spool *spool)
{
    for (size_t i = 1; i < spool->segment_count; i++) {
        struct spool_segment segment = spool->segments[i];
        size_t at = i;
        for (; at > 0 && comes_before(spool, &segment, &spool->segments[at - 1]); at--)
            spool->segments[at] = spool->segments[at - 1];
        spool->segments[at] = segment;
    }
}

void spool_segment_remove(struct spool *spool, size_t index)
{
    char path[PATH_MAX];
    struct spool_segment *segment = &spool->segments[index];
    spool_segment_path(spool, segment->epoch, segment->first, path);
    (void)spool->io->unlink(spool->io->context, path);
    if (spool->cursor.epoch == segment->epoch && spool->cursor.segment_first == segment->first)
        frame_file_close(&spool->cursor.file);
    spool->counts.bytes -= segment->bytes;
    spool->segment_count--;
    memmove(segment, segment + 1, (spool->segment_count - index) * sizeof *segment);
    spool->counts.segments = spool->segment_count;
}

/* What a segment's first frame says. */
struct header {
    uint64_t epoch;
    int64_t previous_tick_ms;
    uint64_t unconfirmed_from;
    struct bytes notes;
};

static int read_header(struct spool *spool, const struct frame_file *file,
                       struct header *header, uint64_t *ret_next)
{
    struct frame frame;
    int error = frame_read(file, FRAME_FILE_HEADER_BYTES, &spool->frame, &frame);
    if (error != 0)
        return error == ERR_NOTFOUND ? ERR_CORRUPT : error;
    struct reader reader = reader_of(frame.payload);
    header->epoch = reader_u64(&reader);
    header->previous_tick_ms = (int64_t)reader_u64(&reader);
    header->unconfirmed_from = reader_u64(&reader);
    header->notes = reader_bytes(&reader, reader_left(&reader));
    *ret_next = frame.next;
    return frame.kind != SEGMENT_HEADER || reader.failed ? ERR_CORRUPT : 0;
}

/* Takes one frame of a segment's scan. */
static int take_frame(struct spool *spool, struct spool_segment *segment,
                      const struct frame *frame, uint64_t *unconfirmed)
{
    struct reader reader = reader_of(frame->payload);
    if (frame->kind == SEGMENT_CONFIRMED) {
        *unconfirmed = 0;
    } else if (frame->kind == SEGMENT_UNCONFIRMED) {
        uint64_t epoch = reader_u64(&reader);
        uint64_t from = reader_u64(&reader);
        if (!reader.failed && epoch == segment->epoch)
            *unconfirmed = from;
    } else if (frame->kind == SEGMENT_BATCH) {
        int64_t tick_ms = (int64_t)reader_u64(&reader);
        struct bytes notes = reader_sized(&reader);
        if (reader.failed || reader_left(&reader) == 0)
            return ERR_CORRUPT;
        /* Notes that found no room when the batch was appended find none now, either. */
        int error = notes_apply(&spool->notes, notes);
        if (error != 0 && error != ERR_LIMIT)
            return error; /* the segment ends before this frame */
        if (segment->count == 0)
            segment->first_tick_ms = tick_ms;
        segment->last_tick_ms = tick_ms;
        segment->count++;
    }
    return 0;
}

/* Reads a whole segment: counts its batches, applies its notes.  With `ret_file` it stays open
 * for appending behind its last good frame. */
static int scan_segment(struct spool *spool, struct spool_segment *segment,
                        uint64_t *unconfirmed, struct frame_file *ret_file)
{
    char path[PATH_MAX];
    struct frame_file file;
    struct header header;
    struct frame frame;

    spool_segment_path(spool, segment->epoch, segment->first, path);
    int error = frame_file_open(path, &file);
    if (error != 0)
        return error;
    error = read_header(spool, &file, &header, &file.size);
    if (error == 0) {
        segment->first_tick_ms = header.previous_tick_ms;
        segment->last_tick_ms = header.previous_tick_ms;
        *unconfirmed = header.epoch == segment->epoch ? header.unconfirmed_from : 0;
        notes_clear(&spool->notes);
        error = notes_apply(&spool->notes, header.notes);
    }
    segment->count = 0;
    while (error == 0) {
        error = frame_read(&file, file.size, &spool->frame, &frame);
        if (error == 0)
            error = take_frame(spool, segment, &frame, unconfirmed);
        if (error == 0) {
            file.size = frame.next;
        } else if (file.size > FRAME_FILE_HEADER_BYTES &&
                   (error == ERR_NOTFOUND || error == ERR_CORRUPT || error == ERR_MALFORMED)) {
            error = 0; /* the good part ends here */
            break;
        }
    }
    segment->bytes = file.size;
    /* Whole frames behind a damaged one must not come back to life, with numbers given anew,
     * when another of the same size is written in its place. */
    if (error == 0 && ret_file != NULL && ftruncate(file.fd, (off_t)file.size) != 0)
        error = ERR_IO;
    if (error == 0 && ret_file != NULL) {
        *ret_file = file;
        return 0;
    }
    frame_file_close(&file);
    return error;
}

/* A segment that is not its epoch's last: its count follows from its successor's number. */
static void scan_header(struct spool *spool, struct spool_segment *segment, uint64_t next_first)
{
    char path[PATH_MAX];
    struct frame_file file;
    struct header header;
    struct frame frame;
    struct stat status;
    uint64_t next;

    spool_segment_path(spool, segment->epoch, segment->first, path);
    segment->count = next_first - segment->first;
    segment->bytes = stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
    if (frame_file_open(path, &file) != 0)
        return; /* reading it will tell */
    if (read_header(spool, &file, &header, &next) == 0)
        segment->first_tick_ms = header.previous_tick_ms;
    /* The first of a new spool has none before it. */
    if (segment->first_tick_ms == 0 && frame_read(&file, next, &spool->frame, &frame) == 0 &&
        frame.kind == SEGMENT_BATCH) {
        struct reader reader = reader_of(frame.payload);
        segment->first_tick_ms = (int64_t)reader_u64(&reader);
    }
    frame_file_close(&file);
}

/* Scans the last segment of an epoch, and the one before it should the last be no segment. */
static int scan_last(struct spool *spool, size_t *index, uint64_t *unconfirmed)
{
    struct spool_segment *segment = &spool->segments[*index];
    struct spool_epoch *epoch = spool_epoch_find(spool, segment->epoch);
    bool is_current = epoch == spool_current(spool);

    frame_file_close(&spool->active);
    int error = scan_segment(spool, segment, unconfirmed, is_current ? &spool->active : NULL);
    if (error == ERR_CORRUPT || error == ERR_NOTFOUND || error == ERR_MALFORMED) {
        segment->bytes = 0;
        spool_segment_remove(spool, *index);
        bool has_before = *index > 0 && spool->segments[*index - 1].epoch == epoch->epoch;
        if (!has_before)
            return 0;
        (*index)--;
        return scan_last(spool, index, unconfirmed);
    }
    if (error != 0)
        return error;
    spool->counts.bytes += segment->bytes;
    if (segment->first + segment->count > epoch->next_number)
        epoch->next_number = segment->first + segment->count;
    if (segment->last_tick_ms > spool->last_tick_ms)
        spool->last_tick_ms = segment->last_tick_ms;
    return 0;
}

static int scan_segments(struct spool *spool, uint64_t *ret_unconfirmed)
{
    for (size_t i = 0; i < spool->segment_count; i++) {
        struct spool_segment *segment = &spool->segments[i];
        uint64_t unconfirmed = 0;
        if (i + 1 < spool->segment_count && segment[1].epoch == segment->epoch) {
            scan_header(spool, segment, segment[1].first);
            spool->counts.bytes += segment->bytes;
            continue;
        }
        size_t before = spool->segment_count;
        int error = scan_last(spool, &i, &unconfirmed);
        if (error != 0)
            return error;
        if (spool->segment_count < before && i < spool->segment_count &&
            spool->segments[i].count == 0 && spool->segments[i].bytes == 0)
            i--; /* the epoch had nothing else: what is here now has not been looked at */
        *ret_unconfirmed = unconfirmed;
    }
    /* A segment ends where the next begins. */
    for (size_t i = 0; i + 1 < spool->segment_count; i++)
        if (spool->segments[i + 1].epoch == spool->segments[i].epoch)
            spool->segments[i].last_tick_ms = spool->segments[i + 1].first_tick_ms;
    return 0;
}

int spool_scan(struct spool *spool, uint64_t *ret_unconfirmed, struct diagnosis *why)
{
    int error = list_folder(spool, why);
    if (error != 0)
        return error;
    finish_takeovers(spool);
    for (size_t i = spool->segment_count; i-- > 0;)
        if (spool_epoch_find(spool, spool->segments[i].epoch) == NULL)
            spool_segment_remove(spool, i); /* without its definitions nobody can read it */
    sort_segments(spool);
    if (spool->epoch_count == 0)
        return 0;
    error = scan_segments(spool, ret_unconfirmed);
    spool->counts.segments = spool->segment_count;
    for (size_t i = 0; i + 1 < spool->epoch_count; i++) {
        struct spool_epoch *epoch = &spool->epochs[i];
        if (epoch->drop_count > 0 &&
            epoch->drops[epoch->drop_count - 1].numbers.last >= epoch->next_number)
            epoch->next_number = epoch->drops[epoch->drop_count - 1].numbers.last + 1;
    }
    return error == 0 ? 0 : diagnose(why, error, "%s: %s", spool->directory, error_text(error));
}

int spool_segment_begin(struct spool *spool)
{
    char path[PATH_MAX];
    struct frame_file file;
    const struct spool_epoch *epoch = spool_current(spool);
    struct spool_segment segment = {.epoch = epoch->epoch,
                                    .first = epoch->next_number,
                                    .first_tick_ms = spool->last_tick_ms,
                                    .last_tick_ms = spool->last_tick_ms};

    int error = add_segment(spool, segment); /* memory first: it is the easiest to undo */
    if (error != 0)
        return error;
    spool->segment_count--;
    spool_segment_path(spool, segment.epoch, segment.first, path);
    error = frame_file_create(spool->io, path, &file);
    if (error != 0)
        return error;
    frame_begin(&spool->frame, SEGMENT_HEADER);
    buf_put_u64(&spool->frame, segment.epoch);
    buf_put_u64(&spool->frame, (uint64_t)spool->last_tick_ms);
    buf_put_u64(&spool->frame, spool->unconfirmed_from);
    buf_put(&spool->frame, spool->notes.run.data, spool->notes.run.size);
    error = frame_append(spool->io, &file, &spool->frame);
    if (error != 0) {
        frame_file_close(&file);
        (void)spool->io->unlink(spool->io->context, path);
        return error;
    }
    frame_file_close(&spool->active);
    spool->active = file;
    segment.bytes = file.size;
    spool->counts.bytes += segment.bytes;
    spool->segments[spool->segment_count++] = segment;
    spool->counts.segments = spool->segment_count;
    return 0;
}
