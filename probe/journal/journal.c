/*
 * journal.c - see journal.h.
 */
#include "probe/journal/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/journal/child.h"
#include "probe/journal/units.h"
#include "probe/log/redact_key.h"
#include "probe/log/told.h"
#include "proto/base/config.h"
#include "proto/base/error.h"

#define INTERVAL_MS    200
#define TELL_MS        5000
#define RETRY_LEAST_MS 1000
#define RETRY_MOST_MS  60000
#define LINES_MAX      ((size_t)256)
#define TEXT_BYTES     ((size_t)128 << 10)
#define LINE_BYTES     (3 * JOURNAL_MESSAGE_BYTES / 2) /* GB 18030 grows by half */
#define READ_BYTES     ((size_t)64 << 10)
#define TURN_BYTES     ((size_t)4 << 20) /* of one look */
#define UNITS_MAX      64
#define NOTE_KEY       "journal/cursor"

_Static_assert(TEXT_BYTES <= EMITTER_LOG_CHUNK_BYTES, "any chunk fits a tick of its own");
_Static_assert(LINES_MAX <= BATCH_LOG_LINES_MAX, "any chunk fits a batch");
_Static_assert(LINE_BYTES <= LOG_LINE_BYTES_MAX, "any message is a line");

static const struct metric metrics[] = {
    {"journal_up", METRIC_GAUGE, "1 while journalctl tells what systemd's journal holds.",
     NULL},
    {"journal_restarts_total", METRIC_COUNTER, "Times journalctl ended and was started again.",
     NULL},
    {"journal_entries_total", METRIC_COUNTER, "Entries of systemd's journal that were read.",
     NULL},
};
#define METRICS (sizeof metrics / sizeof *metrics)

struct options {
    const char *journalctl, *directory, *from;
    struct config_strings units;
    struct log_line_options lines;
    struct source_common_options common;
};

static const char *const starts[] = {"end", "beginning", NULL};

static const struct config_option rows[] = {
    {.key = "journalctl",
     .type = CONFIG_FILE,
     .offset = offsetof(struct options, journalctl),
     .fallback = "/usr/bin/journalctl",
     .help = "the program that reads the journal"},
    {.key = "directory",
     .type = CONFIG_FILE,
     .offset = offsetof(struct options, directory),
     .help = "where the journal lies; this host's by default"},
    {.key = "from",
     .type = CONFIG_STRING,
     .offset = offsetof(struct options, from),
     .fallback = "end",
     .choices = starts,
     .help = "where to begin at the very first start"},
    {.key = "units",
     .type = CONFIG_STRINGS,
     .offset = offsetof(struct options, units),
     .help = "units to read; all by default"},
    LOG_LINE_OPTIONS(offsetof(struct options, lines)),
    SOURCE_COMMON_OPTIONS(offsetof(struct options, common)),
};

struct journal_state {
    char *arguments[UNITS_MAX + 12]; /* but for where to begin, which comes last */
    size_t argument_count;
    bool from_end;
    struct log_settings settings;
    struct redact_key key;
    bool has_key;
    struct journal_child child;
    struct journal_units units;
    struct journal_export *entry;
    uint8_t *raw; /* READ_BYTES: said, not taken yet: */
    size_t raw_at, raw_size;
    /* A chunk of one unit, not handed over yet. */
    struct journal_unit *unit;
    struct log_line lines[LINES_MAX];
    size_t line_count;
    uint8_t *text; /* TEXT_BYTES */
    size_t text_size;
    char cursor[JOURNAL_FIELD_BYTES + 1]; /* of the last entry taken */
    char noted[JOURNAL_FIELD_BYTES + 1];  /* and of the last handed over */
    bool has_more;
    int64_t started_us; /* entries before are not wanted; 0: all are */
    int64_t retry_ms, retry_at_ms, told_ms;
    uint64_t restarts, entries;
    char complaint[JOURNAL_COMPLAINT_BYTES + 128];
    struct told told[METRICS];
};

void journal_source_set_key(void *state, const struct redact_key *key)
{
    struct journal_state *journal = state;
    journal->key = *key;
    journal->has_key = true;
}

static int add_argument(struct journal_state *journal, const char *start, const char *rest)
{
    char *word;
    if (asprintf(&word, "%s%s", start, rest) < 0)
        return ERR_NOMEM;
    journal->arguments[journal->argument_count++] = word;
    return 0;
}

static int journal_configure(void *state, struct config *config, const struct config_node *node,
                             struct diagnosis *why)
{
    struct journal_state *journal = state;
    struct options options = {0};
    int error =
        config_read(config, node, "journal", rows, sizeof rows / sizeof *rows, &options, why);
    if (error != 0)
        return error;
    if (options.units.count > UNITS_MAX)
        return config_complain(config, node, why, "journal: more than %d units", UNITS_MAX);
    journal->from_end = strcmp(options.from, "end") == 0;
    error = add_argument(journal, options.journalctl, "");
    if (error == 0)
        error = add_argument(journal, "--output=export", "");
    if (error == 0)
        error = add_argument(journal, "--follow", "");
    if (error == 0) /* old ones say where the journal begins, and when the host did */
        error = add_argument(journal, "--quiet", "");
    if (error == 0 && options.directory != NULL)
        error = add_argument(journal, "--directory=", options.directory);
    for (size_t i = 0; error == 0 && i < options.units.count; i++)
        error = add_argument(journal, "--unit=", options.units.items[i]);
    if (error == 0)
        error = log_settings_take(&journal->settings, config, node, &options.lines, why);
    return error;
}

static int journal_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct journal_state *journal = state;
    struct bytes key, value;
    if (access(journal->arguments[0], X_OK) != 0)
        return ERR_NOTFOUND;
    if (!journal->has_key)
        redact_key_make(&journal->key);
    journal->entry = malloc(sizeof *journal->entry);
    journal->raw = malloc(READ_BYTES);
    journal->text = malloc(TEXT_BYTES);
    if (journal->entry == NULL || journal->raw == NULL || journal->text == NULL)
        return ERR_NOMEM;
    journal->units.settings = &journal->settings;
    journal->units.notes = out;
    journal->units.started_ms = env->now_ms;
    journal->retry_ms = RETRY_LEAST_MS;
    for (size_t i = 0; emitter_noted(out, i, &key, &value); i++)
        if (bytes_equal(key, bytes_of(NOTE_KEY)) && value.size < sizeof journal->noted)
            memcpy(journal->noted, value.data, value.size);
    memcpy(journal->cursor, journal->noted, sizeof journal->cursor);
    for (size_t i = 0; i < METRICS; i++)
        journal->told[i] = told_never(series_plain(out, &metrics[i]));
    return 0;
}

/* ---- lines ------------------------------------------------------------------------------ */

/* Hands the chunk over.  ERR_AGAIN: the tick is full, it stays. */
static int hand_over(struct journal_state *journal, struct emitter *out)
{
    if (journal->line_count > 0) {
        struct log_chunk chunk = {.file_id = journal->unit->file_id,
                                  .path = journal->unit->account.path,
                                  .lines = journal->lines,
                                  .count = journal->line_count};
        if (emitter_log(out, &chunk) != 0)
            return ERR_AGAIN;
    }
    journal->line_count = journal->text_size = 0;
    journal->unit = NULL;
    if (strcmp(journal->cursor, journal->noted) != 0 &&
        emitter_note(out, bytes_of(NOTE_KEY), bytes_of(journal->cursor)) == 0)
        memcpy(journal->noted, journal->cursor, sizeof journal->noted);
    return 0;
}

static int64_t number_of(struct bytes text)
{
    int64_t number = 0;
    if (text.size == 0 || text.size > 18)
        return -1;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

static void take_line(struct journal_state *journal, struct journal_unit *unit, int64_t now_ms)
{
    const struct journal_export *entry = journal->entry;
    struct bytes message = journal_export_field(entry, JOURNAL_MESSAGE);
    uint8_t *text = journal->text + journal->text_size;
    struct decoded decoded = decode_line(journal->settings.encoding, message, text, LINE_BYTES);
    struct log_line line = {
        .offset = unit->offset, .ts_ms = now_ms, .text = {text, decoded.size}};
    int64_t priority = number_of(journal_export_field(entry, JOURNAL_PRIORITY));
    line.flags |= entry->is_cut || decoded.cut ? LOG_LINE_CUT : 0;
    line.flags |= decoded.replaced ? LOG_LINE_REPLACED : 0;
    line.flags |= memchr(text, '\n', decoded.size) != NULL ? LOG_LINE_MULTI : 0;
    line.severity =
        priority >= 0 && priority <= 7 ? (uint32_t)priority + 1 : severity_of(line.text);
    unit->offset += message.size + 1;
    log_account_refill(&unit->account, now_ms);
    bool may_leave = log_account_take(&unit->account, &journal->key, &line, text);
    log_account_commit(&unit->account); /* it will not be read again */
    if (!may_leave)
        return;
    journal->unit = unit;
    journal->lines[journal->line_count++] = line;
    journal->text_size += line.text.size;
}

/* Takes the entry that is whole.  ERR_AGAIN: the chunk before it must go first. */
static int take_entry(struct journal_state *journal, int64_t now_ms, struct emitter *out)
{
    struct bytes cursor = journal_export_field(journal->entry, JOURNAL_CURSOR);
    struct journal_unit *unit = journal_units_find(&journal->units, journal->entry);
    if ((journal->unit != NULL && journal->unit != unit) || journal->line_count == LINES_MAX ||
        TEXT_BYTES - journal->text_size < LINE_BYTES) {
        int error = hand_over(journal, out);
        if (error != 0)
            return error;
    }
    if (cursor.size > 0 && cursor.size < JOURNAL_FIELD_BYTES) {
        memcpy(journal->cursor, cursor.data, cursor.size);
        journal->cursor[cursor.size] = '\0';
    }
    /* Before there was a cursor, journalctl was asked for the last entry only to have one. */
    int64_t written_us = number_of(journal_export_field(journal->entry, JOURNAL_REALTIME));
    bool is_wanted = journal->started_us == 0 || written_us >= journal->started_us;
    journal->started_us = 0;
    journal->entries++;
    if (is_wanted && unit != NULL)
        take_line(journal, unit, now_ms);
    journal->retry_ms = RETRY_LEAST_MS;
    return 0;
}

/* ---- the child -------------------------------------------------------------------------- */

static void start_child(struct journal_state *journal, int64_t now_ms)
{
    const char *words[sizeof journal->arguments / sizeof *journal->arguments + 1];
    char after[sizeof "--after-cursor=" + JOURNAL_FIELD_BYTES];
    size_t count = journal->argument_count;
    bool has_cursor = journal->cursor[0] != '\0';
    memcpy(words, journal->arguments, count * sizeof *words);
    (void)snprintf(after, sizeof after, "--after-cursor=%s", journal->cursor);
    journal->started_us = !has_cursor && journal->from_end ? now_ms * 1000 : 0;
    words[count++] = has_cursor || !journal->from_end ? "--no-tail" : "--lines=1";
    if (has_cursor)
        words[count++] = after;
    words[count] = NULL;
    journal->raw_at = journal->raw_size = 0;
    journal_export_init(journal->entry);
    journal->complaint[0] = '\0';
    if (journal_child_start(&journal->child, words) != 0)
        (void)snprintf(journal->complaint, sizeof journal->complaint,
                       "%.60s cannot be started: no memory, processes or descriptors left",
                       journal->arguments[0]);
}

/* A clock that was set back must not make us wait for it. */
static bool may_start(const struct journal_state *journal, int64_t now_ms)
{
    return now_ms >= journal->retry_at_ms || journal->retry_at_ms - now_ms > RETRY_MOST_MS;
}

static void child_ended(struct journal_state *journal, int64_t now_ms)
{
    char said[JOURNAL_COMPLAINT_BYTES];
    journal_child_end(&journal->child, said);
    journal->restarts++;
    journal->retry_at_ms = now_ms + journal->retry_ms;
    journal->retry_ms *= 2;
    if (journal->retry_ms > RETRY_MOST_MS)
        journal->retry_ms = RETRY_MOST_MS;
    (void)snprintf(journal->complaint, sizeof journal->complaint, "%.60s ended%s%s",
                   journal->arguments[0], said[0] == '\0' ? "" : ": ", said);
}

/* Takes what is in `raw`.  ERR_AGAIN: the tick is full. */
static int take_raw(struct journal_state *journal, int64_t now_ms, struct emitter *out)
{
    while (journal->entry->has_entry || journal->raw_at < journal->raw_size) {
        bool is_whole = journal->entry->has_entry;
        struct bytes rest = {journal->raw + journal->raw_at,
                             journal->raw_size - journal->raw_at};
        if (!is_whole)
            journal->raw_at += journal_export_take(journal->entry, rest, &is_whole);
        if (!is_whole)
            continue;
        int error = take_entry(journal, now_ms, out);
        if (error != 0)
            return error;
        (void)journal_export_take(journal->entry, (struct bytes){0}, &is_whole);
    }
    return 0;
}

static int take_all(struct journal_state *journal, int64_t now_ms, struct emitter *out)
{
    size_t size;
    int error = take_raw(journal, now_ms, out);
    for (size_t taken = 0; error == 0 && taken < TURN_BYTES; taken += size) {
        error = journal_child_read(&journal->child, journal->raw, READ_BYTES, &size);
        if (error != 0 || size == 0)
            return error == 0 ? hand_over(journal, out) : error;
        journal->raw_at = 0;
        journal->raw_size = size;
        error = take_raw(journal, now_ms, out);
    }
    return error == 0 ? ERR_AGAIN : error;
}

static int journal_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct journal_state *journal = state;
    int64_t since_ms = env->now_ms - journal->told_ms;
    bool tell_all = since_ms < 0 || since_ms >= TELL_MS;
    int error = 0;
    if (journal->child.pid == 0 && may_start(journal, env->now_ms))
        start_child(journal, env->now_ms);
    if (journal->child.pid != 0)
        error = take_all(journal, env->now_ms, out);
    else
        (void)hand_over(journal, out);
    if (error == ERR_NOTFOUND) {
        (void)hand_over(journal, out);
        child_ended(journal, env->now_ms);
    }
    journal->has_more = error == ERR_AGAIN;
    if (env->is_between)
        return 0;
    const double values[METRICS] = {journal->child.pid != 0, (double)journal->restarts,
                                    (double)journal->entries};
    for (size_t i = 0; i < METRICS; i++)
        told_emit(&journal->told[i], values[i], tell_all, out);
    journal_units_emit(&journal->units, tell_all, out);
    if (tell_all)
        journal->told_ms = env->now_ms;
    return 0;
}

static bool journal_has_more(const void *state)
{
    const struct journal_state *journal = state;
    return journal->has_more;
}

static const char *journal_complaint(const void *state)
{
    const struct journal_state *journal = state;
    return journal->complaint[0] == '\0' ? NULL : journal->complaint;
}

static void journal_stop(void *state)
{
    struct journal_state *journal = state;
    char said[JOURNAL_COMPLAINT_BYTES];
    journal_child_end(&journal->child, said);
    journal_units_done(&journal->units);
    for (size_t i = 0; i < journal->argument_count; i++)
        free(journal->arguments[i]);
    free(journal->entry);
    free(journal->raw);
    free(journal->text);
    log_settings_clear(&journal->settings);
    *journal = (struct journal_state){0};
}

const struct source source_journal = {
    .name = "journal",
    .summary = "what systemd's journal holds, as log lines, by journalctl",
    .needs = "journalctl",
    .state_bytes = sizeof(struct journal_state),
    .interval_ms = INTERVAL_MS,
    .is_optional = true,
    .configure = journal_configure,
    .start = journal_start,
    .collect = journal_collect,
    .has_more = journal_has_more,
    .complaint = journal_complaint,
    .stop = journal_stop,
};
