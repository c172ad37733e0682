/*
 * flush.c - see flush.h.
 */
#include "collector/notify/flush.h"

#include <stdlib.h>

#include "proto/base/error.h"

#define FLUSH_ARENA_BYTES ((size_t)64 << 20)

_Static_assert(DEDUP_THREAD_BYTES == MESSAGE_ID_BYTES, "a thread is named by a message's id");

/* Firing first, then by labels, so that a group reads the same every time. */
static int compare_alerts(const void *left, const void *right)
{
    const struct alert *a = left, *b = right;
    if (a->firing != b->firing)
        return a->firing ? -1 : 1;
    return labels_compare(a->labels, b->labels);
}

/* The pairs that all alerts have in common. */
static int common_pairs(const struct alert *alerts, size_t count, bool annotations,
                        struct arena *arena, const struct labels **ret_common)
{
    const struct labels *first = annotations ? alerts[0].annotations : alerts[0].labels;
    struct label *pairs = arena_alloc(arena, first->count + 1, sizeof *pairs);
    size_t kept = 0;

    if (pairs == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < first->count; i++) {
        bool shared = true;
        for (size_t j = 1; shared && j < count; j++) {
            const struct labels *other = annotations ? alerts[j].annotations : alerts[j].labels;
            shared =
                bytes_equal(labels_get(other, first->pairs[i].name), first->pairs[i].value);
        }
        if (shared)
            pairs[kept++] = first->pairs[i];
    }
    return labels_build(pairs, kept, arena, ret_common);
}

/* A flush on its way: the group as it is, and what one integration gets of it. */
struct gathered {
    struct alert *alerts; /* what is told: firing first */
    size_t count, firing_count;
    struct dedup_sight sight;
};

static uint64_t *room(const struct group *group, struct arena *arena)
{
    return arena_alloc(arena, group->member_count + 1, sizeof(uint64_t));
}

static void add(struct fingerprints *set, const struct alert *alert)
{
    set->items[set->count++] = alert->fingerprint;
}

/* One member into the sets and, if it is to be told, among the alerts.  What fires and is
 * muted is not; what has ended and is muted is told to those who were told it fires. */
static int gather_member(struct tracked *member, const struct mutes *mutes, bool out_of_time,
                         const struct dedup_record *record, int64_t now_ms,
                         struct gathered *all)
{
    const struct alert *alert = member->alert;
    const bool is_open = alert_is_open(alert, now_ms);
    bool muted = false;
    int error = mutes_look(mutes, member, now_ms, &muted);

    if (error != 0)
        return error;
    muted = muted || out_of_time;
    if (is_open && muted) {
        add(&all->sight.muted, alert);
        return 0;
    }
    /* What has ended and may come back is no news by itself. */
    if (!alert->firing && (muted || is_open) && !dedup_owes_end(record, alert->fingerprint))
        return 0;
    add(is_open ? &all->sight.firing : &all->sight.ended, alert);
    if (is_open && member->acknowledgement != NULL)
        add(&all->sight.acknowledged, alert);
    if (is_open && alert->note == ALERT_NOTE_FLAPPING)
        add(&all->sight.flapping, alert);
    all->alerts[all->count] = *alert;
    if (is_open) {
        all->alerts[all->count].firing = true;
        all->alerts[all->count].ends_ms = 0; /* told as open, also where a timeout is known */
    }
    all->count++;
    return 0;
}

static int gather(const struct group *group, const struct mutes *mutes,
                  const struct dedup_record *record, int64_t now_ms, struct arena *arena,
                  struct gathered *ret_all)
{
    const char *names[ROUTE_INTERVALS_MAX];
    const bool out_of_time = mute_by_time(group->route, now_ms, names) > 0;
    struct gathered all = {0};
    int error = 0;

    all.alerts = arena_alloc(arena, group->member_count + 1, sizeof *all.alerts);
    all.sight.firing.items = room(group, arena);
    all.sight.muted.items = room(group, arena);
    all.sight.ended.items = room(group, arena);
    all.sight.acknowledged.items = room(group, arena);
    all.sight.flapping.items = room(group, arena);
    if (all.alerts == NULL || all.sight.firing.items == NULL || all.sight.muted.items == NULL ||
        all.sight.ended.items == NULL || all.sight.acknowledged.items == NULL || all.sight.flapping.items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < group->member_count; i++)
        error = gather_member(group->members[i], mutes, out_of_time, record, now_ms, &all);
    if (error != 0)
        return error;
    all.firing_count = all.sight.firing.count;
    fingerprints_sort(&all.sight.firing);
    fingerprints_sort(&all.sight.muted);
    fingerprints_sort(&all.sight.ended);
    fingerprints_sort(&all.sight.acknowledged);
    fingerprints_sort(&all.sight.flapping);
    if (all.count > 1)
        qsort(all.alerts, all.count, sizeof *all.alerts, compare_alerts);
    *ret_all = all;
    return 0;
}

static int compose(const struct group *group, const struct integration *integration,
                   const struct gathered *all, size_t shown, const struct flush_frame *frame,
                   int64_t now_ms, struct arena *arena, uint64_t *template_errors,
                   struct parcel *parcel)
{
    struct buf body = {0};
    struct message message = {.id = parcel->id,
                              .receiver = group->receiver->name,
                              .group_key = group->key,
                              .group_labels = group->labels,
                              .external_url = frame->external_url,
                              .incident = frame->incident,
                              .acknowledge_url = frame->acknowledge_url,
                              .alerts = all->alerts,
                              .alert_count = shown,
                              .firing_count = all->firing_count,
                              .reply_to = frame->reply_to,
                              .passed = frame->passed,
                              .is_english = group->receiver->is_english,
                              .now_ms = now_ms,
                              .templates = group->receiver->templates,
                              .template_errors = template_errors};
    int error = common_pairs(all->alerts, shown, false, arena, &message.common_labels);
    if (error == 0)
        error = common_pairs(all->alerts, shown, true, arena, &message.common_annotations);
    if (error == 0)
        error = integration->channel->compose(integration->settings, &message, &body);
    if (error != 0) {
        buf_done(&body);
        return error;
    }
    parcel->body = body.data;
    parcel->body_size = body.size;
    return 0;
}

static int make_parcel(const struct group *group, const struct receiver *receiver,
                       const struct integration *integration, const struct gathered *all,
                       const struct flush_frame *frame, int64_t now_ms, mono_ns now,
                       struct arena *arena, uint64_t *template_errors,
                       struct parcel **ret_parcel)
{
    size_t shown = frame->tells_ended ? all->count : all->firing_count;
    struct parcel *parcel = NULL;
    int error;

    if (shown == 0) /* an end that is not to be told counts as said */
        return 0;
    error = parcel_new(receiver->name, integration->channel->name, integration->index,
                       group->key, now_ms, &parcel);
    if (error != 0)
        return error;
    parcel_make_id(now_ms, parcel->id);
    parcel->next_try = now;
    parcel->tells_end = shown > all->firing_count;
    error = fingerprints_copy(&all->sight.firing, &parcel->firing);
    if (error == 0 && frame->tells_ended)
        error = fingerprints_copy(&all->sight.ended, &parcel->ended);
    if (error == 0)
        error = compose(group, integration, all, shown, frame, now_ms, arena, template_errors,
                        parcel);
    if (error != 0) {
        parcel_free(parcel);
        return error;
    }
    *ret_parcel = parcel;
    return 0;
}

static int plan_integration(const struct group *group, size_t index,
                            const struct flush_scene *scene, const struct gathered *all,
                            struct arena *arena, struct flush *flush)
{
    const struct integration *integration = &group->receiver->integrations[index];
    struct flush_record *planned = &flush->records[index];
    const struct dedup_record *record = &group->records[index];
    const bool begins = dedup_begins(record);
    enum dedup_verdict verdict =
        dedup_decide(record, &all->sight, integration->send_resolved,
                     group->route->repeat_interval_ms, scene->now_ms);
    struct flush_frame frame = {.external_url = scene->external_url,
                                      .reply_to = begins ? NULL : record->thread,
                                      .tells_ended = integration->send_resolved};
    const bool escalates = integration->channel == &channel_escalation;
    int error = 0;

    /* An incident has its own way to insist. */
    if (verdict == DEDUP_REPEAT && escalates)
        verdict = DEDUP_SILENT;
    planned->verdict = verdict;
    /* A reminder adds nothing while what it would repeat has not even arrived. */
    if (verdict == DEDUP_REPEAT &&
        outbox_owes(scene->outbox, parcel_lane(group->receiver->name, integration->channel->name,
                                        integration->index, group->key)))
        verdict = DEDUP_SILENT;
    if (verdict != DEDUP_SILENT && !escalates) {
        frame.passed =
            passed_claim(scene->passed, group->receiver->name, integration, group);
        error = make_parcel(group, group->receiver, integration, all, &frame, scene->now_ms,
                            scene->now, arena, &flush->template_errors, &planned->parcel);
        planned->tells_passed = frame.passed != NULL && planned->parcel != NULL;
    }
    if (error == 0)
        error = dedup_next(record, &all->sight, verdict, scene->now_ms, &planned->record,
                           &planned->replaces);
    if (error == 0 && begins && planned->replaces && planned->parcel != NULL)
        memcpy(planned->record.thread, planned->parcel->id, sizeof planned->record.thread);
    flush->changes = flush->changes || planned->replaces;
    return error;
}

int flush_compose(const struct group *group, const struct mutes *mutes,
                  const struct dedup_record *record, const struct receiver *receiver,
                  const struct integration *integration, const struct flush_frame *frame,
                  int64_t now_ms, mono_ns now, struct parcel **ret_parcel)
{
    struct gathered all;
    struct arena arena;
    int error;

    *ret_parcel = NULL;
    arena_init(&arena, FLUSH_ARENA_BYTES);
    error = gather(group, mutes, record, now_ms, &arena, &all);
    if (error == 0)
        error = make_parcel(group, receiver, integration, &all, frame, now_ms, now, &arena, NULL,
                            ret_parcel);
    arena_reset(&arena);
    return error;
}

int flush_plan(struct group *group, const struct flush_scene *scene, struct flush **ret_flush)
{
    struct flush *flush = calloc(1, sizeof *flush);
    struct arena arena;
    int error;

    if (flush == NULL)
        return ERR_NOMEM;
    flush->group = group;
    flush->now_ms = scene->now_ms;
    flush->records = calloc(group->receiver->integration_count + 1, sizeof *flush->records);
    arena_init(&arena, FLUSH_ARENA_BYTES);
    error = flush->records == NULL ? ERR_NOMEM : 0;
    for (size_t i = 0; error == 0 && i < group->receiver->integration_count; i++) {
        struct gathered all;
        error = gather(group, scene->mutes, &group->records[i], scene->now_ms, &arena, &all);
        if (error == 0)
            error = plan_integration(group, i, scene, &all, &arena, flush);
        arena_reset(&arena);
    }
    for (size_t i = 0; i < group->member_count; i++)
        flush->drops_ended =
            flush->drops_ended || !alert_is_open(group->members[i]->alert, scene->now_ms);
    flush->changes = flush->changes || flush->drops_ended || !group->flushed;
    if (error != 0) {
        flush_free(flush);
        return error;
    }
    *ret_flush = flush;
    return 0;
}

size_t flush_bytes(const struct flush *flush)
{
    size_t bytes = 0;
    for (size_t i = 0; i < flush->group->receiver->integration_count; i++)
        if (flush->records[i].parcel != NULL)
            bytes += flush->records[i].parcel->body_size;
    return bytes;
}

/* Puts the planned records in the group's place, or back. */
static void exchange_records(struct flush *flush)
{
    struct group *group = flush->group;
    for (size_t i = 0; i < group->receiver->integration_count; i++) {
        struct dedup_record old = group->records[i];
        if (!flush->records[i].replaces)
            continue;
        group->records[i] = flush->records[i].record;
        flush->records[i].record = old;
    }
}

mono_ns flush_next(const struct flush *flush, mono_ns now)
{
    const struct group *group = flush->group;
    int64_t wait_ms = group->route->group_interval_ms;
    for (size_t i = 0; i < group->member_count; i++) {
        const struct alert *alert = group->members[i]->alert;
        const int64_t held_ms = alert->hold_until_ms - flush->now_ms;
        if (!alert->firing && held_ms > 0 && held_ms < wait_ms)
            wait_ms = held_ms;
    }
    return now + (mono_ns)wait_ms * NS_PER_MS;
}

void flush_write_row(struct flush *flush, int64_t now_ms, mono_ns now, struct buf *out)
{
    struct group *group = flush->group;
    const mono_ns due = group->due;
    const bool flushed = group->flushed;
    size_t open = 0;

    for (size_t i = 0; i < group->member_count; i++)
        open += alert_is_open(group->members[i]->alert, flush->now_ms);
    if (open == 0)
        return;
    exchange_records(flush);
    group->flushed = true;
    group->due = flush_next(flush, now);
    group_write(group, now_ms, now, out);
    group->flushed = flushed;
    group->due = due;
    exchange_records(flush);
}

void flush_apply(struct groups *groups, struct outbox *outbox, struct flush *flush)
{
    struct group *group = flush->group;
    for (size_t i = 0; i < group->receiver->integration_count; i++) {
        struct flush_record *planned = &flush->records[i];
        if (planned->replaces) {
            dedup_record_done(&group->records[i]);
            group->records[i] = planned->record;
            planned->record = (struct dedup_record){0};
        }
        if (planned->parcel != NULL)
            outbox_put(outbox, planned->parcel);
        planned->parcel = NULL;
    }
    group->flushed = true;
    if (group_drop_ended(groups, group, flush->now_ms) == 0)
        groups_remove(groups, group);
    flush->group = NULL;
}

void flush_free(struct flush *flush)
{
    if (flush == NULL)
        return;
    /* After flush_apply() the group may be gone; its records and parcels were moved out. */
    for (size_t i = 0; flush->group != NULL && flush->records != NULL &&
                       i < flush->group->receiver->integration_count;
         i++) {
        dedup_record_done(&flush->records[i].record);
        parcel_free(flush->records[i].parcel);
    }
    free(flush->records);
    free(flush);
}
