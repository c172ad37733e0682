/*
 * syslog.c - probe/syslog/syslog.h where nobody listens: a Windows host is no relay for other
 * devices' messages.
 */
#include "probe/syslog/syslog.h"

#include "proto/base/config.h"
#include "proto/base/error.h"

void syslog_source_set_key(void *state, const struct redact_key *key)
{
    (void)state;
    (void)key;
}

static int syslog_configure(void *state, struct config *config, const struct config_node *node,
                            struct diagnosis *why)
{
    (void)state;
    return node == NULL ? 0
                        : config_complain(config, node, why,
                                          "sources.syslog: not on Windows; let a Linux host listen");
}

static int syslog_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)state;
    (void)env;
    (void)out;
    return ERR_NOTFOUND;
}

static int syslog_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)state;
    (void)env;
    (void)out;
    return 0;
}

const struct source source_syslog = {
    .name = "syslog",
    .summary = "not on Windows",
    .needs = "Linux",
    .configure = syslog_configure,
    .start = syslog_start,
    .is_optional = true,
    .collect = syslog_collect,
};
