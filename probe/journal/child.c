/*
 * child.c - see child.h.
 */
#include "probe/journal/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/error.h"

#define DESCRIPTORS_MAX 4096
#define EXIT_NO_PROGRAM 127
#define COMPLAINT_READS 16

/* In the child: only calls that are safe after fork().  Locales and pagers of whoever started
 * the probe change nothing. */
static _Noreturn void become(const char *const *arguments, pid_t parent, int output, int errors)
{
    static const char *const environment[] = {"LC_ALL=C", "SYSTEMD_COLORS=0",
                                              "PATH=/usr/bin:/bin", NULL};
    char *const *words;
    char *const *variables;
    sigset_t none;
    struct rlimit limit;
    memcpy(&words, &arguments, sizeof words);
    const char *const *first = environment;
    memcpy(&variables, &first, sizeof variables);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_NO_PROGRAM); /* it died before it could be asked for */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0)
        _exit(EXIT_NO_PROGRAM);
    int most = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS_MAX
                   ? (int)limit.rlim_cur
                   : DESCRIPTORS_MAX;
    for (int fd = 3; fd < most; fd++)
        (void)close(fd);
    (void)execve(arguments[0], words, variables);
    static const char text[] = "the program cannot be run\n";
    (void)!write(2, text, sizeof text - 1);
    _exit(EXIT_NO_PROGRAM);
}

static void close_all(const int descriptors[4])
{
    for (size_t i = 0; i < 4; i++)
        if (descriptors[i] >= 0)
            (void)close(descriptors[i]);
}

int journal_child_start(struct journal_child *child, const char *const *arguments)
{
    int ends[4] = {-1, -1, -1, -1};
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0 || pipe2(ends + 2, O_CLOEXEC) != 0 ||
        fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 || fcntl(ends[2], F_SETFL, O_NONBLOCK) != 0) {
        close_all(ends);
        return ERR_IO;
    }
    pid_t pid = fork();
    if (pid == 0)
        become(arguments, parent, ends[1], ends[3]);
    if (pid < 0) {
        close_all(ends);
        return ERR_NOMEM;
    }
    (void)close(ends[1]);
    (void)close(ends[3]);
    *child = (struct journal_child){.pid = pid, .output = ends[0], .errors = ends[2]};
    return 0;
}

/* Takes what it complained of, about a pipe full; the last line stays. */
static void read_complaint(struct journal_child *child)
{
    char text[4096];
    for (int i = 0; i < COMPLAINT_READS; i++) {
        ssize_t got = read(child->errors, text, sizeof text - 1);
        if (got <= 0)
            return;
        while (got > 0 && text[got - 1] == '\n')
            got--;
        if (got == 0)
            continue;
        text[got] = '\0';
        const char *line = strrchr(text, '\n');
        (void)snprintf(child->complaint, sizeof child->complaint, "%.200s",
                       line == NULL ? text : line + 1);
    }
}

int journal_child_read(struct journal_child *child, uint8_t *to, size_t room, size_t *ret_size)
{
    ssize_t got;
    *ret_size = 0;
    read_complaint(child);
    do
        got = read(child->output, to, room);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        *ret_size = (size_t)got;
    return got > 0 || (got < 0 && errno == EAGAIN) ? 0 : ERR_NOTFOUND;
}

void journal_child_end(struct journal_child *child, char complaint[JOURNAL_COMPLAINT_BYTES])
{
    if (child->pid == 0)
        return;
    /* It holds nothing but pipes: there is nothing to end in order.  It is dead at once. */
    (void)kill(child->pid, SIGKILL);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    read_complaint(child);
    memcpy(complaint, child->complaint, sizeof child->complaint);
    (void)close(child->output);
    (void)close(child->errors);
    *child = (struct journal_child){0};
}
