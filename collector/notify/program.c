/*
 * program.c - see program.h.
 *
 * The one surprise: a program may leave a child behind that holds its output open.  So the end
 * is the exit, and the output is read for at most LINGER_MS more.
 */
#include "collector/notify/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define OUTPUT_BYTES_MAX ((size_t)1024)
#define LINGER_MS        200
#define HANDLES          4

struct program_run {
    uv_process_t process;
    uv_pipe_t input, output;
    uv_timer_t timer;
    uv_write_t write;
    uint8_t *body;
    struct buf printed;
    char chunk[1024];
    int64_t status;
    int signal;
    bool has_exited, is_late, has_eof;
    unsigned open;      /* handles */
    program_done *done; /* NULL: told, or abandoned */
    void *context;
};

static void free_run(uv_handle_t *handle)
{
    struct program_run *run = handle->data;
    if (--run->open > 0)
        return;
    buf_done(&run->printed);
    free(run->body);
    free(run);
}

static void close_all(struct program_run *run)
{
    uv_handle_t *handles[HANDLES] = {(uv_handle_t *)&run->process, (uv_handle_t *)&run->input,
                                     (uv_handle_t *)&run->output, (uv_handle_t *)&run->timer};
    for (size_t i = 0; i < HANDLES; i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], free_run);
}

static void judge(const struct program_run *run, struct client_verdict *verdict)
{
    struct bytes said = buf_bytes(&run->printed);

    while (said.size > 0 && said.data[said.size - 1] <= ' ')
        said.size--;
    if (run->is_late)
        (void)diagnose(&verdict->why, ERR_IO, "the program was killed, its time was up%s%.*s",
                       said.size > 0 ? ": " : "", (int)said.size, (const char *)said.data);
    else if (run->signal != 0)
        (void)diagnose(&verdict->why, ERR_IO, "the program died of signal %d%s%.*s",
                       run->signal, said.size > 0 ? ": " : "", (int)said.size,
                       (const char *)said.data);
    else if (run->status != 0)
        (void)diagnose(&verdict->why, ERR_IO, "exit code %d%s%.*s", (int)run->status,
                       said.size > 0 ? ": " : "", (int)said.size, (const char *)said.data);
    else
        verdict->accepted = true;
    verdict->recoverable = run->is_late || run->signal != 0 || run->status == EX_TEMPFAIL;
}

static void finish(struct program_run *run)
{
    struct client_verdict verdict = {0};
    program_done *done = run->done;
    void *context = run->context;

    if (done == NULL)
        return;
    run->done = NULL;
    judge(run, &verdict);
    close_all(run);
    done(context, &verdict);
}

static void on_time_up(uv_timer_t *timer)
{
    struct program_run *run = timer->data;
    if (run->has_exited) {
        finish(run);
        return;
    }
    run->is_late = true;
    (void)kill(-run->process.pid, SIGKILL); /* its whole session */
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
    struct program_run *run = process->data;
    run->has_exited = true;
    run->status = status;
    run->signal = signal;
    if (run->has_eof)
        finish(run);
    else
        (void)uv_timer_start(&run->timer, on_time_up, LINGER_MS, 0);
}

static void give_chunk(uv_handle_t *handle, size_t wanted, uv_buf_t *ret_chunk)
{
    struct program_run *run = handle->data;
    (void)wanted;
    *ret_chunk = uv_buf_init(run->chunk, sizeof run->chunk);
}

static void on_output(uv_stream_t *stream, ssize_t size, const uv_buf_t *chunk)
{
    struct program_run *run = stream->data;
    if (size < 0) {
        run->has_eof = true;
        (void)uv_read_stop(stream);
        if (run->has_exited)
            finish(run);
        return;
    }
    size_t kept = run->printed.size,
           room = OUTPUT_BYTES_MAX > kept ? OUTPUT_BYTES_MAX - kept : 0;
    buf_put(&run->printed, chunk->base, (size_t)size < room ? (size_t)size : room);
}

/* A program that does not read all of it may still have done its work. */
static void on_written(uv_write_t *write, int status)
{
    struct program_run *run = write->data;
    (void)status;
    if (!uv_is_closing((uv_handle_t *)&run->input))
        uv_close((uv_handle_t *)&run->input, free_run);
}

static int run_new(uv_loop_t *loop, struct bytes input, program_done *done, void *context,
                   struct program_run **ret_run)
{
    struct program_run *run = calloc(1, sizeof *run);
    uint8_t *body = malloc(input.size + 1);

    if (run == NULL || body == NULL) {
        free(run);
        free(body);
        return ERR_NOMEM;
    }
    if (input.size > 0)
        memcpy(body, input.data, input.size);
    run->body = body;
    run->done = done;
    run->context = context;
    must(uv_pipe_init(loop, &run->input, 0) == 0);
    must(uv_pipe_init(loop, &run->output, 0) == 0);
    must(uv_timer_init(loop, &run->timer) == 0);
    run->process.data = run->input.data = run->output.data = run->timer.data = run;
    run->write.data = run;
    run->open = HANDLES;
    *ret_run = run;
    return 0;
}

static int spawn(uv_loop_t *loop, const struct program_settings *settings, const char *id,
                 struct program_run *run)
{
    char name[64];
    char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                           "LANG=C.UTF-8", name, NULL};
    uv_stdio_container_t streams[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&run->input},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&run->output},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    uv_process_options_t options = {.exit_cb = on_exit_of,
                                    .file = settings->arguments[0],
                                    .args = settings->arguments,
                                    .env = environment,
                                    .cwd = "/",
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio_count = 3,
                                    .stdio = streams};
    (void)snprintf(name, sizeof name, "FENGSUI_MESSAGE_ID=%s", id);
    return uv_spawn(loop, &run->process, &options);
}

int program_start(uv_loop_t *loop, const struct program_settings *settings, const char *id,
                  struct bytes input, program_done *done, void *context,
                  struct program_run **ret_run, struct diagnosis *why)
{
    struct program_run *run;
    int code, error = run_new(loop, input, done, context, &run);

    if (error != 0)
        return error;
    code = spawn(loop, settings, id, run);
    if (code != 0) {
        run->done = NULL;
        close_all(run);
        return diagnose(why,
                        code == UV_ENOENT   ? ERR_NOTFOUND
                        : code == UV_EACCES ? ERR_REFUSED
                                            : ERR_IO,
                        "cannot run %s: %s", settings->arguments[0], uv_strerror(code));
    }
    (void)uv_timer_start(&run->timer, on_time_up, (uint64_t)settings->timeout_ms, 0);
    (void)uv_read_start((uv_stream_t *)&run->output, give_chunk, on_output);
    uv_buf_t text = uv_buf_init((char *)run->body, (unsigned)input.size);
    if (uv_write(&run->write, (uv_stream_t *)&run->input, &text, 1, on_written) != 0)
        uv_close((uv_handle_t *)&run->input, free_run);
    *ret_run = run;
    return 0;
}

void program_abandon(struct program_run *run)
{
    if (run == NULL || run->done == NULL)
        return;
    run->done = NULL;
    if (!run->has_exited)
        (void)kill(-run->process.pid, SIGKILL);
    close_all(run);
}
