/*
 * log_world.h - a folder with log files, their writers, and a probe that only tails them.
 *
 * The emitter is played: what a tick emits is kept together with its notes when the tick is
 * committed, or lost together when the probe is killed before.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probe/log/log.h"
#include "proto/base/buf.h"
#include "proto/base/config.h"

#define NOTES_MAX  64
#define SERIES_MAX 2048

struct note {
    char key[64];
    uint8_t value[4096];
    size_t size; /* 0: none */
};

struct series {
    char name[512]; /* name{label="value",...} */
    double value;
};

struct emitter {
    struct note notes[NOTES_MAX]; /* in the spool */
    size_t note_count;
    struct note changed[NOTES_MAX]; /* of this tick */
    size_t changed_count;
    struct buf stored; /* lines in the spool, each with a newline */
    struct buf tick;   /* of this tick */
    size_t room;       /* bytes a tick takes */
    size_t events;
    struct series series[SERIES_MAX];
    size_t series_count;
};

struct world {
    char folder[64];
    struct emitter *out;
    void *state;
    struct source_env env;
    const char *config;
    guard_ask *ask; /* NULL: the kernel; the folder is /proc, too: a mount table may lie there */
    struct config *document; /* NULL: not started */
};

/* `config`: what follows the folder in the entry's path, and further keys. */
void world_make(struct world *world, const char *config);
void world_done(struct world *world);

void world_start(struct world *world);
/* The probe dies with what the tick under way had; nothing to do if it is dead. */
void world_kill(struct world *world);
/* A tick a second; its batch reaches the spool with the commit only. */
void world_collect(struct world *world);
void world_commit(struct world *world);
void world_ticks(struct world *world, int count);

const char *world_path(const struct world *world, const char *name, char path[128]);
void world_append(const struct world *world, const char *name, const char *text);
void world_move(const struct world *world, const char *from, const char *to);
/* a.log.2 -> a.log.3, a.log.1 -> a.log.2, a.log -> a.log.1, and a new a.log. */
void world_rotate(const struct world *world);

void world_assert_stored(const struct world *world, const char *expected);
/* The value of metric{file=FOLDER/a.log REST}. */
double world_value(const struct world *world, const char *metric, const char *rest);
