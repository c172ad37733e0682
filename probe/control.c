/*
 * control.c - by signals (control.h): SIGTERM and SIGINT end, SIGHUP reads again.
 */
#include "probe/control.h"

#include <signal.h>
#include <stdio.h>

#include "proto/base/must.h"

static void on_signal(uv_signal_t *signal, int number)
{
    struct control *control = signal->data;
    char why[32];
    if (number == SIGHUP) {
        control->reload(control->context);
        return;
    }
    (void)snprintf(why, sizeof why, "signal %d", number);
    control->end(control->context, why);
}

void control_start(struct control *control, uv_loop_t *loop)
{
    static const int numbers[CONTROL_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < CONTROL_SIGNALS; i++) {
        must(uv_signal_init(loop, &control->signals[i]) == 0);
        control->signals[i].data = control;
        must(uv_signal_start(&control->signals[i], on_signal, numbers[i]) == 0);
        uv_unref((uv_handle_t *)&control->signals[i]);
    }
}

void control_stop(struct control *control)
{
    (void)control; /* signals belong to the handles */
}
