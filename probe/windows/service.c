/*
 * service.c - see service.h.
 *
 * The service manager calls service_body() without a word of ours and its handler on a thread of
 * its own; so this file has what no other has, variables.  There is one service in a process.
 */
#include "probe/windows/service.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include <shellapi.h>

#include "proto/base/file.h"
#include "proto/base/must.h"
#include "proto/base/service.h"

#define NAME          L"fengsui-probe"
#define TITLE         L"Fengsui probe"
#define DESCRIPTION   L"Measures this host and sends what it sees to the Fengsui collector."
#define COMMAND_UNITS 32767
#define RESTART_MS    1000
#define FORGIVEN_SEC  86400 /* a day without a death, and counting begins anew */
#define STOP_WAIT_MS  10000
#define LOG_BYTES_MAX (8 << 20)

static struct {
    /* fixed before the dispatcher */
    int argc;
    char **argv;
    int (*run)(int argc, char **argv);
    /* the service's thread */
    SERVICE_STATUS_HANDLE handle; /* NULL: no service */
    int code;
    /* under lock */
    CRITICAL_SECTION lock;
    uv_async_t *wake;
    enum service_wish wish;
    SERVICE_STATUS status;
} service;

/* ---- as the manager sees it --------------------------------------------------------------- */

static void tell(DWORD state, DWORD code)
{
    EnterCriticalSection(&service.lock);
    bool is_ending = service.status.dwCurrentState == SERVICE_STOP_PENDING;
    /* What starts again while it is asked to stop does not run: it is stopping. */
    if (!is_ending || state == SERVICE_STOPPED) {
        service.status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
        service.status.dwCurrentState = state;
        service.status.dwControlsAccepted =
            state == SERVICE_RUNNING
                ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN | SERVICE_ACCEPT_PARAMCHANGE
                : 0;
        service.status.dwWin32ExitCode = code == 0 ? NO_ERROR : ERROR_SERVICE_SPECIFIC_ERROR;
        service.status.dwServiceSpecificExitCode = code;
        service.status.dwWaitHint = state == SERVICE_RUNNING ? 0 : STOP_WAIT_MS;
        service.status.dwCheckPoint =
            state == SERVICE_RUNNING || state == SERVICE_STOPPED
                ? 0
                : service.status.dwCheckPoint + 1;
        (void)SetServiceStatus(service.handle, &service.status);
    }
    LeaveCriticalSection(&service.lock);
}

void service_notify(const char *message)
{
    if (service.handle == NULL)
        return;
    if (strcmp(message, "READY=1") == 0)
        tell(SERVICE_RUNNING, 0);
    else if (strcmp(message, "STOPPING=1") == 0)
        tell(SERVICE_STOP_PENDING, 0);
}

static void wish(enum service_wish what)
{
    EnterCriticalSection(&service.lock);
    if (service.wish != SERVICE_WISH_END)
        service.wish = what;
    if (service.wake != NULL)
        (void)uv_async_send(service.wake);
    LeaveCriticalSection(&service.lock);
}

static DWORD WINAPI on_control(DWORD control, DWORD event, void *data, void *context)
{
    (void)event;
    (void)data;
    (void)context;
    switch (control) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_SHUTDOWN:
        tell(SERVICE_STOP_PENDING, 0);
        wish(SERVICE_WISH_END);
        return NO_ERROR;
    case SERVICE_CONTROL_PARAMCHANGE:
        wish(SERVICE_WISH_RELOAD);
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    default:
        return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

void service_wake(uv_async_t *wake)
{
    if (service.handle == NULL)
        return;
    EnterCriticalSection(&service.lock);
    service.wake = wake;
    if (wake != NULL && service.wish != SERVICE_WISH_NOTHING)
        (void)uv_async_send(wake);
    LeaveCriticalSection(&service.lock);
}

enum service_wish service_wished(void)
{
    if (service.handle == NULL)
        return SERVICE_WISH_NOTHING;
    EnterCriticalSection(&service.lock);
    enum service_wish what = service.wish;
    service.wish = SERVICE_WISH_NOTHING;
    LeaveCriticalSection(&service.lock);
    return what;
}

/* ---- its log ------------------------------------------------------------------------------ */

static void open_log(void)
{
    int fd = open(SERVICE_LOG, O_WRONLY | O_CREAT, 0600u);
    if (fd < 0)
        return; /* nowhere to complain */
    (void)dup2(fd, STDERR_FILENO);
    (void)close(fd);
    (void)_setmode(STDERR_FILENO, O_BINARY);
    (void)lseek(STDERR_FILENO, 0, SEEK_END);
}

void service_turn_log(void)
{
    if (service.handle == NULL || _filelengthi64(STDERR_FILENO) < LOG_BYTES_MAX)
        return;
    if (rename(SERVICE_LOG, SERVICE_LOG ".1") == 0)
        open_log();
}

/* ---- being one ---------------------------------------------------------------------------- */

static void WINAPI service_body(DWORD argc, wchar_t **argv)
{
    (void)argc;
    (void)argv; /* arguments of `sc start`: none are wanted */
    service.handle = RegisterServiceCtrlHandlerExW(NAME, on_control, NULL);
    if (service.handle == NULL)
        return;
    tell(SERVICE_START_PENDING, 0);
    (void)file_make_directories(SERVICE_FOLDER, NULL);
    open_log();
    service_turn_log();
    service.code = service.run(service.argc, service.argv);
    tell(SERVICE_STOPPED, (DWORD)service.code);
}

static int dispatch(int argc, char **argv, int (*run)(int argc, char **argv))
{
    wchar_t name[] = NAME;
    const SERVICE_TABLE_ENTRYW table[] = {{name, service_body}, {NULL, NULL}};
    static char config_flag[] = "--config", config[] = SERVICE_CONFIG;
    static char *defaults[] = {NULL, config_flag, config, NULL};
    service.argc = argc;
    service.argv = argv;
    if (argc == 1) {
        defaults[0] = argv[0];
        service.argc = 3;
        service.argv = defaults;
    }
    service.run = run;
    InitializeCriticalSection(&service.lock);
    if (StartServiceCtrlDispatcherW(table))
        return service.code;
    (void)fprintf(stderr, "fengsui-probe: --service run is for the service manager (error %lu)\n",
                  GetLastError());
    return 2;
}

/* ---- installing --------------------------------------------------------------------------- */

static int complain(const char *what)
{
    DWORD error = GetLastError();
    (void)fprintf(stderr, "fengsui-probe: %s: error %lu%s\n", what, error,
                  error == ERROR_ACCESS_DENIED      ? " (run this as administrator)"
                  : error == ERROR_SERVICE_EXISTS   ? " (it is installed already)"
                  : error == ERROR_SERVICE_DOES_NOT_EXIST ? " (it is not installed)"
                  : error == ERROR_SERVICE_MARKED_FOR_DELETE
                      ? " (it is removed as soon as nobody holds it open)"
                      : "");
    return 1;
}

/* Appends one argument so that CommandLineToArgvW() reads it back: in quotes, with backslashes
 * doubled before a quote. */
static bool put_argument(wchar_t *command, size_t *size, const wchar_t *argument)
{
    size_t slashes = 0, at = *size;
    if (at + 2 * wcslen(argument) + 4 > COMMAND_UNITS)
        return false;
    if (at > 0)
        command[at++] = L' ';
    command[at++] = L'"';
    for (; *argument != L'\0'; argument++) {
        if (*argument == L'"')
            for (slashes++; slashes > 0; slashes--)
                command[at++] = L'\\';
        slashes = *argument == L'\\' ? slashes + 1 : 0;
        command[at++] = *argument;
    }
    for (; slashes > 0; slashes--)
        command[at++] = L'\\';
    command[at++] = L'"';
    command[at] = L'\0';
    *size = at;
    return true;
}

/* "this.exe" "--service" "run" and the flags behind --service install, as they were given. */
static wchar_t *command_line(void)
{
    wchar_t own[MAX_PATH * 4];
    int count;
    size_t size = 0;
    wchar_t *command = calloc(COMMAND_UNITS, sizeof *command);
    wchar_t **given = CommandLineToArgvW(GetCommandLineW(), &count);
    DWORD units = GetModuleFileNameW(NULL, own, MAX_PATH * 4);
    bool fits = command != NULL && given != NULL && units > 0 && units < MAX_PATH * 4 &&
                put_argument(command, &size, own) &&
                put_argument(command, &size, L"--service") &&
                put_argument(command, &size, L"run");
    for (int i = 3; fits && i < count; i++)
        fits = put_argument(command, &size, given[i]);
    if (given != NULL)
        (void)LocalFree(given);
    if (fits)
        return command;
    free(command);
    return NULL;
}

/* Restarted each time it dies; a description for services.msc.  Neither is worth failing for. */
static void describe(SC_HANDLE handle)
{
    wchar_t text[] = DESCRIPTION;
    SERVICE_DESCRIPTIONW description = {text};
    SC_ACTION actions[] = {{SC_ACTION_RESTART, RESTART_MS}, {SC_ACTION_RESTART, RESTART_MS},
                           {SC_ACTION_RESTART, 60 * RESTART_MS}};
    SERVICE_FAILURE_ACTIONSW failure = {.dwResetPeriod = FORGIVEN_SEC,
                                        .cActions = sizeof actions / sizeof actions[0],
                                        .lpsaActions = actions};
    SERVICE_FAILURE_ACTIONS_FLAG also_by_code = {TRUE};
    (void)ChangeServiceConfig2W(handle, SERVICE_CONFIG_DESCRIPTION, &description);
    (void)ChangeServiceConfig2W(handle, SERVICE_CONFIG_FAILURE_ACTIONS, &failure);
    (void)ChangeServiceConfig2W(handle, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &also_by_code);
}

static int install(void)
{
    wchar_t *command = command_line();
    if (command == NULL) {
        (void)fprintf(stderr, "fengsui-probe: the command line is too long\n");
        return 2;
    }
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CREATE_SERVICE);
    SC_HANDLE handle =
        manager == NULL
            ? NULL
            : CreateServiceW(manager, NAME, TITLE, SERVICE_ALL_ACCESS, SERVICE_WIN32_OWN_PROCESS,
                             SERVICE_AUTO_START, SERVICE_ERROR_NORMAL, command, NULL, NULL, NULL,
                             NULL, NULL);
    int code = handle == NULL ? complain("the service cannot be installed") : 0;
    if (handle != NULL) {
        describe(handle);
        (void)CloseServiceHandle(handle);
        (void)printf("service " SERVICE_NAME " installed; start it: sc start " SERVICE_NAME
                     "\nits log: " SERVICE_LOG "\n");
    }
    if (manager != NULL)
        (void)CloseServiceHandle(manager);
    free(command);
    return code;
}

static void stop_and_wait(SC_HANDLE handle)
{
    SERVICE_STATUS status;
    if (!ControlService(handle, SERVICE_CONTROL_STOP, &status))
        return;
    for (int waited = 0; waited < STOP_WAIT_MS && status.dwCurrentState != SERVICE_STOPPED;
         waited += 100) {
        Sleep(100);
        if (!QueryServiceStatus(handle, &status))
            return;
    }
}

static int take_out(void)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE handle =
        manager == NULL
            ? NULL
            : OpenServiceW(manager, NAME, SERVICE_STOP | SERVICE_QUERY_STATUS | DELETE);
    if (handle != NULL)
        stop_and_wait(handle);
    int code = handle == NULL || !DeleteService(handle) ? complain("the service cannot be removed")
                                                        : 0;
    if (handle != NULL)
        (void)CloseServiceHandle(handle);
    if (manager != NULL)
        (void)CloseServiceHandle(manager);
    if (code == 0)
        (void)printf("service " SERVICE_NAME " removed; " SERVICE_FOLDER " stays\n");
    return code;
}

int service_main(int argc, char **argv, int (*run)(int argc, char **argv))
{
    if (argc < 2 || strcmp(argv[1], "--service") != 0)
        return run(argc, argv);
    const char *what = argc > 2 ? argv[2] : "";
    if (strcmp(what, "install") == 0)
        return install();
    if (strcmp(what, "remove") == 0)
        return take_out();
    if (strcmp(what, "run") != 0) {
        (void)fprintf(stderr, "fengsui-probe: --service install, remove or run\n");
        return 2;
    }
    argv[2] = argv[0];
    return dispatch(argc - 2, argv + 2, run);
}
