/*
 * program.h - one run of a local program: message on its standard input, verdict by exit code.
 *
 *     exit 0            accepted
 *     exit 75           EX_TEMPFAIL of sysexits.h: tried again soon, as is a run that was
 * killed any other         a lasting refusal
 *
 * No shell: the argument vector is fixed by the configuration, and nothing of a message stands
 * in it.  The program gets a session of its own, PATH, LANG and FENGSUI_MESSAGE_ID, and is
 * killed with all its children when its time is up.  What it prints is kept for the diagnosis.
 *
 * Thread: the loop's.
 */
#pragma once

#include <uv.h>

#include "collector/notify/channel.h"

struct program_run;

typedef void program_done(void *context, const struct client_verdict *verdict);

/* Starts it.  `input` and `id` are copied.  `done` is called exactly once, later, from the
 * loop, unless program_abandon() comes first.  ERR_NOTFOUND, ERR_REFUSED, ERR_IO with the
 * reason: then it will not be called. */
int program_start(uv_loop_t *loop, const struct program_settings *settings, const char *id,
                  struct bytes input, program_done *done, void *context,
                  struct program_run **ret_run, struct diagnosis *why);

/* Kills it; done() is not called.  The memory goes when the loop has run close callbacks. */
void program_abandon(struct program_run *run);
