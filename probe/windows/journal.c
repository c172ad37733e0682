/*
 * journal.c - probe/journal/journal.h where there is no systemd; Windows has an event log instead.
 */
#include "probe/journal/journal.h"

#include "proto/base/config.h"
#include "proto/base/error.h"

void journal_source_set_key(void *state, const struct redact_key *key)
{
    (void)state;
    (void)key;
}

static int journal_configure(void *state, struct config *config, const struct config_node *node,
                            struct diagnosis *why)
{
    (void)state;
    return node == NULL ? 0
                        : config_complain(config, node, why,
                                          "sources.journal: not on Windows");
}

static int journal_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)state;
    (void)env;
    (void)out;
    return ERR_NOTFOUND;
}

static int journal_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)state;
    (void)env;
    (void)out;
    return 0;
}

const struct source source_journal = {
    .name = "journal",
    .summary = "not on Windows",
    .needs = "Linux",
    .configure = journal_configure,
    .start = journal_start,
    .is_optional = true,
    .collect = journal_collect,
};
