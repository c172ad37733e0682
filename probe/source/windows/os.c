/*
 * os.c - the system as a whole: windows_os_*, windows_system_*, windows_time_*, windows_pagefile_*,
 * and windows_cs_hostname of windows_exporter before 0.30.
 *
 * The version comes from RtlGetVersion(): GetVersionEx() tells every program that has no manifest
 * for later systems that they are NT 6.2.
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include <psapi.h>
#include <winternl.h>

#include "probe/source/source.h"
#include "probe/source/windows/ntapi.h"
#include "probe/source/windows/told.h"
#include "proto/base/error.h"

#define CURRENT_VERSION L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
#define PROCESSES_LIMIT 4294967295.0 /* as WMI has it: none */

static const struct metric
    os_info = TOLD_GAUGE("windows_os_info", "Always 1; product and version of the system, as labels"),
    os_hostname = TOLD_GAUGE("windows_os_hostname", "Always 1; names of this host, as labels"),
    cs_hostname = TOLD_GAUGE("windows_cs_hostname", "Always 1; names of this host, as labels"),
    os_processes = TOLD_GAUGE("windows_os_processes", "Number of processes"),
    os_processes_limit = TOLD_GAUGE("windows_os_processes_limit",
                                    "Maximum number of processes; the largest number: no limit"),
    os_time = TOLD_GAUGE("windows_os_time", "Current time of the system, Unix time"),
    os_timezone = TOLD_GAUGE("windows_os_timezone", "Always 1; the time zone, as a label"),
    os_paging_limit = TOLD_GAUGE("windows_os_paging_limit_bytes", "Size of the paging files"),
    os_paging_free = TOLD_GAUGE("windows_os_paging_free_bytes", "Bytes free in the paging files"),
    time_current = TOLD_GAUGE("windows_time_current_timestamp_seconds",
                              "Current time of the system, Unix time"),
    time_timezone = TOLD_GAUGE("windows_time_timezone", "Always 1; the time zone, as a label"),
    boot_time = TOLD_GAUGE("windows_system_boot_time_timestamp", "Unix time of the last boot"),
    boot_time_seconds = TOLD_GAUGE("windows_system_boot_time_timestamp_seconds",
                                   "Unix time of the last boot (windows_exporter 0.30)"),
    up_time = TOLD_GAUGE("windows_system_system_up_time",
                         "Unix time of the last boot (windows_exporter before 0.30)"),
    switches = TOLD_COUNTER("windows_system_context_switches_total", "Context switches"),
    exceptions = TOLD_COUNTER("windows_system_exception_dispatches_total",
                              "Exceptions that the system dispatched"),
    calls = TOLD_COUNTER("windows_system_system_calls_total", "System calls"),
    processes = TOLD_GAUGE("windows_system_processes", "Current number of processes"),
    processes_limit = TOLD_GAUGE("windows_system_processes_limit",
                                 "Maximum number of processes; the largest number: no limit"),
    threads = TOLD_GAUGE("windows_system_threads", "Current number of threads"),
    pagefile_limit = TOLD_GAUGE("windows_pagefile_limit_bytes", "Size of the paging file"),
    pagefile_free = TOLD_GAUGE("windows_pagefile_free_bytes", "Bytes free in the paging file");

/* ntdll.dll; the driver kit's headers declare it. */
NTSTATUS NTAPI RtlGetVersion(RTL_OSVERSIONINFOW *version);

struct os_state {
    struct told told;
    struct nt_carried switches, calls, exceptions;
    double page_bytes;
};

static int os_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct os_state *os = state;
    SYSTEM_INFO about;
    (void)out;
    GetSystemInfo(&about);
    os->page_bytes = about.dwPageSize;
    return env->live ? 0 : ERR_NOTFOUND;
}

static struct bytes registry_text(const wchar_t *name, char room[TOLD_TEXT_BYTES])
{
    wchar_t text[TOLD_TEXT_BYTES / 3] = L"";
    DWORD size = sizeof text;
    if (RegGetValueW(HKEY_LOCAL_MACHINE, CURRENT_VERSION, name, RRF_RT_REG_SZ, NULL, text,
                     &size) != ERROR_SUCCESS)
        text[0] = L'\0';
    return told_text(text, room);
}

static void read_version(struct told *told)
{
    RTL_OSVERSIONINFOW version = {.dwOSVersionInfoSize = sizeof version};
    char product[TOLD_TEXT_BYTES], build[16], major[16], minor[16], all[48];
    if (RtlGetVersion(&version) != 0)
        return;
    (void)snprintf(major, sizeof major, "%lu", version.dwMajorVersion);
    (void)snprintf(minor, sizeof minor, "%lu", version.dwMinorVersion);
    (void)snprintf(build, sizeof build, "%lu", version.dwBuildNumber);
    (void)snprintf(all, sizeof all, "%s.%s.%s", major, minor, build);
    const struct label labels[] = {{bytes_of("build_number"), bytes_of(build)},
                                   {bytes_of("major_version"), bytes_of(major)},
                                   {bytes_of("minor_version"), bytes_of(minor)},
                                   {bytes_of("product"), registry_text(L"ProductName", product)},
                                   {bytes_of("version"), bytes_of(all)}};
    readings_add(&told->list, &os_info, 1, labels, sizeof labels / sizeof labels[0]);
}

static struct bytes computer_name(COMPUTER_NAME_FORMAT format, char room[TOLD_TEXT_BYTES])
{
    wchar_t text[TOLD_TEXT_BYTES / 3] = L"";
    DWORD size = sizeof text / sizeof text[0];
    if (!GetComputerNameExW(format, text, &size))
        text[0] = L'\0';
    return told_text(text, room);
}

static void read_names(struct told *told)
{
    char host[TOLD_TEXT_BYTES], domain[TOLD_TEXT_BYTES], full[TOLD_TEXT_BYTES];
    const struct label labels[] = {
        {bytes_of("domain"), computer_name(ComputerNameDnsDomain, domain)},
        {bytes_of("fqdn"), computer_name(ComputerNameDnsFullyQualified, full)},
        {bytes_of("hostname"), computer_name(ComputerNameDnsHostname, host)}};
    readings_add(&told->list, &os_hostname, 1, labels, 3);
    readings_add(&told->list, &cs_hostname, 1, labels, 3);
}

static void read_time(struct told *told, int64_t now_ms)
{
    TIME_ZONE_INFORMATION zone;
    char name[TOLD_TEXT_BYTES];
    told_plain(told, &os_time, (double)(now_ms / 1000));
    told_plain(told, &time_current, (double)now_ms / 1000);
    DWORD season = GetTimeZoneInformation(&zone);
    if (season == TIME_ZONE_ID_INVALID)
        return;
    struct bytes text = told_text(
        season == TIME_ZONE_ID_DAYLIGHT ? zone.DaylightName : zone.StandardName, name);
    told_one(told, &os_timezone, 1, "timezone", text);
    told_one(told, &time_timezone, 1, "timezone", text);
}

static void read_counts(struct os_state *os)
{
    struct told *told = &os->told;
    struct nt_performance now;
    struct nt_exceptions raised;
    PERFORMANCE_INFORMATION kernel = {.cb = sizeof kernel};
    size_t size = 0;
    double boot = ntapi_boot_seconds();
    if (boot > 0) {
        told_plain(told, &boot_time, boot);
        told_plain(told, &boot_time_seconds, boot);
        told_plain(told, &up_time, boot);
    }
    int error = ntapi_query(NT_PERFORMANCE, &now, sizeof now, &size);
    if (error == 0 && size >= offsetof(struct nt_performance, later)) {
        told_plain(told, &switches, ntapi_carry(&os->switches, now.context_switches));
        told_plain(told, &calls, ntapi_carry(&os->calls, now.system_calls));
    } else {
        told_failed(told, "SystemPerformanceInformation", (unsigned long)-error);
    }
    error = ntapi_query(NT_EXCEPTIONS, &raised, sizeof raised, NULL);
    if (error == 0)
        told_plain(told, &exceptions, ntapi_carry(&os->exceptions, raised.dispatches));
    else
        told_failed(told, "SystemExceptionInformation", (unsigned long)-error);
    told_plain(told, &os_processes_limit, PROCESSES_LIMIT);
    told_plain(told, &processes_limit, PROCESSES_LIMIT);
    if (!GetPerformanceInfo(&kernel, sizeof kernel)) {
        told_failed(told, "GetPerformanceInfo", GetLastError());
        return;
    }
    told_plain(told, &processes, kernel.ProcessCount);
    told_plain(told, &os_processes, kernel.ProcessCount);
    told_plain(told, &threads, kernel.ThreadCount);
}

struct paging {
    struct os_state *os;
    double limit, free;
};

static BOOL WINAPI on_page_file(void *context, ENUM_PAGE_FILE_INFORMATION *file, LPCWSTR name)
{
    struct paging *paging = context;
    struct told *told = &paging->os->told;
    char room[TOLD_TEXT_BYTES];
    double limit = (double)file->TotalSize * paging->os->page_bytes;
    double free = (double)(file->TotalSize - file->TotalInUse) * paging->os->page_bytes;
    struct bytes label = told_text(name, room);
    told_one(told, &pagefile_limit, limit, "file", label);
    told_one(told, &pagefile_free, free, "file", label);
    paging->limit += limit;
    paging->free += free;
    return TRUE;
}

static int os_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct os_state *os = state;
    struct paging paging = {.os = os};
    told_begin(&os->told);
    read_version(&os->told);
    read_names(&os->told);
    read_time(&os->told, env->now_ms);
    read_counts(os);
    if (!EnumPageFilesW(on_page_file, &paging))
        told_failed(&os->told, "EnumPageFiles", GetLastError());
    told_plain(&os->told, &os_paging_limit, paging.limit);
    told_plain(&os->told, &os_paging_free, paging.free);
    return told_emit(&os->told, out);
}

static const char *os_complaint(const void *state)
{
    return told_complaint(&((const struct os_state *)state)->told);
}

static void os_stop(void *state)
{
    told_done(&((struct os_state *)state)->told);
}

const struct source source_os = {
    .name = "os",
    .summary = "version, names, boot, time zone, counters of the system, paging files",
    .state_bytes = sizeof(struct os_state),
    .start = os_start,
    .collect = os_collect,
    .complaint = os_complaint,
    .stop = os_stop,
};
