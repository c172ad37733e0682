/*
 * permit.c - see permit.h.
 */
#include "probe/log/permit.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/base/error.h"
#include "proto/base/path.h"

/* More double stars in one pattern than anybody needs; each may be tried at every folder. */
#define STARS_MAX 4

struct permit {
    char **globs; /* with the root's prefix, as descriptors have it */
    char **plain; /* as they were given */
    size_t count, plain_count;
    char root[PATH_MAX]; /* resolved; "" for "/" */
};

/* ---- the pattern language ---------------------------------------------------------------- */

static size_t part_size(const char *path)
{
    return strcspn(path, "/");
}

/* One name against one name of a pattern. */
static bool part_matches(const char *glob, size_t glob_size, const char *name, size_t size)
{
    char pattern[NAME_MAX * 2], text[NAME_MAX + 1];
    if (glob_size >= sizeof pattern || size >= sizeof text)
        return false;
    memcpy(pattern, glob, glob_size);
    pattern[glob_size] = '\0';
    memcpy(text, name, size);
    text[size] = '\0';
    return fnmatch(pattern, text, FNM_PERIOD) == 0;
}

/* Both begin behind a slash. */
static bool parts_match(const char *glob, const char *path, unsigned stars)
{
    for (;;) {
        size_t glob_size = part_size(glob), size = part_size(path);
        bool is_last = path[size] == '\0';
        if (glob_size == 2 && memcmp(glob, "**", 2) == 0) {
            if (glob[2] == '\0') /* everything below */
                return path[0] != '.' && (is_last || parts_match(glob, path + size + 1, stars));
            if (stars == STARS_MAX)
                return false;
            if (parts_match(glob + 3, path, stars + 1))
                return true;
            if (is_last || path[0] == '.')
                return false;
            path += size + 1;
            continue;
        }
        if (size == 0 || !part_matches(glob, glob_size, path, size))
            return false;
        if (glob[glob_size] == '\0' || is_last)
            return glob[glob_size] == '\0' && is_last;
        glob += glob_size + 1;
        path += size + 1;
    }
}

bool permit_glob_matches(const char *glob, const char *path)
{
    size_t root = path_root_size(path);
    return root > 0 && path_root_size(glob) == root && strncasecmp(glob, path, root) == 0 &&
           parts_match(glob + root, path + root, 0);
}

bool permit_path_is_plain(const char *path)
{
    size_t root = path_root_size(path);
    if (root == 0)
        return false;
    for (const char *at = path + root;; at += part_size(at) + 1) {
        size_t size = part_size(at);
        if (size == 0 || (size == 1 && at[0] == '.') || (size == 2 && memcmp(at, "..", 2) == 0))
            return false;
        if (at[size] == '\0')
            return true;
    }
}

/* ---- the list ---------------------------------------------------------------------------- */

/* The pattern with its literal folders resolved below the root; NULL: out of memory. */
static char *resolve(const struct permit *permit, const char *glob)
{
    char folder[PATH_MAX], real[PATH_MAX];
    char *joined;
    size_t wild = strcspn(glob, "*?[\\");
    size_t literal = 0;
    for (size_t i = 0; i < wild && glob[i] != '\0'; i++)
        if (glob[i] == '/')
            literal = i;
    if (literal > 0 &&
        snprintf(folder, sizeof folder, "%s%.*s", permit->root, (int)literal, glob) <
            (int)sizeof folder &&
        realpath(folder, real) != NULL)
        return asprintf(&joined, "%s%s", real, glob + literal) < 0 ? NULL : joined;
    return asprintf(&joined, "%s%s", permit->root, glob) < 0 ? NULL : joined;
}

static int add(struct permit *permit, const char *glob)
{
    char *plain = strdup(glob);
    if (plain != NULL)
        permit->plain[permit->plain_count++] = plain;
    /* Both forms: the folder may become a link, or be mounted, later on. */
    char *resolved = resolve(permit, glob), *joined;
    if (resolved != NULL)
        permit->globs[permit->count++] = resolved;
    if (asprintf(&joined, "%s%s", permit->root, glob) < 0)
        joined = NULL;
    else
        permit->globs[permit->count++] = joined;
    return plain == NULL || resolved == NULL || joined == NULL ? ERR_NOMEM : 0;
}

int permit_new(const struct config_strings *globs, const char *root, struct permit **ret_permit)
{
    struct permit *permit = calloc(1, sizeof *permit);
    if (permit == NULL)
        return ERR_NOMEM;
    if (realpath(root, permit->root) == NULL)
        (void)snprintf(permit->root, sizeof permit->root, "%s", root);
    if (strcmp(permit->root, "/") == 0)
        permit->root[0] = '\0';
    permit->globs = calloc(2 * globs->count + 1, sizeof *permit->globs);
    permit->plain = calloc(globs->count + 1, sizeof *permit->plain);
    int error = permit->globs == NULL || permit->plain == NULL ? ERR_NOMEM : 0;
    for (size_t i = 0; error == 0 && i < globs->count; i++)
        error = add(permit, globs->items[i]);
    if (error != 0) {
        permit_free(permit);
        return error;
    }
    *ret_permit = permit;
    return 0;
}

void permit_free(struct permit *permit)
{
    if (permit == NULL)
        return;
    for (size_t i = 0; permit->globs != NULL && i < permit->count; i++)
        free(permit->globs[i]);
    for (size_t i = 0; permit->plain != NULL && i < permit->plain_count; i++)
        free(permit->plain[i]);
    free(permit->globs);
    free(permit->plain);
    free(permit);
}

bool permit_covers(const struct permit *permit, const char *pattern)
{
    if (!permit_path_is_plain(pattern))
        return false;
    for (size_t i = 0; i < permit->plain_count; i++)
        if (permit_glob_matches(permit->plain[i], pattern))
            return true;
    return false;
}

static bool is_allowed(const struct permit *permit, const char *path)
{
    for (size_t i = 0; i < permit->count; i++)
        if (permit_glob_matches(permit->globs[i], path))
            return true;
    return false;
}

bool permit_descriptor(const struct permit *permit, int fd, const char *path)
{
    char real[PATH_MAX], original[PATH_MAX];
    if (!path_of_descriptor(fd, real, sizeof real))
        return false;
    if (is_allowed(permit, real))
        return true;
    /* A rotated one: its folder is true, its name begins with the allowed one's. */
    const char *name = strrchr(path, '/'), *own = strrchr(real, '/');
    name = name == NULL ? path : name + 1;
    if (own == NULL || strncmp(own + 1, name, strlen(name)) != 0 ||
        snprintf(original, sizeof original, "%.*s/%s", (int)(own - real), real, name) >=
            (int)sizeof original)
        return false;
    return is_allowed(permit, original);
}
