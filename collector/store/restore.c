/*
 * restore.c - checking a backup, and copying it into a new data folder.
 */
#include "collector/store/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/store/backup_manifest.h"
#include "collector/store/care_file.h"
#include "collector/store/store.h"
#include "collector/store/verify.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define PATH_BYTES 4096
#define SMALL_FILE ((size_t)4096)

struct restoring {
    struct restore *restore;
    struct backup_manifest manifest;
    uint64_t faults; /* beside those the manifest knows of */
    uint64_t verified_bytes;
    struct diagnosis *why;
};

static void path_of(char path[PATH_BYTES], const char *directory, const char *name)
{
    (void)snprintf(path, PATH_BYTES, "%s/%s", directory, name);
}

static bool exists(const char *directory, const char *name)
{
    char path[PATH_BYTES];
    path_of(path, directory, name);
    return access(path, F_OK) == 0;
}

static void moved(void *context, uint64_t bytes)
{
    struct restoring *restoring = context;
    struct restore *restore = restoring->restore;
    restore->counts.bytes += bytes;
    if (restore->progress != NULL)
        restore->progress(restore->context, &restore->counts);
}

static void tell(struct restoring *restoring, const char *file, const char *text)
{
    if (restoring->restore->fault != NULL)
        restoring->restore->fault(restoring->restore->context, file, text);
}

/* -- the backup -------------------------------------------------------------------------- */

static int read_manifest(struct restoring *restoring, const char *backup)
{
    char path[PATH_BYTES];
    char *text;
    size_t size;
    if (strlen(backup) + BACKUP_PATH_BYTES > PATH_BYTES)
        return diagnose(restoring->why, ERR_LIMIT, "%s: the path is too long", backup);
    if (exists(backup, BACKUP_UNFINISHED))
        return diagnose(restoring->why, ERR_REFUSED,
                        "%s: this backup was never finished (" BACKUP_UNFINISHED " is there)",
                        backup);
    path_of(path, backup, BACKUP_MANIFEST);
    if (!exists(backup, BACKUP_MANIFEST))
        return diagnose(restoring->why, ERR_NOTFOUND, "%s: no backup: it has no " BACKUP_MANIFEST,
                        backup);
    int error = file_read_whole(path, BACKUP_MANIFEST_BYTES, &text, &size, restoring->why);
    if (error != 0)
        return error;
    struct diagnosis reason = {0};
    error = backup_manifest_read((struct bytes){(const uint8_t *)text, size},
                                 &restoring->manifest, &reason);
    free(text);
    if (error != 0)
        return diagnose(restoring->why, error, "%s: %s", backup, reason.text);
    restoring->restore->taken_ms = restoring->manifest.taken_ms;
    restoring->restore->has_keys = restoring->manifest.has_keys;
    return 0;
}

static const struct backup_file *find(const struct restoring *restoring, const char *path)
{
    for (size_t i = 0; i < restoring->manifest.count; i++)
        if (strcmp(restoring->manifest.files[i].path, path) == 0)
            return &restoring->manifest.files[i];
    return NULL;
}

static int check_file(struct restoring *restoring, const char *backup,
                      const struct backup_file *file)
{
    char path[PATH_BYTES];
    uint64_t hash;
    uint64_t bytes;
    struct diagnosis reason = {0};
    const struct care_pace pace = {.moved = moved, .context = restoring};
    path_of(path, backup, file->path);
    int error = care_hash(path, &pace, &hash, &bytes, &reason);
    const char *fault = error == ERR_NOTFOUND      ? "the file is missing"
                        : error == ERR_IO          ? reason.text
                        : error != 0               ? NULL
                        : bytes != file->bytes     ? "its size is not that of the manifest"
                        : hash != file->hash       ? "its bytes are not those that were backed up"
                                                   : NULL;
    if (fault != NULL) {
        tell(restoring, file->path, fault);
        restoring->faults++;
        return 0;
    }
    return error == 0 ? 0 : diagnose(restoring->why, error, "%s", reason.text);
}

/* A fault of a file that the manifest knows to be damaged is told, and no reason to stop. */
static void verify_fault_met(void *context, const char *file, const char *text)
{
    struct restoring *restoring = context;
    const struct backup_file *known = find(restoring, file);
    tell(restoring, file, text);
    restoring->faults += known == NULL || !(known->is_damaged || known->is_missing);
}

static void verify_moved(void *context, const struct verify_counts *counts)
{
    struct restoring *restoring = context;
    uint64_t bytes = counts->bytes - restoring->verified_bytes;
    restoring->verified_bytes = counts->bytes;
    moved(restoring, bytes);
}

static int verify_trees(struct restoring *restoring, const char *directory)
{
    struct verify verify = {
        .fault = verify_fault_met, .progress = verify_moved, .context = restoring};
    restoring->verified_bytes = 0;
    int error = verify_folder(&verify, directory, restoring->why);
    restoring->restore->counts.samples = verify.counts.samples;
    restoring->restore->counts.log_blocks = verify.counts.log_blocks;
    if (error == 0 && restoring->faults > 0)
        error = diagnose(restoring->why, ERR_CORRUPT, "%s: it is damaged, see above", directory);
    return error;
}

/* `passes`: how often every byte is going to be read or written in all. */
static int check_backup(struct restoring *restoring, const char *backup, unsigned passes)
{
    struct restore_counts *counts = &restoring->restore->counts;
    int error = read_manifest(restoring, backup);
    for (size_t i = 0; error == 0 && i < restoring->manifest.count; i++) {
        const struct backup_file *file = &restoring->manifest.files[i];
        counts->files += !file->is_missing;
        counts->unsent_files +=
            strncmp(file->path, STORE_RELEASED_FOLDER, strlen(STORE_RELEASED_FOLDER)) == 0;
        counts->damaged_files += file->is_damaged || file->is_missing;
        counts->total_bytes += passes * file->bytes;
    }
    for (size_t i = 0; error == 0 && i < restoring->manifest.count; i++)
        if (!restoring->manifest.files[i].is_missing)
            error = check_file(restoring, backup, &restoring->manifest.files[i]);
    if (error == 0 && restoring->faults > 0)
        error = diagnose(restoring->why, ERR_CORRUPT, "%s: the backup is damaged, see above",
                         backup);
    return error == 0 ? verify_trees(restoring, backup) : error;
}

int restore_check(struct restore *restore, const char *backup, struct diagnosis *why)
{
    struct restoring restoring = {.restore = restore, .why = why};
    int error = check_backup(&restoring, backup, 2);
    backup_manifest_done(&restoring.manifest);
    return error;
}

/* -- the new folder ---------------------------------------------------------------------- */

static int make_folder(const char *path, mode_t mode, struct diagnosis *why)
{
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return 0;
    return diagnose(why, errno == EACCES ? ERR_REFUSED : ERR_IO, "%s: %s", path, strerror(errno));
}

static int begin_folder(struct restoring *restoring, const char *directory)
{
    char path[PATH_BYTES];
    static const char note[] = "A backup is being restored here, or that was broken off. No "
                               "collector starts on this folder; remove it and restore again.\n";
    int error = file_make_directories(directory, restoring->why);
    path_of(path, directory, BACKUP_UNFINISHED);
    if (error == 0)
        error = file_write_atomic(&file_io_system, path, bytes_of(note), 0640, restoring->why);
    for (size_t i = 0; i < BACKUP_FOLDERS && error == 0; i++) {
        path_of(path, directory, backup_folders[i]);
        error = make_folder(path, strcmp(backup_folders[i], "keys") == 0 ? 0700 : 0750, restoring->why);
    }
    return error;
}

static int copy_file(struct restoring *restoring, const char *backup, const char *directory,
                     const struct backup_file *file)
{
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    struct stat stat_;
    uint64_t hash;
    uint64_t bytes;
    const struct care_pace pace = {.moved = moved, .context = restoring};
    path_of(from, backup, file->path);
    path_of(to, directory, file->path);
    bool is_key = strncmp(file->path, "keys/", 5) == 0;
    if (stat(from, &stat_) != 0)
        return diagnose(restoring->why, ERR_IO, "%s: %s", from, strerror(errno));
    int error = care_copy(from, to, is_key ? stat_.st_mode & 0777 : 0640, &pace, &hash, &bytes,
                          restoring->why);
    if (error == 0 && (hash != file->hash || bytes != file->bytes))
        error = diagnose(restoring->why, ERR_CORRUPT, "%s changed while it was read", from);
    return error;
}

static void remove_files(const struct restoring *restoring, const char *directory)
{
    char path[PATH_BYTES];
    for (size_t i = 0; i < restoring->manifest.count; i++) {
        path_of(path, directory, restoring->manifest.files[i].path);
        (void)unlink(path);
    }
    for (size_t i = BACKUP_FOLDERS; i-- > 0;) {
        path_of(path, directory, backup_folders[i]);
        (void)rmdir(path);
    }
    path_of(path, directory, RESTORED_FILE);
    (void)unlink(path);
    path_of(path, directory, BACKUP_UNFINISHED);
    (void)unlink(path);
    (void)rmdir(directory);
}

static int finish(struct restoring *restoring, const char *directory)
{
    char path[PATH_BYTES];
    char text[64];
    int error = 0;
    for (size_t i = 0; i < BACKUP_FOLDERS && error == 0; i++) {
        path_of(path, directory, backup_folders[i]);
        error = care_sync_folder(path, restoring->why);
    }
    if (error == 0)
        error = verify_trees(restoring, directory);
    (void)snprintf(text, sizeof text, "taken %" PRId64 "\n", restoring->manifest.taken_ms);
    path_of(path, directory, RESTORED_FILE);
    if (error == 0)
        error = file_write_atomic(&file_io_system, path, bytes_of(text), 0640, restoring->why);
    path_of(path, directory, BACKUP_UNFINISHED);
    if (error == 0 && unlink(path) != 0)
        error = diagnose(restoring->why, ERR_IO, "%s: %s", path, strerror(errno));
    return error == 0 ? care_sync_folder(directory, restoring->why) : error;
}

int restore_run(struct restore *restore, const char *backup, const char *directory,
                struct diagnosis *why)
{
    struct restoring restoring = {.restore = restore, .why = why};
    if (strlen(directory) + BACKUP_PATH_BYTES > PATH_BYTES)
        return diagnose(why, ERR_LIMIT, "%s: the path is too long", directory);
    if (care_folder_entries(directory) > 0)
        return diagnose(why, ERR_EXISTS,
                        "%s is not empty: a backup is restored into a new folder", directory);
    int error = check_backup(&restoring, backup, 4);
    if (error == 0) {
        error = begin_folder(&restoring, directory);
        for (size_t i = 0; error == 0 && i < restoring.manifest.count; i++)
            if (!restoring.manifest.files[i].is_missing)
                error = copy_file(&restoring, backup, directory, &restoring.manifest.files[i]);
        if (error == 0)
            error = finish(&restoring, directory);
        if (error != 0)
            remove_files(&restoring, directory);
    }
    backup_manifest_done(&restoring.manifest);
    return error;
}

/* -- at the start of a collector --------------------------------------------------------- */

int64_t restored_at_ms(const char *directory)
{
    char path[PATH_BYTES];
    char *text;
    int64_t taken_ms = 0;
    path_of(path, directory, RESTORED_FILE);
    if (file_read_whole(path, SMALL_FILE, &text, NULL, NULL) != 0)
        return 0;
    if (sscanf(text, "taken %" SCNd64, &taken_ms) != 1)
        taken_ms = 0;
    free(text);
    return taken_ms;
}

int restore_may_open(const char *directory, struct diagnosis *why)
{
    if (exists(directory, BACKUP_UNFINISHED))
        return diagnose(why, ERR_REFUSED,
                        "%s: a backup or a restore was broken off here (" BACKUP_UNFINISHED
                        " is there)", directory);
    if (exists(directory, BACKUP_MANIFEST))
        return diagnose(why, ERR_REFUSED,
                        "%s is a backup: fengsuictl restore makes a data folder of it",
                        directory);
    return 0;
}
