/*
 * names.c - see names.h.
 */
#include "probe/log/names.h"

#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

struct search {
    names_may_enter *may_enter;
    void *context;
    struct names found;
    size_t room;
    size_t looked;
    char path[PATH_MAX]; /* what has been settled so far */
};

static int keep(struct search *search)
{
    struct names *found = &search->found;
    if (found->count == NAMES_FOUND_MAX) {
        found->excess++;
        return 0;
    }
    if (found->count == search->room) {
        size_t room = search->room == 0 ? 16 : search->room * 2;
        char **grown = reallocarray(found->paths, room, sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        found->paths = grown;
        search->room = room;
    }
    char *path = strdup(search->path);
    if (path == NULL)
        return ERR_NOMEM;
    found->paths[found->count++] = path;
    return 0;
}

/* Appends `size` bytes, without the backslashes of a pattern if it is one.  False: too long. */
static bool append(struct search *search, size_t at, const char *text, size_t size,
                   bool is_pattern)
{
    for (size_t i = 0; i < size; i++) {
        if (is_pattern && text[i] == '\\' && i + 1 < size)
            i++;
        if (at + 1 >= sizeof search->path)
            return false;
        search->path[at++] = text[i];
    }
    search->path[at] = '\0';
    return true;
}

static int descend(struct search *search, size_t at, const char *pattern);

/* What follows a name: another part, or nothing. */
static int go_on(struct search *search, const char *rest)
{
    return rest[0] == '\0' ? keep(search) : descend(search, strlen(search->path), rest);
}

static bool may_be_folder(const struct dirent *entry)
{
    return entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN;
}

/* All names in the folder search->path[0..at) that match `part`. */
static int look_through(struct search *search, size_t at, const char *part, const char *rest)
{
    const struct dirent *entry;
    int error = 0;
    if (search->may_enter != NULL && !search->may_enter(search->context, search->path))
        return 0;
    DIR *folder = opendir(search->path);
    if (folder == NULL)
        return 0;
    while (error == 0 && (entry = readdir(folder)) != NULL) {
        if (search->looked == NAMES_LOOKED_MAX) {
            search->found.is_cut = true;
            break;
        }
        search->looked++;
        if ((rest[0] != '\0' && !may_be_folder(entry)) ||
            fnmatch(part, entry->d_name, FNM_PERIOD) != 0 ||
            !append(search, at, entry->d_name, strlen(entry->d_name), false))
            continue;
        error = go_on(search, rest);
    }
    (void)closedir(folder);
    search->path[at] = '\0';
    return error;
}

/* `pattern` begins with the slashes before the next part, if there are any. */
static int descend(struct search *search, size_t at, const char *pattern)
{
    char part[NAME_MAX + 1];
    size_t slashes = strspn(pattern, "/");
    if (!append(search, at, pattern, slashes, false))
        return 0;
    at += slashes;
    pattern += slashes;
    size_t size = strcspn(pattern, "/");
    const char *rest = pattern + size;
    bool has_wildcard = strcspn(pattern, "*?[") < size;
    if (!has_wildcard)
        return append(search, at, pattern, size, true) ? go_on(search, rest) : 0;
    if (size >= sizeof part)
        return 0;
    memcpy(part, pattern, size);
    part[size] = '\0';
    return look_through(search, at, part, rest);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int names_find(const char *pattern, names_may_enter *may_enter, void *context,
               struct names *ret_names)
{
    struct search search = {.may_enter = may_enter, .context = context};
    int error = descend(&search, 0, pattern);
    if (error != 0) {
        names_done(&search.found);
        return error;
    }
    if (search.found.count > 1)
        qsort(search.found.paths, search.found.count, sizeof *search.found.paths, by_bytes);
    *ret_names = search.found;
    return 0;
}

void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->paths[i]);
    free(names->paths);
    *names = (struct names){0};
}
