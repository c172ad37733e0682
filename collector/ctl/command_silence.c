/* command_silence.c - silences: set, list, end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"
#include "proto/base/clock.h"
#include "proto/base/units.h"

#define SILENCES_PATH "/api/v2/silences"
#define SILENCE_PATH  "/api/v2/silence/"
#define INSTANT_BYTES 64

struct silence_options {
    const char *duration, *comment, *by, *start;
    bool expired;
};

/* ---- matchers ---------------------------------------------------------------------------- */

/* name=value, name!=value, name=~regex, name!~regex; a word alone is an alert's name.  NULL
 * after a message. */
static json_t *matcher_of(const struct ctl *ctl, const char *text)
{
    const size_t size = strcspn(text, "=!");
    const char *sign = text + size;
    const bool negative = *sign == '!';
    const bool is_regex = *sign != '\0' && sign[1] == '~';
    const size_t sign_size = negative || is_regex ? 2 : 1;
    char *name;
    json_t *matcher;

    if (*sign == '\0')
        return json_pack("{s:s, s:s, s:b, s:b}", "name", "alertname", "value", text, "isRegex",
                         false, "isEqual", true);
    if (size == 0 || (negative && sign[1] != '=' && sign[1] != '~')) {
        char *visible = text_visible(text);
        fprintf(stderr,
                SAY(ctl,
                    "fengsuictl: a matcher is written name=value, name!=value, "
                    "name=~regex or name!~regex, not \"%s\"\n",
                    "fengsuictl：匹配条件应写作 名=值、名!=值、名=~正则 或 名!~正则，"
                    "而不是“%s”\n"),
                visible);
        free(visible);
        return NULL;
    }
    name = strndup(text, size);
    matcher = json_pack("{s:s, s:s, s:b, s:b}", "name", name != NULL ? name : "", "value",
                        sign + sign_size, "isRegex", is_regex, "isEqual", !negative);
    free(name);
    return matcher;
}

static json_t *matchers_of(const struct ctl *ctl, char **texts, int count)
{
    json_t *matchers = json_array();
    for (int i = 0; i < count; i++) {
        json_t *matcher = matcher_of(ctl, texts[i]);
        if (matcher == NULL) {
            json_decref(matchers);
            return NULL;
        }
        json_array_append_new(matchers, matcher);
    }
    return matchers;
}

/* host="db-01" site=~"a|b"; the caller frees. */
static char *matchers_text(const json_t *matchers)
{
    char *text = strdup("");
    size_t index;
    json_t *matcher;
    json_array_foreach(matchers, index, matcher)
    {
        const json_t *is_equal = json_object_get(matcher, "isEqual");
        const bool equal = is_equal == NULL || json_is_true(is_equal);
        const bool regex = json_is_true(json_object_get(matcher, "isRegex"));
        const char *name = json_string_value(json_object_get(matcher, "name"));
        const char *value = json_string_value(json_object_get(matcher, "value"));
        char *longer = NULL;
        if (text == NULL || asprintf(&longer, "%s%s%s%s\"%s\"", text, index > 0 ? " " : "",
                                     name != NULL ? name : "",
                                     regex ? (equal ? "=~" : "!~") : (equal ? "=" : "!="),
                                     value != NULL ? value : "") < 0)
            longer = NULL;
        free(text);
        text = longer;
    }
    return text;
}

/* ---- set --------------------------------------------------------------------------------- */

static const char *instant_text(int64_t ts_ms, char text[INSTANT_BYTES])
{
    const time_t seconds = (time_t)(ts_ms / 1000);
    struct tm tm = {0};
    size_t size;
    (void)gmtime_r(&seconds, &tm);
    size = strftime(text, INSTANT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + size, INSTANT_BYTES - size, ".%03dZ", (int)(ts_ms % 1000));
    return text;
}

/* When it begins and how long it lasts; EXIT_USAGE after a message. */
static int read_times(const struct ctl *ctl, const struct silence_options *options,
                      int64_t *ret_wait_ms, int64_t *ret_duration_ms)
{
    const char *duration = options->duration != NULL ? options->duration : "1h";
    *ret_wait_ms = 0;
    if (duration_parse(duration, ret_duration_ms) != 0 || *ret_duration_ms <= 0) {
        fprintf(stderr, SAY(ctl, "fengsuictl: --duration takes a time like 30m, 2h, 1d12h\n",
                            "fengsuictl：--duration 应为 30m、2h、1d12h 这样的时长\n"));
        return EXIT_USAGE;
    }
    if (options->start != NULL && duration_parse(options->start, ret_wait_ms) != 0) {
        fprintf(stderr, SAY(ctl, "fengsuictl: --in takes a time like 30m, 2h, 1d12h\n",
                            "fengsuictl：--in 应为 30m、2h、1d12h 这样的时长\n"));
        return EXIT_USAGE;
    }
    return EXIT_FINE;
}

/* How many alerts it holds back right now: a typing error shows as none. */
static void print_effect(const struct ctl *ctl, const char *id)
{
    const struct parameter parameters[] = {{"active", "false"}, {"silenced", "true"}};
    json_t *alerts = NULL;
    size_t index, held = 0;
    json_t *alert;
    if (client_bare(ctl, "GET", "/api/v2/alerts", parameters, 2, NULL, &alerts) != EXIT_FINE)
        return;
    json_array_foreach(alerts, index, alert)
    {
        const json_t *ids = json_object_get(json_object_get(alert, "status"), "silencedBy");
        for (size_t i = 0; i < json_array_size(ids); i++)
            held += strcmp(json_string_value(json_array_get(ids, i)), id) == 0;
    }
    fprintf(stderr,
            SAY(ctl, "holds back %zu firing alerts now\n", "目前静默了 %zu 条触发中的告警\n"),
            held);
    json_decref(alerts);
}

static int add(const struct ctl *ctl, const struct silence_options *options, char **texts,
               int count)
{
    const char *by = options->by != NULL ? options->by : getenv("USER");
    char starts[INSTANT_BYTES], ends[INSTANT_BYTES];
    int64_t wait_ms, duration_ms;
    int code = read_times(ctl, options, &wait_ms, &duration_ms);
    if (code != EXIT_FINE)
        return code;
    if (options->comment == NULL || *options->comment == '\0') {
        fprintf(stderr, SAY(ctl, "fengsuictl: say why with --comment\n",
                            "fengsuictl：请用 --comment 说明原因\n"));
        return EXIT_USAGE;
    }
    json_t *matchers = matchers_of(ctl, texts, count);
    if (matchers == NULL)
        return EXIT_USAGE;
    const int64_t starts_ms = clock_unix_ms(&clock_system) + wait_ms;
    json_t *body = json_pack("{s:o, s:s, s:s, s:s, s:s}", "matchers", matchers, "startsAt",
                             instant_text(starts_ms, starts), "endsAt",
                             instant_text(starts_ms + duration_ms, ends), "createdBy",
                             by != NULL ? by : "fengsuictl", "comment", options->comment);
    json_t *data = NULL;
    code = client_bare(ctl, "POST", SILENCES_PATH, NULL, 0, body, &data);
    const char *id = json_string_value(json_object_get(data, "silenceID"));
    if (id != NULL) {
        printf("%s\n", id);
        if (wait_ms == 0)
            print_effect(ctl, id);
    }
    json_decref(data);
    json_decref(body);
    return code;
}

/* ---- list and end ------------------------------------------------------------------------ */

static const char *state_text(const struct ctl *ctl, const char *state)
{
    static const char *const names[][2] = {
        {"active", "生效中"}, {"pending", "未开始"}, {"expired", "已结束"}};
    for (size_t i = 0; ctl->chinese && i < 3; i++)
        if (strcmp(names[i][0], state) == 0)
            return names[i][1];
    return state;
}

static void add_row(const struct ctl *ctl, struct table *table, const json_t *silence)
{
    struct values values = {.next = 0};
    char *matchers = matchers_text(json_object_get(silence, "matchers"));
    table_row(
        table,
        (const char *[]){
            value_text(&values, silence, "id"),
            state_text(ctl, value_text(&values, json_object_get(silence, "status"), "state")),
            matchers != NULL ? matchers : "", value_text(&values, silence, "startsAt"),
            value_text(&values, silence, "endsAt"), value_text(&values, silence, "createdBy"),
            value_text(&values, silence, "comment")});
    free(matchers);
}

static int list(const struct ctl *ctl, const struct silence_options *options)
{
    struct table table;
    json_t *data = NULL, *silence;
    size_t index, shown = 0;
    int code = client_bare(ctl, "GET", SILENCES_PATH, NULL, 0, NULL, &data);
    if (data == NULL)
        return code;
    table_init(&table, 7);
    table_row(&table, (const char *[]){SAY(ctl, "ID", "编号"), SAY(ctl, "STATE", "状态"),
                                       SAY(ctl, "MATCHERS", "匹配条件"),
                                       SAY(ctl, "STARTS", "开始"), SAY(ctl, "ENDS", "结束"),
                                       SAY(ctl, "BY", "设置人"), SAY(ctl, "COMMENT", "原因")});
    json_array_foreach(data, index, silence)
    {
        const char *state =
            json_string_value(json_object_get(json_object_get(silence, "status"), "state"));
        if (state == NULL || (strcmp(state, "expired") == 0) != options->expired)
            continue;
        add_row(ctl, &table, silence);
        shown++;
    }
    table_print(&table);
    if (shown == 0)
        fprintf(stderr, "%s\n", SAY(ctl, "no silences", "没有静默"));
    json_decref(data);
    return code;
}

static int expire(const struct ctl *ctl, char **ids, int count)
{
    int code = EXIT_FINE;
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        json_t *data = NULL;
        if (strspn(ids[i], "0123456789abcdefABCDEF-") != strlen(ids[i])) {
            fprintf(stderr, SAY(ctl, "fengsuictl: an id is what `silence list` shows\n",
                                "fengsuictl：编号见 silence list\n"));
            return EXIT_USAGE;
        }
        if (asprintf(&path, SILENCE_PATH "%s", ids[i]) < 0)
            return EXIT_FAILED;
        int one = client_bare(ctl, "DELETE", path, NULL, 0, NULL, &data);
        if (one != EXIT_FINE)
            code = one;
        else if (!ctl->json)
            printf("%s %s\n", SAY(ctl, "ended", "已结束"), ids[i]);
        json_decref(data);
        free(path);
    }
    return code;
}

static int run_silence(struct ctl *ctl, int count, char **arguments)
{
    static const char *const verbs[] = {"list", "add", "expire"};
    struct silence_options options = {0};
    int left = 0;
    const struct flag flags[] = {{"--duration", FLAG_TEXT, &options.duration},
                                 {"--comment", FLAG_TEXT, &options.comment},
                                 {"--by", FLAG_TEXT, &options.by},
                                 {"--in", FLAG_TEXT, &options.start},
                                 {"--expired", FLAG_BOOL, &options.expired}};
    int code = args_parse(ctl, &command_silence, count, arguments, flags, 5, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    const char *verb = left > 0 ? arguments[0] : "list";
    if (strcmp(verb, "list") == 0 && left <= 1)
        return list(ctl, &options);
    if (strcmp(verb, "add") == 0 && left >= 2)
        return add(ctl, &options, arguments + 1, left - 1);
    if (strcmp(verb, "expire") == 0 && left >= 2)
        return expire(ctl, arguments + 1, left - 1);
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(verb, verbs[i]) == 0) {
            fprintf(stderr,
                    SAY(ctl,
                        "fengsuictl: silence %s: wrong arguments; see fengsuictl "
                        "silence --help\n",
                        "fengsuictl：silence %s 的参数不对，请看 fengsuictl silence --help\n"),
                    verb);
            return EXIT_USAGE;
        }
    }
    return args_unknown(ctl, SAY(ctl, "action", "操作"), verb, verbs, 3);
}

const struct command command_silence = {
    .name = "silence",
    .run = run_silence,
    .summary_english = "hold back messages of alerts for a while",
    .summary_chinese = "在一段时间内不发某些告警的通知",
    .help_english =
        "fengsuictl silence: hold back messages of alerts for a while, as for planned work.\n\n"
        "  fengsuictl silence add instance=db-01 --duration 2h --comment 'disk change'\n"
        "  fengsuictl silence add DiskFull 'instance=~db-.*' --in 6h --duration 30m --comment "
        "...\n"
        "  fengsuictl silence list [--expired]\n"
        "  fengsuictl silence expire ID\n\n"
        "All matchers must hold: name=value, name!=value, name=~regex, name!~regex; a word "
        "alone is\n"
        "an alert's name.  Who was told that an alert fires is told its end, silence or not; "
        "an\n"
        "alert that outlasts its silence is told.\n"
        "  --duration TIME  how long (default 1h)\n"
        "  --in TIME        begin that much later (default: now)\n"
        "  --comment TEXT   why\n"
        "  --by NAME        who (default: the login name)\n"
        "  --expired        list those that have ended (kept for five days)",
    .help_chinese =
        "fengsuictl silence：在一段时间内不发某些告警的通知，例如计划内的检修。\n\n"
        "  fengsuictl silence add instance=db-01 --duration 2h --comment '更换硬盘'\n"
        "  fengsuictl silence add 磁盘将满 'instance=~db-.*' --in 6h --duration 30m --comment "
        "...\n"
        "  fengsuictl silence list [--expired]\n"
        "  fengsuictl silence expire 编号\n\n"
        "所有匹配条件须同时成立：名=值、名!=值、名=~正则、名!~正则；单独一个词表示告警名。\n"
        "已通知过触发的告警，静默期间恢复照样通知；静默结束时仍在触发的告警会通知。\n"
        "  --duration 时长  多久（默认 1h）\n"
        "  --in 时长        多久之后开始（默认立即）\n"
        "  --comment 文字   原因\n"
        "  --by 姓名        谁设置的（默认为登录名）\n"
        "  --expired        列出已结束的（保留五天）",
};
