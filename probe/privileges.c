/*
 * privileges.c - see privileges.h.
 *
 *     /etc/passwd   name:password:uid:gid:...
 *     /etc/group    name:password:gid:member,member
 */
#include "probe/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/base/error.h"

#define GROUPS_MAX 64
#define LINE_BYTES 8192 /* a longer line is passed over: no name of ours is in it */

static const struct {
    const char *name;
    unsigned bit;
} capabilities[] = {
    {"dac_read_search", CAP_DAC_READ_SEARCH},
    {"sys_ptrace", CAP_SYS_PTRACE},
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
                            "--capabilities: \"%.*s\" is neither dac_read_search nor "
                            "sys_ptrace",
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

/* Cuts `line` at its colons; how many fields there are of `count`. */
static size_t cut(char *line, char **fields, size_t count)
{
    size_t have = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *at = line; at != NULL && have < count; have++) {
        fields[have] = at;
        at = strchr(at, ':');
        if (at != NULL)
            *at++ = '\0';
    }
    return have;
}

static bool number_of(const char *text, uint32_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number >= UINT32_MAX)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

int privileges_find_user(const char *root, const char *user, uint32_t *ret_uid,
                         uint32_t *ret_gid, struct diagnosis *why)
{
    char line[LINE_BYTES];
    char *fields[4];
    bool found = false;
    FILE *table = open_table(root, "passwd");

    if (table == NULL)
        return diagnose(why, ERR_IO, "/etc/passwd: %s", strerror(errno));
    while (!found && fgets(line, sizeof line, table) != NULL) {
        uint32_t uid, gid;
        if (cut(line, fields, 4) < 4 || strcmp(fields[0], user) != 0 ||
            !number_of(fields[2], &uid) || !number_of(fields[3], &gid))
            continue;
        found = true;
        *ret_uid = uid;
        *ret_gid = gid;
    }
    (void)fclose(table);
    return found ? 0 : diagnose(why, ERR_NOTFOUND, "user %s: not in /etc/passwd", user);
}

static bool has_member(char *members, const char *user)
{
    char *rest = members;
    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ","))
        if (strcmp(name, user) == 0)
            return true;
    return false;
}

/* The groups beside `gid`; their number. */
static size_t find_groups(const char *root, const char *user, uint32_t gid,
                          gid_t groups[GROUPS_MAX])
{
    char line[LINE_BYTES];
    char *fields[4];
    size_t count = 0;
    groups[count++] = gid;
    FILE *table = open_table(root, "group");
    while (table != NULL && count < GROUPS_MAX && fgets(line, sizeof line, table) != NULL) {
        uint32_t number;
        if (cut(line, fields, 4) == 4 && number_of(fields[2], &number) && number != gid &&
            has_member(fields[3], user))
            groups[count++] = number;
    }
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
