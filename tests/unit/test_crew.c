/*
 * test_crew.c - loops shared between threads: every piece once, by several callers at a time.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/series/crew.h"

#define PIECES 5000

struct loop {
    _Atomic size_t next;
    unsigned char done[PIECES];
    _Atomic unsigned char places[1 + CREW_HELPERS_MAX];
};

static void count_pieces(void *context, unsigned place)
{
    struct loop *loop = context;
    assert_true(place <= CREW_HELPERS_MAX);
    atomic_fetch_add(&loop->places[place], 1);
    for (size_t i = atomic_fetch_add(&loop->next, 1); i < PIECES;
         i = atomic_fetch_add(&loop->next, 1))
        loop->done[i]++; /* not atomic: the caller must see it all the same */
}

static void share_once(struct crew *crew)
{
    struct loop loop = {.next = 0};
    crew_share(crew, count_pieces, &loop);
    for (size_t i = 0; i < PIECES; i++)
        assert_int_equal(loop.done[i], 1);
    assert_int_equal(loop.places[0], 1);
    for (unsigned place = 1; place <= CREW_HELPERS_MAX; place++)
        assert_true(loop.places[place] <= (place <= crew_helpers(crew)));
}

static void every_piece_is_done_once(void **state)
{
    (void)state;
    struct crew *crew = NULL;
    share_once(NULL);
    assert_int_equal(crew_helpers(NULL), 0);
    assert_int_equal(crew_open("helpers", 0, &crew), 0);
    share_once(crew);
    crew_close(crew);
    assert_int_equal(crew_open("helpers", 1000, &crew), 0);
    assert_int_equal(crew_helpers(crew), CREW_HELPERS_MAX);
    for (int i = 0; i < 200; i++)
        share_once(crew);
    crew_close(crew);
    crew_close(NULL);
}

static void *share_often(void *crew)
{
    for (int i = 0; i < 100; i++)
        share_once(crew);
    return NULL;
}

static void several_share_at_once(void **state)
{
    (void)state;
    struct crew *crew = NULL;
    pthread_t callers[4];
    assert_int_equal(crew_open("helpers", 2, &crew), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, share_often, crew), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(callers[i], NULL), 0);
    crew_close(crew);
}

/* Waits for a helper: fails by hanging if none ever comes. */
static void wait_for_help(void *context, unsigned place)
{
    _Atomic unsigned *met = context;
    atomic_fetch_or(met, 1U << (place > 0));
    while (place == 0 && atomic_load(met) != 3)
        ;
}

static void a_free_helper_comes(void **state)
{
    (void)state;
    struct crew *crew = NULL;
    _Atomic unsigned met = 0;
    assert_int_equal(crew_open("helpers", 1, &crew), 0);
    crew_share(crew, wait_for_help, &met);
    assert_int_equal(met, 3);
    crew_close(crew);
}

/* Roused for something or for nothing, in the midst of others' loops or at the end. */
static void whom_was_roused_helps_as_ever(void **state)
{
    (void)state;
    struct crew *crew = NULL;
    pthread_t caller;
    _Atomic unsigned met = 0;
    crew_rouse(NULL);
    assert_int_equal(crew_open("helpers", 2, &crew), 0);
    crew_rouse(crew);
    crew_share(crew, wait_for_help, &met);
    assert_int_equal(met, 3);
    assert_int_equal(pthread_create(&caller, NULL, share_often, crew), 0);
    for (int i = 0; i < 100; i++) {
        crew_rouse(crew);
        share_once(crew);
    }
    assert_int_equal(pthread_join(caller, NULL), 0);
    crew_rouse(crew);
    crew_close(crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_is_done_once),
        cmocka_unit_test(several_share_at_once),
        cmocka_unit_test(a_free_helper_comes),
        cmocka_unit_test(whom_was_roused_helps_as_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
