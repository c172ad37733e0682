/*
 * parts.c - see parts.h.
 */
#include "collector/parts.h"

#include "collector/http/users.h"
#include "collector/jobs/jobs.h"
#include "collector/notify/notify.h"
#include "collector/remote/remote.h"
#include "collector/watchdog/watchdog.h"

static struct promql_options promql_options_of(const struct options *options)
{
    return (struct promql_options){
        .lookback_ms = options->lookback_ms,
        .default_step_ms = options->evaluation_interval_ms,
        .max_samples = (uint64_t)options->max_samples,
        .max_memory_bytes = options->query_memory_bytes,
        .delayed_name_removal = options->delayed_name_removal,
        .experimental = options->experimental_functions,
    };
}

struct rules_options parts_rules_options(const struct options *options)
{
    return (struct rules_options){
        .globs = options->rule_files.items,
        .glob_count = options->rule_files.count,
        .evaluation_interval_ms = options->evaluation_interval_ms,
        .promql = promql_options_of(options),
        .external_url = options->external_url,
    };
}

struct http_options parts_http_options(const struct options *options)
{
    return (struct http_options){
        .listen = options->http_listen,
        .certificate_path = options->tls_certificate,
        .key_path = options->tls_key,
        .users_path = options->users,
        .behind_proxy = options->behind_proxy,
        .query_threads = (unsigned)options->query_threads,
        .query_threads_max = (unsigned)options->max_concurrency,
        .query_memory_bytes_max = options->query_memory_bytes,
        .send_timeout_ms = options->send_timeout_ms,
    };
}

int parts_load_duty(const struct options *options, struct duty **ret_duty,
                     struct diagnosis *why)
{
    *ret_duty = NULL;
    return options->duty == NULL ? 0 : duty_load(options->duty, ret_duty, why);
}

int parts_load_policy(const struct options *options, struct policy **ret_policy,
                       struct diagnosis *why)
{
    *ret_policy = NULL;
    return options->policy == NULL ? 0 : policy_load(options->policy, ret_policy, why);
}

int parts_check(const struct options *options, struct diagnosis *why)
{
    const struct rules_options rules = parts_rules_options(options);
    size_t groups = 0, count = 0;
    struct policy *policy = NULL;
    struct duty *duty = NULL;
    int error = rules_check(&rules, &groups, &count, why);
    if (error == 0)
        error = parts_load_duty(options, &duty, why);
    if (error == 0 && options->alerting != NULL)
        error = notify_check(options->alerting, duty, why);
    duty_unref(duty);
    if (error == 0)
        error = parts_load_policy(options, &policy, why);
    policy_unref(policy);
    if (error == 0)
        error = jobs_check(options->jobs, why);
    if (error == 0)
        error = watchdog_check(options->config, options->watchdog, why);
    if (error == 0)
        error = remote_check(options->config, options->remote_write, why);
    if (error == 0 && options->users != NULL) {
        struct users *users;
        error = users_load(options->users, &users, why);
        if (error == 0)
            users_unref(users);
    }
    return error;
}
