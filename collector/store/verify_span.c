/*
 * verify_span.c - one history file, from its hash down to the samples of its chunks.
 *
 * Two walks: the first gathers the pieces of the stream and tries their seals, the second tries
 * what lies in the stream.  Where a tree or a piece is damaged the second is left out: it would
 * only say the same again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/codec/codec.h"
#include "collector/store/page_walk.h"
#include "collector/store/span_set.h"
#include "collector/store/verify.h"
#include "proto/base/arena.h"
#include "proto/base/error.h"

#define LABELS_ARENA_BYTES ((size_t)16 << 20)
#define LOG_ROW_BYTES      (EXTENT_BYTES + 16)

struct span_check {
    struct verify *verify;
    const struct span_info *info;
    /* pieces of the stream, without their seals; in the map */
    struct bytes *pieces;
    size_t piece_count, pieces_expected;
    bool has_manifest;
    uint64_t series, chunks, samples, groups, blocks, labels, pairs, log_blocks, log_times;
    struct buf joined, raw, table;
    struct arena arena;
};

/* -- the first walk: manifest and stream ------------------------------------------------- */

static void take_manifest(struct span_check *check, struct bytes key, struct bytes value)
{
    struct bytes payload;
    struct buf expected = {0};
    span_manifest_write(&check->info->manifest, &expected);
    check->has_manifest = true;
    if (sealed_open(key, value, &payload) != 0)
        verify_fault(check->verify, "manifest: its seal does not fit");
    else if (!bytes_equal(payload, buf_bytes(&expected)))
        verify_fault(check->verify, "manifest: it is not that of the registration");
    buf_done(&expected);
}

static void take_piece(struct span_check *check, struct bytes key, struct bytes value)
{
    struct bytes payload = {NULL, 0};
    size_t number = check->piece_count;
    check->verify->counts.values++;
    if (key.size != 4 || key_get_u32(key.data) != number || number >= check->pieces_expected) {
        verify_fault(check->verify, "stream: piece %zu is missing, or there are too many", number);
        return;
    }
    if (sealed_open(key, value, &payload) != 0)
        verify_fault(check->verify, "stream: the seal of piece %zu does not fit", number);
    else if (number + 1 < check->pieces_expected && payload.size != STREAM_PIECE_BYTES)
        verify_fault(check->verify, "stream: piece %zu is cut short", number);
    check->pieces[check->piece_count++] = payload;
}

static int gather(void *context, const char *table, struct bytes key, struct bytes value)
{
    struct span_check *check = context;
    if (strcmp(table, "manifest") == 0)
        take_manifest(check, key, value);
    else if (strcmp(table, "stream") == 0)
        take_piece(check, key, value);
    return 0;
}

/* -- the second: what the extents lead to ------------------------------------------------ */

static bool read_extent(struct span_check *check, char letter, struct bytes key,
                        const uint8_t *from, struct bytes *ret_bytes)
{
    struct extent extent = extent_get(from);
    uint64_t end = extent.offset + extent.size;
    check->verify->counts.values++;
    buf_clear(&check->joined);
    if (end < extent.offset || end > check->info->manifest.stream_bytes)
        return false;
    for (uint64_t at = extent.offset; at < end;) {
        size_t number = (size_t)(at / STREAM_PIECE_BYTES);
        size_t skip = (size_t)(at % STREAM_PIECE_BYTES);
        if (number >= check->piece_count || skip >= check->pieces[number].size)
            return false;
        size_t left = check->pieces[number].size - skip;
        if (left > end - at)
            left = (size_t)(end - at);
        buf_put(&check->joined, check->pieces[number].data + skip, left);
        at += left;
    }
    *ret_bytes = buf_bytes(&check->joined);
    return buf_ok(&check->joined) && extent_seal(letter, key, *ret_bytes) == extent.seal;
}

static int count_chunk(void *context, struct bytes chunk)
{
    struct span_check *check = context;
    size_t count;
    int64_t first_ms;
    int64_t last_ms;
    if (chunk_describe(chunk, &count, &first_ms, &last_ms) != 0 ||
        first_ms < check->info->manifest.min_ms || last_ms > check->info->manifest.max_ms)
        return ERR_MALFORMED;
    check->chunks++;
    check->samples += count;
    return 0;
}

static int read_labels(struct span_check *check, struct bytes entry)
{
    const struct labels *labels;
    struct reader reader = reader_of(entry);
    arena_reset(&check->arena);
    return labels_read(&reader, &check->arena, &labels);
}

/* A group of chunks, or a block of label sets. */
static void take_group(struct span_check *check, bool is_labels, struct bytes key,
                       struct bytes value)
{
    const char *name = is_labels ? "series" : "chunks";
    uint64_t *entries = is_labels ? &check->labels : &check->series;
    struct bytes bytes;
    struct group_view view;
    if (key.size != 4 || value.size != EXTENT_BYTES || key_get_u32(key.data) != *entries) {
        verify_fault(check->verify, "%s: a row is not what should follow", name);
        return;
    }
    if (!read_extent(check, is_labels ? 's' : 'c', key, value.data, &bytes)) {
        verify_fault(check->verify, "%s: the seal at ordinal %" PRIu64 " does not fit", name,
                     *entries);
        return;
    }
    int error = group_unpack(bytes, &check->raw, &check->table, &view);
    for (size_t i = 0; error == 0 && i < view.count; i++)
        error = is_labels ? read_labels(check, group_entry(&view, i))
                          : span_entry_chunks(group_entry(&view, i), count_chunk, check);
    if (error != 0)
        verify_fault(check->verify, "%s: what stands at ordinal %" PRIu64 " cannot be read: %s",
                     name, *entries, error_text(error));
    else
        *entries += view.count;
}

static void take_log(struct span_check *check, struct bytes key, struct bytes value)
{
    struct bytes block;
    check->log_blocks++;
    if (key.size != LOG_KEY_BYTES || value.size != LOG_ROW_BYTES)
        verify_fault(check->verify, "logs: a row has a size it cannot have");
    else if (!read_extent(check, 'l', key, value.data, &block))
        verify_fault(check->verify, "logs: the seal of block %" PRIu64 " does not fit",
                     check->log_blocks - 1);
}

static int try_value(void *context, const char *table, struct bytes key, struct bytes value)
{
    struct span_check *check = context;
    struct bytes payload;
    if (strcmp(table, "chunks") == 0) {
        check->groups++;
        take_group(check, false, key, value);
    } else if (strcmp(table, "series") == 0) {
        check->blocks++;
        take_group(check, true, key, value);
    } else if (strcmp(table, "index") == 0) {
        check->pairs++;
        check->verify->counts.values++;
        if (sealed_open(key, value, &payload) != 0)
            verify_fault(check->verify, "index: the seal of posting %" PRIu64 " does not fit",
                         check->pairs - 1);
    } else if (strcmp(table, "logs") == 0) {
        take_log(check, key, value);
    } else if (strcmp(table, "logs_by_time") == 0) {
        check->log_times++;
    }
    return 0;
}

/* -- the file ---------------------------------------------------------------------------- */

static void compare(struct span_check *check, const char *what, uint64_t found, uint64_t told)
{
    if (found != told)
        verify_fault(check->verify, "it has %" PRIu64 " %s, where its manifest says %" PRIu64,
                     found, what, told);
}

static void compare_counts(struct span_check *check)
{
    const struct span_manifest *told = &check->info->manifest;
    compare(check, "series", check->series, told->series);
    compare(check, "label sets", check->labels, told->series);
    compare(check, "chunks", check->chunks, told->chunks);
    compare(check, "samples", check->samples, told->samples);
    compare(check, "groups", check->groups, told->groups);
    compare(check, "blocks of label sets", check->blocks, told->blocks);
    compare(check, "postings", check->pairs, told->pairs);
    compare(check, "log blocks", check->log_blocks, told->log_blocks);
    compare(check, "log blocks by time", check->log_times, told->log_blocks);
}

static void walk_fault(void *context, const char *text)
{
    struct span_check *check = context;
    verify_fault(check->verify, "%s", text);
}

static int walk_file(struct span_check *check, struct bytes file)
{
    struct verify *verify = check->verify;
    uint64_t faults = verify->file_faults;
    struct page_walk first = {.file = file, .value = gather, .fault = walk_fault,
                              .context = check, .cancelled = verify->cancelled};
    int error = page_walk_run(&first);
    if (error != 0)
        return error;
    if (verify->file_faults == faults && !check->has_manifest)
        verify_fault(verify, "the manifest is missing");
    if (verify->file_faults == faults)
        compare(check, "pieces of the stream", check->piece_count, check->pieces_expected);
    if (verify->file_faults != faults)
        return 0;
    struct page_walk second = {.file = file, .value = try_value, .fault = NULL,
                               .context = check, .cancelled = verify->cancelled};
    error = page_walk_run(&second);
    if (error == 0 && verify->file_faults == faults)
        compare_counts(check);
    return error;
}

static int look_inside(struct verify *verify, const char *path, const struct span_info *info,
                       struct diagnosis *why)
{
    struct bytes file;
    struct span_check check = {.verify = verify, .info = info};
    check.pieces_expected = (size_t)((info->manifest.stream_bytes + STREAM_PIECE_BYTES - 1) /
                                     STREAM_PIECE_BYTES);
    check.pieces = calloc(check.pieces_expected + 1, sizeof *check.pieces);
    if (check.pieces == NULL)
        return ERR_NOMEM;
    arena_init(&check.arena, LABELS_ARENA_BYTES);
    int error = care_map(path, &file, why);
    if (error == 0) {
        error = walk_file(&check, file);
        care_unmap(file);
    }
    if (error == 0) {
        if (info->manifest.kind == SPAN_SAMPLES)
            verify->counts.samples += check.samples;
        verify->counts.log_blocks += check.log_blocks;
    }
    arena_reset(&check.arena);
    buf_done(&check.joined);
    buf_done(&check.raw);
    buf_done(&check.table);
    free(check.pieces);
    return error;
}

int verify_span(struct verify *verify, const char *directory, const struct span_info *info,
                struct diagnosis *why)
{
    char name[SPAN_NAME_BYTES];
    char file[SPAN_NAME_BYTES + 16];
    char path[4096];
    uint64_t hash = 0;
    uint64_t bytes = 0;
    struct diagnosis reason = {0};
    span_file_name((enum span_kind)info->manifest.kind, info->manifest.start_ms,
                   info->manifest.end_ms, info->manifest.generation, name);
    (void)snprintf(file, sizeof file, "history/%s", name);
    (void)snprintf(path, sizeof path, "%s/%s", directory, file);
    int error = verify_begin_file(verify, file);
    if (error == 0)
        error = care_hash(path, &verify->pace, &hash, &bytes, &reason);
    if (error == ERR_NOTFOUND) {
        verify_fault(verify, "the file is missing");
        return 0;
    }
    if (error == ERR_IO) {
        verify_fault(verify, "it cannot be read: %s", reason.text);
        return 0; /* a bad sector, say: mapping it would end the process */
    }
    if (error != 0)
        return diagnose(why, error, "%s", *reason.text != '\0' ? reason.text : error_text(error));
    if (bytes != info->file_bytes)
        verify_fault(verify, "it has %" PRIu64 " bytes, where its registration says %" PRIu64,
                     bytes, info->file_bytes);
    else if (hash != info->file_hash)
        verify_fault(verify, "its bytes are not those that were written");
    return look_inside(verify, path, info, why);
}
