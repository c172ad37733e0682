/*
 * group_row.h - stored groups, between their loading and the first alert that meets them again.
 * For group.c and notify; the row's layout is in group.h.
 */
#pragma once

#include "collector/notify/group.h"

/* NULL if there is none. */
struct group_memory *group_row_recall(const struct groups *groups, uint64_t hash);
/* Fills flushed and the records of integrations that still exist. */
int group_row_restore(const struct group_memory *memory, struct group *group);
void group_row_forget(struct groups *groups, struct group_memory *memory);
