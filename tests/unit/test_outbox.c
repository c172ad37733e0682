/*
 * test_outbox.c - what has been said, what is owed, in which order and when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/notify/outbox.h"
#include "proto/base/error.h"

static struct parcel *parcel(const char *id, const char *group)
{
    struct parcel *made;
    assert_int_equal(parcel_new("desk", "webhook", 0, group, 1000, &made), 0);
    (void)strcpy(made->id, id);
    made->body = (uint8_t *)strdup("body");
    made->body_size = 4;
    return made;
}

static uint64_t one[] = {1}, two[] = {2}, both[] = {1, 2};
static const struct fingerprints a = {one, 1}, b = {two, 1}, ab = {both, 2};

struct decision {
    const char *because;
    const struct dedup_record *record;
    struct dedup_sight sight;
    int64_t repeat_ms;
    enum dedup_verdict verdict;
};

static void check_verdicts(const struct decision *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (dedup_decide(cases[i].record, &cases[i].sight, true, cases[i].repeat_ms, 2000) !=
            cases[i].verdict)
            fail_msg("%s", cases[i].because);
}

static void dedup_decides_as_alertmanager(void **state)
{
    const struct dedup_record never = {0}, fired = {.said = true, .said_ms = 1000, .firing = a},
                              ended = {.said = true, .said_ms = 1000, .resolved = a};
    const struct decision cases[] = {
        {"an end of what was never told", &never, {.ended = a}, 100, DEDUP_SILENT},
        {"a beginning", &never, {.firing = a}, 100, DEDUP_NEWS},
        {"a new one beside an old one", &fired, {.firing = ab}, 10000, DEDUP_NEWS},
        {"nothing new", &fired, {.firing = a}, 10000, DEDUP_SILENT},
        {"nothing new for long", &fired, {.firing = a}, 100, DEDUP_REPEAT},
        {"the end", &fired, {.ended = a}, 10000, DEDUP_NEWS},
        {"the end again", &ended, {.ended = a}, 10000, DEDUP_SILENT},
        {"it fires again", &ended, {.firing = a}, 10000, DEDUP_NEWS},
    };
    (void)state;
    check_verdicts(cases, sizeof cases / sizeof cases[0]);
}

static void what_begins_to_flap_is_told_once(void **state)
{
    const struct dedup_record fired = {.said = true, .said_ms = 1000, .firing = ab},
                              told = {.said = true, .said_ms = 1000, .firing = ab,
                                      .flapping = a};
    const struct decision cases[] = {
        {"it begins to", &fired, {.firing = ab, .flapping = a}, 10000, DEDUP_NEWS},
        {"it still does", &told, {.firing = ab, .flapping = a}, 10000, DEDUP_SILENT},
        {"another one does too", &told, {.firing = ab, .flapping = ab}, 10000, DEDUP_NEWS},
        {"it has settled and fires", &told, {.firing = ab}, 10000, DEDUP_SILENT},
        {"it has settled and is over", &told, {.firing = b, .ended = a}, 10000, DEDUP_NEWS},
        {"somebody is on it", &fired, {.firing = ab, .flapping = a, .acknowledged = a}, 10000,
         DEDUP_SILENT},
    };
    struct dedup_record next;
    bool changed = false;
    (void)state;
    check_verdicts(cases, sizeof cases / sizeof cases[0]);
    assert_int_equal(dedup_next(&fired, &cases[0].sight, DEDUP_NEWS, 2000, &next, &changed), 0);
    assert_true(changed && fingerprints_contain(&next.flapping, 1));
    dedup_record_done(&next);
}

static void silences_hide_news_but_owe_the_end(void **state)
{
    const struct dedup_record never = {0},
                              fired = {.said = true, .said_ms = 1000, .firing = ab},
                              muted = {.said = true, .said_ms = 1000, .firing = b, .muted = a};
    const struct decision cases[] = {
        {"it was silenced before it was told", &never, {.muted = a}, 100, DEDUP_SILENT},
        {"all were silenced after", &fired, {.muted = ab}, 100, DEDUP_SILENT},
        {"one is silenced, the other is old news",
         &fired,
         {.firing = b, .muted = a},
         10000,
         DEDUP_SILENT},
        {"one is silenced, the other is repeated",
         &fired,
         {.firing = b, .muted = a},
         100,
         DEDUP_REPEAT},
        {"a told one ended while silenced",
         &muted,
         {.firing = b, .ended = a},
         10000,
         DEDUP_NEWS},
        {"both ended, one while silenced", &muted, {.ended = ab}, 10000, DEDUP_NEWS},
        {"the silence ended first", &muted, {.firing = ab}, 10000, DEDUP_NEWS},
        {"the silence ended first, and it is acknowledged",
         &muted,
         {.firing = ab, .acknowledged = a},
         10000,
         DEDUP_SILENT},
        {"all are acknowledged", &fired, {.firing = ab, .acknowledged = ab}, 100, DEDUP_SILENT},
        {"one is not", &fired, {.firing = ab, .acknowledged = b}, 100, DEDUP_REPEAT},
        {"an acknowledged one ended",
         &fired,
         {.firing = b, .acknowledged = b, .ended = a},
         10000,
         DEDUP_NEWS},
        {"a new one beside an acknowledged one",
         &muted,
         {.firing = ab, .acknowledged = b},
         10000,
         DEDUP_NEWS},
    };
    (void)state;
    check_verdicts(cases, sizeof cases / sizeof cases[0]);
    assert_true(dedup_owes_end(&muted, 1));
    assert_true(dedup_owes_end(&muted, 2));
    assert_false(dedup_owes_end(&never, 1));
}

static void what_is_silenced_leaves_and_comes_back_to_what_was_said(void **state)
{
    const struct dedup_record fired = {.said = true, .said_ms = 1000, .firing = ab};
    const struct dedup_sight silenced = {.firing = b, .muted = a}, same = {.firing = ab},
                             returned = {.firing = ab, .acknowledged = a};
    struct dedup_record next, last;
    bool changed;
    (void)state;
    assert_int_equal(dedup_next(&fired, &same, DEDUP_SILENT, 2000, &next, &changed), 0);
    assert_false(changed);
    assert_int_equal(dedup_next(&fired, &silenced, DEDUP_SILENT, 2000, &next, &changed), 0);
    assert_true(changed);
    assert_int_equal(next.said_ms, 1000);
    assert_int_equal(next.firing.count, 1);
    assert_int_equal(next.firing.items[0], 2);
    assert_int_equal(next.muted.count, 1);
    assert_int_equal(next.muted.items[0], 1);
    assert_int_equal(dedup_next(&next, &silenced, DEDUP_REPEAT, 3000, &last, &changed), 0);
    assert_int_equal(last.said_ms, 3000);
    assert_int_equal(last.muted.count, 1);
    dedup_record_done(&last);
    assert_int_equal(dedup_next(&next, &returned, DEDUP_SILENT, 3000, &last, &changed), 0);
    assert_true(changed);
    assert_int_equal(last.firing.count, 2);
    assert_int_equal(last.muted.count, 0);
    dedup_record_done(&next);
    dedup_record_done(&last);
}

static void what_was_taken_back_is_news_when_the_silence_ends(void **state)
{
    struct dedup_record record = {.said = true, .said_ms = 1000};
    const struct dedup_sight back = {.firing = ab}, ended = {.ended = a};
    (void)state;
    assert_int_equal(fingerprints_copy(&ab, &record.firing), 0);
    assert_int_equal(dedup_decide(&record, &back, true, 10000, 2000), DEDUP_SILENT);
    assert_int_equal(dedup_take_back(&record, &a), 0);
    assert_int_equal(record.firing.count, 1);
    assert_int_equal(record.firing.items[0], 2);
    assert_int_equal(record.said_ms, 1000);
    assert_int_equal(dedup_decide(&record, &back, true, 10000, 2000), DEDUP_NEWS);
    assert_int_equal(dedup_take_back(&record, &b), 0);
    assert_int_equal(record.firing.count, 0);
    assert_int_equal(record.muted.count, 2);
    assert_int_equal(dedup_take_back(&record, &b), 0);
    assert_int_equal(record.muted.count, 2);
    assert_true(dedup_owes_end(&record, 1));
    assert_int_equal(dedup_decide(&record, &ended, true, 10000, 2000), DEDUP_NEWS);
    dedup_record_done(&record);
}

static void messages_of_one_millisecond_have_ids_of_their_own(void **state)
{
    enum { MESSAGES = 20000 };
    char before[MESSAGE_ID_BYTES], id[MESSAGE_ID_BYTES];
    size_t steps_back = 0;
    (void)state;
    parcel_make_id(1700000000000, before);
    for (int i = 0; i < MESSAGES; i++) {
        parcel_make_id(1700000000000, id);
        assert_string_not_equal(id, before);
        assert_memory_equal(id, before, 11); /* the time */
        steps_back += strcmp(id, before) < 0;
        memcpy(before, id, sizeof before);
    }
    assert_true(steps_back <= 1); /* the count's own turn: all are different */
}

static void a_lane_goes_in_order_and_lanes_do_not_wait_for_each_other(void **state)
{
    struct outbox outbox = {0};
    struct parcel *first = parcel("0000000000000001", "a"), *due;
    const struct client_verdict refused = {.recoverable = true}, taken = {.accepted = true};
    (void)state;
    outbox_put(&outbox, parcel("0000000000000003", "b"));
    outbox_put(&outbox, parcel("0000000000000002", "a"));
    outbox_put(&outbox, first);
    due = outbox_due(&outbox, 10);
    assert_ptr_equal(due, first);
    outbox_begin(&outbox, &due, 1, 10);
    due = outbox_due(&outbox, 10);
    assert_string_equal(due->id, "0000000000000003");
    outbox_finish(&outbox, first, 0, 10);
    outbox_settle(first, &refused, true, 2000, 10);
    assert_int_equal(first->state, PARCEL_QUEUED);
    assert_true(first->next_try > 10);
    due->next_try = 1u << 30;
    assert_true(outbox_due(&outbox, 10) == NULL);
    outbox_begin(&outbox, &first, 1, 10);
    outbox_finish(&outbox, first, 0, 10);
    outbox_settle(first, &taken, true, 2000, 10);
    assert_int_equal(first->state, PARCEL_ACCEPTED);
    first->dirty = false;
    outbox_sweep(&outbox);
    assert_int_equal(outbox.count, 2);
    assert_string_equal(outbox_due(&outbox, 10)->id, "0000000000000002");
    outbox_free(&outbox);
}

static void what_fires_is_never_given_up_what_is_over_after_a_day(void **state)
{
    struct outbox outbox = {0};
    struct parcel *old = parcel("0000000000000001", "a");
    const struct client_verdict refused = {.recoverable = true};
    (void)state;
    outbox_put(&outbox, old);
    for (int live = 1; live >= 0; live--) {
        outbox_begin(&outbox, &old, 1, 10);
        outbox_finish(&outbox, old, 0, 10);
        outbox_settle(old, &refused, live == 1, 1001 + OUTBOX_AGE_MAX_MS, 0);
        assert_int_equal(old->state, live == 1 ? PARCEL_QUEUED : PARCEL_FAILED);
    }
    outbox_free(&outbox);
}

static void a_target_that_hangs_does_not_take_every_place(void **state)
{
    struct outbox outbox = {0};
    struct parcel *due, *mail;
    (void)state;
    for (int i = 0; i < 2 * OUTBOX_SENDING_MAX; i++) {
        char id[MESSAGE_ID_BYTES], group[16];
        (void)snprintf(id, sizeof id, "%016x", i);
        (void)snprintf(group, sizeof group, "g%d", i);
        outbox_put(&outbox, parcel(id, group));
    }
    assert_int_equal(parcel_new("desk", "email", 0, "g0", 1000, &mail), 0);
    (void)strcpy(mail->id, "ffffffffffffffff");
    outbox_put(&outbox, mail);
    for (int i = 0; i < OUTBOX_TARGET_MAX; i++) {
        due = outbox_due(&outbox, 10);
        assert_string_equal(due->channel, "webhook");
        outbox_begin(&outbox, &due, 1, 10);
    }
    assert_ptr_equal(outbox_due(&outbox, 10), mail);
    outbox_begin(&outbox, &mail, 1, 10);
    assert_null(outbox_due(&outbox, 10));
    assert_int_equal(outbox.crowding, OUTBOX_TARGET_MAX + 1);
    assert_true(outbox_next_due(&outbox) == UINT64_MAX);
    outbox_free(&outbox);
}

static void who_shares_a_connection_takes_no_place(void **state)
{
    struct outbox outbox = {0};
    struct parcel *due;
    (void)state;
    for (unsigned i = 0; i < 2 * OUTBOX_SENDING_MAX; i++) {
        struct parcel *made;
        assert_int_equal(parcel_new("desk", "smpp", i, "g", 1000, &made), 0);
        (void)snprintf(made->id, sizeof made->id, "%016x", i);
        outbox_put(&outbox, made);
        made->shares = true;
        due = outbox_due(&outbox, 10);
        assert_ptr_equal(due, made);
        outbox_begin(&outbox, &due, 1, 10);
    }
    outbox_put(&outbox, parcel("ffffffffffffffff", "a"));
    due = outbox_due(&outbox, 10);
    assert_non_null(due);
    outbox_begin(&outbox, &due, 1, 10);
    assert_int_equal(outbox.crowding, 1);
    outbox_finish(&outbox, due, 0, 10);
    outbox_finish(&outbox, outbox.first, 0, 10);
    assert_int_equal(outbox.crowding, 0);
    assert_int_equal(outbox.sending, 2 * OUTBOX_SENDING_MAX - 1);
    outbox_free(&outbox);
}

#define MODEL_PARCELS 600
#define MODEL_LANES   40
#define MODEL_STEPS   20000

/* Parcels that were put, oldest first; NULL where one was settled. */
struct model {
    struct parcel *parcels[MODEL_PARCELS];
    size_t count;
};

static bool model_may_go(const struct model *model, size_t n, mono_ns now)
{
    const struct parcel *parcel = model->parcels[n];
    size_t sending = 0;
    if (parcel == NULL || parcel->sending || parcel->next_try > now)
        return false;
    for (size_t i = 0; i < model->count; i++) {
        if (model->parcels[i] == NULL)
            continue;
        if (i < n && model->parcels[i]->lane == parcel->lane)
            return false;
        sending += model->parcels[i]->sending && model->parcels[i]->target == parcel->target;
    }
    return sending < OUTBOX_TARGET_MAX;
}

/* The longest due of those that may go is what the outbox says, and it says nothing only if
 * there is none. */
static void check_due(struct outbox *outbox, const struct model *model, mono_ns now)
{
    const struct parcel *due = outbox_due(outbox, now);
    size_t found = model->count;
    for (size_t i = 0; i < model->count; i++) {
        if (!model_may_go(model, i, now))
            continue;
        if (model->parcels[i] == due)
            found = i;
        assert_non_null(due);
        assert_true(due->next_try <= model->parcels[i]->next_try);
    }
    assert_true(due == NULL || found < model->count);
}

static void model_step(struct outbox *outbox, struct model *model, mono_ns now)
{
    const struct client_verdict verdicts[] = {{.recoverable = true}, {.accepted = true}};
    struct parcel *due;
    size_t n = (size_t)rand() % MODEL_PARCELS;
    char id[MESSAGE_ID_BYTES], group[16];

    if (rand() % 4 == 0 && model->count < MODEL_PARCELS) {
        (void)snprintf(id, sizeof id, "%016zx", model->count + 1);
        (void)snprintf(group, sizeof group, "g%d", rand() % MODEL_LANES);
        model->parcels[model->count] = parcel(id, group);
        outbox_put(outbox, model->parcels[model->count++]);
        return;
    }
    if (rand() % 2 == 0 && (due = outbox_due(outbox, now)) != NULL) {
        outbox_begin(outbox, &due, 1, now);
        return;
    }
    if (n >= model->count || model->parcels[n] == NULL)
        return;
    due = model->parcels[n];
    if (due->sending) {
        outbox_finish(outbox, due, 0, now);
        outbox_settle(due, &verdicts[rand() % 2], true, 2000, now);
    } else if (rand() % 8 == 0) {
        outbox_withdraw(due, "silenced", 2000);
    }
    if (due->state != PARCEL_QUEUED)
        model->parcels[n] = NULL;
    if (rand() % 8 == 0) {
        outbox_clear_dirty(outbox);
        outbox_sweep(outbox);
    }
}

static void whatever_happens_the_longest_due_of_the_lanes_firsts_is_next(void **state)
{
    struct outbox outbox = {0};
    struct model model = {0};
    size_t left = 0;
    (void)state;
    srand(1);
    for (int step = 0; step < MODEL_STEPS; step++) {
        const mono_ns now = (mono_ns)(step + 1) * 10 * NS_PER_MS;
        model_step(&outbox, &model, now);
        if (step % 16 == 0)
            check_due(&outbox, &model, now);
    }
    outbox_clear_dirty(&outbox);
    outbox_sweep(&outbox);
    for (size_t i = 0; i < model.count; i++)
        left += model.parcels[i] != NULL;
    assert_int_equal(model.count, MODEL_PARCELS);
    assert_int_equal(outbox.count, left);
    outbox_free(&outbox);
}

static void pauses_grow_to_a_minute(void **state)
{
    (void)state;
    assert_int_equal(outbox_delay_ms(1, true, 0.5), 500);
    assert_int_equal(outbox_delay_ms(2, true, 0.5), 750);
    assert_int_equal(outbox_delay_ms(100, true, 0.5), OUTBOX_RETRY_MAX_MS);
    assert_int_equal(outbox_delay_ms(1, false, 0.5), OUTBOX_SLOW_MS);
}

static void a_row_reads_back_and_a_cut_one_does_not(void **state)
{
    struct parcel *sent = parcel("0123456789abcdef", "{}:{}"), *back;
    struct buf row = {0};
    (void)state;
    sent->firing.items = calloc(2, sizeof(uint64_t));
    sent->firing.items[1] = 7;
    sent->firing.count = 2;
    sent->ended.items = calloc(1, sizeof(uint64_t));
    sent->ended.items[0] = 9;
    sent->ended.count = 1;
    (void)strcpy(sent->reason, "HTTP status 503");
    sent->tells_end = true;
    parcel_write(sent, &row);
    assert_int_equal(parcel_read(sent->id, buf_bytes(&row), &back), 0);
    assert_true(back->tells_end);
    assert_string_equal(back->group_key, "{}:{}");
    assert_string_equal(back->reason, "HTTP status 503");
    assert_int_equal(back->lane, sent->lane);
    assert_int_equal(back->firing.items[1], 7);
    assert_int_equal(back->ended.count, 1);
    assert_int_equal(back->ended.items[0], 9);
    assert_memory_equal(back->body, "body", 4);
    parcel_free(back);
    for (size_t size = 0; size < row.size; size++)
        assert_int_equal(parcel_read(sent->id, (struct bytes){row.data, size}, &back),
                         ERR_CORRUPT);
    row.data[0] = 3; /* an earlier version knew no progress, and not whose end it tells */
    assert_int_equal(parcel_read(sent->id, (struct bytes){row.data, row.size - 10}, &back), 0);
    assert_true(back->tells_end);
    assert_int_equal(back->ended.count, 0);
    parcel_free(back);
    buf_done(&row);
    parcel_free(sent);
}

static void rows_of_earlier_versions_are_read(void **state)
{
    struct parcel *back;
    (void)state;
    for (uint8_t version = 1; version <= 2; version++) {
        struct buf row = {0};
        buf_put_u8(&row, version);
        buf_put_u8(&row, 1); /* queued */
        buf_put_sized(&row, bytes_of("desk"));
        buf_put_sized(&row, bytes_of("sms"));
        buf_put_varint(&row, 3);
        buf_put_sized(&row, bytes_of("{}:{}"));
        buf_put_zigzag(&row, 1000);
        buf_put_zigzag(&row, 0);
        buf_put_varint(&row, 2);
        buf_put_sized(&row, bytes_of("busy"));
        buf_put_varint(&row, 0);
        if (version == 2)
            buf_put_u8(&row, 0);
        buf_put_sized(&row, bytes_of("body"));
        assert_int_equal(parcel_read("0123456789abcdef", buf_bytes(&row), &back), 0);
        assert_int_equal(back->state, PARCEL_QUEUED);
        assert_int_equal(back->tells_end, version == 1);
        assert_false(back->awaits);
        assert_int_equal(back->progress_size, 0);
        assert_memory_equal(back->body, "body", 4);
        parcel_free(back);
        buf_done(&row);
    }
}

/* A parcel that was accepted, and written, and awaits its receipt. */
static struct parcel *accepted(struct outbox *outbox, const char *id)
{
    const struct client_verdict verdict = {
        .accepted = true, .awaits = true, .progress = bytes_of("ids")};
    struct parcel *sent = parcel(id, id);
    outbox_put(outbox, sent);
    outbox_begin(outbox, &sent, 1, 10);
    outbox_finish(outbox, sent, 0, 10);
    outbox_settle(sent, &verdict, true, 2000, 10);
    sent->dirty = false;
    outbox_sweep(outbox);
    return sent;
}

static void what_is_accepted_waits_aside_for_its_receipt(void **state)
{
    struct outbox outbox = {0};
    struct parcel *sent = accepted(&outbox, "0000000000000001"), *back;
    struct parcel *other = accepted(&outbox, "0000000000000002");
    struct buf row = {0};
    (void)state;
    assert_int_equal(outbox.count, 0);
    assert_int_equal(outbox.awaiting_count, 2);
    assert_null(sent->body);
    parcel_write(sent, &row); /* it reads back as one that awaits */
    assert_int_equal(parcel_read(sent->id, buf_bytes(&row), &back), 0);
    assert_true(back->awaits);
    assert_memory_equal(back->progress, "ids", 3);
    parcel_free(back);
    buf_done(&row);

    assert_int_equal(outbox_receive(&outbox, sent, PARCEL_ACCEPTED, bytes_of("one"), "", 3000),
                     0); /* one part of it has arrived: written, and it waits on */
    assert_true(sent->dirty && sent->awaits);
    assert_int_equal(outbox.count, 1);
    sent->dirty = false;
    outbox_sweep(&outbox);
    assert_int_equal(outbox.awaiting_count, 2);
    assert_int_equal(outbox_receive(&outbox, sent, PARCEL_DELIVERED, bytes_of("two"), "", 4000),
                     0);
    assert_int_equal(sent->settled_ms, 4000);
    sent->dirty = false;
    outbox_sweep(&outbox);
    assert_int_equal(outbox.count, 0);
    assert_int_equal(outbox.awaiting_count, 1);

    assert_int_equal(outbox_receive(&outbox, other, PARCEL_FAILED, bytes_of("x"), "UNDELIV", 1),
                     0);
    assert_string_equal(other->reason, "UNDELIV");
    outbox_free(&outbox);
}

static void receipts_are_awaited_for_some_days(void **state)
{
    struct outbox outbox = {0};
    (void)state;
    (void)accepted(&outbox, "0000000000000001");
    outbox_stop_awaiting(&outbox, 1999 + OUTBOX_RECEIPT_MS);
    assert_int_equal(outbox.awaiting_count, 1);
    outbox_stop_awaiting(&outbox, 2000 + OUTBOX_RECEIPT_MS);
    assert_int_equal(outbox.awaiting_count, 0);
    outbox_free(&outbox);
}

static void what_most_have_makes_its_lane_wait_no_longer(void **state)
{
    struct outbox outbox = {0};
    struct parcel *first = parcel("0000000000000001", "a");
    const struct client_verdict partly = {
        .recoverable = true, .yields = true, .progress = bytes_of("some have it")};
    (void)state;
    outbox_put(&outbox, first);
    outbox_put(&outbox, parcel("0000000000000002", "a"));
    outbox_begin(&outbox, &first, 1, 10);
    assert_null(outbox_due(&outbox, 10));
    outbox_finish(&outbox, first, 0, 10);
    outbox_settle(first, &partly, true, 2000, 10);
    assert_int_equal(first->state, PARCEL_QUEUED);
    assert_string_equal(outbox_due(&outbox, 10)->id, "0000000000000002");
    outbox_free(&outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dedup_decides_as_alertmanager),
        cmocka_unit_test(what_begins_to_flap_is_told_once),
        cmocka_unit_test(silences_hide_news_but_owe_the_end),
        cmocka_unit_test(what_is_silenced_leaves_and_comes_back_to_what_was_said),
        cmocka_unit_test(what_was_taken_back_is_news_when_the_silence_ends),
        cmocka_unit_test(messages_of_one_millisecond_have_ids_of_their_own),
        cmocka_unit_test(a_lane_goes_in_order_and_lanes_do_not_wait_for_each_other),
        cmocka_unit_test(what_fires_is_never_given_up_what_is_over_after_a_day),
        cmocka_unit_test(a_target_that_hangs_does_not_take_every_place),
        cmocka_unit_test(who_shares_a_connection_takes_no_place),
        cmocka_unit_test(whatever_happens_the_longest_due_of_the_lanes_firsts_is_next),
        cmocka_unit_test(pauses_grow_to_a_minute),
        cmocka_unit_test(a_row_reads_back_and_a_cut_one_does_not),
        cmocka_unit_test(rows_of_earlier_versions_are_read),
        cmocka_unit_test(what_is_accepted_waits_aside_for_its_receipt),
        cmocka_unit_test(receipts_are_awaited_for_some_days),
        cmocka_unit_test(what_most_have_makes_its_lane_wait_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
