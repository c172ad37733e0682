#include "collector/ingest/command.h"

#include <sodium.h>
#include <zmq.h>

#include "collector/ingest/state.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

/* A public key as Z85 (40 characters) or hex (64). */
static bool parse_key(const char *text, uint8_t ret_key[CURVE_KEY_BYTES])
{
    size_t size = 0;
    if (strlen(text) == CURVE_TEXT_BYTES - 1)
        return zmq_z85_decode(ret_key, text) != NULL;
    return strlen(text) == 2 * CURVE_KEY_BYTES &&
           sodium_hex2bin(ret_key, CURVE_KEY_BYTES, text, strlen(text), NULL, &size, NULL) ==
               0 &&
           size == CURVE_KEY_BYTES;
}

static int approve_key(struct ingest *ingest, struct key_entry *entry, struct command *command)
{
    int error = 0;
    const bool was_revoked = entry->standing == KEY_REVOKED;
    const char *job = command->job != NULL ? command->job : entry->job;
    const char *instance = command->instance != NULL ? command->instance : entry->instance;
    if (entry->standing == KEY_APPROVED)
        return diagnose(command->why, ERR_EXISTS, "key %s is approved already as %s",
                        entry->text, entry->instance);
    if (instance == NULL)
        return diagnose(command->why, ERR_INVALID,
                        "key %s has never said its name: give an instance", entry->text);
    if (keys_find_instance(&ingest->keys, job == NULL ? "node" : job, instance) != NULL)
        return diagnose(command->why, ERR_CONFLICT, "instance \"%s\" is held by another key",
                        instance);
    if (command->job != NULL || command->instance != NULL || command->label_count > 0)
        error = keys_set_identity(entry, bytes_of(job == NULL ? "node" : job),
                                  bytes_of(instance),
                                  command->label_count > 0 ? command->labels : entry->labels,
                                  command->label_count > 0 ? command->label_count
                                                           : entry->label_count);
    if (error == 0)
        error = keys_save(&ingest->keys, ingest->store, entry, KEY_APPROVED,
                          clock_unix_ms(ingest->clock), NULL);
    if (error == 0 && was_revoked)
        silence_retire(ingest, entry, false);
    entry->heard_mono_ns = clock_mono(ingest->clock);
    return error;
}

static int revoke_key(struct ingest *ingest, struct key_entry *entry)
{
    int error = 0;
    if (entry->instance == NULL)
        error = keys_set_identity(entry, bytes_of(""), bytes_of("?"), NULL, 0);
    if (error == 0)
        error = keys_save(&ingest->keys, ingest->store, entry, KEY_REVOKED,
                          clock_unix_ms(ingest->clock), NULL);
    if (error == 0 && entry->session != NULL)
        session_end(ingest, entry->session);
    if (error == 0) {
        entry->absent = false;
        silence_retire(ingest, entry, true);
    }
    return error;
}

static int carry_out(struct ingest *ingest, struct command *command)
{
    uint8_t key[CURVE_KEY_BYTES];
    if (command->kind == COMMAND_TOKEN)
        return token_new(ingest->store, command->expires_ms, command->uses, command->labels,
                         command->label_count, command->ret_token);
    if (command->kind == COMMAND_POLICY) {
        push_set(ingest, command->policy);
        return 0;
    }
    if (!parse_key(command->key, key))
        return diagnose(command->why, ERR_INVALID,
                        "\"%s\" is no key: 40 characters of Z85 or 64 of hex", command->key);
    struct key_entry *entry = keys_find(&ingest->keys, key);
    if (entry == NULL)
        return diagnose(command->why, ERR_NOTFOUND,
                        "key %s has not been seen; see `fengsuictl keys`", command->key);
    return command->kind == COMMAND_APPROVE ? approve_key(ingest, entry, command)
                                            : revoke_key(ingest, entry);
}

void command_take_all(struct ingest *ingest)
{
    for (;;) {
        uv_mutex_lock(&ingest->landing_lock);
        struct command *command = ingest->commands;
        if (command != NULL)
            ingest->commands = command->next;
        uv_mutex_unlock(&ingest->landing_lock);
        if (command == NULL)
            return;
        int result = carry_out(ingest, command);
        if (result != 0)
            (void)diagnose(command->why, result, "%s", error_text(result));
        uv_mutex_lock(&ingest->landing_lock);
        command->result = result;
        command->done = true;
        uv_cond_signal(&command->finished);
        uv_mutex_unlock(&ingest->landing_lock);
    }
}

int command_run(struct ingest *ingest, struct command *command)
{
    if (uv_cond_init(&command->finished) != 0)
        return ERR_NOMEM;
    uv_mutex_lock(&ingest->landing_lock);
    command->next = ingest->commands;
    ingest->commands = command;
    (void)uv_async_send(&ingest->wake);
    while (!command->done)
        uv_cond_wait(&command->finished, &ingest->landing_lock);
    uv_mutex_unlock(&ingest->landing_lock);
    uv_cond_destroy(&command->finished);
    return command->result;
}

int ingest_approve(struct ingest *ingest, const char *key, const char *job,
                   const char *instance, const struct label *labels, size_t label_count,
                   struct diagnosis *why)
{
    struct command command = {.kind = COMMAND_APPROVE, .key = key, .job = job,
                              .instance = instance, .labels = labels,
                              .label_count = label_count, .why = why};
    return command_run(ingest, &command);
}

int ingest_revoke(struct ingest *ingest, const char *key, struct diagnosis *why)
{
    struct command command = {.kind = COMMAND_REVOKE, .key = key, .why = why};
    return command_run(ingest, &command);
}

int ingest_token_new(struct ingest *ingest, int64_t expires_ms, uint64_t uses,
                     const struct label *labels, size_t label_count, char **ret_token,
                     struct diagnosis *why)
{
    struct command command = {.kind = COMMAND_TOKEN, .expires_ms = expires_ms, .uses = uses,
                              .labels = labels, .label_count = label_count,
                              .ret_token = ret_token, .why = why};
    return command_run(ingest, &command);
}

void ingest_set_policy(struct ingest *ingest, struct policy *policy)
{
    struct command command = {.kind = COMMAND_POLICY, .policy = policy_ref(policy)};
    if (command_run(ingest, &command) == ERR_NOMEM)
        policy_unref(policy);
}
