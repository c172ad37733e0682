/*
 * steer.c - see steer.h.
 */
#include "probe/steer.h"

#include <inttypes.h>
#include <stdio.h>

#include "probe/journal/journal.h"
#include "probe/log/log.h"
#include "probe/syslog/syslog.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

/* Settles what holds of the policy: sources in the options, files in steer->logs. */
static int settle(struct steer *steer, struct diagnosis *why)
{
    policy_obey(steer->policy, steer->options);
    log_settings_done(&steer->logs);
    int error = policy_logs(steer->policy, steer->permit, &steer->logs);
    return error == 0 ? 0 : diagnose(why, error, "out of memory");
}

int steer_open(struct options *options, struct steer *steer, struct diagnosis *why)
{
    struct diagnosis kept_why = {0};
    *steer = (struct steer){.options = options};
    int error = permit_new(&options->allow.files, options->rootfs, &steer->permit);
    if (error != 0)
        return diagnose(why, error, "out of memory");
    error = policy_load(options->state, &steer->policy, &kept_why);
    if (error != 0) {
        log_warn("policy", "the policy on disk is left out: %s", kept_why.text);
        error = policy_parse(0, (struct bytes){0}, &steer->policy, why);
    }
    if (error == 0)
        error = settle(steer, why);
    for (size_t i = 0; error == 0 && i < policy_refusals_kept(steer->policy); i++)
        log_warn("policy", "refused: %s: %s", steer->policy->refusals[i].part,
                 steer->policy->refusals[i].reason);
    return error;
}

void steer_done(struct steer *steer)
{
    log_settings_done(&steer->logs);
    policy_free(steer->policy);
    permit_free(steer->permit);
    *steer = (struct steer){0};
}

uint32_t steer_fastest_interval(const struct options *options)
{
    int64_t fastest_ms = OPTIONS_INTERVAL_MOST_MS;
    for (size_t i = 0; i < options->source_count; i++) {
        const struct options_source *source = &options->sources[i];
        if (source->is_on && source->source != &source_log &&
            source->source != &source_syslog && source->source != &source_journal &&
            source->interval_ms < fastest_ms)
            fastest_ms = source->interval_ms;
    }
    return (uint32_t)fastest_ms;
}

static void apply_source(struct steer *steer, struct scheduler *scheduler, size_t index)
{
    struct options_source *source = &steer->options->sources[index];
    struct source_report report = scheduler_report(scheduler, index);
    struct diagnosis why = {0};
    const char *override = scheduler_override_of(scheduler, index);
    bool is_other = strcmp(override == NULL ? "" : override,
                           source->override == NULL ? "" : source->override) != 0;
    int error = 0;
    if (!is_other && report.is_on == source->is_on && report.interval_ms == source->interval_ms)
        return;
    if (is_other) /* options are read once: by a state of its own */
        error = scheduler_set(scheduler, index, false, source->interval_ms, &why);
    if (is_other && error == 0)
        error = scheduler_override(scheduler, index, source->override, &why);
    if (error == 0)
        error = scheduler_set(scheduler, index, source->is_on, source->interval_ms, &why);
    if (error == 0)
        return;
    source->is_on = false;
    log_warn("policy", "source %s: %s", source->source->name, why.text);
    policy_refuse(steer->policy, "sources", source->source->name, why.text);
}

static void apply_logs(struct steer *steer, struct scheduler *scheduler, size_t index,
                       struct emitter *emitter)
{
    struct diagnosis why = {0};
    if (scheduler_report(scheduler, index).is_running)
        log_source_change_policy(scheduler_state(scheduler, index), &steer->logs, emitter);
    else if (scheduler_start_again(scheduler, index, &why) != 0)
        log_warn("policy", "log files: %s", why.text);
}

static void tell(const struct policy *policy, steer_event *event, void *context)
{
    char text[512];
    (void)snprintf(text, sizeof text, "policy %" PRIu64 " is in force%s", policy->version,
                   policy->refusal_count == 0 ? "" : ", in parts");
    log_info("policy", "%s", text);
    event(context, "policy_applied", text);
    for (size_t i = 0; i < policy_refusals_kept(policy); i++) {
        const struct policy_refusal *refusal = &policy->refusals[i];
        (void)snprintf(text, sizeof text, "%s: %s", refusal->part, refusal->reason);
        log_warn("policy", "refused: %s", text);
        event(context, "policy_refused", text);
    }
}

/* The document is none for this probe: the last policy stays. */
static void reject(struct steer *steer, uint64_t version, const char *reason,
                   steer_event *event, void *context)
{
    char text[DIAGNOSIS_BYTES + 80];
    (void)snprintf(text, sizeof text, "policy %" PRIu64 " is refused, the last one stays: %s",
                   version, reason);
    steer->rejected_version = version;
    log_warn("policy", "%s", text);
    event(context, "policy_refused", text);
    policy_refuse(steer->policy, "document", "", reason);
}

bool steer_take(struct steer *steer, const struct policy_push *push,
                struct scheduler *scheduler, struct emitter *emitter, steer_event *event,
                void *context)
{
    struct policy *policy;
    struct diagnosis why = {0};

    if (push->version == steer->rejected_version)
        return false;
    if (push->version <= steer->policy->version) {
        if (push->version < steer->policy->version)
            log_warn("policy", "version %" PRIu64 " is older than the one in force, %" PRIu64,
                     push->version, steer->policy->version);
        return false;
    }
    if (policy_parse(push->version, push->document, &policy, &why) != 0) {
        reject(steer, push->version, why.text, event, context);
        return false;
    }
    if (policy_keep(&file_io_system, steer->options->state, push->version, push->document,
                    &why) != 0) {
        log_error("policy", "it holds until a restart only: %s", why.text);
        event(context, "policy_not_kept", why.text);
    }
    policy_free(steer->policy);
    steer->policy = policy;
    if (settle(steer, &why) != 0)
        log_error("policy", "log files of the policy are left out: %s", why.text);
    for (size_t i = 0; i < steer->options->source_count; i++)
        apply_source(steer, scheduler, i);
    for (size_t i = 0; i < steer->options->source_count; i++)
        if (steer->options->sources[i].source == &source_log)
            apply_logs(steer, scheduler, i, emitter);
    tell(policy, event, context);
    return true;
}
