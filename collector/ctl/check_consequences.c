/*
 * check_consequences.c - check consequences: files that are offered against what the collector
 * has in force.
 *
 * The collector is only asked; nothing is changed.  What it runs is what its API shows, so
 * flags and files that were edited since its last reload do not confuse the comparison.
 */
#include <stdio.h>
#include <string.h>

#include "collector/ctl/check.h"
#include "collector/ctl/consequences.h"
#include "collector/ctl/running.h"
#include "collector/options.h"

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
    struct alerting *alerting;
};

static void running_done(struct running *running)
{
    json_decref(running->rules);
    json_decref(running->alerts);
    json_decref(running->receivers);
    json_decref(running->silences);
    alerting_free(running->alerting);
}

static int ask(const struct ctl *ctl, struct running *running)
{
    struct ctl quiet = *ctl;
    int code;

    quiet.json = false;
    code = client_get(&quiet, "/api/v1/rules", NULL, 0, &running->rules);
    if (code == EXIT_FINE)
        code = client_get(&quiet, "/api/fengsui/v1/alerts", NULL, 0, &running->alerts);
    if (code == EXIT_FINE)
        code = client_get(&quiet, "/api/fengsui/v1/receivers", NULL, 0, &running->receivers);
    if (code == EXIT_FINE)
        code =
            client_bare(&quiet, "GET", "/api/v2/silences", NULL, 0, NULL, &running->silences);
    return code == EXIT_FINE ? running_alerting(ctl, &running->alerting) : code;
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
    /* "duty": who is on duty before and after, of the rosters. */
    return json_pack("{s:o, s:o, s:o, s:o, s:[]}", "rules", rules, "routes", routes,
                     "receivers", receivers, "silences", silences, "duty");
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
        code = ask(ctl, &running);
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
