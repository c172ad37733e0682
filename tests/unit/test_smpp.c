/*
 * test_smpp.c - SMPP's bytes, long texts, receipts and what is kept between tries.
 *
 * The vectors were accepted, or sent, by a server of another make (npm smpp 0.5.1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/notify/smpp_message.h"
#include "collector/notify/token.h"
#include "proto/base/error.h"

static struct buf bytes_of_hex(const char *hex)
{
    struct buf out = {0};
    for (; *hex != '\0'; hex += 2) {
        unsigned value;
        assert_int_equal(sscanf(hex, "%2x", &value), 1);
        buf_put_u8(&out, (uint8_t)value);
    }
    return out;
}

static void assert_hex(struct buf *got, const char *hex)
{
    struct buf wanted = bytes_of_hex(hex);
    assert_int_equal(got->size, wanted.size);
    assert_memory_equal(got->data, wanted.data, wanted.size);
    buf_done(&wanted);
    buf_done(got);
}

static void requests_are_the_vectors(void **state)
{
    struct smpp_text text;
    struct buf out = {0}, part = {0};
    (void)state;
    smpp_put_bind(&out, 1,
                  &(struct smpp_bind){.system_id = "ops", .password = "pw", .system_type = ""});
    assert_hex(&out, "0000001c0000000900000000000000016f7073007077000034000000");

    assert_int_equal(smpp_text_split(bytes_of("数据库CPU过高"), &text), 0);
    assert_int_equal(text.count, 1);
    smpp_text_put_part(&text, 0, 0x5a, &part);
    smpp_put_submit(&out, 2,
                    &(struct smpp_submit){.source = {0, 1, "1068"},
                                          .destination = {1, 1, "8613800001111"},
                                          .wants_receipt = true,
                                          .text = buf_bytes(&part)});
    assert_hex(&out,
               "00000042000000040000000000000002000001313036380001013836313338303030303131"
               "313100000000000001000800106570636e5e930043005000558fc79ad8");
    buf_done(&part);
    smpp_text_done(&text);

    smpp_put_plain(&out, SMPP_ENQUIRE_LINK, 0, 7);
    assert_hex(&out, "00000010000000150000000000000007");
    smpp_put_deliver_answer(&out, 9);
    assert_hex(&out, "0000001180000005000000000000000900");
}

static void answers_are_read(void **state)
{
    struct buf bind = bytes_of_hex("000000148000000900000000000000016e706d00");
    struct buf submit = bytes_of_hex("0000001780000004000000000000000230306162313200");
    struct buf refused = bytes_of_hex("00000010800000040000005800000003");
    struct smpp_pdu pdu;
    char id[SMPP_ID_BYTES];
    (void)state;
    assert_int_equal(smpp_next(buf_bytes(&bind), &pdu), 20);
    assert_int_equal(pdu.command, SMPP_BIND_TRANSCEIVER | SMPP_ANSWER);
    assert_int_equal(pdu.sequence, 1);
    assert_int_equal(smpp_next(buf_bytes(&submit), &pdu), 23);
    assert_int_equal(smpp_read_id(pdu.body, id), 0);
    assert_string_equal(id, "00ab12");
    for (size_t size = 0; size < submit.size; size++)
        assert_int_equal(smpp_next((struct bytes){submit.data, size}, &pdu), 0);
    assert_int_equal(smpp_next(buf_bytes(&refused), &pdu), 16);
    assert_int_equal(pdu.status, SMPP_THROTTLED);
    assert_int_equal(smpp_read_id(pdu.body, id), 0); /* a refusal has no body */
    assert_string_equal(id, "");
    assert_true(smpp_status_passes(SMPP_THROTTLED));
    assert_false(smpp_status_passes(0x0E));
    refused.data[3] = 15; /* shorter than a header */
    assert_true(smpp_next(buf_bytes(&refused), &pdu) == SIZE_MAX);
    refused.data[0] = 1; /* 16 MiB */
    assert_true(smpp_next(buf_bytes(&refused), &pdu) == SIZE_MAX);
    buf_done(&bind);
    buf_done(&submit);
    buf_done(&refused);
}

/* A text of `units` of one code point each. */
static struct smpp_text split(const char *character, size_t count)
{
    struct smpp_text text;
    struct buf utf8 = {0};
    for (size_t i = 0; i < count; i++)
        buf_put_text(&utf8, character);
    assert_int_equal(smpp_text_split(buf_bytes(&utf8), &text), 0);
    buf_done(&utf8);
    return text;
}

static void long_texts_are_parts_with_a_header(void **state)
{
    struct smpp_text text = split("高", 70);
    struct buf part = {0};
    (void)state;
    assert_int_equal(text.count, 1);
    smpp_text_done(&text);
    text = split("高", 71);
    assert_int_equal(text.count, 2);
    smpp_text_put_part(&text, 0, 0x5a, &part);
    assert_int_equal(part.size, SMPP_TEXT_BYTES);
    assert_memory_equal(part.data, "\x05\x00\x03\x5a\x02\x01", 6);
    buf_clear(&part);
    smpp_text_put_part(&text, 1, 0x5a, &part);
    assert_int_equal(part.size, 6 + 2 * 4);
    assert_memory_equal(part.data, "\x05\x00\x03\x5a\x02\x02", 6);
    buf_done(&part);
    smpp_text_done(&text);
    text = split("", 0);
    assert_int_equal(text.count, 1);
    smpp_text_done(&text);
    text = split("高", 67 * (SMPP_PARTS_MAX + 3));
    assert_int_equal(text.count, SMPP_PARTS_MAX);
    smpp_text_done(&text);
}

static void a_pair_is_never_split(void **state)
{
    (void)state;
    for (size_t before = 0; before < 4; before++) {
        struct smpp_text text;
        struct buf utf8 = {0};
        for (size_t i = 0; i < before; i++)
            buf_put_text(&utf8, "a");
        for (size_t i = 0; i < 100; i++)
            buf_put_text(&utf8, "𠮷");
        assert_int_equal(smpp_text_split(buf_bytes(&utf8), &text), 0);
        assert_true(text.count > 2);
        for (size_t i = 0; i < text.count; i++) {
            assert_true(text.starts[i + 1] - text.starts[i] <= 2 * SMPP_PART_UNITS);
            assert_true((text.units.data[text.starts[i]] & 0xFC) != 0xDC);
        }
        assert_int_equal(text.starts[text.count], text.units.size);
        smpp_text_done(&text);
        buf_done(&utf8);
    }
}

/* A deliver_sm's body with this text and these optional parameters. */
static bool deliver(uint8_t esm_class, const char *text, const char *parameters,
                    struct smpp_receipt *ret_receipt)
{
    static const char front[] = "\0\1\1"
                                "8613800001111\0\0\1"
                                "1068";
    struct buf body = {0}, more = bytes_of_hex(parameters);
    bool is_receipt = false;
    buf_put(&body, front, sizeof front);
    buf_put_u8(&body, esm_class);
    buf_put(&body, "\0\0\0\0\0\0\0\0", 8);
    buf_put_u8(&body, (uint8_t)strlen(text));
    buf_put_text(&body, text);
    buf_put(&body, more.data, more.size);
    assert_int_equal(smpp_read_deliver(buf_bytes(&body), &is_receipt, ret_receipt), 0);
    buf_done(&body);
    buf_done(&more);
    return is_receipt;
}

static void receipts_are_read(void **state)
{
    struct smpp_receipt receipt;
    (void)state;
    assert_true(deliver(4,
                        "id:43794 sub:001 dlvrd:001 submit date:2611281200 done "
                        "date:2611281200 stat:DELIVRD err:000 text:",
                        "", &receipt));
    assert_string_equal(receipt.id, "43794");
    assert_int_equal(receipt.state, SMPP_DELIVERED);
    assert_true(deliver(4, "id:a1 Stat:undeliv Err:027", "", &receipt));
    assert_int_equal(receipt.state, SMPP_FAILED);
    assert_string_equal(receipt.words, "UNDELIV, error 027");
    /* by optional parameters: receipted_message_id "ab12", message_state 3 */
    assert_true(deliver(0, "", "001e000561623132000427000103", &receipt));
    assert_string_equal(receipt.id, "ab12");
    assert_int_equal(receipt.state, SMPP_FAILED);
    assert_true(deliver(4, "id:1 stat:ACCEPTD", "", &receipt));
    assert_int_equal(receipt.state, SMPP_ON_ITS_WAY);
    assert_false(deliver(0, "id:1 stat:DELIVRD, wrote somebody", "", &receipt));
}

static void ids_are_the_same_in_either_base(void **state)
{
    (void)state;
    assert_true(smpp_same_id("00ab12", "AB12", false));
    assert_false(smpp_same_id("ab12", "43794", false));
    assert_true(smpp_same_id("ab12", "0000043794", true));
    assert_true(smpp_same_id("43794", "AB12", true));
    assert_false(smpp_same_id("ab13", "43794", true));
    assert_false(smpp_same_id("", "", true));
    assert_false(smpp_same_id("0x10", "16", true));
    assert_false(smpp_same_id("id-10", "10", true));
    assert_true(smpp_same_id("id-10", "ID-10", false));
}

static struct smpp_settings settings(void)
{
    return (struct smpp_settings){
        .server = "smsc:2775", .system_id = "op", .phone = "8613800001111", .source = "1068"};
}

static struct bytes written(const struct smpp_progress *progress, struct buf *row)
{
    buf_clear(row);
    smpp_progress_write(progress, row);
    return buf_bytes(row);
}

static void what_was_taken_is_not_sent_again(void **state)
{
    const struct smpp_settings op = settings();
    char text[301];
    struct smpp_message *first, *next;
    struct buf row = {0};
    (void)state;
    memset(text, 'x', 300);
    text[300] = '\0';
    assert_int_equal(smpp_message_new(&op, bytes_of(text), (struct bytes){0}, 7, &first), 0);
    assert_int_equal(first->progress.count, 5);
    first->progress.parts[0].state = SMPP_PART_TAKEN;
    (void)strcpy(first->progress.parts[0].id, "a1");
    first->progress.parts[1].state = SMPP_PART_SENT; /* who knows */
    assert_int_equal(
        smpp_message_new(&op, bytes_of(text), written(&first->progress, &row), 8, &next), 0);
    assert_int_equal(next->progress.reference, 7); /* else the parts would not fit together */
    assert_ptr_equal(smpp_message_find(next, SMPP_PART_WAITING), &next->progress.parts[1]);
    assert_string_equal(next->progress.parts[0].id, "a1");
    smpp_message_free(next);
    text[0] = 'y'; /* another text: nothing of it has been sent */
    assert_int_equal(smpp_message_new(&op, bytes_of(text), buf_bytes(&row), 9, &next), 0);
    assert_int_equal(next->progress.reference, 9);
    assert_ptr_equal(smpp_message_find(next, SMPP_PART_WAITING), &next->progress.parts[0]);
    smpp_message_free(next);
    smpp_message_free(first);
    buf_done(&row);
}

static enum smpp_match take(struct smpp_progress *progress, const char *id,
                            enum smpp_receipt_state said, bool loosely)
{
    struct smpp_receipt receipt = {.state = said};
    (void)strcpy(receipt.id, id);
    return smpp_progress_take(progress, 1, &receipt, loosely);
}

static void it_is_delivered_when_all_its_parts_are(void **state)
{
    struct smpp_progress progress = {.session = 1, .count = 2}, back;
    struct buf row = {0};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        progress.parts[i].state = SMPP_PART_TAKEN;
        (void)snprintf(progress.parts[i].id, SMPP_ID_BYTES, "ab1%zu", i);
    }
    assert_int_equal(take(&progress, "43792", SMPP_DELIVERED, false), SMPP_MATCH_NONE);
    assert_int_equal(take(&progress, "43792", SMPP_ON_ITS_WAY, true), SMPP_MATCH_PART);
    assert_int_equal(take(&progress, "43792", SMPP_DELIVERED, true), SMPP_MATCH_PART);
    assert_int_equal(take(&progress, "43792", SMPP_DELIVERED, true), SMPP_MATCH_PART);
    assert_int_equal(smpp_progress_read(written(&progress, &row), &back), 0);
    assert_int_equal(take(&back, "ab11", SMPP_DELIVERED, false), SMPP_MATCH_DELIVERED);
    assert_int_equal(take(&progress, "ab11", SMPP_FAILED, false), SMPP_MATCH_FAILED);
    progress.session = 2; /* another carrier's ids are its own */
    assert_int_equal(take(&progress, "ab11", SMPP_DELIVERED, false), SMPP_MATCH_NONE);
    for (size_t size = 0; size < row.size; size++)
        assert_int_equal(smpp_progress_read((struct bytes){row.data, size}, &back),
                         ERR_CORRUPT);
    buf_done(&row);
}

static void tokens_end_are_forgotten_and_replaced(void **state)
{
    struct tokens tokens = {0};
    const struct bytes a = bytes_of("a"), b = bytes_of("b");
    (void)state;
    assert_null(tokens_find(&tokens, a, 0));
    assert_int_equal(tokens_keep(&tokens, a, "one", 1000, 0), 0);
    assert_int_equal(tokens_keep(&tokens, b, "two", 1000, 0), 0);
    assert_string_equal(tokens_find(&tokens, a, 0), "one");
    assert_null(tokens_find(&tokens, a, (mono_ns)1000 * NS_PER_MS));
    assert_int_equal(tokens_keep(&tokens, a, "three", 1000, 0), 0);
    tokens_forget(&tokens, a, "one"); /* it was renewed meanwhile */
    assert_string_equal(tokens_find(&tokens, a, 0), "three");
    tokens_forget(&tokens, a, "three");
    assert_null(tokens_find(&tokens, a, 0));
    assert_string_equal(tokens_find(&tokens, b, 0), "two");
    for (int i = 0; i < 2 * TOKENS_MAX; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(tokens_keep(&tokens, bytes_of(key), "x", 1000, 0), 0);
    }
    assert_int_equal(tokens.count, TOKENS_MAX);
    assert_null(tokens_find(&tokens, b, 0));
    tokens_done(&tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_the_vectors),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(long_texts_are_parts_with_a_header),
        cmocka_unit_test(a_pair_is_never_split),
        cmocka_unit_test(receipts_are_read),
        cmocka_unit_test(ids_are_the_same_in_either_base),
        cmocka_unit_test(what_was_taken_is_not_sent_again),
        cmocka_unit_test(it_is_delivered_when_all_its_parts_are),
        cmocka_unit_test(tokens_end_are_forgotten_and_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
