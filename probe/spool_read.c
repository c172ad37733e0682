#include "probe/spool_parts.h"

#include <string.h>

#include "probe/definition.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

/* The segment that holds a number, or NULL. */
static struct spool_segment *find_segment(const struct spool *spool, uint64_t epoch,
                                          uint64_t number)
{
    for (size_t i = 0; i < spool->segment_count; i++) {
        struct spool_segment *segment = &spool->segments[i];
        if (segment->epoch == epoch && number >= segment->first &&
            number - segment->first < segment->count)
            return segment;
    }
    return NULL;
}

/* The first number at or past `number` that is not acknowledged. */
static uint64_t first_open(const struct spool_epoch *epoch, uint64_t number)
{
    if (number <= epoch->low_water)
        number = epoch->low_water + 1;
    for (size_t i = 0; i < epoch->range_count; i++)
        if (number >= epoch->ranges[i].first && number <= epoch->ranges[i].last)
            number = epoch->ranges[i].last + 1;
    return number;
}

/* Cuts a run of missing numbers where something else begins, and says why they are missing. */
static void describe_gap(const struct spool *spool, const struct spool_epoch *epoch,
                         struct spool_item *item)
{
    item->last = epoch->next_number - 1;
    for (size_t i = 0; i < spool->segment_count; i++) {
        const struct spool_segment *segment = &spool->segments[i];
        if (segment->epoch == epoch->epoch && segment->count > 0 &&
            segment->first > item->first && segment->first <= item->last)
            item->last = segment->first - 1;
    }
    for (size_t i = 0; i < epoch->range_count; i++)
        if (epoch->ranges[i].first > item->first && epoch->ranges[i].first <= item->last)
            item->last = epoch->ranges[i].first - 1;
    item->reason = "spool_lost";
    for (size_t i = 0; i < epoch->drop_count; i++) {
        const struct spool_drop *drop = &epoch->drops[i];
        if (item->first >= drop->numbers.first && item->first <= drop->numbers.last) {
            item->reason = drop->reason;
            item->first_tick_ms = drop->first_tick_ms;
            item->last_tick_ms = drop->last_tick_ms;
            if (drop->numbers.last < item->last)
                item->last = drop->numbers.last;
            return;
        }
        if (drop->numbers.first > item->first && drop->numbers.first <= item->last)
            item->last = drop->numbers.first - 1;
    }
}

bool spool_next(struct spool *spool, uint64_t epoch_id, uint64_t from,
                struct spool_item *ret_item)
{
    const struct spool_epoch *epoch = spool_epoch_find(spool, epoch_id);
    if (epoch == NULL)
        return false;
    uint64_t number = first_open(epoch, from);
    if (number >= epoch->next_number)
        return false;
    struct spool_item item = {.first = number, .last = number};
    if (find_segment(spool, epoch_id, number) == NULL) {
        item.is_gap = true;
        describe_gap(spool, epoch, &item);
    }
    *ret_item = item;
    return true;
}

/* Opens the segment for reading from its first batch, unless the cursor is already there. */
static int seek_segment(struct spool *spool, const struct spool_segment *segment,
                        uint64_t number)
{
    struct spool_cursor *cursor = &spool->cursor;
    char path[PATH_MAX];

    if (cursor->file.fd >= 0 && cursor->epoch == segment->epoch &&
        cursor->segment_first == segment->first) {
        if (cursor->number > number) {
            cursor->number = segment->first;
            cursor->offset = FRAME_FILE_HEADER_BYTES;
        }
        return 0;
    }
    frame_file_close(&cursor->file);
    spool_segment_path(spool, segment->epoch, segment->first, path);
    int error = frame_file_open(path, &cursor->file);
    if (error != 0) {
        cursor->file.fd = -1;
        return error == ERR_NOTFOUND ? ERR_CORRUPT : error;
    }
    cursor->epoch = segment->epoch;
    cursor->segment_first = segment->first;
    cursor->number = segment->first;
    cursor->offset = FRAME_FILE_HEADER_BYTES;
    return 0;
}

/* The tick of a number in a segment, if its ticks are regular. */
static int64_t tick_within(const struct spool_segment *segment, uint64_t number)
{
    if (segment->count < 2 || number <= segment->first)
        return segment->first_tick_ms;
    double share = (double)(number - segment->first) / (double)(segment->count - 1);
    return segment->first_tick_ms +
           (int64_t)((double)(segment->last_tick_ms - segment->first_tick_ms) * share);
}

uint64_t spool_waiting(const struct spool *spool, int64_t *ret_oldest_ms)
{
    uint64_t waiting = 0;
    for (size_t i = 0; i < spool->epoch_count; i++)
        if (spool->epochs[i].next_number > 1)
            waiting +=
                spool_epoch_count_open(&spool->epochs[i], 1, spool->epochs[i].next_number - 1);
    *ret_oldest_ms = 0;
    for (size_t i = 0; i < spool->segment_count; i++) {
        const struct spool_segment *segment = &spool->segments[i];
        const struct spool_epoch *epoch = spool_epoch_find(spool, segment->epoch);
        uint64_t last = segment->first + segment->count - 1;
        if (segment->count == 0 || epoch == NULL ||
            spool_epoch_count_open(epoch, segment->first, last) == 0)
            continue;
        *ret_oldest_ms = tick_within(segment, first_open(epoch, segment->first));
        break;
    }
    return waiting;
}

/* A batch that cannot be read takes with it what lies behind it in its segment: where the next
 * frame begins is unknown.  In the active segment a new one is begun first, best effort. */
static int cut_segment(struct spool *spool, uint64_t epoch_id, uint64_t number)
{
    struct spool_epoch *epoch = spool_epoch_find(spool, epoch_id);
    struct spool_segment *segment = find_segment(spool, epoch_id, number);
    bool is_active = segment == &spool->segments[spool->segment_count - 1];
    int error = is_active ? spool_segment_begin(spool) : 0;
    if (error != 0)
        return error; /* told, and cut, at the next try */
    segment = find_segment(spool, epoch_id, number);
    must(segment != NULL && epoch != NULL);
    uint64_t last = segment->first + segment->count - 1;
    struct spool_drop drop = {.numbers = {number, last},
                              .first_tick_ms = segment->first_tick_ms,
                              .last_tick_ms = segment->last_tick_ms,
                              .reason = "spool_corrupt"};
    spool->counts.batches_corrupt += spool_epoch_count_open(epoch, number, last);
    segment->count = number - segment->first;
    frame_file_close(&spool->cursor.file);
    spool_epoch_drop(spool, epoch, &drop);
    return 0;
}

/* Reads on from the cursor to the batch `number`. */
static int read_on(struct spool *spool, uint64_t number, struct buf *into,
                   struct bytes *ret_plain)
{
    struct spool_cursor *cursor = &spool->cursor;
    struct frame frame;

    for (;;) {
        int error = frame_read(&cursor->file, cursor->offset, into, &frame);
        if (error != 0)
            return error == ERR_NOTFOUND ? ERR_CORRUPT : error;
        cursor->offset = frame.next;
        if (frame.kind != SEGMENT_BATCH)
            continue;
        if (cursor->number++ != number)
            continue;
        struct reader reader = reader_of(frame.payload);
        (void)reader_u64(&reader);
        (void)reader_sized(&reader);
        if (reader.failed)
            return ERR_CORRUPT;
        *ret_plain = reader_bytes(&reader, reader_left(&reader));
        return 0;
    }
}

int spool_read(struct spool *spool, uint64_t epoch, uint64_t number, struct buf *into,
               struct bytes *ret_plain)
{
    const struct spool_segment *segment = find_segment(spool, epoch, number);
    if (segment == NULL)
        return ERR_NOTFOUND;
    int error = seek_segment(spool, segment, number);
    if (error == 0)
        error = read_on(spool, number, into, ret_plain);
    if (error != 0)
        frame_file_close(&spool->cursor.file);
    if (error == ERR_CORRUPT)
        (void)cut_segment(spool, epoch, number);
    return error;
}

int spool_condemn(struct spool *spool, uint64_t epoch, uint64_t number)
{
    return find_segment(spool, epoch, number) == NULL ? 0 : cut_segment(spool, epoch, number);
}

/* Steps to `first_ref` inside a frame of items that holds it. */
static int slice_items(struct bytes payload, uint64_t first_ref, struct bytes *ret_items,
                       uint64_t *ret_count)
{
    struct reader reader = reader_of(payload);
    uint64_t at = reader_varint(&reader);
    uint64_t count = reader_varint(&reader);
    if (reader.failed || first_ref < at || first_ref - at >= count)
        return ERR_NOTFOUND;
    uint64_t left = at + count - first_ref;
    for (; at < first_ref; at++)
        if (!definition_skip(&reader))
            return ERR_CORRUPT;
    *ret_items = reader_bytes(&reader, reader_left(&reader));
    *ret_count = left;
    return 0;
}

int spool_read_definitions(struct spool *spool, uint64_t epoch_id, uint64_t first_ref,
                           struct buf *into, struct bytes *ret_items, uint64_t *ret_count)
{
    struct spool_definitions_cursor *cursor = &spool->definitions_cursor;
    const struct spool_epoch *epoch = spool_epoch_find(spool, epoch_id);
    struct frame_file file;
    struct frame frame;
    char path[PATH_MAX];

    if (epoch == NULL || first_ref >= epoch->definition_count)
        return ERR_NOTFOUND;
    if (cursor->epoch != epoch_id || cursor->first_ref > first_ref || cursor->offset == 0)
        *cursor = (struct spool_definitions_cursor){epoch_id, 0, FRAME_FILE_HEADER_BYTES};
    spool_definitions_path(spool, epoch_id, path);
    int error = frame_file_open(path, &file);
    if (error != 0)
        return error;
    uint64_t offset = cursor->offset;
    for (;;) {
        error = frame_read(&file, offset, into, &frame);
        if (error != 0)
            break;
        if (frame.kind == DEFINITIONS_ITEMS) {
            error = slice_items(frame.payload, first_ref, ret_items, ret_count);
            if (error != ERR_NOTFOUND)
                break;
        }
        offset = frame.next;
    }
    if (error == 0)
        *cursor = (struct spool_definitions_cursor){epoch_id, first_ref, offset};
    frame_file_close(&file);
    return error;
}
