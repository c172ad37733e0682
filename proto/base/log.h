/*
 * log.h - a daemon's own log: one line an event on stderr.
 *
 *     level=warn component=spool msg="dropping 3 batches, spool full" batches=3
 *     {"level":"warn","component":"spool","msg":"dropping 3 batches, spool full"}
 *
 * Libraries return errors; programs log, once, where it is decided what happens next.  No time
 * stamp: journald adds its own.  Any thread; a line is one write(2).
 */
#pragma once

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };
enum log_format { LOG_LOGFMT, LOG_JSON };

/* Once, before other threads start.  Defaults: info, logfmt. */
void log_setup(enum log_level least, enum log_format format);

/* "debug", "info", "warn", "error"; -1 for anything else. */
int log_level_of(const char *name);

/* `component` is a short constant name ("ingest"); the message is printf's. */
void log_event(enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(component, ...) log_event(LOG_DEBUG_LEVEL, component, __VA_ARGS__)
#define log_info(component, ...)  log_event(LOG_INFO_LEVEL, component, __VA_ARGS__)
#define log_warn(component, ...)  log_event(LOG_WARN_LEVEL, component, __VA_ARGS__)
#define log_error(component, ...) log_event(LOG_ERROR_LEVEL, component, __VA_ARGS__)
