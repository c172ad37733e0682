/*
 * command.h - orders to the ingest thread from others, which wait for the answer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/diagnosis.h"
#include "proto/wire/envelope.h"

enum command_kind { COMMAND_APPROVE, COMMAND_REVOKE, COMMAND_TOKEN, COMMAND_POLICY };

struct command {
    enum command_kind kind;
    const char *key, *job, *instance; /* job and instance NULL: as asked for */
    const struct label *labels;
    size_t label_count;
    int64_t expires_ms;
    uint64_t uses;
    char **ret_token;
    struct policy *policy; /* a reference that is handed over */
    struct diagnosis *why;
    int result;
    bool done;
    uv_cond_t finished; /* with the landing lock */
    struct command *next;
};

struct ingest;

/* Queues the command and waits until the ingest thread has carried it out. */
int command_run(struct ingest *ingest, struct command *command);
/* Ingest thread: carries out what is queued. */
void command_take_all(struct ingest *ingest);
