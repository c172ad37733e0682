/*
 * care.c - the thread that backs up or verifies, and what it has to tell.
 */
#include "collector/store/care.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collector/store/backup.h"
#include "collector/store/parts.h"
#include "collector/store/restore.h"
#include "collector/store/verify.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define NICE 10
#define BACKED_UP_AT "backed_up_at" /* in the live environment's meta */

enum care_state { CARE_IDLE, CARE_RUNNING, CARE_DONE, CARE_FAILED, CARE_CANCELLED };
static const char *const state_names[] = {"idle", "running", "done", "failed", "cancelled"};

struct found {
    char *file, *what; /* NULL: out of memory */
};

/* What is told of the last piece of work of a kind. */
struct report {
    enum care_state state;
    int64_t started_ms, ended_ms;
    char error[DIAGNOSIS_BYTES];
    struct backup_counts backup;
    struct verify_counts verify;
    int64_t taken_ms;
    char *directory;
    uint64_t faults;
    struct found found[CARE_FAULTS_KEPT];
    size_t found_count;
};

struct care {
    /* fixed */
    struct store *store;
    /* under the lock */
    pthread_mutex_t lock;
    struct report reports[CARE_KINDS];
    bool running;
    bool has_thread; /* to be joined */
    struct care_stats stats;
    /* fixed while a thread runs */
    pthread_t thread;
    enum care_kind kind;
    bool without_keys, copies_all;
    volatile bool cancelled;
};

static void lock(struct care *care)
{
    must(pthread_mutex_lock(&care->lock) == 0);
}

static void unlock(struct care *care)
{
    must(pthread_mutex_unlock(&care->lock) == 0);
}

static void report_clear(struct report *report)
{
    for (size_t i = 0; i < report->found_count; i++) {
        free(report->found[i].file);
        free(report->found[i].what);
    }
    free(report->directory);
    *report = (struct report){.state = CARE_IDLE};
}

/* -- on the thread ----------------------------------------------------------------------- */

static void take_fault(void *context, const char *file, const char *text)
{
    struct care *care = context;
    log_error("store", "%s is damaged: %s", file, text);
    lock(care);
    struct report *report = &care->reports[care->kind];
    report->faults++;
    if (report->found_count < CARE_FAULTS_KEPT)
        report->found[report->found_count++] = (struct found){strdup(file), strdup(text)};
    unlock(care);
}

static void take_backup_counts(void *context, const struct backup_counts *counts)
{
    struct care *care = context;
    lock(care);
    care->reports[CARE_BACKUP].backup = *counts;
    unlock(care);
}

static void take_verify_counts(void *context, const struct verify_counts *counts)
{
    struct care *care = context;
    lock(care);
    care->reports[CARE_VERIFY].verify = *counts;
    unlock(care);
}

struct moment {
    struct live *live;
    uint64_t ms;
};

static int put_moment(void *context, MDB_txn *txn, uint64_t commit)
{
    struct moment *moment = context;
    (void)commit;
    return live_meta_put(moment->live, txn, BACKED_UP_AT, moment->ms);
}

static int run_backup(struct care *care, struct diagnosis *why)
{
    struct report *report = &care->reports[CARE_BACKUP];
    struct backup backup = {.directory = report->directory,
                            .without_keys = care->without_keys,
                            .copies_all = care->copies_all,
                            .fault = take_fault,
                            .progress = take_backup_counts,
                            .context = care,
                            .cancelled = &care->cancelled};
    int error = backup_make(&backup, care->store, why);
    if (error == 0) {
        struct moment moment = {&care->store->live, (uint64_t)backup.taken_ms};
        struct writer_task task = {put_moment, NULL, &moment, NULL, 0, false};
        if (writer_run(care->store->writer, &task) != 0)
            log_warn("store", "the backup is good, but when it was made could not be noted");
        log_info("store", "backup made directory=%s files=%" PRIu64 " bytes=%" PRIu64,
                 report->directory, backup.counts.files, backup.counts.size_bytes);
    }
    lock(care);
    report->backup = backup.counts;
    report->taken_ms = backup.taken_ms;
    if (error == 0) {
        care->stats.backups++;
        care->stats.backup_ms = backup.taken_ms;
    } else {
        care->stats.backup_failures++;
    }
    unlock(care);
    return error;
}

static int run_verify(struct care *care, struct diagnosis *why)
{
    struct verify verify = {.fault = take_fault,
                            .progress = take_verify_counts,
                            .context = care,
                            .is_gentle = true,
                            .cancelled = &care->cancelled};
    int error = verify_store(&verify, care->store, why);
    lock(care);
    struct report *report = &care->reports[CARE_VERIFY];
    report->verify = verify.counts;
    report->faults = verify.counts.faults;
    if (error == 0) {
        care->stats.verifications++;
        care->stats.verified_ms = clock_unix_ms(care->store->clock);
        care->stats.verify_faults = verify.counts.faults;
    }
    unlock(care);
    return error;
}

static void *care_main(void *context)
{
    struct care *care = context;
    struct diagnosis why = {0};
    /* Linux keeps priorities by thread: ingest and queries go first. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    int error =
        care->kind == CARE_BACKUP ? run_backup(care, &why) : run_verify(care, &why);
    if (error != 0 && error != ERR_CANCELLED)
        log_error("store", "%s failed: %s",
                  care->kind == CARE_BACKUP ? "the backup" : "the verification",
                  *why.text != '\0' ? why.text : error_text(error));
    lock(care);
    struct report *report = &care->reports[care->kind];
    report->ended_ms = clock_unix_ms(care->store->clock);
    report->state = error == 0               ? CARE_DONE
                    : error == ERR_CANCELLED ? CARE_CANCELLED
                                             : CARE_FAILED;
    if (error != 0)
        (void)snprintf(report->error, sizeof report->error, "%s",
                       *why.text != '\0' ? why.text : error_text(error));
    care->running = false;
    unlock(care);
    return NULL;
}

/* -- from outside ------------------------------------------------------------------------ */

int care_open(struct store *store, struct care **ret_care)
{
    uint64_t backed_up_ms = 0;
    int error = live_meta_get(&store->live, BACKED_UP_AT, &backed_up_ms);
    struct care *care = error == 0 ? calloc(1, sizeof *care) : NULL;
    if (care == NULL)
        return error != 0 ? error : ERR_NOMEM;
    care->store = store;
    care->stats.backup_ms = (int64_t)backed_up_ms;
    care->stats.restored_ms = restored_at_ms(store->directory);
    if (care->stats.restored_ms != 0)
        log_info("store",
                 "this state was restored from a backup taken=%lld: what probes had sent since, "
                 "and no longer hold, they tell as gaps",
                 (long long)care->stats.restored_ms);
    must(pthread_mutex_init(&care->lock, NULL) == 0);
    *ret_care = care;
    return 0;
}

void care_close(struct care *care)
{
    if (care == NULL)
        return;
    __atomic_store_n(&care->cancelled, true, __ATOMIC_RELAXED);
    if (care->has_thread)
        must(pthread_join(care->thread, NULL) == 0);
    for (size_t i = 0; i < CARE_KINDS; i++)
        report_clear(&care->reports[i]);
    (void)pthread_mutex_destroy(&care->lock);
    free(care);
}

/* Under the lock. */
static int begin(struct care *care, enum care_kind kind, char *directory)
{
    struct report *report = &care->reports[kind];
    if (care->has_thread)
        must(pthread_join(care->thread, NULL) == 0);
    care->has_thread = false;
    report_clear(report);
    report->directory = directory;
    report->started_ms = clock_unix_ms(care->store->clock);
    report->state = CARE_RUNNING;
    care->kind = kind;
    care->cancelled = false;
    care->running = true;
    if (pthread_create(&care->thread, NULL, care_main, care) != 0) {
        care->running = false;
        report->state = CARE_FAILED;
        return ERR_NOMEM;
    }
    care->has_thread = true;
    return 0;
}

static int refuse_second(const struct care *care, struct diagnosis *why)
{
    return diagnose(why, ERR_AGAIN, "%s is running already",
                    care->kind == CARE_BACKUP ? "a backup" : "a verification");
}

int store_backup_begin(struct store *store, const char *directory, bool without_keys,
                       bool copies_all, struct diagnosis *why)
{
    struct care *care = store->care;
    char *copy = strdup(directory);
    if (copy == NULL)
        return ERR_NOMEM;
    lock(care);
    int error = care->running ? refuse_second(care, why) : 0;
    if (error == 0) {
        care->without_keys = without_keys;
        care->copies_all = copies_all;
        error = begin(care, CARE_BACKUP, copy);
    } else {
        free(copy);
    }
    unlock(care);
    return error;
}

int store_verify_begin(struct store *store, struct diagnosis *why)
{
    struct care *care = store->care;
    lock(care);
    int error = care->running ? refuse_second(care, why) : begin(care, CARE_VERIFY, NULL);
    unlock(care);
    return error;
}

int store_care_cancel(struct store *store, enum care_kind kind)
{
    struct care *care = store->care;
    lock(care);
    bool is_it = care->running && care->kind == kind;
    if (is_it)
        __atomic_store_n(&care->cancelled, true, __ATOMIC_RELAXED);
    unlock(care);
    return is_it ? 0 : ERR_NOTFOUND;
}

void store_care_stats(struct store *store, struct care_stats *ret_stats)
{
    lock(store->care);
    *ret_stats = store->care->stats;
    unlock(store->care);
}

/* -- telling ----------------------------------------------------------------------------- */

void care_put_text(struct buf *out, const char *text)
{
    buf_put_char(out, '"');
    for (; text != NULL && *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buf_put_char(out, '\\');
        if ((unsigned char)*text < ' ')
            buf_printf(out, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            buf_put_char(out, *text);
    }
    buf_put_char(out, '"');
}

static void print_found(const struct report *report, struct buf *out)
{
    buf_put_text(out, ",\"found\":[");
    for (size_t i = 0; i < report->found_count; i++) {
        buf_put_text(out, i > 0 ? ",{\"file\":" : "{\"file\":");
        care_put_text(out, report->found[i].file);
        buf_put_text(out, ",\"what\":");
        care_put_text(out, report->found[i].what);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

static void print_backup(const struct report *report, struct buf *out)
{
    const struct backup_counts *counts = &report->backup;
    buf_printf(out,
               ",\"bytes\":%" PRIu64 ",\"totalBytes\":%" PRIu64 ",\"files\":%" PRIu64
               ",\"linkedFiles\":%" PRIu64 ",\"sizeBytes\":%" PRIu64 ",\"takenAt\":%" PRId64
               ",\"directory\":",
               counts->bytes, counts->total_bytes, counts->files, counts->linked_files,
               counts->size_bytes, report->taken_ms);
    care_put_text(out, report->directory);
}

static void print_verify(const struct report *report, struct buf *out)
{
    const struct verify_counts *counts = &report->verify;
    buf_printf(out,
               ",\"bytes\":%" PRIu64 ",\"totalBytes\":%" PRIu64 ",\"files\":%" PRIu64
               ",\"values\":%" PRIu64 ",\"samples\":%" PRIu64 ",\"walSamples\":%" PRIu64
               ",\"logBlocks\":%" PRIu64,
               counts->bytes, counts->total_bytes, counts->files, counts->values,
               counts->samples, counts->wal_samples, counts->log_blocks);
}

void store_care_print_json(struct store *store, enum care_kind kind, struct buf *out)
{
    struct care *care = store->care;
    lock(care);
    const struct report *report = &care->reports[kind];
    buf_printf(out, "{\"state\":\"%s\",\"startedAt\":%" PRId64 ",\"endedAt\":%" PRId64 ",\"error\":",
               state_names[report->state], report->started_ms, report->ended_ms);
    care_put_text(out, report->error);
    buf_printf(out, ",\"faults\":%" PRIu64, report->faults);
    if (kind == CARE_BACKUP)
        print_backup(report, out);
    else
        print_verify(report, out);
    print_found(report, out);
    buf_put_char(out, '}');
    unlock(care);
}
