/*
 * span_open.c - a history file from its name to an open environment, through its checks.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/store/inspect.h"
#include "collector/store/quarantine.h"
#include "collector/store/span_parts.h"
#include "collector/store/value_lists.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

const char *span_name(const struct span *span)
{
    return span->name;
}

struct store *span_store(struct span *span)
{
    return span->set->store;
}

static void quarantine_locked(struct span *span, const char *reason)
{
    if (span->quarantined)
        return;
    span->quarantined = true;
    atomic_fetch_add_explicit(&span->set->store->quarantined, 1, memory_order_relaxed);
    log_error("store", "history/%s is damaged and not read any more: %s", span->name, reason);
    value_lists_forget(span->set->lists, span->info.manifest.generation);
    quarantine_move(span->set->store->directory, HISTORY, span->name, reason);
}

void span_quarantine(struct span *span, const char *reason)
{
    must(pthread_mutex_lock(&span->lock) == 0);
    quarantine_locked(span, reason);
    must(pthread_mutex_unlock(&span->lock) == 0);
}

bool span_is_quarantined(struct span *span)
{
    must(pthread_mutex_lock(&span->lock) == 0);
    bool is = span->quarantined;
    must(pthread_mutex_unlock(&span->lock) == 0);
    return is;
}

static int check_file(struct span *span, const char *path)
{
    struct stat stat_;
    if (stat(path, &stat_) != 0) {
        quarantine_locked(span, "the file is missing");
        return ERR_CORRUPT;
    }
    /* Reading a map past the end of its file would end the process. */
    if ((uint64_t)stat_.st_size != span->info.file_bytes) {
        quarantine_locked(span, "its size is wrong");
        return ERR_CORRUPT;
    }
    if (span->verify) {
        uint64_t hash = 0;
        uint64_t bytes = 0;
        int error = span_file_hash(path, &hash, &bytes);
        if (error != 0)
            return error;
        if (hash != span->info.file_hash) {
            quarantine_locked(span, "its bytes are not those that were written");
            return ERR_CORRUPT;
        }
        span->verify = false;
    }
    return 0;
}

/* LMDB trusts what it maps. */
static int walk_file(struct span *span, const char *path)
{
    struct inspection found;
    int error = inspect_file(path, &found);
    if (error == 0 && found.faults > 0) {
        quarantine_locked(span, found.first);
        return ERR_CORRUPT;
    }
    span->is_walked = error == 0;
    if (error == 0 && span->was_aside)
        quarantine_drop(span->set->store->directory, span->name);
    return error;
}

static int map_file(struct span *span, const char *path)
{
    MDB_txn *txn = NULL;
    int code = mdb_env_create(&span->env);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_maxdbs(span->env, SPAN_TABLES + 2);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_mapsize(span->env, (size_t)span->info.file_bytes);
    if (code == MDB_SUCCESS)
        code = mdb_env_open(span->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS,
                            0640);
    if (code == MDB_SUCCESS)
        code = mdb_txn_begin(span->env, NULL, MDB_RDONLY, &txn);
    for (size_t i = 0; i < SPAN_TABLES && code == MDB_SUCCESS; i++)
        code = mdb_dbi_open(txn, span_table_names[i], 0, &span->tables[i]);
    if (code == MDB_SUCCESS)
        code = mdb_txn_commit(txn); /* keeps the table handles */
    else if (txn != NULL)
        mdb_txn_abort(txn);
    if (code == MDB_SUCCESS)
        return 0;
    if (span->env != NULL)
        mdb_env_close(span->env);
    span->env = NULL;
    if (error_from_lmdb(code) == ERR_NOMEM)
        return ERR_NOMEM;
    quarantine_locked(span, mdb_strerror(code));
    return ERR_CORRUPT;
}

int span_env_open(struct span *span, MDB_env **ret_env, const MDB_dbi **ret_tables)
{
    char path[4096];
    int error = 0;
    (void)snprintf(path, sizeof path, "%s/%s", span->set->directory, span->name);
    must(pthread_mutex_lock(&span->lock) == 0);
    if (span->quarantined)
        error = ERR_CORRUPT;
    else if (span->env == NULL) {
        error = check_file(span, path);
        if (error == 0 && !span->is_walked)
            error = walk_file(span, path);
        if (error == 0)
            error = map_file(span, path);
    }
    if (error == 0) {
        span->readers++;
        *ret_env = span->env;
        *ret_tables = span->tables;
    }
    must(pthread_mutex_unlock(&span->lock) == 0);
    return error;
}

void span_env_done(struct span *span)
{
    must(pthread_mutex_lock(&span->lock) == 0);
    must(span->readers > 0);
    span->readers--;
    must(pthread_mutex_unlock(&span->lock) == 0);
}
