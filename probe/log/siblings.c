/*
 * siblings.c - see siblings.h.
 */
#include "probe/log/siblings.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/log/gzip.h"
#include "proto/base/error.h"

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size > end_size && strcmp(text + size - end_size, end) == 0;
}

bool sibling_is_compressed(const char *path)
{
    static const char *const ends[] = {".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".Z"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(path, ends[i]))
            return true;
    return false;
}

/* What follows the file's own name in a rotated one. */
static bool looks_rotated(const char *rest)
{
    static const char *const words[] = {".old", ".bak", ".prev", ".last"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(rest, words[i]) == 0)
            return true;
    return strchr(".-_~", rest[0]) != NULL && rest[0] != '\0' &&
           isdigit((unsigned char)rest[1]);
}

bool sibling_is_rotated(const char *original, const char *path)
{
    size_t size = strlen(original);
    return strncmp(original, path, size) == 0 && looks_rotated(path + size);
}

/* A walk over the names in the folder of `path` that begin with its last part: those that are
 * compressed, or the others. */
struct walk {
    DIR *folder;
    char prefix[PATH_MAX]; /* the folder, with its slash */
    const char *name;
    size_t name_size;
    bool is_gzip;
};

static bool walk_open(struct walk *walk, const char *path, bool is_gzip)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (size >= sizeof walk->prefix)
        return false;
    walk->is_gzip = is_gzip;
    memcpy(walk->prefix, path, size);
    walk->prefix[size] = '\0';
    walk->name = path + size;
    walk->name_size = strlen(walk->name);
    walk->folder = opendir(size == 0 ? "." : walk->prefix);
    return walk->folder != NULL;
}

/* The next sibling's path, and in *ret_rest what follows the name; false at the end. */
static bool walk_next(struct walk *walk, char path[PATH_MAX], const char **ret_rest)
{
    const struct dirent *entry;
    while ((entry = readdir(walk->folder)) != NULL) {
        if (strncmp(entry->d_name, walk->name, walk->name_size) != 0 ||
            entry->d_name[walk->name_size] == '\0' ||
            (walk->is_gzip ? !ends_with(entry->d_name, ".gz")
                           : sibling_is_compressed(entry->d_name)))
            continue;
        int size = snprintf(path, PATH_MAX, "%s%s", walk->prefix, entry->d_name);
        if (size < 0 || size >= PATH_MAX)
            continue;
        *ret_rest = path + strlen(walk->prefix) + walk->name_size;
        return true;
    }
    return false;
}

int sibling_open_path(const char *path, struct sibling *ret_file)
{
    struct file_facts facts;
    int error = facts_of_path(path, &facts);
    if (error != 0)
        return error;
    if (!facts.is_regular) /* opening a device could do something */
        return ERR_NOTFOUND;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOTFOUND : errno == EACCES ? ERR_REFUSED : ERR_IO;
    error = facts_of_descriptor(fd, &facts);
    if (error == 0 && !facts.is_regular)
        error = ERR_NOTFOUND;
    if (error != 0) {
        (void)close(fd);
        return error;
    }
    *ret_file = (struct sibling){fd, facts};
    return 0;
}

/* Opens `path` if it is the file of this identity. */
static int open_if(const char *path, const struct identity *identity, int *ret_fd)
{
    struct file_facts facts;
    struct sibling file;
    int error = facts_of_path(path, &facts);
    if (error != 0)
        return error;
    if (!facts.is_regular || !identity_equal(&facts.identity, identity))
        return ERR_NOTFOUND;
    error = sibling_open_path(path, &file);
    if (error != 0)
        return error;
    if (!identity_equal(&file.facts.identity, identity)) {
        (void)close(file.fd);
        return ERR_NOTFOUND;
    }
    *ret_fd = file.fd;
    return 0;
}

int sibling_open(const char *path, const struct identity *identity, int *ret_fd,
                 bool *ret_renamed)
{
    struct walk walk;
    char sibling[PATH_MAX];
    const char *rest;
    int error = open_if(path, identity, ret_fd);
    if (error == 0)
        *ret_renamed = false;
    if (error != ERR_NOTFOUND)
        return error;
    if (!walk_open(&walk, path, false))
        return ERR_NOTFOUND;
    while (error == ERR_NOTFOUND && walk_next(&walk, sibling, &rest))
        error = open_if(sibling, identity, ret_fd);
    (void)closedir(walk.folder);
    if (error == 0)
        *ret_renamed = true;
    return error;
}

static int by_age(const void *a, const void *b)
{
    const struct sibling *left = a;
    const struct sibling *right = b;
    if (facts_older(&left->facts, &right->facts))
        return -1;
    if (facts_older(&right->facts, &left->facts))
        return 1;
    /* Clocks of file systems tick every few milliseconds: births may be equal. */
    return left->facts.modified_ns < right->facts.modified_ns ? -1 : 1;
}

size_t siblings_between(const char *path, const struct file_facts *after,
                        const struct file_facts *before, sibling_known *is_known, void *context,
                        struct sibling found[SIBLINGS_MAX])
{
    struct walk walk;
    char sibling[PATH_MAX];
    const char *rest;
    size_t count = 0;
    if (!walk_open(&walk, path, false))
        return 0;
    while (count < SIBLINGS_MAX && walk_next(&walk, sibling, &rest)) {
        struct file_facts facts;
        if (!looks_rotated(rest) || facts_of_path(sibling, &facts) != 0 || !facts.is_regular ||
            facts_older(&facts, after) || (before != NULL && facts_older(before, &facts)) ||
            sibling_open_path(sibling, &found[count]) != 0)
            continue;
        /* A rename in between may have put another file there. */
        struct identity *identity = &found[count].facts.identity;
        if (identity_equal(identity, &facts.identity) &&
            !is_known(context, identity, found[count].fd))
            count++;
        else
            (void)close(found[count].fd);
    }
    (void)closedir(walk.folder);
    qsort(found, count, sizeof *found, by_age);
    return count;
}

/* ---- compressed ones -------------------------------------------------------------------- */

int sibling_open_gzip(const char *path, const struct identity *identity, int *ret_fd)
{
    struct walk walk;
    char sibling[PATH_MAX];
    const char *rest;
    int error = ERR_NOTFOUND;
    if (!walk_open(&walk, path, true))
        return ERR_NOTFOUND;
    while (error == ERR_NOTFOUND && walk_next(&walk, sibling, &rest))
        error = open_if(sibling, identity, ret_fd);
    (void)closedir(walk.folder);
    return error;
}

/* app.log.1.gz while app.log.1 is there. */
static bool is_half_made(const char *compressed)
{
    char plain[PATH_MAX];
    struct file_facts facts;
    size_t size = strlen(compressed) - strlen(".gz");
    memcpy(plain, compressed, size);
    plain[size] = '\0';
    return facts_of_path(plain, &facts) == 0;
}

/* .gz itself is what follows the name where nothing else was added: then it is rotated, too. */
static bool looks_rotated_gzip(const char *rest)
{
    return strcmp(rest, ".gz") == 0 || looks_rotated(rest);
}

/* The next one that is whole and was not changed before `after_ns`; open. */
static bool walk_next_gzip(struct walk *walk, int64_t after_ns, struct sibling *ret_file)
{
    char sibling[PATH_MAX];
    const char *rest;
    while (walk_next(walk, sibling, &rest)) {
        if (!looks_rotated_gzip(rest) || is_half_made(sibling) ||
            sibling_open_path(sibling, ret_file) != 0)
            continue;
        if (ret_file->facts.modified_ns >= after_ns)
            return true;
        (void)close(ret_file->fd);
    }
    return false;
}

size_t siblings_gzip_between(const char *path, int64_t after_ns, int64_t before_ns,
                             struct sibling found[SIBLINGS_MAX])
{
    struct walk walk;
    size_t count = 0;
    if (!walk_open(&walk, path, true))
        return 0;
    while (count < SIBLINGS_MAX && walk_next_gzip(&walk, after_ns, &found[count])) {
        if (before_ns == 0 || found[count].facts.modified_ns <= before_ns)
            count++;
        else
            (void)close(found[count].fd);
    }
    (void)closedir(walk.folder);
    for (size_t i = 0; i < count; i++)
        found[i].facts.identity.birth_ns = 0; /* of the compressed form: tells no age */
    qsort(found, count, sizeof *found, by_age);
    for (size_t i = 0; i < count; i++)
        (void)facts_of_descriptor(found[i].fd, &found[i].facts);
    return count;
}

int sibling_find_gzip(const char *path, const struct fingerprint *fingerprint,
                      int64_t modified_ns, struct sibling *ret_file)
{
    /* Old programs keep the time in whole seconds. */
    static const int64_t second_ns = 1000000000;
    struct walk walk;
    struct sibling file;
    bool is_found = false;
    if (!walk_open(&walk, path, true))
        return ERR_NOTFOUND;
    /* All of them: of a probe that was away for long there may be any number. */
    while (walk_next_gzip(&walk, modified_ns - second_ns, &file)) {
        if ((is_found && file.facts.modified_ns >= ret_file->facts.modified_ns) ||
            !gzip_fingerprint_holds(file.fd, fingerprint)) {
            (void)close(file.fd);
            continue;
        }
        if (is_found)
            (void)close(ret_file->fd);
        *ret_file = file;
        is_found = true;
    }
    (void)closedir(walk.folder);
    return is_found ? 0 : ERR_NOTFOUND;
}
