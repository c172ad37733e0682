/*
 * refused.c - see refused.h.
 */
#include "collector/remote/refused.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/series/labels.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define PATH_BYTES       4096
#define LABELS_BYTES_MAX ((size_t)4 << 20)

static void put_value(struct buf *out, double value)
{
    if (isnan(value))
        buf_put_text(out, "NaN");
    else if (isinf(value))
        buf_put_text(out, value > 0 ? "+Inf" : "-Inf");
    else
        buf_printf(out, "%.17g", value);
}

static int put_samples(const struct encode_sample *samples, size_t count, struct buf *out)
{
    struct arena arena;
    size_t put = 0;
    int error = 0;
    arena_init(&arena, LABELS_BYTES_MAX);
    for (; error == 0 && put < count && out->size < REFUSED_BYTES_MAX; put++) {
        const struct labels *labels = NULL;
        struct reader reader = reader_of(samples[put].labels);
        arena_reset(&arena);
        error = labels_read(&reader, &arena, &labels);
        if (error != 0)
            break;
        labels_print(labels, out);
        buf_put_char(out, ' ');
        put_value(out, samples[put].value);
        buf_printf(out, " %" PRId64 "\n", samples[put].ts_ms);
    }
    if (put < count)
        buf_printf(out, "# %zu more were refused with these\n", count - put);
    arena_reset(&arena);
    return error == 0 && !buf_ok(out) ? ERR_NOMEM : error;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names begin with the time in 13 digits: the oldest come first. */
static void keep_newest(const char *directory, size_t keep)
{
    struct dirent **entries = NULL;
    char *names[REFUSED_FILES_MAX * 4];
    size_t count = 0;
    int found = scandir(directory, &entries, NULL, NULL);
    for (int i = 0; i < found; i++)
        if (entries[i]->d_name[0] != '.' && count < sizeof names / sizeof *names)
            names[count++] = entries[i]->d_name;
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i + keep < count; i++) {
        char path[PATH_BYTES];
        if (snprintf(path, sizeof path, "%s/%s", directory, names[i]) < (int)sizeof path)
            (void)unlink(path);
    }
    for (int i = 0; i < found; i++)
        free(entries[i]);
    free(entries);
}

int refused_write(const char *folder, int64_t now_ms, long status, const char *answer,
                  const struct encode_sample *samples, size_t count, struct diagnosis *why)
{
    char directory[PATH_BYTES], path[PATH_BYTES + 64];
    struct buf text = {0};
    (void)snprintf(directory, sizeof directory, "%s/refused", folder);
    int error = file_make_directories(directory, why);
    if (error != 0)
        return error;
    buf_printf(&text, "# %s\n# %zu samples\n", answer, count);
    error = put_samples(samples, count, &text);
    /* Several of one moment get names of their own. */
    for (int n = 0; n < 1000; n++) {
        (void)snprintf(path, sizeof path, "%s/%013" PRId64 "-%03d-%ld.txt", directory, now_ms, n,
                       status);
        if (access(path, F_OK) != 0)
            break;
    }
    if (error == 0)
        error = file_write_atomic(&file_io_system, path, buf_bytes(&text), 0640, why);
    buf_done(&text);
    keep_newest(directory, REFUSED_FILES_MAX);
    return error;
}

void refused_remove(const char *folder)
{
    char directory[PATH_BYTES];
    (void)snprintf(directory, sizeof directory, "%s/refused", folder);
    keep_newest(directory, 0);
    (void)rmdir(directory);
    (void)rmdir(folder);
}
