/*
 * permit.h - which files somebody else may name: the allow-list of probe.yml against what a
 * policy asks for.
 *
 *     policy: {allow: {files: [PATTERN, ...]}}
 *
 * A pattern is a path with * ? [] inside a name, and two stars as a whole name for any number
 * of folders, none included.  A leading dot must be written.
 *
 * Asked twice.  When a policy comes: does the pattern it names lie within one of ours, as text?
 * That is for the person, who is told at once.  And for each file that is opened: where does
 * the descriptor truly lie, whatever links led there?  That is what holds.  A rotated file may
 * bear a name that is not allowed itself (app.log.1): then it must lie beside the allowed one.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/config.h"

struct permit;

/* `globs` are copied; where the folder a pattern begins with is a link, its target is allowed
 * too.  `root` is the prefix that files have here and patterns have not ("/": none).
 * ERR_NOMEM. */
int permit_new(const struct config_strings *globs, const char *root,
               struct permit **ret_permit);
void permit_free(struct permit *permit); /* NULL is allowed */

/* Does the path or pattern, as text, lie within an allowed one?  False for anything with a
 * relative part (. or ..), too. */
bool permit_covers(const struct permit *permit, const char *pattern);

/* May this descriptor be read under the name `path` (with the root's prefix)? */
bool permit_descriptor(const struct permit *permit, int fd, const char *path);

/* The pattern language, whole paths. */
bool permit_glob_matches(const char *glob, const char *path);

/* Absolute, without . and .. and empty parts. */
bool permit_path_is_plain(const char *path);
