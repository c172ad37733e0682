/*
 * access.h - who may read a file, as far as the core asks: the owner alone, or others.
 *
 * Private means: nobody but the owner, the user who asks, SYSTEM and Administrators has a right
 * to read.  Inherited rights count.
 */
#pragma once

#include <stdbool.h>
#include <windows.h>

/* For a file that is private from its first moment.  The caller's, with LocalFree(); NULL: no
 * memory. */
PSECURITY_DESCRIPTOR access_private(void);

/* Takes everybody else's rights away, inherited ones, too.  The handle needs WRITE_DAC. */
bool access_make_private(HANDLE file);

/* The handle needs READ_CONTROL; what cannot be asked counts as not private. */
bool access_is_private(HANDLE file);
