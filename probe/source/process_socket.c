/*
 * process_socket.c - which process has a socket (process_socket.h).
 *
 * Two rounds through the processes: first those of a user who has an unowned socket, then the
 * others (a server that has given up root after binding).  The first process comes last: init
 * holds the sockets of services that it will start when somebody connects.
 */
#include "probe/source/process_socket.h"

#include <unistd.h>

#include "proto/base/clock.h"

/* A look's time for it; the first look, which knows nobody, has more. */
#define WALK_NS       ((mono_ns)4 * NS_PER_MS)
#define WALK_FIRST_NS ((mono_ns)150 * NS_PER_MS)
/* Links of a process that are looked at: listeners are opened early and have low numbers. */
#define LINKS_MOST 2048
/* Who was not found is looked for again after that. */
#define GIVE_UP_MS 600000
#define ROUNDS     2

bool process_socket_link(struct span target, uint64_t *ret_inode)
{
    uint64_t inode;
    if (!scan_text(&target, "socket:[") || !scan_u64(&target, &inode) ||
        !scan_char(&target, ']') || span_size(target) != 0)
        return false;
    *ret_inode = inode;
    return true;
}

static bool is_sought(const struct port_socket *socket)
{
    return socket->pid == 0 && !socket->is_given_up && socket->inode != 0;
}

static bool is_anything_sought(const struct process_ports *ports)
{
    for (size_t i = 0; i < ports->count; i++)
        if (is_sought(&ports->sockets[i]))
            return true;
    return false;
}

static bool has_user_of_sought(const struct process_ports *ports, uint32_t user)
{
    for (size_t i = 0; i < ports->count; i++)
        if (is_sought(&ports->sockets[i]) && ports->sockets[i].user == user)
            return true;
    return false;
}

static void own(struct process_ports *ports, const struct process *process, uint64_t inode)
{
    for (size_t i = 0; i < ports->count; i++) {
        struct port_socket *socket = &ports->sockets[i];
        if (socket->inode != inode || !is_sought(socket))
            continue;
        socket->pid = process->pid;
        socket->start_ticks = process->start_ticks;
    }
}

struct seeker {
    struct process_ports *ports;
    const struct process *process;
};

static int read_link(void *context, int folder, const char *name)
{
    const struct seeker *seeker = context;
    char target[40];
    uint64_t inode;
    ssize_t size = readlinkat(folder, name, target, sizeof target);
    if (size > 0 && process_socket_link((struct span){target, target + size}, &inode))
        own(seeker->ports, seeker->process, inode);
    return 0;
}

static bool is_of_round(const struct process_ports *ports, const struct process *process)
{
    bool is_first = process->pid != 1 && has_user_of_sought(ports, process->user);
    return process->group != NULL && !process->is_kernel &&
           (ports->walk_round == 0 ? is_first : !is_first);
}

static void begin_walk(struct process_ports *ports)
{
    ports->walk_round = 0;
    ports->walk_pid = 0;
    for (size_t i = 0; i < ports->count; i++)
        ports->sockets[i].is_in_walk = is_sought(&ports->sockets[i]);
}

/* One that came during the walk was not looked for everywhere: it gets a walk of its own. */
static void give_up(struct process_ports *ports, int64_t now_ms)
{
    for (size_t i = 0; i < ports->count; i++)
        if (is_sought(&ports->sockets[i]))
            ports->sockets[i].is_given_up = ports->sockets[i].is_in_walk;
    ports->given_up_ms = now_ms;
}

static void hope_again(struct process_ports *ports)
{
    for (size_t i = 0; i < ports->count; i++)
        ports->sockets[i].is_given_up = false;
}

void process_socket_walk(struct process_ports *ports, struct process_scan *scan, int64_t now_ms)
{
    if (now_ms - ports->given_up_ms >= GIVE_UP_MS) {
        hope_again(ports);
        ports->given_up_ms = now_ms;
    }
    mono_ns end = clock_mono(&clock_system) + (ports->has_run ? WALK_NS : WALK_FIRST_NS);
    ports->has_run = true;
    if (!ports->is_walking)
        begin_walk(ports);
    ports->is_walking = is_anything_sought(ports);
    for (; ports->is_walking && ports->walk_round < ROUNDS; ports->walk_round++) {
        for (size_t i = 0; i < scan->count; i++) {
            const struct process *process = &scan->rows[i];
            if (process->pid < ports->walk_pid || !is_of_round(ports, process))
                continue;
            struct seeker seeker = {ports, process};
            /* One that is gone, or not for this user to read, has nothing to tell. */
            (void)process_list(scan, process->pid, "fd", LINKS_MOST, read_link, &seeker);
            ports->walk_pid = process->pid + 1;
            if (!is_anything_sought(ports)) {
                ports->is_walking = false;
                return;
            }
            if (clock_mono(&clock_system) > end)
                return; /* the next look goes on */
        }
        ports->walk_pid = 0;
    }
    if (ports->is_walking)
        give_up(ports, now_ms);
    ports->is_walking = false;
}
