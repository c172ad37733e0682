/*
 * process_exits.c - taskstats, by generic netlink (process_exits.h).
 *
 *     offset  a record, the host's byte order
 *       0     struct nlmsghdr, 16 bytes: its type is the family's number
 *      16     struct genlmsghdr, 4 bytes
 *      20     attributes: size u16, type u16, value, to a multiple of 4
 *               4 (of a thread), nested: 1 its pid, 3 struct taskstats
 *               5 (of a whole process), nested, after that of its last thread: not looked at
 *
 * struct taskstats only grows; what a kernel's lacks is told by the attribute's size and its
 * version.
 */
#include "probe/source/process_exits.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/taskstats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "probe/source/process_family.h"
#include "proto/base/error.h"

#define NETLINK_BYTES   ((size_t)16) /* struct nlmsghdr */
#define HEADERS_BYTES   ((size_t)20)
#define ATTRIBUTE_BYTES ((size_t)4) /* struct nlattr */
#define MESSAGE_BYTES   2048
#define SOCKET_BYTES    (8 << 20)
#define ANSWER_S        2
#define VERSION_PROCESS 12 /* from which on ac_tgid is told, at AT_PROCESS */
#define AT_PROCESS      368
#define US_A_TICK       UINT64_C(10000)
/* Room for so many is kept; what one busy look took beyond is given back. */
#define EXITS_KEPT ((size_t)1024)
/* Reads of a look at most: time for everything else on the loop. */
#define READS_MOST 20000

/* ---- attributes ------------------------------------------------------------------------ */

/* The first attribute of that type in `text`; false: none, or it is cut. */
static bool find_attribute(struct bytes text, unsigned type, struct bytes *ret_value)
{
    while (text.size >= sizeof(struct nlattr)) {
        struct nlattr header;
        memcpy(&header, text.data, sizeof header);
        if (header.nla_len < sizeof header || header.nla_len > text.size)
            return false;
        if ((header.nla_type & NLA_TYPE_MASK) == type) {
            *ret_value =
                (struct bytes){text.data + ATTRIBUTE_BYTES, header.nla_len - ATTRIBUTE_BYTES};
            return true;
        }
        size_t step = ((size_t)header.nla_len + 3) & ~(size_t)3;
        if (step >= text.size)
            return false;
        text = (struct bytes){text.data + step, text.size - step};
    }
    return false;
}

static bool attributes_of(struct bytes message, uint16_t type, struct bytes *ret_attributes)
{
    struct nlmsghdr header;
    if (message.size < HEADERS_BYTES)
        return false;
    memcpy(&header, message.data, sizeof header);
    if (header.nlmsg_type != type || header.nlmsg_len < HEADERS_BYTES ||
        header.nlmsg_len > message.size)
        return false;
    *ret_attributes =
        (struct bytes){message.data + HEADERS_BYTES, header.nlmsg_len - HEADERS_BYTES};
    return true;
}

bool process_exit_parse(struct bytes message, uint16_t family, struct process_exit *ret_exit)
{
    struct taskstats stats;
    struct bytes attributes, thread, value;
    if (!attributes_of(message, family, &attributes) ||
        !find_attribute(attributes, TASKSTATS_TYPE_AGGR_PID, &thread) ||
        !find_attribute(thread, TASKSTATS_TYPE_STATS, &value) ||
        value.size < offsetof(struct taskstats, write_bytes) + sizeof stats.write_bytes)
        return false;
    memset(&stats, 0, sizeof stats);
    memcpy(&stats, value.data, value.size < sizeof stats ? value.size : sizeof stats);
    struct process_exit exit = {.thread = stats.ac_pid,
                                .parent = stats.ac_ppid,
                                .user = stats.ac_uid,
                                .user_us = stats.ac_utime,
                                .system_us = stats.ac_stime,
                                .read_bytes = stats.read_bytes,
                                .write_bytes = stats.write_bytes};
    if (stats.version >= VERSION_PROCESS && value.size >= AT_PROCESS + sizeof exit.process)
        memcpy(&exit.process, value.data + AT_PROCESS, sizeof exit.process);
    exit.name_size = (uint8_t)strnlen(stats.ac_comm, sizeof exit.name);
    memcpy(exit.name, stats.ac_comm, exit.name_size);
    if (exit.thread == 0)
        return false;
    *ret_exit = exit;
    return true;
}

/* ---- the socket ------------------------------------------------------------------------ */

/* A request with one text attribute.  0, ERR_REFUSED, ERR_NOTFOUND. */
static int ask(int fd, uint16_t type, uint8_t command, uint8_t version, uint16_t attribute,
               const char *text)
{
    uint8_t room[256] __attribute__((aligned(4))) = {0};
    size_t size = strlen(text) + 1;
    struct nlattr value = {(uint16_t)(ATTRIBUTE_BYTES + size), attribute};
    struct genlmsghdr about = {.cmd = command, .version = version};
    struct nlmsghdr header = {.nlmsg_len = (uint32_t)(HEADERS_BYTES + ATTRIBUTE_BYTES + size),
                              .nlmsg_type = type,
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};
    if (header.nlmsg_len > sizeof room)
        return ERR_NOTFOUND;
    memcpy(room, &header, sizeof header);
    memcpy(room + NETLINK_BYTES, &about, sizeof about);
    memcpy(room + HEADERS_BYTES, &value, sizeof value);
    memcpy(room + HEADERS_BYTES + ATTRIBUTE_BYTES, text, size);
    return send(fd, room, header.nlmsg_len, 0) == (ssize_t)header.nlmsg_len ? 0 : ERR_REFUSED;
}

/* Reads answers up to the acknowledgement; an answer of the controller names the family. */
static int hear_answer(int fd, uint16_t *ret_family)
{
    uint8_t room[MESSAGE_BYTES] __attribute__((aligned(4)));
    for (;;) {
        struct nlmsghdr header;
        struct bytes attributes, value;
        ssize_t got = recv(fd, room, sizeof room, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < (ssize_t)sizeof header)
            return ERR_NOTFOUND;
        memcpy(&header, room, sizeof header);
        if (header.nlmsg_type == NLMSG_ERROR) {
            int number = 0;
            if ((size_t)got >= sizeof header + sizeof number)
                memcpy(&number, room + NETLINK_BYTES, sizeof number);
            return number == 0                              ? 0
                   : number == -ENOENT || number == -EINVAL ? ERR_NOTFOUND
                                                            : ERR_REFUSED;
        }
        if (ret_family != NULL &&
            attributes_of((struct bytes){room, (size_t)got}, GENL_ID_CTRL, &attributes) &&
            find_attribute(attributes, CTRL_ATTR_FAMILY_ID, &value) &&
            value.size >= sizeof *ret_family)
            memcpy(ret_family, value.data, sizeof *ret_family);
    }
}

/* CPUs that there may be, as the kernel writes them: "0-7". */
static int possible_cpus(char text[64])
{
    struct readbuf buf = {0};
    struct span span;
    int error = procfile_read_path("/sys", "devices/system/cpu/possible", &buf, &span);
    if (error == 0) {
        span = span_trim(span);
        if (span_size(span) > 0 && span_size(span) < 64) {
            memcpy(text, span.at, span_size(span));
            text[span_size(span)] = '\0';
        } else {
            error = ERR_MALFORMED;
        }
    }
    readbuf_done(&buf);
    return error;
}

static int join(int fd, uint16_t *ret_family)
{
    char cpus[64];
    uint16_t family = 0;
    int error = ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, CTRL_ATTR_FAMILY_NAME,
                    TASKSTATS_GENL_NAME);
    if (error == 0)
        error = hear_answer(fd, &family);
    if (error == 0 && family == 0)
        error = ERR_NOTFOUND;
    if (error == 0)
        error = possible_cpus(cpus);
    if (error == 0)
        error = ask(fd, family, TASKSTATS_CMD_GET, TASKSTATS_GENL_VERSION,
                    TASKSTATS_CMD_ATTR_REGISTER_CPUMASK, cpus);
    if (error == 0)
        error = hear_answer(fd, NULL);
    *ret_family = family;
    return error;
}

int process_exits_open(struct process_exits *exits)
{
    const struct timeval patience = {.tv_sec = ANSWER_S};
    const int size = SOCKET_BYTES;
    uint16_t family;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
    if (fd < 0)
        return ERR_NOTFOUND;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    int error = join(fd, &family);
    if (error != 0) {
        close(fd);
        return error;
    }
    *exits = (struct process_exits){.fd = fd, .is_open = true, .family = family};
    return 0;
}

/* Room for one more of an array. */
static void *grow(void *array, size_t count, size_t *capacity, size_t each)
{
    if (count < *capacity)
        return array;
    size_t wanted = *capacity > 0 ? *capacity * 2 : 64;
    void *grown = wanted <= EXITS_MAX ? realloc(array, wanted * each) : NULL;
    if (grown != NULL)
        *capacity = wanted;
    return grown;
}

void process_exits_read(struct process_exits *exits)
{
    uint8_t room[MESSAGE_BYTES] __attribute__((aligned(4)));
    struct process_exit exit;
    for (int i = 0; exits->is_open && i < READS_MOST; i++) {
        ssize_t got = recv(exits->fd, room, sizeof room, MSG_DONTWAIT);
        if (got < 0 && errno == ENOBUFS)
            exits->lost++;
        if (got < 0 && (errno == ENOBUFS || errno == EINTR))
            continue;
        if (got <= 0)
            return;
        if (!process_exit_parse((struct bytes){room, (size_t)got}, exits->family, &exit) ||
            exit.user_us + exit.system_us + exit.read_bytes + exit.write_bytes == 0)
            continue;
        void *rows = grow(exits->rows, exits->count, &exits->capacity, sizeof *exits->rows);
        if (rows == NULL) {
            exits->lost++;
            continue;
        }
        exits->rows = rows;
        exits->rows[exits->count++] = exit;
    }
}

void process_exits_hear(struct process_exits *exits, uint32_t process)
{
    if (!exits->is_open)
        return;
    void *heard =
        grow(exits->heard, exits->heard_count, &exits->heard_capacity, sizeof *exits->heard);
    if (heard == NULL)
        return;
    exits->heard = heard;
    exits->heard[exits->heard_count++] = process;
}

/* ---- what no look has seen ------------------------------------------------------------- */

static int compare_pids(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static uint64_t beyond(uint64_t now, uint64_t seen)
{
    return now > seen ? now - seen : 0;
}

/* Takes off what the last look had seen.  False: it cannot be told apart. */
static bool take_off(struct process_exit *exit, const struct process *before)
{
    if (before->threads != 1)
        return false; /* a record is one thread's, what was seen is that of all */
    exit->user_us = beyond(exit->user_us, before->user_ticks * US_A_TICK);
    exit->system_us = beyond(exit->system_us, before->system_ticks * US_A_TICK);
    bool has_io = (before->known & KNOWN_IO) != 0;
    exit->read_bytes = has_io ? beyond(exit->read_bytes, before->read_bytes) : 0;
    exit->write_bytes = has_io ? beyond(exit->write_bytes, before->write_bytes) : 0;
    return true;
}

void process_exits_settle(struct process_exits *exits, const struct process_scan *scan,
                          struct process_group *(*find)(void *context,
                                                        const struct process_exit *exit),
                          void *context)
{
    if (exits->heard_count > 1)
        qsort(exits->heard, exits->heard_count, sizeof *exits->heard, compare_pids);
    for (size_t i = 0; i < exits->count; i++) {
        struct process_exit *exit = &exits->rows[i];
        uint32_t pid = exit->process != 0 ? exit->process : exit->thread;
        if (process_family_find(scan->rows, scan->count, pid) != NULL)
            continue; /* a thread of a process that lives on: its stat tells */
        if (exit->process == 0 &&
            (exits->heard_count == 0 || bsearch(&pid, exits->heard, exits->heard_count,
                                                sizeof *exits->heard, compare_pids) == NULL))
            continue;
        const struct process *before =
            process_family_find(scan->spare, scan->count_before, pid);
        struct process_group *group;
        if (before == NULL)
            group = find(context, exit);
        else
            group = take_off(exit, before) ? before->group : NULL;
        if (group == NULL)
            continue;
        group->unseen_us[0] += exit->user_us;
        group->unseen_us[1] += exit->system_us;
        group->unseen_bytes[0] += exit->read_bytes;
        group->unseen_bytes[1] += exit->write_bytes;
    }
    exits->count = exits->heard_count = 0;
    if (exits->capacity > EXITS_KEPT) {
        free(exits->rows);
        exits->rows = NULL;
        exits->capacity = 0;
    }
    if (exits->heard_capacity > EXITS_KEPT) {
        free(exits->heard);
        exits->heard = NULL;
        exits->heard_capacity = 0;
    }
}

void process_exits_close(struct process_exits *exits)
{
    if (exits->is_open)
        close(exits->fd);
    free(exits->rows);
    free(exits->heard);
    *exits = (struct process_exits){0};
}
