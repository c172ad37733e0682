/*
 * trial.c - see trial.h.
 */
#include "collector/notify/trial.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notify/json.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define TRIAL_ARENA_BYTES ((size_t)1 << 20)

struct trial_result {
    struct trial *trial;
    struct notify *owner;
    const char *channel; /* static */
    unsigned index;
    bool is_done, accepted;
    char reason[200];
    mono_ns began;
    double seconds;
};

struct trial {
    uint64_t number; /* 0: free */
    char *receiver;
    bool is_ordered; /* not begun yet */
    bool is_unknown; /* there is no such receiver */
    size_t left;     /* results that are still to come */
    struct trial_result *results;
    size_t count;
    struct trials *trials;
};

struct trials {
    pthread_mutex_t lock; /* guards all below; a trial that is under way is not recycled */
    uint64_t next;
    size_t under_way; /* transfers */
    struct trial items[TRIALS_MAX];
};

int trials_open(struct trials **ret_trials)
{
    struct trials *trials = calloc(1, sizeof *trials);
    if (trials == NULL)
        return ERR_NOMEM;
    must(pthread_mutex_init(&trials->lock, NULL) == 0);
    trials->next = 1;
    for (size_t i = 0; i < TRIALS_MAX; i++)
        trials->items[i].trials = trials;
    *ret_trials = trials;
    return 0;
}

static void forget(struct trial *trial)
{
    free(trial->receiver);
    free(trial->results);
    *trial = (struct trial){.trials = trial->trials};
}

void trials_close(struct trials *trials)
{
    if (trials == NULL)
        return;
    for (size_t i = 0; i < TRIALS_MAX; i++)
        forget(&trials->items[i]);
    (void)pthread_mutex_destroy(&trials->lock);
    free(trials);
}

/* The oldest one that is over, or never was. */
static struct trial *find_place(struct trials *trials)
{
    struct trial *oldest = NULL;
    for (size_t i = 0; i < TRIALS_MAX; i++) {
        struct trial *at = &trials->items[i];
        if (!at->is_ordered && at->left == 0 && (oldest == NULL || at->number < oldest->number))
            oldest = at;
    }
    return oldest;
}

int notify_trial(struct notify *notify, const char *receiver, uint64_t *ret_number)
{
    struct trials *trials = notify->trials;
    char *name = strdup(receiver);
    struct trial *place;

    if (name == NULL)
        return ERR_NOMEM;
    (void)pthread_mutex_lock(&trials->lock);
    place = find_place(trials);
    if (place != NULL) {
        forget(place);
        place->receiver = name;
        place->is_ordered = true;
        place->number = *ret_number = trials->next++;
    }
    (void)pthread_mutex_unlock(&trials->lock);
    if (place == NULL) {
        free(name);
        return ERR_AGAIN;
    }
    notify_wake(notify);
    return 0;
}

/* ---- on the loop ------------------------------------------------------------------------- */

static void keep_verdict(struct trial_result *result, const struct client_verdict *verdict)
{
    struct trials *trials = result->trial->trials;
    (void)pthread_mutex_lock(&trials->lock);
    result->is_done = true;
    result->accepted = verdict->accepted;
    (void)snprintf(result->reason, sizeof result->reason, "%.199s", verdict->why.text);
    result->seconds = (double)(clock_mono(&clock_system) - result->began) / 1e9;
    result->trial->left--;
    trials->under_way--;
    (void)pthread_mutex_unlock(&trials->lock);
}

static void on_verdict(void *context, const struct client_verdict *verdict)
{
    struct trial_result *result = context;
    struct notify *notify = result->owner;

    /* That it fails is news for whoever asked, and nobody else. */
    if (verdict->accepted) {
        health_note(&notify->health, result->trial->receiver, result->channel, result->index,
                    verdict, clock_mono(notify->clock));
        notify_wake(notify);
    }
    keep_verdict(result, verdict);
}

static int compose_body(const struct integration *integration, const struct message *message,
                        struct buf *body)
{
    const struct channel *channel = integration->channel;
    struct buf stored = {0};
    int error = channel->compose(integration->settings, message, &stored);

    if (error == 0 && channel->join != NULL) {
        struct bytes one = buf_bytes(&stored);
        error = channel->join(integration->settings, &one, 1, body);
    } else if (error == 0) {
        buf_put(body, stored.data, stored.size);
        error = buf_ok(body) ? 0 : ERR_NOMEM;
    }
    buf_done(&stored);
    return error;
}

static void send_one(struct notify *notify, const struct integration *integration,
                     const struct message *message, struct trial_result *result)
{
    struct client_verdict verdict = {0};
    struct buf body = {0};
    int error = compose_body(integration, message, &body);

    result->owner = notify;
    if (error == 0)
        error = delivery_start(notify->delivery,
                               &(struct delivery_order){.channel = integration->channel,
                                                        .settings = integration->settings,
                                                        .id = message->id,
                                                        .body = buf_bytes(&body)},
                               on_verdict, result, &verdict.why);
    buf_done(&body);
    if (error == 0)
        return;
    if (verdict.why.text[0] == '\0')
        (void)diagnose(&verdict.why, error, "%s", error_text(error));
    keep_verdict(result, &verdict);
}

static int make_alert(struct arena *arena, int64_t now_ms, struct alert *ret_alert)
{
    struct label labels[] = {{bytes_of("alertname"), bytes_of("FengsuiTest")},
                             {bytes_of("severity"), bytes_of("info")}};
    struct label notes[] = {
        {bytes_of("summary"), bytes_of("通知通道测试，请忽略（channel test, please ignore）")}};
    struct alert alert = {.starts_ms = now_ms, .firing = true, .generator_url = ""};
    int error = labels_build(labels, 2, arena, &alert.labels);
    if (error == 0)
        error = labels_build(notes, 1, arena, &alert.annotations);
    if (error == 0)
        alert.fingerprint = labels_fingerprint(alert.labels);
    *ret_alert = alert;
    return error;
}

static void send_all(struct notify *notify, const struct receiver *receiver,
                     struct trial *trial)
{
    char id[MESSAGE_ID_BYTES];
    int64_t now_ms = clock_unix_ms(notify->clock);
    struct arena arena;
    struct alert alert;
    const struct labels *none = NULL;

    arena_init(&arena, TRIAL_ARENA_BYTES);
    parcel_make_id(now_ms, id);
    if (make_alert(&arena, now_ms, &alert) == 0 && labels_build(NULL, 0, &arena, &none) == 0) {
        const struct message message = {.id = id,
                                        .receiver = receiver->name,
                                        .group_key = "{}:test",
                                        .group_labels = none,
                                        .common_labels = alert.labels,
                                        .common_annotations = alert.annotations,
                                        .external_url = notify->external_url,
                                        .alerts = &alert,
                                        .alert_count = 1,
                                        .firing_count = 1,
                                        .is_trial = true,
                                        .is_english = receiver->is_english,
                                        .templates = receiver->templates,
                                        .now_ms = now_ms};
        for (size_t i = 0; i < trial->count; i++)
            send_one(notify, &receiver->integrations[i], &message, &trial->results[i]);
    }
    arena_reset(&arena);
}

/* Under the lock: what begins cannot be recycled from here on. */
static const struct receiver *begin(struct notify *notify, struct trial *trial)
{
    const struct receiver *receiver = alerting_receiver(notify->alerting, trial->receiver);

    trial->is_ordered = false;
    trial->is_unknown = receiver == NULL;
    if (receiver == NULL)
        return NULL;
    trial->results = calloc(receiver->integration_count + 1, sizeof *trial->results);
    if (trial->results == NULL)
        return NULL;
    /* An escalation is no way out: its persons are receivers that can be tried. */
    trial->count = trial->left =
        receiver->integration_count - (receiver->escalation != NULL ? 1 : 0);
    notify->trials->under_way += trial->count;
    for (size_t i = 0; i < trial->count; i++)
        trial->results[i] =
            (struct trial_result){.trial = trial,
                                  .channel = receiver->integrations[i].channel->name,
                                  .index = receiver->integrations[i].index,
                                  .began = clock_mono(&clock_system)};
    return receiver;
}

void trials_run(struct notify *notify)
{
    struct trials *trials = notify->trials;
    for (size_t i = 0; i < TRIALS_MAX; i++) {
        const struct receiver *receiver = NULL;
        struct trial *trial = &trials->items[i];
        (void)pthread_mutex_lock(&trials->lock);
        if (trial->is_ordered)
            receiver = begin(notify, trial);
        (void)pthread_mutex_unlock(&trials->lock);
        if (receiver != NULL)
            send_all(notify, receiver, trial);
    }
}

bool trials_are_under_way(const struct notify *notify)
{
    bool are;
    (void)pthread_mutex_lock(&notify->trials->lock);
    are = notify->trials->under_way > 0;
    (void)pthread_mutex_unlock(&notify->trials->lock);
    return are;
}

/* ---- what came of it --------------------------------------------------------------------- */

static void print_result(const struct trial_result *result, struct buf *out)
{
    buf_printf(out,
               "{\"channel\":\"%s\",\"index\":%u,\"state\":\"%s\",\"error\":", result->channel,
               result->index,
               !result->is_done   ? "sending"
               : result->accepted ? "accepted"
                                  : "failed");
    json_put_text(out, result->reason);
    buf_printf(out, ",\"seconds\":%.3f}", result->seconds);
}

int notify_trial_print_json(struct notify *notify, uint64_t number, struct buf *out)
{
    struct trials *trials = notify->trials;
    const struct trial *trial = NULL;

    (void)pthread_mutex_lock(&trials->lock);
    for (size_t i = 0; i < TRIALS_MAX && trial == NULL; i++)
        if (trials->items[i].number == number)
            trial = &trials->items[i];
    if (trial != NULL && number != 0) {
        buf_printf(out, "{\"number\":%" PRIu64 ",\"receiver\":", trial->number);
        json_put_text(out, trial->receiver);
        buf_printf(out, ",\"known\":%s,\"done\":%s,\"integrations\":[",
                   trial->is_unknown ? "false" : "true",
                   trial->is_ordered || trial->left > 0 ? "false" : "true");
        for (size_t i = 0; i < trial->count; i++) {
            if (i > 0)
                buf_put_char(out, ',');
            print_result(&trial->results[i], out);
        }
        buf_put_text(out, "]}");
    }
    (void)pthread_mutex_unlock(&trials->lock);
    if (trial == NULL || number == 0)
        return ERR_NOTFOUND;
    return buf_ok(out) ? 0 : ERR_NOMEM;
}
