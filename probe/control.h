/*
 * control.h - how a running probe is told to end, or to read its configuration again.
 *
 * Two implementations: control.c (signals), windows/control.c (the console's keys, and the service
 * manager).  The callbacks come from the loop.
 */
#pragma once

#include <uv.h>

#define CONTROL_SIGNALS 3

struct control {
    /* set before control_start() */
    void (*end)(void *context, const char *why); /* `why`: for the log */
    void (*reload)(void *context);
    void *context;
    /* private */
    uv_signal_t signals[CONTROL_SIGNALS];
    uv_async_t wake;
    uv_timer_t hourly;
};

/* The handles keep no loop alive; whoever closes the loop closes them. */
void control_start(struct control *control, uv_loop_t *loop);

/* Before the loop is closed: nobody may wake it any more. */
void control_stop(struct control *control);
