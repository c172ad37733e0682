/*
 * test_redact.c - numbers that leave masked, and those that must not be touched.
 *
 * The numbers are made up: divisions, dates and check digits are right, persons there are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "probe/log/digits.h"
#include "probe/log/redact_key.h"
#include "proto/base/error.h"

static const struct redact_key key = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

struct line {
    char text[512];
    uint64_t counts[REDACT_KIND_COUNT];
};

static struct line masked_with(const struct redaction *redaction, const char *text)
{
    struct line line = {{0}, {0}};
    (void)snprintf(line.text, sizeof line.text, "%s", text);
    redact(redaction, &key, (uint8_t *)line.text, strlen(line.text), line.counts);
    assert_int_equal(strlen(line.text), strlen(text));
    return line;
}

static struct line masked(const char *text)
{
    return masked_with(&(struct redaction){.numbers = REDACT_NUMBERS}, text);
}

/* `before`, `number` and `after` are one line; the number's ends stay, as many as said. */
static void assert_masks(enum redact_kind kind, const char *number, size_t first)
{
    char text[256];
    (void)snprintf(text, sizeof text, "号码=%s，完", number);
    struct line line = masked(text);
    size_t begin = strlen("号码="), size = strlen(number);
    const char *mask = line.text + begin;
    if (line.counts[kind] != 1)
        fail_msg("%s was not masked as %s: %s", number, redact_kind_name(kind), line.text);
    for (size_t i = 0; i < REDACT_KIND_COUNT; i++)
        assert_int_equal(line.counts[i], i == (size_t)kind);
    assert_memory_equal(line.text, text, begin + first);
    assert_memory_equal(mask + size - 4, text + begin + size - 4, strlen("1234，完"));
    for (size_t i = first; i < size - 4; i++)
        if (mask[i] != ' ' && mask[i] != '-')
            assert_false(mask[i] >= '0' && mask[i] <= '9');
}

static void assert_keeps(const char *text)
{
    struct line line = masked(text);
    assert_string_equal(line.text, text);
    for (size_t i = 0; i < REDACT_KIND_COUNT; i++)
        assert_int_equal(line.counts[i], 0);
}

static void identity_cards_are_masked(void **state)
{
    (void)state;
    assert_masks(REDACT_ID_CARD, "11010519491231002X", 3); /* the example of GB 11643-1999 */
    assert_masks(REDACT_ID_CARD, "440524188001010014", 3); /* the other */
    assert_masks(REDACT_ID_CARD, "110105491231002", 3);    /* before 1999 */
    assert_masks(REDACT_ID_CARD, "110105 19491231 002X", 3);
    assert_masks(REDACT_ID_CARD, "440524-18800101-0014", 3);
    assert_int_equal(masked("11010519491231002x").counts[REDACT_ID_CARD], 1);
}

static void mobile_numbers_are_masked(void **state)
{
    (void)state;
    assert_masks(REDACT_MOBILE, "13800138000", 3);
    assert_masks(REDACT_MOBILE, "19912345678", 3);
    assert_masks(REDACT_MOBILE, "138 0013 8000", 3);
    assert_masks(REDACT_MOBILE, "138-0013-8000", 3);
    assert_masks(REDACT_MOBILE, "+8613800138000", 6);
    assert_masks(REDACT_MOBILE, "008613800138000", 7);
    assert_masks(REDACT_MOBILE, "013800138000", 4);
    assert_int_equal(masked("tel13800138000").counts[REDACT_MOBILE], 1);
    assert_int_equal(masked("{\"phone\":\"13800138000\"}").counts[REDACT_MOBILE], 1);
    assert_int_equal(masked("2026-11-28 13:00:05 13800138000.").counts[REDACT_MOBILE], 1);
    assert_int_equal(masked("13800138000,13900139000").counts[REDACT_MOBILE], 2);
    static const char *const escaped[] = {
        "phone=%2B8613800138000", "a%3Fphone%3D13800138000&b", "%3A%2213800138000%22",
        "\\x2213800138000\\x22",  "\\u53f713800138000",        "\\b13800138000",
        "50%13800138000",         "%E5%8F%B713800138000",      "+86138 0013 8000"};
    for (size_t i = 0; i < sizeof escaped / sizeof *escaped; i++)
        if (masked(escaped[i]).counts[REDACT_MOBILE] != 1)
            fail_msg("%s", masked(escaped[i]).text);
}

static void bank_cards_are_masked(void **state)
{
    (void)state;
    assert_masks(REDACT_BANK_CARD, "6222021234567890128", 4);
    assert_masks(REDACT_BANK_CARD, "4111111111111111", 4);
    assert_masks(REDACT_BANK_CARD, "4111 1111 1111 1111", 4);
    assert_string_equal(masked("6222-0212-3456-7890-128").text + 18, "0-128");
    assert_int_equal(masked("6222 0212 3456 7890 128").counts[REDACT_BANK_CARD], 1);
    assert_masks(REDACT_BANK_CARD, "378282246310005", 4);
    assert_masks(REDACT_BANK_CARD, "2223003122003222", 4);
    assert_int_equal(masked("4111 1111 1111 1111 12/27").counts[REDACT_BANK_CARD], 1);
    assert_int_equal(masked("4111-1111-1111-1111-123").counts[REDACT_BANK_CARD], 1);
    assert_int_equal(masked("5%6222021234567890128").counts[REDACT_BANK_CARD], 1);
}

static void other_numbers_stay(void **state)
{
    (void)state;
    assert_keeps("");
    assert_keeps("110105194912310021");                   /* wrong check digit */
    assert_keeps("11010519491331002X");                   /* month 13 */
    assert_keeps("990105194912310020");                   /* no such division */
    assert_keeps("4111111111111112");                     /* Luhn's says no */
    assert_keeps("12345678901 10800138000");              /* no mobile begins so */
    assert_keeps("1380013800 138001380001");              /* ten digits; twelve */
    assert_keeps("1764316800123 1764316800123456");       /* times in ms and us */
    assert_keeps("17179869184 bytes, 17179869184bytes");  /* a size */
    assert_keeps("0.13800138000 13800138000.5");          /* decimals */
    assert_keeps("MaxHeapSize = 17179869184");            /* 16 GiB */
    assert_keeps("%2a13800138000f \\u53f7a13800138000f"); /* hexadecimal behind an escape */
    assert_keeps("id a13800138000ff 0x13800138000");      /* hexadecimal words */
    assert_keeps("2026-11-28 13:00:05,123 10.0.0.1:8080 ORA-00600 [13011]");
    assert_keeps("6222021234567890128622202123456789012"); /* part of a longer one */
}

static void one_number_is_always_masked_alike(void **state)
{
    (void)state;
    struct line one = masked("id 11010519491231002X");
    struct line other = masked("id 11010519491231002x");
    struct line grouped = masked("id 110105 19491231 002X");
    assert_memory_equal(one.text, other.text, strlen("id 11010519491231002"));
    assert_memory_equal(grouped.text + 10, one.text + 9, 8);
    struct line person = masked("id 440524188001010014");
    assert_memory_not_equal(one.text + 7, person.text + 7, 9);
    struct redact_key second = key;
    struct line same = {{0}, {0}};
    second.bytes[0] ^= 1;
    (void)snprintf(same.text, sizeof same.text, "id 11010519491231002X");
    redact(&(struct redaction){.numbers = REDACT_NUMBERS}, &second, (uint8_t *)same.text,
           strlen(same.text), same.counts);
    assert_memory_not_equal(one.text + 7, same.text + 7, 9);
}

static void kinds_that_are_not_wanted_stay(void **state)
{
    (void)state;
    struct redaction mobile = {.numbers = 1U << REDACT_MOBILE};
    const char *text = "11010519491231002X 4111111111111111 13800138000";
    struct line line = masked_with(&mobile, text);
    assert_memory_equal(line.text, text, strlen("11010519491231002X 4111111111111111 138"));
    assert_int_equal(line.counts[REDACT_MOBILE], 1);
    assert_string_equal(masked_with(&(struct redaction){0}, text).text, text);
}

/* ---- lines by chance ------------------------------------------------------------------- */

#define CHANCE_LINES 100000
/* FNV-1a of what a walk over every byte, without digits.h, makes of these lines. */
#define CHANCE_HASH UINT64_C(0x90bbb30467e20c29)

static uint32_t chance(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

/* Pieces that numbers, their neighbours and their like are made of. */
static size_t line_by_chance(uint64_t *seed, char text[320])
{
    static const char *const pieces[] = {"13800138000",
                                         "11010519491231002",
                                         "440524188001010014",
                                         "6222021234567890128",
                                         "4111111111111111",
                                         "138",
                                         "0013",
                                         "8000",
                                         "4111",
                                         "1111",
                                         "110105",
                                         "19491231",
                                         "002",
                                         "86",
                                         "+86",
                                         "0",
                                         "7",
                                         "42",
                                         "128",
                                         "2026-11-28 13:00:05",
                                         "1764316800123",
                                         " ",
                                         " ",
                                         "-",
                                         "-",
                                         "  ",
                                         "x",
                                         "X",
                                         "a",
                                         "ff",
                                         "0x",
                                         "%2B",
                                         "%3A%22",
                                         "%",
                                         "\\x22",
                                         "\\u53f7",
                                         "\\n",
                                         "\\",
                                         ".",
                                         ":",
                                         ",",
                                         "=",
                                         "bytes",
                                         "号",
                                         "ORA-",
                                         "GET /a?b="};
    size_t count = 1 + chance(seed, 14), size = 0;
    for (size_t i = 0; i < count; i++) {
        const char *piece = pieces[chance(seed, sizeof pieces / sizeof *pieces)];
        memcpy(text + size, piece, strlen(piece));
        size += strlen(piece);
    }
    text[size] = '\0';
    return size;
}

static uint64_t hash_of(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void lines_by_chance_are_masked_as_by_a_walk_over_every_byte(void **state)
{
    (void)state;
    uint64_t seed = 29, hash = UINT64_C(0xcbf29ce484222325), masked_count = 0;
    struct redaction all = {.numbers = REDACT_NUMBERS};
    for (size_t i = 0; i < CHANCE_LINES; i++) {
        char text[320];
        uint64_t counts[REDACT_KIND_COUNT] = {0};
        size_t size = line_by_chance(&seed, text);
        redact(&all, &key, (uint8_t *)text, size, counts);
        hash = hash_of(hash_of(hash, text, size), counts, sizeof counts);
        masked_count += counts[REDACT_MOBILE] + counts[REDACT_ID_CARD];
    }
    assert_true(masked_count > CHANCE_LINES / 10);
    if (hash != CHANCE_HASH)
        fail_msg("0x%016llx", (unsigned long long)hash);
}

static bool is_kind(char byte, const char *kind)
{
    return byte != '\0' && strchr(kind, byte) != NULL;
}

/* What digits.h says, said once more: eleven digits from text[at] on, or 3 and 4 around a mark?
 */
static bool is_number_at(const char *text, size_t at)
{
    size_t digits = strspn(text + at, "0123456789");
    const char *second = text + at + digits + 1;
    return digits >= 11 ||
           (digits >= 3 && is_kind(second[-1], " -") && strspn(second, "0123456789") >= 4);
}

static void no_number_is_stepped_over(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (size_t i = 0; i < CHANCE_LINES / 4; i++) {
        char text[320];
        size_t size = line_by_chance(&seed, text), at = 0, from = 0, first, end;
        while (from < size) {
            bool found = digits_find((const uint8_t *)text, size, from, &first, &end);
            /* The next run by the book: as wide as it is, long enough, with a number in it. */
            size_t run = 0;
            bool has = false;
            for (at = from; at < size && !(has && run >= 11); at += run) {
                at += strcspn(text + at, " -0123456789");
                run = strspn(text + at, " -0123456789");
                has = false;
                for (size_t j = 0; j < run; j++)
                    has = has || is_number_at(text + at, j);
            }
            has = has && run >= 11;
            if (found != has || (found && (first != at - run || end != at)))
                fail_msg("\"%s\" from %zu", text, from);
            from = found ? end : size;
        }
    }
}

static void patterns_mask_their_secret(void **state)
{
    (void)state;
    struct pattern *patterns[2];
    assert_int_equal(pattern_new("password=(?<secret>[^& ]+)", &patterns[0], NULL), 0);
    assert_int_equal(pattern_new("姓名：\\S+", &patterns[1], NULL), 0);
    struct redaction redaction = {0, patterns, 2};
    struct line line = masked_with(&redaction, "password=abc&password=d 姓名：某某 完");
    assert_string_equal(line.text, "password=***&password=* *************** 完");
    assert_int_equal(line.counts[REDACT_PATTERN], 3);
    for (size_t i = 0; i < 2; i++)
        pattern_free(patterns[i]);
}

static void a_line_that_cannot_be_looked_at_is_masked_whole(void **state)
{
    (void)state;
    struct pattern *pattern;
    assert_int_equal(pattern_new("^(a|aa)+$", &pattern, NULL), 0);
    struct redaction redaction = {0, &pattern, 1};
    char text[128];
    memset(text, 'a', 100);
    (void)snprintf(text + 100, sizeof text - 100, " secret");
    struct line line = masked_with(&redaction, text);
    assert_int_equal(strspn(line.text, "*"), strlen(text));
    assert_int_equal(line.counts[REDACT_PATTERN], 1);
    pattern_free(pattern);
}

static void the_key_is_kept(void **state)
{
    (void)state;
    char folder[] = "/tmp/redactXXXXXX", path[64];
    struct redact_key first, second;
    struct diagnosis why = {0};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/redact.key", folder);
    assert_int_equal(redact_key_load_or_make(folder, &first, &why), 0);
    assert_int_equal(redact_key_load_or_make(folder, &second, &why), 0);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(redact_key_load_or_make(folder, &second, &why), ERR_REFUSED);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(redact_key_load_or_make(folder, &second, &why), ERR_MALFORMED);
    assert_non_null(strstr(why.text, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(redact_key_load_or_make(folder, &second, &why), 0);
    assert_memory_not_equal(&first, &second, sizeof first);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_cards_are_masked),
        cmocka_unit_test(mobile_numbers_are_masked),
        cmocka_unit_test(bank_cards_are_masked),
        cmocka_unit_test(other_numbers_stay),
        cmocka_unit_test(one_number_is_always_masked_alike),
        cmocka_unit_test(kinds_that_are_not_wanted_stay),
        cmocka_unit_test(lines_by_chance_are_masked_as_by_a_walk_over_every_byte),
        cmocka_unit_test(no_number_is_stepped_over),
        cmocka_unit_test(patterns_mask_their_secret),
        cmocka_unit_test(a_line_that_cannot_be_looked_at_is_masked_whole),
        cmocka_unit_test(the_key_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
