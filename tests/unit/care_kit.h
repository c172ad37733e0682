/*
 * care_kit.h - what tests of backup, restore and verification share: a store with something of
 * everything in it, and a report of what was found damaged.
 */
#pragma once

#include "collector/store/care.h"
#include "collector/store/restore.h"
#include "collector/store/verify.h"
#include "tests/unit/store_kit.h"

#define ALWAYS     INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS    ((int64_t)2 * 3600 * 1000)
#define CARE_PATHS 512

struct told {
    char file[CARE_PATHS], what[256]; /* the first */
    unsigned count;
};
void care_take_fault(void *context, const char *file, const char *what); /* a struct told */

/* A store with history of samples and of lines, and something of either that is not in it. */
void care_fill(struct kit *kit, struct model *model, unsigned seed);
/* What a verification of the folder tells; it must come to its end. */
struct told care_verify(const char *directory, struct verify_counts *ret_counts);
/* What the work says at its end, as JSON; valid until the next call. */
char *care_wait(struct kit *kit, enum care_kind kind);

/* "FOLDER-SUFFIX"; one of four buffers. */
char *care_beside(const struct kit *kit, const char *suffix);
void care_remove(const char *path);
/* The first file of a folder whose name ends so. */
void care_find(const char *folder, const char *ending, char path[CARE_PATHS]);
off_t care_size(const char *path);
void care_flip(const char *path, off_t offset);
