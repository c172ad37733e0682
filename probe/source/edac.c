/*
 * edac.c - memory errors that the hardware corrected, and those it could not.
 *
 *     /sys/devices/system/edac/mc/mc0/{ce,ue,ce_noinfo,ue_noinfo}_count
 *                                    /csrow1/{ce,ue}_count
 *                                    /csrow1/ch0_{ce_count,ue_count,dimm_label}
 *
 * A controller, its rows, the channels of a row (a module each).  What no row could be found
 * for is the row "unknown".  A label is written as node_exporter does: without '#', and with
 * "_" before "csrow" and "channel" ("mc#0csrow#1channel#0" is "mc0_csrow1_channel0").
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/source/sysfile.h"

#define NUMBER_BYTES 24
#define LABEL_BYTES  (2 * SYSFILE_BYTES)

enum { CORRECTABLE, UNCORRECTABLE, KINDS };
static const char *const prefixes[KINDS] = {"ce", "ue"};

#define ERRORS(part, which)                                                                    \
    {                                                                                          \
        {"node_edac_" part "correctable_errors_total", METRIC_COUNTER,                         \
         "Total correctable memory errors" which ".", NULL},                                   \
        {                                                                                      \
            "node_edac_" part "uncorrectable_errors_total", METRIC_COUNTER,                    \
                "Total uncorrectable memory errors" which ".", NULL                            \
        }                                                                                      \
    }
static const struct metric controller_errors[KINDS] = ERRORS("", "");
static const struct metric row_errors[KINDS] = ERRORS("csrow_", " for this csrow");
static const struct metric channel_errors[KINDS] = ERRORS("channel_", " for this channel");

struct edac_state {
    struct sysfs_source folder;
    char controller[NUMBER_BYTES], row[NUMBER_BYTES]; /* that are being read */
};

static int edac_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    return sysfs_source_open(&((struct edac_state *)state)->folder, env,
                             "devices/system/edac/mc");
}

/* "7" of "csrow7". */
static bool take_number(const char *name, const char *prefix, char number[NUMBER_BYTES])
{
    struct span rest = span_text(name), digits;
    uint64_t value;
    if (!scan_text(&rest, prefix))
        return false;
    digits = rest;
    if (rest.at == rest.end || *rest.at == ' ' || !scan_u64(&rest, &value) ||
        rest.at != rest.end || span_size(digits) >= NUMBER_BYTES)
        return false;
    memcpy(number, digits.at, span_size(digits) + 1);
    return true;
}

static void put_label(struct span text, char label[LABEL_BYTES])
{
    size_t size = 0;
    char clean[SYSFILE_BYTES];
    size_t clean_size = text_clean(span_bytes(text), clean, sizeof clean);
    for (struct span at = span_of(clean, clean_size); at.at < at.end; at.at++) {
        struct span ahead = at;
        if (*at.at == '#')
            continue;
        if (scan_text(&ahead, "csrow") || scan_text(&ahead, "channel"))
            label[size++] = '_';
        label[size++] = *at.at;
    }
    label[size] = '\0';
}

static void read_channel(void *context, int fd, const char *name)
{
    struct edac_state *edac = context;
    char path[64], room[SYSFILE_BYTES], label[LABEL_BYTES], number[NUMBER_BYTES];
    struct span text;
    double value;
    unsigned channel;
    char end;
    if (sscanf(name, "ch%u_dimm_labe%c", &channel, &end) != 2 || end != 'l' ||
        !sysfile_text(fd, name, room, &text))
        return;
    put_label(text, label);
    snprintf(number, sizeof number, "%u", channel);
    const struct label labels[] = {{bytes_of("channel"), bytes_of(number)},
                                   {bytes_of("controller"), bytes_of(edac->controller)},
                                   {bytes_of("csrow"), bytes_of(edac->row)},
                                   {bytes_of("dimm_label"), bytes_of(label)}};
    for (size_t kind = 0; kind < KINDS; kind++) {
        snprintf(path, sizeof path, "ch%u_%s_count", channel, prefixes[kind]);
        if (sysfile_number(fd, path, &value))
            readings_add(&edac->folder.list, &channel_errors[kind], value, labels, 4);
    }
}

static void add_row(struct edac_state *edac, int fd, const char *suffix, const char *row)
{
    char path[64];
    double value;
    for (size_t kind = 0; kind < KINDS; kind++) {
        snprintf(path, sizeof path, "%s%s", prefixes[kind], suffix);
        if (sysfile_number(fd, path, &value))
            readings_add_two(&edac->folder.list, &row_errors[kind], value, "controller",
                             bytes_of(edac->controller), "csrow", bytes_of(row));
    }
}

static void read_row(void *context, int fd, const char *name)
{
    struct edac_state *edac = context;
    int folder;
    if (!take_number(name, "csrow", edac->row) || directory_open(fd, name, &folder) != 0)
        return;
    add_row(edac, folder, "_count", edac->row);
    (void)directory_walk(folder, read_channel, edac);
    close(folder);
}

static void read_controller(void *context, int fd, const char *name)
{
    struct edac_state *edac = context;
    char path[64];
    double value;
    int folder;
    if (!take_number(name, "mc", edac->controller) || directory_open(fd, name, &folder) != 0)
        return;
    for (size_t kind = 0; kind < KINDS; kind++) {
        snprintf(path, sizeof path, "%s_count", prefixes[kind]);
        if (sysfile_number(folder, path, &value))
            readings_add_one(&edac->folder.list, &controller_errors[kind], value, "controller",
                             bytes_of(edac->controller));
    }
    add_row(edac, folder, "_noinfo_count", "unknown");
    (void)directory_walk(folder, read_row, edac);
    close(folder);
}

static int edac_gather(void *state, const struct source_env *env)
{
    (void)env;
    struct edac_state *edac = state;
    readings_begin(&edac->folder.list);
    return directory_walk(edac->folder.fd, read_controller, edac);
}

const struct source source_edac = {
    .name = "edac",
    .summary = "memory errors, corrected and not, by controller, row and channel",
    .needs = "/sys/devices/system/edac/mc: ECC memory with a driver",
    .state_bytes = sizeof(struct edac_state),
    .interval_ms = 15000,
    .blocking = true,
    .start = edac_start,
    .gather = edac_gather,
    .collect = sysfs_source_collect,
    .stop = sysfs_source_stop,
};
