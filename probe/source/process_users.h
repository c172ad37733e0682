/*
 * process_users.h - names of users, without the C library's name services.
 *
 * A static program cannot load NSS modules, and a directory server that is down must not stall
 * the probe, so names come from /etc/passwd alone; others are shown as numbers.  A host's
 * processes belong to a handful of users: the last USERS_CACHED are remembered, and looked up
 * again when the file changes.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "probe/source/procfile.h"
#include "proto/base/bytes.h"

#define USERS_CACHED   32
#define USER_BYTES_MAX 32

struct user_names {
    struct {
        uint32_t id;
        uint32_t size; /* 0: free slot */
        char name[USER_BYTES_MAX];
    } cached[USERS_CACHED];
    uint32_t next; /* slot to be replaced next */
    struct timespec modified;
    off_t file_size;
    struct readbuf text;
};

/* Forgets the names if ROOTFS/etc/passwd has changed. */
void user_names_refresh(struct user_names *users, const char *rootfs);

/* The user's name, or its number as text; valid until the next call. */
struct bytes user_name(struct user_names *users, const char *rootfs, uint32_t id);

/* Finds the user in passwd text ("name:x:1000:...").  False: not there. */
bool passwd_find(struct span text, uint32_t id, struct span *ret_name);

void user_names_done(struct user_names *users);
