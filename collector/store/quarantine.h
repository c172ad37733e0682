/*
 * quarantine.h - DATA/quarantine: what was found damaged and is read no more.
 *
 *   NAME           the file as it was found; there is none if the file itself was missing
 *   NAME.reason    one line: what is wrong with it
 *
 * Nothing in here is ever read as data.  A file of history stays registered, so that whoever
 * has a good copy of it (in a backup, say) puts that back into DATA/history and restarts; what is
 * here goes when the span it belongs to expires.
 *
 * Any thread.  All of it is best effort: on a full or broken disk what is damaged may stay where
 * it is, and is not read there either.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

#define QUARANTINE_NAME_BYTES   256
#define QUARANTINE_REASON_BYTES 256

/* Moves DATA/FOLDER/NAME. */
void quarantine_move(const char *directory, const char *folder, const char *name,
                     const char *reason);
/* Keeps a copy of some bytes under a name. */
void quarantine_keep(const char *directory, const char *name, struct bytes bytes,
                     const char *reason);
/* Why a file was set aside; false: it was not. */
bool quarantine_reason(const char *directory, const char *name,
                       char text[QUARANTINE_REASON_BYTES]);
/* Forgets a file. */
void quarantine_drop(const char *directory, const char *name);
/* Calls `each` for everything there is, by name. */
void quarantine_each(const char *directory,
                     void (*each)(void *context, const char *name, const char *reason),
                     void *context);
