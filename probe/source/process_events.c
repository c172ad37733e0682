/*
 * process_events.c - the proc connector (process_events.h).
 *
 *     offset  a message, the host's byte order
 *       0     struct nlmsghdr, 16 bytes
 *      16     struct cn_msg: idx u32 = 1, val u32 = 1, seq, ack, len u16, flags u16
 *      36     struct proc_event: what u32, cpu u32, timestamp u64
 *      52     pid u32, tgid u32; of an exit also exit_code u32 at 60
 */
#include "probe/source/process_events.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/error.h"

#define AT_WHAT   36
#define AT_PID    52
#define AT_TGID   56
#define AT_STATUS 60
#define WHAT_EXEC UINT32_C(0x00000002)
#define WHAT_EXIT UINT32_C(0x80000000)
/* What waits between two ticks; an event takes some 800 bytes of it. */
#define SOCKET_BYTES (4 << 20)
/* Reads a tick at most: time for everything else on the loop. */
#define READS_MOST 20000

/* Keeps exec, exit of a whole process (pid and tgid are one), and the answer to our question.
 * A filter reads words in network order. */
static int keep_few(int fd)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_WHAT),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(WHAT_EXEC), 7, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 6, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(WHAT_EXIT), 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_PID),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_TGID),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog filter = {sizeof program / sizeof *program, program};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

static int listen_to_kernel(int fd)
{
    /* As above, with the operation where an event has `what`. */
    struct {
        struct nlmsghdr header;
        uint32_t idx, val, seq, ack;
        uint16_t size, flags;
        uint32_t operation;
    } request;
    _Static_assert(offsetof(__typeof__(request), operation) == AT_WHAT, "no holes");

    memset(&request, 0, sizeof request);
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = NLMSG_DONE;
    request.idx = CN_IDX_PROC;
    request.val = CN_VAL_PROC;
    request.size = sizeof request.operation;
    request.operation = PROC_CN_MCAST_LISTEN;
    return send(fd, &request, sizeof request, 0) == (ssize_t)sizeof request ? 0 : -1;
}

int process_events_open(struct process_events *events)
{
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    const int size = SOCKET_BYTES;
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    if (fd < 0)
        return ERR_NOTFOUND; /* or another network namespace than the first */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (keep_few(fd) != 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen_to_kernel(fd) != 0) {
        close(fd);
        return ERR_REFUSED;
    }
    *events = (struct process_events){.fd = fd, .is_open = true};
    return 0;
}

static uint32_t word_at(struct bytes message, size_t offset)
{
    uint32_t word;
    memcpy(&word, message.data + offset, sizeof word);
    return word;
}

bool process_event_parse(struct bytes message, struct process_event *ret_event)
{
    struct process_event event = {PROCESS_EVENT_OTHER, 0, 0};
    if (message.size < AT_TGID + 4 || word_at(message, 16) != CN_IDX_PROC ||
        word_at(message, 20) != CN_VAL_PROC)
        return false;
    uint32_t what = word_at(message, AT_WHAT);
    if (what == WHAT_EXEC) {
        event.kind = PROCESS_EVENT_EXEC;
        event.pid = word_at(message, AT_TGID);
    } else if (what == WHAT_EXIT && message.size >= AT_STATUS + 4 &&
               word_at(message, AT_PID) == word_at(message, AT_TGID)) {
        event.kind = PROCESS_EVENT_EXIT;
        event.pid = word_at(message, AT_PID);
        event.status = word_at(message, AT_STATUS);
    }
    *ret_event = event;
    return true;
}

bool process_events_read(struct process_events *events,
                         void (*take)(void *context, const struct process_event *event),
                         void *context)
{
    uint8_t room[256] __attribute__((aligned(8)));
    struct process_event event;
    bool is_whole = true;

    for (int i = 0; events->is_open && i < READS_MOST; i++) {
        struct sockaddr_nl from = {0};
        socklen_t from_size = sizeof from;
        ssize_t size = recvfrom(events->fd, room, sizeof room, MSG_DONTWAIT,
                                (struct sockaddr *)&from, &from_size);
        if (size < 0 && errno == ENOBUFS) {
            events->lost++;
            is_whole = false;
            continue;
        }
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            break;
        if (from.nl_pid != 0 || /* only the kernel's */
            !process_event_parse((struct bytes){room, (size_t)size}, &event))
            continue;
        events->is_heard = true;
        if (event.kind == PROCESS_EVENT_OTHER)
            continue;
        events->events++;
        take(context, &event);
    }
    return is_whole;
}

void process_events_close(struct process_events *events)
{
    if (events->is_open)
        close(events->fd);
    *events = (struct process_events){0};
}
