/*
 * conntrack.c - what connection tracking had to drop, and why.
 *
 *     $ cat /proc/net/stat/nf_conntrack
 *     entries  searched found new invalid ignore delete ... insert_failed drop early_drop ...
 *     00000021  00000000 00000000 00000000 00000003 0000588a ...          a line a CPU,
 * hexadecimal
 *
 * The sum over all CPUs of the columns that are known by name: kernels have replaced some
 * (searched is clashres since 5.9).  How full the table is stands in kernel.c.
 */
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

#define COLUMNS_MOST 32

#define STAT(name) "node_nf_conntrack_stat_" name, METRIC_GAUGE
static const struct row {
    const char *column;
    struct metric metric;
} rows[] = {
    {"found", {STAT("found"), "Number of searched entries which were successful.", NULL}},
    {"invalid", {STAT("invalid"), "Number of packets seen which can not be tracked.", NULL}},
    {"ignore",
     {STAT("ignore"),
      "Number of packets seen which are already connected to a conntrack entry.", NULL}},
    {"insert", {STAT("insert"), "Number of entries inserted into the list.", NULL}},
    {"insert_failed",
     {STAT("insert_failed"),
      "Number of entries for which list insertion was attempted but failed.", NULL}},
    {"drop", {STAT("drop"), "Number of packets dropped due to conntrack failure.", NULL}},
    {"early_drop",
     {STAT("early_drop"),
      "Number of dropped conntrack entries to make room for new ones, if maximum table size "
      "was "
      "reached.",
      NULL}},
    {"search_restart",
     {STAT("search_restart"),
      "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
      NULL}},
};
#define ROWS (sizeof rows / sizeof *rows)

struct conntrack_state {
    struct procfile file;
    struct readbuf text;
    series_handle handles[ROWS];
};

static int conntrack_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct conntrack_state *conntrack = state;
    series_clear(conntrack->handles, ROWS);
    return procfile_open(&conntrack->file, env->procfs, "net/stat/nf_conntrack");
}

/* Which row each column is; ROWS: none. */
static size_t read_heading(struct span line, size_t row_of[COLUMNS_MOST])
{
    struct span word;
    size_t count = 0;
    while (count < COLUMNS_MOST && scan_word(&line, &word)) {
        size_t row = 0;
        while (row < ROWS && !span_is(word, rows[row].column))
            row++;
        row_of[count++] = row;
    }
    return count;
}

static int conntrack_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct conntrack_state *conntrack = state;
    struct span text, line;
    size_t row_of[COLUMNS_MOST];
    uint64_t sums[ROWS + 1] = {0}, value;
    bool is_there[ROWS + 1] = {false};
    int error = procfile_read(&conntrack->file, &conntrack->text, &text);
    if (error != 0)
        return error;
    if (!scan_line(&text, &line))
        return ERR_MALFORMED;
    size_t columns = read_heading(line, row_of);
    while (scan_line(&text, &line)) {
        for (size_t i = 0; i < columns && scan_hex(&line, &value); i++) {
            sums[row_of[i]] += value;
            is_there[row_of[i]] = true;
        }
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (!is_there[i])
            continue;
        if (conntrack->handles[i] == SERIES_NONE)
            conntrack->handles[i] = series_plain(out, &rows[i].metric);
        emit(out, conntrack->handles[i], (double)sums[i]);
    }
    return 0;
}

static void conntrack_stop(void *state)
{
    struct conntrack_state *conntrack = state;
    procfile_close(&conntrack->file);
    readbuf_done(&conntrack->text);
}

const struct source source_conntrack = {
    .name = "conntrack",
    .summary = "connections that tracking could not insert, or dropped",
    .needs = "/proc/net/stat/nf_conntrack: the module nf_conntrack, loaded",
    .state_bytes = sizeof(struct conntrack_state),
    .start = conntrack_start,
    .collect = conntrack_collect,
    .stop = conntrack_stop,
};
