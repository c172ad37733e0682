/*
 * job_run.c - see job_run.h.
 */
#include "collector/ctl/job_run.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/ctl/client_parts.h"
#include "proto/base/clock.h"

#define ATTEMPT_MS     5000L
#define PAUSE_MS_LEAST 200
#define PAUSE_MS_MOST  5000
#define RID_BYTES      17
#define NUMBER_BYTES   24
#define NOT_EXECUTABLE 126
#define NOT_THERE      127
#define BY_SIGNAL      128

static volatile sig_atomic_t child;

/* What would end us is for the command; how it ends decides. */
static void pass_on(int number)
{
    if (child > 0)
        (void)kill((pid_t)child, number);
}

static void wake(int number)
{
    (void)number; /* a pause ends */
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

/* ---- telling ----------------------------------------------------------------------------- */

enum telling { TOLD, REFUSED, UNHEARD };

static size_t drop(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

/* `why` is curl's words, or the status. */
static enum telling tell(const struct ctl *ctl, const char *path,
                         const struct parameter *parameters, size_t count, long *ret_status)
{
    CURL *curl = curl_easy_init();
    char *url;
    struct curl_slist *headers;
    CURLcode result;
    *ret_status = 0;
    if (curl == NULL)
        return UNHEARD;
    url = client_url(ctl, curl, path, parameters, count);
    headers = client_headers(ctl);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ATTEMPT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (ctl->ca_file != NULL)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, ctl->ca_file);
    result = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    free(url);
    if (result != CURLE_OK || *ret_status / 100 == 5 || *ret_status == 429)
        return UNHEARD;
    return *ret_status / 100 == 2 ? TOLD : REFUSED;
}

static void complain(const struct ctl *ctl, const char *name, enum telling telling, long status)
{
    if (telling == REFUSED)
        fprintf(stderr,
                SAY(ctl, "fengsuictl: %s refuses what job %s says: HTTP %ld\n",
                    "fengsuictl：%s 拒绝任务 %s 的报告：HTTP %ld\n"),
                ctl->url, name, status);
    else if (telling == UNHEARD)
        fprintf(stderr,
                SAY(ctl, "fengsuictl: %s does not hear job %s; it may be counted as missed\n",
                    "fengsuictl：%s 没有收到任务 %s 的报告，可能会被当作未执行\n"),
                ctl->url, name);
}

static void pause_ms(int64_t ms)
{
    const struct timespec pause = {ms / MS_PER_SEC, ms % MS_PER_SEC * (long)NS_PER_MS};
    (void)nanosleep(&pause, NULL); /* the command's end cuts it short */
}

static void job_path(const char *name, const char *word, char *path, size_t size)
{
    (void)snprintf(path, size, "/api/fengsui/v1/jobs/%s/%s", name, word);
}

/* ---- running ----------------------------------------------------------------------------- */

static pid_t begin(char **command)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    (void)execvp(command[0], command);
    int error = errno;
    fprintf(stderr, "fengsuictl: %s: %s\n", command[0], strerror(error));
    _exit(error == ENOENT ? NOT_THERE : NOT_EXECUTABLE);
}

/* Its code once it has ended; -1: it goes on. */
static int look_at_child(pid_t pid, bool waits)
{
    int status = 0;
    pid_t ended;
    do
        ended = waitpid(pid, &status, waits ? 0 : WNOHANG);
    while (ended < 0 && errno == EINTR && waits);
    if (ended != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : BY_SIGNAL + WTERMSIG(status);
}

/* Tells that it has begun, as long as it goes on and nobody has heard.  Its code. */
static int tell_start(const struct ctl *ctl, const struct job_run_options *options, pid_t pid,
                      const char *rid)
{
    const struct parameter parameters[] = {{"rid", rid}};
    char path[128];
    long status;
    int code;
    int64_t wait_ms = PAUSE_MS_LEAST;
    job_path(options->name, "start", path, sizeof path);
    while ((code = look_at_child(pid, false)) < 0) {
        enum telling telling = tell(ctl, path, parameters, 1, &status);
        if (telling == REFUSED)
            complain(ctl, options->name, telling, status);
        if (telling != UNHEARD)
            return look_at_child(pid, true);
        pause_ms(wait_ms);
        wait_ms = wait_ms * 2 < PAUSE_MS_MOST ? wait_ms * 2 : PAUSE_MS_MOST;
    }
    return code;
}

static void tell_end(const struct ctl *ctl, const struct job_run_options *options, int code,
                     const char *rid, mono_ns began)
{
    char path[128], exit_text[NUMBER_BYTES], took[NUMBER_BYTES], size[NUMBER_BYTES] = "";
    const mono_ns ended = clock_mono(&clock_system);
    const uint64_t took_ms = (ended - began) / NS_PER_MS;
    int64_t wait_ms = PAUSE_MS_LEAST;
    enum telling telling;
    long status;
    struct stat file;
    if (code == 0 && options->size_of != NULL && stat(options->size_of, &file) == 0)
        (void)snprintf(size, sizeof size, "%" PRIu64, (uint64_t)file.st_size);
    (void)snprintf(exit_text, sizeof exit_text, "%d", code);
    (void)snprintf(took, sizeof took, "%" PRIu64 ".%03" PRIu64, took_ms / MS_PER_SEC,
                   took_ms % MS_PER_SEC);
    const struct parameter parameters[] = {{"rid", rid},
                                           {"exit", exit_text},
                                           {"duration", took},
                                           {"size", size[0] != '\0' ? size : NULL}};
    job_path(options->name, code == 0 ? "ok" : "fail", path, sizeof path);
    for (;;) {
        telling = tell(ctl, path, parameters, 4, &status);
        int64_t left_ms =
            options->patience_ms - (int64_t)((clock_mono(&clock_system) - ended) / NS_PER_MS);
        if (telling != UNHEARD || left_ms <= 0)
            break;
        pause_ms(wait_ms < left_ms ? wait_ms : left_ms);
        wait_ms = wait_ms * 2 < PAUSE_MS_MOST ? wait_ms * 2 : PAUSE_MS_MOST;
    }
    complain(ctl, options->name, telling, status);
}

int job_run(const struct ctl *ctl, const struct job_run_options *options, char **command)
{
    uint64_t number = 0;
    char rid[RID_BYTES];
    const mono_ns began = clock_mono(&clock_system);
    int code;
    handle(SIGCHLD, wake);
    child = (sig_atomic_t)begin(command);
    if (child < 0) {
        fprintf(stderr, "fengsuictl: %s: %s\n", command[0], strerror(errno));
        return NOT_EXECUTABLE;
    }
    handle(SIGTERM, pass_on);
    handle(SIGHUP, pass_on);
    handle(SIGINT, wake); /* from a terminal both get it */
    handle(SIGQUIT, wake);
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = began ^ (uint64_t)getpid() << 32;
    (void)snprintf(rid, sizeof rid, "%016" PRIx64, number);
    code = tell_start(ctl, options, (pid_t)child, rid);
    child = 0;
    tell_end(ctl, options, code, rid, began);
    return code;
}
