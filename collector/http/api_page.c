/*
 * api_page.c - the page at "/": which hosts report, which alerts fire.
 *
 * One document without a request to anywhere but this server's own API; it works in a closed
 * machine room.  Chinese, or English by ?lang=en.  The browser fills it from
 * /api/fengsui/v1/probes and /api/v1/alerts and puts texts in as text nodes only.
 */
#include "collector/http/api_parts.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>%s</title>\n";

static const char style[] =
    "<style>\n"
    "body{font:15px/1.5 'Noto Sans SC','PingFang SC','Microsoft YaHei',sans-serif;margin:2em auto;"
    "max-width:70em;padding:0 1em;color:#222;background:#fff}\n"
    "table{border-collapse:collapse;width:100%;margin-bottom:2em}\n"
    "th,td{text-align:left;padding:.3em .8em;border-bottom:1px solid #ddd;vertical-align:top}\n"
    ".up{color:#176d2f}.silent,.firing{color:#b00020;font-weight:600}"
    ".pending,.waiting{color:#8a5a00}\n"
    "@media (prefers-color-scheme:dark){body{color:#ddd;background:#161616}"
    "th,td{border-color:#333}.up{color:#6fcf88}.silent,.firing{color:#ff7b8a}"
    ".pending,.waiting{color:#e0b060}}\n"
    "</style>\n</head>\n";

static const char script[] =
    "<script>\n"
    "const T=JSON.parse(document.getElementById('texts').textContent);\n"
    "function row(cells,kind){const tr=document.createElement('tr');cells.forEach((c,i)=>{"
    "const td=document.createElement('td');td.textContent=c;if(i===0&&kind)td.className=kind;"
    "tr.append(td)});return tr}\n"
    "function fill(id,rows,none){const body=document.getElementById(id);"
    "body.replaceChildren(...(rows.length?rows:[row([none])]))}\n"
    "function when(ms){return ms?new Date(ms).toLocaleString(document.documentElement.lang):'–'}\n"
    "async function get(path){const r=await fetch(path);if(!r.ok)throw new Error(r.status);"
    "return (await r.json()).data}\n"
    "async function draw(){try{\n"
    "const probes=await get('api/fengsui/v1/probes');\n"
    "fill('probes',probes.map(p=>row([T[p.state]||p.state,p.instance,p.job,"
    "Object.entries(p.labels||{}).map(e=>e.join('=')).join(' '),when(p.lastTickMs),p.series],"
    "p.state)),T.noProbes);\n"
    "const alerts=(await get('api/v1/alerts')).alerts;\n"
    "fill('alerts',alerts.map(a=>row([T[a.state]||a.state,a.labels.alertname,"
    "a.labels.instance||'',(a.annotations||{}).summary||'',when(Date.parse(a.activeAt))],"
    "a.state)),T.noAlerts);\n"
    "document.getElementById('note').textContent=T.asOf+' '+when(Date.now());\n"
    "}catch(e){document.getElementById('note').textContent=T.failed+' '+e.message}}\n"
    "draw();setInterval(draw,5000);\n"
    "</script>\n</body>\n</html>\n";

struct page_texts {
    const char *language, *title, *probes, *alerts;
    const char *probe_heads[6], *alert_heads[5];
    const char *json; /* what the script says */
};

static const struct page_texts chinese = {
    .language = "zh-CN",
    .title = "烽燧",
    .probes = "主机",
    .alerts = "告警",
    .probe_heads = {"状态", "主机", "任务", "标签", "最新数据", "序列数"},
    .alert_heads = {"状态", "告警", "主机", "摘要", "开始"},
    .json = "{\"up\":\"正常\",\"silent\":\"失联\",\"waiting\":\"等待连接\",\"pending\":\"待定\","
            "\"firing\":\"告警中\",\"noProbes\":\"还没有已批准的探针\",\"noAlerts\":\"没有告警\","
            "\"asOf\":\"截至\",\"failed\":\"读取失败：\"}",
};
static const struct page_texts english = {
    .language = "en",
    .title = "Fengsui",
    .probes = "Hosts",
    .alerts = "Alerts",
    .probe_heads = {"State", "Host", "Job", "Labels", "Latest data", "Series"},
    .alert_heads = {"State", "Alert", "Host", "Summary", "Since"},
    .json = "{\"up\":\"up\",\"silent\":\"silent\",\"waiting\":\"waiting\",\"pending\":\"pending\","
            "\"firing\":\"firing\",\"noProbes\":\"no approved probe yet\",\"noAlerts\":"
            "\"no alerts\",\"asOf\":\"as of\",\"failed\":\"cannot read:\"}",
};

static void put_table(struct buf *out, const char *title, const char *id,
                      const char *const *heads, size_t count)
{
    buf_printf(out, "<h2>%s</h2>\n<table><thead><tr>", title);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "<th>%s</th>", heads[i]);
    buf_printf(out, "</tr></thead><tbody id=\"%s\"></tbody></table>\n", id);
}

void api_page(struct http_request *request, struct http_response *response)
{
    const char *language = http_parameter(request, "lang");
    bool is_english = language != NULL && strcmp(language, "en") == 0;
    const struct page_texts *texts = is_english ? &english : &chinese;
    struct buf *out = &response->body;
    response->content_type = "text/html; charset=utf-8";
    http_add_header(response, "Content-Security-Policy",
                    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
                    "connect-src 'self'; frame-ancestors 'none'");
    buf_printf(out, head, texts->language, texts->title);
    buf_put_text(out, style);
    buf_printf(out, "<body>\n<h1>%s</h1>\n<p id=\"note\"></p>\n", texts->title);
    put_table(out, texts->alerts, "alerts", texts->alert_heads, 5);
    put_table(out, texts->probes, "probes", texts->probe_heads, 6);
    buf_printf(out, "<p><a href=\"?lang=%s\">%s</a></p>\n", is_english ? "zh" : "en",
               is_english ? "中文" : "English");
    buf_printf(out, "<script type=\"application/json\" id=\"texts\">%s</script>\n", texts->json);
    buf_put_text(out, script);
}
