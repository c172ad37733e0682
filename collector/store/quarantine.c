/*
 * quarantine.c - damaged files out of the way, each with a line that says why.
 */
#include "collector/store/quarantine.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/store/care_file.h"
#include "proto/base/file.h"
#include "proto/base/log.h"

#define FOLDER     "quarantine"
#define SUFFIX     ".reason"
#define PATH_BYTES 4096

static void path_of(const char *directory, const char *name, const char *suffix,
                    char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/" FOLDER "/%s%s", directory, name, suffix);
}

static bool make_folder(const char *directory)
{
    char path[PATH_BYTES];
    struct diagnosis why = {""};
    (void)snprintf(path, sizeof path, "%s/" FOLDER, directory);
    if (file_make_directories(path, &why) == 0)
        return true;
    log_error("store", "nothing can be set aside: %s", why.text);
    return false;
}

static void write_file(const char *path, struct bytes bytes)
{
    struct diagnosis why = {""};
    if (file_write_atomic(&file_io_system, path, bytes, 0640, &why) != 0)
        log_error("store", "what was set aside is not described: %s", why.text);
}

static void write_reason(const char *directory, const char *name, const char *reason)
{
    char path[PATH_BYTES];
    char line[QUARANTINE_REASON_BYTES + 1];
    path_of(directory, name, SUFFIX, path);
    int size = snprintf(line, sizeof line, "%.*s\n", QUARANTINE_REASON_BYTES - 2, reason);
    write_file(path, (struct bytes){(const uint8_t *)line, (size_t)size});
}

void quarantine_move(const char *directory, const char *folder, const char *name,
                     const char *reason)
{
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    if (!make_folder(directory))
        return;
    /* The reason first: a death in between leaves a file that is still found damaged. */
    write_reason(directory, name, reason);
    (void)snprintf(from, sizeof from, "%s/%s/%s", directory, folder, name);
    path_of(directory, name, "", to);
    (void)rename(from, to);
}

void quarantine_keep(const char *directory, const char *name, struct bytes bytes,
                     const char *reason)
{
    char path[PATH_BYTES];
    if (!make_folder(directory))
        return;
    path_of(directory, name, "", path);
    write_file(path, bytes);
    write_reason(directory, name, reason);
}

bool quarantine_reason(const char *directory, const char *name,
                       char text[QUARANTINE_REASON_BYTES])
{
    char path[PATH_BYTES];
    path_of(directory, name, SUFFIX, path);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    if (fgets(text, QUARANTINE_REASON_BYTES, file) == NULL)
        text[0] = '\0';
    (void)fclose(file);
    text[strcspn(text, "\n")] = '\0';
    return true;
}

void quarantine_drop(const char *directory, const char *name)
{
    char path[PATH_BYTES];
    path_of(directory, name, "", path);
    (void)unlink(path);
    path_of(directory, name, SUFFIX, path);
    (void)unlink(path);
}

void quarantine_each(const char *directory,
                     void (*each)(void *context, const char *name, const char *reason),
                     void *context)
{
    char path[PATH_BYTES];
    char name[QUARANTINE_NAME_BYTES];
    char reason[QUARANTINE_REASON_BYTES];
    struct dirent **entries;
    (void)snprintf(path, sizeof path, "%s/" FOLDER, directory);
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        size_t size = strlen(entries[i]->d_name);
        if (size > strlen(SUFFIX) && size - strlen(SUFFIX) < sizeof name &&
            strcmp(entries[i]->d_name + size - strlen(SUFFIX), SUFFIX) == 0) {
            memcpy(name, entries[i]->d_name, size - strlen(SUFFIX));
            name[size - strlen(SUFFIX)] = '\0';
            if (quarantine_reason(directory, name, reason))
                each(context, name, reason);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}
