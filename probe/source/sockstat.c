/*
 * sockstat.c - how many sockets there are, and what memory they hold.
 *
 *     $ cat /proc/net/sockstat /proc/net/sockstat6
 *     sockets: used 229                              -> node_sockstat_sockets_used
 *     TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1      -> node_sockstat_TCP_mem (pages)
 *     TCP6: inuse 17                                    node_sockstat_TCP_mem_bytes
 *
 * Every pair of word and number counts, whatever its name.  Without IPv6 there is no sockstat6.
 */
#include <stdio.h>
#include <unistd.h>

#include "probe/source/field_set.h"
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

#define WORD_BYTES_MOST 32
#define TEXT_BYTES_MAX  128

struct sockstat_state {
    struct procfile file, file6;
    struct readbuf text;
    struct field_set fields;
    double page_bytes;
};

static int sockstat_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct sockstat_state *sockstat = state;
    sockstat->page_bytes = (double)sysconf(_SC_PAGESIZE);
    (void)procfile_open(&sockstat->file6, env->procfs, "net/sockstat6");
    return procfile_open(&sockstat->file, env->procfs, "net/sockstat");
}

static series_handle sockstat_register(struct span family, struct span item, const char *suffix,
                                       struct emitter *out)
{
    char name[TEXT_BYTES_MAX], help[TEXT_BYTES_MAX];
    int family_size = (int)span_size(family), item_size = (int)span_size(item);
    if (family_size > WORD_BYTES_MOST || item_size > WORD_BYTES_MOST)
        return SERIES_NONE;
    snprintf(name, sizeof name, "node_sockstat_%.*s_%.*s%s", family_size, family.at, item_size,
             item.at, suffix);
    if (span_is(family, "sockets"))
        snprintf(help, sizeof help, "Number of IPv4 sockets in use.");
    else
        snprintf(help, sizeof help, "Number of %.*s sockets in state %.*s%s.", family_size,
                 family.at, item_size, item.at, suffix);
    const struct metric metric = {name, METRIC_GAUGE, help, NULL};
    return series_plain(out, &metric);
}

static void sockstat_value(struct sockstat_state *sockstat, struct span family,
                           struct span item, const char *suffix, double value,
                           struct emitter *out)
{
    enum field_state seen;
    uint64_t hash = field_hash(FIELD_HASH, span_bytes(family));
    hash = field_hash(field_hash(hash, span_bytes(item)), bytes_of(suffix));
    struct field *field = field_set_touch(&sockstat->fields, hash, &seen);
    if (field == NULL)
        return;
    if (seen == FIELD_NEW)
        field->handle = sockstat_register(family, item, suffix, out);
    emit(out, field->handle, value);
}

/* False: not one line of the table's form. */
static bool sockstat_read(struct sockstat_state *sockstat, struct span text,
                          struct emitter *out)
{
    struct span line, family, item;
    double value;
    bool has_any = false;
    while (scan_line(&text, &line)) {
        if (!scan_word(&line, &family) || family.end[-1] != ':')
            continue;
        family.end--;
        while (scan_word(&line, &item) && scan_number(&line, &value)) {
            has_any = true;
            sockstat_value(sockstat, family, item, "", value, out);
            if (span_is(item, "mem"))
                sockstat_value(sockstat, family, item, "_bytes", value * sockstat->page_bytes,
                               out);
        }
    }
    return has_any;
}

static int sockstat_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct sockstat_state *sockstat = state;
    struct span text;
    int error = procfile_read(&sockstat->file, &sockstat->text, &text);
    if (error != 0)
        return error;
    field_set_begin(&sockstat->fields);
    if (!sockstat_read(sockstat, text, out))
        return ERR_MALFORMED;
    if (procfile_read(&sockstat->file6, &sockstat->text, &text) == 0)
        (void)sockstat_read(sockstat, text, out);
    field_set_sweep(&sockstat->fields, out);
    return 0;
}

static void sockstat_stop(void *state)
{
    struct sockstat_state *sockstat = state;
    procfile_close(&sockstat->file);
    procfile_close(&sockstat->file6);
    readbuf_done(&sockstat->text);
    field_set_done(&sockstat->fields);
}

const struct source source_sockstat = {
    .name = "sockstat",
    .summary = "sockets by protocol and the memory they hold",
    .needs = "/proc/net/sockstat",
    .state_bytes = sizeof(struct sockstat_state),
    .start = sockstat_start,
    .collect = sockstat_collect,
    .stop = sockstat_stop,
};
