/*
 * posix.h - the calls of POSIX that the core is written with, where the system is Windows.
 *
 * Included before every file of a Windows build (CMakeLists.txt), so that spool, configuration and
 * log tailing are one text for both systems.  What is here is what the core uses, with the
 * promises that the core relies on:
 *
 *     paths        UTF-8, '/' and '\' alike; up to PATH_MAX bytes, beyond the 260 characters of old
 *     open         binary; others may write, rename and delete meanwhile; not inherited.  A folder
 *                  can be opened (O_DIRECTORY) to be synced
 *     rename       replaces; the file may be open (by us)
 *     mode bits    what group and others may do is told and set as access for anybody but the
 *                  owner, SYSTEM and Administrators: 0600 makes a file theirs alone
 *     statx        device: the volume's serial number; inode: the file's id on it, in which NTFS
 *                  counts how often it was given.  No birth: a file that is made under the name of
 *                  one that went seconds ago inherits its time of creation
 *     d_type       known without another call
 *     fnmatch      letters match whatever their case, as names of files do here
 *
 * Results and errno are POSIX's.  Any thread.  What is not a question of names (boot id, services,
 * memory of the process) has a header of its own with two implementations: probe/host.h.
 */
#pragma once

#include <fcntl.h>
#include <io.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Flags without a meaning here, or met by what windows_open() always does. */
#define O_CLOEXEC  0
#define O_NONBLOCK 0
#define O_NOCTTY   0
#define O_NOFOLLOW 0
#define O_DIRECTORY 0x10000000

#undef PATH_MAX
#define PATH_MAX 4096
#ifndef NAME_MAX
#define NAME_MAX 255 * 3 /* UTF-16 units as UTF-8 */
#endif
#ifndef EDQUOT
#define EDQUOT 10069 /* never set here */
#endif
#define _SC_PAGESIZE 1

int windows_open(const char *path, int flags, ...);
FILE *windows_fopen(const char *path, const char *mode);
ssize_t windows_pread(int fd, void *to, size_t size, int64_t offset);
ssize_t windows_pwrite(int fd, const void *data, size_t size, int64_t offset);
int windows_fsync(int fd);
int windows_fchmod(int fd, unsigned mode);
int windows_rename(const char *from, const char *to);
int windows_unlink(const char *path);
int windows_mkdir(const char *path, unsigned mode);
int windows_access(const char *path, int mode);
int windows_stat(const char *path, struct stat *ret_status);
ssize_t windows_read(int fd, void *to, size_t size);
ssize_t windows_write(int fd, const void *data, size_t size);
char *windows_realpath(const char *path, char *resolved);
long windows_sysconf(int name);
void *windows_memmem(const void *text, size_t size, const void *part, size_t part_size);
void *windows_memrchr(const void *text, int byte, size_t size);
void *windows_reallocarray(void *block, size_t count, size_t size);
void windows_bzero(void *secret, size_t size);
int windows_setenv(const char *name, const char *value, int overwrite);

#define open         windows_open
#define fopen        windows_fopen
#define read         windows_read
#define write        windows_write
#define pread        windows_pread
#define pwrite       windows_pwrite
#define fsync        windows_fsync
#define fchmod       windows_fchmod
#define rename       windows_rename
#define unlink       windows_unlink
#define mkdir        windows_mkdir
#define access       windows_access
#define _stat64(path, status) windows_stat(path, status) /* stat is _stat64, struct and call */
#define realpath     windows_realpath
#define sysconf      windows_sysconf
#define memmem       windows_memmem
#define memrchr      windows_memrchr
#define reallocarray windows_reallocarray
#define setenv       windows_setenv
#define explicit_bzero windows_bzero

/* A name of io.h that the core has for functions of its own. */
#define tell core_tell

/* Linux's, as far as probe/log/identity.c asks. */
struct statx_timestamp {
    int64_t tv_sec;
    uint32_t tv_nsec;
};
struct statx {
    uint32_t stx_mask;
    uint16_t stx_mode;
    uint64_t stx_ino, stx_size;
    uint32_t stx_dev_major, stx_dev_minor;
    struct statx_timestamp stx_btime, stx_mtime;
};
#define AT_FDCWD               (-100)
#define AT_EMPTY_PATH          0x1000
#define AT_STATX_SYNC_AS_STAT  0
#define STATX_BASIC_STATS      0x7ffu
#define STATX_BTIME            0x800u
int statx(int fd, const char *path, int flags, unsigned mask, struct statx *ret_found);

/* ---- for the Windows half itself ---------------------------------------------------------- */

/* UTF-8 to UTF-16, a path made absolute enough to be longer than 260 characters; malloc'd, NULL
 * with errno. */
wchar_t *windows_wide_path(const char *path);
/* UTF-16 to UTF-8 in `to`, cut at a character if need be; the size without the NUL. */
size_t windows_narrow(const wchar_t *from, size_t size, char *to, size_t room);
/* errno for GetLastError(). */
int windows_errno(unsigned long error);
/* Where an open file lies, with slashes; at most PATH_MAX. */
bool windows_descriptor_path(int fd, char *resolved, size_t room);
