/* transfer.c - see transfer.h. */
#include "collector/ctl/transfer.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "collector/ctl/client_parts.h"
#include "proto/base/buf.h"
#include "proto/base/error.h"

#define CONNECT_SECONDS  10L
#define STALLED_SECONDS  300L
#define ANSWER_BYTES_MAX ((size_t)1 << 20)
#define GZIP_WINDOW      (15 + 16)
#define GZIP_LEVEL       1

struct transfer {
    const struct ctl *ctl;
    CURL *curl;
    struct buf packed;
    struct buf answer; /* of a POST, or why there is no body */
    /* of a GET under way */
    int (*take)(void *context, struct bytes piece);
    void *context;
    bool is_packed;
    bool has_begun;
    bool is_refused; /* `take` wants no more, or the body is not what was asked for */
};

struct transfer *transfer_open(const struct ctl *ctl)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL)
        return NULL;
    transfer->ctl = ctl;
    buf_init(&transfer->answer, ANSWER_BYTES_MAX);
    transfer->curl = curl_easy_init();
    if (transfer->curl == NULL) {
        transfer_close(transfer);
        return NULL;
    }
    return transfer;
}

void transfer_close(struct transfer *transfer)
{
    if (transfer == NULL)
        return;
    curl_easy_cleanup(transfer->curl);
    buf_done(&transfer->packed);
    buf_done(&transfer->answer);
    free(transfer);
}

static bool is_local(const char *url)
{
    static const char *const hosts[] = {"://127.", "://localhost", "://[::1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        if (strstr(url, hosts[i]) != NULL)
            return true;
    }
    return false;
}

static bool pack(struct buf *out, struct bytes body)
{
    z_stream stream = {0};
    buf_clear(out);
    if (body.size > UINT32_MAX || deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8,
                                               Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t bound = deflateBound(&stream, (uLong)body.size);
    uint8_t *to = bound < UINT32_MAX ? buf_reserve(out, bound) : NULL;
    bool is_packed = false;
    if (to != NULL) {
        stream.next_in = (Bytef *)(uintptr_t)body.data;
        stream.avail_in = (uInt)body.size;
        stream.next_out = to;
        stream.avail_out = (uInt)bound;
        is_packed = deflate(&stream, Z_FINISH) == Z_STREAM_END;
        out->size = bound - stream.avail_out;
    }
    deflateEnd(&stream);
    return is_packed;
}

/* ---- one request ------------------------------------------------------------------------ */

static size_t on_answer(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    buf_put(&transfer->answer, data, size * count);
    return buf_ok(&transfer->answer) ? size * count : 0;
}

static void prepare(struct transfer *transfer, const char *url, struct curl_slist *headers)
{
    CURL *curl = transfer->curl;
    curl_easy_reset(curl); /* keeps the connection */
    buf_clear(&transfer->answer);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALLED_SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    if (transfer->ctl->ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, transfer->ctl->ca_file);
}

static enum transfer_result say_status(const struct transfer *transfer, long status,
                                       const char *message, struct diagnosis *why)
{
    const struct ctl *ctl = transfer->ctl;
    if (message != NULL)
        diagnose(why, ERR_IO, "%s", message);
    else if (status == 401 || status == 403)
        diagnose(why, ERR_REFUSED, "%s",
                 SAY(ctl, "not allowed: give a token with --token or FENGSUI_TOKEN",
                     "没有权限：请用 --token 或 FENGSUI_TOKEN 给出令牌"));
    else
        diagnose(why, ERR_IO,
                 SAY(ctl, "%s answered %ld, which is no collector's answer",
                     "%s 回答 %ld，不像是采集器"),
                 ctl->url, status);
    return status == 503 ? TRANSFER_AGAIN : TRANSFER_FAILED;
}

/* Judges what came back: `data` of a good answer, or why not. */
static enum transfer_result judge(struct transfer *transfer, CURLcode result, json_t **ret_data,
                                  struct diagnosis *why)
{
    long status = 0;
    if (result != CURLE_OK) {
        diagnose(why, ERR_IO, "%s: %s", transfer->ctl->url, curl_easy_strerror(result));
        return result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL ||
                       result == CURLE_PEER_FAILED_VERIFICATION
                   ? TRANSFER_FAILED
                   : TRANSFER_AGAIN;
    }
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 == 2 && ret_data == NULL)
        return TRANSFER_DONE;
    json_t *root = json_loadb((const char *)transfer->answer.data, transfer->answer.size,
                              JSON_ALLOW_NUL, NULL);
    json_t *data = json_object_get(root, "data");
    const char *message = json_string_value(json_object_get(root, "error"));
    enum transfer_result verdict = TRANSFER_DONE;
    if (status / 100 == 2 && data != NULL && ret_data != NULL)
        *ret_data = json_incref(data);
    else
        verdict = say_status(transfer, status, message, why);
    json_decref(root);
    return verdict;
}

enum transfer_result transfer_post(struct transfer *transfer, const char *path,
                                   const struct parameter *parameters, size_t count,
                                   const char *content_type, struct bytes body,
                                   json_t **ret_data, struct diagnosis *why)
{
    struct buf type = {0};
    char *url = client_url(transfer->ctl, transfer->curl, path, parameters, count);
    struct curl_slist *headers = client_headers(transfer->ctl);
    buf_printf(&type, "Content-Type: %s", content_type);
    headers = curl_slist_append(headers, buf_text(&type));
    headers = curl_slist_append(headers, "Expect:");
    if (!is_local(transfer->ctl->url) && pack(&transfer->packed, body)) {
        headers = curl_slist_append(headers, "Content-Encoding: gzip");
        body = buf_bytes(&transfer->packed);
    }
    prepare(transfer, url, headers);
    curl_easy_setopt(transfer->curl, CURLOPT_POSTFIELDS, (const char *)body.data);
    curl_easy_setopt(transfer->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size);
    enum transfer_result result =
        judge(transfer, curl_easy_perform(transfer->curl), ret_data, why);
    curl_slist_free_all(headers);
    buf_done(&type);
    free(url);
    return result;
}

/* ---- a body that comes ------------------------------------------------------------------ */

static size_t on_piece(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct bytes piece = {(const uint8_t *)data, size * count};
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 != 2)
        return on_answer(data, size, count, context);
    /* A proxy on the way may have unpacked it. */
    if (!transfer->has_begun && transfer->is_packed && piece.size > 0 && piece.data[0] != 0x1f)
        transfer->is_refused = true;
    transfer->has_begun = true;
    if (!transfer->is_refused && transfer->take(transfer->context, piece) != 0)
        transfer->is_refused = true;
    return transfer->is_refused ? 0 : piece.size;
}

enum transfer_result transfer_get(struct transfer *transfer, const char *path,
                                  const struct parameter *parameters, size_t count, bool packed,
                                  int (*take)(void *context, struct bytes piece), void *context,
                                  struct diagnosis *why)
{
    char *url = client_url(transfer->ctl, transfer->curl, path, parameters, count);
    struct curl_slist *headers = client_headers(transfer->ctl);
    if (packed)
        headers = curl_slist_append(headers, "Accept-Encoding: gzip");
    prepare(transfer, url, headers);
    transfer->take = take;
    transfer->context = context;
    transfer->is_packed = packed;
    transfer->has_begun = false;
    transfer->is_refused = false;
    curl_easy_setopt(transfer->curl, CURLOPT_WRITEFUNCTION, on_piece);
    if (!packed && !is_local(transfer->ctl->url))
        curl_easy_setopt(transfer->curl, CURLOPT_ACCEPT_ENCODING, "");
    CURLcode code = curl_easy_perform(transfer->curl);
    enum transfer_result result = TRANSFER_FAILED;
    if (transfer->is_refused)
        diagnose(why, ERR_IO, "%s",
                 SAY(transfer->ctl, "the answer was not gzip, or it could not be written",
                     "回答不是 gzip，或者无法写入"));
    else
        result = judge(transfer, code, NULL, why);
    curl_slist_free_all(headers);
    free(url);
    return result;
}
