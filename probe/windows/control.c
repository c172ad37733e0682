/*
 * control.c - by the console's keys and by the service manager (control.h).
 *
 * Ctrl-C, Ctrl-Break and a console that is closed end the probe.  What the manager wishes comes
 * through service.c.
 */
#include "probe/control.h"

#include <signal.h>

#include "probe/windows/service.h"
#include "proto/base/must.h"

#define HOUR_MS UINT64_C(3600000)

static void on_signal(uv_signal_t *signal, int number)
{
    struct control *control = signal->data;
    control->end(control->context, number == SIGINT     ? "Ctrl-C"
                                   : number == SIGBREAK ? "Ctrl-Break"
                                                        : "the console closes");
}

static void on_wish(uv_async_t *wake)
{
    struct control *control = wake->data;
    switch (service_wished()) {
    case SERVICE_WISH_END:
        control->end(control->context, "the service manager says stop");
        break;
    case SERVICE_WISH_RELOAD:
        control->reload(control->context);
        break;
    default:
        break;
    }
}

static void on_hour(uv_timer_t *timer)
{
    (void)timer;
    service_turn_log();
}

void control_start(struct control *control, uv_loop_t *loop)
{
    static const int numbers[CONTROL_SIGNALS] = {SIGINT, SIGBREAK, SIGHUP};
    for (size_t i = 0; i < CONTROL_SIGNALS; i++) {
        must(uv_signal_init(loop, &control->signals[i]) == 0);
        control->signals[i].data = control;
        must(uv_signal_start(&control->signals[i], on_signal, numbers[i]) == 0);
        uv_unref((uv_handle_t *)&control->signals[i]);
    }
    must(uv_async_init(loop, &control->wake, on_wish) == 0);
    must(uv_timer_init(loop, &control->hourly) == 0);
    control->wake.data = control;
    must(uv_timer_start(&control->hourly, on_hour, HOUR_MS, HOUR_MS) == 0);
    uv_unref((uv_handle_t *)&control->wake);
    uv_unref((uv_handle_t *)&control->hourly);
    service_wake(&control->wake);
}

void control_stop(struct control *control)
{
    (void)control;
    service_wake(NULL);
}
