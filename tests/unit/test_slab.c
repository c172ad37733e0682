/*
 * test_slab.c - objects of few sizes in blocks.
 *
 * What can go wrong: two objects in the same place; one that is not zeroed when its place is
 * used again; a block that is full is given out again, or one that has room is not; the owner
 * of an object at a block's edge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/store/slab.h"

#define OBJECTS 20000

struct held {
    uint8_t *object;
    size_t size;
    uint8_t mark;
};

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void assert_filled(const uint8_t *object, size_t size, uint8_t mark)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(object[i], mark);
}

static void take(struct slab *slab, struct held *held, uint64_t *random)
{
    static const size_t sizes[] = {8, 100, 104, 113, 2048};
    held->size = sizes[next(random) % 5];
    held->mark = (uint8_t)(1 + next(random) % 255);
    held->object = slab_alloc(slab, held->size);
    assert_non_null(held->object);
    assert_int_equal((uintptr_t)held->object % 8, 0);
    assert_filled(held->object, held->size, 0);
    memset(held->object, held->mark, held->size);
}

static void give_back(struct slab *slab, struct held *held)
{
    if (held->object != NULL) {
        assert_filled(held->object, held->size, held->mark);
        assert_ptr_equal(slab_owner(held->object), slab);
    }
    slab_free(slab, held->object);
    held->object = NULL;
}

static void objects_are_apart_zeroed_and_of_their_owner(void **state)
{
    (void)state;
    static struct slab slab;
    struct held *held = calloc(OBJECTS, sizeof *held);
    uint64_t random = 42;
    assert_non_null(held);
    slab_init(&slab, &slab);
    for (int round = 0; round < 6; round++) {
        for (size_t i = 0; i < OBJECTS; i++)
            if (held[i].object == NULL && next(&random) % 8 < 5)
                take(&slab, &held[i], &random);
        for (size_t i = 0; i < OBJECTS; i++)
            if (next(&random) % 8 < 3 || round == 3)
                give_back(&slab, &held[i]);
    }
    for (size_t i = 0; i < OBJECTS; i++)
        give_back(&slab, &held[i]);
    for (size_t i = 0; i < sizeof slab.partial / sizeof slab.partial[0]; i++)
        assert_null(slab.partial[i]); /* all blocks went */
    assert_int_equal(slab_held_bytes(), 0);
    free(held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_apart_zeroed_and_of_their_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
