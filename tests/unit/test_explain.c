/*
 * test_explain.c - the way through the route tree; when a group will say something next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/notify/alerting_config.h"
#include "collector/notify/outlook.h"
#include "collector/notify/route_trace.h"

/* ---- routes ------------------------------------------------------------------------------ */

static const char tree[] = "route:\n"
                           "  receiver: root\n"
                           "  routes:\n"
                           "  - matchers: ['team=\"db\"', 'site!=\"lab\"']\n"
                           "    receiver: db\n"
                           "    continue: true\n"
                           "    routes: [{match: {severity: critical}, receiver: pager}]\n"
                           "  - {match_re: {host: 'web.*'}, receiver: web, routes: [{match: "
                           "{tier: '1'}, receiver: one}]}\n"
                           "  - {match: {severity: critical}, receiver: last}\n"
                           "receivers: [{name: root}, {name: db}, {name: pager}, {name: web}, "
                           "{name: one}, {name: last}]\n";

static const struct labels *labels_of(const char *text, struct arena *arena)
{
    static char copy[256]; /* the labels are copies */
    struct label pairs[8];
    const struct labels *labels;
    char *rest = copy, *word;
    size_t count = 0;

    (void)snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, " ")) != NULL && *word != '\0') {
        char *sign = strchr(word, '=');
        *sign = '\0';
        pairs[count++] = (struct label){bytes_of(word), bytes_of(sign + 1)};
    }
    assert_int_equal(labels_build(pairs, count, arena, &labels), 0);
    return labels;
}

/* "root+ db- ..." : + taken, 0 passed, - missed (and by which matcher), . unasked */
static const char *walk(const struct alerting *alerting, const struct labels *labels)
{
    static char result[1024];
    static const char marks[] = {
        [ROUTE_TAKEN] = '+', [ROUTE_PASSED] = '0', [ROUTE_MISSED] = '-', [ROUTE_UNASKED] = '.'};
    struct route_step *steps;
    size_t count;
    struct buf out = {0};

    assert_int_equal(route_trace(alerting_root(alerting), labels, &steps, &count), 0);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&out, "%s%s%c", i > 0 ? " " : "", steps[i].route->receiver->name,
                   marks[steps[i].outcome]);
        if (steps[i].outcome == ROUTE_MISSED)
            buf_printf(&out, "%zu", steps[i].missed);
    }
    (void)snprintf(result, sizeof result, "%s", buf_text(&out));
    buf_done(&out);
    free(steps);
    return result;
}

static struct alerting *parse(const char *text)
{
    struct alerting *alerting = NULL;
    struct diagnosis why = {0};
    if (alerting_parse("a.yml", bytes_of(text), NULL, &alerting, &why) != 0)
        fail_msg("%s", why.text);
    return alerting;
}

static void the_way_through_the_tree_is_told(void **state)
{
    static const struct {
        const char *labels, *walk;
    } cases[] = {
        {"", "root+ db-1 pager. web-0 one. last-0"},
        {"team=db", "root0 db+ pager-0 web-0 one. last-0"},
        {"team=db severity=critical", "root0 db0 pager+ web-0 one. last+"},
        {"team=db site=lab", "root+ db-0 pager. web-0 one. last-0"},
        {"host=web1 severity=critical", "root0 db-1 pager. web+ one-0 last."},
        {"host=web1 tier=1 team=db", "root0 db+ pager-0 web0 one+ last."},
    };
    struct alerting *alerting = parse(tree);
    struct arena arena;
    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct labels *labels = labels_of(cases[i].labels, &arena);
        if (strcmp(walk(alerting, labels), cases[i].walk) != 0)
            fail_msg("%s: %s, not %s", cases[i].labels, walk(alerting, labels), cases[i].walk);
    }
    arena_reset(&arena);
    alerting_free(alerting);
}

/* A tree of `depth` levels whose routes ask for random labels. */
static void put_routes(struct buf *out, unsigned depth, unsigned *seed)
{
    const unsigned count = 1 + (unsigned)rand_r(seed) % 3;
    buf_put_text(out, "routes: [");
    for (unsigned i = 0; i < count; i++) {
        buf_printf(out, "%s{receiver: r%u, matchers: ['%c%s\"%u\"'], continue: %s",
                   i > 0 ? ", " : "", (unsigned)rand_r(seed) % 3, 'a' + rand_r(seed) % 3,
                   rand_r(seed) % 2 == 0 ? "=" : "!=", (unsigned)rand_r(seed) % 2,
                   rand_r(seed) % 2 == 0 ? "true" : "false");
        if (depth > 0) {
            buf_put_text(out, ", ");
            put_routes(out, depth - 1, seed);
        }
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

static void what_is_taken_is_what_route_match_takes(void **state)
{
    unsigned seed = 7;
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        const struct route *taken[ROUTE_MATCHES_MAX];
        struct route_step *steps;
        struct arena arena;
        struct buf text = {0};
        size_t count, took, at = 0;
        char words[64];

        buf_put_text(&text, "route: {receiver: r0, ");
        put_routes(&text, 2, &seed);
        buf_put_text(&text, "}\nreceivers: [{name: r0}, {name: r1}, {name: r2}]\n");
        struct alerting *alerting = parse(buf_text(&text));
        arena_init(&arena, 1 << 20);
        (void)snprintf(words, sizeof words, "a=%d b=%d c=%d", rand_r(&seed) % 2,
                       rand_r(&seed) % 2, rand_r(&seed) % 2);
        const struct labels *labels = labels_of(words, &arena);
        took = route_match(alerting_root(alerting), labels, taken);
        assert_int_equal(route_trace(alerting_root(alerting), labels, &steps, &count), 0);
        for (size_t i = 0; i < count; i++)
            if (steps[i].outcome == ROUTE_TAKEN) {
                assert_true(at < took);
                /* A route's own place comes before its children, which route_match() asks
                 * first; one that is taken has no child that is, so the order is the same. */
                assert_ptr_equal(steps[i].route, taken[at++]);
            }
        assert_int_equal(at, took);
        free(steps);
        buf_done(&text);
        arena_reset(&arena);
        alerting_free(alerting);
    }
}

/* ---- what comes next --------------------------------------------------------------------- */

#define LANE .due_ms = 1000, .interval_ms = 300, .repeat_ms = 5000

static const struct {
    const char *because;
    struct outlook_lane lane;
    int64_t now_ms;
    enum outlook_next next;
    int64_t at_ms;
} tellings[] = {
    {"a new group waits for its first flush", {LANE}, 900, NEXT_FIRST, 1000},
    {"what is told is repeated at the first flush after repeat_interval",
     {LANE, .is_told = true, .said_ms = 700},
     900,
     NEXT_REPEAT,
     5800},
    {"and not at that very millisecond: dedup asks for more",
     {LANE, .is_told = true, .said_ms = 800},
     900,
     NEXT_REPEAT,
     6100},
    {"a repeat that is overdue goes at the next flush",
     {LANE, .is_told = true, .said_ms = -9000},
     900,
     NEXT_REPEAT,
     1000},
    {"a silence keeps it back until a flush after its end",
     {LANE, .muted_until_ms = 1500},
     900,
     NEXT_AFTER_MUTE,
     1600},
    {"one that ends before the flush keeps nothing back",
     {LANE, .muted_until_ms = 950},
     900,
     NEXT_AFTER_MUTE,
     1000},
    {"... nor does it make news of what was told",
     {LANE, .is_told = true, .said_ms = 700, .muted_until_ms = 950},
     900,
     NEXT_REPEAT,
     5800},
    {"nobody knows how long an inhibition lasts",
     {LANE, .muted_until_ms = OUTLOOK_OPEN},
     900,
     NEXT_MUTED,
     0},
    {"what all have in hand is not repeated",
     {LANE, .is_told = true, .is_acknowledged = true, .all_acknowledged = true},
     900,
     NEXT_ACKNOWLEDGED,
     0},
    {"one that is not in hand repeats the message of all",
     {LANE, .is_told = true, .said_ms = 700, .is_acknowledged = true},
     900,
     NEXT_REPEAT,
     5800},
    {"a beginning is told even if it is in hand",
     {LANE, .is_acknowledged = true, .all_acknowledged = true},
     900,
     NEXT_FIRST,
     1000},
    {"told, then silenced, and in hand: its return is no news",
     {LANE, .was_told = true, .is_acknowledged = true, .muted_until_ms = 1500},
     900,
     NEXT_ACKNOWLEDGED,
     0},
    {"told, then silenced: its return is",
     {LANE, .was_told = true, .muted_until_ms = 1500},
     900,
     NEXT_AFTER_MUTE,
     1600},
    {"an end is owed to whoever heard the beginning",
     {LANE, .is_over = true, .owes_end = true},
     900,
     NEXT_END,
     1000},
    {"and to nobody else", {LANE, .is_over = true}, 900, NEXT_NOTHING, 0},
    {"no interval: at once after a mute",
     {.due_ms = 1000, .muted_until_ms = 1500},
     900,
     NEXT_AFTER_MUTE,
     1500},
};

static void the_next_telling_is_at_a_flush(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tellings / sizeof tellings[0]; i++) {
        const struct outlook got = outlook_of(&tellings[i].lane, tellings[i].now_ms);
        if (got.next != tellings[i].next || got.at_ms != tellings[i].at_ms)
            fail_msg("%s: %s at %lld", tellings[i].because, outlook_next_text(got.next),
                     (long long)got.at_ms);
    }
}

static void one_word_for_all_lanes(void **state)
{
    static const struct {
        const char *word;
        struct verdict_facts facts;
    } cases[] = {
        {"over", {.is_over = true, .told_count = 1}},
        {"pending", {.is_pending = true}},
        {"new", {.lane_count = 1}},
        {"told", {.is_tracked = true, .lane_count = 2, .told_count = 1, .failing_count = 1}},
        {"told", {.is_tracked = true, .lane_count = 1, .told_count = 1, .is_silenced = true}},
        {"failing",
         {.is_tracked = true, .lane_count = 1, .failing_count = 1, .sending_count = 1}},
        {"sending", {.is_tracked = true, .lane_count = 1, .sending_count = 1}},
        {"silenced", {.is_tracked = true, .lane_count = 1, .is_silenced = true}},
        {"inhibited", {.is_tracked = true, .lane_count = 1, .is_inhibited = true}},
        {"out_of_time", {.is_tracked = true, .lane_count = 2, .lanes_out_of_time = 2}},
        {"waiting", {.is_tracked = true, .lane_count = 2, .lanes_out_of_time = 1}},
        {"nobody", {.is_tracked = true}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(verdict_text(verdict_of(&cases[i].facts)), cases[i].word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_way_through_the_tree_is_told),
        cmocka_unit_test(what_is_taken_is_what_route_match_takes),
        cmocka_unit_test(the_next_telling_is_at_a_flush),
        cmocka_unit_test(one_word_for_all_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
