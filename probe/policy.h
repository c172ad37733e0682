/*
 * policy.h - what the collector asks a probe to do, kept on disk.
 *
 * A policy may lengthen or shorten the intervals of sources this host runs:
 *
 *     intervals: {cpu: 1s, processes: 5s}
 *
 * It can neither start a source that probe.yml leaves out, nor name a file, nor run a command.
 * What does not parse is refused whole and the last one stays.  The last good one lies in
 * STATE/policy.yml, so a probe that starts without its collector goes on with it.
 */
#pragma once

#include "probe/options.h"
#include "proto/base/diagnosis.h"
#include "proto/base/file.h"

/* Applies the policy kept in `state` to the sources' intervals; none there is no failure. */
int policy_load(const char *state, struct options *options, struct diagnosis *why);

/* Checks a document that came over the wire and keeps it; *ret_is_new is false if it is what
 * was kept already, as on every new connection.  ERR_INVALID, ERR_IO, ERR_FULL. */
int policy_keep(const struct file_io *io, const char *state, struct bytes document,
                bool *ret_is_new, struct diagnosis *why);
