/*
 * outbox.c - see outbox.h.
 */
#include "collector/notify/outbox.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "collector/notify/outbox_lane.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define PARCEL_ROW_VERSION  4
#define PARCEL_ROW_INCIDENT 3 /* knew no progress, no receipts, and not whose end it told */
#define PARCEL_ROW_PLAIN    2 /* nor incidents */
#define PARCEL_ROW_OLDEST   1
#define FLAG_TELLS_END      1
#define FLAG_AWAITS         2
#define PARCEL_ALERTS_MAX   1000000u

/* ---- parcels ----------------------------------------------------------------------------- */

const char *parcel_state_name(enum parcel_state state)
{
    return state == PARCEL_QUEUED      ? "queued"
           : state == PARCEL_ACCEPTED  ? "accepted"
           : state == PARCEL_DELIVERED ? "delivered"
           : state == PARCEL_FALLBACK  ? "fallback"
                                       : "failed";
}

int parcel_new(const char *receiver, const char *channel, unsigned index, const char *group_key,
               int64_t now_ms, struct parcel **ret_parcel)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);

    if (parcel == NULL)
        return ERR_NOMEM;
    parcel->state = PARCEL_QUEUED;
    parcel->receiver = strdup(receiver);
    parcel->channel = strdup(channel);
    parcel->group_key = strdup(group_key);
    parcel->index = index;
    parcel->created_ms = now_ms;
    if (parcel->receiver == NULL || parcel->channel == NULL || parcel->group_key == NULL) {
        parcel_free(parcel);
        return ERR_NOMEM;
    }
    parcel->lane = parcel_lane(receiver, channel, index, group_key);
    *ret_parcel = parcel;
    return 0;
}

void parcel_free(struct parcel *parcel)
{
    if (parcel == NULL)
        return;
    free(parcel->receiver);
    free(parcel->channel);
    free(parcel->group_key);
    free(parcel->firing.items);
    free(parcel->ended.items);
    free(parcel->body);
    free(parcel->progress);
    free(parcel);
}

static _Atomic int64_t newest_ms; /* of all ids */

static int64_t not_before_others(int64_t now_ms)
{
    int64_t newest = atomic_load(&newest_ms);
    while (now_ms > newest && !atomic_compare_exchange_weak(&newest_ms, &newest, now_ms))
        continue;
    return now_ms > newest ? now_ms : newest;
}

static void ids_go_on_after(const char *id)
{
    (void)not_before_others((int64_t)(strtoull(id, NULL, 16) >> 20));
}

void parcel_make_id(int64_t now_ms, char id[MESSAGE_ID_BYTES])
{
    /* Counted from where chance began: a storm makes thousands in one millisecond, and two that
     * were the same would be one row, and one message to whoever goes by the id. */
    static _Atomic uint32_t next;
    static atomic_bool has_begun;
    uint32_t chance = 0;
    if (!atomic_exchange(&has_begun, true)) {
        if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != (ssize_t)sizeof chance)
            chance = (uint32_t)clock_mono(&clock_system);
        atomic_fetch_add(&next, chance);
    }
    (void)snprintf(id, MESSAGE_ID_BYTES, "%016" PRIx64,
                   (uint64_t)not_before_others(now_ms) << 20 | (atomic_fetch_add(&next, 1) & 0xFFFFFu));
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return (hash ^ 0xFF) * UINT64_C(1099511628211);
}

uint64_t parcel_lane(const char *receiver, const char *channel, unsigned index,
                     const char *group_key)
{
    uint64_t hash = hash_text(UINT64_C(14695981039346656037), receiver);
    hash = hash_text(hash, channel);
    hash = hash_text(hash, group_key);
    return (hash ^ index) * UINT64_C(1099511628211);
}

static void put_fingerprints(const struct fingerprints *set, struct buf *out)
{
    buf_put_varint(out, set->count);
    for (size_t i = 0; i < set->count; i++)
        buf_put_u64(out, set->items[i]);
}

void parcel_write(const struct parcel *parcel, struct buf *out)
{
    bool owed = parcel->state == PARCEL_QUEUED;
    buf_put_u8(out, PARCEL_ROW_VERSION);
    buf_put_u8(out, (uint8_t)parcel->state);
    buf_put_sized(out, bytes_of(parcel->receiver));
    buf_put_sized(out, bytes_of(parcel->channel));
    buf_put_varint(out, parcel->index);
    buf_put_sized(out, bytes_of(parcel->group_key));
    buf_put_zigzag(out, parcel->created_ms);
    buf_put_zigzag(out, parcel->settled_ms);
    buf_put_varint(out, parcel->attempts);
    buf_put_sized(out, bytes_of(parcel->reason));
    put_fingerprints(&parcel->firing, out);
    buf_put_u8(out, (uint8_t)((parcel->tells_end ? FLAG_TELLS_END : 0) |
                              (parcel->awaits ? FLAG_AWAITS : 0)));
    buf_put_sized(out,
                  owed ? (struct bytes){parcel->body, parcel->body_size} : (struct bytes){0});
    buf_put_varint(out, parcel->incident);
    buf_put_varint(out, parcel->serial);
    buf_put_varint(out, parcel->fallbacks);
    buf_put_zigzag(out, parcel->fallback_ms);
    buf_put_u8(out, parcel->fell_back);
    put_fingerprints(&parcel->ended, out);
    buf_put_sized(out, (struct bytes){parcel->progress, parcel->progress_size});
}

static int read_fingerprints(struct reader *reader, struct fingerprints *set)
{
    const uint64_t count = reader_varint(reader);
    if (reader->failed || count > PARCEL_ALERTS_MAX || count * 8 > reader_left(reader))
        return ERR_CORRUPT;
    set->items = calloc(count + 1, sizeof(uint64_t));
    if (set->items == NULL)
        return ERR_NOMEM;
    set->count = count;
    for (size_t i = 0; i < count; i++)
        set->items[i] = reader_u64(reader);
    return 0;
}

int parcel_set_progress(struct parcel *parcel, struct bytes progress)
{
    uint8_t *copy = progress.size == 0 ? NULL : (uint8_t *)bytes_copy_text(progress);
    if (progress.size > 0 && copy == NULL)
        return ERR_NOMEM;
    free(parcel->progress);
    parcel->progress = copy;
    parcel->progress_size = progress.size;
    return 0;
}

static int read_rest(struct reader *reader, uint8_t version, struct parcel *parcel)
{
    struct bytes reason, body, progress = {0};
    uint8_t flags = FLAG_TELLS_END;
    int error;

    parcel->created_ms = reader_zigzag(reader);
    parcel->settled_ms = reader_zigzag(reader);
    parcel->attempts = (unsigned)reader_varint(reader);
    reason = reader_sized(reader);
    (void)snprintf(parcel->reason, sizeof parcel->reason, "%.*s", (int)reason.size,
                   reason.size > 0 ? (const char *)reason.data : "");
    error = read_fingerprints(reader, &parcel->firing);
    if (error != 0)
        return error;
    if (version > PARCEL_ROW_OLDEST)
        flags = reader_u8(reader);
    body = reader_sized(reader);
    if (version > PARCEL_ROW_PLAIN) {
        parcel->incident = reader_varint(reader);
        parcel->serial = (uint32_t)reader_varint(reader);
        parcel->fallbacks = (uint32_t)reader_varint(reader);
        parcel->fallback_ms = reader_zigzag(reader);
        parcel->fell_back = reader_u8(reader) != 0;
    }
    if (version > PARCEL_ROW_INCIDENT) {
        error = read_fingerprints(reader, &parcel->ended);
        if (error != 0)
            return error;
        progress = reader_sized(reader);
    }
    if (reader->failed || reader_left(reader) != 0)
        return ERR_CORRUPT;
    parcel->tells_end = (flags & FLAG_TELLS_END) != 0;
    parcel->awaits = (flags & FLAG_AWAITS) != 0;
    parcel->body = (uint8_t *)bytes_copy_text(body);
    parcel->body_size = body.size;
    if (parcel->body == NULL)
        return ERR_NOMEM;
    return parcel_set_progress(parcel, progress);
}

static int read_names(struct reader *reader, struct parcel *parcel)
{
    struct bytes receiver = reader_sized(reader), channel = reader_sized(reader);
    uint64_t index = reader_varint(reader);
    struct bytes group_key = reader_sized(reader);

    if (reader->failed || index > UINT32_MAX)
        return ERR_CORRUPT;
    parcel->receiver = bytes_copy_text(receiver);
    parcel->channel = bytes_copy_text(channel);
    parcel->group_key = bytes_copy_text(group_key);
    parcel->index = (unsigned)index;
    if (parcel->receiver == NULL || parcel->channel == NULL || parcel->group_key == NULL)
        return ERR_NOMEM;
    parcel->lane =
        parcel_lane(parcel->receiver, parcel->channel, parcel->index, parcel->group_key);
    return 0;
}

int parcel_read(const char *id, struct bytes row, struct parcel **ret_parcel)
{
    struct reader reader = reader_of(row);
    struct parcel *parcel;
    const uint8_t version = reader_u8(&reader);
    uint8_t state;
    int error;

    if (version < PARCEL_ROW_OLDEST || version > PARCEL_ROW_VERSION ||
        strlen(id) != MESSAGE_ID_BYTES - 1)
        return ERR_CORRUPT;
    state = reader_u8(&reader);
    if (state < PARCEL_QUEUED || state > PARCEL_FALLBACK)
        return ERR_CORRUPT;
    parcel = calloc(1, sizeof *parcel);
    if (parcel == NULL)
        return ERR_NOMEM;
    (void)strcpy(parcel->id, id);
    parcel->state = (enum parcel_state)state;
    error = read_names(&reader, parcel);
    if (error == 0)
        error = read_rest(&reader, version, parcel);
    if (error != 0) {
        parcel_free(parcel);
        return error;
    }
    *ret_parcel = parcel;
    return 0;
}

/* ---- the queue --------------------------------------------------------------------------- */

int64_t outbox_delay_ms(unsigned attempts, bool recoverable, double chance)
{
    double delay_ms = OUTBOX_RETRY_MIN_MS;
    if (!recoverable) {
        delay_ms = OUTBOX_SLOW_MS;
    } else {
        for (unsigned i = 1; i < attempts && delay_ms < OUTBOX_RETRY_MAX_MS; i++)
            delay_ms *= 1.5;
        if (delay_ms > OUTBOX_RETRY_MAX_MS)
            delay_ms = OUTBOX_RETRY_MAX_MS;
    }
    return (int64_t)(delay_ms * (0.75 + chance / 2));
}

void outbox_make_dirty(struct parcel *parcel)
{
    if (parcel->dirty)
        return;
    parcel->dirty = true;
    parcel->next_dirty = parcel->box->dirty;
    parcel->box->dirty = parcel;
}

void outbox_clear_dirty(struct outbox *outbox)
{
    for (struct parcel *at = outbox->dirty; at != NULL; at = at->next_dirty)
        at->dirty = false;
    outbox->dirty = NULL;
}

static void add_settled(struct parcel *parcel)
{
    parcel->next_settled = parcel->box->settled;
    parcel->box->settled = parcel;
}

void outbox_put(struct outbox *outbox, struct parcel *parcel)
{
    struct parcel *before = outbox->last;

    while (before != NULL && strcmp(before->id, parcel->id) > 0)
        before = before->previous;
    parcel->previous = before;
    parcel->next = before == NULL ? outbox->first : before->next;
    *(before == NULL ? &outbox->first : &before->next) = parcel;
    *(parcel->next == NULL ? &outbox->last : &parcel->next->previous) = parcel;
    outbox->count++;
    ids_go_on_after(parcel->id);
    parcel->box = outbox;
    parcel->target = outbox_find_target(outbox, parcel->receiver, parcel->channel, parcel->index);
    if (parcel->state == PARCEL_QUEUED)
        lane_enter(parcel);
    else
        add_settled(parcel);
}

static void unlink_parcel(struct outbox *outbox, struct parcel *parcel)
{
    *(parcel->previous == NULL ? &outbox->first : &parcel->previous->next) = parcel->next;
    *(parcel->next == NULL ? &outbox->last : &parcel->next->previous) = parcel->previous;
    outbox->count--;
}

static void await(struct outbox *outbox, struct parcel *parcel)
{
    free(parcel->body); /* it will not be sent again */
    parcel->body = NULL;
    parcel->body_size = 0;
    parcel->next = outbox->awaiting;
    outbox->awaiting = parcel;
    outbox->awaiting_count++;
}

void outbox_sweep(struct outbox *outbox)
{
    struct parcel **at = &outbox->settled;
    while (*at != NULL) {
        struct parcel *parcel = *at;
        if (parcel->dirty || parcel->sending) {
            at = &parcel->next_settled;
            continue;
        }
        *at = parcel->next_settled;
        unlink_parcel(outbox, parcel);
        if (parcel->state == PARCEL_ACCEPTED && parcel->awaits)
            await(outbox, parcel);
        else
            parcel_free(parcel);
    }
}

bool outbox_owes(const struct outbox *outbox, uint64_t lane)
{
    return lane_first(outbox, lane) != NULL;
}

/* When the first of those that wait for it may go; UINT64_MAX: none before one is back. */
static mono_ns when(const struct outbox_target *target)
{
    mono_ns next;
    if (target->top == NULL || target->sending >= OUTBOX_TARGET_MAX)
        return UINT64_MAX;
    next = pace_next(&target->pace);
    return next > target->top->next_try ? next : target->top->next_try;
}

/* Of all integrations, the parcel that is or will be due first. */
static struct parcel *first_due(const struct outbox *outbox, mono_ns *ret_when)
{
    const struct outbox_target *best = NULL;
    mono_ns best_when = UINT64_MAX;

    for (const struct outbox_target *at = &outbox->others; at != NULL;
         at = at == &outbox->others ? outbox->targets : at->next) {
        mono_ns at_when = when(at);
        if (at_when < best_when || (best != NULL && at_when == best_when &&
                                    at_when != UINT64_MAX &&
                                    strcmp(at->top->id, best->top->id) < 0)) {
            best = at;
            best_when = at_when;
        }
    }
    *ret_when = best_when;
    return best == NULL ? NULL : best->top;
}

struct parcel *outbox_due(struct outbox *outbox, mono_ns now)
{
    mono_ns due;
    struct parcel *parcel = first_due(outbox, &due);
    return outbox->crowding < OUTBOX_SENDING_MAX && due <= now ? parcel : NULL;
}

mono_ns outbox_next_due(const struct outbox *outbox)
{
    mono_ns next;
    (void)first_due(outbox, &next);
    return outbox->crowding < OUTBOX_SENDING_MAX ? next : UINT64_MAX;
}

/* It is owed no more. */
static void end(struct parcel *parcel, enum parcel_state state, int64_t now_ms)
{
    lane_leave(parcel);
    parcel->state = state;
    parcel->settled_ms = now_ms;
    add_settled(parcel);
}

void outbox_settle(struct parcel *parcel, const struct client_verdict *verdict, bool is_live,
                   int64_t now_ms, mono_ns now)
{
    double chance = (double)(clock_mono(&clock_system) / 1000 % 1000) / 1000;

    must(parcel->sending);
    parcel->sending = false;
    parcel->attempts++;
    outbox_make_dirty(parcel);
    /* Without memory for it the next try does again what this one has done. */
    (void)parcel_set_progress(parcel, verdict->progress);
    parcel->yields = verdict->yields;
    if (verdict->accepted) {
        parcel->awaits = verdict->awaits && parcel->progress != NULL;
        end(parcel, PARCEL_ACCEPTED, now_ms);
        parcel->reason[0] = '\0';
        return;
    }
    (void)snprintf(parcel->reason, sizeof parcel->reason, "%.199s", verdict->why.text);
    parcel->refused = !verdict->recoverable;
    if (!is_live && now_ms - parcel->created_ms > OUTBOX_AGE_MAX_MS) {
        end(parcel, PARCEL_FAILED, now_ms);
        return;
    }
    parcel->next_try =
        now +
        (mono_ns)outbox_delay_ms(parcel->attempts, verdict->recoverable, chance) * NS_PER_MS;
    lane_wait(parcel);
}

int outbox_receive(struct outbox *outbox, struct parcel *parcel, enum parcel_state state,
                   struct bytes progress, const char *reason, int64_t now_ms)
{
    struct parcel **at = &outbox->awaiting;
    int error = parcel_set_progress(parcel, progress);

    if (error != 0)
        return error;
    outbox_make_dirty(parcel);
    if (state != parcel->state) {
        parcel->state = state;
        parcel->awaits = false;
        parcel->settled_ms = now_ms;
        (void)snprintf(parcel->reason, sizeof parcel->reason, "%s", reason);
    }
    while (*at != NULL && *at != parcel)
        at = &(*at)->next;
    if (*at == NULL)
        return 0; /* not written yet: it is among the others */
    *at = parcel->next;
    outbox->awaiting_count--;
    outbox_put(outbox, parcel); /* to be written, and swept again */
    return 0;
}

void outbox_stop_awaiting(struct outbox *outbox, int64_t now_ms)
{
    struct parcel **at = &outbox->awaiting;
    for (size_t i = 0; *at != NULL; i++) {
        struct parcel *parcel = *at;
        if (i < OUTBOX_AWAITING_MAX && parcel->settled_ms > now_ms - OUTBOX_RECEIPT_MS) {
            at = &parcel->next;
            continue;
        }
        *at = parcel->next;
        outbox->awaiting_count--;
        parcel_free(parcel);
    }
}

void outbox_withdraw(struct parcel *parcel, const char *reason, int64_t now_ms)
{
    must(!parcel->sending);
    end(parcel, PARCEL_FAILED, now_ms);
    outbox_make_dirty(parcel);
    parcel->withdrawn = true;
    (void)snprintf(parcel->reason, sizeof parcel->reason, "%s", reason);
}

void outbox_fall_back(struct parcel *parcel, int64_t now_ms)
{
    must(!parcel->sending);
    if (parcel->state == PARCEL_QUEUED)
        end(parcel, PARCEL_FALLBACK, now_ms);
    parcel->state = PARCEL_FALLBACK;
    parcel->settled_ms = now_ms;
    outbox_make_dirty(parcel);
}

void outbox_shift(struct outbox *outbox, int64_t shift_ms)
{
    for (struct parcel *at = outbox->first; at != NULL; at = at->next) {
        if (at->state != PARCEL_QUEUED || at->incident == 0)
            continue;
        at->fallback_ms += shift_ms;
        outbox_make_dirty(at);
    }
}

void outbox_free(struct outbox *outbox)
{
    while (outbox->first != NULL) {
        struct parcel *next = outbox->first->next;
        parcel_free(outbox->first);
        outbox->first = next;
    }
    while (outbox->awaiting != NULL) {
        struct parcel *next = outbox->awaiting->next;
        parcel_free(outbox->awaiting);
        outbox->awaiting = next;
    }
    outbox->count = outbox->awaiting_count = 0;
    outbox->last = outbox->dirty = outbox->settled = NULL;
    outbox_forget_targets(outbox);
}
