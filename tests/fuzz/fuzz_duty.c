/*
 * fuzz_duty.c - duty.yml is taken or refused with a reason; the shifts of what is taken cover
 * what was asked for without a hole, and a moment's answer is that of the range.
 */
#include <stdint.h>
#include <string.h>

#include "collector/duty/duty.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FROM_MS INT64_C(1798675200000) /* 2026-12-31 00:00 UTC */
#define TO_MS   (FROM_MS + 3 * CIVIL_DAY_MS)

static void check_roster(const struct duty *duty, const char *roster)
{
    const struct duty_target target = {DUTY_ROSTER, roster};
    const struct duty_person *persons[DUTY_RESOLVED_MAX];
    struct duty_shift *shifts;
    struct arena arena;
    size_t count;

    arena_init(&arena, (size_t)64 << 20);
    must(duty_shifts(duty, roster, NULL, FROM_MS, TO_MS, &arena, &shifts, &count) == 0);
    int64_t reached_ms = FROM_MS;
    for (size_t i = 0; i < count; i++) {
        must(shifts[i].from_ms < shifts[i].to_ms && shifts[i].from_ms <= reached_ms);
        must(i == 0 || shifts[i].from_ms >= shifts[i - 1].from_ms);
        if (shifts[i].to_ms > reached_ms)
            reached_ms = shifts[i].to_ms;
        size_t present = duty_resolve(duty, NULL, &target, shifts[i].from_ms, NULL, 0, persons);
        bool is_among = false;
        for (size_t k = 0; k < present; k++)
            is_among = is_among || persons[k] == shifts[i].person;
        must(is_among == (shifts[i].person != NULL));
    }
    must(reached_ms == TO_MS);
    arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct duty *duty = NULL;
    struct diagnosis why = {0};
    /* A folder of the machine is no part of the input. */
    if (memmem(data, size, "holidays", 8) != NULL)
        return 0;
    int error = duty_parse("d.yml", (struct bytes){data, size}, &duty, &why);
    must((error == 0) == (duty != NULL));
    must(error == 0 || why.text[0] != '\0');
    if (error != 0)
        return 0;
    for (size_t i = 0; duty_roster_at(duty, i) != NULL; i++)
        check_roster(duty, duty_roster_at(duty, i));
    for (size_t i = 0; duty_person_at(duty, i) != NULL; i++)
        must(duty_person(duty, duty_person_at(duty, i)->id) == duty_person_at(duty, i));
    duty_unref(duty);
    return 0;
}
