/*
 * main.c - fengsuictl: a terminal's way to the collector.
 *
 * Everything it shows comes from the collector's HTTP port; `check` and `users` work on this host
 * alone.  Chinese where the locale is, else English; --lang overrides.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/table.h"

static const struct command *const commands[] = {
    &command_status, &command_probes, &command_keys,      &command_query, &command_alerts,
    &command_logs, &command_check, &command_processes, &command_users, &command_channel,
    &command_test, &command_silence, &command_import, &command_export, &command_policy,
    &command_incidents, &command_duty, &command_jobs, &command_backup, &command_restore,
    &command_store,
};
#define COMMANDS (sizeof commands / sizeof *commands)

static bool locale_is_chinese(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && *value != '\0')
            return strncmp(value, "zh", 2) == 0;
    }
    return false;
}

static void print_usage(const struct ctl *ctl)
{
    printf("%s\n\n", SAY(ctl, "fengsuictl COMMAND [options]: see and steer a Fengsui collector.",
                         "fengsuictl 命令 [选项]：查看和操作烽燧采集器。"));
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-11s %s\n", commands[i]->name,
               SAY(ctl, commands[i]->summary_english, commands[i]->summary_chinese));
    printf("\n%s\n",
           SAY(ctl,
               "fengsuictl COMMAND --help shows options and examples; --version the version.",
               "fengsuictl 命令 --help 显示选项和例子；--version 显示版本。"));
}

static int unknown_command(const struct ctl *ctl, const char *word)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    return args_unknown(ctl, SAY(ctl, "command", "命令"), word, names, COMMANDS);
}

/* --lang, --url, --token and --ca may stand before the command, too. */
static int skip_options(struct ctl *ctl, int count, char **arguments)
{
    int at = 1;
    while (at + 1 < count && strncmp(arguments[at], "--", 2) == 0) {
        const char *name = arguments[at];
        if (strcmp(name, "--lang") == 0)
            ctl->chinese = strncmp(arguments[at + 1], "zh", 2) == 0;
        else if (strcmp(name, "--url") == 0)
            ctl->url = arguments[at + 1];
        else if (strcmp(name, "--token") == 0)
            ctl->token = arguments[at + 1];
        else if (strcmp(name, "--ca") == 0)
            ctl->ca_file = arguments[at + 1];
        else if (strcmp(name, "--json") == 0)
            at--;
        else
            break;
        ctl->json = ctl->json || strcmp(name, "--json") == 0;
        at += 2;
    }
    return at;
}

static int run(struct ctl *ctl, int count, char **arguments)
{
    int at = skip_options(ctl, count, arguments);
    const char *word = at < count ? arguments[at] : "";
    if (*word == '\0' || strcmp(word, "--help") == 0 || strcmp(word, "help") == 0 ||
        strcmp(word, "-h") == 0) {
        print_usage(ctl);
        return *word == '\0' ? EXIT_USAGE : EXIT_FINE;
    }
    if (strcmp(word, "--version") == 0) {
        printf("fengsuictl %s\n", FENGSUI_VERSION);
        return EXIT_FINE;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, word) == 0)
            return commands[i]->run(ctl, count - at - 1, arguments + at + 1);
    }
    return unknown_command(ctl, word);
}

int main(int count, char **arguments)
{
    const char *url = getenv("FENGSUI_URL");
    const char *token = getenv("FENGSUI_TOKEN");
    struct ctl ctl = {
        .url = url != NULL && *url != '\0' ? url : "http://127.0.0.1:9470",
        .token = token != NULL && *token != '\0' ? token : NULL,
        .chinese = locale_is_chinese(),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = run(&ctl, count, arguments);
    curl_global_cleanup();
    return code;
}
