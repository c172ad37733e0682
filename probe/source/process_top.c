/*
 * process_top.c - the largest processes of a tick (process_top.h).
 *
 * Choosing is three passes over the table, each keeping its N best in a small sorted list:
 * nearly every process is turned away by one comparison with the list's last.
 */
#include "probe/source/process_top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/source/tracked.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/wire/record.h"

#define TOP_ROWS_MAX    (3 * TOP_MOST)
#define TOP_ARENA_BYTES ((size_t)512 << 10)
/* Ticks a command line is kept: a process may change its own. */
#define TEXT_TICKS      60
#define TOP_PORTS_MAX   ((size_t)16)
#define PORT_TEXT_BYTES 7 /* a space, five digits, and what snprintf() adds */

_Static_assert(TOP_ROWS_MAX <= PROCESS_ROWS_MAX, "a table fits a record");

struct top_text {
    uint32_t pid;
    uint32_t comm_hash;
    uint64_t start_ticks;
    uint16_t name_size, command_size, user_size;
    uint16_t age_ticks;
    char name[TOP_NAME_BYTES_MAX];
    char user[USER_BYTES_MAX];
    char command[TOP_COMMAND_BYTES_MAX];
};

int process_top_start(struct process_top *top, size_t most, double boot_seconds)
{
    top->most = most < TOP_MOST ? most : TOP_MOST;
    top->boot_seconds = boot_seconds;
    top->page_bytes = (double)sysconf(_SC_PAGESIZE);
    arena_init(&top->arena, TOP_ARENA_BYTES);
    buf_init(&top->coded, RECORD_BYTES_MAX);
    if (top->most == 0)
        return 0;
    top->texts = calloc(3 * top->most, sizeof(*top->texts));
    top->texts_before = calloc(3 * top->most, sizeof(*top->texts_before));
    return top->texts != NULL && top->texts_before != NULL ? 0 : ERR_NOMEM;
}

typedef double size_function(const struct process *process);

static double by_cpu(const struct process *process)
{
    return (double)process->cpu_rate;
}

static double by_memory(const struct process *process)
{
    return (double)process->resident_pages;
}

static double by_io(const struct process *process)
{
    return (double)process->read_rate + (double)process->write_rate;
}

/* The `most` largest rows whose size is above 0, largest first.  Returns how many. */
static size_t choose(const struct process_scan *scan, size_function *size_of, size_t most,
                     uint32_t chosen[TOP_MOST])
{
    double sizes[TOP_MOST];
    size_t count = 0;
    for (size_t i = 0; i < scan->count; i++) {
        double size = size_of(&scan->rows[i]);
        if (!(size > 0) || (count == most && size <= sizes[count - 1]))
            continue;
        size_t at = count < most ? count++ : count - 1;
        for (; at > 0 && sizes[at - 1] < size; at--) {
            sizes[at] = sizes[at - 1];
            chosen[at] = chosen[at - 1];
        }
        sizes[at] = size;
        chosen[at] = (uint32_t)i;
    }
    return count;
}

static bool is_among(const uint32_t *rows, size_t count, uint32_t row)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i] == row)
            return true;
    return false;
}

static void read_text(struct process_scan *scan, struct user_names *users, const char *rootfs,
                      const struct process *process, struct top_text *ret_text)
{
    struct span text;
    *ret_text = (struct top_text){.pid = process->pid,
                                  .comm_hash = process->comm_hash,
                                  .start_ticks = process->start_ticks};
    if (process_read(scan, process->pid, "comm", &text) == 0)
        ret_text->name_size = (uint16_t)text_clean(span_bytes(span_trim(text)), ret_text->name,
                                                   TOP_NAME_BYTES_MAX);
    if (!process->is_kernel && process_read(scan, process->pid, "cmdline", &text) == 0) {
        while (text.at < text.end && text.end[-1] == '\0')
            text.end--;
        ret_text->command_size =
            (uint16_t)text_clean(span_bytes(text), ret_text->command, TOP_COMMAND_BYTES_MAX);
    }
    struct bytes user = user_name(users, rootfs, process->user);
    memcpy(ret_text->user, user.data, user.size);
    ret_text->user_size = (uint16_t)user.size;
}

/* The texts of the process: those of the tick before, or read now. */
static const struct top_text *text_of(struct process_top *top, struct process_scan *scan,
                                      struct user_names *users, const char *rootfs,
                                      const struct process *process)
{
    struct top_text *text = &top->texts[top->text_count++];
    for (size_t i = 0; i < top->text_count_before; i++) {
        const struct top_text *before = &top->texts_before[i];
        if (before->pid == process->pid && before->start_ticks == process->start_ticks &&
            before->comm_hash == process->comm_hash && before->age_ticks < TEXT_TICKS) {
            *text = *before;
            text->age_ticks++;
            return text;
        }
    }
    read_text(scan, users, rootfs, process, text);
    return text;
}

static struct bytes bytes_from(const char *text, size_t size)
{
    return (struct bytes){(const uint8_t *)text, size};
}

/* As text, in the arena. */
static struct bytes ports_of(struct process_top *top, const struct process *process)
{
    uint32_t ports[TOP_PORTS_MAX];
    size_t count = top->ports_of != NULL
                       ? top->ports_of(top->ports_context, process, ports, TOP_PORTS_MAX)
                       : 0;
    size_t room = count * PORT_TEXT_BYTES, size = 0;
    char *text = count > 0 ? arena_alloc(&top->arena, room, 1) : NULL;
    for (size_t i = 0; text != NULL && i < count; i++)
        size += (size_t)snprintf(text + size, room - size, i == 0 ? "%u" : " %u", ports[i]);
    return text != NULL ? bytes_from(text, size) : (struct bytes){0};
}

static void fill_row(struct process_top *top, const struct process *process,
                     const struct top_text *text, struct process_row *ret_row)
{
    double start = top->boot_seconds + (double)process->start_ticks / PROCESS_USER_HZ;
    *ret_row = (struct process_row){
        .pid = process->pid,
        .user = bytes_from(text->user, text->user_size),
        .name = bytes_from(text->name, text->name_size),
        .command_line = bytes_from(text->command, text->command_size),
        .group = process->group != NULL ? tracked_key(process->group) : (struct bytes){0},
        .cpu_seconds_per_second = (double)process->cpu_rate,
        .resident_bytes = (uint64_t)((double)process->resident_pages * top->page_bytes),
        .read_bytes_per_second = (double)process->read_rate,
        .write_bytes_per_second = (double)process->write_rate,
        .start_ms = (int64_t)(start * MS_PER_SEC),
        .ports = ports_of(top, process),
    };
}

static int compare_rows(const void *left, const void *right)
{
    const struct process_row *a = left, *b = right;
    if (a->cpu_seconds_per_second != b->cpu_seconds_per_second)
        return a->cpu_seconds_per_second > b->cpu_seconds_per_second ? -1 : 1;
    if (a->resident_bytes != b->resident_bytes)
        return a->resident_bytes > b->resident_bytes ? -1 : 1;
    return a->pid < b->pid ? -1 : a->pid > b->pid;
}

int process_top_emit(struct process_top *top, struct process_scan *scan,
                     struct user_names *users, const char *rootfs, struct emitter *out)
{
    static size_function *const measures[] = {by_cpu, by_memory, by_io};
    uint32_t rows[TOP_ROWS_MAX];
    size_t count = 0;
    if (top->most == 0)
        return 0;
    for (size_t m = 0; m < sizeof measures / sizeof *measures; m++) {
        uint32_t chosen[TOP_MOST];
        size_t found = choose(scan, measures[m], top->most, chosen);
        for (size_t i = 0; i < found; i++)
            if (!is_among(rows, count, chosen[i]))
                rows[count++] = chosen[i];
    }

    struct top_text *before = top->texts_before;
    top->texts_before = top->texts;
    top->text_count_before = top->text_count;
    top->texts = before;
    top->text_count = 0;
    arena_rewind(&top->arena);
    struct process_row *table = arena_alloc(&top->arena, count + 1, sizeof(*table));
    if (table == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct process *process = &scan->rows[rows[i]];
        fill_row(top, process, text_of(top, scan, users, rootfs, process), &table[i]);
    }
    qsort(table, count, sizeof(*table), compare_rows);

    const struct process_table record = {table, count, (uint32_t)scan->count};
    buf_clear(&top->coded);
    int error = record_encode_processes(&record, &top->arena, &top->coded);
    if (error == 0)
        error = emitter_record(out, RECORD_PROCESS_TABLE, buf_bytes(&top->coded));
    arena_rewind(&top->arena);
    return error;
}

void process_top_done(struct process_top *top)
{
    free(top->texts);
    free(top->texts_before);
    arena_reset(&top->arena);
    buf_done(&top->coded);
}
