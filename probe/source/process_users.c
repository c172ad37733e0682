/*
 * process_users.c - names of users from /etc/passwd (process_users.h).
 */
#include "probe/source/process_users.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void user_names_refresh(struct user_names *users, const char *rootfs)
{
    char path[4096];
    struct stat about;
    int size = snprintf(path, sizeof path, "%s/etc/passwd", rootfs);
    if (size < 0 || (size_t)size >= sizeof path || stat(path, &about) != 0)
        return;
    if (about.st_size == users->file_size && about.st_mtim.tv_sec == users->modified.tv_sec &&
        about.st_mtim.tv_nsec == users->modified.tv_nsec)
        return;
    users->file_size = about.st_size;
    users->modified = about.st_mtim;
    memset(users->cached, 0, sizeof users->cached);
}

bool passwd_find(struct span text, uint32_t id, struct span *ret_name)
{
    struct span line;
    while (scan_line(&text, &line)) {
        const char *name_end = memchr(line.at, ':', span_size(line));
        if (name_end == NULL || name_end == line.at)
            continue;
        const char *secret_end = memchr(name_end + 1, ':', (size_t)(line.end - name_end - 1));
        if (secret_end == NULL)
            continue;
        struct span number = {secret_end + 1, line.end};
        uint64_t found;
        if (scan_u64(&number, &found) && found == id && number.at < number.end &&
            *number.at == ':') {
            *ret_name = (struct span){line.at, name_end};
            return true;
        }
    }
    return false;
}

struct bytes user_name(struct user_names *users, const char *rootfs, uint32_t id)
{
    for (size_t i = 0; i < USERS_CACHED; i++)
        if (users->cached[i].size > 0 && users->cached[i].id == id)
            return (struct bytes){(const uint8_t *)users->cached[i].name,
                                  users->cached[i].size};

    uint32_t slot = users->next;
    users->next = (users->next + 1) % USERS_CACHED;
    char *name = users->cached[slot].name;
    struct span text, found;
    size_t size = 0;
    if (procfile_read_path(rootfs, "etc/passwd", &users->text, &text) == 0 &&
        passwd_find(text, id, &found))
        size = text_clean(span_bytes(found), name, USER_BYTES_MAX);
    if (size == 0)
        size = (size_t)snprintf(name, USER_BYTES_MAX, "%" PRIu32, id);
    users->cached[slot].id = id;
    users->cached[slot].size = (uint32_t)size;
    return (struct bytes){(const uint8_t *)name, size};
}

void user_names_done(struct user_names *users)
{
    readbuf_done(&users->text);
}
