/*
 * dirent.c - names in a folder (posix/dirent.h), by FindFirstFileExW.
 */
#include <dirent.h>
#include <errno.h>
#include <windows.h>

struct windows_folder {
    HANDLE search;
    WIN32_FIND_DATAW found;
    bool has_found; /* `found` was not told yet */
    struct dirent entry;
};

DIR *opendir(const char *path)
{
    char pattern[PATH_MAX];
    if (snprintf(pattern, sizeof pattern, "%s/*", path) >= (int)sizeof pattern) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    DIR *folder = calloc(1, sizeof *folder);
    wchar_t *wide = folder == NULL ? NULL : windows_wide_path(pattern);
    if (wide != NULL)
        folder->search =
            FindFirstFileExW(wide, FindExInfoBasic, &folder->found, FindExSearchNameMatch, NULL, 0);
    free(wide);
    if (wide == NULL || folder->search == INVALID_HANDLE_VALUE) {
        if (wide != NULL)
            errno = windows_errno(GetLastError());
        free(folder);
        return NULL;
    }
    folder->has_found = true;
    return folder;
}

struct dirent *readdir(DIR *folder)
{
    if (!folder->has_found && !FindNextFileW(folder->search, &folder->found))
        return NULL;
    folder->has_found = false;
    DWORD attributes = folder->found.dwFileAttributes;
    folder->entry.d_type = (attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 ? DT_LNK
                           : (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0   ? DT_DIR
                                                                            : DT_REG;
    (void)windows_narrow(folder->found.cFileName, wcslen(folder->found.cFileName),
                         folder->entry.d_name, sizeof folder->entry.d_name);
    return &folder->entry;
}

int closedir(DIR *folder)
{
    (void)FindClose(folder->search);
    free(folder);
    return 0;
}
