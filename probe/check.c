/*
 * check.c - `--check`: is what was configured usable, and what can this user not see?
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/check_sources.h"
#include "probe/host.h"
#include "probe/probe.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

/* What a fresh installation has not been given yet: no fault of the configuration. */
static void report_missing(const struct options *options)
{
    if (options->collector_key[0] == '\0')
        (void)printf("collector's public key%s%s: missing: the probe does not start before it "
                     "is there (DATA/keys/collector.pub over there)\n",
                     options->missing_key == NULL ? "" : " ",
                     options->missing_key == NULL ? "" : options->missing_key);
    if (options->token[0] == '\0')
        (void)printf("enrolment token%s%s: missing: a new host waits until somebody approves "
                     "it\n",
                     options->missing_token == NULL ? "" : " ",
                     options->missing_token == NULL ? "" : options->missing_token);
}

/* What a policy of the collector may change here. */
static void report_allowed(const struct options *options)
{
    char text[DURATION_TEXT_BYTES];
    const struct options_allow *allow = &options->allow;
    (void)printf("the collector's policy may: pace and switch %s, every %s at the least; tail ",
                 allow->all_sources                                     ? "every source"
                 : allow->sources == NULL || allow->sources->count == 0 ? "no source"
                                                                        : "some sources",
                 duration_format(allow->interval_least_ms, text));
    for (size_t i = 0; i < allow->files.count; i++)
        (void)printf("%s%s", i == 0 ? "" : ", ", allow->files.items[i]);
    (void)printf("%s\n", allow->files.count == 0 ? "no file" : "");
}

/* Can the probe keep its key and spool there?  A folder that is missing is made, with those
 * above it: in the nearest that is there. */
static const char *state_folder(const char *path)
{
    char above[4096];
    if (access(path, W_OK | X_OK) == 0)
        return "writable";
    if (errno != ENOENT || strlen(path) >= sizeof above)
        return "NOT writable for this user";
    (void)strcpy(above, path);
    for (char *slash = strrchr(above, '/'); slash != NULL; slash = strrchr(above, '/')) {
        slash[slash == above] = '\0'; /* the root keeps its name */
        if (access(above, W_OK | X_OK) == 0)
            return "will be made";
        if (errno != ENOENT || slash == above)
            break;
    }
    return "is missing, and this user may NOT make it";
}

int probe_check(struct options *options, struct diagnosis *why)
{
    int error = check_sources_configure(options, why);
    if (error != 0)
        return error;
    size_t on = 0;
    for (size_t i = 0; i < options->source_count; i++)
        on += options->sources[i].is_on;
    (void)printf("configuration: good (%zu sources, collector %s)\n", on, options->endpoint);
    report_missing(options);
    report_allowed(options);
    (void)printf("state folder %s: %s\n", options->state, state_folder(options->state));
    error = host_report_rights(why);
    return error == 0 ? check_sources_report(options, why) : error;
}
