/*
 * names.c - paths and texts between UTF-8 and UTF-16 (posix.h).
 *
 * A path longer than 260 characters is taken by the system only as \\?\C:\..., absolute and
 * without dots; GetFullPathNameW() makes it so.
 */
#include <errno.h>
#include <wchar.h>
#include <windows.h>

#define PATH_UNITS_SHORT 240 /* from here on with the prefix; 260 less what a folder's call adds */

int windows_errno(unsigned long error)
{
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_BAD_NETPATH:
    case ERROR_BAD_NET_NAME:
    case ERROR_INVALID_NAME:
    case ERROR_INVALID_DRIVE:
        return ENOENT;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
    case ERROR_PRIVILEGE_NOT_HELD:
        return EACCES;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
        return ENOSPC;
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS:
        return EEXIST;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
        return ENOMEM;
    case ERROR_DIRECTORY:
        return ENOTDIR;
    case ERROR_INVALID_HANDLE:
        return EBADF;
    default:
        return EIO;
    }
}

static wchar_t *widen(const char *text)
{
    int units = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    if (units <= 0) {
        errno = ENOENT; /* no file has such a name */
        return NULL;
    }
    wchar_t *wide = malloc((size_t)units * sizeof *wide);
    if (wide == NULL)
        return NULL;
    (void)MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, units);
    for (wchar_t *at = wide; *at != L'\0'; at++)
        if (*at == L'/')
            *at = L'\\';
    return wide;
}

wchar_t *windows_wide_path(const char *path)
{
    wchar_t *wide = widen(path);
    if (wide == NULL || wcslen(wide) < PATH_UNITS_SHORT || wcsncmp(wide, L"\\\\?\\", 4) == 0)
        return wide;
    bool is_share = wcsncmp(wide, L"\\\\", 2) == 0;
    const wchar_t *prefix = is_share ? L"\\\\?\\UNC" : L"\\\\?\\";
    DWORD units = GetFullPathNameW(wide, 0, NULL, NULL);
    wchar_t *full = malloc(((size_t)units + 16) * sizeof *full);
    if (full != NULL) {
        size_t prefix_units = wcslen(prefix);
        wchar_t *to = full + prefix_units;
        if (GetFullPathNameW(wide, units, to, NULL) == 0)
            to[0] = L'\0';
        if (is_share) /* \\server becomes \\?\UNC\server */
            memmove(to, to + 1, wcslen(to) * sizeof *to);
        memcpy(full, prefix, prefix_units * sizeof *full);
    }
    free(wide);
    return full;
}

size_t windows_narrow(const wchar_t *from, size_t size, char *to, size_t room)
{
    int got = 0;
    if (room == 0)
        return 0;
    while (size > 0) {
        got = WideCharToMultiByte(CP_UTF8, 0, from, (int)size, to, (int)room - 1, NULL, NULL);
        if (got > 0)
            break;
        size--;
        if (size > 0 && (from[size] & 0xfc00) == 0xdc00)
            size--; /* not half of a pair */
    }
    to[got] = '\0';
    return (size_t)got;
}
