/*
 * log_join.c - see log_join.h.
 *
 * Lines of the file at hand are gathered until they make a block.  Blocks may overlap: the
 * write-ahead log was replayed, or lines came late.  A line that is gathered already is a twin
 * and left out; one that belongs before what is gathered starts a block of its own, which may
 * then hold a twin of a block written before: searches bear that.
 */
#include "collector/store/log_join.h"

#include <stdlib.h>
#include <string.h>

#include "collector/log/block.h"
#include "proto/base/error.h"

#define ARENA_BYTES       ((size_t)256 << 20)
#define ARENA_RESET_BYTES ((size_t)16 << 20)

struct log_join {
    struct span_writer *writer;
    struct arena arena; /* what is gathered points into it */
    uint64_t stream_id, file_id;
    struct bytes path;
    struct log_line *lines;
    size_t count, capacity, text_bytes;
    bool any; /* stream and file are set */
    struct buf block;
};

int log_join_new(struct span_writer *writer, struct log_join **ret_join)
{
    struct log_join *join = calloc(1, sizeof *join);
    if (join == NULL)
        return ERR_NOMEM;
    join->writer = writer;
    arena_init(&join->arena, ARENA_BYTES);
    *ret_join = join;
    return 0;
}

void log_join_free(struct log_join *join)
{
    if (join == NULL)
        return;
    arena_reset(&join->arena);
    buf_done(&join->block);
    free(join->lines);
    free(join);
}

int log_join_flush(struct log_join *join)
{
    if (join->count == 0)
        return 0;
    struct log_chunk chunk = {join->file_id, join->path, join->lines, join->count};
    struct log_block_info info;
    buf_clear(&join->block);
    int error = log_block_encode(&chunk, &join->block);
    if (error == 0)
        error =
            buf_ok(&join->block) ? log_block_peek(buf_bytes(&join->block), &info) : ERR_NOMEM;
    if (error == 0)
        error = span_writer_add_log(
            join->writer,
            (struct log_key){join->stream_id, join->file_id, join->lines[0].offset},
            info.min_ms, info.max_ms, buf_bytes(&join->block));
    join->count = 0;
    join->text_bytes = 0;
    return error;
}

/* The place of an offset among the lines gathered. */
static size_t place_of(const struct log_join *join, uint64_t offset)
{
    size_t at = join->count;
    while (at > 0 && join->lines[at - 1].offset >= offset)
        at--;
    return at;
}

static int add_line(struct log_join *join, const struct log_line *line)
{
    size_t at = place_of(join, line->offset);
    if (at < join->count && join->lines[at].offset == line->offset)
        return 0;
    if (join->count > 0 && (at == 0 || join->count == LOG_BLOCK_LINES_MAX ||
                            join->text_bytes + line->text.size > LOG_BLOCK_TEXT_DUE)) {
        int error = log_join_flush(join);
        if (error != 0)
            return error;
        at = 0;
    }
    if (join->count == join->capacity) {
        size_t capacity = join->capacity == 0 ? 1024 : join->capacity * 2;
        struct log_line *lines = realloc(join->lines, capacity * sizeof *lines);
        if (lines == NULL)
            return ERR_NOMEM;
        join->lines = lines;
        join->capacity = capacity;
    }
    memmove(join->lines + at + 1, join->lines + at, (join->count - at) * sizeof *join->lines);
    join->lines[at] = *line;
    join->count++;
    join->text_bytes += line->text.size;
    return 0;
}

static struct bytes keep(struct arena *arena, struct bytes text)
{
    uint8_t *copy = arena_alloc(arena, text.size + 1, 1);
    if (copy == NULL)
        return (struct bytes){0};
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return (struct bytes){copy, text.size};
}

int log_join_add(struct log_join *join, struct log_key key, struct bytes block)
{
    struct log_block_info info;
    const struct log_line *lines;
    int error = 0;
    if (!join->any || key.stream_id != join->stream_id || key.file_id != join->file_id) {
        error = log_join_flush(join);
        arena_reset(&join->arena);
        join->any = false;
        join->stream_id = key.stream_id;
        join->file_id = key.file_id;
    } else if (join->arena.held_bytes > ARENA_RESET_BYTES) {
        error = log_join_flush(join);
        arena_reset(&join->arena);
    }
    if (error == 0)
        error = log_block_decode(block, &join->arena, &info, &lines);
    if (error != 0)
        return error == ERR_NOMEM ? ERR_NOMEM : ERR_CORRUPT;
    join->path = keep(&join->arena, info.path);
    if (join->path.data == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < info.line_count && error == 0; i++)
        error = add_line(join, &lines[i]);
    return error;
}
