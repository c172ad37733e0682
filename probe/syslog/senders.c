/*
 * senders.c - see senders.h.
 */
#include "probe/syslog/senders.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "probe/log/account_series.h"
#include "probe/log/templates_series.h"
#include "probe/syslog/address.h"
#include "proto/base/error.h"

#define NOTE_PREFIX   "syslog/"
#define NOTE_BYTES    (16 + sizeof(int64_t))
#define NOTE_EVERY_MS 60000
#define FORGET_MS     ((int64_t)SYSLOG_FORGET_DAYS * 86400 * 1000)

/* Lines of one address in one run of the probe are one generation. */
static uint64_t generation(const uint8_t address[16], int64_t started_ms)
{
    uint64_t id = XXH3_64bits_withSeed(address, 16, (uint64_t)started_ms);
    return id == 0 ? 1 : id;
}

static struct syslog_sender *add(struct syslog_senders *senders, const uint8_t address[16],
                                 const char *name)
{
    struct syslog_sender *sender = calloc(1, sizeof *sender);
    size_t room = strlen("syslog://") + strlen(name) + 1;
    char *path = malloc(room);
    if (sender == NULL || path == NULL) {
        free(sender);
        free(path);
        return NULL;
    }
    (void)snprintf(path, room, "syslog://%s", name);
    memcpy(sender->address, address, sizeof sender->address);
    sender->path = path;
    /* Without memory lines are still taken, and their templates not told apart. */
    (void)log_account_init(&sender->account, senders->settings, bytes_of(path));
    templates_resume(sender->account.templates, sender->account.path, senders->notes);
    sender->file_id = generation(address, senders->started_ms);
    senders->items[senders->count++] = sender;
    return sender;
}

static struct syslog_sender *find(const struct syslog_senders *senders,
                                  const uint8_t address[16])
{
    for (size_t i = 0; i < senders->count; i++)
        if (!senders->items[i]->is_other &&
            memcmp(senders->items[i]->address, address, 16) == 0)
            return senders->items[i];
    return NULL;
}

struct syslog_sender *syslog_senders_find(struct syslog_senders *senders,
                                          const uint8_t address[16])
{
    static const uint8_t nobody[16];
    char text[SYSLOG_ADDRESS_TEXT_BYTES];
    struct syslog_sender *sender = find(senders, address);
    if (sender != NULL)
        return sender;
    if (senders->count < SYSLOG_SENDERS_MAX) {
        syslog_address_text(address, text);
        return add(senders, address, text);
    }
    if (senders->count == SYSLOG_SENDERS_MAX) {
        sender = add(senders, nobody, "other");
        if (sender != NULL)
            sender->is_other = true;
        return sender;
    }
    return senders->items[SYSLOG_SENDERS_MAX];
}

int syslog_senders_start(struct syslog_senders *senders, const struct log_settings *settings,
                         int64_t now_ms, struct emitter *out)
{
    struct bytes key, value;
    senders->settings = settings;
    senders->notes = out;
    senders->started_ms = now_ms;
    for (size_t i = 0; emitter_noted(out, i, &key, &value); i++) {
        int64_t last_ms;
        if (key.size < strlen(NOTE_PREFIX) ||
            memcmp(key.data, NOTE_PREFIX, strlen(NOTE_PREFIX)) != 0 || value.size != NOTE_BYTES)
            continue;
        memcpy(&last_ms, value.data + 16, sizeof last_ms);
        if (now_ms - last_ms > FORGET_MS) {
            (void)emitter_note(out, key, (struct bytes){NULL, 0});
            continue;
        }
        struct syslog_sender *sender = syslog_senders_find(senders, value.data);
        if (sender == NULL)
            return ERR_NOMEM;
        if (sender->is_other)
            continue;
        sender->account.last_line_ms = last_ms;
        sender->noted_ms = last_ms;
    }
    return 0;
}

void syslog_senders_done(struct syslog_senders *senders)
{
    for (size_t i = 0; i < senders->count; i++) {
        account_series_free(senders->items[i]->series);
        log_account_done(&senders->items[i]->account);
        free(senders->items[i]->path);
        free(senders->items[i]);
    }
    *senders = (struct syslog_senders){0};
}

/* A note a minute is enough to be missed by. */
static void note(struct syslog_sender *sender, struct emitter *out)
{
    uint8_t value[NOTE_BYTES];
    char key[sizeof NOTE_PREFIX + SYSLOG_ADDRESS_TEXT_BYTES] = NOTE_PREFIX;
    int64_t last_ms = sender->account.last_line_ms;
    int64_t age_ms = last_ms - sender->noted_ms;
    if (sender->is_other || last_ms == 0 || (age_ms > -NOTE_EVERY_MS && age_ms < NOTE_EVERY_MS))
        return;
    memcpy(value, sender->address, 16);
    memcpy(value + 16, &last_ms, sizeof last_ms);
    syslog_address_text(sender->address, key + strlen(NOTE_PREFIX));
    if (emitter_note(out, bytes_of(key), (struct bytes){value, sizeof value}) == 0)
        sender->noted_ms = last_ms;
}

void syslog_senders_emit(struct syslog_senders *senders, bool all, struct emitter *out)
{
    for (size_t i = 0; i < senders->count; i++) {
        struct syslog_sender *sender = senders->items[i];
        if (sender->series == NULL)
            sender->series = account_series_new(&sender->account, out);
        if (sender->series != NULL)
            account_series_emit(sender->series, &sender->account, all, out);
        note(sender, out);
    }
}
