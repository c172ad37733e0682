#include "proto/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES    2048
#define MESSAGE_BYTES 1024

static enum log_level least_level = LOG_INFO_LEVEL;
static enum log_format line_format = LOG_LOGFMT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_level least, enum log_format format)
{
    least_level = least;
    line_format = format;
}

int log_level_of(const char *name)
{
    for (int level = LOG_DEBUG_LEVEL; level <= LOG_ERROR_LEVEL; level++)
        if (strcmp(name, level_names[level]) == 0)
            return level;
    return -1;
}

/* Quotes for logfmt and JSON alike; both accept these escapes. */
static size_t quote(char *to, size_t capacity, const char *text)
{
    size_t n = 0;
    to[n++] = '"';
    for (; *text != '\0' && n + 8 < capacity; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            to[n++] = '\\';
            to[n++] = (char)c;
        } else if (c < 0x20) {
            n += (size_t)snprintf(to + n, capacity - n, "\\u%04x", c);
        } else {
            to[n++] = (char)c;
        }
    }
    to[n++] = '"';
    return n;
}

static void write_line(const char *line, size_t length)
{
    while (length > 0) {
        ssize_t n = write(STDERR_FILENO, line, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere left to complain */
        line += n;
        length -= (size_t)n;
    }
}

void log_event(enum log_level level, const char *component, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    char line[LINE_BYTES];

    if (level < least_level)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);

    size_t length;
    if (line_format == LOG_JSON)
        length = (size_t)snprintf(line, sizeof line,
                                  "{\"level\":\"%s\",\"component\":\"%s\",\"msg\":",
                                  level_names[level], component);
    else
        length = (size_t)snprintf(line, sizeof line, "level=%s component=%s msg=",
                                  level_names[level], component);
    length += quote(line + length, sizeof line - length - 2, message);
    if (line_format == LOG_JSON)
        line[length++] = '}';
    line[length++] = '\n';
    write_line(line, length);
}
