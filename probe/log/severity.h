/*
 * severity.h - how bad a log line says it is.
 *
 * The first level word in the first SEVERITY_LOOK_BYTES decides, so that "INFO no errors found"
 * is information: syslog's <priority>, the words of the common loggers (FATAL, ERROR, WARN,
 * NOTICE, INFO, DEBUG and kin, in any case, as whole words) and the Chinese ones (严重 错误
 * 警告 信息 调试 and kin).  A guess, made to count by and to search by; unknown is a fair
 * answer.
 */
#pragma once

#include <stdint.h>

#include "proto/base/bytes.h"

#define SEVERITY_LOOK_BYTES ((size_t)256)
#define SEVERITY_COUNT      9 /* 0 unknown, then syslog's emerg .. debug + 1 */

/* 0 unknown, else syslog severity + 1. */
uint32_t severity_of(struct bytes text);

/* "unknown", "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug".
 */
const char *severity_name(uint32_t severity);
