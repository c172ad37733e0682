/*
 * ctl.h - fengsuictl: what its commands share.
 *
 * A command is a row: names, one line of summary, a help text with examples, a function.  Texts
 * come in two languages side by side; SAY() picks.  Exit codes: 0 fine, 1 failed, 2 unusable
 * arguments.
 *
 * One thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/diagnosis.h"

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct ctl {
    const char *url;
    const char *token;   /* NULL: none */
    const char *ca_file; /* NULL: the system's */
    bool json;           /* print what the server said */
    bool chinese;
};

#define SAY(ctl, english, chinese_text) ((ctl)->chinese ? (chinese_text) : (english))

struct command {
    const char *name;
    int (*run)(struct ctl *ctl, int count, char **arguments);
    const char *summary_english, *summary_chinese;
    const char *help_english, *help_chinese;
};

extern const struct command command_status, command_query, command_probes, command_keys,
    command_alerts, command_logs, command_processes, command_check, command_users,
    command_channel, command_test, command_silence, command_import, command_export,
    command_policy, command_incidents, command_duty, command_jobs, command_backup,
    command_restore, command_store;

/* ---- arguments: args.c ------------------------------------------------------------------- */

enum flag_kind { FLAG_BOOL, FLAG_TEXT, FLAG_LIST };

#define FLAG_LIST_MAX 64

struct flag_list {
    const char *items[FLAG_LIST_MAX];
    size_t count;
};

struct flag {
    const char *name; /* "--step"; FLAG_TEXT and FLAG_LIST take a value after it or after = */
    enum flag_kind kind;
    void *target; /* bool *, const char **, struct flag_list * */
};

/* Sorts arguments into flags (the command's and the common ones) and others, which are moved to
 * the front.  EXIT_USAGE after a message that names the nearest flag; -1 after --help. */
int args_parse(struct ctl *ctl, const struct command *command, int count, char **arguments,
               const struct flag *flags, size_t flag_count, int *ret_left);
void args_help(const struct ctl *ctl, const struct command *command);
/* Complains about a wrong word and names the nearest right one; EXIT_USAGE. */
int args_unknown(const struct ctl *ctl, const char *kind, const char *word,
                 const char *const *known, size_t count);
/* "name=value" items to a JSON object; NULL after a message. */
json_t *args_labels(const struct ctl *ctl, const struct flag_list *list);
/* A time for the API: "1h" means that long ago; anything else is passed on.  The text is the
 * caller's to free. */
char *args_time(const char *text, int64_t now_ms);

/* Is the policy file fit?  The exit code. (command_check.c) */
int check_policy(const struct ctl *ctl, char *file);

/* ---- the server: client.c ---------------------------------------------------------------- */

struct parameter {
    const char *name, *value; /* NULL value: left out */
};

/* GET or, with a body, POST.  Prints why it failed and returns EXIT_FAILED; 0 with *ret_data the
 * answer's "data" (a new reference).  With ctl->json the whole answer is printed instead, and
 * *ret_data is NULL.  Warnings and infos go to stderr. */
int client_get(const struct ctl *ctl, const char *path, const struct parameter *parameters,
               size_t count, json_t **ret_data);
/* The same, but without a word if there is no such thing (404): 0, and *ret_data is NULL. */
int client_get_any(const struct ctl *ctl, const char *path, const struct parameter *parameters,
                   size_t count, json_t **ret_data);
int client_post(const struct ctl *ctl, const char *path, json_t *body, json_t **ret_data);
int client_delete(const struct ctl *ctl, const char *path, json_t **ret_data);
/* The same for Alertmanager's API, whose answers have no envelope: all of it is the data (JSON
 * null if it is empty).  `body` NULL: none. */
int client_bare(const struct ctl *ctl, const char *method, const char *path,
                const struct parameter *parameters, size_t count, const json_t *body,
                json_t **ret_data);
