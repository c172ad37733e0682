/*
 * search.c - see search.h.
 *
 * The answer so far is a binary heap whose root is the hit that the next better one replaces,
 * so a search for the newest hundred lines holds a hundred and one.  Beside it an
 * open-addressed set of (stream, file, offset) keeps a line that is seen twice from being two
 * hits.
 */
#include "collector/log/search.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "collector/series/matcher.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

/* The columns of one block, its lines, or the head's lines of one file. */
#define SCRATCH_BYTES_MAX ((size_t)64 << 20)
#define HITS_ROOM_MIN     ((size_t)64)

struct candidate {
    uint64_t stream_id;
    uint64_t file_id;
    struct log_line line; /* text is the candidate's own, from malloc */
    uint8_t *path;        /* its own too */
    size_t path_size;
    size_t twin; /* its slot in the set */
};

struct log_search {
    const struct log_query *query;
    size_t limit;
    char *glob;             /* NULL: all paths */
    struct candidate *hits; /* a heap: parent is worse than its children */
    size_t count;
    size_t room;
    size_t *slots; /* index + 1 into hits; a power of two, at least twice the room */
    size_t slot_count;
    size_t held_bytes;
    struct arena scratch;
};

int log_search_new(const struct log_query *query, struct log_search **ret_search,
                   struct diagnosis *why)
{
    if (query->limit > LOG_SEARCH_LIMIT_MAX)
        return diagnose(why, ERR_LIMIT, "limit %zu is above the largest, %zu", query->limit,
                        LOG_SEARCH_LIMIT_MAX);
    if (query->path_pattern.size > LOG_PATH_BYTES_MAX)
        return diagnose(why, ERR_LIMIT, "the path pattern is longer than %zu bytes",
                        LOG_PATH_BYTES_MAX);
    struct log_search *search = calloc(1, sizeof *search);
    if (search == NULL)
        return diagnose(why, ERR_NOMEM, "%s", error_text(ERR_NOMEM));
    search->query = query;
    search->limit = query->limit == 0 ? LOG_SEARCH_LIMIT_DEFAULT : query->limit;
    arena_init(&search->scratch, SCRATCH_BYTES_MAX);
    if (query->path_pattern.size > 0) {
        search->glob =
            strndup((const char *)query->path_pattern.data, query->path_pattern.size);
        if (search->glob == NULL) {
            log_search_free(search);
            return diagnose(why, ERR_NOMEM, "%s", error_text(ERR_NOMEM));
        }
    }
    *ret_search = search;
    return 0;
}

static void candidate_clear(struct log_search *search, struct candidate *hit)
{
    search->held_bytes -= hit->line.text.size + hit->path_size;
    free((void *)hit->line.text.data);
    free(hit->path);
}

void log_search_free(struct log_search *search)
{
    if (search == NULL)
        return;
    for (size_t i = 0; i < search->count; i++)
        candidate_clear(search, &search->hits[i]);
    free(search->hits);
    free(search->slots);
    free(search->glob);
    arena_reset(&search->scratch);
    free(search);
}

/* ---- order ------------------------------------------------------------------------------ */

static int compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* <0: `a` comes before `b` in the answer, by the query's direction. */
static int answer_order(const struct log_search *search, const struct candidate *a,
                        const struct candidate *b)
{
    int order = a->line.ts_ms < b->line.ts_ms ? -1 : a->line.ts_ms > b->line.ts_ms;
    if (order == 0)
        order = compare_u64(a->stream_id, b->stream_id);
    if (order == 0)
        order = compare_u64(a->file_id, b->file_id);
    if (order == 0)
        order = compare_u64(a->line.offset, b->line.offset);
    return search->query->newest_first ? -order : order;
}

/* ---- twins ------------------------------------------------------------------------------ */

static size_t hash_of(const struct candidate *hit)
{
    uint64_t mixed =
        (hit->stream_id * 0x9e3779b97f4a7c15u ^ hit->file_id) * 0xd6e8feb86659fd93u ^
        hit->line.offset;
    mixed ^= mixed >> 32;
    mixed *= 0xd6e8feb86659fd93u;
    mixed ^= mixed >> 32;
    return (size_t)mixed;
}

static bool are_twins(const struct candidate *a, const struct candidate *b)
{
    return a->stream_id == b->stream_id && a->file_id == b->file_id &&
           a->line.offset == b->line.offset;
}

/* The slot of the twin of `hit`, or the empty one where it would be. */
static size_t twin_slot(const struct log_search *search, const struct candidate *hit)
{
    size_t at = hash_of(hit) & (search->slot_count - 1);
    while (search->slots[at] != 0 && !are_twins(&search->hits[search->slots[at] - 1], hit))
        at = (at + 1) & (search->slot_count - 1);
    return at;
}

static void twin_enter(struct log_search *search, size_t index)
{
    size_t at = twin_slot(search, &search->hits[index]);
    search->slots[at] = index + 1;
    search->hits[index].twin = at;
}

/* Empties a slot and moves up those behind it that it would hide. */
static void twin_remove(struct log_search *search, size_t at)
{
    search->slots[at] = 0;
    size_t next = (at + 1) & (search->slot_count - 1);
    while (search->slots[next] != 0) {
        size_t index = search->slots[next] - 1;
        search->slots[next] = 0;
        twin_enter(search, index);
        next = (next + 1) & (search->slot_count - 1);
    }
}

/* ---- the heap --------------------------------------------------------------------------- */

static void heap_swap(struct log_search *search, size_t a, size_t b)
{
    struct candidate kept = search->hits[a];
    search->hits[a] = search->hits[b];
    search->hits[b] = kept;
    search->slots[search->hits[a].twin] = a + 1;
    search->slots[search->hits[b].twin] = b + 1;
}

static void heap_up(struct log_search *search, size_t at)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (answer_order(search, &search->hits[at], &search->hits[parent]) <= 0)
            return;
        heap_swap(search, at, parent);
        at = parent;
    }
}

static void heap_down(struct log_search *search)
{
    size_t at = 0;
    for (;;) {
        size_t worst = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < search->count; child++)
            if (answer_order(search, &search->hits[child], &search->hits[worst]) > 0)
                worst = child;
        if (worst == at)
            return;
        heap_swap(search, at, worst);
        at = worst;
    }
}

static void heap_drop_worst(struct log_search *search)
{
    twin_remove(search, search->hits[0].twin);
    candidate_clear(search, &search->hits[0]);
    search->count--;
    if (search->count == 0)
        return;
    search->hits[0] = search->hits[search->count];
    search->slots[search->hits[0].twin] = 1;
    heap_down(search);
}

/* Doubles the heap and rebuilds the set. */
static int grow(struct log_search *search)
{
    size_t room = search->room == 0 ? HITS_ROOM_MIN : search->room * 2;
    size_t slot_count = room * 2;
    struct candidate *hits = realloc(search->hits, room * sizeof *hits);
    if (hits == NULL)
        return ERR_NOMEM;
    search->hits = hits;
    size_t *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL)
        return ERR_NOMEM;
    free(search->slots);
    search->slots = slots;
    search->slot_count = slot_count;
    search->room = room;
    for (size_t i = 0; i < search->count; i++)
        twin_enter(search, i);
    return 0;
}

static int candidate_own(struct candidate *hit, const struct log_line *line, struct bytes path)
{
    uint8_t *text = malloc(line->text.size + 1);
    uint8_t *path_copy = malloc(path.size + 1);
    if (text == NULL || path_copy == NULL) {
        free(text);
        free(path_copy);
        return ERR_NOMEM;
    }
    if (line->text.size > 0)
        memcpy(text, line->text.data, line->text.size);
    if (path.size > 0)
        memcpy(path_copy, path.data, path.size);
    hit->line.text = (struct bytes){text, line->text.size};
    hit->path = path_copy;
    hit->path_size = path.size;
    return 0;
}

/* Takes a matching line into the answer if there is room or it is better than the worst. */
static int offer(struct log_search *search, uint64_t stream_id, uint64_t file_id,
                 struct bytes path, const struct log_line *line)
{
    struct candidate hit = {.stream_id = stream_id, .file_id = file_id, .line = *line};
    if (search->count == search->limit && answer_order(search, &hit, &search->hits[0]) >= 0)
        return 0;
    if (search->slot_count > 0 && search->slots[twin_slot(search, &hit)] != 0)
        return 0;
    if (search->held_bytes + line->text.size + path.size > LOG_SEARCH_BYTES_MAX)
        return ERR_LIMIT;
    if (search->count == search->room) {
        int error = grow(search);
        if (error != 0)
            return error;
    }
    if (candidate_own(&hit, line, path) != 0)
        return ERR_NOMEM;
    if (search->count == search->limit)
        heap_drop_worst(search);
    search->held_bytes += hit.line.text.size + hit.path_size;
    search->hits[search->count] = hit;
    twin_enter(search, search->count);
    search->count++;
    heap_up(search, search->count - 1);
    return 0;
}

/* ---- looking ---------------------------------------------------------------------------- */

static bool path_matches(const struct log_search *search, struct bytes path)
{
    if (search->glob == NULL)
        return true;
    char text[LOG_PATH_BYTES_MAX + 1];
    if (path.size > LOG_PATH_BYTES_MAX)
        return false;
    if (path.size > 0)
        memcpy(text, path.data, path.size);
    text[path.size] = '\0';
    return fnmatch(search->glob, text, 0) == 0;
}

static bool stream_matches(const struct log_search *search, uint64_t stream_id)
{
    return search->query->stream_id == 0 || search->query->stream_id == stream_id;
}

/* The bits of severities that the query asks for. */
static uint32_t severities_wanted(const struct log_query *query)
{
    if (query->severity_at_most == 0 || query->severity_at_most > 8)
        return query->severity_at_most == 0 ? 0x1ffu : 0x1feu;
    return ((1u << (query->severity_at_most + 1)) - 1) & ~1u;
}

bool log_search_wants(const struct log_search *search, uint64_t stream_id,
                      const struct log_block_info *info)
{
    const struct log_query *query = search->query;
    if (!stream_matches(search, stream_id) || info->max_ms < query->from_ms ||
        info->min_ms > query->until_ms || (info->severity_mask & severities_wanted(query)) == 0)
        return false;
    if (search->count == search->limit) {
        int64_t worst_ms = search->hits[0].line.ts_ms;
        if (query->newest_first ? info->max_ms < worst_ms : info->min_ms > worst_ms)
            return false;
    }
    return path_matches(search, info->path);
}

static int look_through(struct log_search *search, uint64_t stream_id, uint64_t file_id,
                        struct bytes path, const struct log_line *lines, size_t count)
{
    const struct log_query *query = search->query;
    uint32_t wanted = severities_wanted(query);
    for (size_t i = 0; i < count; i++) {
        const struct log_line *line = &lines[i];
        if (line->ts_ms < query->from_ms || line->ts_ms > query->until_ms ||
            (wanted >> line->severity & 1u) == 0)
            continue;
        /* A pattern that gives up on a line (match limit) has not matched it. */
        if (query->contains != NULL && !regex_matches(query->contains, line->text, NULL))
            continue;
        int error = offer(search, stream_id, file_id, path, line);
        if (error != 0)
            return error;
    }
    return 0;
}

static int explain(int error, struct diagnosis *why)
{
    if (error == ERR_LIMIT)
        return diagnose(why, error, "the lines found take more than %zu MiB; ask for fewer",
                        LOG_SEARCH_BYTES_MAX >> 20);
    return error == 0 ? 0 : diagnose(why, error, "searching logs: %s", error_text(error));
}

int log_search_block(struct log_search *search, uint64_t stream_id, uint64_t file_id,
                     struct bytes block, struct diagnosis *why)
{
    struct log_block_info info;
    const struct log_line *lines;
    int error = log_block_decode(block, &search->scratch, &info, &lines);
    if (error == ERR_LIMIT)
        error = ERR_MALFORMED; /* no block of ours is that large */
    if (error == 0 && stream_matches(search, stream_id) && path_matches(search, info.path))
        error = look_through(search, stream_id, file_id, info.path, lines, info.line_count);
    arena_reset(&search->scratch);
    return explain(error, why);
}

int log_search_head(struct log_search *search, struct log_head *head, struct diagnosis *why)
{
    const struct log_query *query = search->query;
    struct arena names;
    arena_init(&names, SCRATCH_BYTES_MAX);
    const struct log_head_file *files = NULL;
    size_t file_count = 0;
    int error = log_head_files(head, query->stream_id, &names, &files, &file_count);
    for (size_t i = 0; i < file_count && error == 0; i++) {
        if (!path_matches(search, files[i].path))
            continue;
        error = query->budget == NULL ? 0 : query_budget_look(query->budget);
        if (error != 0)
            break;
        const struct log_line *lines;
        size_t count;
        error = log_head_read(head, files[i].stream_id, files[i].file_id, query->from_ms,
                              query->until_ms, &search->scratch, &lines, &count);
        if (error == 0)
            error = look_through(search, files[i].stream_id, files[i].file_id, files[i].path,
                                 lines, count);
        arena_reset(&search->scratch);
    }
    arena_reset(&names);
    return explain(error, why);
}

/* ---- the answer ------------------------------------------------------------------------- */

static int copy_hit(const struct candidate *hit, struct arena *arena, struct log_hit *to)
{
    uint8_t *memory = arena_alloc(arena, hit->line.text.size + hit->path_size + 1, 1);
    if (memory == NULL)
        return ERR_NOMEM;
    if (hit->line.text.size > 0)
        memcpy(memory, hit->line.text.data, hit->line.text.size);
    memcpy(memory + hit->line.text.size, hit->path, hit->path_size);
    *to = (struct log_hit){.stream_id = hit->stream_id,
                           .file_id = hit->file_id,
                           .path = {memory + hit->line.text.size, hit->path_size},
                           .line = hit->line};
    to->line.text.data = memory;
    return 0;
}

int log_search_finish(struct log_search *search, struct arena *arena, struct log_hit **ret_hits,
                      size_t *ret_count)
{
    size_t count = search->count;
    struct log_hit *hits = arena_alloc(arena, count + 1, sizeof *hits);
    if (hits == NULL)
        return ERR_NOMEM;
    /* The worst leaves the heap first and goes to the end. */
    for (size_t at = count; at > 0; at--) {
        if (copy_hit(&search->hits[0], arena, &hits[at - 1]) != 0)
            return ERR_NOMEM;
        heap_drop_worst(search);
    }
    *ret_hits = hits;
    *ret_count = count;
    return 0;
}
