/* command_processes.c - what was eating a host: its process table at a time. */
#include <stdio.h>
#include <stdlib.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"
#include "proto/base/clock.h"

/* "80 443" */
static void ports_text(const json_t *row, char *text, size_t room)
{
    size_t i, size = 0;
    json_t *port;
    text[0] = '\0';
    json_array_foreach(json_object_get(row, "ports"), i, port)
    {
        if (size + 8 < room)
            size += (size_t)snprintf(text + size, room - size, i == 0 ? "%d" : " %d",
                                     (int)json_integer_value(port));
    }
}

static void print_processes(const struct ctl *ctl, const json_t *data)
{
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *row;
    printf(SAY(ctl, "%s at %s, %s processes\n", "%s，%s，共 %s 个进程\n"),
           value_text(&values, data, "instance"),
           value_time(&values, value_integer(data, "timeMs")),
           value_text(&values, data, "processCount"));
    table_init(&table, 8);
    table_row(&table, (const char *[]){"PID", SAY(ctl, "USER", "用户"), "CPU %",
                                       SAY(ctl, "MEMORY", "内存"), SAY(ctl, "READ/s", "读/秒"),
                                       SAY(ctl, "WRITE/s", "写/秒"),
                                       SAY(ctl, "PORTS", "监听端口"),
                                       SAY(ctl, "COMMAND", "命令行")});
    json_array_foreach(json_object_get(data, "processes"), index, row)
    {
        char cpu[32], ports[128];
        const char *command = value_text(&values, row, "commandLine");
        ports_text(row, ports, sizeof ports);
        snprintf(cpu, sizeof cpu, "%.1f", 100 * json_number_value(json_object_get(row, "cpu")));
        table_row(
            &table,
            (const char *[]){
                value_text(&values, row, "pid"), value_text(&values, row, "user"), cpu,
                value_bytes(&values, (double)value_integer(row, "residentBytes")),
                value_bytes(&values,
                            json_number_value(json_object_get(row, "readBytesPerSecond"))),
                value_bytes(&values,
                            json_number_value(json_object_get(row, "writeBytesPerSecond"))),
                ports, *command != '\0' ? command : value_text(&values, row, "name")});
    }
    table_print(&table);
}

static int run_processes(struct ctl *ctl, int count, char **arguments)
{
    const char *at = NULL;
    int left = 0;
    const struct flag flags[] = {{"--at", FLAG_TEXT, &at}};
    int code = args_parse(ctl, &command_processes, count, arguments, flags, 1, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    if (left != 1) {
        fprintf(stderr, "fengsuictl: %s\n",
                SAY(ctl, "processes takes the name of one host", "processes 需要一台主机的名字"));
        return EXIT_USAGE;
    }
    char *time = at != NULL ? args_time(at, clock_unix_ms(&clock_system)) : NULL;
    const struct parameter parameters[] = {{"instance", arguments[0]}, {"time", time}};
    json_t *data = NULL;
    code = client_get(ctl, "/api/fengsui/v1/processes", parameters, 2, &data);
    if (data != NULL)
        print_processes(ctl, data);
    json_decref(data);
    free(time);
    return code;
}

const struct command command_processes = {
    .name = "processes",
    .run = run_processes,
    .summary_english = "the largest processes of a host, now or then",
    .summary_chinese = "某主机某时刻占用最多的进程",
    .help_english = "fengsuictl processes HOST: what was eating this host.\n\n"
                    "  fengsuictl processes web-01\n"
                    "  fengsuictl processes web-01 --at 2h\n"
                    "  fengsuictl processes db-02 --at 2026-03-01T02:13:00+08:00\n\n"
                    "  --at T   then, instead of now: Unix seconds, RFC 3339, or a duration ago",
    .help_chinese = "fengsuictl processes 主机：当时是谁占用了资源。\n\n"
                    "  fengsuictl processes web-01\n"
                    "  fengsuictl processes web-01 --at 2h\n"
                    "  fengsuictl processes db-02 --at 2026-03-01T02:13:00+08:00\n\n"
                    "  --at T   那个时刻的，而不是现在的：Unix 秒、RFC 3339，或“多久以前”",
};
