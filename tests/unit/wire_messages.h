/*
 * wire_messages.h - one message of every kind, all fields set.
 *
 * Include after cmocka.h (or a stand-in for its asserts).
 */
#pragma once

#include <stdlib.h>

#include "proto/wire/columns.h"
#include "proto/wire/envelope.h"
#include "proto/wire/record.h"
#include "tests/unit/wire_samples.h"

enum message {
    MESSAGE_HELLO,
    MESSAGE_RESUME,
    MESSAGE_DEFINITIONS,
    MESSAGE_DEFINITIONS_PACKED,
    MESSAGE_BATCHES,
    MESSAGE_GAP,
    MESSAGE_ACK,
    MESSAGE_POLICY,
    MESSAGE_PING,
    MESSAGE_PONG,
    MESSAGE_NEED_KEY,
    MESSAGE_REFUSAL,
    MESSAGE_COUNT
};

static const char *const message_names[MESSAGE_COUNT] = {
    "hello", "resume", "definitions", "definitions-packed", "batches",  "gap",
    "ack",   "policy", "ping",        "pong",               "need_key", "refusal",
};

static const struct label message_labels[] = {{TEXT("site"), TEXT("unicom")},
                                              {TEXT("zone"), TEXT("gov\0x")}};
static const struct stream_offer message_offers[] = {{UINT64_C(0xFFFFFFFFFFFFFFFF), 1, 5, 9},
                                                     {2, 700, 701, REFS_MAX}};
static const struct number_range message_ranges[] = {{12, 12}, {14, 20}};
static const struct stream_state message_states[] = {
    {UINT64_C(0xFFFFFFFFFFFFFFFF), 10, message_ranges, 2, 9, false},
    {2, 0, NULL, 0, 0, true},
};
static const struct definition message_definitions[] = {
    {TEXT("node_cpu_seconds_total"), message_labels, 2, METRIC_COUNTER, TEXT("seconds"),
     TEXT("Seconds the CPUs spent in each mode.")},
    {TEXT("node_load1"), NULL, 0, METRIC_GAUGE, {0}, TEXT("\xE8\xB4\x9F\xE8\xBD\xBD")},
    {TEXT("up"), NULL, 0, METRIC_UNTYPED, {0}, {0}},
};
#define MANY(name)                                                                             \
    {                                                                                          \
        TEXT(name), message_labels, 2, METRIC_COUNTER, TEXT("bytes"),                          \
            TEXT("Bytes that went through the interface, " name)                               \
    }
static const struct definition message_many[] = {
    MANY("node_network_receive_bytes_total"),  MANY("node_network_transmit_bytes_total"),
    MANY("node_network_receive_errs_total"),   MANY("node_network_transmit_errs_total"),
    MANY("node_network_receive_packets_total"),
};

/* Two batches, the second based on the first. */
static inline struct batch_group message_group(struct arena *arena)
{
    struct coded_batch *items = arena_alloc(arena, 2, sizeof *items);
    double *values = arena_alloc(arena, 14, sizeof *values);
    struct plain_batch first = sample_batch();
    if (items == NULL || values == NULL ||
        batch_code(&first, 41, NULL, 0, arena, &items[0]) != 0)
        abort();
    memcpy(values, first.samples.values, 14 * sizeof *values);
    values[0] = 17;
    values[9] += 0.002;
    values[12] = -values[12];
    values[13] = 0.35;
    struct plain_batch second = {
        .tick_ms = first.tick_ms + 5000,
        .definition_count = first.definition_count,
        .samples = {sample_refs, values, 14},
    };
    if (batch_code(&second, 42, &first.samples, 41, arena, &items[1]) != 0)
        abort();
    return (struct batch_group){
        .epoch = UINT64_C(0x0123456789ABCDEF), .items = items, .count = 2};
}

static inline struct envelope sample_message(size_t message, struct arena *arena)
{
    switch (message) {
    case MESSAGE_HELLO:
        return (struct envelope){.kind = ENVELOPE_HELLO,
                                 .hello = {WIRE_PROTOCOL, TEXT("fengsui-probe 0.1.0"),
                                           TEXT("0123456789\0bcdef"), TEXT("node"),
                                           TEXT("db\0evil"), TEXT("token"), message_labels, 2,
                                           1700000000001, 5000, message_offers, 2,
                                           1700000000000}};
    case MESSAGE_RESUME:
        return (struct envelope){.kind = ENVELOPE_RESUME,
                                 .resume = {STANDING_APPROVED, 1700000000002, 1 << 20,
                                            message_states, 2, TEXT("node"), TEXT("db1"),
                                            message_labels, 2,
                                            ACCEPTS_PACKED_DEFINITIONS}};
    case MESSAGE_DEFINITIONS:
        return (struct envelope){.kind = ENVELOPE_DEFINITIONS,
                                 .definitions = {2, 100, message_definitions, 3, false}};
    case MESSAGE_DEFINITIONS_PACKED:
        return (struct envelope){.kind = ENVELOPE_DEFINITIONS,
                                 .definitions = {2, 103, message_many, 5, true}};
    case MESSAGE_BATCHES:
        return (struct envelope){.kind = ENVELOPE_BATCHES, .batches = message_group(arena)};
    case MESSAGE_GAP:
        return (struct envelope){
            .kind = ENVELOPE_GAP,
            .gap = {2, {3, 9}, 1700000000000, 1700000030000, TEXT("spool_full")}};
    case MESSAGE_ACK:
        return (struct envelope){.kind = ENVELOPE_ACK, .ack = {message_states[0], 65536}};
    case MESSAGE_POLICY:
        return (struct envelope){.kind = ENVELOPE_POLICY,
                                 .policy = {3, TEXT("sources:\n  cpu: {interval: 1s}\n")}};
    case MESSAGE_PING:
        return (struct envelope){.kind = ENVELOPE_PING, .ping = {99, 1700000000003}};
    case MESSAGE_PONG:
        return (struct envelope){.kind = ENVELOPE_PONG,
                                 .pong = {99, 1700000000003, 1700000000004, -5}};
    case MESSAGE_NEED_KEY:
        return (struct envelope){.kind = ENVELOPE_NEED_KEY, .need_key = {2, 43, 90}};
    case MESSAGE_REFUSAL:
    default:
        return (struct envelope){
            .kind = ENVELOPE_REFUSAL,
            .refusal = {REFUSAL_DUPLICATE_CONNECTION, TEXT("connected since 10:00")}};
    }
}
