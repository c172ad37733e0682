/*
 * privileges.h - from root to a user of its own, for hosts whose init system cannot do it.
 *
 * systemd sets user and capabilities before it starts the program.  SysV init and upstart start
 * it as root, and kernels before 4.3 cannot hand capabilities to another user's program; so the
 * program gives its rights away itself, and keeps of them what it was asked to keep
 * (PR_SET_KEEPCAPS and capset(), Linux 2.6.26 and later).
 *
 * Users and groups are looked up in /etc/passwd and /etc/group alone: a static program must not
 * load the host's name service modules.
 */
#pragma once

#include <stdint.h>

#include "proto/base/diagnosis.h"

/* Those the probe has a use for, by their names in capability.h without CAP_, lower case,
 * separated by commas; "" or NULL: none.  ERR_INVALID names the first it does not know. */
int privileges_parse(const char *names, uint32_t *ret_mask, struct diagnosis *why);

/* Becomes `user`, with the groups that /etc/group gives it and these capabilities, and cannot
 * gain others.  `root` is the folder that holds etc/: "" but for tests.  To be called before
 * any thread is there.  Nothing happens if the process is that user already.  ERR_NOTFOUND: no
 * such user, ERR_REFUSED: not allowed; both with a message.  On an error the process is not to
 * go on: it may hold rights that it was to give away. */
int privileges_drop(const char *root, const char *user, uint32_t mask, struct diagnosis *why);

/* For privileges_drop(), and its tests: the numbers of `user`.  ERR_NOTFOUND, ERR_IO. */
int privileges_find_user(const char *root, const char *user, uint32_t *ret_uid,
                         uint32_t *ret_gid, struct diagnosis *why);
