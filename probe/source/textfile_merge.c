/*
 * textfile_merge.c - metrics that other programs left in files (textfile_merge.h).
 */
#include "probe/source/textfile_merge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "proto/exposition/exposition.h"

#define PIECE_BYTES ((size_t)16 << 10)

static const struct metric file_time = {"node_textfile_mtime_seconds", METRIC_GAUGE,
                                        "Unixtime mtime of textfiles successfully read.", NULL};

/* What reading one file takes; made for a change and freed after it. */
struct desk {
    struct exposition parser;
    uint8_t line[EXPOSITION_LINE_BYTES];
    uint8_t piece[PIECE_BYTES];
    char name[NAME_BYTES_MAX + 1], help[HELP_BYTES_MAX + 1];
};

static void families_clear(struct textfile_merge *merge)
{
    for (size_t i = 0; i < merge->family_count; i++)
        buf_done(&merge->families[i].read_from);
    merge->family_count = 0;
}

void textfile_merge_begin(struct textfile_merge *merge)
{
    readings_begin(&merge->samples);
    readings_begin(&merge->times);
    families_clear(merge);
    merge->left_out = 0;
    merge->why.text[0] = '\0';
}

static void add_sample(struct textfile_merge *merge, struct desk *desk,
                       const struct exposition_sample *sample)
{
    const struct exposition_family *family = sample->family;
    memcpy(desk->name, sample->name.data, sample->name.size);
    desk->name[sample->name.size] = '\0';
    size_t help_size = family != NULL ? family->help.size : 0;
    if (help_size > 0)
        memcpy(desk->help, family->help.data, help_size);
    desk->help[help_size] = '\0';
    const struct metric metric = {
        .name = desk->name,
        .help = desk->help,
        .type =
            family != NULL && family->type != METRIC_UNKNOWN ? family->type : METRIC_UNTYPED,
    };
    readings_add(&merge->file, &metric, sample->value, sample->labels, sample->label_count);
}

/* One event of the parser; 0 to go on. */
static int take_event(struct textfile_merge *merge, struct desk *desk, int event,
                      const struct exposition_sample *sample)
{
    if (event < 0)
        return event;
    if (event != EXPOSITION_SAMPLE)
        return 0;
    if (sample->has_time)
        return diagnose(
            &merge->why, ERR_INVALID, "%s:%llu: a timestamp, which a text file may not have",
            desk->parser.source, (unsigned long long)exposition_line(&desk->parser));
    if (merge->samples.count + merge->file.count >= TEXTFILE_SAMPLES_MOST)
        return diagnose(&merge->why, ERR_LIMIT, "%s: more than %zu samples in all text files",
                        desk->parser.source, TEXTFILE_SAMPLES_MOST);
    add_sample(merge, desk, sample);
    return 0;
}

static int parse_piece(struct textfile_merge *merge, struct desk *desk, struct bytes piece)
{
    struct exposition_sample sample;
    for (;;) {
        int event = exposition_next(&desk->parser, &piece, &sample, &merge->why);
        if (event == EXPOSITION_MORE)
            return 0;
        int error = take_event(merge, desk, event, &sample);
        if (error != 0)
            return error;
    }
}

/* More text than a list of readings holds, or no memory for it. */
static int too_much(struct textfile_merge *merge, const char *path)
{
    return diagnose(&merge->why, ERR_LIMIT,
                    "%s: no room for its names, labels and help texts; left out", path);
}

/* The whole of `fd` into merge->file. */
static int parse_file(struct textfile_merge *merge, struct desk *desk, int fd, const char *path)
{
    uint8_t last = '\n';
    uint64_t total = 0;
    exposition_init(&desk->parser, EXPOSITION_PROMETHEUS, path, desk->line, sizeof desk->line);
    readings_begin(&merge->file);
    for (;;) {
        ssize_t got = read(fd, desk->piece, sizeof desk->piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return diagnose(&merge->why, ERR_IO, "%s: %s", path, strerror(errno));
        if (got == 0)
            break;
        total += (uint64_t)got;
        if (total > TEXTFILE_BYTES_MOST)
            return diagnose(&merge->why, ERR_LIMIT, "%s: larger than %llu bytes", path,
                            (unsigned long long)TEXTFILE_BYTES_MOST);
        last = desk->piece[got - 1];
        int error = parse_piece(merge, desk, (struct bytes){desk->piece, (size_t)got});
        if (error != 0)
            return error;
    }
    if (last != '\n')
        return diagnose(&merge->why, ERR_MALFORMED,
                        "%s: ends within a line; write to another name and rename", path);
    return buf_ok(&merge->file.rows) ? 0 : too_much(merge, path);
}

/* The family of a name, made if there is none.  NULL: memory. */
static struct textfile_family *family_of(struct textfile_merge *merge, const char *name)
{
    uint64_t hash = field_hash(FIELD_HASH, bytes_of(name));
    for (size_t i = merge->family_count; i-- > 0;)
        if (merge->families[i].name_hash == hash)
            return &merge->families[i];
    if (merge->family_count == merge->family_capacity) {
        size_t capacity = merge->family_capacity > 0 ? merge->family_capacity * 2 : 32;
        struct textfile_family *grown = reallocarray(merge->families, capacity, sizeof *grown);
        if (grown == NULL)
            return NULL;
        merge->families = grown;
        merge->family_capacity = capacity;
    }
    struct textfile_family *family = &merge->families[merge->family_count++];
    *family = (struct textfile_family){.name_hash = hash, .type = METRIC_UNKNOWN};
    return family;
}

static void note_file(struct textfile_family *family, const char *path)
{
    const char *so_far = buf_text(&family->read_from);
    size_t size = family->read_from.size, path_size = strlen(path);
    if (size >= path_size && strcmp(so_far + size - path_size, path) == 0)
        return;
    buf_printf(&family->read_from, "%s%s", so_far[0] == '\0' ? "Metric read from " : ", ",
               path);
}

/* Does the file's description of a metric agree with those before? */
static bool agrees(struct textfile_merge *merge, struct textfile_family *family,
                   const struct reading *row, const char *path)
{
    uint64_t help_hash =
        row->metric.help[0] == '\0' ? 0 : field_hash(FIELD_HASH, bytes_of(row->metric.help));
    bool is_first = family->type == METRIC_UNKNOWN;
    if (is_first)
        family->type = row->metric.type;
    if (is_first || family->help_hash == 0)
        family->help_hash = help_hash;
    if (family->type == row->metric.type && (help_hash == 0 || help_hash == family->help_hash))
        return true;
    if (!family->is_left_out) {
        merge->left_out++;
        (void)diagnose(&merge->why, ERR_CONFLICT,
                       "%s: %s of %s is not what another file says; left out", path,
                       family->type != row->metric.type ? "the type" : "the help text",
                       row->metric.name);
    }
    family->is_left_out = true;
    return false;
}

/* Adds the file's rows to the others'; all of them or none. */
static int merge_rows(struct textfile_merge *merge, const char *path)
{
    struct readings_cursor cursor = {0};
    struct reading row;
    struct readings *all = &merge->samples;
    size_t size = all->rows.size, count = all->count;
    for (size_t i = 0; i < merge->family_count; i++)
        merge->families[i].is_left_out = false;
    while (readings_next(&merge->file, &cursor, &row)) {
        struct textfile_family *family = family_of(merge, row.metric.name);
        if (family == NULL || !agrees(merge, family, &row, path))
            continue;
        note_file(family, path);
        readings_add(all, &row.metric, row.value, row.labels, row.label_count);
    }
    if (buf_ok(&all->rows))
        return 0;
    all->rows.failed = false;
    all->rows.size = size;
    all->count = count;
    return too_much(merge, path);
}

static void leave_out(struct textfile_merge *merge, const char *path)
{
    merge->left_out++;
    if (merge->why.text[0] == '\0')
        (void)diagnose(&merge->why, ERR_MALFORMED, "%s: not read", path);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* False: it changed under our hands. */
static bool read_open(struct textfile_merge *merge, struct desk *desk, int fd, const char *path)
{
    struct stat before, after;
    if (fstat(fd, &before) != 0 || !S_ISREG(before.st_mode)) {
        (void)diagnose(&merge->why, ERR_INVALID, "%s: no regular file", path);
        leave_out(merge, path);
        return true;
    }
    int error = parse_file(merge, desk, fd, path);
    if (fstat(fd, &after) != 0 || !is_same(&before, &after))
        return false;
    if (error == 0)
        error = merge_rows(merge, path);
    if (error != 0) {
        leave_out(merge, path);
        return true;
    }
    /* Whole seconds, as node_exporter has them. */
    readings_add_one(&merge->times, &file_time, (double)after.st_mtim.tv_sec, "file",
                     bytes_of(path));
    return true;
}

bool textfile_merge_file(struct textfile_merge *merge, const char *path)
{
    int fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        (void)diagnose(&merge->why, ERR_IO, "%s: %s", path, strerror(errno));
        leave_out(merge, path);
        return true;
    }
    struct desk *desk = malloc(sizeof *desk);
    bool is_done = true;
    if (desk != NULL)
        is_done = read_open(merge, desk, fd, path);
    else
        leave_out(merge, path);
    free(desk);
    close(fd);
    return is_done;
}

const char *textfile_merge_help(struct textfile_merge *merge, const char *name)
{
    struct textfile_family *family = family_of(merge, name);
    return family != NULL ? buf_text(&family->read_from) : "";
}

void textfile_merge_done(struct textfile_merge *merge)
{
    families_clear(merge);
    free(merge->families);
    readings_done(&merge->samples);
    readings_done(&merge->times);
    readings_done(&merge->file);
    *merge = (struct textfile_merge){0};
}
