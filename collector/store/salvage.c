/*
 * salvage.c - rows of a damaged environment, copied into a new one.
 */
#include "collector/store/salvage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/store/care_file.h"
#include "collector/store/live.h"
#include "collector/store/page_walk.h"
#include "collector/store/quarantine.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/log.h"

#define PATH_BYTES      4096
#define ROWS_PER_COMMIT 4096
#define BYTES_PER_COMMIT ((size_t)64 << 20)

struct salvage {
    const char *directory;
    char folder[PATH_BYTES]; /* of the new environment */
    struct live live;
    MDB_txn *txn; /* NULL: none is open */
    uint64_t rows, waiting;
    size_t waiting_bytes;
};

static int commit(struct salvage *salvage)
{
    int code = salvage->txn == NULL ? MDB_SUCCESS : mdb_txn_commit(salvage->txn);
    salvage->txn = NULL;
    salvage->waiting = 0;
    salvage->waiting_bytes = 0;
    return error_from_lmdb(code);
}

static int take_row(void *context, const char *table, struct bytes key, struct bytes value)
{
    struct salvage *salvage = context;
    int number = live_table_of(table);
    if (number < 0 || key.size == 0 || key.size > LIVE_KEY_BYTES_MAX)
        return 0;
    int code = MDB_SUCCESS;
    if (salvage->txn == NULL)
        code = mdb_txn_begin(salvage->live.env, NULL, 0, &salvage->txn);
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    if (code == MDB_SUCCESS)
        code = mdb_put(salvage->txn, salvage->live.tables[number], &k, &v, 0);
    if (code == MDB_BAD_VALSIZE) /* an item of a size it cannot have */
        return 0;
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    salvage->rows++;
    salvage->waiting_bytes += value.size;
    if (++salvage->waiting < ROWS_PER_COMMIT && salvage->waiting_bytes < BYTES_PER_COMMIT)
        return 0;
    return commit(salvage);
}

static int copy_rows(struct salvage *salvage, struct bytes file, const uint8_t *meta)
{
    struct page_walk walk = {
        .file = file, .snapshot = meta, .value = take_row, .context = salvage};
    int error = page_walk_run(&walk);
    if (error == 0)
        error = commit(salvage);
    if (salvage->txn != NULL)
        mdb_txn_abort(salvage->txn);
    salvage->txn = NULL;
    return error == 0 && salvage->rows == 0 ? ERR_CORRUPT : error;
}

/* A number that no environment set aside earlier has. */
static void choose_name(const char *directory, char name[QUARANTINE_NAME_BYTES])
{
    char reason[QUARANTINE_REASON_BYTES];
    unsigned n = 0;
    do
        (void)snprintf(name, QUARANTINE_NAME_BYTES, "live-%u.mdb", ++n);
    while (quarantine_reason(directory, name, reason));
}

static int put_in_place(struct salvage *salvage, const char *name, const char *reason,
                        struct diagnosis *why)
{
    char old[PATH_BYTES];
    char kept[PATH_BYTES];
    char fresh[PATH_BYTES + 16];
    const char *directory = salvage->directory;
    (void)snprintf(old, sizeof old, "%s/live/data.mdb", directory);
    (void)snprintf(kept, sizeof kept, "%s/quarantine/%s", directory, name);
    (void)snprintf(fresh, sizeof fresh, "%s/data.mdb", salvage->folder);
    quarantine_keep(directory, name, (struct bytes){(const uint8_t *)"", 0}, reason);
    (void)unlink(kept);
    if (link(old, kept) != 0 || rename(fresh, old) != 0)
        return diagnose(why, ERR_IO, "%s: it is damaged, and cannot be set aside", old);
    (void)snprintf(old, sizeof old, "%s/live", directory);
    return care_sync_folder(old, why);
}

static void remove_folder(const char *folder)
{
    static const char *const names[] = {LIVE_FILE, LIVE_MAKING, "lock.mdb"};
    char path[PATH_BYTES + 16];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

int salvage_live(const char *directory, struct bytes file, const uint8_t *meta,
                 const char *reason, struct diagnosis *why)
{
    struct salvage salvage = {.directory = directory};
    char name[QUARANTINE_NAME_BYTES];
    (void)snprintf(salvage.folder, sizeof salvage.folder, "%s/live.salvaged", directory);
    remove_folder(salvage.folder); /* what a death in the midst of this has left */
    int error = live_open(salvage.folder, 0, &salvage.live, why);
    if (error == 0)
        error = copy_rows(&salvage, file, meta);
    live_close(&salvage.live);
    if (error == 0) {
        choose_name(directory, name);
        error = put_in_place(&salvage, name, reason, why);
    }
    remove_folder(salvage.folder);
    if (error == 0)
        log_error("store",
                  "live/data.mdb is damaged (%s): %" PRIu64 " rows could be read and were copied "
                  "into a new one, the rest is lost; the old one is quarantine/%s",
                  reason, salvage.rows, name);
    return error;
}
