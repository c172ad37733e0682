/*
 * backup_manifest.c - writing and reading a backup's MANIFEST.
 */
#include "collector/store/backup_manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/store/store.h"
#include "proto/base/error.h"

const char *const backup_folders[BACKUP_FOLDERS] = {"live", "history", "remote",
                                                    STORE_RELEASED_FOLDER, "keys"};

#define FIRST_LINE "fengsui-backup 1"
#define HASH_CHARS 16
#define FILES_MAX  ((size_t)1 << 20)

void backup_manifest_done(struct backup_manifest *manifest)
{
    free(manifest->files);
    *manifest = (struct backup_manifest){0};
}

/* Restore makes files of these names: none may lead out of its folder. */
static bool is_path(const char *path)
{
    static const char *const folders[] = {"live/", "history/", "keys/",
                                          STORE_RELEASED_FOLDER "/"};
    const char *name = NULL;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strncmp(path, folders[i], strlen(folders[i])) == 0)
            name = path + strlen(folders[i]);
    if (name == NULL || *name == '\0' || *name == '.' || strlen(path) >= BACKUP_PATH_BYTES)
        return false;
    for (; *name != '\0'; name++)
        if ((unsigned char)*name < ' ' || *name == '/' || *name == 0x7f)
            return false;
    return true;
}

int backup_manifest_add(struct backup_manifest *manifest, const char *path, uint64_t bytes,
                        uint64_t hash, bool is_damaged, bool is_missing)
{
    if (!is_path(path))
        return ERR_INVALID;
    if (manifest->count == manifest->capacity) {
        size_t capacity = manifest->capacity == 0 ? 64 : manifest->capacity * 2;
        struct backup_file *grown =
            capacity > FILES_MAX ? NULL : realloc(manifest->files, capacity * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        manifest->files = grown;
        manifest->capacity = capacity;
    }
    struct backup_file *file = &manifest->files[manifest->count++];
    *file = (struct backup_file){
        .bytes = bytes, .hash = hash, .is_damaged = is_damaged, .is_missing = is_missing};
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    return 0;
}

void backup_manifest_write(const struct backup_manifest *manifest, struct buf *out)
{
    size_t start = out->size;
    buf_printf(out, FIRST_LINE "\ntaken %" PRId64 "\nkeys %s\n", manifest->taken_ms,
               manifest->has_keys ? "yes" : "no");
    for (size_t i = 0; i < manifest->count; i++) {
        const struct backup_file *file = &manifest->files[i];
        if (!file->is_missing)
            buf_printf(out, "file %016" PRIx64 " %" PRIu64 " %s\n", file->hash, file->bytes,
                       file->path);
        if (file->is_damaged)
            buf_printf(out, "damaged %s\n", file->path);
        if (file->is_missing)
            buf_printf(out, "missing %s\n", file->path);
    }
    if (buf_ok(out))
        buf_printf(out, "end %016" PRIx64 "\n",
                   XXH3_64bits(out->data + start, out->size - start));
}

/* -- reading ----------------------------------------------------------------------------- */

/* A number that takes up all of the text. */
static bool read_number(const char *text, int base, uint64_t *ret_number)
{
    char *end;
    if (!((*text >= '0' && *text <= '9') || (base == 16 && *text >= 'a' && *text <= 'f')))
        return false;
    *ret_number = strtoull(text, &end, base);
    return *end == '\0';
}

static int read_file(struct backup_manifest *manifest, char *text)
{
    uint64_t hash;
    uint64_t bytes;
    char *size = strchr(text, ' ');
    char *path = size != NULL ? strchr(size + 1, ' ') : NULL;
    if (path == NULL || size - text != HASH_CHARS)
        return ERR_MALFORMED;
    *size++ = '\0';
    *path++ = '\0';
    if (!read_number(text, 16, &hash) || !read_number(size, 10, &bytes))
        return ERR_MALFORMED;
    int error = backup_manifest_add(manifest, path, bytes, hash, false, false);
    return error == ERR_INVALID ? ERR_MALFORMED : error;
}

static int read_line(struct backup_manifest *manifest, char *line, size_t number)
{
    char *rest = strchr(line, ' ');
    uint64_t value;
    if (number == 1)
        return strcmp(line, FIRST_LINE) == 0 ? 0 : ERR_MALFORMED;
    if (rest == NULL)
        return ERR_MALFORMED;
    *rest++ = '\0';
    if (strcmp(line, "taken") == 0 && read_number(rest, 10, &value) && value <= INT64_MAX) {
        manifest->taken_ms = (int64_t)value;
        return 0;
    }
    if (strcmp(line, "keys") == 0 && (strcmp(rest, "yes") == 0 || strcmp(rest, "no") == 0)) {
        manifest->has_keys = strcmp(rest, "yes") == 0;
        return 0;
    }
    if (strcmp(line, "file") == 0)
        return read_file(manifest, rest);
    struct backup_file *last = manifest->count > 0 ? &manifest->files[manifest->count - 1] : NULL;
    if (strcmp(line, "damaged") == 0 && last != NULL && strcmp(last->path, rest) == 0) {
        last->is_damaged = true;
        return 0;
    }
    if (strcmp(line, "missing") == 0) {
        int error = backup_manifest_add(manifest, rest, 0, 0, false, true);
        return error == ERR_INVALID ? ERR_MALFORMED : error;
    }
    return ERR_MALFORMED;
}

/* The last line: the hash of all before it. */
static int check_end(struct bytes text, size_t *ret_size)
{
    char line[4 + HASH_CHARS + 2];
    size_t size = sizeof line - 1;
    uint64_t hash;
    if (text.size < size)
        return ERR_MALFORMED;
    memcpy(line, text.data + text.size - size, size);
    line[size] = '\0';
    if (memcmp(line, "end ", 4) != 0 || line[size - 1] != '\n' ||
        (text.size > size && text.data[text.size - size - 1] != '\n'))
        return ERR_MALFORMED;
    line[size - 1] = '\0';
    if (!read_number(line + 4, 16, &hash))
        return ERR_MALFORMED;
    *ret_size = text.size - size;
    return XXH3_64bits(text.data, *ret_size) == hash ? 0 : ERR_CORRUPT;
}

static int read_lines(char *text, size_t size, struct backup_manifest *manifest,
                      struct diagnosis *why)
{
    int error = 0;
    size_t number = 0;
    for (size_t at = 0; at < size && error == 0;) {
        char *end = memchr(text + at, '\n', size - at);
        if (end == NULL || memchr(text + at, '\0', (size_t)(end - (text + at))) != NULL)
            return diagnose(why, ERR_MALFORMED, BACKUP_MANIFEST ":%zu: no line of text",
                            number + 1);
        *end = '\0';
        error = read_line(manifest, text + at, ++number);
        if (error != 0)
            (void)diagnose(why, error, BACKUP_MANIFEST ":%zu: %s", number, error_text(error));
        at = (size_t)(end - text) + 1;
    }
    if (error == 0 && number == 0)
        error = diagnose(why, ERR_MALFORMED, BACKUP_MANIFEST " is empty");
    return error;
}

int backup_manifest_read(struct bytes text, struct backup_manifest *ret_manifest,
                         struct diagnosis *why)
{
    struct backup_manifest manifest = {0};
    size_t size = 0;
    int error = check_end(text, &size);
    if (error != 0)
        return diagnose(why, error, BACKUP_MANIFEST " is %s",
                        error == ERR_CORRUPT ? "damaged: its own hash does not fit"
                                             : "cut short, or is none");
    char *copy = malloc(size + 1);
    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, text.data, size);
    copy[size] = '\0';
    error = read_lines(copy, size, &manifest, why);
    free(copy);
    if (error != 0) {
        backup_manifest_done(&manifest);
        return error;
    }
    *ret_manifest = manifest;
    return 0;
}
