/*
 * signal_storm.h - a thread that is interrupted all the time, as SIGTERM may in any call.
 *
 * One at a time, on the thread that begins it, by SIGUSR1.
 */
#pragma once

void signal_storm_begin(void);
/* How many signals were heard since. */
int signal_storm_heard(void);
void signal_storm_end(void);
