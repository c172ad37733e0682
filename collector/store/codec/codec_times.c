/*
 * codec_times.c - a probe's ticks are regular and cost nothing; others are steps.
 *
 *   times
 *     u8   0: regular   1: steps
 *     z    first time, Unix ms
 *     v    count > 1: last - first, at least count - 1
 *          regular: the interval is (last - first) / (count - 1), which divides exactly
 *          steps:
 *     v      unit: the greatest common divisor of all steps, at least 1
 *     ...    count - 1 integers (codec_ints.c): step / unit
 *
 * Jitter around an interval is what a block's reference is for, a pause is a patch, and a
 * sample that was left out of a regular series leaves small multiples of the interval.
 */
#include "collector/store/codec/codec_times.h"

#include "collector/store/codec/codec_ints.h"
#include "proto/base/cloned.h"

#define REGULAR 0
#define STEPS   1

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static uint64_t step_at(const int64_t *times_ms, size_t i)
{
    return (uint64_t)times_ms[i] - (uint64_t)times_ms[i - 1];
}

static void put_steps(struct buf *out, const int64_t *times_ms, size_t count, uint64_t unit)
{
    uint64_t steps[CHUNK_BLOCK];

    buf_put_varint(out, unit);
    for (size_t at = 1; at < count;) {
        size_t n = 0;
        while (n < CHUNK_BLOCK && at < count)
            steps[n++] = step_at(times_ms, at++) / unit;
        ints_put(out, steps, n);
    }
}

void times_put(struct buf *out, const int64_t *times_ms, size_t count)
{
    bool regular = true;
    uint64_t unit = count > 1 ? step_at(times_ms, 1) : 1;

    for (size_t i = 2; i < count; i++) {
        uint64_t step = step_at(times_ms, i);
        if (step != unit) {
            regular = false;
            unit = greatest_common_divisor(unit, step);
        }
    }
    /* After the first difference `unit` is a divisor and may equal later steps by chance, but
     * `regular` stays false. */
    buf_put_u8(out, regular ? REGULAR : STEPS);
    buf_put_zigzag(out, times_ms[0]);
    if (count > 1)
        buf_put_varint(out, (uint64_t)times_ms[count - 1] - (uint64_t)times_ms[0]);
    if (!regular)
        put_steps(out, times_ms, count, unit);
}

bool times_head_get(struct reader *reader, size_t count, struct times_head *ret_head)
{
    uint8_t coding = reader_u8(reader);
    int64_t first_ms = reader_zigzag(reader);
    uint64_t span = count > 1 ? reader_varint(reader) : 0;

    if (reader->failed || coding > STEPS || span < count - 1 ||
        span > (uint64_t)INT64_MAX - (uint64_t)first_ms)
        return false;
    if (coding == REGULAR && count > 1 && span % (count - 1) != 0)
        return false;
    *ret_head = (struct times_head){
        .regular = coding == REGULAR,
        .first_ms = first_ms,
        .last_ms = (int64_t)((uint64_t)first_ms + span),
    };
    return true;
}

static bool get_steps(struct reader *reader, const struct times_head *head, int64_t *times_ms,
                      size_t count)
{
    uint64_t unit = reader_varint(reader);
    uint64_t left = (uint64_t)head->last_ms - (uint64_t)head->first_ms;
    uint64_t now = (uint64_t)head->first_ms;
    uint64_t steps[CHUNK_BLOCK];

    if (unit == 0)
        return false;
    times_ms[0] = head->first_ms;
    for (size_t at = 1; at < count;) {
        size_t n = count - at < CHUNK_BLOCK ? count - at : CHUNK_BLOCK;
        if (!ints_get(reader, steps, n))
            return false;
        for (size_t i = 0; i < n; i++) {
            if (steps[i] == 0 || steps[i] > left / unit)
                return false;
            left -= steps[i] * unit;
            now += steps[i] * unit;
            times_ms[at++] = (int64_t)now;
        }
    }
    return left == 0;
}

CLONED bool times_get(struct reader *reader, const struct times_head *head, int64_t *times_ms,
               size_t count)
{
    if (!head->regular)
        return get_steps(reader, head, times_ms, count);
    uint64_t first = (uint64_t)head->first_ms;
    uint64_t interval = count > 1 ? ((uint64_t)head->last_ms - first) / (count - 1) : 0;
    for (size_t i = 0; i < count; i++, first += interval)
        times_ms[i] = (int64_t)first;
    return true;
}
