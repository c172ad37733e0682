/* command_users.c - hashes for users.yml; nothing is sent anywhere. */
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "collector/ctl/ctl.h"
#include "collector/http/users.h"

#define PASSWORD_BYTES_MAX 512

/* One line from standard input, not echoed where it is a terminal. */
static bool read_password(const char *prompt, char password[PASSWORD_BYTES_MAX])
{
    struct termios before;
    bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (is_terminal) {
        struct termios quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "%s", prompt);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    bool is_read = fgets(password, PASSWORD_BYTES_MAX, stdin) != NULL;
    if (is_terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
    if (is_read)
        password[strcspn(password, "\r\n")] = '\0';
    return is_read && password[0] != '\0';
}

static int hash_password(const struct ctl *ctl)
{
    char password[PASSWORD_BYTES_MAX];
    char again[PASSWORD_BYTES_MAX];
    char hash[USERS_HASH_BYTES];
    bool is_terminal = isatty(STDIN_FILENO) == 1;
    bool is_fit = read_password(SAY(ctl, "Password: ", "密码："), password);
    if (is_fit && is_terminal)
        is_fit = read_password(SAY(ctl, "Again: ", "再输一次："), again) &&
                 strcmp(password, again) == 0;
    if (!is_fit) {
        fprintf(stderr, "fengsuictl: %s\n",
                SAY(ctl, "no password, or not twice the same", "没有密码，或两次不一致"));
        return EXIT_FAILED;
    }
    if (users_hash_password(password, hash) != 0) {
        fprintf(stderr, "fengsuictl: %s\n",
                SAY(ctl, "hashing needs 64 MiB of memory", "计算散列需要 64 MiB 内存"));
        return EXIT_FAILED;
    }
    printf("%s\n", hash);
    return EXIT_FINE;
}

static int new_token(const struct ctl *ctl)
{
    char token[USERS_HASH_BYTES];
    char hash[USERS_HASH_BYTES];
    if (users_new_token(token) != 0 || users_hash_token(token, hash) != 0)
        return EXIT_FAILED;
    printf("token: %s\ntoken_hash: \"%s\"\n", token, hash);
    fprintf(stderr, "%s\n",
            SAY(ctl, "give the token to the machine, put the hash into users.yml",
                "把 token 交给机器，把 token_hash 写入 users.yml"));
    return EXIT_FINE;
}

static int run_users(struct ctl *ctl, int count, char **arguments)
{
    static const char *const verbs[] = {"hash", "token"};
    int left = 0;
    int code = args_parse(ctl, &command_users, count, arguments, NULL, 0, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    if (left == 1 && strcmp(arguments[0], "hash") == 0)
        return hash_password(ctl);
    if (left == 1 && strcmp(arguments[0], "token") == 0)
        return new_token(ctl);
    return args_unknown(ctl, SAY(ctl, "action", "操作"), left > 0 ? arguments[0] : "", verbs, 2);
}

const struct command command_users = {
    .name = "users",
    .run = run_users,
    .summary_english = "hashes for users.yml",
    .summary_chinese = "生成 users.yml 所需的散列",
    .help_english =
        "fengsuictl users hash: asks for a password, prints its argon2id hash.\n"
        "fengsuictl users token: makes a token for a machine, prints it and its hash.\n\n"
        "  users:\n"
        "    - {name: zhang, role: operator, password_hash: \"$argon2id$...\"}\n"
        "  tokens:\n"
        "    - {name: grafana, role: viewer, token_hash: \"blake2b:...\"}\n\n"
        "Roles: viewer reads; operator also approves and revokes; admin everything;\n"
        "writer only writes samples (remote write).",
    .help_chinese =
        "fengsuictl users hash：输入密码，输出 argon2id 散列。\n"
        "fengsuictl users token：为机器生成令牌，输出令牌和散列。\n\n"
        "  users:\n"
        "    - {name: zhang, role: operator, password_hash: \"$argon2id$...\"}\n"
        "  tokens:\n"
        "    - {name: grafana, role: viewer, token_hash: \"blake2b:...\"}\n\n"
        "角色：viewer 只读；operator 还可批准、吊销；admin 全部；\n"
        "writer 只能写入样本（remote write）。",
};
