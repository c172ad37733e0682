/*
 * head.c - see head.h.
 *
 *   files, open addressing by hash(stream, file)      one file
 *   +---+---+---+---+---+---+                         lines: sorted by offset
 *   |   | * |   |   | * |   |  ------------------>    [offset time sev flags text size|at cut?]
 *   +---+---+---+---+---+---+                         text:  [ bytes, in order of arrival ]
 *
 * Appending merges a sorted chunk into a sorted array, so late backlog costs one pass. Retiring
 * drops the lines marked as cut and rebuilds the text; a file without lines leaves the table.
 * The writer reads without the lock (nobody else writes) and takes it to change anything.
 */
#include "collector/log/head.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "collector/log/block.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define TABLE_SLOTS_MIN ((size_t)64)

struct head_line {
    uint64_t offset;
    int64_t ts_ms;
    uint32_t text_at; /* in the file's text; a file is cut long before 4 GiB */
    uint32_t text_size;
    uint8_t severity;
    uint8_t flags;
    bool is_cut; /* handed out by the cut under way */
};

struct head_file {
    uint64_t stream_id;
    uint64_t file_id;
    uint8_t *path;
    size_t path_size;
    struct head_line *lines;
    size_t line_count;
    size_t line_room;
    uint8_t *text;
    size_t text_size;
    size_t text_room;
};

struct log_head {
    pthread_rwlock_t lock; /* over everything below; only the writer takes it for writing */
    struct head_file **slots;
    size_t slot_count; /* a power of two */
    size_t file_count;
    size_t line_count;
    size_t held_bytes;
    bool is_cutting;
};

/* A line appended past this would not be addressable; the writer cuts at a few MiB. */
#define FILE_TEXT_MAX ((size_t)UINT32_MAX - LOG_LINE_BYTES_MAX)

static size_t hash_of(uint64_t stream_id, uint64_t file_id)
{
    uint64_t mixed = stream_id * 0x9e3779b97f4a7c15u ^ file_id;
    mixed ^= mixed >> 32;
    mixed *= 0xd6e8feb86659fd93u;
    mixed ^= mixed >> 32;
    return (size_t)mixed;
}

static void file_free(struct head_file *file)
{
    if (file == NULL)
        return;
    free(file->path);
    free(file->lines);
    free(file->text);
    free(file);
}

static size_t file_bytes(const struct head_file *file)
{
    return sizeof *file + file->path_size + file->line_room * sizeof *file->lines +
           file->text_room;
}

int log_head_new(struct log_head **ret_head)
{
    struct log_head *head = calloc(1, sizeof *head);
    if (head == NULL)
        return ERR_NOMEM;
    head->slot_count = TABLE_SLOTS_MIN;
    head->slots = calloc(head->slot_count, sizeof(*head->slots));
    if (head->slots == NULL || pthread_rwlock_init(&head->lock, NULL) != 0) {
        free(head->slots);
        free(head);
        return ERR_NOMEM;
    }
    *ret_head = head;
    return 0;
}

void log_head_free(struct log_head *head)
{
    if (head == NULL)
        return;
    for (size_t i = 0; i < head->slot_count; i++)
        file_free(head->slots[i]);
    free(head->slots);
    pthread_rwlock_destroy(&head->lock);
    free(head);
}

/* ---- the table -------------------------------------------------------------------------- */

/* The slot of the file, or the empty one where it belongs. */
static struct head_file **slot_of(struct head_file **slots, size_t slot_count,
                                  uint64_t stream_id, uint64_t file_id)
{
    size_t at = hash_of(stream_id, file_id) & (slot_count - 1);
    while (slots[at] != NULL &&
           (slots[at]->stream_id != stream_id || slots[at]->file_id != file_id))
        at = (at + 1) & (slot_count - 1);
    return &slots[at];
}

/* Moves all files but the empty ones into a table of `slot_count` slots. */
static int table_rebuild(struct log_head *head, size_t slot_count)
{
    struct head_file **slots = calloc(slot_count, sizeof(*slots));
    if (slots == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < head->slot_count; i++) {
        struct head_file *file = head->slots[i];
        if (file != NULL)
            *slot_of(slots, slot_count, file->stream_id, file->file_id) = file;
    }
    free(head->slots);
    head->slots = slots;
    head->slot_count = slot_count;
    return 0;
}

/* Takes files without lines out of the table, closing the gaps in place (no allocation, so it
 * cannot fail): every file is lifted out and put back where a search will find it. */
static void table_sweep(struct log_head *head)
{
    for (size_t i = 0; i < head->slot_count; i++) {
        struct head_file *file = head->slots[i];
        if (file == NULL || file->line_count > 0)
            continue;
        head->held_bytes -= file_bytes(file);
        head->file_count--;
        head->slots[i] = NULL;
        file_free(file);
        size_t next = (i + 1) & (head->slot_count - 1);
        while (head->slots[next] != NULL) {
            struct head_file *moved = head->slots[next];
            head->slots[next] = NULL;
            *slot_of(head->slots, head->slot_count, moved->stream_id, moved->file_id) = moved;
            next = (next + 1) & (head->slot_count - 1);
        }
        i--; /* what moved into this slot has not been looked at */
    }
}

static int file_find_or_make(struct log_head *head, uint64_t stream_id,
                             const struct log_chunk *chunk, struct head_file **ret_file)
{
    struct head_file **slot = slot_of(head->slots, head->slot_count, stream_id, chunk->file_id);
    if (*slot != NULL) {
        *ret_file = *slot;
        return 0;
    }
    if (head->file_count + 1 > head->slot_count / 2) {
        if (table_rebuild(head, head->slot_count * 2) != 0)
            return ERR_NOMEM;
        slot = slot_of(head->slots, head->slot_count, stream_id, chunk->file_id);
    }
    struct head_file *file = calloc(1, sizeof *file);
    uint8_t *path = malloc(chunk->path.size + 1);
    if (file == NULL || path == NULL) {
        free(file);
        free(path);
        return ERR_NOMEM;
    }
    if (chunk->path.size > 0)
        memcpy(path, chunk->path.data, chunk->path.size);
    file->stream_id = stream_id;
    file->file_id = chunk->file_id;
    file->path = path;
    file->path_size = chunk->path.size;
    *slot = file;
    head->file_count++;
    head->held_bytes += file_bytes(file);
    *ret_file = file;
    return 0;
}

/* ---- appending -------------------------------------------------------------------------- */

static size_t room_for(size_t room, size_t wanted)
{
    if (room == 0)
        room = 64;
    while (room < wanted)
        room += room / 2;
    return room;
}

/* Room for `chunk`, all of it; afterwards nothing can fail. */
static int file_reserve(struct head_file *file, const struct log_chunk *chunk)
{
    size_t text = file->text_size;
    for (size_t i = 0; i < chunk->count; i++)
        text += chunk->lines[i].text.size;
    if (text > FILE_TEXT_MAX)
        return ERR_NOMEM;
    if (text > file->text_room) {
        size_t room = room_for(file->text_room, text);
        uint8_t *grown = realloc(file->text, room);
        if (grown == NULL)
            return ERR_NOMEM;
        file->text = grown;
        file->text_room = room;
    }
    if (file->line_count + chunk->count > file->line_room) {
        size_t room = room_for(file->line_room, file->line_count + chunk->count);
        struct head_line *grown = realloc(file->lines, room * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        file->lines = grown;
        file->line_room = room;
    }
    return 0;
}

/* A probe newer than this collector may know severities and flags that a block has no place
 * for; a line must not be lost for that, nor hold up the blocks of all others. */
static uint8_t known_severity(uint32_t severity)
{
    return (uint8_t)(severity <= LOG_SEVERITY_MAX ? severity : 0);
}

static struct head_line line_take(struct head_file *file, const struct log_line *line)
{
    struct head_line taken = {.offset = line->offset,
                              .ts_ms = line->ts_ms,
                              .text_at = (uint32_t)file->text_size,
                              .text_size = (uint32_t)line->text.size,
                              .severity = known_severity(line->severity),
                              .flags = (uint8_t)(line->flags & LOG_LINE_FLAGS_ALL)};
    if (line->text.size > 0)
        memcpy(file->text + file->text_size, line->text.data, line->text.size);
    file->text_size += line->text.size;
    return taken;
}

/* How many lines of the chunk the file lacks. */
static size_t count_new(const struct head_file *file, const struct log_chunk *chunk)
{
    size_t fresh = 0;
    size_t at = 0;
    for (size_t i = 0; i < chunk->count; i++) {
        while (at < file->line_count && file->lines[at].offset < chunk->lines[i].offset)
            at++;
        if (at == file->line_count || file->lines[at].offset != chunk->lines[i].offset)
            fresh++;
    }
    return fresh;
}

/* Merges from the back, so that the array needs no second one. */
static void merge_lines(struct head_file *file, const struct log_chunk *chunk, size_t fresh)
{
    size_t old = file->line_count;
    size_t new = chunk->count;
    size_t to = old + fresh;
    file->line_count = to;
    while (new > 0) {
        const struct log_line *line = &chunk->lines[new - 1];
        if (old > 0 && file->lines[old - 1].offset > line->offset) {
            file->lines[--to] = file->lines[--old];
        } else if (old > 0 && file->lines[old - 1].offset == line->offset) {
            new --;
        } else {
            file->lines[--to] = line_take(file, line);
            new --;
        }
    }
    must(to == old);
}

int log_head_append(struct log_head *head, uint64_t stream_id, const struct log_chunk *chunk,
                    size_t *ret_taken)
{
    size_t fresh = 0;
    struct head_file *file;
    if (chunk->count == 0) {
        if (ret_taken != NULL)
            *ret_taken = 0;
        return 0;
    }
    pthread_rwlock_wrlock(&head->lock);
    int error = file_find_or_make(head, stream_id, chunk, &file);
    if (error == 0) {
        size_t before = file_bytes(file);
        error = file_reserve(file, chunk);
        head->held_bytes += file_bytes(file) - before;
    }
    if (error == 0) {
        fresh = count_new(file, chunk);
        merge_lines(file, chunk, fresh);
        head->line_count += fresh;
    }
    pthread_rwlock_unlock(&head->lock);
    if (error == 0 && ret_taken != NULL)
        *ret_taken = fresh;
    return error;
}

size_t log_head_bytes(const struct log_head *head)
{
    return head->held_bytes + head->slot_count * sizeof(struct head_file *);
}

size_t log_head_line_count(const struct log_head *head)
{
    return head->line_count;
}

bool log_head_is_due(const struct log_head *head)
{
    for (size_t i = 0; i < head->slot_count; i++)
        if (head->slots[i] != NULL && (head->slots[i]->text_size >= LOG_BLOCK_TEXT_DUE ||
                                       head->slots[i]->line_count >= LOG_BLOCK_LINES_MAX))
            return true;
    return false;
}

/* ---- cutting ---------------------------------------------------------------------------- */

static struct log_line line_view(const struct head_file *file, const struct head_line *line)
{
    return (struct log_line){
        .offset = line->offset,
        .ts_ms = line->ts_ms,
        .severity = line->severity,
        .flags = line->flags,
        .text = {file->text + line->text_at, line->text_size},
    };
}

/* The end of the block that starts at `from`; *ret_full: it has all the text a block should. */
static size_t block_end(const struct head_file *file, size_t from, bool *ret_full)
{
    size_t text = 0;
    size_t end = from;
    while (end < file->line_count && text < LOG_BLOCK_TEXT_DUE &&
           end - from < LOG_BLOCK_LINES_MAX)
        text += file->lines[end++].text_size;
    *ret_full = text >= LOG_BLOCK_TEXT_DUE || end - from == LOG_BLOCK_LINES_MAX;
    return end;
}

static int cut_file(struct head_file *file, enum log_cut_mode mode, log_head_block *block,
                    void *context)
{
    size_t from = 0;
    while (from < file->line_count) {
        bool is_full;
        size_t end = block_end(file, from, &is_full);
        if (mode == LOG_CUT_DUE && !is_full)
            return 0;
        struct log_line *views = malloc((end - from) * sizeof *views);
        if (views == NULL)
            return ERR_NOMEM;
        for (size_t i = from; i < end; i++)
            views[i - from] = line_view(file, &file->lines[i]);
        struct log_chunk chunk = {.file_id = file->file_id,
                                  .path = {file->path, file->path_size},
                                  .lines = views,
                                  .count = end - from};
        int result = block(context, file->stream_id, &chunk);
        free(views);
        if (result != 0)
            return result;
        for (size_t i = from; i < end; i++)
            file->lines[i].is_cut = true;
        from = end;
    }
    return 0;
}

int log_head_cut(struct log_head *head, enum log_cut_mode mode, log_head_block *block,
                 void *context)
{
    must(!head->is_cutting);
    head->is_cutting = true;
    int result = 0;
    for (size_t i = 0; i < head->slot_count && result == 0; i++)
        if (head->slots[i] != NULL)
            result = cut_file(head->slots[i], mode, block, context);
    return result;
}

/* Keeps the lines that were not cut, and their text. */
static void file_retire(struct log_head *head, struct head_file *file)
{
    size_t kept = 0;
    size_t text_size = 0;
    for (size_t i = 0; i < file->line_count; i++)
        if (!file->lines[i].is_cut) {
            text_size += file->lines[i].text_size;
            file->lines[kept++] = file->lines[i];
        }
    if (kept == file->line_count)
        return;
    head->line_count -= file->line_count - kept;
    file->line_count = kept;
    /* The kept text moves to fresh memory; without any the old stays in use as it is. */
    uint8_t *text = malloc(text_size + 1);
    if (text == NULL)
        return;
    head->held_bytes -= file_bytes(file);
    size_t at = 0;
    for (size_t i = 0; i < kept; i++) {
        memcpy(text + at, file->text + file->lines[i].text_at, file->lines[i].text_size);
        file->lines[i].text_at = (uint32_t)at;
        at += file->lines[i].text_size;
    }
    free(file->text);
    file->text = text;
    file->text_size = text_size;
    file->text_room = text_size + 1;
    head->held_bytes += file_bytes(file);
}

void log_head_retire(struct log_head *head)
{
    must(head->is_cutting);
    pthread_rwlock_wrlock(&head->lock);
    for (size_t i = 0; i < head->slot_count; i++)
        if (head->slots[i] != NULL)
            file_retire(head, head->slots[i]);
    table_sweep(head);
    head->is_cutting = false;
    pthread_rwlock_unlock(&head->lock);
}

void log_head_uncut(struct log_head *head)
{
    must(head->is_cutting);
    for (size_t i = 0; i < head->slot_count; i++) {
        struct head_file *file = head->slots[i];
        for (size_t k = 0; file != NULL && k < file->line_count; k++)
            file->lines[k].is_cut = false;
    }
    head->is_cutting = false;
}

/* ---- reading ---------------------------------------------------------------------------- */

static struct bytes copy_bytes(struct arena *arena, const uint8_t *data, size_t size)
{
    uint8_t *copy = arena_alloc(arena, size + 1, 1);
    if (copy == NULL)
        return (struct bytes){NULL, 0};
    if (size > 0)
        memcpy(copy, data, size);
    return (struct bytes){copy, size};
}

int log_head_files(struct log_head *head, uint64_t stream_id, struct arena *arena,
                   const struct log_head_file **ret_files, size_t *ret_count)
{
    int error = 0;
    size_t count = 0;
    pthread_rwlock_rdlock(&head->lock);
    struct log_head_file *files = arena_alloc(arena, head->file_count + 1, sizeof *files);
    if (files == NULL)
        error = ERR_NOMEM;
    for (size_t i = 0; i < head->slot_count && error == 0; i++) {
        const struct head_file *file = head->slots[i];
        if (file == NULL || (stream_id != 0 && file->stream_id != stream_id))
            continue;
        struct bytes path = copy_bytes(arena, file->path, file->path_size);
        if (path.data == NULL)
            error = ERR_NOMEM;
        files[count++] = (struct log_head_file){file->stream_id, file->file_id, path};
    }
    pthread_rwlock_unlock(&head->lock);
    if (error != 0)
        return error;
    *ret_files = files;
    *ret_count = count;
    return 0;
}

static int copy_lines(const struct head_file *file, int64_t from_ms, int64_t until_ms,
                      struct arena *arena, struct log_line **ret_lines, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < file->line_count; i++)
        count += file->lines[i].ts_ms >= from_ms && file->lines[i].ts_ms <= until_ms;
    struct log_line *lines = arena_alloc(arena, count + 1, sizeof *lines);
    if (lines == NULL)
        return ERR_NOMEM;
    size_t to = 0;
    for (size_t i = 0; i < file->line_count; i++) {
        struct log_line line = line_view(file, &file->lines[i]);
        if (line.ts_ms < from_ms || line.ts_ms > until_ms)
            continue;
        line.text = copy_bytes(arena, line.text.data, line.text.size);
        if (line.text.data == NULL)
            return ERR_NOMEM;
        lines[to++] = line;
    }
    *ret_lines = lines;
    *ret_count = count;
    return 0;
}

int log_head_read(struct log_head *head, uint64_t stream_id, uint64_t file_id, int64_t from_ms,
                  int64_t until_ms, struct arena *arena, const struct log_line **ret_lines,
                  size_t *ret_count)
{
    int error = 0;
    struct log_line *lines = NULL;
    size_t count = 0;
    pthread_rwlock_rdlock(&head->lock);
    const struct head_file *file = *slot_of(head->slots, head->slot_count, stream_id, file_id);
    if (file != NULL)
        error = copy_lines(file, from_ms, until_ms, arena, &lines, &count);
    pthread_rwlock_unlock(&head->lock);
    if (error != 0)
        return error;
    *ret_lines = lines;
    *ret_count = count;
    return 0;
}
