/*
 * files.c - opening, reading, writing, replacing files (posix.h).
 */
#include <errno.h>
#include <stdarg.h>
#include <windows.h>

#include "proto/windows/access.h"

#define SHARED (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

static int fail_last(void)
{
    errno = windows_errno(GetLastError());
    return -1;
}

static DWORD disposition_of(int flags)
{
    switch (flags & (O_CREAT | O_EXCL | O_TRUNC)) {
    case O_CREAT | O_EXCL:
    case O_CREAT | O_EXCL | O_TRUNC:
        return CREATE_NEW;
    case O_CREAT | O_TRUNC:
        return CREATE_ALWAYS;
    case O_CREAT:
        return OPEN_ALWAYS;
    case O_TRUNC:
    case O_TRUNC | O_EXCL:
        return TRUNCATE_EXISTING;
    default:
        return OPEN_EXISTING;
    }
}

int windows_open(const char *path, int flags, ...)
{
    static const DWORD rights[] = {GENERIC_READ, GENERIC_WRITE | WRITE_DAC,
                                   GENERIC_READ | GENERIC_WRITE | WRITE_DAC};
    DWORD wanted = rights[(flags & (O_WRONLY | O_RDWR)) % 3];
    bool is_folder = (flags & O_DIRECTORY) != 0;
    unsigned mode = 0600;
    if ((flags & O_CREAT) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, unsigned);
        va_end(arguments);
    } else {
        wanted &= ~(DWORD)WRITE_DAC;
    }
    wchar_t *wide = windows_wide_path(path);
    if (wide == NULL)
        return -1;
    /* Of a file that is there already it changes nothing; who must know asks with stat(). */
    SECURITY_ATTRIBUTES attributes = {.nLength = sizeof attributes};
    if ((flags & O_CREAT) != 0 && (mode & 077) == 0)
        attributes.lpSecurityDescriptor = access_private();
    HANDLE handle = CreateFileW(wide, wanted, SHARED, &attributes, disposition_of(flags),
                                is_folder ? FILE_FLAG_BACKUP_SEMANTICS : FILE_ATTRIBUTE_NORMAL,
                                NULL);
    DWORD error = GetLastError();
    (void)LocalFree(attributes.lpSecurityDescriptor);
    free(wide);
    SetLastError(error);
    if (handle == INVALID_HANDLE_VALUE)
        return fail_last();
    int fd = _open_osfhandle((intptr_t)handle, (flags & (O_WRONLY | O_RDWR)) | O_BINARY |
                                                   O_NOINHERIT);
    if (fd < 0)
        (void)CloseHandle(handle);
    return fd;
}

FILE *windows_fopen(const char *path, const char *mode)
{
    bool is_read = mode[0] == 'r';
    int fd = windows_open(path, is_read ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0644u);
    FILE *file = fd < 0 ? NULL : fdopen(fd, is_read ? "rb" : "wb");
    if (file == NULL && fd >= 0)
        (void)close(fd);
    return file;
}

/* A read or write at a place moves the file pointer, too, unlike POSIX's; that harms nobody: no two
 * threads of ours use one descriptor, and who reads at places never reads on from the pointer. */
static OVERLAPPED place_of(int64_t offset)
{
    return (OVERLAPPED){.Offset = (DWORD)((uint64_t)offset & 0xffffffffu),
                        .OffsetHigh = (DWORD)((uint64_t)offset >> 32)};
}

static HANDLE handle_of(int fd)
{
    return (HANDLE)_get_osfhandle(fd);
}

ssize_t windows_pread(int fd, void *to, size_t size, int64_t offset)
{
    OVERLAPPED place = place_of(offset);
    DWORD got = 0, most = size > INT_MAX ? INT_MAX : (DWORD)size;
    if (ReadFile(handle_of(fd), to, most, &got, &place) || GetLastError() == ERROR_HANDLE_EOF)
        return (ssize_t)got;
    return fail_last();
}

ssize_t windows_pwrite(int fd, const void *data, size_t size, int64_t offset)
{
    OVERLAPPED place = place_of(offset);
    DWORD done = 0, most = size > INT_MAX ? INT_MAX : (DWORD)size;
    return WriteFile(handle_of(fd), data, most, &done, &place) ? (ssize_t)done : fail_last();
}

/* From where the descriptor is. */
ssize_t windows_read(int fd, void *to, size_t size)
{
    return _read(fd, to, size > INT_MAX ? INT_MAX : (unsigned)size);
}

ssize_t windows_write(int fd, const void *data, size_t size)
{
    return _write(fd, data, size > INT_MAX ? INT_MAX : (unsigned)size);
}

/* A folder that is open for reading cannot be flushed; NTFS keeps its own journal of names. */
int windows_fsync(int fd)
{
    if (FlushFileBuffers(handle_of(fd)) || GetLastError() == ERROR_ACCESS_DENIED)
        return 0;
    return fail_last();
}

int windows_fchmod(int fd, unsigned mode)
{
    if ((mode & 077) != 0)
        return 0; /* as the folder has it */
    return access_make_private(handle_of(fd)) ? 0 : fail_last();
}

int windows_rename(const char *from, const char *to)
{
    wchar_t *old = windows_wide_path(from), *new = windows_wide_path(to);
    bool done = old != NULL && new != NULL &&
                MoveFileExW(old, new, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH);
    DWORD error = GetLastError();
    free(old);
    free(new);
    errno = done ? errno : windows_errno(error);
    return done ? 0 : -1;
}

int windows_unlink(const char *path)
{
    wchar_t *wide = windows_wide_path(path);
    bool done = wide != NULL && DeleteFileW(wide);
    DWORD error = GetLastError();
    free(wide);
    errno = done ? errno : windows_errno(error);
    return done ? 0 : -1;
}

int windows_mkdir(const char *path, unsigned mode)
{
    (void)mode; /* the folder above says who may */
    wchar_t *wide = windows_wide_path(path);
    bool done = wide != NULL && CreateDirectoryW(wide, NULL);
    DWORD error = GetLastError();
    free(wide);
    errno = done ? errno : windows_errno(error);
    return done ? 0 : -1;
}

/* Opens just to be asked about. */
static HANDLE open_to_ask(const char *path, DWORD rights)
{
    wchar_t *wide = windows_wide_path(path);
    if (wide == NULL)
        return INVALID_HANDLE_VALUE;
    HANDLE handle = CreateFileW(wide, rights, SHARED, NULL, OPEN_EXISTING,
                                FILE_FLAG_BACKUP_SEMANTICS, NULL);
    DWORD error = GetLastError();
    free(wide);
    if (handle == INVALID_HANDLE_VALUE)
        errno = windows_errno(error);
    return handle;
}

/* Whether a folder can be written to is known only by its list of rights; a folder of the probe's
 * own is, and any other says so when it is tried. */
int windows_access(const char *path, int mode)
{
    DWORD rights = (mode & 2) != 0 ? GENERIC_READ | FILE_APPEND_DATA
                   : mode != 0     ? GENERIC_READ
                                   : FILE_READ_ATTRIBUTES;
    HANDLE handle = open_to_ask(path, rights);
    if (handle == INVALID_HANDLE_VALUE)
        return -1;
    (void)CloseHandle(handle);
    return 0;
}

/* 100 ns since 1601 to Unix time. */
static int64_t unix_ns(FILETIME time)
{
    int64_t ticks = (int64_t)((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime);
    return (ticks - INT64_C(116444736000000000)) * 100;
}

static struct statx_timestamp timestamp_of(FILETIME time)
{
    int64_t ns = unix_ns(time);
    return (struct statx_timestamp){ns / 1000000000, (uint32_t)(ns % 1000000000)};
}

/* `wants_access`: the mode's bits for group and others are asked for, too. */
static int facts_of(HANDLE handle, bool wants_access, struct statx *ret_found)
{
    BY_HANDLE_FILE_INFORMATION about;
    if (!GetFileInformationByHandle(handle, &about))
        return fail_last();
    bool is_folder = (about.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    bool is_open_to_others = wants_access && !access_is_private(handle);
    *ret_found = (struct statx){
        .stx_mask = STATX_BASIC_STATS, /* no birth: see posix.h */
        .stx_mode = (uint16_t)((is_folder ? S_IFDIR : S_IFREG) | 0600 |
                               (is_open_to_others ? 0044 : 0)),
        .stx_ino = (uint64_t)about.nFileIndexHigh << 32 | about.nFileIndexLow,
        .stx_size = (uint64_t)about.nFileSizeHigh << 32 | about.nFileSizeLow,
        .stx_dev_minor = about.dwVolumeSerialNumber,
        .stx_mtime = timestamp_of(about.ftLastWriteTime)};
    return 0;
}

int statx(int fd, const char *path, int flags, unsigned mask, struct statx *ret_found)
{
    (void)mask;
    if ((flags & AT_EMPTY_PATH) != 0)
        return facts_of(handle_of(fd), false, ret_found);
    HANDLE handle = open_to_ask(path, FILE_READ_ATTRIBUTES);
    if (handle == INVALID_HANDLE_VALUE)
        return -1;
    int code = facts_of(handle, false, ret_found);
    (void)CloseHandle(handle);
    return code;
}

int windows_stat(const char *path, struct stat *ret_status)
{
    struct statx found;
    HANDLE handle = open_to_ask(path, FILE_READ_ATTRIBUTES | READ_CONTROL);
    if (handle == INVALID_HANDLE_VALUE)
        return -1;
    int code = facts_of(handle, true, &found);
    (void)CloseHandle(handle);
    if (code == 0)
        *ret_status = (struct stat){.st_mode = found.stx_mode,
                                    .st_size = (off_t)found.stx_size,
                                    .st_mtime = found.stx_mtime.tv_sec};
    return code;
}
