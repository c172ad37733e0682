/* api_world_fill.c - see api_world_fill.h. */
#include "tests/fuzz/api_world_fill.h"

#include <string.h>
#include <xxhash.h>

#include "collector/http/alertmanager_body.h"
#include "proto/base/must.h"
#include "proto/wire/curve.h"
#include "proto/wire/record.h"

#define FIXED_MS INT64_C(1700000000000) /* 2023-11-14 22:13:20 UTC: what seeds ask about */
/* Of "secret"; of the token that seeds show for the job `sync`; of nobody's. */
#define PASSWORD_HASH                                                                          \
    "$argon2id$v=19$m=65536,t=2,p=1$sGyu4R5ncHpCN6bA1NvHRg$"                                   \
    "hfRtAHPu92yf0KGiZ2CwjVxGwn2gKbYMeviaaQgrJ2A"
#define TOKEN_HASH "blake2b:337b25798470169f6fcb239dad7c1ecd9095327e5b1d039b9ffbc882ea8cac19"
#define OTHER_HASH "blake2b:0000000000000000000000000000000000000000000000000000000000000000"
#define STEP_MS    15000
#define STEPS    20

const struct api_world_file api_world_files[] = {
    {"alerting.yml", "route:\n"
                     "  receiver: desk\n"
                     "  group_by: [alertname]\n"
                     "  group_wait: 0s\n"
                     "  group_interval: 1s\n"
                     "  repeat_interval: 1h\n"
                     "  routes:\n"
                     "  - {matchers: ['severity=\"critical\"'], receiver: on-call}\n"
                     "  - {matchers: ['team=~\"db|os\"'], receiver: desk, "
                     "mute_time_intervals: [nights], continue: true}\n"
                     "receivers:\n"
                     "- {name: desk, webhook_configs: [{url: 'http://127.0.0.1:1/', timeout: 1s}]}\n"
                     "- {name: on-call, escalation: default}\n"
                     "contact_channels:\n"
                     "- {name: hook, webhook_configs: [{url: 'http://127.0.0.1:1/', timeout: 1s}]}\n"
                     "inhibit_rules:\n"
                     "- {source_matchers: ['alertname=\"RackDown\"'], target_matchers: "
                     "['alertname=\"Posted\"'], equal: [rack]}\n"
                     "time_intervals:\n"
                     "- {name: nights, time_intervals: [{times: [{start_time: '22:00', "
                     "end_time: '24:00'}], location: '+08:00'}]}\n"},
    {"duty.yml", "time_zone: \"+08:00\"\n"
                 "persons:\n"
                 "- {id: \"1001\", name: 值班员甲, ways: [{channel: hook, to: \"1\"}]}\n"
                 "- {id: \"1002\", name: 值班员乙, ways: [{channel: hook, to: \"2\"}]}\n"
                 "rosters:\n"
                 "- name: primary\n"
                 "  title: 一线值班\n"
                 "  layers: [{rotation: [\"1001\", \"1002\"], start: 2023-01-02, "
                 "handover: \"08:30\", length: 1w}]\n"
                 "escalations:\n"
                 "- {name: default, steps: [{notify: [{roster: primary}]}, {wait: 5m, notify: "
                 "[{person: \"1002\"}]}]}\n"},
    {"jobs.yml", "jobs:\n"
                 "- {name: backup, title: 备份, cron: \"0 2 * * *\", grace: 1h, "
                 "max_duration: 3h, min_size: 1KiB, labels: {team: db}}\n"
                 "- {name: sync, every: 90s, grace: 30s, token_hash: \"" TOKEN_HASH "\"}\n"
                 "- {name: free}\n"},
    {"users.yml", "users:\n"
                  "- {name: a, role: admin, password_hash: \"" PASSWORD_HASH "\"}\n"
                  "tokens:\n"
                  "- {name: t, role: writer, token_hash: \"" OTHER_HASH "\"}\n"},
    {"policy.yml", "periods: {peak: {hours: [\"08:30-17:30\"]}}\n"
                   "rules:\n"
                   "- {name: web, match: 'role=\"web\"', interval: 5s, sources: {load: {interval: "
                   "1s}}}\n"
                   "- {name: peak, during: [peak], interval: 2s}\n"},
    {"rules.yml", "groups:\n"
                  "- name: one\n"
                  "  interval: 1s\n"
                  "  rules:\n"
                  "  - {record: 'job:requests:rate1m', expr: 'sum by (job) "
                  "(rate(requests_total[1m]))', labels: {site: a}}\n"
                  "  - {alert: Busy, expr: 'load > 0', for: 0s, keep_firing_for: 1m, labels: "
                  "{severity: critical}, annotations: {summary: '{{ $labels.instance }} {{ $value "
                  "}}'}}\n"
                  "  - {alert: Waiting, expr: 'load > 0', for: 1h}\n"
                  "- {name: two, interval: 1m, rules: [{alert: Never, expr: 'absent(load)'}]}\n"},
};
const size_t api_world_file_count = sizeof api_world_files / sizeof *api_world_files;

const char *const api_world_requests[] = {
    "POST /api/v2/alerts\n\n"
    "[{\"labels\":{\"alertname\":\"Posted\",\"instance\":\"web-01\",\"severity\":\"critical\"},"
    "\"annotations\":{\"summary\":\"长\"},\"generatorURL\":\"http://a.example/g\"},"
    "{\"labels\":{\"alertname\":\"RackDown\",\"rack\":\"7\"}},"
    "{\"labels\":{\"alertname\":\"Posted\",\"rack\":\"7\",\"team\":\"db\"}}]",
    "POST /api/v2/silences\n\n"
    "{\"matchers\":[{\"name\":\"team\",\"value\":\"d.*\",\"isRegex\":true}],"
    "\"startsAt\":\"2023-11-14T22:13:20Z\",\"endsAt\":\"2093-11-14T22:13:20Z\","
    "\"createdBy\":\"值班员甲\",\"comment\":\"割接\"}",
    "POST /api/fengsui/v1/jobs/free/start?rid=1\n\n",
    "POST /api/fengsui/v1/jobs/free/fail?rid=1&exit=3\n\nno room\n",
    "POST /api/fengsui/v1/duty/swap\n\n"
    "{\"roster\":\"primary\",\"person\":\"1002\",\"from\":\"2090-01-02 08:30\","
    "\"to\":\"2090-01-03 08:30\",\"reason\":\"请假\"}",
    "POST /api/fengsui/v1/store/settle\n\n",
};
const size_t api_world_request_count = sizeof api_world_requests / sizeof *api_world_requests;

static void print_series(struct buf *out, const char *series, int64_t from_ms, unsigned seed)
{
    for (int64_t i = 0; i < STEPS; i++)
        buf_printf(out, "%s %lld %lld\n", series, (long long)((i * seed) % 17 + i * seed),
                   (long long)(from_ms + i * STEP_MS));
}

void api_world_print_samples(struct buf *out, int64_t now_ms)
{
    static const char *const series[] = {
        "requests_total{job=\"node\",instance=\"web-01\",code=\"200\"}",
        "requests_total{job=\"node\",instance=\"web-02\",code=\"500\"}",
        "requests_total{job=\"db\",instance=\"db-01\",code=\"200\"}",
        "load{job=\"node\",instance=\"web-01\"}",
        "load{job=\"node\",instance=\"web-02\"}",
        "seconds_bucket{job=\"node\",le=\"0.1\"}",
        "seconds_bucket{job=\"node\",le=\"1\"}",
        "seconds_bucket{job=\"node\",le=\"+Inf\"}",
        "up{job=\"node\",instance=\"web-01\"}",
        "build_info{job=\"node\",instance=\"web-01\",version=\"一\"}"};
    buf_put_text(out, "POST /api/v1/import/prometheus\n\n"
                      "# HELP requests_total Requests.\n# TYPE requests_total counter\n"
                      "# HELP load Load.\n# TYPE load gauge\n# TYPE seconds histogram\n");
    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        print_series(out, series[i], FIXED_MS - (STEPS - 1) * STEP_MS, (unsigned)i + 1);
        print_series(out, series[i], now_ms - (STEPS - 1) * STEP_MS, (unsigned)i + 1);
    }
    must(buf_ok(out));
}

static void put_key(struct store *store, uint8_t first_byte, const char *row)
{
    uint8_t key[4 + CURVE_KEY_BYTES] = {'k', 'e', 'y', '/'};
    for (size_t i = 0; i < CURVE_KEY_BYTES; i++)
        key[4 + i] = (uint8_t)(first_byte + i);
    const struct store_put put = {{key, sizeof key}, bytes_of(row)};
    struct store_write write = {.puts = &put, .put_count = 1};
    must(store_write_wait(store, &write) == 0);
}

/* One whose id seeds can name; its matchers match nothing here. */
static void put_silence(struct store *store)
{
    static const char id[] = "0d4ce6b8-8a47-4ac5-a6d8-ab0b9b2e9e4d";
    static const char body[] =
        "{\"matchers\":[{\"name\":\"a\",\"value\":\"b\",\"isRegex\":false}],"
        "\"startsAt\":\"2023-11-14T22:13:20Z\",\"endsAt\":\"2093-11-14T22:13:20Z\","
        "\"createdBy\":\"值班员甲\",\"comment\":\"c\"}";
    struct silence *silence = NULL;
    struct body_refusal refusal = {0};
    struct buf row = {0};
    must(alertmanager_read_silence(bytes_of(body), FIXED_MS, &silence, &refusal) == 0);
    memcpy(silence->id, id, sizeof id);
    silence_write(silence, &row);
    must(buf_ok(&row));
    const struct store_put put = {bytes_of("notify/silence/0d4ce6b8-8a47-4ac5-a6d8-ab0b9b2e9e4d"),
                                  buf_bytes(&row)};
    struct store_write write = {.puts = &put, .put_count = 1};
    must(store_write_wait(store, &write) == 0);
    silence_free(silence);
    buf_done(&row);
}

void api_world_put_keys(struct store *store)
{
    uint8_t link_key[32];
    for (size_t i = 0; i < sizeof link_key; i++)
        link_key[i] = (uint8_t)i;
    const struct store_put put = {bytes_of("incident-key"), {link_key, sizeof link_key}};
    struct store_write write = {.puts = &put, .put_count = 1};
    must(store_write_wait(store, &write) == 0);
    put_silence(store);
    put_key(store, 1, "{\"standing\":\"approved\",\"job\":\"node\",\"instance\":\"web-01\","
                      "\"labels\":{\"role\":\"web\"},\"interval_ms\":5000,\"first_seen_ms\":1,"
                      "\"approved_ms\":2}");
    put_key(store, 65, "{\"standing\":\"pending\",\"job\":\"node\",\"instance\":\"web-02\","
                       "\"labels\":{},\"interval_ms\":5000,\"first_seen_ms\":1,"
                       "\"approved_ms\":0}");
}

static void put_lines(struct store *store, uint64_t file_id, const char *path,
                      const struct log_line *lines, size_t count)
{
    const struct store_log_chunk chunk = {
        XXH3_64bits("web-01", 6),
        {.file_id = file_id, .path = bytes_of(path), .lines = lines, .count = count}};
    struct store_write write = {.logs = &chunk, .log_count = 1};
    must(store_write_wait(store, &write) == 0);
}

static void put_processes(struct store *store, int64_t at_ms)
{
    const struct process_row row = {.pid = 1,
                                    .user = bytes_of("root"),
                                    .name = bytes_of("init"),
                                    .group = bytes_of("init"),
                                    .command_line = bytes_of("/sbin/init \xff splash"),
                                    .cpu_seconds_per_second = 0.25,
                                    .resident_bytes = 4096,
                                    .start_ms = 1};
    const struct process_table table = {&row, 1, 200};
    struct arena arena;
    struct buf coded = {0};
    arena_init(&arena, 1 << 20);
    must(record_encode_processes(&table, &arena, &coded) == 0);
    const struct log_line line = {
        .offset = (uint64_t)at_ms * 256, .ts_ms = at_ms, .text = buf_bytes(&coded)};
    put_lines(store, 1, "@process_table", &line, 1);
    buf_done(&coded);
    arena_reset(&arena);
}

void api_world_put_lines(struct store *store, int64_t now_ms)
{
    const int64_t times[] = {FIXED_MS, now_ms - 60000};
    for (size_t i = 0; i < 2; i++) {
        const uint64_t at = i * 1000;
        const struct log_line lines[] = {
            {at, times[i], 7, 0, bytes_of("GET /index 200")},
            {at + 20, times[i] + 1, 4, 0, bytes_of("connection timeout 超时")},
            {at + 60, times[i] + 2, 0, 0, bytes_of("")},
            {at + 61, times[i] + 3, 5, 0, bytes_of("\x1b[31mred\x1b[0m \"quoted\"")}};
        put_lines(store, 7, "/var/log/web/error.log", lines, 4);
        put_lines(store, 8, "/var/log/messages", lines, 2);
        put_processes(store, times[i]);
    }
}
