/*
 * space.c - adding up what the page walks find.
 */
#include "collector/store/space.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/store/care.h"
#include "collector/store/care_file.h"
#include "collector/store/parts.h"
#include "collector/store/span_set.h"
#include "collector/store/verify.h"
#include "proto/base/error.h"

#define DISK_BLOCK_BYTES  512 /* what st_blocks counts */

static const char *const environment_names[SPACE_KINDS] = {
    "live", "history samples", "history logs", "history rollup_5m", "history rollup_1h"};

static enum space_kind space_of_kind(uint8_t kind)
{
    switch (kind) {
    case SPAN_LOGS:
        return SPACE_LOGS;
    case SPAN_ROLLUP_5M:
        return SPACE_ROLLUP_5M;
    case SPAN_ROLLUP_1H:
        return SPACE_ROLLUP_1H;
    default:
        return SPACE_SAMPLES;
    }
}

struct survey {
    struct space *space;
    struct span_info *spans;
    size_t count, capacity;
};

/* -- adding up --------------------------------------------------------------------------- */

static struct page_tree *tree_of(struct space_environment *environment, const char *name)
{
    for (size_t i = 0; i < environment->tree_count; i++)
        if (strcmp(environment->trees[i].name, name) == 0)
            return &environment->trees[i];
    if (environment->tree_count == PAGE_TREES_MAX)
        return NULL;
    struct page_tree *tree = &environment->trees[environment->tree_count++];
    (void)snprintf(tree->name, sizeof tree->name, "%.*s", PAGE_NAME_MAX - 1, name);
    return tree;
}

static void add_walk(struct space_environment *environment, const struct page_walk *walk)
{
    environment->page_bytes = walk->page_bytes;
    environment->pages += walk->pages;
    environment->free_pages += walk->free_pages;
    environment->lost_pages += walk->lost_pages;
    environment->damaged_files += walk->faults > 0;
    for (size_t i = 0; i < walk->tree_count; i++) {
        const struct page_tree *from = &walk->trees[i];
        struct page_tree *to = tree_of(environment, *from->name != '\0' ? from->name : "tables");
        if (to == NULL)
            continue;
        to->depth = from->depth > to->depth ? from->depth : to->depth;
        to->entries += from->entries;
        to->branch_pages += from->branch_pages;
        to->leaf_pages += from->leaf_pages;
        to->overflow_pages += from->overflow_pages;
        to->used_bytes += from->used_bytes;
        to->large_bytes += from->large_bytes;
    }
}

static void add_file(struct space_environment *environment, const char *path)
{
    struct stat stat_;
    if (stat(path, &stat_) != 0)
        return;
    environment->files++;
    environment->bytes += (uint64_t)stat_.st_size;
    environment->disk_bytes += (uint64_t)stat_.st_blocks * DISK_BLOCK_BYTES;
}

/* -- live -------------------------------------------------------------------------------- */

static int take_registration(void *context, const char *table, struct bytes key,
                             struct bytes value)
{
    struct survey *survey = context;
    if (strcmp(table, "spans") != 0 || key.size != SPAN_ROW_KEY_BYTES)
        return 0;
    if (survey->count == survey->capacity) {
        size_t capacity = survey->capacity == 0 ? 64 : survey->capacity * 2;
        struct span_info *grown = realloc(survey->spans, capacity * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        survey->spans = grown;
        survey->capacity = capacity;
    }
    if (span_row_read(key, value, &survey->spans[survey->count]) == 0)
        survey->count++;
    return 0;
}

static int walk_live(void *context, struct bytes file, const uint8_t *snapshot)
{
    struct survey *survey = context;
    struct page_walk walk = {.file = file, .snapshot = snapshot, .value = take_registration,
                             .context = survey};
    int error = page_walk_run(&walk);
    if (error == 0)
        add_walk(&survey->space->environments[SPACE_LIVE], &walk);
    return error;
}

/* -- history ----------------------------------------------------------------------------- */

static int add_span(struct survey *survey, const char *directory, const struct span_info *info)
{
    struct space *space = survey->space;
    struct space_environment *environment =
        &space->environments[space_of_kind(info->manifest.kind)];
    char name[SPAN_NAME_BYTES];
    char path[4096];
    struct bytes file;
    span_file_name((enum span_kind)info->manifest.kind, info->manifest.start_ms,
                   info->manifest.end_ms, info->manifest.generation, name);
    (void)snprintf(path, sizeof path, "%s/history/%s", directory, name);
    int error = care_map(path, &file, NULL);
    if (error == ERR_NOTFOUND || error == ERR_IO) {
        environment->damaged_files++;
        return 0;
    }
    if (error != 0)
        return error;
    struct page_walk walk = {.file = file};
    error = page_walk_run(&walk);
    care_unmap(file);
    if (error != 0)
        return error;
    add_file(environment, path);
    add_walk(environment, &walk);
    if (info->manifest.kind == SPAN_SAMPLES)
        space->samples += info->manifest.samples;
    space->series_of_spans += info->manifest.series;
    space->log_blocks += info->manifest.log_blocks;
    return 0;
}

static void add_live_file(struct space *space, const char *directory)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/live/data.mdb", directory);
    add_file(&space->environments[SPACE_LIVE], path);
}

static void take_aside(void *context, const char *name, const char *reason)
{
    struct space *space = context;
    size_t at = space->aside_count++;
    if (at >= SPACE_ASIDE_TOLD)
        return;
    (void)snprintf(space->aside[at].name, QUARANTINE_NAME_BYTES, "%s", name);
    (void)snprintf(space->aside[at].reason, QUARANTINE_REASON_BYTES, "%s", reason);
}

int space_of_folder(const char *directory, struct space *ret_space, struct diagnosis *why)
{
    struct survey survey = {.space = ret_space};
    char path[4096];
    struct bytes file;
    *ret_space = (struct space){.samples = 0};
    quarantine_each(directory, take_aside, ret_space);
    (void)snprintf(path, sizeof path, "%s/live/data.mdb", directory);
    int error = care_map(path, &file, why);
    if (error != 0)
        return error;
    add_live_file(ret_space, directory);
    error = walk_live(&survey, file, NULL);
    care_unmap(file);
    for (size_t i = 0; i < survey.count && error == 0; i++)
        error = add_span(&survey, directory, &survey.spans[i]);
    free(survey.spans);
    return error;
}

int space_of_store(struct store *store, struct space *ret_space, struct diagnosis *why)
{
    struct survey survey = {.space = ret_space};
    *ret_space = (struct space){.samples = 0};
    quarantine_each(store->directory, take_aside, ret_space);
    add_live_file(ret_space, store->directory);
    int error = verify_store_live(store, walk_live, &survey, why);
    for (size_t i = 0; i < survey.count && error == 0; i++) {
        struct span *span = span_set_acquire_one(store->spans, &survey.spans[i]);
        if (span == NULL)
            continue; /* merged away meanwhile */
        error = add_span(&survey, store->directory, &survey.spans[i]);
        span_set_release_one(store->spans, span);
    }
    free(survey.spans);
    return error;
}

/* -- printing ---------------------------------------------------------------------------- */

static void print_tree(const struct page_tree *tree, uint64_t page_bytes, struct buf *out)
{
    uint64_t nodes = tree->branch_pages + tree->leaf_pages;
    uint64_t capacity = nodes * page_bytes;
    uint64_t overflow = tree->overflow_pages * page_bytes;
    buf_printf(out,
               "{\"name\":\"%s\",\"entries\":%" PRIu64 ",\"depth\":%" PRIu64
               ",\"branchPages\":%" PRIu64 ",\"leafPages\":%" PRIu64
               ",\"overflowPages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"fill\":",
               tree->name, tree->entries, tree->depth, tree->branch_pages, tree->leaf_pages,
               tree->overflow_pages, page_tree_pages(tree) * page_bytes);
    if (capacity > 0)
        buf_printf(out, "%.4f", (double)tree->used_bytes / (double)capacity);
    else
        buf_put_text(out, "null");
    buf_printf(out, ",\"overflowWasteBytes\":%" PRIu64 "}",
               overflow > tree->large_bytes ? overflow - tree->large_bytes : 0);
}

static void print_environment(const struct space_environment *environment, const char *name,
                              struct buf *out)
{
    buf_printf(out,
               "{\"name\":\"%s\",\"files\":%" PRIu64 ",\"damagedFiles\":%" PRIu64
               ",\"bytes\":%" PRIu64 ",\"diskBytes\":%" PRIu64 ",\"pageBytes\":%" PRIu64
               ",\"pages\":%" PRIu64 ",\"freePages\":%" PRIu64 ",\"lostPages\":%" PRIu64
               ",\"tables\":[",
               name, environment->files, environment->damaged_files, environment->bytes,
               environment->disk_bytes, environment->page_bytes, environment->pages,
               environment->free_pages, environment->lost_pages);
    for (size_t i = 0; i < environment->tree_count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        print_tree(&environment->trees[i], environment->page_bytes, out);
    }
    buf_put_text(out, "]}");
}

void space_print_json(const struct space *space, struct buf *out)
{
    uint64_t bytes = 0;
    uint64_t disk_bytes = 0;
    for (size_t i = 0; i < SPACE_KINDS; i++) {
        bytes += space->environments[i].bytes;
        disk_bytes += space->environments[i].disk_bytes;
    }
    buf_printf(out,
               "{\"samples\":%" PRIu64 ",\"logBlocks\":%" PRIu64 ",\"bytes\":%" PRIu64
               ",\"diskBytes\":%" PRIu64 ",\"bytesPerSample\":",
               space->samples, space->log_blocks, bytes, disk_bytes);
    if (space->samples > 0)
        buf_printf(out, "%.4f", (double)space->environments[SPACE_SAMPLES].bytes /
                                    (double)space->samples);
    else
        buf_put_text(out, "null");
    buf_put_text(out, ",\"environments\":[");
    for (size_t i = 0; i < SPACE_KINDS; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        print_environment(&space->environments[i], environment_names[i], out);
    }
    buf_printf(out, "],\"quarantined\":%zu,\"quarantine\":[", space->aside_count);
    for (size_t i = 0; i < space->aside_count && i < SPACE_ASIDE_TOLD; i++) {
        buf_put_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        care_put_text(out, space->aside[i].name);
        buf_put_text(out, ",\"reason\":");
        care_put_text(out, space->aside[i].reason);
        buf_put_char(out, '}');
    }
    buf_put_text(out, "]}");
}
