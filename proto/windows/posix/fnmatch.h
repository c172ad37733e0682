/* fnmatch.h - POSIX patterns; letters match whatever their case (fnmatch.c). */
#pragma once
#define FNM_NOMATCH  1
#define FNM_PATHNAME 1
#define FNM_PERIOD   4
int fnmatch(const char *pattern, const char *text, int flags);
