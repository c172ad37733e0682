/*
 * system.c - what glibc has and msvcrt has not: searching, growing, true paths (posix.h).
 */
#include <errno.h>
#include <windows.h>

void *windows_memmem(const void *text, size_t size, const void *part, size_t part_size)
{
    const char *at = text, *first = part;
    if (part_size == 0)
        return (void *)(uintptr_t)text;
    while (size >= part_size) {
        const char *found = memchr(at, first[0], size - part_size + 1);
        if (found == NULL)
            return NULL;
        if (memcmp(found, part, part_size) == 0)
            return (void *)(uintptr_t)found;
        size -= (size_t)(found - at) + 1;
        at = found + 1;
    }
    return NULL;
}

void *windows_memrchr(const void *text, int byte, size_t size)
{
    const unsigned char *from = text;
    while (size > 0)
        if (from[--size] == (unsigned char)byte)
            return (void *)(uintptr_t)(from + size);
    return NULL;
}

void *windows_reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

void windows_bzero(void *secret, size_t size)
{
    (void)SecureZeroMemory(secret, size);
}

int windows_setenv(const char *name, const char *value, int overwrite)
{
    if (!overwrite && getenv(name) != NULL)
        return 0;
    return _putenv_s(name, value) == 0 ? 0 : -1;
}

long windows_sysconf(int name)
{
    SYSTEM_INFO about;
    (void)name; /* _SC_PAGESIZE, the only one */
    GetSystemInfo(&about);
    return (long)about.dwPageSize;
}

/* The true path of what is there, with '/', as windows_open() and the patterns have it. */
static bool final_path(HANDLE handle, char *resolved, size_t room)
{
    wchar_t wide[PATH_MAX];
    DWORD units = GetFinalPathNameByHandleW(handle, wide, PATH_MAX, FILE_NAME_NORMALIZED);
    const wchar_t *from = wide;
    if (units == 0 || units >= PATH_MAX)
        return false;
    if (wcsncmp(from, L"\\\\?\\UNC\\", 8) == 0) {
        from += 6; /* \\?\UNC\server\share is \\server\share */
        wide[6] = L'\\';
    } else if (wcsncmp(from, L"\\\\?\\", 4) == 0) {
        from += 4;
    }
    size_t size = windows_narrow(from, wcslen(from), resolved, room);
    for (size_t i = 0; i < size; i++)
        if (resolved[i] == '\\')
            resolved[i] = '/';
    return size > 0;
}

char *windows_realpath(const char *path, char *resolved)
{
    wchar_t *wide = windows_wide_path(path);
    if (wide == NULL)
        return NULL;
    HANDLE handle =
        CreateFileW(wide, FILE_READ_ATTRIBUTES,
                    FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                    FILE_FLAG_BACKUP_SEMANTICS, NULL);
    bool done = handle != INVALID_HANDLE_VALUE && final_path(handle, resolved, PATH_MAX);
    errno = done ? errno : windows_errno(GetLastError());
    if (handle != INVALID_HANDLE_VALUE)
        (void)CloseHandle(handle);
    free(wide);
    return done ? resolved : NULL;
}

bool windows_descriptor_path(int fd, char *resolved, size_t room)
{
    return final_path((HANDLE)_get_osfhandle(fd), resolved, room);
}
