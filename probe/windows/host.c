/*
 * host.c - Windows (host.h).
 *
 * Windows has no boot id.  A registry key that is volatile lives until the system goes down, and
 * no longer: what it holds is one.  A user who may not write for the machine gets one of his own.
 */
#include "probe/host.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#include <psapi.h>
#include <shellapi.h>

#include "probe/windows/service.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/base/random.h"

#define BOOT_KEY   L"SOFTWARE\\Fengsui\\Boot"
#define BOOT_VALUE L"id"

/* The command line as UTF-8: what main() is given has lost all that the code page lacks.
 * Belongs to the process until it ends. */
static char **arguments_as_utf8(int *ret_count)
{
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), ret_count);
    must(wide != NULL);
    char **arguments = calloc((size_t)*ret_count + 1, sizeof *arguments);
    must(arguments != NULL);
    for (int i = 0; i < *ret_count; i++) {
        size_t units = wcslen(wide[i]);
        arguments[i] = malloc(units * 3 + 1);
        must(arguments[i] != NULL);
        (void)windows_narrow(wide[i], units, arguments[i], units * 3 + 1);
    }
    (void)LocalFree(wide);
    return arguments;
}

int host_main(int argc, char **argv, int (*run)(int argc, char **argv))
{
    (void)argv;
    argv = arguments_as_utf8(&argc);
    (void)_setmode(STDOUT_FILENO, O_BINARY);
    (void)_setmode(STDERR_FILENO, O_BINARY);
    (void)SetConsoleOutputCP(CP_UTF8);
    return service_main(argc, argv, run);
}

/* A drive without a medium is an error to be told, not a box to be clicked at. */
void host_prepare(void)
{
    (void)SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
}

void host_settle(void)
{
    (void)SetProcessWorkingSetSize(GetCurrentProcess(), (SIZE_T)-1, (SIZE_T)-1);
}

static bool boot_id_below(HKEY root, uint8_t ret_id[HOST_BOOT_ID_BYTES])
{
    HKEY key;
    DWORD size = HOST_BOOT_ID_BYTES, kind = REG_NONE;
    if (RegCreateKeyExW(root, BOOT_KEY, 0, NULL, REG_OPTION_VOLATILE, KEY_READ | KEY_WRITE, NULL,
                        &key, NULL) != ERROR_SUCCESS)
        return false;
    bool is_told =
        RegQueryValueExW(key, BOOT_VALUE, NULL, &kind, ret_id, &size) == ERROR_SUCCESS &&
        kind == REG_BINARY && size == HOST_BOOT_ID_BYTES;
    if (!is_told)
        is_told = random_fill(ret_id, HOST_BOOT_ID_BYTES) == 0 &&
                  RegSetValueExW(key, BOOT_VALUE, 0, REG_BINARY, ret_id, HOST_BOOT_ID_BYTES) ==
                      ERROR_SUCCESS;
    (void)RegCloseKey(key);
    return is_told;
}

int host_boot_id(uint8_t ret_id[HOST_BOOT_ID_BYTES], struct diagnosis *why)
{
    if (boot_id_below(HKEY_LOCAL_MACHINE, ret_id) || boot_id_below(HKEY_CURRENT_USER, ret_id))
        return 0;
    return diagnose(why, ERR_REFUSED, "the registry takes no boot id (SOFTWARE\\Fengsui\\Boot)");
}

static double seconds_of(FILETIME time)
{
    return (double)((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime) / 1e7;
}

bool host_usage(struct host_usage *ret_usage)
{
    FILETIME made, ended, kernel, user;
    PROCESS_MEMORY_COUNTERS memory = {.cb = sizeof memory};
    if (!GetProcessTimes(GetCurrentProcess(), &made, &ended, &kernel, &user) ||
        !GetProcessMemoryInfo(GetCurrentProcess(), &memory, sizeof memory))
        return false;
    *ret_usage = (struct host_usage){seconds_of(kernel) + seconds_of(user),
                                     (double)memory.WorkingSetSize};
    return true;
}

/* The DNS name's first part: what others call this host. */
bool host_name(char *ret_name, size_t room)
{
    wchar_t wide[256];
    DWORD size = sizeof wide / sizeof wide[0];
    return GetComputerNameExW(ComputerNameDnsHostname, wide, &size) &&
           windows_narrow(wide, size, ret_name, room) > 0;
}

int host_report_rights(struct diagnosis *why)
{
    HANDLE token;
    TOKEN_ELEVATION elevation = {0};
    DWORD size = sizeof elevation;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return diagnose(why, ERR_IO, "this process's rights cannot be asked");
    (void)GetTokenInformation(token, TokenElevation, &elevation, sizeof elevation, &size);
    (void)CloseHandle(token);
    (void)printf("administrator's rights: %s\n",
                 elevation.TokenIsElevated
                     ? "there"
                     : "missing: users and command lines of others' processes, log files that only "
                       "administrators may read, and disks' counters may be missing");
    return 0;
}

const char *host_help(void)
{
    return "\nOn Windows, as the first flag:\n"
           "  --service install [FLAGS]  a service that starts with the system, with these flags\n"
           "                             (default: --config " SERVICE_CONFIG ")\n"
           "  --service remove           stops it and takes it out\n"
           "  --service run [FLAGS]      what the service manager calls\n";
}
