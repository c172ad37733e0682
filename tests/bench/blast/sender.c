#include "tests/bench/blast/sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "tests/bench/blast/http.h"

double sender_clock(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static const char *content_head(const char *mode)
{
    if (strcmp(mode, "rw") == 0)
        return "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n"
               "X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
    if (strcmp(mode, "rw2") == 0)
        return "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n"
               "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 2.0.0\r\n";
    return strcmp(mode, "json") == 0 ? "Content-Type: application/json\r\n"
                                     : "Content-Type: text/plain; version=0.0.4\r\n";
}

/* Waits until no other file is too far behind. */
static void keep_together(struct sender *sender, uint32_t step)
{
    struct sending *sending = sender->sending;
    if (step == sender->step)
        return;
    must(pthread_mutex_lock(&sending->lock) == 0);
    sender->step = step;
    must(pthread_cond_broadcast(&sending->moved) == 0);
    for (;;) {
        uint32_t slowest = step;
        for (size_t i = 0; i < sending->sender_count; i++)
            if (!sending->senders[i].done && sending->senders[i].step < slowest)
                slowest = sending->senders[i].step;
        if (step - slowest <= sending->steps_ahead)
            break;
        must(pthread_cond_wait(&sending->moved, &sending->lock) == 0);
    }
    must(pthread_mutex_unlock(&sending->lock) == 0);
}

static void keep_pace(const struct sender *sender)
{
    const struct sending *sending = sender->sending;
    if (sending->samples_per_second <= 0)
        return;
    double own_rate = sending->samples_per_second / (double)sending->sender_count;
    double wait = sending->started + (double)sender->samples / own_rate - sender_clock();
    if (wait > 0)
        (void)usleep((useconds_t)(wait * 1e6));
}

static bool lose(struct sender *sender, const struct frame *frame, const char *what)
{
    sender->lost = true;
    sender->samples_under_way += frame->samples;
    (void)snprintf(sender->trouble, sizeof sender->trouble, "%s", what);
    return false;
}

static void note_latency(struct sender *sender, double seconds)
{
    if (sender->latency_count == sender->latency_capacity) {
        size_t capacity = sender->latency_capacity == 0 ? 4096 : sender->latency_capacity * 2;
        float *larger = reallocarray(sender->latencies_ms, capacity, sizeof *larger);
        if (larger == NULL)
            return; /* the rest is not in the quantiles */
        sender->latencies_ms = larger;
        sender->latency_capacity = capacity;
    }
    sender->latencies_ms[sender->latency_count++] = (float)(seconds * 1e3);
}

/* False: the connection is gone. */
static bool send_frame(struct sender *sender, int fd, const struct frame *frame)
{
    const struct sending *sending = sender->sending;
    char head[2048], text[200];
    int size = snprintf(head, sizeof head,
                        "POST %s HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: blast\r\n%s"
                        "Content-Length: %zu\r\n\r\n",
                        sending->path, sending->host, (unsigned)sending->port,
                        content_head(sending->mode), frame->body.size);
    double started = sender_clock();
    if (http_send(fd, (struct bytes){(uint8_t *)head, (size_t)size}, frame->body) != 0)
        return lose(sender, frame, strerror(errno));
    int code = http_answer(fd, text, sizeof text);
    if (code < 0)
        return lose(sender, frame, "no answer");
    note_latency(sender, sender_clock() - started);
    sender->requests++;
    sender->bytes += frame->body.size;
    if (code / 100 == 2) {
        sender->samples += frame->samples;
    } else {
        sender->refused++;
        sender->last_code = code;
        (void)snprintf(sender->trouble, sizeof sender->trouble, "%s", text);
    }
    return true;
}

static void *run(void *context)
{
    struct sender *sender = context;
    struct sending *sending = sender->sending;
    struct frame frame;
    int fd = http_dial(sending->host, sending->port);

    if (fd < 0) {
        sender->lost = true;
        (void)snprintf(sender->trouble, sizeof sender->trouble, "connect: %s", strerror(errno));
    }
    while (fd >= 0 && frames_next(&sender->frames, &frame)) {
        if (frame.step < sending->first_step)
            continue;
        if (frame.step >= sending->end_step)
            break;
        keep_together(sender, frame.step);
        keep_pace(sender);
        if (!send_frame(sender, fd, &frame))
            break;
    }
    if (fd >= 0)
        (void)close(fd);
    must(pthread_mutex_lock(&sending->lock) == 0);
    sender->done = true;
    must(pthread_cond_broadcast(&sending->moved) == 0);
    must(pthread_mutex_unlock(&sending->lock) == 0);
    return NULL;
}

int sending_run(struct sending *sending, char *const *paths, size_t count,
                struct diagnosis *why)
{
    int error = 0;
    sending->senders = calloc(count, sizeof *sending->senders);
    if (sending->senders == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    must(pthread_mutex_init(&sending->lock, NULL) == 0);
    must(pthread_cond_init(&sending->moved, NULL) == 0);
    for (size_t i = 0; error == 0 && i < count; i++) {
        struct sender *sender = &sending->senders[i];
        sender->sending = sending;
        sender->step = sending->first_step;
        error = frames_open(paths[i], &sender->frames, why);
    }
    if (error != 0)
        return error;
    sending->sender_count = count;
    sending->started = sender_clock();
    for (size_t i = 0; i < count; i++) {
        struct sender *sender = &sending->senders[i];
        /* Without one thread the others would wait for its steps for ever. */
        must(pthread_create(&sender->thread, NULL, run, sender) == 0);
    }
    for (size_t i = 0; i < count; i++)
        must(pthread_join(sending->senders[i].thread, NULL) == 0);
    return 0;
}

void sending_done(struct sending *sending)
{
    for (size_t i = 0; i < sending->sender_count; i++) {
        frames_close(&sending->senders[i].frames);
        free(sending->senders[i].latencies_ms);
    }
    free(sending->senders);
    (void)pthread_mutex_destroy(&sending->lock);
    (void)pthread_cond_destroy(&sending->moved);
}
