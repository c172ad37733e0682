/* args.c - see ctl.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/ctl.h"
#include "proto/base/units.h"

#define FLAGS_MAX 32
#define KEY_CHARS ((size_t)40)

void args_help(const struct ctl *ctl, const struct command *command)
{
    printf("%s\n", SAY(ctl, command->help_english, command->help_chinese));
    printf("%s", SAY(ctl,
                     "\nCommon options:\n"
                     "  --url URL      the collector (default http://127.0.0.1:9470, or "
                     "FENGSUI_URL)\n"
                     "  --token TOKEN  bearer token (or FENGSUI_TOKEN)\n"
                     "  --ca FILE      certificate authority of an https URL\n"
                     "  --json         print the server's answer as it is\n"
                     "  --lang zh|en   language of texts\n",
                     "\n通用选项：\n"
                     "  --url URL      采集器地址（默认 http://127.0.0.1:9470，或 FENGSUI_URL）\n"
                     "  --token TOKEN  令牌（或 FENGSUI_TOKEN）\n"
                     "  --ca FILE      https 地址所用的 CA 证书\n"
                     "  --json         原样输出服务器的回答\n"
                     "  --lang zh|en   文字语言\n"));
}

int args_unknown(const struct ctl *ctl, const char *kind, const char *word,
                 const char *const *known, size_t count)
{
    const char *nearest = nearest_name(word, known, count);
    fprintf(stderr, SAY(ctl, "fengsuictl: unknown %s \"%s\"", "fengsuictl：未知的%s“%s”"), kind,
            word);
    if (nearest != NULL)
        fprintf(stderr, SAY(ctl, " (did you mean \"%s\"?)", "（是不是“%s”？）"), nearest);
    fprintf(stderr, "\n");
    return EXIT_USAGE;
}

static int unknown_flag(const struct ctl *ctl, const char *word, const struct flag *flags,
                        size_t count)
{
    const char *names[FLAGS_MAX];
    for (size_t i = 0; i < count; i++)
        names[i] = flags[i].name;
    return args_unknown(ctl, SAY(ctl, "option", "选项"), word, names, count);
}

/* Takes one flag at `arguments[*at]`. */
static int take_flag(const struct ctl *ctl, int count, char **arguments, int *at,
                     const struct flag *flags, size_t flag_count)
{
    const char *word = arguments[*at];
    const char *equals = strchr(word, '=');
    size_t size = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const struct flag *flag = NULL;
    for (size_t i = 0; i < flag_count && flag == NULL; i++) {
        if (strlen(flags[i].name) == size && strncmp(flags[i].name, word, size) == 0)
            flag = &flags[i];
    }
    if (flag == NULL)
        return unknown_flag(ctl, word, flags, flag_count);
    if (flag->kind == FLAG_BOOL && equals != NULL) {
        fprintf(stderr, SAY(ctl, "fengsuictl: %s takes no value\n", "fengsuictl：%s 不带值\n"),
                flag->name);
        return EXIT_USAGE;
    }
    if (flag->kind == FLAG_BOOL) {
        *(bool *)flag->target = true;
        return EXIT_FINE;
    }
    if (equals == NULL && *at + 1 == count) {
        fprintf(stderr, SAY(ctl, "fengsuictl: %s needs a value\n", "fengsuictl：%s 需要一个值\n"),
                flag->name);
        return EXIT_USAGE;
    }
    const char *value = equals != NULL ? equals + 1 : arguments[++*at];
    if (flag->kind == FLAG_TEXT) {
        *(const char **)flag->target = value;
        return EXIT_FINE;
    }
    struct flag_list *list = flag->target;
    if (list->count == FLAG_LIST_MAX) {
        fprintf(stderr, SAY(ctl, "fengsuictl: more than %d of %s\n",
                            "fengsuictl：超过 %d 个 %s\n"), FLAG_LIST_MAX, flag->name);
        return EXIT_USAGE;
    }
    list->items[list->count++] = value;
    return EXIT_FINE;
}

/* One key in eighty begins with a dash: 40 characters of Z85 that name no flag are a key. */
static bool is_key(const char *word, const struct flag *flags, size_t flag_count)
{
    const size_t size = strcspn(word, "=");
    for (size_t i = 0; i < flag_count; i++)
        if (strlen(flags[i].name) == size && strncmp(flags[i].name, word, size) == 0)
            return false;
    return strlen(word) == KEY_CHARS &&
           strspn(word, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        ".-:+=^!/*?&<>()[]{}@%$#") == KEY_CHARS;
}

int args_parse(struct ctl *ctl, const struct command *command, int count, char **arguments,
               const struct flag *flags, size_t flag_count, int *ret_left)
{
    bool help = false;
    const char *language = NULL;
    struct flag all[FLAGS_MAX] = {
        {"--help", FLAG_BOOL, &help},          {"-h", FLAG_BOOL, &help},
        {"--url", FLAG_TEXT, &ctl->url},       {"--token", FLAG_TEXT, &ctl->token},
        {"--ca", FLAG_TEXT, &ctl->ca_file},    {"--json", FLAG_BOOL, &ctl->json},
        {"--lang", FLAG_TEXT, &language},
    };
    size_t total = 7;
    for (size_t i = 0; i < flag_count; i++)
        all[total++] = flags[i];
    int left = 0;
    bool only_words = false;
    for (int i = 0; i < count; i++) {
        bool is_flag = arguments[i][0] == '-' && arguments[i][1] != '\0' && !only_words &&
                       !is_key(arguments[i], all, total);
        if (is_flag && strcmp(arguments[i], "--") == 0) {
            only_words = true;
        } else if (is_flag) {
            int code = take_flag(ctl, count, arguments, &i, all, total);
            if (code != EXIT_FINE)
                return code;
        } else {
            arguments[left++] = arguments[i];
        }
    }
    if (language != NULL)
        ctl->chinese = strncmp(language, "zh", 2) == 0;
    if (help) {
        args_help(ctl, command);
        return -1;
    }
    *ret_left = left;
    return EXIT_FINE;
}

json_t *args_labels(const struct ctl *ctl, const struct flag_list *list)
{
    json_t *labels = json_object();
    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        if (equals == NULL || equals == list->items[i]) {
            fprintf(stderr,
                    SAY(ctl, "fengsuictl: a label is written name=value, not \"%s\"\n",
                        "fengsuictl：标签应写作 名=值，而不是“%s”\n"),
                    list->items[i]);
            json_decref(labels);
            return NULL;
        }
        char *name = strndup(list->items[i], (size_t)(equals - list->items[i]));
        if (name != NULL)
            json_object_set_new(labels, name, json_string(equals + 1));
        free(name);
    }
    return labels;
}

char *args_time(const char *text, int64_t now_ms)
{
    int64_t ago_ms = 0;
    char *time = NULL;
    if (duration_parse(text, &ago_ms) != 0 || strcmp(text, "0") == 0)
        return strdup(text);
    int64_t ms = now_ms - ago_ms;
    if (asprintf(&time, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000)) < 0)
        return NULL;
    return time;
}
