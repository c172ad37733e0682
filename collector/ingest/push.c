/*
 * push.c - which policy each host should have, and getting it there.
 *
 *     policy.yml, labels, time -> plan -> document -> hash
 *         another hash than the host's row -> a new version, stored, then sent
 *         Hello names another version      -> sent again
 *
 *     state rows:   policy/ KEY(32)    u64 version, u64 XXH3 of the document
 *
 * A version is the time of the decision in Unix milliseconds, or one more than the last where
 * that is more: so it also exceeds what was given out by a collector whose data were lost or
 * replaced by a backup.  (Where even that fails, a clock that was wrong, Hello tells what the
 * probe has, and the next version is above it.)  The row is durable before the document is
 * sent; documents themselves are not kept, the same rules give the same again.
 *
 * A Policy may be lost like any message: it is sent again until Hello says that it is in force.
 * What is not in force after all (a probe that refuses the document) is shown, and costs one
 * message a while.
 */
#include <stdlib.h>
#include <xxhash.h>

#include "collector/ingest/state.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define PREFIX         "policy/"
#define ROW_KEY_BYTES  (sizeof PREFIX - 1 + CURVE_KEY_BYTES)
#define ROW_BYTES      16
#define DECISIONS_MAX  1000 /* rows of one write */
#define SEND_AGAIN_NS  ((mono_ns)10 * 1000 * NS_PER_MS)
#define PLAN_BYTES_MAX ((size_t)8 << 20)

/* -- what a host gets -----------------------------------------------------------------------
 */

int push_plan(struct ingest *ingest, const struct key_entry *entry, int64_t at_ms,
              struct arena *arena, struct policy_plan *ret_plan)
{
    const struct policy_host host = {entry->job, entry->instance, entry->labels,
                                     entry->label_count};
    *ret_plan = (struct policy_plan){0};
    return ingest->policy == NULL ? 0
                                  : policy_plan(ingest->policy, &host, at_ms, arena, ret_plan);
}

/* The document; `out` is cleared first.  ERR_NOMEM, ERR_LIMIT. */
static int compile(struct ingest *ingest, const struct key_entry *entry, struct buf *out)
{
    struct arena arena;
    struct policy_plan plan;
    arena_init(&arena, PLAN_BYTES_MAX);
    int error = push_plan(ingest, entry, ingest->policy_settled_ms, &arena, &plan);
    buf_clear(out);
    if (error == 0)
        policy_print_document(&plan, out);
    arena_reset(&arena);
    if (error == 0 && !buf_ok(out))
        error = ERR_NOMEM;
    return error == 0 && out->size > POLICY_BYTES_MAX ? ERR_LIMIT : error;
}

/* -- deciding -------------------------------------------------------------------------------
 */

struct decision {
    struct key_entry *entry;
    uint64_t version, hash;
    uint8_t key[ROW_KEY_BYTES], row[ROW_BYTES];
};

struct round {
    struct ingest *ingest;
    struct buf document;
    struct decision *decisions; /* DECISIONS_MAX */
    struct store_put *puts;
    size_t count;
    bool is_incomplete;
};

static void round_done(struct round *round)
{
    buf_done(&round->document);
    free(round->decisions);
    free(round->puts);
}

static int round_begin(struct round *round, struct ingest *ingest, size_t capacity)
{
    *round = (struct round){.ingest = ingest};
    round->decisions = calloc(capacity, sizeof *round->decisions);
    round->puts = calloc(capacity, sizeof *round->puts);
    if (round->decisions != NULL && round->puts != NULL)
        return 0;
    round_done(round);
    return ERR_NOMEM;
}

static void put_u64(uint8_t *to, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_u64(const uint8_t *from)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | from[i];
    return value;
}

/* Stores what was decided, and lets it hold. */
static void round_commit(struct round *round)
{
    struct ingest *ingest = round->ingest;
    if (round->count == 0)
        return;
    struct store_write write = {.puts = round->puts, .put_count = round->count};
    int error = store_write_wait(ingest->store, &write);
    if (error != 0)
        log_error("policy", "versions of %zu hosts cannot be stored, tried again: %s",
                  round->count, error_text(error));
    round->is_incomplete |= error != 0;
    for (size_t i = 0; error == 0 && i < round->count; i++) {
        struct key_entry *entry = round->decisions[i].entry;
        entry->policy_version = round->decisions[i].version;
        entry->policy_hash = round->decisions[i].hash;
        entry->policy_sent_mono_ns = 0;
    }
    round->count = 0;
}

/* Does the host need another version than it has? */
static void decide(struct round *round, struct key_entry *entry)
{
    struct ingest *ingest = round->ingest;
    if (entry->standing != KEY_APPROVED)
        return;
    int error = compile(ingest, entry, &round->document);
    if (error != 0) {
        log_error("policy", "%s keeps the policy it has: %s", entry->instance,
                  error == ERR_LIMIT ? "its part of the new one is larger than 1 MiB"
                                     : error_text(error));
        round->is_incomplete |= error == ERR_NOMEM;
        return;
    }
    uint64_t hash = XXH3_64bits(round->document.data, round->document.size);
    uint64_t highest = entry->policy_in_force > entry->policy_version ? entry->policy_in_force
                                                                      : entry->policy_version;
    bool is_same = highest == 0
                       ? round->document.size == 0
                       : entry->policy_hash == hash && highest == entry->policy_version;
    if (is_same)
        return;
    int64_t now_ms = clock_unix_ms(ingest->clock);
    struct decision *decision = &round->decisions[round->count];
    decision->entry = entry;
    decision->hash = hash;
    decision->version =
        now_ms > 0 && (uint64_t)now_ms > highest ? (uint64_t)now_ms : highest + 1;
    memcpy(decision->key, PREFIX, sizeof PREFIX - 1);
    memcpy(decision->key + sizeof PREFIX - 1, entry->key, CURVE_KEY_BYTES);
    put_u64(decision->row, decision->version);
    put_u64(decision->row + 8, decision->hash);
    round->puts[round->count++] =
        (struct store_put){{decision->key, ROW_KEY_BYTES}, {decision->row, ROW_BYTES}};
}

/* -- sending --------------------------------------------------------------------------------
 */

static void send_policy(struct ingest *ingest, struct session *session, mono_ns now)
{
    struct key_entry *entry = session->entry;
    struct buf document = {0};
    if (entry->policy_version == 0 || entry->policy_in_force == entry->policy_version ||
        (entry->policy_sent_mono_ns != 0 && now - entry->policy_sent_mono_ns < SEND_AGAIN_NS))
        return;
    /* What was decided is what the same rules give now; if not, deciding comes first. */
    if (compile(ingest, entry, &document) == 0 &&
        XXH3_64bits(document.data, document.size) == entry->policy_hash) {
        const struct envelope envelope = {
            .kind = ENVELOPE_POLICY,
            .policy = {.version = entry->policy_version, .document = buf_bytes(&document)}};
        entry->policy_sent_mono_ns = now;
        (void)session_send(ingest, session, &envelope);
    }
    buf_done(&document);
}

static void send_all(struct ingest *ingest, mono_ns now)
{
    for (struct session *session = ingest->sessions; session != NULL; session = session->next)
        send_policy(ingest, session, now);
}

/* -- when -----------------------------------------------------------------------------------
 */

static void decide_each(void *context, struct key_entry *entry)
{
    struct round *round = context;
    decide(round, entry);
    if (round->count == DECISIONS_MAX)
        round_commit(round);
}

/* Decides for every host, and sends what is new. */
static void settle(struct ingest *ingest)
{
    struct round round;
    int64_t now_ms = clock_unix_ms(ingest->clock);
    ingest->policy_is_unsettled = true;
    ingest->policy_settled_ms = now_ms;
    ingest->policy_border_ms =
        ingest->policy == NULL ? INT64_MAX : policy_next_border(ingest->policy, now_ms);
    if (round_begin(&round, ingest, DECISIONS_MAX) != 0)
        return;
    keys_each(&ingest->keys, decide_each, &round);
    round_commit(&round);
    ingest->policy_is_unsettled = round.is_incomplete;
    round_done(&round);
    send_all(ingest, clock_mono(ingest->clock));
}

void push_set(struct ingest *ingest, struct policy *policy)
{
    policy_unref(ingest->policy);
    ingest->policy = policy;
    settle(ingest);
}

void push_hello(struct ingest *ingest, struct session *session, uint64_t version)
{
    struct round round;
    session->entry->policy_in_force = version;
    if (round_begin(&round, ingest, 1) != 0) {
        ingest->policy_is_unsettled = true;
        return;
    }
    if (ingest->policy_settled_ms == 0)
        ingest->policy_settled_ms = clock_unix_ms(ingest->clock);
    decide(&round, session->entry);
    round_commit(&round);
    ingest->policy_is_unsettled |= round.is_incomplete;
    round_done(&round);
    session->entry->policy_sent_mono_ns = 0; /* a new connection has nothing under way */
    send_policy(ingest, session, clock_mono(ingest->clock));
}

void push_timer(struct ingest *ingest, mono_ns now)
{
    int64_t now_ms = clock_unix_ms(ingest->clock);
    /* A clock that was set back may be before a border again. */
    if (ingest->policy_is_unsettled || now_ms >= ingest->policy_border_ms ||
        now_ms < ingest->policy_settled_ms)
        settle(ingest);
    else
        send_all(ingest, now);
}

static int load_row(void *context, struct bytes key, struct bytes value)
{
    struct ingest *ingest = context;
    if (key.size != ROW_KEY_BYTES || value.size != ROW_BYTES)
        return ERR_CORRUPT;
    struct key_entry *entry = keys_find(&ingest->keys, key.data + sizeof PREFIX - 1);
    if (entry == NULL)
        return 0;
    entry->policy_version = get_u64(value.data);
    entry->policy_hash = get_u64(value.data + 8);
    return 0;
}

int push_load(struct ingest *ingest, struct diagnosis *why)
{
    int error = store_state_scan(ingest->store, bytes_of(PREFIX), load_row, ingest);
    return error == 0 ? 0
                      : diagnose(why, error, "loading the versions of policies: %s",
                                 error_text(error));
}
