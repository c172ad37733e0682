/*
 * alerting_template.c - the texts that templates may call by name.
 *
 * First what this program says by itself, under the names that Alertmanager's own templates
 * have, so that a file written for it finds what it calls; then the files of `templates`, which
 * may say otherwise.
 */
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "collector/notify/alerting_parts.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define TEMPLATE_FILES_MAX ((size_t)1000)

static const char own[] =
    "{{ define \"__alertmanager\" }}烽燧{{ end }}"
    "{{ define \"__alertmanagerURL\" }}{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery "
    "}}{{ end }}"
    "{{ define \"__time\" }}{{ . | tz \"Asia/Shanghai\" | date \"2006-01-02 15:04:05\" }}{{ end }}"
    "{{ define \"__mark\" }}{{ if eq .Status \"firing\" }}【告警】{{ else }}【恢复】{{ end }}{{ end }}"
    "{{ define \"__subject\" }}{{ template \"__mark\" . }}"
    "{{ if .CommonLabels.alertname }}{{ .CommonLabels.alertname }}"
    "{{ else if .GroupLabels }}{{ .GroupLabels.SortedPairs.Values | join \" \" }}"
    "{{ else }}多种告警{{ end }}"
    "{{ if gt (len .Alerts) 1 }}（{{ len .Alerts }} 项）{{ end }}"
    "{{ with .CommonLabels.instance }} {{ . }}{{ end }}"
    "{{ with .CommonAnnotations.summary }}：{{ . }}{{ end }}{{ end }}"
    "{{ define \"__description\" }}{{ .CommonAnnotations.description }}{{ end }}"
    "{{ define \"__text_alert\" }}"
    "{{ if eq .Status \"firing\" }}[告警中]{{ else }}[已恢复]{{ end }} {{ .Labels.alertname }}\n"
    "{{ with .Annotations.summary }}内容：{{ . }}\n{{ end }}"
    "{{ with .Annotations.description }}说明：{{ . }}\n{{ end }}"
    "{{ with .Labels.instance }}位置：{{ . }}\n{{ end }}"
    "{{ with .Labels.severity }}级别：{{ . }}\n{{ end }}"
    "开始时间：{{ template \"__time\" .StartsAt }}\n"
    "{{ if eq .Status \"resolved\" }}恢复时间：{{ template \"__time\" .EndsAt }}\n{{ end }}"
    "标签：\n{{ range .Labels.SortedPairs }}  {{ .Name }} = {{ .Value }}\n{{ end }}"
    "{{ with .GeneratorURL }}查看：{{ . }}\n{{ end }}{{ end }}"
    "{{ define \"__text_alert_list\" }}{{ range . }}{{ template \"__text_alert\" . }}\n{{ end }}{{ end "
    "}}"
    "{{ define \"__text_alert_list_markdown\" }}{{ range . }}"
    "- **{{ .Labels.alertname }}** {{ .Annotations.summary }}\n"
    "{{ range .Labels.SortedPairs }}  - {{ .Name }} = {{ .Value }}\n{{ end }}{{ end }}{{ end }}"
    "{{ define \"email.default.subject\" }}{{ template \"__subject\" . }}{{ end }}"
    "{{ define \"email.default.text\" }}"
    "烽燧监控：{{ len .Alerts.Firing }} 项告警中，{{ len .Alerts.Resolved }} 项已恢复。\n\n"
    "{{ template \"__text_alert_list\" .Alerts }}"
    "{{ with .ExternalURL }}控制台：{{ . }}\n{{ end }}{{ end }}"
    "{{ define \"__html_alert\" }}<tr><td style=\"padding:8px;border-bottom:1px solid #ddd\">"
    "<b style=\"color:{{ if eq .Status \"firing\" }}#c62828{{ else }}#2e7d32{{ end }}\">"
    "{{ if eq .Status \"firing\" }}[告警中]{{ else }}[已恢复]{{ end }} {{ .Labels.alertname }}</b><br>"
    "{{ with .Annotations.summary }}{{ . }}<br>{{ end }}"
    "{{ with .Annotations.description }}{{ . }}<br>{{ end }}"
    "开始时间：{{ template \"__time\" .StartsAt }}<br>"
    "{{ if eq .Status \"resolved\" }}恢复时间：{{ template \"__time\" .EndsAt }}<br>{{ end }}"
    "{{ range .Labels.SortedPairs }}{{ .Name }} = {{ .Value }}<br>{{ end }}"
    "{{ if .GeneratorURL }}<a href=\"{{ .GeneratorURL }}\">查看</a>{{ end }}</td></tr>{{ end }}"
    "{{ define \"email.default.html\" }}<!DOCTYPE html><html><head>"
    "<meta charset=\"UTF-8\"><title>{{ template \"__subject\" . }}</title></head>"
    "<body style=\"font-family:sans-serif\"><h3>{{ template \"__subject\" . }}</h3>"
    "<p>{{ len .Alerts.Firing }} 项告警中，{{ len .Alerts.Resolved }} 项已恢复。</p>"
    "<table style=\"border-collapse:collapse\">"
    "{{ range .Alerts.Firing }}{{ template \"__html_alert\" . }}{{ end }}"
    "{{ range .Alerts.Resolved }}{{ template \"__html_alert\" . }}{{ end }}</table>"
    "{{ if .ExternalURL }}<p><a href=\"{{ .ExternalURL }}\">打开控制台</a></p>{{ end }}"
    "</body></html>{{ end }}"
    "{{ define \"wechat.default.message\" }}{{ template \"__subject\" . }}\n"
    "{{ if .Alerts.Firing }}告警中：\n{{ template \"__text_alert_list\" .Alerts.Firing }}{{ end }}"
    "{{ if .Alerts.Resolved }}已恢复：\n{{ template \"__text_alert_list\" .Alerts.Resolved }}{{ end }}"
    "{{ with .ExternalURL }}控制台：{{ . }}\n{{ end }}{{ end }}"
    "{{ define \"wechat.default.to_user\" }}{{ end }}"
    "{{ define \"wechat.default.to_party\" }}{{ end }}"
    "{{ define \"wechat.default.to_tag\" }}{{ end }}"
    "{{ define \"wechat.default.agent_id\" }}{{ end }}"
    "{{ define \"wechat.default.api_secret\" }}{{ end }}";

/* One file; its text lives as long as the configuration. */
static int add_file(struct alerting *alerting, const char *path, struct diagnosis *why)
{
    char **longer, *text;
    struct stat status;
    int error;

    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return 0; /* a folder, or what would never end */
    if (alerting->template_text_count == TEMPLATE_FILES_MAX)
        return diagnose(why, ERR_LIMIT, "more than %zu files of templates", TEMPLATE_FILES_MAX);
    longer = realloc(alerting->template_texts,
                     (alerting->template_text_count + 1) * sizeof *longer);
    if (longer == NULL)
        return ERR_NOMEM;
    alerting->template_texts = longer;
    error = file_read_whole(path, TEMPLATE_BYTES_MAX, &text, NULL, why);
    if (error != 0)
        return error;
    longer[alerting->template_text_count++] = text;
    return template_set_add(alerting->templates, path, text, why);
}

/* A pattern that no file meets is no error: Alertmanager's packages name an empty folder. */
static int add_glob(struct alerting *alerting, const char *pattern, struct diagnosis *why)
{
    glob_t found;
    int error = 0;
    const int result = glob(pattern, 0, NULL, &found);

    if (result == GLOB_NOMATCH) {
        globfree(&found);
        return 0;
    }
    if (result != 0)
        return diagnose(why, ERR_IO, "templates: cannot look for %s", pattern);
    for (size_t i = 0; error == 0 && i < found.gl_pathc; i++)
        error = add_file(alerting, found.gl_pathv[i], why);
    globfree(&found);
    return error;
}

int alerting_read_templates(struct alerting *alerting, const struct config_strings *globs,
                            struct diagnosis *why)
{
    int error = template_set_new(&alerting->arena, &alerting->templates);

    if (error == 0)
        error = template_set_add(alerting->templates, "(own templates)", own, why);
    for (size_t i = 0; error == 0 && globs != NULL && i < globs->count; i++)
        error = add_glob(alerting, globs->items[i], why);
    return error;
}
