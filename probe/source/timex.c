/*
 * timex.c - is the clock right, by the kernel's own account: adjtimex(2).
 *
 * sync_status is 0 while nobody disciplines the clock (no ntpd, chronyd or timesyncd has set it
 * in time), maxerror_seconds grows by half a millisecond a second from then on.  The system
 * call changes nothing here and needs no right, but a container or a unit's sandbox may forbid
 * it; then only the clock sources are left.
 *
 *     $ cat /sys/devices/system/clocksource/clocksource0/{available,current}_clocksource
 *     tsc hpet acpi_pm
 *     tsc                      anything but tsc or a hypervisor's makes reading the time slow
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "probe/source/series.h"
#include "probe/source/sysfile.h"
#include "proto/base/error.h"

#define NS_A_SECOND  1000000000.0
#define US_A_SECOND  1000000.0
#define PPM_65536THS (1000000.0 * 65536.0) /* adjtimex(2), NOTES */

/* How a number of struct timex becomes the value. */
enum form {
    FORM_PLAIN,
    FORM_FRACTION,    /* nano- or microseconds, as the status says */
    FORM_MICRO,       /* microseconds */
    FORM_PPM,         /* 2^-16 parts per million */
    FORM_PPM_AND_ONE, /* the same, around 1 */
};

#define LONG(field)    offsetof(struct timex, field), true
#define INT(field)     offsetof(struct timex, field), false
#define TIMEX(n, kind) "node_timex_" n, METRIC_##kind

static const struct row {
    struct metric metric;
    size_t offset;
    bool is_long;
    enum form form;
} rows[] = {
    {{TIMEX("offset_seconds", GAUGE),
      "Time offset in between local system and reference clock.", NULL},
     LONG(offset),
     FORM_FRACTION},
    {{TIMEX("frequency_adjustment_ratio", GAUGE), "Local clock frequency adjustment.", NULL},
     LONG(freq),
     FORM_PPM_AND_ONE},
    {{TIMEX("maxerror_seconds", GAUGE), "Maximum error in seconds.", NULL},
     LONG(maxerror),
     FORM_MICRO},
    {{TIMEX("estimated_error_seconds", GAUGE), "Estimated error in seconds.", NULL},
     LONG(esterror),
     FORM_MICRO},
    {{TIMEX("status", GAUGE), "Value of the status array bits.", NULL},
     INT(status),
     FORM_PLAIN},
    {{TIMEX("loop_time_constant", GAUGE), "Phase-locked loop time constant.", NULL},
     LONG(constant),
     FORM_PLAIN},
    {{TIMEX("tick_seconds", GAUGE), "Seconds between clock ticks.", NULL},
     LONG(tick),
     FORM_MICRO},
    {{TIMEX("pps_frequency_hertz", GAUGE), "Pulse per second frequency.", NULL},
     LONG(ppsfreq),
     FORM_PPM},
    {{TIMEX("pps_jitter_seconds", GAUGE), "Pulse per second jitter.", NULL},
     LONG(jitter),
     FORM_FRACTION},
    {{TIMEX("pps_shift_seconds", GAUGE), "Pulse per second interval duration.", NULL},
     INT(shift),
     FORM_PLAIN},
    {{TIMEX("pps_stability_hertz", GAUGE),
      "Pulse per second stability, average of recent frequency changes.", NULL},
     LONG(stabil),
     FORM_PPM},
    {{TIMEX("pps_jitter_total", COUNTER),
      "Pulse per second count of jitter limit exceeded events.", NULL},
     LONG(jitcnt),
     FORM_PLAIN},
    {{TIMEX("pps_calibration_total", COUNTER),
      "Pulse per second count of calibration intervals.", NULL},
     LONG(calcnt),
     FORM_PLAIN},
    {{TIMEX("pps_error_total", COUNTER), "Pulse per second count of calibration errors.", NULL},
     LONG(errcnt),
     FORM_PLAIN},
    {{TIMEX("pps_stability_exceeded_total", COUNTER),
      "Pulse per second count of stability limit exceeded events.", NULL},
     LONG(stbcnt),
     FORM_PLAIN},
    {{TIMEX("tai_offset_seconds", GAUGE), "International Atomic Time (TAI) offset.", NULL},
     INT(tai),
     FORM_PLAIN},
};
#define ROWS (sizeof rows / sizeof *rows)

static const struct metric sync_status = {
    "node_timex_sync_status", METRIC_GAUGE,
    "Is clock synchronized to a reliable server (1 = yes, 0 = no).", NULL};
static const struct metric available = {
    "node_time_clocksource_available_info", METRIC_GAUGE,
    "Available clocksources read from '/sys/devices/system/clocksource'.", NULL};
static const struct metric current = {
    "node_time_clocksource_current_info", METRIC_GAUGE,
    "Current clocksource read from '/sys/devices/system/clocksource'.", NULL};
static const struct metric zone_offset = {"node_time_zone_offset_seconds", METRIC_GAUGE,
                                          "System time zone offset in seconds.", NULL};

struct timex_state {
    struct sysfs_source folder; /* of the clock sources; may be closed */
    bool may_ask;               /* adjtimex() is allowed */
    bool is_forbidden;          /* by the sandbox the probe runs in */
    series_handle handles[ROWS];
    series_handle sync;
};

static int timex_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct timex_state *state_of = state;
    struct timex now = {.modes = 0};
    series_clear(state_of->handles, ROWS);
    state_of->sync = SERIES_NONE;
    state_of->may_ask = env->live && adjtimex(&now) >= 0;
    state_of->is_forbidden = env->live && !state_of->may_ask;
    int error = sysfs_source_open(&state_of->folder, env, "devices/system/clocksource");
    return state_of->may_ask ? 0 : error;
}

static double row_value(const struct row *row, const struct timex *now)
{
    const char *at = (const char *)now + row->offset;
    long wide = 0;
    int narrow = 0;
    if (row->is_long)
        memcpy(&wide, at, sizeof wide);
    else
        memcpy(&narrow, at, sizeof narrow);
    double number = row->is_long ? (double)wide : (double)narrow;
    switch (row->form) {
    case FORM_FRACTION:
        return number / ((now->status & STA_NANO) != 0 ? NS_A_SECOND : US_A_SECOND);
    case FORM_MICRO:
        return number / US_A_SECOND;
    case FORM_PPM:
        return number / PPM_65536THS;
    case FORM_PPM_AND_ONE:
        return 1 + number / PPM_65536THS;
    case FORM_PLAIN:
        break;
    }
    return number;
}

static int emit_clock(struct timex_state *state_of, struct emitter *out)
{
    struct timex now = {.modes = 0};
    int clock_state = adjtimex(&now);
    if (clock_state < 0)
        return errno == EPERM ? ERR_REFUSED : ERR_IO;
    for (size_t i = 0; i < ROWS; i++) {
        if (state_of->handles[i] == SERIES_NONE)
            state_of->handles[i] = series_plain(out, &rows[i].metric);
        emit(out, state_of->handles[i], row_value(&rows[i], &now));
    }
    if (state_of->sync == SERIES_NONE)
        state_of->sync = series_plain(out, &sync_status);
    emit(out, state_of->sync, clock_state != TIME_ERROR);
    return 0;
}

static void read_clocksource(void *context, int fd, const char *name)
{
    struct readings *list = &((struct timex_state *)context)->folder.list;
    struct span number = span_text(name), text, word;
    char room[SYSFILE_BYTES], label[SYSFILE_BYTES];
    int device;
    if (!scan_text(&number, "clocksource") || directory_open(fd, name, &device) != 0)
        return;
    if (sysfile_text(device, "available_clocksource", room, &text))
        while (scan_word(&text, &word))
            readings_add_two(list, &available, 1, "clocksource", sysfile_label(word, label),
                             "device", span_bytes(number));
    if (sysfile_text(device, "current_clocksource", room, &text))
        readings_add_two(list, &current, 1, "clocksource", sysfile_label(text, label), "device",
                         span_bytes(number));
    close(device);
}

static void add_zone(struct readings *list, int64_t now_ms)
{
    time_t now = (time_t)(now_ms / 1000);
    struct tm local;
    if (localtime_r(&now, &local) != NULL && local.tm_zone != NULL)
        readings_add_one(list, &zone_offset, (double)local.tm_gmtoff, "time_zone",
                         bytes_of(local.tm_zone));
}

static int timex_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct timex_state *state_of = state;
    int error = 0;
    readings_begin(&state_of->folder.list);
    if (state_of->folder.fd > 0)
        (void)directory_walk(state_of->folder.fd, read_clocksource, state_of);
    if (env->live)
        add_zone(&state_of->folder.list, env->now_ms);
    error = readings_emit(&state_of->folder.list, out);
    if (state_of->may_ask && error == 0)
        error = emit_clock(state_of, out);
    return error;
}

static const char *timex_complaint(const void *state)
{
    const struct timex_state *state_of = state;
    return state_of->is_forbidden
               ? "no node_timex_*: the sandbox forbids adjtimex(), which only asks here; "
                 "probe-privileges.conf allows it"
               : NULL;
}

const struct source source_timex = {
    .name = "timex",
    .summary = "whether the clock is kept in time, clock sources, time zone",
    .needs = "/sys/devices/system/clocksource",
    .state_bytes = sizeof(struct timex_state),
    .start = timex_start,
    .collect = timex_collect,
    .complaint = timex_complaint,
    .stop = sysfs_source_stop,
};
