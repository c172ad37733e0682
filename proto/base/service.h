/*
 * service.h - tells systemd how a daemon is doing, where systemd asked to be told.
 *
 * The protocol of sd_notify(3): one datagram of NAME=VALUE lines to the socket named in
 * NOTIFY_SOCKET (a path, or an abstract name that begins with '@').  Without that variable these
 * calls do nothing.  Written out here because the static probe cannot link libsystemd.
 */
#pragma once

/* For example service_notify("READY=1"), "STOPPING=1", "STATUS=...".  Any thread. */
void service_notify(const char *message);
