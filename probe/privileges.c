/*
 * privileges.c - see privileges.h.
 *
 * fgetpwent() and fgetgrent() read the files they are given and ask no name service.
 */
#include "probe/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/base/error.h"

#define GROUPS_MAX 64
#define NOBODY     UINT32_MAX /* for the kernel: leave it as it is */

static const struct {
    const char *name;
    unsigned bit;
} capabilities[] = {
    {"dac_read_search", CAP_DAC_READ_SEARCH},
    {"sys_ptrace", CAP_SYS_PTRACE},
    {"net_bind_service", CAP_NET_BIND_SERVICE},
    {"net_admin", CAP_NET_ADMIN},
};

static bool capability_of(const char *name, size_t length, unsigned *ret_bit)
{
    for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++) {
        if (strlen(capabilities[i].name) == length &&
            strncmp(name, capabilities[i].name, length) == 0) {
            *ret_bit = capabilities[i].bit;
            return true;
        }
    }
    return false;
}

int privileges_parse(const char *names, uint32_t *ret_mask, struct diagnosis *why)
{
    uint32_t mask = 0;
    while (names != NULL && *names != '\0') {
        size_t length = strcspn(names, ",");
        unsigned bit;
        if (!capability_of(names, length, &bit))
            return diagnose(why, ERR_INVALID,
                            "--capabilities: \"%.*s\" is none of dac_read_search, sys_ptrace, "
                            "net_bind_service, net_admin",
                            (int)length, names);
        mask |= UINT32_C(1) << bit;
        names += length + (names[length] == ',');
    }
    *ret_mask = mask;
    return 0;
}

/* Opens ROOT/etc/NAME. */
static FILE *open_table(const char *root, const char *name)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/etc/%s", root, name);
    return size > 0 && (size_t)size < sizeof path ? fopen(path, "re") : NULL;
}

int privileges_find_user(const char *root, const char *user, uint32_t *ret_uid,
                         uint32_t *ret_gid, struct diagnosis *why)
{
    const struct passwd *entry;
    FILE *table = open_table(root, "passwd");
    if (table == NULL)
        return diagnose(why, ERR_IO, "/etc/passwd: %s", strerror(errno));
    while ((entry = fgetpwent(table)) != NULL && strcmp(entry->pw_name, user) != 0)
        continue;
    bool found = entry != NULL && entry->pw_uid != NOBODY && entry->pw_gid != NOBODY;
    if (found) {
        *ret_uid = entry->pw_uid;
        *ret_gid = entry->pw_gid;
    }
    (void)fclose(table);
    return found ? 0 : diagnose(why, ERR_NOTFOUND, "user %s: not in /etc/passwd", user);
}

static bool has_member(const struct group *entry, const char *user)
{
    for (char *const *name = entry->gr_mem; *name != NULL; name++)
        if (strcmp(*name, user) == 0)
            return true;
    return false;
}

/* The groups beside `gid`; their number. */
static size_t find_groups(const char *root, const char *user, gid_t gid,
                          gid_t groups[GROUPS_MAX])
{
    const struct group *entry;
    size_t count = 0;
    groups[count++] = gid;
    FILE *table = open_table(root, "group");
    while (table != NULL && count < GROUPS_MAX && (entry = fgetgrent(table)) != NULL)
        if (entry->gr_gid != gid && entry->gr_gid != NOBODY && has_member(entry, user))
            groups[count++] = entry->gr_gid;
    if (table != NULL)
        (void)fclose(table);
    return count;
}

static int set_capabilities(uint32_t mask)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = mask, .permitted = mask}};
    return (int)syscall(SYS_capset, &header, data);
}

int privileges_drop(const char *root, const char *user, uint32_t mask, struct diagnosis *why)
{
    uint32_t uid, gid;
    gid_t groups[GROUPS_MAX];

    int error = privileges_find_user(root, user, &uid, &gid, why);
    if (error != 0 || (uid != 0 && geteuid() == uid && getuid() == uid))
        return error;
    size_t count = find_groups(root, user, gid, groups);
    if (setgroups(count, groups) != 0 || prctl(PR_SET_KEEPCAPS, mask != 0, 0, 0, 0) != 0 ||
        setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0 ||
        (uid != 0 && set_capabilities(mask) != 0))
        return diagnose(why, ERR_REFUSED, "cannot become user %s: %s", user, strerror(errno));
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    /* As after an exec: its own files in /proc are its own. */
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    /* Linux 3.5 and later; before, nothing is executed all the same. */
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return 0;
}
