/*
 * identity.h - which file this is: not its name, which rotation passes on.
 *
 * Device and inode name a file while it exists, but inodes are used again; the time of birth
 * (where the file system and the kernel tell it) and a fingerprint of the first bytes tell the
 * next file with the same inode, and a file that was emptied and written anew, from this one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FINGERPRINT_BYTES ((size_t)1024)

struct identity {
    uint64_t device;
    uint64_t inode;
    int64_t birth_ns; /* Unix time; 0: not known */
};

struct file_facts {
    struct identity identity;
    uint64_t size;
    int64_t modified_ns; /* Unix time */
    bool is_regular;
};

/* A hash of the first `size` bytes, at most FINGERPRINT_BYTES; all files with size 0 agree. */
struct fingerprint {
    uint32_t size;
    uint64_t hash;
};

/* Follows symbolic links.  ERR_NOTFOUND, ERR_REFUSED, ERR_IO. */
int facts_of_path(const char *path, struct file_facts *ret_facts);
int facts_of_descriptor(int fd, struct file_facts *ret_facts);

/* The same file by name: device and inode, and birth where both know it. */
bool identity_equal(const struct identity *a, const struct identity *b);

/* Was `a` made before `b`?  By birth, or by last change where a birth is not known. */
bool facts_older(const struct file_facts *a, const struct file_facts *b);

/* Of the first bytes that are there, at most `most`.  ERR_IO. */
int fingerprint_take(int fd, size_t most, struct fingerprint *ret_fingerprint);

/* Does the file still begin with the bytes of `expected`? */
bool fingerprint_holds(int fd, const struct fingerprint *expected);
