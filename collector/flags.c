/*
 * flags.c - the command line.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "collector/options.h"
#include "proto/base/error.h"

const char flags_help[] =
    "fengsui-collector - takes what probes send, keeps it, answers PromQL, wakes people.\n"
    "\n"
    "Usage: fengsui-collector [--config FILE] [flags]\n"
    "\n"
    "  --config FILE       collector.yml; without it the defaults hold, nothing in /etc is read\n"
    "  --data DIR          where everything is kept            (/var/lib/fengsui)\n"
    "  --http ADDR:PORT    console, Prometheus API, /metrics    (127.0.0.1:9470)\n"
    "  --ingest ENDPOINT   where probes connect                 (tcp://127.0.0.1:9471)\n"
    "  --retention AGE     how long samples are kept: 90d, 1y, forever\n"
    "  --check             read config, rules and routes, say what is wrong, exit 0 or 2\n"
    "  --log-format FORM   logfmt or json, one line an event on stderr\n"
    "  --version           print the version\n"
    "  --help              print this\n"
    "\n"
    "Each flag overrides the file.  SIGHUP or POST /-/reload re-reads the file; a new one that is\n"
    "wrong is refused whole and the old one stays.\n"
    "\n"
    "First start: keys and an enrolment token are made in DATA/keys.  Then, on a host:\n"
    "  fengsui-probe --collector tcp://THIS_HOST:9471 --collector-key collector.pub \\\n"
    "                --token enrol.token\n"
    "\n"
    "Exit codes: 0 fine, 1 failed while running, 2 unusable flags or configuration.\n";

enum { FLAG_CONFIG = 1, FLAG_DATA, FLAG_HTTP, FLAG_INGEST, FLAG_RETENTION, FLAG_CHECK,
       FLAG_LOG_FORMAT, FLAG_VERSION, FLAG_HELP };

static const struct option long_options[] = {
    {"config", required_argument, NULL, FLAG_CONFIG},
    {"data", required_argument, NULL, FLAG_DATA},
    {"http", required_argument, NULL, FLAG_HTTP},
    {"ingest", required_argument, NULL, FLAG_INGEST},
    {"retention", required_argument, NULL, FLAG_RETENTION},
    {"check", no_argument, NULL, FLAG_CHECK},
    {"log-format", required_argument, NULL, FLAG_LOG_FORMAT},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};
#define FLAGS (sizeof long_options / sizeof long_options[0] - 1)

static int unknown(const char *argument, struct diagnosis *why)
{
    const char *names[FLAGS];
    char name[64];
    for (size_t i = 0; i < FLAGS; i++)
        names[i] = long_options[i].name;
    while (*argument == '-')
        argument++;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(argument, "="), argument);
    const char *near = nearest_name(name, names, FLAGS);
    return diagnose(why, ERR_INVALID, "unknown flag --%s%s%s%s", name,
                    near == NULL ? "; see --help" : " (did you mean --", near == NULL ? "" : near,
                    near == NULL ? "" : "?)");
}

static int take_log_format(struct flags *flags, const char *value, struct diagnosis *why)
{
    if (strcmp(value, "json") != 0 && strcmp(value, "logfmt") != 0)
        return diagnose(why, ERR_INVALID, "--log-format: \"%s\" is not logfmt or json", value);
    flags->log_format = value[0] == 'j' ? LOG_JSON : LOG_LOGFMT;
    flags->log_format_given = true;
    return 0;
}

static int take(struct flags *flags, int flag, struct diagnosis *why)
{
    switch (flag) {
    case FLAG_CONFIG:
        flags->config = optarg;
        return 0;
    case FLAG_DATA:
        flags->data = optarg;
        return 0;
    case FLAG_HTTP:
        flags->http = optarg;
        return 0;
    case FLAG_INGEST:
        flags->ingest = optarg;
        return 0;
    case FLAG_RETENTION:
        flags->retention = optarg;
        return 0;
    case FLAG_CHECK:
        flags->check = true;
        return 0;
    case FLAG_VERSION:
        flags->version = true;
        return 0;
    case FLAG_HELP:
        flags->help = true;
        return 0;
    default:
        return take_log_format(flags, optarg, why);
    }
}

int flags_parse(int argc, char **argv, struct flags *ret_flags, struct diagnosis *why)
{
    struct flags flags = {0};
    int flag;
    opterr = 0;
    optind = 1;
    while ((flag = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (flag == ':')
            return diagnose(why, ERR_INVALID, "%s needs a value; see --help", argv[optind - 1]);
        if (flag == '?')
            return unknown(argv[optind - 1], why);
        int error = take(&flags, flag, why);
        if (error != 0)
            return error;
    }
    if (optind < argc)
        return diagnose(why, ERR_INVALID, "unexpected argument \"%s\"; see --help",
                        argv[optind]);
    *ret_flags = flags;
    return 0;
}
