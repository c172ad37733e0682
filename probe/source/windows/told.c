/*
 * told.c - see told.h.
 */
#include "probe/source/windows/told.h"

#include <stdio.h>
#include <string.h>

static const struct metric calls_failed =
    TOLD_COUNTER("fengsui_probe_windows_calls_failed_total",
                 "Calls of Windows that failed, by call: what they tell is missing.");

void told_begin(struct told *told)
{
    readings_begin(&told->list);
}

void told_failed(struct told *told, const char *call, unsigned long code)
{
    size_t i = 0;
    while (i < told->call_count && strcmp(told->calls[i].name, call) != 0)
        i++;
    if (i == TOLD_CALLS_MAX)
        return;
    if (i == told->call_count)
        told->calls[told->call_count++].name = call;
    told->calls[i].failures++;
    told->calls[i].code = code;
    if (told->complaint[0] == '\0')
        (void)snprintf(told->complaint, sizeof told->complaint,
                       "%s fails (error %lu): what it tells is missing", call, code);
}

void told_plain(struct told *told, const struct metric *metric, double value)
{
    readings_add(&told->list, metric, value, NULL, 0);
}

void told_one(struct told *told, const struct metric *metric, double value, const char *name,
              struct bytes label)
{
    readings_add_one(&told->list, metric, value, name, label);
}

void told_two(struct told *told, const struct metric *metric, double value, const char *name_a,
              struct bytes label_a, const char *name_b, struct bytes label_b)
{
    readings_add_two(&told->list, metric, value, name_a, label_a, name_b, label_b);
}

int told_emit(struct told *told, struct emitter *out)
{
    for (size_t i = 0; i < told->call_count; i++)
        told_one(told, &calls_failed, (double)told->calls[i].failures, "call",
                 bytes_of(told->calls[i].name));
    return readings_emit(&told->list, out);
}

const char *told_complaint(const struct told *told)
{
    return told->complaint[0] == '\0' ? NULL : told->complaint;
}

void told_done(struct told *told)
{
    readings_done(&told->list);
}

struct bytes told_text(const wchar_t *text, char room[TOLD_TEXT_BYTES])
{
    size_t size = windows_narrow(text, wcslen(text), room, TOLD_TEXT_BYTES);
    return (struct bytes){(const uint8_t *)room, size};
}
