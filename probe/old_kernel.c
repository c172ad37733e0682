/*
 * old_kernel.c - of the static probe alone: what its C library asks of kernels after 2.6.32.
 *
 * glibc does adjtimex() by clock_adjtime(), and from 2.33 on fstat(fd) by fstatat(fd, "",
 * AT_EMPTY_PATH); Linux knows both since 2.6.39, and before every opendir() and fopen() would
 * fail with EINVAL.  The linker gives those calls to these (--wrap, probe/CMakeLists.txt),
 * which ask as kernels always understood.  Calls that are missing altogether need nothing here:
 * the library and libzmq do without clone3, prlimit64 and rseq, random.c without getrandom,
 * statx falls back to fstatat.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

int __real___fstatat64(int fd, const char *path, struct stat *ret_found, int flags);
int __wrap___fstatat64(int fd, const char *path, struct stat *ret_found, int flags);
int __wrap_adjtimex(struct timex *state);

int __wrap___fstatat64(int fd, const char *path, struct stat *ret_found, int flags)
{
    if ((flags & AT_EMPTY_PATH) != 0 && path[0] == '\0' && fd != AT_FDCWD)
        return (int)syscall(SYS_fstat, fd, ret_found);
    return __real___fstatat64(fd, path, ret_found, flags & ~AT_EMPTY_PATH);
}

int __wrap_adjtimex(struct timex *state)
{
    return (int)syscall(SYS_adjtimex, state);
}
