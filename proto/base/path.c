#include "proto/base/path.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

size_t path_root_size(const char *path)
{
    return path[0] == '/' ? 1 : 0;
}

size_t path_folder_size(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

void path_settle(char *path)
{
    (void)path; /* a backslash is part of a name here, or of a pattern */
}

bool path_of_descriptor(int fd, char *ret_path, size_t room)
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, ret_path, room - 1);
    if (size <= 0 || (size_t)size == room - 1)
        return false;
    ret_path[size] = '\0';
    return true;
}
