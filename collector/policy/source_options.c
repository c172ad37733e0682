/*
 * source_options.c - what of a source a policy may set beside its interval and its switch.
 *
 * The same keys as in probe.yml; the probe has the last word (struct source, policy_options).
 * Nothing here names a file, a command or an address.
 */
#include "collector/policy/policy_parts.h"

static const char *const none[] = {NULL};
static const char *const of_processes[] = {
    "groups",  "others", "kernel_threads", "proportional_memory",
    "threads", "ports",  "expected_ports", "top",
    NULL};
static const char *const of_filesystem[] = {"exclude_mount_points", "exclude_types", NULL};
static const char *const of_devices[] = {"exclude", NULL};

static const struct {
    const char *source;
    const char *const *options;
} table[] = {
    {"processes", of_processes}, {"filesystem", of_filesystem}, {"disk", of_devices},
    {"network", of_devices},     {"network_class", of_devices},
};

const char *const *policy_source_options(const char *source)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].source, source) == 0)
            return table[i].options;
    return none;
}
