/*
 * inspect.c - meta pages and trees of a file that LMDB is about to open.
 *
 * Both meta pages are trees' roots: the newest commit's and that of the one before, whose pages
 * LMDB does not touch until the next commit but one.  That is the second state there is to go
 * on from.  The state before it costs what the newest commit held; which that was nobody can
 * say, so it is named as damage.
 */
#include "collector/store/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "collector/store/care_file.h"
#include "collector/store/live.h"
#include "collector/store/page_walk.h"
#include "collector/store/salvage.h"
#include "collector/store/span_file.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/log.h"

#define PATH_BYTES     4096
#define PAGE_BYTES_MAX 32768

/* As of one of the two meta pages. */
struct state {
    const uint8_t *meta; /* NULL: it is torn */
    uint64_t txn;
    uint64_t last_freed;
    uint64_t faults;
};

static void take_fault(void *context, const char *text)
{
    struct inspection *found = context;
    if (found->faults++ == 0)
        (void)snprintf(found->first, sizeof found->first, "%s", text);
}

/* So that the pages with the sizes of large values are looked at as well. */
static int take_value(void *context, const char *table, struct bytes key, struct bytes value)
{
    (void)context;
    (void)table;
    (void)key;
    (void)value;
    return 0;
}

/* LMDB would make a table anew whose name it does not find.  One that is strange is fine (a
 * later version's), one that lacks is, too (made later): not both. */
static void check_names(const struct page_walk *walked, struct inspection *found)
{
    unsigned known = 0;
    const char *strange = NULL;
    for (size_t i = 0; i < walked->tree_count; i++) {
        const char *name = walked->trees[i].name;
        if (live_table_of(name) >= 0)
            known++;
        else if (name[0] != '\0' && strcmp(name, "free list") != 0)
            strange = name;
    }
    if (strange != NULL && known < LIVE_TABLES)
        take_fault(found, "a table has lost its name");
}

static bool is_looked_up(const char *table)
{
    return strcmp(table, span_table_names[SPAN_INDEX]) == 0 ||
           strcmp(table, span_table_names[SPAN_LOGS_TABLE]) == 0 ||
           strcmp(table, span_table_names[SPAN_LOGS_BY_TIME]) == 0;
}

/* What the index by time says of a block of lines: its key and value, one behind the other. */
static uint64_t hash_of_lines(const char *table, struct bytes key, struct bytes value)
{
    uint8_t row[LOG_KEY_BYTES + 20];
    const bool is_index = strcmp(table, span_table_names[SPAN_LOGS_BY_TIME]) == 0;
    if (is_index ? key.size + value.size != sizeof row
                 : key.size != LOG_KEY_BYTES || value.size != EXTENT_BYTES + 16)
        return 1; /* alone, it fits nothing */
    if (is_index) {
        memcpy(row, key.data, key.size);
        memcpy(row + key.size, value.data, value.size);
    } else {
        memcpy(row, value.data + EXTENT_BYTES, 8);
        memcpy(row + 8, key.data + LOG_KEY_BYTES - 4, 4);
        memcpy(row + 12, value.data + EXTENT_BYTES + 8, 8);
        memcpy(row + 20, key.data, LOG_KEY_BYTES);
    }
    return XXH3_64bits(row, sizeof row);
}

/* A label pair whose key was turned is looked up in vain, and nobody would miss it; nor a line
 * whose time was. */
static int try_row(void *context, const char *table, struct bytes key, struct bytes value)
{
    struct inspection *found = context;
    struct bytes payload;
    if (strcmp(table, span_table_names[SPAN_INDEX]) != 0)
        found->log_rows[strcmp(table, span_table_names[SPAN_LOGS_BY_TIME]) == 0] +=
            hash_of_lines(table, key, value);
    else if (sealed_open(key, value, &payload) != 0)
        take_fault(found, "index: the seal of a row does not fit");
    return 0;
}

static int walk(struct bytes file, const uint8_t *snapshot, bool is_live,
                struct inspection *found, uint64_t *ret_last_freed)
{
    struct page_walk page_walk = {.file = file,
                                  .snapshot = snapshot,
                                  .value = is_live ? take_value : try_row,
                                  .wants = is_live ? NULL : is_looked_up,
                                  .fault = take_fault,
                                  .context = found};
    int error = page_walk_run(&page_walk);
    *ret_last_freed = page_walk.last_freed;
    if (is_live && error == 0)
        check_names(&page_walk, found);
    if (!is_live && error == 0 && found->log_rows[0] != found->log_rows[1])
        take_fault(found, "logs: the rows and their index by time do not fit");
    return error;
}

int inspect_file(const char *path, struct inspection *ret_found)
{
    struct bytes file;
    uint64_t last_freed;
    *ret_found = (struct inspection){.faults = 0};
    int error = care_map(path, &file, NULL);
    if (error != 0)
        return error;
    error = walk(file, NULL, false, ret_found, &last_freed);
    care_unmap(file);
    return error;
}

/* -- the live environment ---------------------------------------------------------------- */

static int walk_states(struct bytes file, struct state states[2], uint64_t *ret_page_bytes)
{
    const uint8_t *metas[2];
    uint64_t txns[2];
    int error = 0;
    page_walk_metas(file, metas, txns, ret_page_bytes);
    for (unsigned i = 0; i < 2 && error == 0; i++) {
        struct inspection found = {.faults = 0};
        states[i] = (struct state){.meta = metas[i], .txn = txns[i]};
        if (metas[i] != NULL)
            error = walk(file, metas[i], true, &found, &states[i].last_freed);
        states[i].faults = found.faults;
    }
    return error;
}

/* The newest state that is whole; NULL: neither is.  Which is newer the free list knows as well
 * as the number in the meta page, and in a page, where both would have to be turned. */
static const struct state *newest_whole(const struct state states[2])
{
    const struct state *best = NULL;
    for (unsigned i = 0; i < 2; i++)
        if (states[i].meta != NULL && states[i].faults == 0 &&
            (best == NULL || states[i].last_freed > best->last_freed ||
             (states[i].last_freed == best->last_freed && states[i].txn > best->txn)))
            best = &states[i];
    return best;
}

/* Both meta pages anew: the state that is whole, and behind it the same as if it had been the
 * commit before.  The page LMDB would open is written last. */
static int write_metas(const char *path, const struct state *state, uint64_t page_bytes)
{
    uint64_t txn = state->last_freed != 0 ? state->last_freed : state->txn;
    uint8_t page[PAGE_BYTES_MAX];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int error = fd < 0 ? ERR_IO : 0;
    for (unsigned i = 0; i < 2 && error == 0; i++) {
        uint64_t as = i == 0 ? txn - (txn > 0) : txn;
        uint64_t number = txn == 0 ? i : as % 2;
        page_walk_meta_as(state->meta, as, page, page_bytes);
        page[0] = (uint8_t)number;
        error = file_write_all(&file_io_system, fd, (struct bytes){page, (size_t)page_bytes},
                               (off_t)(number * page_bytes));
        if (error == 0 && fsync(fd) != 0)
            error = ERR_IO;
    }
    if (fd >= 0)
        (void)close(fd);
    return error;
}

static int go_back(const char *directory, const char *path, struct bytes file,
                   const struct state *state, uint64_t page_bytes,
                   const struct inspection *found)
{
    char reason[QUARANTINE_REASON_BYTES];
    (void)snprintf(reason, sizeof reason, "%s; opened as of the commit before", found->first);
    quarantine_keep(directory, "live.metas",
                    (struct bytes){file.data, (size_t)(2 * page_bytes)}, reason);
    log_error("store",
              "live/data.mdb is damaged (%s): it goes on from the commit before, what the last "
              "one held is lost",
              found->first);
    return write_metas(path, state, page_bytes);
}

static int repair(const char *directory, const char *path, struct bytes file,
                  const struct inspection *found, struct diagnosis *why)
{
    struct state states[2];
    uint64_t page_bytes;
    int error = walk_states(file, states, &page_bytes);
    if (error != 0)
        return error;
    const struct state *whole = newest_whole(states);
    if (whole != NULL)
        return go_back(directory, path, file, whole, page_bytes, found);
    const struct state *base = states[0].meta == NULL || (states[1].meta != NULL &&
                                                          states[1].txn > states[0].txn)
                                   ? &states[1]
                                   : &states[0];
    error = base->meta == NULL ? ERR_CORRUPT
                               : salvage_live(directory, file, base->meta, found->first, why);
    if (error == ERR_CORRUPT)
        return diagnose(why, error,
                        "%s is damaged beyond reading (%s); put a backup back: fengsuictl "
                        "restore BACKUP DIR, and start on DIR",
                        path, found->first);
    return error;
}

bool inspect_is_unborn(const char *directory)
{
    char path[PATH_BYTES];
    struct bytes file;
    (void)snprintf(path, sizeof path, "%s/history", directory);
    if (care_folder_entries(path) > 0)
        return false;
    (void)snprintf(path, sizeof path, "%s/live/" LIVE_FILE, directory);
    int error = care_map(path, &file, NULL);
    if (error == 0) {
        const bool is_unborn = page_walk_never_written(file);
        care_unmap(file);
        return is_unborn;
    }
    (void)snprintf(path, sizeof path, "%s/live/" LIVE_MAKING, directory);
    return error == ERR_NOTFOUND && access(path, F_OK) == 0;
}

/* What there is of it goes; the opening makes another. */
static int begin_anew(const char *directory, struct diagnosis *why)
{
    static const char *const names[] = {LIVE_FILE, LIVE_MAKING};
    char path[PATH_BYTES];
    log_warn("store",
             "%s: the creation of this store was not completed when its process or host stopped; "
             "nothing in it had been acknowledged, it is created anew",
             directory);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/live/%s", directory, names[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return diagnose(why, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return 0;
}

int inspect_live(const char *directory, struct inspection *ret_found, struct diagnosis *why)
{
    char path[PATH_BYTES];
    struct bytes file;
    uint64_t last_freed;
    *ret_found = (struct inspection){.faults = 0};
    if (inspect_is_unborn(directory))
        return begin_anew(directory, why);
    (void)snprintf(path, sizeof path, "%s/live/" LIVE_FILE, directory);
    int error = care_map(path, &file, NULL);
    if (error == ERR_NOTFOUND)
        return 0;
    if (error != 0)
        return diagnose(why, error, "%s: %s", path, error_text(error));
    error = walk(file, NULL, true, ret_found, &last_freed);
    if (error == 0 && ret_found->faults > 0)
        error = repair(directory, path, file, ret_found, why);
    care_unmap(file);
    return error;
}
