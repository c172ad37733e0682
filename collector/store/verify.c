/*
 * verify.c - the live environment value by value, and the whole folder.
 */
#include "collector/store/verify.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/checkpoint.h"
#include "collector/store/codec/codec.h"
#include "collector/store/deletes.h"
#include "collector/store/inspect.h"
#include "collector/store/page_walk.h"
#include "collector/store/parts.h"
#include "collector/store/series_rows.h"
#include "collector/store/span_set.h"
#include "collector/store/wal.h"
#include "proto/base/error.h"

#define LIVE_PATH        "live/" LIVE_FILE
#define WAL_KEY_BYTES    10
#define RECORD_ARENA     ((size_t)1 << 30)
#define SNAPSHOT_TRIES   100

struct live_check {
    struct verify *verify;
    struct arena arena;
    struct buf record;        /* of the commit at hand */
    uint64_t commit;          /* 0: none yet */
    unsigned next_part;
    uint64_t record_bytes;    /* it should have */
    bool is_broken;           /* the commit at hand, named already */
    bool is_unsealed;         /* `meta`, `metadata` and `state` are, as they once were */
    uint64_t covered;         /* commits up to this one need no WAL any more */
};

/* -- naming ------------------------------------------------------------------------------ */

void verify_fault(struct verify *verify, const char *format, ...)
{
    char text[256];
    va_list arguments;
    verify->counts.faults++;
    verify->file_faults++;
    if (verify->file_faults > VERIFY_FAULTS_TOLD || verify->fault == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    verify->fault(verify->context, verify->file, text);
}

static void tell(struct verify *verify)
{
    if (verify->progress != NULL)
        verify->progress(verify->context, &verify->counts);
}

static void moved(void *context, uint64_t bytes)
{
    struct verify *verify = context;
    verify->counts.bytes += bytes;
    tell(verify);
}

static void begin(struct verify *verify)
{
    verify->pace = (struct care_pace){verify->is_gentle, verify->cancelled, moved, verify};
}

int verify_begin_file(struct verify *verify, const char *file)
{
    verify->file = file;
    verify->file_faults = 0;
    verify->counts.files++;
    return care_is_cancelled(verify->cancelled) ? ERR_CANCELLED : 0;
}

void verify_done(struct verify *verify)
{
    free(verify->spans);
    verify->spans = NULL;
    verify->span_count = verify->span_capacity = 0;
}

/* -- values of the live environment ------------------------------------------------------ */

static int decode_record(struct live_check *check)
{
    struct wal_record record;
    arena_reset(&check->arena);
    int error = wal_decode(buf_bytes(&check->record), &check->arena, &record);
    if (error == 0)
        check->verify->counts.wal_samples += record.sample_count;
    return error;
}

/* The commit at hand is through. */
static void end_commit(struct live_check *check)
{
    if (check->commit <= check->covered || check->is_broken)
        return;
    if (check->record.size != check->record_bytes)
        verify_fault(check->verify, "wal: commit %" PRIu64 " is not whole", check->commit);
    else if (decode_record(check) != 0)
        verify_fault(check->verify, "wal: commit %" PRIu64 " cannot be read", check->commit);
}

static void take_wal(struct live_check *check, struct bytes key, struct bytes value)
{
    struct bytes payload = {NULL, 0};
    if (key.size != WAL_KEY_BYTES) {
        verify_fault(check->verify, "wal: a key has a size it cannot have");
        return;
    }
    uint64_t commit = key_get_u64(key.data);
    unsigned part = (unsigned)key.data[8] << 8 | key.data[9];
    if (commit != check->commit) {
        end_commit(check);
        if (check->commit > check->covered && commit != check->commit + 1)
            verify_fault(check->verify, "wal: commits %" PRIu64 " to %" PRIu64 " are missing",
                         check->commit + 1, commit - 1);
        check->commit = commit;
        check->next_part = 0;
        check->is_broken = false;
        buf_clear(&check->record);
    }
    if (commit <= check->covered || check->is_broken)
        return; /* being deleted, part by part */
    if (sealed_open(key, value, &payload) != 0 || payload.size < sizeof(uint32_t)) {
        verify_fault(check->verify, "wal: the seal of commit %" PRIu64 ", part %u does not fit",
                     commit, part);
        check->is_broken = true;
    } else if (part != check->next_part++) {
        verify_fault(check->verify, "wal: commit %" PRIu64 " lacks a part", commit);
        check->is_broken = true;
    } else {
        struct reader reader = reader_of(payload);
        check->record_bytes = reader_u32(&reader);
        buf_put(&check->record, reader.at, reader_left(&reader));
    }
}

static int describe(struct bytes chunk)
{
    size_t count;
    int64_t first_ms;
    int64_t last_ms;
    return chunk_describe(chunk, &count, &first_ms, &last_ms);
}

static int try_entry(void *context, const struct checkpoint_entry *entry)
{
    (void)context;
    return describe(entry->chunk);
}

static int try_tails(void *context, const struct tails_entry *entry)
{
    (void)context;
    int error = entry->tail.data != NULL ? describe(entry->tail) : 0;
    return error == 0 && entry->late.data != NULL ? describe(entry->late) : error;
}

static int try_series(struct live_check *check, struct bytes key, struct bytes payload)
{
    struct series_row rows[SERIES_BLOCK_MAX];
    size_t count;
    if (key.size != 4)
        return ERR_MALFORMED;
    arena_reset(&check->arena);
    return series_block_decode(key_get_u32(key.data), payload, &check->arena, rows, &count);
}

static int try_delete(struct bytes payload)
{
    struct deletion *deletion = NULL;
    int error = delete_row_read(payload, &deletion);
    deletion_release(deletion);
    return error;
}

/* Tables whose values bear a seal of their own. */
static void take_sealed(struct live_check *check, const char *table, struct bytes key,
                        struct bytes value)
{
    struct bytes payload;
    int error = 0;
    if (sealed_open(key, value, &payload) != 0) {
        verify_fault(check->verify, "%s: the seal of a row does not fit", table);
        return;
    }
    if (strcmp(table, "checkpoint") == 0)
        error = checkpoint_row_decode(payload, try_entry, check);
    else if (strcmp(table, "tails") == 0)
        error = tails_row_decode(payload, try_tails, check);
    else if (strcmp(table, "series") == 0)
        error = try_series(check, key, payload);
    else if (strcmp(table, "deletes") == 0)
        error = try_delete(payload);
    if (error != 0)
        verify_fault(check->verify, "%s: a row cannot be read: %s", table, error_text(error));
}

static int take_registration(struct live_check *check, struct bytes key, struct bytes value)
{
    struct verify *verify = check->verify;
    if (key.size != SPAN_ROW_KEY_BYTES) { /* how far a checkpoint is flushed */
        if (!check->is_unsealed && checkpoint_through_of(key, value) == 0)
            verify_fault(verify, "spans: the seal of a row does not fit");
        return 0;
    }
    if (verify->span_count == verify->span_capacity) {
        size_t capacity = verify->span_capacity == 0 ? 64 : verify->span_capacity * 2;
        struct span_info *grown = realloc(verify->spans, capacity * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        verify->spans = grown;
        verify->span_capacity = capacity;
    }
    struct span_info *info = &verify->spans[verify->span_count];
    if (span_row_read(key, value, info) != 0) {
        verify_fault(verify, "spans: a registration does not fit its seal");
        return 0;
    }
    verify->span_count++;
    verify->counts.total_bytes += info->file_bytes;
    return 0;
}

/* Comes before all tables that depend on it: `meta` sorts behind `checkpoint` and `logs` only. */
static void take_number(struct live_check *check, struct bytes key, struct bytes value)
{
    struct bytes payload = value;
    if (value.size == sizeof(uint64_t)) {
        check->is_unsealed = true;
    } else if (sealed_open(key, value, &payload) != 0 || payload.size != sizeof(uint64_t)) {
        verify_fault(check->verify, "meta: the seal of a row does not fit");
        return;
    }
    if (bytes_equal(key, bytes_of("wal_through"))) {
        struct reader reader = reader_of(payload);
        check->covered = reader_u64(&reader);
    }
}

static int take_value(void *context, const char *table, struct bytes key, struct bytes value)
{
    struct live_check *check = context;
    static const char *const sealed[] = {"checkpoint", "tails", "series", "logs", "deletes"};
    check->verify->counts.values++;
    if (strcmp(table, "wal") == 0)
        take_wal(check, key, value);
    else if (strcmp(table, "spans") == 0)
        return take_registration(check, key, value);
    else if (strcmp(table, "meta") == 0)
        take_number(check, key, value);
    for (size_t i = 0; i < sizeof sealed / sizeof *sealed; i++)
        if (strcmp(table, sealed[i]) == 0)
            take_sealed(check, table, key, value);
    if (!check->is_unsealed && (strcmp(table, "state") == 0 || strcmp(table, "metadata") == 0))
        take_sealed(check, table, key, value);
    return care_is_cancelled(check->verify->cancelled) ? ERR_CANCELLED : 0;
}

static void walk_fault(void *context, const char *text)
{
    struct live_check *check = context;
    verify_fault(check->verify, "%s", text);
}

static int check_live(struct verify *verify, struct bytes file, const uint8_t *snapshot)
{
    struct live_check check = {.verify = verify, .record = {.limit = WAL_RECORD_BYTES_MAX}};
    struct page_walk walk = {.file = file, .snapshot = snapshot, .value = take_value,
                             .fault = walk_fault, .context = &check,
                             .cancelled = verify->cancelled};
    arena_init(&check.arena, RECORD_ARENA);
    int error = page_walk_run(&walk);
    if (error == 0 && check.commit != 0)
        end_commit(&check);
    arena_reset(&check.arena);
    buf_done(&check.record);
    return error;
}

static bool has_history(const char *directory)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/history", directory);
    return care_folder_entries(path) > 0;
}

int verify_live(struct verify *verify, const char *directory, struct diagnosis *why)
{
    char path[4096];
    struct bytes file;
    struct diagnosis reason = {0};
    uint64_t hash;
    uint64_t bytes;
    begin(verify);
    (void)snprintf(path, sizeof path, "%s/%s", directory, LIVE_PATH);
    int error = verify_begin_file(verify, LIVE_PATH);
    verify->is_unborn = error == 0 && inspect_is_unborn(directory);
    if (verify->is_unborn)
        return 0;
    /* Read as a file first: a bad sector under a map would end the process. */
    if (error == 0)
        error = care_hash(path, &verify->pace, &hash, &bytes, &reason);
    if (error == ERR_IO) {
        verify_fault(verify, "it cannot be read: %s", reason.text);
        return 0;
    }
    if (error == 0)
        error = care_map(path, &file, &reason);
    if (error == ERR_NOTFOUND && has_history(directory)) {
        verify_fault(verify, "it is missing, and there are files of history");
        return 0;
    }
    if (error == ERR_NOTFOUND)
        return diagnose(why, error, "%s: no data folder: it has no %s", directory, LIVE_PATH);
    if (error != 0)
        return diagnose(why, error, "%s", *reason.text != '\0' ? reason.text : error_text(error));
    verify->counts.total_bytes += bytes;
    error = check_live(verify, file, NULL);
    care_unmap(file);
    return error;
}

/* -- folders ----------------------------------------------------------------------------- */

static bool is_registered(const struct verify *verify, const char *name)
{
    for (size_t i = 0; i < verify->span_count; i++) {
        char known[SPAN_NAME_BYTES];
        const struct span_manifest *manifest = &verify->spans[i].manifest;
        span_file_name((enum span_kind)manifest->kind, manifest->start_ms, manifest->end_ms,
                       manifest->generation, known);
        if (strcmp(known, name) == 0)
            return true;
    }
    return false;
}

static void count_strays(struct verify *verify, const char *directory)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/history", directory);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.' && !is_registered(verify, entry->d_name))
            verify->counts.strays++;
    (void)closedir(folder);
}

int verify_folder(struct verify *verify, const char *directory, struct diagnosis *why)
{
    int error = verify_live(verify, directory, why);
    for (size_t i = 0; i < verify->span_count && error == 0; i++)
        error = verify_span(verify, directory, &verify->spans[i], why);
    if (error == 0)
        count_strays(verify, directory);
    verify_done(verify);
    return error;
}

/* A snapshot whose meta page is still there to be copied: with commits back to back that takes
 * a few tries. */
static int begin_snapshot(struct store *store, struct bytes file, MDB_txn **ret_txn,
                          uint8_t meta[PAGE_META_BYTES])
{
    for (unsigned i = 0; i < SNAPSHOT_TRIES; i++) {
        MDB_txn *txn;
        int code = mdb_txn_begin(store->live.env, NULL, MDB_RDONLY, &txn);
        if (code != MDB_SUCCESS)
            return error_from_lmdb(code);
        if (page_walk_snapshot(file, mdb_txn_id(txn), meta)) {
            *ret_txn = txn;
            return 0;
        }
        mdb_txn_abort(txn);
    }
    return ERR_AGAIN;
}

int verify_store_live(struct store *store, int (*look)(void *context, struct bytes file,
                                                       const uint8_t *snapshot),
                      void *context, struct diagnosis *why)
{
    char path[4096];
    uint8_t meta[PAGE_META_BYTES];
    struct bytes file;
    struct bytes whole;
    MDB_txn *txn = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", store->directory, LIVE_PATH);
    int error = care_map(path, &file, why);
    if (error != 0)
        return error;
    error = begin_snapshot(store, file, &txn, meta);
    if (error == 0) {
        /* Mapped again: by now the file may be longer, and the snapshot reach into that. */
        error = care_map(path, &whole, why);
        if (error == 0) {
            error = look(context, whole, meta);
            care_unmap(whole);
        }
        mdb_txn_abort(txn);
    }
    care_unmap(file);
    return error;
}

static int look_live(void *context, struct bytes file, const uint8_t *snapshot)
{
    struct verify *verify = context;
    verify->counts.total_bytes += file.size;
    int error = check_live(verify, file, snapshot);
    moved(verify, file.size);
    return error;
}

int verify_store(struct verify *verify, struct store *store, struct diagnosis *why)
{
    begin(verify);
    int error = verify_begin_file(verify, LIVE_PATH);
    if (error == 0)
        error = verify_store_live(store, look_live, verify, why);
    for (size_t i = 0; i < verify->span_count && error == 0; i++) {
        const struct span_info *info = &verify->spans[i];
        struct span *span = span_set_acquire_one(store->spans, info);
        if (span == NULL) {
            moved(verify, info->file_bytes);
            continue;
        }
        error = verify_span(verify, store->directory, info, why);
        span_set_release_one(store->spans, span);
    }
    verify_done(verify);
    return error;
}
