/*
 * process_family.c - the time of processes that nobody saw (process_family.h).
 *
 * The surprise: a child may be reaped after its parent was read and before it was looked for
 * itself.  Then the parent's inheritance shows one look later; what it is owed is kept that
 * long.
 */
#include "probe/source/process_family.h"

#include <stdlib.h>

void process_family_gone(struct process_scan *scan, const struct process *process)
{
    if (scan->gone_count == scan->gone_capacity) {
        size_t capacity = scan->gone_capacity > 0 ? scan->gone_capacity * 2 : 64;
        struct process_gone *grown = realloc(scan->gone, capacity * sizeof(*grown));
        if (grown == NULL)
            return; /* its time counts twice, once in each place */
        scan->gone = grown;
        scan->gone_capacity = capacity;
    }
    scan->gone[scan->gone_count++] =
        (struct process_gone){.parent = process->parent,
                              .group = process->group,
                              .start_ticks = process->start_ticks,
                              .user_ticks = process->user_ticks + process->child_user,
                              .system_ticks = process->system_ticks + process->child_system};
}

struct process *process_family_find(struct process *rows, size_t count, uint32_t pid)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && rows[low].pid == pid ? &rows[low] : NULL;
}

/* Takes what was seen of the children from what was inherited; the rest is the group's. */
static uint32_t inherit(uint32_t *reaped, uint32_t *owed)
{
    uint32_t known = *owed < *reaped ? *owed : *reaped;
    uint32_t unseen = *reaped - known;
    *owed -= known;
    *reaped = 0;
    return unseen;
}

void process_family_settle(struct process_scan *scan, struct process *rows, size_t count)
{
    for (size_t i = 0; i < scan->gone_count; i++) {
        const struct process_gone *gone = &scan->gone[i];
        struct process *parent = process_family_find(rows, count, gone->parent);
        if (gone->group != NULL)
            gone->group->unreplaced++;
        if (parent == NULL || parent->start_ticks > gone->start_ticks)
            continue;
        parent->owed_user += gone->user_ticks;
        parent->owed_system += gone->system_ticks;
        parent->is_owed_long = false;
    }
    scan->gone_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct process *row = &rows[i];
        uint32_t user = inherit(&row->reaped_user, &row->owed_user);
        uint32_t system = inherit(&row->reaped_system, &row->owed_system);
        if (row->group != NULL) {
            row->group->child_user_ticks += user;
            row->group->child_system_ticks += system;
            if (row->is_fresh && row->group->unreplaced > 0) {
                row->group->unreplaced--;
                row->group->restarts++;
            }
        }
        row->is_fresh = false;
        if (row->is_owed_long)
            row->owed_user = row->owed_system = 0;
        row->is_owed_long = row->owed_user + row->owed_system > 0;
    }
}
