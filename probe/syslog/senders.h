/*
 * senders.h - who has sent, and what each said.
 *
 * A sender is an origin of log lines named syslog://ADDRESS.  It is kept from its first message
 * on, and over restarts by a note ("syslog/ADDRESS"), so that a device that falls silent is
 * missed even when the probe restarts meanwhile; one that has been silent for
 * SYSLOG_FORGET_DAYS is forgotten at a start.  Past SYSLOG_SENDERS_MAX addresses the rest
 * share one origin, syslog://other, and their lines begin with the address.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "probe/emitter.h"
#include "probe/log/account.h"

#define SYSLOG_SENDERS_MAX ((size_t)256)
#define SYSLOG_FORGET_DAYS 30

struct account_series;

struct syslog_sender {
    uint8_t address[16];
    char *path;
    struct log_account account;
    struct account_series *series; /* NULL: not registered yet */
    uint64_t file_id;              /* of this run: offsets begin at 0 again */
    uint64_t offset;               /* of its next line */
    int64_t noted_ms;              /* the last line's time in the note */
    bool is_other;
};

struct syslog_senders {
    struct syslog_sender *items[SYSLOG_SENDERS_MAX + 1];
    size_t count;
    const struct log_settings *settings;
    const struct emitter *notes; /* of earlier runs: which templates a sender has had */
    int64_t started_ms;
};

/* Reads the notes.  ERR_NOMEM; `senders` is zero before, and syslog_senders_done() due. */
int syslog_senders_start(struct syslog_senders *senders, const struct log_settings *settings,
                         int64_t now_ms, struct emitter *out);
void syslog_senders_done(struct syslog_senders *senders);

/* The sender of an address, made if it is new; valid until syslog_senders_done().  NULL: out of
 * memory. */
struct syslog_sender *syslog_senders_find(struct syslog_senders *senders,
                                          const uint8_t address[16]);

/* Emits what the senders' accounts tell (`all`: everything), and notes who there is. */
void syslog_senders_emit(struct syslog_senders *senders, bool all, struct emitter *out);
