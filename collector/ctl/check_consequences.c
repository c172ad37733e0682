/*
 * check_consequences.c - check consequences: files that are offered against what the collector
 * has in force.
 *
 * The collector is only asked; nothing is changed.  What it runs is what its API shows, so
 * flags and files that were edited since its last reload do not confuse the comparison.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "collector/ctl/check.h"
#include "collector/ctl/consequences.h"
#include "collector/ctl/running.h"
#include "collector/options.h"

#define DAYS_BACK   7  /* whose alerts are looked at */
#define DAYS_AHEAD  30 /* whose duty is */
#define DAY_MS      INT64_C(86400000)
#define MOMENT_MS   INT64_C(900000) /* what fired within it is one moment, in its middle */
#define HISTORY     "max_over_time(ALERTS{alertstate=\"firing\"}[15m])"

/* What was read from the files. */
struct offer {
    struct options options;
    struct rule_set *rules;
    struct alerting *alerting;
    struct duty *duty; /* NULL: no duty.yml */
};

static void offer_done(struct offer *offer)
{
    rule_set_free(offer->rules);
    alerting_free(offer->alerting);
    duty_unref(offer->duty);
    options_free(&offer->options);
}

static int read_offer(char *config, struct offer *offer)
{
    const struct flags flags = {.config = config};
    struct diagnosis why = {0};
    int error = options_load(&flags, &offer->options, &why);

    if (error == 0) {
        const struct rule_set_options which = {offer->options.rule_files.items,
                                               offer->options.rule_files.count,
                                               offer->options.evaluation_interval_ms};
        error = rule_set_load(&which, &offer->rules, &why);
    }
    if (error == 0 && offer->options.duty != NULL)
        error = duty_load(offer->options.duty, &offer->duty, &why);
    if (error == 0)
        error = alerting_load(offer->options.alerting, offer->duty, &offer->alerting, &why);
    if (error != 0)
        fprintf(stderr, "%s\n", why.text);
    return error == 0 ? EXIT_FINE : EXIT_USAGE;
}

/* What the collector answers. */
struct running {
    json_t *rules, *alerts, *receivers, *silences;
    json_t *history, *shifts, *swaps; /* shifts NULL: no duty.yml */
    struct alerting *alerting;
    int64_t now_ms, until_ms;
};

static void running_done(struct running *running)
{
    json_decref(running->rules);
    json_decref(running->alerts);
    json_decref(running->receivers);
    json_decref(running->silences);
    json_decref(running->history);
    json_decref(running->shifts);
    json_decref(running->swaps);
    alerting_free(running->alerting);
}

/* Alerts of the last days, and who is on duty in the next. */
static int ask_times(const struct ctl *ctl, struct running *running)
{
    const int64_t end_ms = running->now_ms / MOMENT_MS * MOMENT_MS;
    char start[32], end[32], from[32], to[32];
    const struct parameter history[] = {
        {"query", HISTORY}, {"start", start}, {"end", end}, {"step", "15m"}};
    const struct parameter shifts[] = {{"from", from}, {"to", to}};
    int code;

    (void)snprintf(start, sizeof start, "%" PRId64, (end_ms - DAYS_BACK * DAY_MS) / 1000);
    (void)snprintf(end, sizeof end, "%" PRId64, end_ms / 1000);
    (void)snprintf(from, sizeof from, "%" PRId64, running->now_ms / 1000);
    (void)snprintf(to, sizeof to, "%" PRId64, running->until_ms / 1000);
    code = client_get(ctl, "/api/v1/query_range", history, 4, &running->history);
    if (code == EXIT_FINE)
        code = client_get_any(ctl, "/api/fengsui/v1/duty/shifts", shifts, 2, &running->shifts);
    if (code == EXIT_FINE)
        code = client_get(ctl, "/api/fengsui/v1/duty/swaps", NULL, 0, &running->swaps);
    return code;
}

static int ask(const struct ctl *ctl, const struct offer *offer, struct running *running)
{
    struct ctl quiet = *ctl;
    int code;

    quiet.json = false;
    running->now_ms = (int64_t)time(NULL) * 1000; /* whole seconds, as they are asked for */
    running->until_ms = running->now_ms + DAYS_AHEAD * DAY_MS;
    code = client_get(&quiet, "/api/v1/rules", NULL, 0, &running->rules);
    if (code == EXIT_FINE)
        code = client_get(&quiet, "/api/fengsui/v1/alerts", NULL, 0, &running->alerts);
    if (code == EXIT_FINE)
        code = client_get(&quiet, "/api/fengsui/v1/receivers", NULL, 0, &running->receivers);
    if (code == EXIT_FINE)
        code =
            client_bare(&quiet, "GET", "/api/v2/silences", NULL, 0, NULL, &running->silences);
    if (code == EXIT_FINE)
        code = ask_times(&quiet, running);
    return code == EXIT_FINE ? running_alerting(ctl, offer->duty, &running->alerting) : code;
}

static json_t *compare(const struct running *running, const struct offer *offer)
{
    const json_t *alerts = json_object_get(running->alerts, "alerts");
    json_t *rules = consequences_of_rules(running->rules, offer->rules);
    json_t *routes = consequences_of_routes(alerts, json_object_get(rules, "removed"),
                                            running->alerting, offer->alerting);
    json_t *receivers = consequences_of_receivers(running->receivers, offer->alerting);
    json_t *silences =
        consequences_of_silences(running->silences, running->rules, offer->rules, alerts);
    json_t *episodes = consequences_episodes(alerts, running->history, running->now_ms,
                                             MOMENT_MS / 2);
    json_t *told = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rules", rules, "routes", routes,
        "receivers", receivers, "silences", silences, "muting",
        consequences_of_mutes(episodes, running->alerting, offer->alerting), "timers",
        consequences_of_timers(episodes, running->alerting, offer->alerting), "inhibit_rules",
        consequences_of_inhibit_rules(running->alerting, offer->alerting), "intervals",
        consequences_of_intervals(running->alerting, offer->alerting), "duty",
        consequences_of_duty(running->shifts, running->swaps, offer->duty, running->now_ms,
                             running->until_ms));
    json_decref(episodes);
    return told;
}

/* Is any list in it not empty? */
static bool is_something(const json_t *value)
{
    const char *key;
    json_t *one;
    if (json_is_array(value))
        return json_array_size(value) > 0;
    json_object_foreach((json_t *)(uintptr_t)value, key, one)
    {
        if (is_something(one))
            return true;
    }
    return false;
}

static void print(const struct ctl *ctl, const json_t *consequences)
{
    struct buf text = {0};
    if (ctl->json) {
        (void)json_dumpf(consequences, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
    check_put_consequences(ctl, consequences, &text);
    fputs(buf_text(&text), stdout);
    buf_done(&text);
}

int check_consequences(const struct ctl *ctl, char *config, bool exit_code)
{
    struct offer offer = {0};
    struct running running = {0};
    json_t *consequences = NULL;
    int code = check_config(config, true);

    if (code == EXIT_FINE)
        code = read_offer(config, &offer);
    if (code == EXIT_FINE)
        code = ask(ctl, &offer, &running);
    if (code == EXIT_FINE) {
        consequences = compare(&running, &offer);
        if (consequences == NULL)
            code = EXIT_FAILED;
    }
    if (code == EXIT_FINE) {
        print(ctl, consequences);
        if (exit_code && is_something(consequences))
            code = EXIT_FAILED;
    } else if (exit_code) {
        code = EXIT_USAGE; /* not to be taken for consequences */
    }
    json_decref(consequences);
    running_done(&running);
    offer_done(&offer);
    return code;
}
