/*
 * fuzz_alertmanager_body.c - what strangers post to /api/v2: alerts and silences.
 *
 * Properties: a refusal says why and with which status; what is accepted is whole (labels are
 * there, ends do not lie before starts), and a silence and an alert written as rows read back
 * the same.
 */
#include <stdlib.h>

#include "collector/http/alertmanager_body.h"
#include "collector/notify/alert.h"
#include "proto/base/must.h"

#define NOW_MS INT64_C(1800000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_alert(const struct alert *alert)
{
    struct buf row = {0};
    struct alert again;
    struct arena arena;
    must(alert->external && alert->labels->count > 0 && alert->generator_url != NULL);
    must(alert->ends_by_timeout ? alert->ends_ms == 0 : alert->ends_ms >= alert->starts_ms);
    must(alert->ends_by_timeout || alert->firing == (alert->ends_ms > NOW_MS));
    arena_init(&arena, (size_t)64 << 20);
    alert_write(alert, &row);
    must(buf_ok(&row) && alert_read(buf_bytes(&row), &arena, &again) == 0);
    must(labels_equal(again.labels, alert->labels) && again.ends_ms == alert->ends_ms &&
         labels_equal(again.annotations, alert->annotations) &&
         again.external == alert->external && again.updated_ms == alert->updated_ms);
    arena_reset(&arena);
    buf_done(&row);
}

static void check_alerts(struct bytes body)
{
    struct posted_alerts alerts = {0};
    struct body_refusal refusal = {0};
    struct arena arena;
    arena_init(&arena, (size_t)64 << 20);
    if (alertmanager_read_alerts(body, NOW_MS, &arena, &alerts, &refusal) != 0) {
        must(refusal.status >= 400 && refusal.why.text[0] != '\0');
    } else {
        must(alerts.refusal.status == 0 || alerts.refusal.why.text[0] != '\0');
        for (size_t i = 0; i < alerts.count; i++)
            check_alert(&alerts.items[i]);
    }
    arena_reset(&arena);
}

static void check_silence(struct bytes body)
{
    struct silence *silence = NULL, *again;
    struct body_refusal refusal = {0};
    struct buf row = {0}, second = {0};
    if (alertmanager_read_silence(body, NOW_MS, &silence, &refusal) != 0) {
        must(refusal.status >= 400 && refusal.why.text[0] != '\0');
        return;
    }
    must(silence->matcher_count > 0 && silence->ends_ms > silence->starts_ms);
    must(silence_make_id(silence->id) == 0);
    silence_write(silence, &row);
    must(silence_read(silence->id, buf_bytes(&row), &again) == 0);
    silence_write(again, &second);
    must(bytes_equal(buf_bytes(&row), buf_bytes(&second)));
    silence_free(silence);
    silence_free(again);
    buf_done(&row);
    buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct silence *silence;
    check_alerts((struct bytes){data, size});
    check_silence((struct bytes){data, size});
    /* A row of the store that is not one. */
    if (silence_read("0d4ce6b8-8a47-4ac5-a6d8-ab0b9b2e9e4d", (struct bytes){data, size},
                     &silence) == 0)
        silence_free(silence);
    return 0;
}
