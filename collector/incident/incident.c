/*
 * incident.c - see incident.h.
 */
#include "collector/incident/incident.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

#define ROW_VERSION   1
#define EVENT_VERSION 1

int incident_new(uint64_t number, const char *receiver, const char *group_key,
                 const char *escalation, const char *title, int64_t now_ms,
                 struct incident **ret_incident)
{
    struct incident *incident = calloc(1, sizeof *incident);

    if (incident == NULL)
        return ERR_NOMEM;
    incident->number = number;
    incident->state = INCIDENT_OPEN;
    incident->receiver = strdup(receiver);
    incident->group_key = strdup(group_key);
    incident->escalation = strdup(escalation);
    incident->title = strdup(title);
    incident->opened_ms = incident->changed_ms = now_ms;
    if (incident->receiver == NULL || incident->group_key == NULL ||
        incident->escalation == NULL || incident->title == NULL) {
        incident_free(incident);
        return ERR_NOMEM;
    }
    *ret_incident = incident;
    return 0;
}

int incident_copy(const struct incident *incident, struct incident **ret_copy)
{
    struct incident *copy;
    int error = incident_new(incident->number, incident->receiver, incident->group_key,
                             incident->escalation, incident->title, 0, &copy);
    if (error != 0)
        return error;
    copy->state = incident->state;
    copy->muted = incident->muted;
    copy->opened_ms = incident->opened_ms;
    copy->changed_ms = incident->changed_ms;
    copy->closed_ms = incident->closed_ms;
    copy->due_ms = incident->due_ms;
    copy->step = incident->step;
    copy->serial = incident->serial;
    copy->events = incident->events;
    for (size_t i = 0; error == 0 && i < incident->told_count; i++) {
        const struct incident_told *told = &incident->told[i];
        error = incident_tell(copy, told->person, told->way, told->at_ms, told->step);
    }
    if (error != 0) {
        incident_free(copy);
        return error;
    }
    *ret_copy = copy;
    return 0;
}

void incident_free(struct incident *incident)
{
    if (incident == NULL)
        return;
    for (size_t i = 0; i < incident->told_count; i++)
        free(incident->told[i].person);
    free(incident->told);
    free(incident->receiver);
    free(incident->group_key);
    free(incident->escalation);
    free(incident->title);
    free(incident);
}

int incident_tell(struct incident *incident, const char *person, uint32_t way, int64_t now_ms,
                  uint32_t step)
{
    struct incident_told *longer;
    char *copy;

    for (size_t i = 0; i < incident->told_count; i++)
        if (incident->told[i].way == way && strcmp(incident->told[i].person, person) == 0)
            return 0;
    if (incident->told_count >= INCIDENT_TOLD_MAX)
        return ERR_LIMIT;
    longer = realloc(incident->told, (incident->told_count + 1) * sizeof *longer);
    if (longer == NULL)
        return ERR_NOMEM;
    incident->told = longer;
    copy = strdup(person);
    if (copy == NULL)
        return ERR_NOMEM;
    longer[incident->told_count++] = (struct incident_told){copy, way, now_ms, step};
    return 0;
}

size_t incident_told_persons(const struct incident *incident, const struct duty *duty,
                             const struct duty_person **ret_persons)
{
    size_t count = 0;
    for (size_t i = 0; i < incident->told_count; i++) {
        const struct duty_person *person = duty_person(duty, incident->told[i].person);
        size_t j = 0;
        while (j < count && ret_persons[j] != person)
            j++;
        if (person != NULL && j == count)
            ret_persons[count++] = person;
    }
    return count;
}

/* ---- steps ------------------------------------------------------------------------------- */

static size_t round_steps(const struct duty_escalation *escalation)
{
    return escalation->step_count - escalation->repeat_from;
}

const struct duty_step *incident_step(const struct duty_escalation *escalation, uint32_t step)
{
    if (escalation->step_count == 0)
        return NULL;
    if (step < escalation->step_count)
        return &escalation->steps[step];
    return &escalation->steps[escalation->repeat_from +
                              (step - escalation->step_count) % round_steps(escalation)];
}

int64_t incident_wait_ms(const struct duty_escalation *escalation, uint32_t step)
{
    const bool begins_round = step >= escalation->step_count &&
                              (step - escalation->step_count) % round_steps(escalation) == 0;
    return begins_round ? escalation->repeat_ms : incident_step(escalation, step)->wait_ms;
}

void incident_begin_steps(struct incident *incident, const struct duty_escalation *escalation,
                          int64_t now_ms)
{
    incident->step = 0;
    incident->due_ms =
        escalation->step_count == 0 ? 0 : now_ms + incident_wait_ms(escalation, 0);
}

void incident_next_step(struct incident *incident, const struct duty_escalation *escalation,
                        int64_t now_ms, bool at_once)
{
    const bool is_late =
        now_ms - incident->due_ms > INCIDENT_LATE_MS || now_ms < incident->due_ms;
    const int64_t base = is_late ? now_ms : incident->due_ms;
    int64_t wait_ms;

    incident->step++;
    wait_ms = incident_wait_ms(escalation, incident->step);
    if (at_once && incident->step < escalation->step_count)
        wait_ms = 0;
    incident->due_ms = base + wait_ms;
}

/* ---- rows -------------------------------------------------------------------------------- */

void incident_write(const struct incident *incident, struct buf *out)
{
    buf_put_u8(out, ROW_VERSION);
    buf_put_u8(out, (uint8_t)incident->state);
    buf_put_u8(out, incident->muted);
    buf_put_sized(out, bytes_of(incident->receiver));
    buf_put_sized(out, bytes_of(incident->group_key));
    buf_put_sized(out, bytes_of(incident->escalation));
    buf_put_sized(out, bytes_of(incident->title));
    buf_put_zigzag(out, incident->opened_ms);
    buf_put_zigzag(out, incident->changed_ms);
    buf_put_zigzag(out, incident->closed_ms);
    buf_put_zigzag(out, incident->due_ms);
    buf_put_varint(out, incident->step);
    buf_put_varint(out, incident->serial);
    buf_put_varint(out, incident->events);
    buf_put_varint(out, incident->told_count);
    for (size_t i = 0; i < incident->told_count; i++) {
        buf_put_sized(out, bytes_of(incident->told[i].person));
        buf_put_varint(out, incident->told[i].way);
        buf_put_zigzag(out, incident->told[i].at_ms);
        buf_put_varint(out, incident->told[i].step);
    }
}

static int read_told(struct reader *reader, struct incident *incident)
{
    const uint64_t count = reader_varint(reader);
    int error = 0;

    if (reader->failed || count > INCIDENT_TOLD_MAX)
        return ERR_CORRUPT;
    for (uint64_t i = 0; error == 0 && i < count; i++) {
        char *person = bytes_copy_text(reader_sized(reader));
        const uint32_t way = (uint32_t)reader_varint(reader);
        const int64_t at_ms = reader_zigzag(reader);
        const uint32_t step = (uint32_t)reader_varint(reader);
        if (person == NULL || reader->failed)
            error = person == NULL ? ERR_NOMEM : ERR_CORRUPT;
        else
            error = incident_tell(incident, person, way, at_ms, step);
        free(person);
    }
    return error;
}

int incident_read(uint64_t number, struct bytes row, struct incident **ret_incident)
{
    struct reader reader = reader_of(row);
    const uint8_t version = reader_u8(&reader), state = reader_u8(&reader);
    struct incident *incident = calloc(1, sizeof *incident);
    int error = 0;

    if (incident == NULL)
        return ERR_NOMEM;
    incident->number = number;
    incident->state = (enum incident_state)state;
    incident->muted = reader_u8(&reader) != 0;
    incident->receiver = bytes_copy_text(reader_sized(&reader));
    incident->group_key = bytes_copy_text(reader_sized(&reader));
    incident->escalation = bytes_copy_text(reader_sized(&reader));
    incident->title = bytes_copy_text(reader_sized(&reader));
    incident->opened_ms = reader_zigzag(&reader);
    incident->changed_ms = reader_zigzag(&reader);
    incident->closed_ms = reader_zigzag(&reader);
    incident->due_ms = reader_zigzag(&reader);
    incident->step = (uint32_t)reader_varint(&reader);
    incident->serial = (uint32_t)reader_varint(&reader);
    incident->events = (uint32_t)reader_varint(&reader);
    if (reader.failed || version != ROW_VERSION || state < INCIDENT_OPEN ||
        state > INCIDENT_CLOSED)
        error = ERR_CORRUPT;
    else if (incident->receiver == NULL || incident->group_key == NULL ||
             incident->escalation == NULL || incident->title == NULL)
        error = ERR_NOMEM;
    if (error == 0)
        error = read_told(&reader, incident);
    if (error == 0 && (reader.failed || reader_left(&reader) != 0))
        error = ERR_CORRUPT;
    if (error != 0) {
        incident_free(incident);
        return error;
    }
    *ret_incident = incident;
    return 0;
}

void incident_event_write(const struct incident_event *event, struct buf *out)
{
    buf_put_u8(out, EVENT_VERSION);
    buf_put_u8(out, (uint8_t)event->kind);
    buf_put_zigzag(out, event->at_ms);
    buf_put_varint(out, event->step);
    buf_put_sized(out, bytes_of(event->person));
    buf_put_sized(out, bytes_of(event->channel));
    buf_put_sized(out, bytes_of(event->message));
    buf_put_sized(out, bytes_of(event->text));
}

static const char *keep(struct arena *arena, struct bytes bytes)
{
    char *text = arena_alloc(arena, bytes.size + 1, 1);
    if (text == NULL)
        return NULL;
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return text;
}

int incident_event_read(struct bytes row, struct arena *arena, struct incident_event *ret_event)
{
    struct reader reader = reader_of(row);
    const uint8_t version = reader_u8(&reader), kind = reader_u8(&reader);
    struct incident_event event = {.kind = (enum incident_event_kind)kind};

    event.at_ms = reader_zigzag(&reader);
    event.step = (uint32_t)reader_varint(&reader);
    event.person = keep(arena, reader_sized(&reader));
    event.channel = keep(arena, reader_sized(&reader));
    event.message = keep(arena, reader_sized(&reader));
    event.text = keep(arena, reader_sized(&reader));
    if (reader.failed || reader_left(&reader) != 0 || version != EVENT_VERSION ||
        kind < INCIDENT_OPENED || kind > INCIDENT_UNMUTED)
        return ERR_CORRUPT;
    if (event.person == NULL || event.channel == NULL || event.message == NULL ||
        event.text == NULL)
        return ERR_NOMEM;
    *ret_event = event;
    return 0;
}

const char *incident_state_text(enum incident_state state)
{
    switch (state) {
    case INCIDENT_OPEN:
        return "open";
    case INCIDENT_ACKNOWLEDGED:
        return "acknowledged";
    case INCIDENT_CLOSED:
        return "closed";
    }
    return "unknown";
}

const char *incident_event_text(enum incident_event_kind kind)
{
    static const char *const texts[] = {
        [INCIDENT_OPENED] = "opened", [INCIDENT_STEP] = "step",
        [INCIDENT_TOLD] = "told",     [INCIDENT_NOBODY] = "nobody",
        [INCIDENT_ACK] = "acknowledged", [INCIDENT_UNACK] = "reopened",
        [INCIDENT_FALLBACK] = "fallback", [INCIDENT_NEWS] = "news",
        [INCIDENT_END] = "closed",    [INCIDENT_MUTED] = "muted",
        [INCIDENT_UNMUTED] = "unmuted"};
    return texts[kind];
}
