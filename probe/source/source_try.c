/*
 * source_try.c - would a source take this configuration?
 */
#include <stdlib.h>

#include "probe/source/source.h"
#include "proto/base/error.h"

int source_try(const struct source *source, struct config *config,
               const struct config_node *node, struct diagnosis *why)
{
    void *state = calloc(1, source->state_bytes == 0 ? 1 : source->state_bytes);
    if (state == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    int error = source->configure == NULL ? 0 : source->configure(state, config, node, why);
    if (source->stop != NULL)
        source->stop(state);
    free(state);
    return error;
}
