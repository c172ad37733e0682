/*
 * test_explain_text.c - the first line of an explanation, from the collector's JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "collector/ctl/explain_text.h"

#define NOW_MS INT64_C(1795890000000) /* 2026-11-28T18:20:00Z */

#define TOLD                                                                                   \
    "\"verdict\":{\"code\":\"told\",\"told\":[{\"receiver\":\"desk\",\"channel\":\"sms\","     \
    "\"index\":1,\"at\":\"2026-11-28T18:13:05.5Z\",\"lastAt\":\"2026-11-28T18:13:05.5Z\","     \
    "\"times\":1}],\"toldEnd\":[],\"undelivered\":[],\"mutedUntil\":null,\"next\":null},"      \
    "\"silences\":[],\"inhibitedBy\":[],\"groups\":[],\"acknowledged\":"

static void the_first_line_says_it(void **state)
{
    static const struct {
        const char *because, *json, *chinese, *english;
    } cases[] = {
        {"told, and in hand", TOLD "{\"by\":\"A\\u001b[2J\"},\"rule\":null",
         "正在告警，已于 18:13:05 通知 desk（sms 2）；A·[2J 已确认\n",
         "Firing; at 18:13:05 told desk (sms 2); acknowledged by A·[2J\n"},
        {"no data is no recovery",
         TOLD "null,\"rule\":{\"staleSince\":\"2026-11-28T18:15:00Z\",\"flappingSince\":null}",
         "正在告警，已于 18:13:05 通知 desk（sms 2）；数据自 18:15:00 起中断（不等于恢复）\n",
         "Firing; at 18:13:05 told desk (sms 2); NO DATA since 18:15:00, which is no "
         "recovery\n"},
        {"it comes and goes; another day's time has its day",
         TOLD "null,\"rule\":{\"staleSince\":null,\"flappingSince\":\"2026-11-27T18:15:00Z\"}",
         "正在告警，已于 18:13:05 通知 desk（sms 2）；自 11-27 18:15:00 "
         "起抖动，稳定前不重复报\n",
         "Firing; at 18:13:05 told desk (sms 2); flapping since 11-27 18:15:00, told once "
         "until it "
         "settles\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int chinese = 0; chinese < 2; chinese++) {
            const struct ctl ctl = {.chinese = chinese != 0};
            const char *wanted = chinese != 0 ? cases[i].chinese : cases[i].english;
            struct buf json = {0}, text = {0};
            buf_printf(&json, "{%s}", cases[i].json);
            json_t *alert = json_loads(buf_text(&json), 0, NULL);
            assert_non_null(alert);
            explain_put_verdict(&ctl, alert, NOW_MS, &text);
            if (strcmp(buf_text(&text), wanted) != 0)
                fail_msg("%s: %s", cases[i].because, buf_text(&text));
            json_decref(alert);
            buf_done(&json);
            buf_done(&text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_line_says_it)};
    (void)setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
