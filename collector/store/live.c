/*
 * live.c - opening the live environment, and the little that all its tables share.
 *
 * The map is as large as it will ever be from the start: it costs address space only, and
 * growing it later would mean stopping every reader.  Where address space is short (a limit, a
 * sanitizer) the next smaller size is tried.
 *
 * LMDB makes a file where it will stay, and syncs its meta pages only with the first commit: a power
 * cut in between leaves a file that cannot be told from one with damage.  So a file is made beside
 * its name, and gets it when all of it is durable:
 *
 *     nothing -> data.mdb.new -> data.mdb
 *
 * What acknowledges anything opens data.mdb: whatever data.mdb.new holds was promised to nobody.
 */
#include "collector/store/live.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "collector/store/care_file.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/must.h"

#define PATH_BYTES       4096
#define MAKING_MAP_BYTES ((size_t)1 << 20) /* its tables are a page each */
#define READERS_MAX      1022
#define MAP_PERCENT_SEEN 80

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define MAP_BYTES_FIRST ((size_t)16 << 30)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define MAP_BYTES_FIRST ((size_t)16 << 30)
#endif
#endif
#ifndef MAP_BYTES_FIRST
#define MAP_BYTES_FIRST ((size_t)1 << 40)
#endif
#define MAP_BYTES_LEAST ((size_t)1 << 30)

static const struct {
    const char *name;
    unsigned flags;
} tables[LIVE_TABLES] = {
    [LIVE_WAL] = {"wal", 0},
    [LIVE_CHECKPOINT] = {"checkpoint", 0},
    [LIVE_TAILS] = {"tails", 0},
    [LIVE_SERIES] = {"series", 0},
    [LIVE_SERIES_BY_HASH] = {"series_by_hash", MDB_DUPSORT | MDB_DUPFIXED},
    [LIVE_METADATA] = {"metadata", 0},
    [LIVE_SPANS] = {"spans", 0},
    [LIVE_LOGS] = {"logs", 0},
    [LIVE_STATE] = {"state", 0},
    [LIVE_META] = {"meta", 0},
    [LIVE_DELETES] = {"deletes", 0},
};

int error_from_lmdb(int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return ERR_NOTFOUND;
    case MDB_KEYEXIST:
        return ERR_EXISTS;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return ERR_CORRUPT;
    case MDB_READERS_FULL:
        return ERR_AGAIN;
    case ENOMEM:
        return ERR_NOMEM;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_REFUSED;
    default:
        return ERR_IO;
    }
}

static int open_env(const char *path, size_t map_bytes, unsigned flags, MDB_env **ret_env)
{
    MDB_env *env = NULL;
    int code = mdb_env_create(&env);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_mapsize(env, map_bytes);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_maxreaders(env, READERS_MAX);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_maxdbs(env, LIVE_TABLES);
    if (code == MDB_SUCCESS)
        code = mdb_env_open(env, path, MDB_NOTLS | MDB_NORDAHEAD | flags, 0640);
    if (code != MDB_SUCCESS) {
        if (env != NULL)
            mdb_env_close(env);
        return code;
    }
    *ret_env = env;
    return MDB_SUCCESS;
}

static int open_tables(struct live *live)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(live->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS)
        return code;
    for (size_t i = 0; i < LIVE_TABLES && code == MDB_SUCCESS; i++)
        code =
            mdb_dbi_open(txn, tables[i].name, MDB_CREATE | tables[i].flags, &live->tables[i]);
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

int live_table_of(const char *name)
{
    for (int i = 0; i < LIVE_TABLES; i++)
        if (strcmp(tables[i].name, name) == 0)
            return i;
    return -1;
}

/* LMDB syncs what is in its file, not that there is one. */
static int sync_names(const char *directory, struct diagnosis *why)
{
    char parent[PATH_BYTES];
    (void)snprintf(parent, sizeof parent, "%s/..", directory);
    int error = care_sync_folder(directory, why);
    return error == 0 ? care_sync_folder(parent, why) : error;
}

/* All tables, empty, and all of it durable but for the name. */
static int make_env(const char *path)
{
    struct live live = {0};
    int code = open_env(path, MAKING_MAP_BYTES, MDB_NOSUBDIR | MDB_NOLOCK, &live.env);
    if (code == MDB_SUCCESS)
        code = open_tables(&live);
    if (code == MDB_SUCCESS)
        code = mdb_env_sync(live.env, 1);
    live_close(&live);
    return code;
}

/* Nothing happens where there is one. */
static int make_if_missing(const char *directory, struct diagnosis *why)
{
    char path[PATH_BYTES];
    char making[PATH_BYTES + 16];
    (void)snprintf(path, sizeof path, "%s/" LIVE_FILE, directory);
    (void)snprintf(making, sizeof making, "%s/" LIVE_MAKING, directory);
    if (access(path, F_OK) == 0 || errno != ENOENT)
        return 0; /* what cannot be looked at is not written over: opening it says why */
    (void)unlink(making);
    int code = make_env(making);
    if (code == MDB_SUCCESS && rename(making, path) != 0)
        code = errno;
    if (code == MDB_SUCCESS)
        return 0;
    (void)unlink(making);
    return diagnose(why, error_from_lmdb(code), "%s: %s", path, mdb_strerror(code));
}

static int open_largest(const char *directory, uint64_t map_bytes_max, MDB_env **ret_env)
{
    size_t map_bytes = map_bytes_max != 0 ? (size_t)map_bytes_max : MAP_BYTES_FIRST;
    int code = open_env(directory, map_bytes, 0, ret_env);
    while (code == ENOMEM && map_bytes > MAP_BYTES_LEAST) {
        map_bytes /= 4;
        code = open_env(directory, map_bytes, 0, ret_env);
    }
    return code;
}

int live_open(const char *directory, uint64_t map_bytes_max, struct live *ret_live,
              struct diagnosis *why)
{
    struct live live = {0};
    int error = file_make_directories(directory, why);
    if (error == 0)
        error = make_if_missing(directory, why);
    /* Always: whoever renamed it may have died before. */
    if (error == 0)
        error = sync_names(directory, why);
    if (error != 0)
        return error;
    int code = open_largest(directory, map_bytes_max, &live.env);
    if (code == MDB_SUCCESS) {
        int dead = 0;
        code = mdb_reader_check(live.env, &dead);
    }
    if (code == MDB_SUCCESS)
        code = open_tables(&live);
    if (code != MDB_SUCCESS) {
        live_close(&live);
        return diagnose(why, error_from_lmdb(code), "%s: %s", directory, mdb_strerror(code));
    }
    *ret_live = live;
    return 0;
}

void live_close(struct live *live)
{
    if (live->env != NULL)
        mdb_env_close(live->env);
    *live = (struct live){0};
}

/* -- sealed values ----------------------------------------------------------------------- */

uint64_t seal_of(struct bytes key, struct bytes payload)
{
    /* The key's hash seeds the payload's: one pass over each, and neither can move. */
    return XXH3_64bits_withSeed(payload.data, payload.size, XXH3_64bits(key.data, key.size));
}

int sealed_put(MDB_txn *txn, MDB_dbi dbi, struct bytes key, struct bytes payload,
               unsigned flags)
{
    MDB_val k = val_of(key);
    MDB_val v = {payload.size + SEAL_BYTES, NULL};
    int code = mdb_put(txn, dbi, &k, &v, flags | MDB_RESERVE);
    if (code != MDB_SUCCESS)
        return code;
    uint64_t seal = htole64(seal_of(key, payload));
    memcpy(v.mv_data, &seal, SEAL_BYTES);
    if (payload.size > 0)
        memcpy((uint8_t *)v.mv_data + SEAL_BYTES, payload.data, payload.size);
    return MDB_SUCCESS;
}

int sealed_open(struct bytes key, struct bytes value, struct bytes *ret_payload)
{
    if (value.size < SEAL_BYTES)
        return ERR_CORRUPT;
    uint64_t seal;
    memcpy(&seal, value.data, SEAL_BYTES);
    struct bytes payload = {value.data + SEAL_BYTES, value.size - SEAL_BYTES};
    if (le64toh(seal) != seal_of(key, payload))
        return ERR_CORRUPT;
    *ret_payload = payload;
    return 0;
}

/* -- the store's own numbers ------------------------------------------------------------- */

int live_meta_get(struct live *live, const char *name, uint64_t *ret_value)
{
    MDB_txn *txn;
    MDB_val value;
    struct bytes payload;
    uint64_t number = 0;
    int error = 0;
    int code = mdb_txn_begin(live->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    MDB_val key = val_of(bytes_of(name));
    code = mdb_get(txn, live->tables[LIVE_META], &key, &value);
    if (code == MDB_SUCCESS)
        error = sealed_open(bytes_of(name), bytes_of_val(value), &payload);
    else if (code != MDB_NOTFOUND)
        error = error_from_lmdb(code);
    if (code == MDB_SUCCESS && error == 0 && payload.size == sizeof number)
        memcpy(&number, payload.data, sizeof number);
    mdb_txn_abort(txn);
    if (error == 0)
        *ret_value = le64toh(number);
    return error;
}

int live_meta_put(const struct live *live, MDB_txn *txn, const char *name, uint64_t value)
{
    uint64_t number = htole64(value);
    return sealed_put(txn, live->tables[LIVE_META], bytes_of(name),
                      (struct bytes){(const uint8_t *)&number, sizeof number}, 0);
}

/* -- numbers in keys --------------------------------------------------------------------- */

void key_put_u64(uint8_t *to, uint64_t value)
{
    value = htobe64(value);
    memcpy(to, &value, sizeof value);
}

void key_put_i64(uint8_t *to, int64_t value)
{
    key_put_u64(to, (uint64_t)value ^ (UINT64_C(1) << 63));
}

void key_put_u32(uint8_t *to, uint32_t value)
{
    value = htobe32(value);
    memcpy(to, &value, sizeof value);
}

uint64_t key_get_u64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return be64toh(value);
}

int64_t key_get_i64(const uint8_t *from)
{
    return (int64_t)(key_get_u64(from) ^ (UINT64_C(1) << 63));
}

uint32_t key_get_u32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return be32toh(value);
}

/* -- free pages -------------------------------------------------------------------------- */

/* Takes a line of mdb_reader_list(), "pid thread snapshot" with "-" for no snapshot, which is
 * the only way LMDB tells what readers hold. */
static int older_reader(const char *line, void *context)
{
    size_t *oldest = context;
    unsigned long long snapshot;
    if (sscanf(line, "%*s %*s %llu", &snapshot) == 1 && snapshot < *oldest)
        *oldest = (size_t)snapshot;
    return 0;
}

/* Calls `each` for every run of page numbers in the free list that was freed by a transaction
 * older than the last two, so that neither of LMDB's two meta pages can lead to it, and no
 * younger than the oldest open snapshot, which still holds what was freed after it. */
static void each_free_run(struct live *live,
                          void (*each)(void *context, size_t first, size_t count),
                          void *context)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_envinfo info;
    MDB_val key;
    MDB_val value;
    size_t oldest = SIZE_MAX;

    if (mdb_reader_list(live->env, older_reader, &oldest) < 0 ||
        mdb_env_info(live->env, &info) != MDB_SUCCESS ||
        mdb_txn_begin(live->env, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
        return;
    if (mdb_cursor_open(txn, 0, &cursor) != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return;
    }
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
        size_t freed_by;
        size_t count;
        if (key.mv_size != sizeof freed_by || value.mv_size < sizeof count)
            break;
        memcpy(&freed_by, key.mv_data, sizeof freed_by);
        if (freed_by + 2 > info.me_last_txnid || freed_by >= oldest)
            break;
        memcpy(&count, value.mv_data, sizeof count);
        /* Page numbers follow in descending order. */
        const uint8_t *pages = (const uint8_t *)value.mv_data + sizeof count;
        size_t run_first = 0;
        size_t run_count = 0;
        for (size_t i = 0; i < count && (i + 2) * sizeof count <= value.mv_size; i++) {
            size_t page;
            memcpy(&page, pages + i * sizeof page, sizeof page);
            if (run_count > 0 && page + 1 == run_first) {
                run_first = page;
                run_count++;
                continue;
            }
            if (run_count > 0)
                each(context, run_first, run_count);
            run_first = page;
            run_count = 1;
        }
        if (run_count > 0)
            each(context, run_first, run_count);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
}

struct punch {
    int fd;
    off_t page_bytes;
};

static void punch_run(void *context, size_t first, size_t count)
{
    struct punch *punch = context;
    /* A file system that cannot is not an error: the pages will be used again. */
    (void)fallocate(punch->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)first * punch->page_bytes, (off_t)count * punch->page_bytes);
}

void live_punch_free_pages(struct live *live)
{
    MDB_stat stat;
    struct punch punch;
    if (mdb_env_stat(live->env, &stat) != MDB_SUCCESS ||
        mdb_env_get_fd(live->env, &punch.fd) != MDB_SUCCESS)
        return;
    punch.page_bytes = (off_t)stat.ms_psize;
    each_free_run(live, punch_run, &punch);
}

static void add_run(void *context, size_t first, size_t count)
{
    (void)first;
    *(size_t *)context += count;
}

uint64_t live_used_bytes(struct live *live)
{
    MDB_envinfo info;
    MDB_stat stat;
    size_t free_pages = 0;
    if (mdb_env_info(live->env, &info) != MDB_SUCCESS ||
        mdb_env_stat(live->env, &stat) != MDB_SUCCESS)
        return 0;
    each_free_run(live, add_run, &free_pages);
    size_t pages = info.me_last_pgno + 1;
    return pages > free_pages ? (uint64_t)(pages - free_pages) * stat.ms_psize : 0;
}

uint64_t live_spare_bytes(struct live *live)
{
    struct stat file;
    int fd;
    if (mdb_env_get_fd(live->env, &fd) != MDB_SUCCESS || fstat(fd, &file) != 0)
        return 0;
    const uint64_t on_disk = (uint64_t)file.st_blocks * 512;
    const uint64_t used = live_used_bytes(live);
    return on_disk > used ? on_disk - used : 0;
}

uint64_t live_map_percent(struct live *live)
{
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(live->env, &info) != MDB_SUCCESS ||
        mdb_env_stat(live->env, &stat) != MDB_SUCCESS || info.me_mapsize < 100)
        return 0;
    /* Free pages are counted only where it matters: that takes a walk over their list. */
    uint64_t percent = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize / (info.me_mapsize / 100);
    return percent < MAP_PERCENT_SEEN ? percent : live_used_bytes(live) / (info.me_mapsize / 100);
}

uint64_t live_map_bytes(struct live *live)
{
    MDB_envinfo info;
    return mdb_env_info(live->env, &info) == MDB_SUCCESS ? info.me_mapsize : UINT64_MAX;
}
