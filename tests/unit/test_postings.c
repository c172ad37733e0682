/*
 * test_postings.c - label pairs and their numbers.
 *
 * What can go wrong: a number that is used again while somebody has it; texts that move, or are
 * those of another pair, once there are many; an order of series by numbers that is not that of
 * their labels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collector/store/postings.h"

#define SERIES 3000
#define LABELS 3

struct member {
    const struct labels *labels; /* malloc'd; NULL: not there */
    uint32_t pairs[LABELS];
};

static const struct labels *make_labels(unsigned name, unsigned host, unsigned own)
{
    char texts[LABELS][32];
    const struct labels *labels;
    (void)snprintf(texts[0], sizeof texts[0], "metric_%u", name);
    (void)snprintf(texts[1], sizeof texts[1], "host-%u", host);
    (void)snprintf(texts[2], sizeof texts[2], "%u", own);
    const struct label pairs[LABELS] = {
        {bytes_of("__name__"), bytes_of(texts[0])},
        {bytes_of("instance"), bytes_of(texts[1])},
        {bytes_of("own"), bytes_of(texts[2])},
    };
    assert_int_equal(labels_build(pairs, LABELS, NULL, &labels), 0);
    return labels;
}

static void assert_named(const struct postings *postings, const struct member *member)
{
    for (size_t i = 0; i < LABELS; i++) {
        const struct label pair = posting_label(postings, member->pairs[i]);
        assert_true(bytes_equal(pair.name, member->labels->pairs[i].name));
        assert_true(bytes_equal(pair.value, member->labels->pairs[i].value));
    }
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static void compare_some(const struct postings *postings, const struct member *members)
{
    for (size_t i = 0; i + 7 < SERIES; i += 7) {
        const struct member *a = &members[i], *b = &members[(i * 31 + 7) % SERIES];
        if (a->labels != NULL && b->labels != NULL)
            assert_int_equal(
                sign(posting_lists_compare(postings, a->pairs, LABELS, b->pairs, LABELS)),
                sign(labels_compare(a->labels, b->labels)));
    }
}

static void numbers_name_their_pairs_while_others_come_and_go(void **state)
{
    (void)state;
    struct member *members = calloc(SERIES, sizeof *members);
    struct postings *postings;
    assert_non_null(members);
    assert_int_equal(postings_new(&postings), 0);
    srand(11);
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < SERIES; i++) {
            struct member *member = &members[i];
            if (member->labels != NULL && rand() % 2 == 0) {
                postings_remove(postings, member->pairs, LABELS, i);
                free((void *)(uintptr_t)member->labels);
                member->labels = NULL;
            } else if (member->labels == NULL && rand() % 4 != 0) {
                member->labels = make_labels((unsigned)rand() % 40, i % 50, i + round * SERIES);
                assert_int_equal(postings_add(postings, member->labels, i, member->pairs), 0);
            }
        }
        for (unsigned i = 0; i < SERIES; i++)
            if (members[i].labels != NULL) {
                assert_named(postings, &members[i]);
                assert_in_range(members[i].pairs[2], 0, 2 * SERIES); /* used again */
            }
        compare_some(postings, members);
    }
    for (unsigned i = 0; i < SERIES; i++)
        if (members[i].labels != NULL)
            postings_remove(postings, members[i].pairs, LABELS, i);
    for (unsigned i = 0; i < SERIES; i++)
        free((void *)(uintptr_t)members[i].labels);
    postings_free(postings);
    free(members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_name_their_pairs_while_others_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
