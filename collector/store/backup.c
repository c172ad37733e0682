/*
 * backup.c - making one: live, then links, then the keys, then reading it all, then the manifest.
 */
#include "collector/store/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "collector/store/backup_manifest.h"
#include "collector/store/care_file.h"
#include "collector/store/parts.h"
#include "collector/store/span_set.h"
#include "collector/store/verify.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/must.h"

#define PATH_BYTES 4096

struct making {
    struct backup *backup;
    struct store *store;
    struct care_pace pace;
    struct verify verify; /* of the copied live environment; its registrations */
    bool *is_linked;      /* by registration */
    struct backup_manifest manifest;
    struct diagnosis *why;
};

static void path_of(char path[PATH_BYTES], const char *directory, const char *name)
{
    (void)snprintf(path, PATH_BYTES, "%s/%s", directory, name);
}

static void moved(void *context, uint64_t bytes)
{
    struct making *making = context;
    struct backup *backup = making->backup;
    backup->counts.bytes += bytes;
    if (backup->progress != NULL)
        backup->progress(backup->context, &backup->counts);
}

static void tell_fault(void *context, const char *file, const char *text)
{
    struct making *making = context;
    if (making->backup->fault != NULL)
        making->backup->fault(making->backup->context, file, text);
}

/* A file is done. */
static int note_file(struct making *making, const char *path, uint64_t bytes, uint64_t hash,
                     bool is_damaged)
{
    making->backup->counts.files++;
    making->backup->counts.size_bytes += bytes;
    making->backup->counts.damaged_files += is_damaged;
    int error = backup_manifest_add(&making->manifest, path, bytes, hash, is_damaged, false);
    if (error == ERR_INVALID)
        return diagnose(making->why, error, "%s: a file with such a name cannot be backed up",
                        path);
    return error;
}

/* -- the folder -------------------------------------------------------------------------- */

static bool is_within(const char *path, const char *folder)
{
    size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

/* Not among what it copies. */
static int check_place(const struct making *making)
{
    char *real = realpath(making->backup->directory, NULL);
    char *data = realpath(making->store->directory, NULL);
    int error = real == NULL || data == NULL ? ERR_NOMEM : 0;
    for (size_t i = 0; i < BACKUP_FOLDERS && error == 0; i++) {
        char inside[PATH_BYTES];
        path_of(inside, data, backup_folders[i]);
        if (is_within(real, inside) || is_within(data, real))
            error = diagnose(making->why, ERR_INVALID,
                             "%s: a backup cannot lie there, among the data themselves", real);
    }
    free(real);
    free(data);
    return error;
}

static int make_folder(const char *path, struct diagnosis *why)
{
    /* Where the folder was there and empty its mode becomes ours, too: keys will lie in it. */
    if ((mkdir(path, 0700) == 0 || errno == EEXIST) && chmod(path, 0700) == 0)
        return 0;
    return diagnose(why, errno == EACCES || errno == EPERM || errno == EROFS ? ERR_REFUSED : ERR_IO,
                    "%s: %s", path, strerror(errno));
}

static int begin_folder(struct making *making)
{
    const char *directory = making->backup->directory;
    char path[PATH_BYTES];
    if (directory[0] != '/' || strlen(directory) + BACKUP_PATH_BYTES > PATH_BYTES)
        return diagnose(making->why, ERR_INVALID, "%s: the folder must be an absolute path",
                        directory);
    if (care_folder_entries(directory) > 0) {
        path_of(path, directory, BACKUP_UNFINISHED);
        return diagnose(making->why, ERR_EXISTS, "%s is not empty%s", directory,
                        access(path, F_OK) == 0 ? ": a backup that was never finished is in it"
                                                : "");
    }
    int error = file_make_directories(directory, making->why);
    if (error == 0)
        error = check_place(making);
    if (error == 0)
        error = make_folder(directory, making->why);
    path_of(path, directory, BACKUP_UNFINISHED);
    static const char note[] = "A backup is being made here, or was broken off. fengsuictl restore "
                               "refuses it; remove the folder.\n";
    if (error == 0)
        error = file_write_atomic(&file_io_system, path, bytes_of(note), 0600, making->why);
    for (size_t i = 0; i < BACKUP_FOLDERS && error == 0; i++) {
        path_of(path, directory, backup_folders[i]);
        error = make_folder(path, making->why);
    }
    return error;
}

/* Removes what this backup made of an empty folder. */
static void remove_folder(const char *directory)
{
    char path[PATH_BYTES];
    for (size_t i = BACKUP_FOLDERS; i-- > 0;) {
        path_of(path, directory, backup_folders[i]);
        DIR *folder = opendir(path);
        if (folder == NULL)
            continue;
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
            if (entry->d_name[0] != '.')
                (void)unlinkat(dirfd(folder), entry->d_name, 0);
        (void)closedir(folder);
        (void)rmdir(path);
    }
    path_of(path, directory, BACKUP_UNFINISHED);
    (void)unlink(path);
    (void)rmdir(directory);
}

static bool is_same_disk(const struct making *making)
{
    struct stat there;
    struct stat here;
    return stat(making->backup->directory, &there) == 0 &&
           stat(making->store->directory, &here) == 0 && there.st_dev == here.st_dev;
}

/* What is to be written, before anything is. */
static int check_room(struct making *making)
{
    struct statvfs disk;
    struct backup *backup = making->backup;
    uint64_t live = live_used_bytes(&making->store->live);
    struct span **spans;
    size_t count;
    uint64_t history = 0;
    for (size_t i = 0; i < SPAN_KINDS; i++) {
        int error = span_set_acquire_kind(making->store->spans, span_kind_rows[i].kind, INT64_MIN,
                                          INT64_MAX, &spans, &count);
        if (error != 0)
            return error;
        for (size_t j = 0; j < count; j++)
            history += span_info_of(spans[j])->file_bytes;
        span_set_release(making->store->spans, spans, count);
    }
    bool links = is_same_disk(making) && !backup->copies_all;
    uint64_t needed = links ? live : live + history;
    backup->counts.total_bytes = 2 * live + history; /* live is written and read again */
    if (statvfs(backup->directory, &disk) != 0)
        return 0; /* the writing will tell */
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    uint64_t used = (uint64_t)(disk.f_blocks - disk.f_bfree) * disk.f_frsize;
    if (needed > free_bytes)
        return diagnose(making->why, ERR_FULL, "%s: the backup needs %" PRIu64 " MiB, %" PRIu64
                        " MiB are free", backup->directory, needed >> 20, free_bytes >> 20);
    if (is_same_disk(making) &&
        used + needed > (used + free_bytes) / 100 * STORE_FULL_PERCENT)
        return diagnose(making->why, ERR_FULL,
                        "%s: the backup needs %" PRIu64 " MiB; the disk of the data would then be "
                        "so full that nothing is taken any more", backup->directory, needed >> 20);
    return 0;
}

/* -- live -------------------------------------------------------------------------------- */

struct copier {
    MDB_env *env;
    int fd;
    unsigned flags;
    int code;
};

static void *copy_main(void *context)
{
    struct copier *copier = context;
    sigset_t broken_pipe;
    (void)sigemptyset(&broken_pipe);
    (void)sigaddset(&broken_pipe, SIGPIPE); /* the reader may give up; LMDB's thread inherits */
    (void)pthread_sigmask(SIG_BLOCK, &broken_pipe, NULL);
    copier->code = mdb_env_copyfd2(copier->env, copier->fd, copier->flags);
    (void)close(copier->fd);
    return NULL;
}

static int drain(int fd, struct care_writer *writer)
{
    uint8_t piece[16384];
    for (;;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? 0 : ERR_IO;
        int error = care_writer_put(writer, (struct bytes){piece, (size_t)got});
        if (error != 0)
            return error;
    }
}

/* LMDB writes its copy into a pipe; what comes out of it goes to the disk in slices. */
static int copy_live(struct making *making, unsigned flags, const char *path, int *ret_code,
                     uint64_t *ret_hash, uint64_t *ret_bytes)
{
    struct copier copier = {making->store->live.env, -1, flags, MDB_SUCCESS};
    struct care_writer *writer;
    pthread_t thread;
    int ends[2];
    int error = care_writer_open(path, 0600, &making->pace, &writer, making->why);
    if (error != 0)
        return error;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)care_writer_close(writer, ret_hash, ret_bytes, NULL);
        return diagnose(making->why, ERR_IO, "pipe: %s", strerror(errno));
    }
    copier.fd = ends[1];
    int failed = pthread_create(&thread, NULL, copy_main, &copier);
    if (failed != 0)
        (void)close(ends[1]);
    else
        error = drain(ends[0], writer);
    (void)close(ends[0]);
    if (failed == 0)
        must(pthread_join(thread, NULL) == 0);
    int closed = care_writer_close(writer, ret_hash, ret_bytes, making->why);
    *ret_code = copier.code;
    if (failed != 0)
        return ERR_NOMEM;
    return error != 0 ? error : closed;
}

static int take_live(struct making *making)
{
    char path[PATH_BYTES];
    uint64_t hash = 0;
    uint64_t bytes = 0;
    int code = MDB_SUCCESS;
    path_of(path, making->backup->directory, "live/data.mdb");
    int error = copy_live(making, MDB_CP_COMPACT, path, &code, &hash, &bytes);
    if (error == 0 && code == MDB_INCOMPATIBLE) {
        /* Pages are lost in it, so that compacting does not come out even: as it is, then. */
        (void)unlink(path);
        error = copy_live(making, 0, path, &code, &hash, &bytes);
    }
    if (error == 0 && code != MDB_SUCCESS)
        error = diagnose(making->why, error_from_lmdb(code), "live/data.mdb cannot be copied: %s",
                         mdb_strerror(code));
    if (error != 0)
        return error;
    store_step(making->store, "backup.live");
    making->verify = (struct verify){.fault = tell_fault, .context = making, .is_gentle = true,
                                     .cancelled = making->backup->cancelled};
    error = verify_live(&making->verify, making->backup->directory, making->why);
    moved(making, bytes);
    if (error != 0)
        return error;
    return note_file(making, "live/data.mdb", bytes, hash, making->verify.counts.faults > 0);
}

/* -- history ----------------------------------------------------------------------------- */

static void span_path(const struct span_info *info, char path[BACKUP_PATH_BYTES])
{
    char name[SPAN_NAME_BYTES];
    span_file_name((enum span_kind)info->manifest.kind, info->manifest.start_ms,
                   info->manifest.end_ms, info->manifest.generation, name);
    (void)snprintf(path, BACKUP_PATH_BYTES, "history/%s", name);
}

static int note_span(struct making *making, const struct span_info *info, const char *path,
                     uint64_t bytes, uint64_t hash)
{
    bool is_damaged = bytes != info->file_bytes || hash != info->file_hash;
    if (is_damaged)
        tell_fault(making, path, "its bytes are not those that were written");
    return note_file(making, path, bytes, hash, is_damaged);
}

/* A link, or where there can be none, a copy. */
static int take_span(struct making *making, size_t i)
{
    const struct span_info *info = &making->verify.spans[i];
    char path[BACKUP_PATH_BYTES];
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    uint64_t hash;
    uint64_t bytes;
    span_path(info, path);
    path_of(from, making->store->directory, path);
    path_of(to, making->backup->directory, path);
    if (!making->backup->copies_all && link(from, to) == 0) {
        making->is_linked[i] = true;
        making->backup->counts.linked_files++;
        return 0;
    }
    if (access(from, F_OK) != 0 && errno == ENOENT) {
        tell_fault(making, path, "the file is missing");
        making->backup->counts.damaged_files++;
        return backup_manifest_add(&making->manifest, path, 0, 0, false, true);
    }
    int error = care_copy(from, to, 0600, &making->pace, &hash, &bytes, making->why);
    return error == 0 ? note_span(making, info, path, bytes, hash) : error;
}

/* All links first: then the store may let go of its files, however long reading them takes. */
static int take_history(struct making *making)
{
    size_t count = making->verify.span_count;
    int error = 0;
    making->is_linked = calloc(count + 1, sizeof *making->is_linked);
    if (making->is_linked == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count && error == 0; i++)
        error = take_span(making, i);
    return error;
}

static int read_links(struct making *making)
{
    int error = 0;
    for (size_t i = 0; i < making->verify.span_count && error == 0; i++) {
        char path[BACKUP_PATH_BYTES];
        char to[PATH_BYTES];
        uint64_t hash;
        uint64_t bytes;
        if (!making->is_linked[i])
            continue;
        span_path(&making->verify.spans[i], path);
        path_of(to, making->backup->directory, path);
        error = care_hash(to, &making->pace, &hash, &bytes, making->why);
        if (error == 0)
            error = note_span(making, &making->verify.spans[i], path, bytes, hash);
    }
    return error;
}

/* -- keys -------------------------------------------------------------------------------- */

static int take_key(struct making *making, const char *name)
{
    char path[BACKUP_PATH_BYTES + 256]; /* a name that is too long is refused by the manifest */
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    struct stat stat_;
    uint64_t hash;
    uint64_t bytes;
    (void)snprintf(path, sizeof path, "keys/%s", name);
    path_of(from, making->store->directory, path);
    path_of(to, making->backup->directory, path);
    if (stat(from, &stat_) != 0 || !S_ISREG(stat_.st_mode))
        return 0;
    int error = care_copy(from, to, stat_.st_mode & 0777, &making->pace, &hash, &bytes,
                          making->why);
    return error == 0 ? note_file(making, path, bytes, hash, false) : error;
}

/* Calls `take` for every file of a folder of the data; it need not be there. */
static int each_file(struct making *making, const char *name,
                     int (*take)(struct making *making, const char *name))
{
    char path[PATH_BYTES];
    int error = 0;
    path_of(path, making->store->directory, name);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    for (struct dirent *entry; error == 0 && (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            error = take(making, entry->d_name);
    (void)closedir(folder);
    return error;
}

static int take_keys(struct making *making)
{
    int error = each_file(making, "keys", take_key);
    making->manifest.has_keys = error == 0;
    return error;
}

/* -- what is still to be sent ------------------------------------------------------------ */

static int take_released(struct making *making, const char *name)
{
    char path[BACKUP_PATH_BYTES + 256];
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    uint64_t hash;
    uint64_t bytes;
    if (strchr(name, '.') == NULL || strcmp(strchr(name, '.'), ".spill") != 0)
        return 0; /* not whole: it is being written */
    (void)snprintf(path, sizeof path, STORE_RELEASED_FOLDER "/%s", name);
    path_of(from, making->store->directory, path);
    path_of(to, making->backup->directory, path);
    bool is_linked = !making->backup->copies_all && link(from, to) == 0;
    making->backup->counts.linked_files += is_linked;
    int error = is_linked ? care_hash(to, &making->pace, &hash, &bytes, making->why)
                          : care_copy(from, to, 0600, &making->pace, &hash, &bytes, making->why);
    return error == 0 ? note_file(making, path, bytes, hash, false) : error;
}

/* The log and what was cut from it before, as they fit together. */
static int take_log(struct making *making)
{
    const struct store_options *options = &making->store->options;
    if (options->hold == NULL)
        return take_live(making);
    options->hold(options->release_context, true);
    int error = take_live(making);
    if (error == 0)
        error = each_file(making, STORE_RELEASED_FOLDER, take_released);
    options->hold(options->release_context, false);
    return error;
}

/* -- the end ----------------------------------------------------------------------------- */

static int finish(struct making *making)
{
    const char *directory = making->backup->directory;
    char path[PATH_BYTES];
    struct buf text = {0};
    int error = 0;
    for (size_t i = 0; i < BACKUP_FOLDERS && error == 0; i++) {
        path_of(path, directory, backup_folders[i]);
        error = care_sync_folder(path, making->why);
    }
    making->manifest.taken_ms = making->backup->taken_ms;
    backup_manifest_write(&making->manifest, &text);
    store_step(making->store, "backup.read");
    path_of(path, directory, BACKUP_MANIFEST);
    if (error == 0)
        error = !buf_ok(&text) ? ERR_NOMEM
                               : file_write_atomic(&file_io_system, path, buf_bytes(&text), 0600,
                                                   making->why);
    buf_done(&text);
    store_step(making->store, "backup.manifest");
    path_of(path, directory, BACKUP_UNFINISHED);
    if (error == 0 && unlink(path) != 0)
        error = diagnose(making->why, ERR_IO, "%s: %s", path, strerror(errno));
    if (error == 0)
        error = care_sync_folder(directory, making->why);
    store_step(making->store, "backup.done");
    return error;
}

static int fill_folder(struct making *making)
{
    struct span_set *spans = making->store->spans;
    span_set_pin(spans);
    making->backup->taken_ms = clock_unix_ms(making->store->clock);
    int error = take_log(making);
    if (error == 0)
        error = take_history(making);
    span_set_unpin(spans);
    store_step(making->store, "backup.linked");
    if (error == 0 && !making->backup->without_keys)
        error = take_keys(making);
    if (error == 0)
        error = read_links(making);
    return error == 0 ? finish(making) : error;
}

int backup_make(struct backup *backup, struct store *store, struct diagnosis *why)
{
    struct diagnosis reason = {0};
    struct making making = {.backup = backup, .store = store, .why = &reason};
    making.pace = (struct care_pace){true, backup->cancelled, moved, &making};
    int error = begin_folder(&making);
    if (error == ERR_EXISTS || error == ERR_INVALID || error == ERR_REFUSED) {
        if (error == ERR_INVALID)
            (void)rmdir(backup->directory); /* as far as it is new and empty */
        return diagnose(why, error, "%s", reason.text);
    }
    store_step(store, "backup.begun");
    if (error == 0)
        error = check_room(&making);
    if (error == 0)
        error = fill_folder(&making);
    if (error != 0)
        remove_folder(backup->directory);
    verify_done(&making.verify);
    backup_manifest_done(&making.manifest);
    free(making.is_linked);
    if (error != 0)
        return diagnose(why, error, "%s",
                        *reason.text != '\0' ? reason.text : error_text(error));
    return 0;
}
