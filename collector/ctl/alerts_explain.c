/*
 * alerts_explain.c - alerts explain: which alert is meant, and what the collector says of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/alerts.h"
#include "collector/ctl/explain_text.h"
#include "collector/ctl/table.h"
#include "collector/notify/route.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

#define FINGERPRINT_CHARS 16
#define LABELS_BYTES_MAX  ((size_t)16 << 20)

static bool is_hex(const char *text)
{
    return *text != '\0' && strspn(text, "0123456789abcdefABCDEF") == strlen(text);
}

int alerts_labels(const json_t *object, struct arena *arena, const struct labels **ret_labels)
{
    struct label *pairs = arena_alloc(arena, json_object_size(object) + 1, sizeof *pairs);
    const char *name;
    json_t *value;
    size_t count = 0;

    if (pairs == NULL)
        return ERR_NOMEM;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (!json_is_string(value))
            return ERR_INVALID;
        pairs[count++] = (struct label){bytes_of(name), bytes_of(json_string_value(value))};
    }
    return labels_build(pairs, count, arena, ret_labels);
}

/* ---- which one --------------------------------------------------------------------------- */

/* What the words ask for: all of it must hold. */
struct choice {
    const char *word; /* a name or the beginning of a fingerprint; NULL: none */
    const char *instance;
    struct matcher **matchers;
    size_t matcher_count;
};

static void choice_done(struct choice *choice)
{
    for (size_t i = 0; i < choice->matcher_count; i++)
        matcher_free(choice->matchers[i]);
    free(choice->matchers);
}

static int read_words(const struct ctl *ctl, char **words, int count, struct choice *choice)
{
    for (int i = 0; i < count; i++) {
        struct diagnosis why = {0};
        const bool is_plain = strpbrk(words[i], "=~!{") == NULL;
        if (is_plain && choice->word == NULL) {
            choice->word = words[i];
            continue;
        }
        if (!is_plain && route_matchers_parse(words[i], &choice->matchers,
                                              &choice->matcher_count, &why) == 0)
            continue;
        char *visible = text_visible(words[i]);
        fprintf(stderr,
                SAY(ctl, "fengsuictl: \"%s\" is no fingerprint, name or matcher such as a=b\n",
                    "fengsuictl：“%s”不是指纹、告警名，也不是 a=b 这样的匹配条件\n"),
                visible);
        free(visible);
        return EXIT_USAGE;
    }
    return EXIT_FINE;
}

static bool is_meant(const struct choice *choice, const json_t *alert)
{
    const json_t *object = json_object_get(alert, "labels");
    const char *name = json_string_value(json_object_get(object, "alertname"));
    const char *instance = json_string_value(json_object_get(object, "instance"));
    const char *fingerprint = json_string_value(json_object_get(alert, "fingerprint"));
    const struct labels *labels;
    struct arena arena;
    bool holds = true;

    if (choice->word != NULL)
        holds = (name != NULL && strcmp(name, choice->word) == 0) ||
                (fingerprint != NULL && is_hex(choice->word) &&
                 strncasecmp(fingerprint, choice->word, strlen(choice->word)) == 0);
    if (choice->instance != NULL)
        holds = holds && instance != NULL && strcmp(instance, choice->instance) == 0;
    if (!holds || choice->matcher_count == 0)
        return holds;
    arena_init(&arena, LABELS_BYTES_MAX);
    holds = alerts_labels(object, &arena, &labels) == 0 &&
            matchers_match(choice->matchers, choice->matcher_count, labels);
    arena_reset(&arena);
    return holds;
}

/* The fingerprint of the one alert that is meant; EXIT_FAILED after a message. */
static int choose(const struct ctl *ctl, const struct choice *choice, char ret_fingerprint[17])
{
    struct ctl quiet = *ctl; /* of the list only the fingerprint is wanted */
    json_t *data = NULL, *alert;
    json_t *chosen = json_array();
    size_t index;
    int code;

    quiet.json = false;
    code = client_get(&quiet, ALERTS_PATH, NULL, 0, &data);
    json_array_foreach(json_object_get(data, "alerts"), index, alert)
    {
        if (is_meant(choice, alert))
            json_array_append(chosen, alert);
    }
    if (code == EXIT_FINE && json_array_size(chosen) == 1) {
        (void)snprintf(
            ret_fingerprint, FINGERPRINT_CHARS + 1, "%s",
            json_string_value(json_object_get(json_array_get(chosen, 0), "fingerprint")));
    } else if (code == EXIT_FINE) {
        code = EXIT_FAILED;
        fprintf(
            stderr, "%s\n",
            json_array_size(chosen) == 0
                ? SAY(ctl,
                      "fengsuictl: no alert is pending or fires that this means; one that is "
                      "over is found by its whole fingerprint",
                      "fengsuictl：没有这样的待定或触发中的告警；已结束的告警请给出完整指纹")
                : SAY(ctl, "fengsuictl: this means several alerts; give a fingerprint:",
                      "fengsuictl：有多条告警符合，请给出指纹："));
        if (json_array_size(chosen) > 1)
            alerts_print(ctl, chosen);
    }
    json_decref(chosen);
    json_decref(data);
    return code;
}

/* ---- what is said of it ------------------------------------------------------------------ */

static int explain(const struct ctl *ctl, const char *fingerprint)
{
    char path[sizeof ALERTS_PATH + 64];
    const int64_t now_ms = clock_unix_ms(&clock_system);
    json_t *data = NULL;
    struct buf text = {0};
    int code;

    (void)snprintf(path, sizeof path, ALERTS_PATH "/%s/explain", fingerprint);
    code = client_get(ctl, path, NULL, 0, &data);
    if (data != NULL) {
        explain_put_verdict(ctl, data, now_ms, &text);
        explain_put_details(ctl, data, now_ms, &text);
        fputs(buf_text(&text), stdout);
    }
    buf_done(&text);
    json_decref(data);
    return code;
}

int alerts_explain(const struct ctl *ctl, char **words, int count, const char *instance)
{
    struct choice choice = {.instance = instance};
    char fingerprint[FINGERPRINT_CHARS + 1];
    int code;

    if (count == 1 && strlen(words[0]) == FINGERPRINT_CHARS && is_hex(words[0]))
        return explain(ctl, words[0]);
    code = read_words(ctl, words, count, &choice);
    if (code == EXIT_FINE)
        code = choose(ctl, &choice, fingerprint);
    choice_done(&choice);
    return code == EXIT_FINE ? explain(ctl, fingerprint) : code;
}
