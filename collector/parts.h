/*
 * parts.h - what the options say to each part, read and checked without starting any.
 *
 * Thread: any.
 */
#pragma once

#include "collector/duty/duty.h"
#include "collector/http/server.h"
#include "collector/options.h"
#include "collector/policy/policy.h"
#include "collector/rules/rules.h"

struct rules_options parts_rules_options(const struct options *options);
/* Without the account of all queries: whoever has it adds it. */
struct http_options parts_http_options(const struct options *options);
/* *ret_duty, *ret_policy stay NULL where there is none; else the caller holds a reference. */
int parts_load_duty(const struct options *options, struct duty **ret_duty, struct diagnosis *why);
int parts_load_policy(const struct options *options, struct policy **ret_policy,
                      struct diagnosis *why);
/* Everything that can be known without starting anything. */
int parts_check(const struct options *options, struct diagnosis *why);
