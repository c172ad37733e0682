/*
 * sender_metadata.c - types, units and helps, told apart from samples as 1.0 has it.
 *
 * Nobody waits for it and nothing is lost with it: what fails is told again an interval later.
 * With 2.0 the copy is taken all the same, for what goes with each series.
 */
#include "collector/remote/sender_parts.h"
#include "proto/base/must.h"

static void send_next(struct sender *sender, mono_ns now)
{
    struct request *request = &sender->metadata_request;
    const size_t first = sender->metadata_next;
    if (first >= sender->metadata.count)
        return;
    buf_clear(&request->body);
    if (encode_metadata(&sender->encoder, &sender->metadata, first,
                        (size_t)sender->settings.metadata_per_send, &sender->metadata_next,
                        &request->body) == 0)
        sender_request_start(request, now);
}

void sender_tell_metadata(struct sender *sender, mono_ns now)
{
    if (sender->metadata_request.state != REQUEST_NONE)
        return;
    if (now >= sender->metadata_at) {
        sender->metadata_at =
            now + (mono_ns)sender->settings.metadata_interval_ms * NS_PER_MS;
        sender->metadata_next = 0;
        (void)metadata_copy_take(&sender->metadata, sender->store); /* empty where it fails */
    }
    if (sender->settings.sends_metadata && !sender->speaks_v2)
        send_next(sender, now);
}

void sender_metadata_ended(struct sender *sender, bool accepted)
{
    if (!accepted) {
        sender->metadata_next = sender->metadata.count;
        return;
    }
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->status.metadata_sent++;
    must(pthread_mutex_unlock(&sender->lock) == 0);
}
