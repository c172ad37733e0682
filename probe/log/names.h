/*
 * names.h - the files that an absolute pattern names, of which there may be any number.
 *
 * As glob(3) without flags: * ? [] and a backslash inside a name, a leading dot must be
 * written, the result ascends.  Unlike it this stops: a folder with a million files costs
 * NAMES_LOOKED_MAX looks and NAMES_FOUND_MAX paths, and not the memory and the seconds that all
 * of them would. Folders that are missing or closed to us match nothing.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define NAMES_LOOKED_MAX ((size_t)20000) /* entries of folders; some milliseconds */
#define NAMES_FOUND_MAX  ((size_t)4096)

struct names {
    char **paths; /* in ascending order of bytes */
    size_t count;
    size_t excess; /* matched, but not kept */
    bool is_cut;   /* folders were not looked through to their end */
};

/* May the folder be opened?  Asked of each that is looked through. */
typedef bool names_may_enter(void *context, const char *folder);

/* `may_enter`: NULL is yes.  ERR_NOMEM: nothing is left to free.  A pattern without wildcards
 * names one path, whether it is there or not. */
int names_find(const char *pattern, names_may_enter *may_enter, void *context,
               struct names *ret_names);
void names_done(struct names *names);
