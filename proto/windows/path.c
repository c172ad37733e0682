#include "proto/base/path.h"

#include <ctype.h>

size_t path_root_size(const char *path)
{
    if (isalpha((unsigned char)path[0]) && path[1] == ':' && (path[2] == '/' || path[2] == '\\'))
        return 3;
    return (path[0] == '/' || path[0] == '\\') && path[1] == path[0] ? 2 : 0;
}

size_t path_folder_size(const char *path)
{
    size_t size = strlen(path);
    while (size > 0 && path[size - 1] != '/' && path[size - 1] != '\\')
        size--;
    return size;
}

void path_settle(char *path)
{
    if (path_root_size(path) == 0)
        return;
    for (; *path != '\0'; path++)
        if (*path == '\\')
            *path = '/';
}

bool path_of_descriptor(int fd, char *ret_path, size_t room)
{
    return windows_descriptor_path(fd, ret_path, room);
}
