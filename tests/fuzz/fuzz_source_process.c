/*
 * fuzz_source_process.c - every parser of the files below /proc/PID and of its neighbours, the
 * kernel's events of processes among them.
 *
 * The first byte chooses nothing: all parsers read the same text, as they must stand any.
 * Properties: what they point to lies inside the text; cleaned text is clean, and cleaning it
 * again changes nothing; an event that is none of ours says nothing of anybody.
 */
#include <stdlib.h>

#include "probe/source/mounts.h"
#include "probe/source/process_deleted.h"
#include "probe/source/process_events.h"
#include "probe/source/process_exits.h"
#include "probe/source/process_parse.h"
#include "probe/source/process_socket.h"
#include "probe/source/process_users.h"
#include "probe/source/scan.h"
#include "probe/source/socket_line.h"
#include "proto/base/must.h"

#define CLEAN_BYTES 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_inside(struct span part, const char *text, size_t size)
{
    must(part.at >= text && part.at <= part.end && part.end <= text + size);
}

static void clean_twice(struct bytes text)
{
    char once[CLEAN_BYTES], twice[CLEAN_BYTES];
    size_t size = text_clean(text, once, sizeof once);
    must(size <= sizeof once);
    for (size_t i = 0; i < size; i++)
        must((unsigned char)once[i] >= 0x20 && once[i] != 0x7f);
    size_t again = text_clean((struct bytes){(uint8_t *)once, size}, twice, sizeof twice);
    must(again == size && memcmp(once, twice, size) == 0);
}

static void must_be_event(struct bytes message)
{
    struct process_event event;
    if (!process_event_parse(message, &event))
        return;
    must(event.kind != PROCESS_EVENT_OTHER || event.pid == 0);
    must(event.kind == PROCESS_EVENT_EXIT || event.status == 0);
}

#define FAMILY 23 /* taskstats, in the seeds */

static void must_be_exit(struct bytes message)
{
    struct process_exit exit;
    if (process_exit_parse(message, FAMILY, &exit))
        must(exit.thread != 0 && exit.name_size <= sizeof exit.name);
}

static void must_be_sockets(struct span text)
{
    struct span line;
    struct socket_line socket;
    struct socket_owner owner;
    uint64_t inode;
    (void)process_deleted_link(text);
    (void)process_socket_link(text, &inode);
    while (scan_line(&text, &line))
        if (socket_line_parse(line, &socket))
            (void)socket_line_owner(&socket, &owner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of exactly this size: reading one byte past it is an error that ASan sees. */
    char *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        return 0;
    if (size > 0)
        memcpy(copy, data, size);
    struct span text = span_of(copy, size), part, line;
    struct process_stat stat;
    struct process_status status;
    struct mount_line mount;
    uint64_t a, b;
    uint32_t limit;

    if (process_stat_parse(text, &stat)) {
        must(stat.pid > 0);
        must_be_inside(stat.comm, copy, size);
    }
    process_status_parse(text, &status);
    (void)process_io_parse(text, &a, &b);
    (void)process_limits_parse(text, &limit);
    (void)process_smaps_parse(text, &a, &b);
    if (process_cgroup_parse(text, &part))
        must_be_inside(part, copy, size);
    if (passwd_find(text, 0, &part))
        must_be_inside(part, copy, size);
    for (struct span rest = text; scan_line(&rest, &line);)
        if (mount_parse(line, &mount))
            must(mount.point[mount.point_size] == '\0');
    must_be_event(span_bytes(text));
    must_be_exit(span_bytes(text));
    must_be_sockets(text);
    clean_twice(span_bytes(text));
    free(copy);
    return 0;
}
