/*
 * path.h - what differs between systems in how a file is called; '/' separates everywhere.
 *
 * Two implementations: path.c (POSIX), proto/windows/path.c.  Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes of what makes a path absolute, its first '/' included: 1 for "/var", 3 for "C:/logs" and
 * 2 for "//server/share" where there are drives; 0: not absolute. */
size_t path_root_size(const char *path);

/* Bytes of a path up to and with the last separator; 0: a bare name. */
size_t path_folder_size(const char *path);

/* Turns a person's way of writing an absolute path or pattern into ours, in place: on Windows
 * "C:\logs\a.log" becomes "C:/logs/a.log".  Others stay as they are. */
void path_settle(char *path);

/* Where an open file truly lies, links resolved.  False: not known, or it does not fit. */
bool path_of_descriptor(int fd, char *ret_path, size_t room);
