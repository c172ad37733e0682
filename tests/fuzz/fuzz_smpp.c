/*
 * fuzz_smpp.c - bytes of a server that speaks no SMPP, or a little; and a progress that is
 * none.
 *
 * Whatever arrives is split into PDUs that lie within it, ids and receipts end in a NUL, and
 * what is taken for a progress is written as the same bytes.
 */
#include <string.h>

#include "collector/notify/smpp_message.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_pdu(const struct smpp_pdu *pdu)
{
    char id[SMPP_ID_BYTES];
    struct smpp_receipt receipt;
    bool is_receipt = false;

    if (smpp_read_id(pdu->body, id) == 0)
        must(memchr(id, 0, sizeof id) != NULL);
    if (smpp_read_deliver(pdu->body, &is_receipt, &receipt) != 0)
        return;
    must(memchr(receipt.id, 0, sizeof receipt.id) != NULL);
    must(memchr(receipt.words, 0, sizeof receipt.words) != NULL);
    must(!is_receipt || receipt.id[0] != '\0');
    (void)smpp_same_id(receipt.id, id, true);
}

static void read_progress(struct bytes bytes)
{
    struct smpp_progress progress, again;
    struct smpp_receipt receipt = {.id = "1", .state = SMPP_DELIVERED};
    struct buf out = {0}, twice = {0};

    if (smpp_progress_read(bytes, &progress) != 0)
        return;
    smpp_progress_write(&progress, &out);
    must(smpp_progress_read(buf_bytes(&out), &again) == 0);
    smpp_progress_write(&again, &twice);
    must(bytes_equal(buf_bytes(&out), buf_bytes(&twice)));
    (void)smpp_progress_take(&progress, progress.session, &receipt, true);
    buf_done(&out);
    buf_done(&twice);
}

static void split_text(struct bytes bytes)
{
    struct smpp_text text;
    if (smpp_text_split(bytes, &text) == 0) {
        must(text.count >= 1 && text.starts[text.count] <= text.units.size);
        for (size_t i = 0; i < text.count; i++) {
            struct buf part = {0};
            smpp_text_put_part(&text, i, 1, &part);
            must(part.size <= SMPP_TEXT_BYTES);
            buf_done(&part);
        }
    }
    smpp_text_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 0, used;
    struct smpp_pdu pdu;

    while ((used = smpp_next((struct bytes){data + at, size - at}, &pdu)) != 0 &&
           used != SIZE_MAX) {
        must(used >= SMPP_HEADER_BYTES && used <= size - at);
        must(pdu.body.size == used - SMPP_HEADER_BYTES);
        at += used;
        read_pdu(&pdu);
    }
    read_progress((struct bytes){data, size});
    split_text((struct bytes){data, size});
    return 0;
}
