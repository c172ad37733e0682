/*
 * textfile.c - metrics that other programs leave in files: node_exporter's textfile collector.
 *
 *     sources:
 *       textfile: {directories: [/var/lib/fengsui/textfile]}
 *
 * Every *.prom file of the folders counts (textfile_merge.h says how).  Writers put a file
 * beside its place and rename it.  The folders are looked through at every tick; files are read
 * only when one of them has come, gone or changed, and between changes a sample takes 32 bytes.
 * A series that is no longer in any file ends.
 *
 * A folder that probe.yml names and that cannot be read is an error (scrape_error 1); the
 * default one may be missing.  Folders may lie on a dead server: gather() is on a worker.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/source/series.h"
#include "probe/source/source.h"
#include "probe/source/sysfile.h"
#include "probe/source/textfile_merge.h"
#include "proto/base/config.h"
#include "proto/base/error.h"

#define DEFAULT_DIRECTORY "/var/lib/fengsui/textfile"
#define FILES_MOST        ((size_t)1000)
#define READS_MOST        5 /* of files that change while they are read */

static const struct metric scrape_error = {
    "node_textfile_scrape_error", METRIC_GAUGE,
    "1 if there was an error opening or reading a file, 0 otherwise", NULL};

struct textfile_sample {
    series_handle handle;
    double value;
};

struct textfile_state {
    /* fixed after configure() */
    char **directories; /* none: the default one */
    size_t directory_count;
    /* gather() and collect() in turn, never at once */
    struct textfile_merge merge;
    bool is_fresh; /* merge.samples are to be taken over */
    uint64_t fingerprint;
    bool has_read;
    char **paths; /* while files are read, sorted */
    size_t path_count, path_capacity;
    const char *directory; /* that is being walked */
    uint64_t look;         /* its fingerprint so far */
    /* collect() */
    struct field_set known;
    struct textfile_sample *samples;
    size_t sample_count;
    series_handle error;
    bool has_duplicates;
};

struct textfile_options {
    struct config_strings directories;
    struct source_common_options common;
};

static const struct config_option options_table[] = {
    {"directories", CONFIG_FILES, offsetof(struct textfile_options, directories),
     .help = "folders of *.prom files"},
    SOURCE_COMMON_OPTIONS(offsetof(struct textfile_options, common)),
};

static int keep_directories(struct textfile_state *text, const struct config_strings *names)
{
    text->directories = calloc(names->count + 1, sizeof *text->directories);
    if (text->directories == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < names->count; i++) {
        text->directories[i] = strdup(names->items[i]);
        if (text->directories[i] == NULL)
            return ERR_NOMEM;
        text->directory_count++;
    }
    return 0;
}

static int textfile_configure(void *state, struct config *config,
                              const struct config_node *node, struct diagnosis *why)
{
    struct textfile_state *text = state;
    struct textfile_options options = {0};
    if (node == NULL)
        return 0;
    int error = config_read(config, node, "sources.textfile", options_table,
                            sizeof options_table / sizeof *options_table, &options, why);
    return error == 0 ? keep_directories(text, &options.directories) : error;
}

static int textfile_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct textfile_state *text = state;
    /* The default folder belongs to this host; a recorded tree has none. */
    if (!env->live && text->directory_count == 0)
        return ERR_NOTFOUND;
    text->error = series_plain(out, &scrape_error);
    return 0;
}

static bool is_wanted(const char *name)
{
    size_t size = strlen(name);
    return size > strlen(".prom") && strcmp(name + size - strlen(".prom"), ".prom") == 0;
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
    return field_hash(hash, (struct bytes){(const uint8_t *)&number, sizeof number});
}

/* Adds what tells a changed file from an unchanged one; the order of files means nothing. */
static void look_at(void *context, int fd, const char *name)
{
    struct textfile_state *text = context;
    struct stat about = {0};
    if (!is_wanted(name))
        return;
    uint64_t hash =
        field_hash(field_hash(FIELD_HASH, bytes_of(text->directory)), bytes_of(name));
    if (fstatat(fd, name, &about, 0) == 0) {
        hash = hash_number(hash, (uint64_t)about.st_dev);
        hash = hash_number(hash, (uint64_t)about.st_ino);
        hash = hash_number(hash, (uint64_t)about.st_size);
        hash = hash_number(hash, (uint64_t)about.st_mtim.tv_sec);
        hash = hash_number(hash, (uint64_t)about.st_mtim.tv_nsec);
    }
    text->look += hash;
}

static void remember(void *context, int fd, const char *name)
{
    struct textfile_state *text = context;
    char path[PATH_MAX];
    (void)fd;
    int size = snprintf(path, sizeof path, "%s/%s", text->directory, name);
    if (!is_wanted(name) || size < 0 || (size_t)size >= sizeof path ||
        text->path_count == FILES_MOST)
        return;
    if (text->path_count == text->path_capacity) {
        size_t capacity = text->path_capacity > 0 ? text->path_capacity * 2 : 16;
        char **grown = reallocarray(text->paths, capacity, sizeof *grown);
        if (grown == NULL)
            return;
        text->paths = grown;
        text->path_capacity = capacity;
    }
    text->paths[text->path_count] = strdup(path);
    text->path_count += text->paths[text->path_count] != NULL;
}

/* Walks every folder.  Returns how many cannot be read. */
static size_t walk_directories(struct textfile_state *text, const struct source_env *env,
                               void (*each)(void *context, int fd, const char *name))
{
    char fallback[PATH_MAX];
    bool is_default = text->directory_count == 0;
    size_t count = is_default ? 1 : text->directory_count, failed = 0;
    const char *root = strcmp(env->rootfs, "/") == 0 ? "" : env->rootfs;
    snprintf(fallback, sizeof fallback, "%s" DEFAULT_DIRECTORY, root);
    for (size_t i = 0; i < count; i++) {
        int fd;
        text->directory = is_default ? fallback : text->directories[i];
        int error = directory_open(AT_FDCWD, text->directory, &fd);
        if (error == 0) {
            error = directory_walk(fd, each, text);
            close(fd);
        }
        if (error == 0 || (is_default && error == ERR_NOTFOUND))
            continue;
        failed++;
        (void)diagnose(&text->merge.why, error, "%s: %s", text->directory, error_text(error));
    }
    text->directory = NULL;
    return failed;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void forget_paths(struct textfile_state *text)
{
    for (size_t i = 0; i < text->path_count; i++)
        free(text->paths[i]);
    free(text->paths);
    text->paths = NULL;
    text->path_count = text->path_capacity = 0;
}

/* False: a file changed while it was read. */
static bool read_all(struct textfile_state *text, const struct source_env *env, bool is_last)
{
    bool is_steady = true;
    textfile_merge_begin(&text->merge);
    size_t failed = walk_directories(text, env, remember);
    if (text->path_count > 1)
        qsort(text->paths, text->path_count, sizeof *text->paths, compare_paths);
    for (size_t i = 0; i < text->path_count && (is_steady || is_last); i++)
        is_steady = textfile_merge_file(&text->merge, text->paths[i]) && is_steady;
    text->merge.left_out += failed;
    forget_paths(text);
    return is_steady;
}

static int textfile_gather(void *state, const struct source_env *env)
{
    struct textfile_state *text = state;
    text->look = FIELD_HASH;
    size_t failed = walk_directories(text, env, look_at);
    text->look = hash_number(text->look, failed);
    if (text->has_read && text->look == text->fingerprint)
        return 0;
    bool is_steady = false;
    for (int i = 1; i <= READS_MOST && !is_steady; i++)
        is_steady = read_all(text, env, i == READS_MOST);
    text->is_fresh = true;
    text->has_read = is_steady;
    text->fingerprint = text->look;
    return 0;
}

/* Registers what the files hold now; the texts are not needed after it. */
static int take_over(struct textfile_state *text, struct emitter *out)
{
    struct textfile_merge *merge = &text->merge;
    struct readings_cursor cursor = {0};
    struct reading row;
    enum field_state seen;
    size_t count = 0;

    struct textfile_sample *samples =
        reallocarray(text->samples, merge->samples.count + 1, sizeof *samples);
    if (samples == NULL)
        return ERR_NOMEM;
    text->samples = samples;
    text->has_duplicates = false;
    field_set_begin(&text->known);
    while (readings_next(&merge->samples, &cursor, &row)) {
        struct field *field = field_set_touch(&text->known, row.hash, &seen);
        if (field == NULL)
            break;
        if (seen == FIELD_AGAIN) {
            text->has_duplicates = true;
            (void)diagnose(&merge->why, ERR_CONFLICT,
                           "%s: two samples with the same labels; the first counts",
                           row.metric.name);
            continue;
        }
        if (row.metric.help[0] == '\0')
            row.metric.help = textfile_merge_help(merge, row.metric.name);
        if (seen == FIELD_NEW)
            field->handle = emitter_series(out, &row.metric, row.labels, row.label_count);
        samples[count++] = (struct textfile_sample){field->handle, row.value};
    }
    field_set_sweep(&text->known, out);
    text->sample_count = count;
    text->is_fresh = false;
    readings_done(&merge->samples);
    readings_done(&merge->file);
    return 0;
}

static int textfile_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct textfile_state *text = state;
    int error = text->is_fresh ? take_over(text, out) : 0;
    if (error != 0)
        return error;
    for (size_t i = 0; i < text->sample_count; i++)
        emit(out, text->samples[i].handle, text->samples[i].value);
    emit(out, text->error, text->merge.left_out > 0 || text->has_duplicates);
    return readings_emit(&text->merge.times, out);
}

static const char *textfile_complaint(const void *state)
{
    const struct textfile_state *text = state;
    return text->merge.left_out > 0 || text->has_duplicates ? text->merge.why.text : NULL;
}

static void textfile_stop(void *state)
{
    struct textfile_state *text = state;
    textfile_merge_done(&text->merge);
    field_set_done(&text->known);
    forget_paths(text);
    free(text->samples);
    for (size_t i = 0; i < text->directory_count; i++)
        free(text->directories[i]);
    free(text->directories);
}

const struct source source_textfile = {
    .name = "textfile",
    .summary = "metrics that other programs leave in *.prom files",
    .state_bytes = sizeof(struct textfile_state),
    .blocking = true,
    .configure = textfile_configure,
    .start = textfile_start,
    .gather = textfile_gather,
    .collect = textfile_collect,
    .complaint = textfile_complaint,
    .stop = textfile_stop,
};
